/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of /proc/PID/maps: whatever is taken is sorted, bounded and findable. */
#include <stdint.h>
#include <stdlib.h>

#include "proc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nr);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nr)
{
	const struct proc_mapping *mapping;
	struct proc_maps maps;

	proc_maps_init(&maps);
	if (!proc_maps_parse(&maps, (const char *)data, nr)) {
		for (size_t i = 0; i < maps.nr; i++) {
			mapping = &maps.item[i];
			if (mapping->start >= mapping->end || !mapping->path)
				abort();
			if (i && mapping->start < maps.item[i - 1].end)
				abort();
			if (proc_maps_find(&maps, mapping->start) != mapping ||
			    proc_maps_find(&maps, mapping->end - 1) != mapping)
				abort();
		}
	}
	proc_maps_release(&maps);
	return 0;
}
