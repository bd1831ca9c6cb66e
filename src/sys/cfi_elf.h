/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What unwind tables are made of, out of a file or an image of one: its code and its call frame information. By hand
 * and not with libelf, because an image that others may write to, or that has no section headers, is to do as well.
 */
#ifndef SEEP_SYS_CFI_ELF_H
#define SEEP_SYS_CFI_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cfi_bytes.h"

/* Either an open file, or an image. Only what is inside is ever asked for. */
struct cfi_source {
	int fd;
	const unsigned char *image; /* NULL: read from fd */
	uint64_t bytes;
};

/* Of larger files than any known today by a factor of three; what a hostile one can make us read. */
#define CFI_MAX_SECTION_BYTES ((size_t)256 << 20)
#define CFI_MAX_CODE_SEGMENTS 64

/* An executable PT_LOAD. */
struct cfi_code {
	uint64_t address, end;
	uint64_t file_offset, file_bytes;
};

struct cfi_elf {
	bool is_arm64; /* else x86-64 */
	uint64_t base; /* the lowest address of a PT_LOAD, rounded down to CFI_PAGE_BYTES */
	uint64_t entry;
	uint64_t eh_frame_hdr; /* its address; 0: none */
	struct cfi_code *code;
	size_t nr_code;
	struct cfi_section eh_frame, debug_frame; /* zeroed: none */
	bool eh_frame_ends_at_zero;		  /* how long it is, the file does not say */
};

#define CFI_PAGE_BYTES ((uint64_t)4096)

/*
 * -ENOEXEC: no ELF file; -ENOTSUP: not one that we unwind, or its code does not fit into pcs of 32 bits; -ENOENT: no
 * code; -E2BIG: a section of more than CFI_MAX_SECTION_BYTES; -ENOMEM; -errno. A section that goes on behind the end of
 * the file ends there.
 */
int cfi_elf_load(const struct cfi_source *source, struct cfi_elf *out);
void cfi_elf_release(struct cfi_elf *elf);

#endif
