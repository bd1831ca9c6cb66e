/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwinder_extents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

int extents_init(struct extents *extents, uint32_t nr)
{
	struct extents made = {0};

	if (ARRAY_GROW(&made.free, &made.cap, 1))
		return -ENOMEM;
	made.free[0] = (struct extent){.at = 0, .nr = nr};
	made.nr = nr ? 1 : 0;
	made.room = nr;
	*extents = made;
	return 0;
}

void extents_release(struct extents *extents)
{
	free(extents->free);
	*extents = (struct extents){0};
}

/* The shortest that is long enough; extents->nr: none. */
static size_t best_fit(const struct extents *extents, uint32_t nr)
{
	size_t best = extents->nr;

	for (size_t i = 0; i < extents->nr; i++) {
		if (extents->free[i].nr < nr)
			continue;
		if (best == extents->nr || extents->free[i].nr < extents->free[best].nr)
			best = i;
	}
	return best;
}

static void remove_extent(struct extents *extents, size_t i)
{
	extents->nr--;
	memmove(&extents->free[i], &extents->free[i + 1],
		(extents->nr - i) * sizeof(extents->free[0]));
}

int extents_take(struct extents *extents, uint32_t nr, uint32_t *at)
{
	size_t i = best_fit(extents, nr);
	struct extent *from;

	if (!nr || i == extents->nr)
		return -ENOSPC;
	/* between two free runs lies a taken one, so that there is at most one more of them */
	if (ARRAY_GROW(&extents->free, &extents->cap, extents->taken + 2))
		return -ENOMEM;
	from = &extents->free[i];
	*at = from->at;
	from->at += nr;
	from->nr -= nr;
	if (!from->nr)
		remove_extent(extents, i);
	extents->taken++;
	extents->room -= nr;
	return 0;
}

/* The first free run behind a place. */
static size_t first_behind(const struct extents *extents, uint32_t at)
{
	size_t low = 0, high = extents->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (extents->free[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void extents_give(struct extents *extents, uint32_t at, uint32_t nr)
{
	size_t i = first_behind(extents, at);
	struct extent *before = i ? &extents->free[i - 1] : NULL;
	struct extent *behind = i < extents->nr ? &extents->free[i] : NULL;

	extents->taken--;
	extents->room += nr;
	if (behind && at + nr == behind->at) {
		behind->at = at;
		behind->nr += nr;
		if (before && before->at + before->nr == at) {
			before->nr += behind->nr;
			remove_extent(extents, i);
		}
	} else if (before && before->at + before->nr == at) {
		before->nr += nr;
	} else {
		memmove(&extents->free[i + 1], &extents->free[i],
			(extents->nr - i) * sizeof(extents->free[0]));
		extents->free[i] = (struct extent){.at = at, .nr = nr};
		extents->nr++;
	}
}

uint32_t extents_fit(const struct extents *extents, uint32_t nr)
{
	size_t i = best_fit(extents, nr);

	return i < extents->nr ? extents->free[i].nr : 0;
}

uint32_t extents_longest(const struct extents *extents)
{
	uint32_t longest = 0;

	for (size_t i = 0; i < extents->nr; i++) {
		if (extents->free[i].nr > longest)
			longest = extents->free[i].nr;
	}
	return longest;
}
