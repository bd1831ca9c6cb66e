/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text of /tmp/perf-PID.map, in parts as it is written: each address belongs to the last line that has it, as a walk
 * over all lines finds it, and the tables stay sorted.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perfmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nr);

static void check_run(const struct perfmap_run *run)
{
	for (size_t i = 0; i < run->nr; i++) {
		if (run->item[i].start >= run->item[i].end)
			abort();
		if (i && run->item[i - 1].end > run->item[i].start)
			abort();
	}
}

/* A table of that one line alone tells what it says. */
static void check_address(const struct perfmap_table *table, const char *text, size_t nr,
			  uint64_t address)
{
	const struct perfmap_entry *entry = perfmap_table_find(table, address);
	uint64_t last = UINT64_MAX;

	for (size_t at = 0; at < nr;) {
		const char *end = memchr(text + at, '\n', nr - at);
		struct perfmap_table alone = {0};
		size_t used;

		if (!end)
			break;
		if (perfmap_table_add(&alone, text + at, (size_t)(end - text) + 1 - at, at, &used))
			abort();
		if (perfmap_table_find(&alone, address))
			last = at;
		perfmap_table_release(&alone);
		at = (size_t)(end - text) + 1;
	}
	if (last != (entry ? entry->line : UINT64_MAX))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nr)
{
	const char *text = (const char *)data;
	struct perfmap_table table = {0};
	size_t at = 0, used = 0, part = nr;

	/* the first half alone, then the rest from where its whole lines end */
	for (int i = 0; i < 2; i++, at += used, part = nr - at) {
		if (!i)
			part = nr / 2;
		if (perfmap_table_add(&table, text + at, part, at, &used) || used > part)
			abort();
	}
	for (size_t i = 0; i < table.nr; i++) {
		check_run(&table.run[i]);
		if (nr <= 1024 && table.run[i].nr) {
			check_address(&table, text, nr, table.run[i].item[0].start);
			check_address(&table, text, nr,
				      table.run[i].item[table.run[i].nr - 1].end - 1);
			check_address(&table, text, nr, table.run[i].item[0].start - 1);
		}
	}
	perfmap_table_release(&table);
	return 0;
}
