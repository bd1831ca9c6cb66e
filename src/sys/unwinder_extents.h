/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Room on a line of places: runs of them are taken and given back. Zeroed has no places. */
#ifndef SEEP_SYS_UNWINDER_EXTENTS_H
#define SEEP_SYS_UNWINDER_EXTENTS_H

#include <stddef.h>
#include <stdint.h>

struct extent {
	uint32_t at, nr;
};

struct extents {
	struct extent *free; /* sorted, no two touch */
	size_t nr, cap;
	size_t taken;  /* runs; cap is enough for when they are given back, which cannot fail */
	uint32_t room; /* places that are free */
};

/* Places 0..nr-1, all free. 0 or -ENOMEM. */
int extents_init(struct extents *extents, uint32_t nr);
void extents_release(struct extents *extents);
/* Takes a run where it leaves the least. -ENOSPC: no free run is that long; -ENOMEM. */
int extents_take(struct extents *extents, uint32_t nr, uint32_t *at);
/* Gives back a run as it was taken. */
void extents_give(struct extents *extents, uint32_t at, uint32_t nr);
/* The length of the shortest free run of at least nr places; 0: none. */
uint32_t extents_fit(const struct extents *extents, uint32_t nr);
uint32_t extents_longest(const struct extents *extents);

#endif
