/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cfi_rows.h"

#include <errno.h>

#include "array.h"
#include "cfi.h"

int cfi_rows_add(struct cfi_rows *rows, uint32_t pc, struct cfi_row_rules rules)
{
	const struct unwind_row *last = rows->nr ? &rows->item[rows->nr - 1] : NULL;

	if (last && last->cfa == rules.cfa && last->fp == rules.fp)
		return 0;
	if (rows->nr == CFI_MAX_ROWS)
		return -E2BIG;
	if (ARRAY_GROW(&rows->item, &rows->cap, rows->nr + 1))
		return -ENOMEM;
	rows->item[rows->nr++] = (struct unwind_row){.pc = pc, .cfa = rules.cfa, .fp = rules.fp};
	return 0;
}
