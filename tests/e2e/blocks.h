/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What targets that allocate share: sites, a table of blocks, and what a pair of malloc and free costs. */
#ifndef SEEP_E2E_BLOCKS_H
#define SEEP_E2E_BLOCKS_H

#include <stdlib.h>
#include <time.h>

#include "target.h"

static void *block[2003];

#define MALLOC_SITE(name)                                                                          \
	SITE void *name(size_t size)                                                               \
	{                                                                                          \
		return malloc(size);                                                               \
	}
#define REALLOC_SITE(name)                                                                         \
	SITE void *name(void *p, size_t size)                                                      \
	{                                                                                          \
		return realloc(p, size);                                                           \
	}

static inline void fill(void *(*site)(size_t size), size_t size, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		block[i] = site(size);
		REQUIRE(block[i]);
	}
}

static inline void empty(size_t from, size_t to)
{
	for (; from < to; from++) {
		free(block[from]);
		block[from] = NULL;
	}
}

/* ns for a pair of malloc and free: the best of some runs, for others use the machine as well. */
static inline long cost(void)
{
	struct timespec start, end;
	long best = 0, ns;
	int run, i;

	for (run = 0; run < 9; run++) {
		clock_gettime(CLOCK_MONOTONIC, &start);
		for (i = 0; i < 2003; i++)
			free(malloc(64));
		clock_gettime(CLOCK_MONOTONIC, &end);
		ns = (end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec - start.tv_nsec;
		if (!run || ns < best)
			best = ns;
	}
	return best / 2003;
}

#endif
