/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The entries of .eh_frame and .debug_frame: what is common to functions (CIE), and the functions (FDE) in order. */
#ifndef SEEP_SYS_CFI_ENTRY_H
#define SEEP_SYS_CFI_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cfi_elf.h"
#include "cfi_rules.h"

/* Linkers merge equal ones, so that real files have a few dozen; .debug_frame has one for each compilation unit. */
#define CFI_MAX_CIES (1u << 20)

struct cfi_cie {
	uint32_t offset; /* in its section */
	bool is_debug;	 /* of .debug_frame */
	bool is_signal;
	bool has_augmentation_data;
	uint8_t encoding; /* of its functions' pointers */
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra; /* the register that has the return address, in rules */
	struct cfi_rules initial;
};

/* The entry point of the program, which nobody describes. */
#define CFI_NO_CIE UINT32_MAX

struct cfi_function {
	uint32_t start, end;		 /* from the base of the file */
	uint32_t program, program_bytes; /* its instructions, in the section of its CIE */
	uint32_t cie;
};

struct cfi_functions {
	struct cfi_function *item; /* sorted, none empty, none overlaps another */
	size_t nr, cap;
	struct cfi_cie *cie;
	size_t nr_cies, cap_cies;
	uint64_t malformed;
};

/*
 * 0 or -ENOMEM; release it in either case. A function ends where the next one begins, if not before; that is how
 * unwinders at run time look them up, too. Of those with the same start the first one counts. A function of
 * .debug_frame that begins inside another one is left out.
 */
int cfi_functions_read(const struct cfi_elf *elf, struct cfi_functions *out);
void cfi_functions_release(struct cfi_functions *functions);

#endif
