/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An ELF file made of anything, and what its unwind table promises to be. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "cfi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nr);

static void check(bool promise)
{
	if (!promise)
		abort();
}

static void check_rows(const struct cfi_table *table)
{
	const struct unwind_row *row = table->row;
	uint64_t unsupported = 0;

	check(table->nr >= 2 && table->nr <= CFI_MAX_ROWS);
	check(table->stats.functions > 0);
	for (size_t i = 0; i < table->nr; i++) {
		unsupported += row[i].cfa == ROW_CFA(ROW_SPECIAL, ROW_UNSUPPORTED);
		check(ROW_KIND(row[i].cfa) != ROW_SPECIAL || ROW_VALUE(row[i].cfa) <= ROW_SIGNAL);
		check(cfi_find(table, row[i].pc) == &row[i]);
		if (!i)
			continue;
		check(row[i].pc > row[i - 1].pc);
		check(row[i].cfa != row[i - 1].cfa || row[i].fp != row[i - 1].fp);
		check(cfi_find(table, row[i].pc - 1) == &row[i - 1]);
	}
	check(row[table->nr - 1].cfa == ROW_CFA(ROW_SPECIAL, ROW_NONE));
	check(table->stats.unsupported == unsupported);
	check(table->stats.fp_lost <= table->nr);
}

static void check_segments(const struct cfi_table *table)
{
	uint32_t pc;

	for (size_t i = 0; i < table->nr_segments; i++) {
		const struct cfi_segment *segment = &table->segment[i];

		check(segment->file_offset + segment->bytes >= segment->file_offset);
		(void)cfi_pc_of_offset(table, segment->file_offset, &pc);
		(void)cfi_pc_of_offset(table, segment->file_offset + segment->bytes - 1, &pc);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nr)
{
	struct cfi_table table;

	if (cfi_read_image(data, nr, &table))
		return 0;
	check_rows(&table);
	check_segments(&table);
	cfi_release(&table);
	return 0;
}
