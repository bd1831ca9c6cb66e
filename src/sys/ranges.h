/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address ranges with a value each, which may overlap and nest: add them all, sort once, then ask which ones hold an
 * address. Zeroed is empty.
 */
#ifndef SEEP_SYS_RANGES_H
#define SEEP_SYS_RANGES_H

#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t start, end; /* end is not in it */
	uint64_t value;
	uint64_t max_end; /* of all ranges up to this one, in order */
};

struct ranges {
	struct range *item;
	size_t nr, cap;
};

void ranges_release(struct ranges *ranges);
size_t ranges_bytes(const struct ranges *ranges); /* of memory */
/* 0 or -ENOMEM. Empty ranges are left out. */
int ranges_add(struct ranges *ranges, uint64_t start, uint64_t end, uint64_t value);
/* By start, the wider one first, then by falling value: the same for whatever order they were added in. */
void ranges_sort(struct ranges *ranges);
/*
 * The range that holds address and starts last (of those the shortest, then that of the lowest value); with inner, what
 * this gave, the next one outward. NULL: none.
 */
const struct range *ranges_find(const struct ranges *ranges, uint64_t address,
				const struct range *inner);

#endif
