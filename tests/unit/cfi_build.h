/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF images with call frame information made by hand. They have CFI_CODE_BYTES of code at CFI_CODE, but not its bytes:
 * nobody looks.
 */
#ifndef SEEP_TEST_CFI_BUILD_H
#define SEEP_TEST_CFI_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "array.h"
#include "cfi.h"

#define CFI_BASE 0x400000u
#define CFI_CODE 0x401080u
#define CFI_CODE_OFFSET 0x1080u /* in the file */
#define CFI_CODE_FILE_BYTES 0x1f80u
#define CFI_CODE_BYTES 0x100000u
#define CFI_PC(offset) (CFI_CODE - CFI_BASE + (offset))
/* Where the image has its sections. */
#define CFI_EH_FRAME_HDR 0x400300u
#define CFI_EH_FRAME 0x400400u

struct bytes {
	unsigned char *data;
	size_t nr, cap;
};

void bytes_put(struct bytes *bytes, const void *data, size_t nr);
void bytes_number(struct bytes *bytes, uint64_t value, size_t nr);
void bytes_release(struct bytes *bytes);

#define BYTES(...)                                                                                 \
	((const unsigned char[]){__VA_ARGS__}), sizeof((const unsigned char[]){__VA_ARGS__})
#define PUT(bytes, ...) bytes_put(bytes, BYTES(__VA_ARGS__))

/* Of rows, and what is in them. */
#define ROWS(...)                                                                                  \
	((const struct unwind_row[]){__VA_ARGS__}),                                                \
		ARRAY_SIZE(((const struct unwind_row[]){__VA_ARGS__}))
#define SP(words) ROW_CFA(ROW_SP, words)
#define FP(words) ROW_CFA(ROW_FP, words)
#define SPECIAL(special) ROW_CFA(ROW_SPECIAL, special)
#define NONE SPECIAL(ROW_NONE)
#define UNSUPPORTED SPECIAL(ROW_UNSUPPORTED)

/* Instructions with their operand inside, and what pointers are as a rule. */
#define ADVANCE(delta) (DW_CFA_advance_loc | (delta))
#define OFFSET(reg) (DW_CFA_offset | (reg))
#define RESTORE(reg) (DW_CFA_restore | (reg))
#define PCREL4 (DW_EH_PE_pcrel | DW_EH_PE_sdata4)

/* An entry is begun, its bytes are put, and it is ended: then its length is set. Both return where it begins. */
size_t bytes_begin(struct bytes *section, uint32_t id);
void bytes_end(struct bytes *section, size_t start);

/*
 * As compilers write it: version 1, "zR" with that encoding, CFA = sp + 8 and the return address at CFA - 8; on arm64,
 * CFA = sp. Returns where it begins.
 */
size_t bytes_cie(struct bytes *eh_frame, bool is_arm64, uint8_t encoding);
/* An FDE of that CIE, for bytes of code from CFI_CODE + offset on, pointers being sdata4 and relative to the pc. */
void bytes_fde(struct bytes *eh_frame, size_t cie, uint32_t offset, uint32_t bytes,
	       const void *program, size_t nr);
/* The same in .debug_frame, with a CIE of its own. */
void bytes_debug_function(struct bytes *debug_frame, uint32_t offset, uint32_t bytes,
			  const void *program, size_t nr);

struct image {
	struct bytes eh_frame, debug_frame;
	bool is_arm64;
	bool has_no_sections; /* program headers alone lead to .eh_frame */
	bool is_compressed;   /* .debug_frame is */
	uint64_t entry;
	/* made by image_make(), freed by image_release() */
	unsigned char *data;
	size_t nr;
};

/* May be called again after changes. */
void image_make(struct image *image);
void image_release(struct image *image);

/* All of these make the image first. */
void image_read(struct image *image, struct cfi_table *table);
/* Whether these are its rows; their pcs count from CFI_CODE. */
bool image_has_rows(struct image *image, const struct unwind_row *row, size_t nr);
void image_assert_rows(struct image *image, const struct unwind_row *row, size_t nr);
/* That there is no table. */
void image_assert_error(struct image *image, int error);

#endif
