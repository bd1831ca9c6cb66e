/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows as they are made, from the lowest pc up. */
#ifndef SEEP_SYS_CFI_ROWS_H
#define SEEP_SYS_CFI_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "cfi_rules.h"

struct cfi_rows {
	struct unwind_row *item; /* the caller frees it */
	size_t nr, cap;
};

/* pc is above all others. The row may melt into the one before. -ENOMEM; -E2BIG: more than CFI_MAX_ROWS. */
int cfi_rows_add(struct cfi_rows *rows, uint32_t pc, struct cfi_row_rules rules);

#endif
