/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ranges.h"

#include <stdlib.h>

#include "array.h"

void ranges_release(struct ranges *ranges)
{
	free(ranges->item);
	*ranges = (struct ranges){0};
}

size_t ranges_bytes(const struct ranges *ranges)
{
	return ranges->cap * sizeof(*ranges->item);
}

int ranges_add(struct ranges *ranges, uint64_t start, uint64_t end, uint64_t value)
{
	int error;

	if (start >= end)
		return 0;
	error = ARRAY_GROW(&ranges->item, &ranges->cap, ranges->nr + 1);
	if (error)
		return error;
	ranges->item[ranges->nr++] = (struct range){.start = start, .end = end, .value = value};
	return 0;
}

static int compare_ranges(const void *left, const void *right)
{
	const struct range *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->end != b->end)
		return a->end > b->end ? -1 : 1;
	return (a->value < b->value) - (a->value > b->value);
}

void ranges_sort(struct ranges *ranges)
{
	uint64_t max_end = 0;

	if (!ranges->nr)
		return;
	qsort(ranges->item, ranges->nr, sizeof(*ranges->item), compare_ranges);
	for (size_t i = 0; i < ranges->nr; i++) {
		if (ranges->item[i].end > max_end)
			max_end = ranges->item[i].end;
		ranges->item[i].max_end = max_end;
	}
}

/* How many ranges start at or before address. */
static size_t count_started(const struct ranges *ranges, uint64_t address)
{
	size_t low = 0, high = ranges->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (ranges->item[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct range *ranges_find(const struct ranges *ranges, uint64_t address,
				const struct range *inner)
{
	size_t i = inner ? (size_t)(inner - ranges->item) : count_started(ranges, address);

	while (i-- > 0 && ranges->item[i].max_end > address) {
		if (ranges->item[i].end > address)
			return &ranges->item[i];
	}
	return NULL;
}
