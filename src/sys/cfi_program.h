/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Call frame instructions (DWARF 5, 6.4.2), run. */
#ifndef SEEP_SYS_CFI_PROGRAM_H
#define SEEP_SYS_CFI_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "cfi_entry.h"
#include "cfi_rows.h"

/* How deep DW_CFA_remember_state nests; compilers need one or two. */
#define CFI_MAX_REMEMBERED 32

/* The initial instructions of a CIE: sets cie->initial. false: malformed. */
bool cfi_run_cie(const struct cfi_elf *elf, struct cfi_cie *cie, struct cfi_cursor program);
/* Adds the rows of [start, end). -EBADMSG: malformed, after some rows perhaps; or as cfi_rows_add(). */
int cfi_run_function(const struct cfi_elf *elf, const struct cfi_cie *cie,
		     const struct cfi_function *function, struct cfi_rows *rows);

#endif
