/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An allocator that samples itself: each byte allocated is a sample with the same probability, and a block that has any
 * is told of, with a weight of so many intervals as it has samples. Only while somebody listens.
 *
 * Who includes this defines sampler_listened(), sampler_tell_alloc() and sampler_tell_free() before.
 */
#ifndef SEEP_E2E_USDT_SAMPLER_H
#define SEEP_E2E_USDT_SAMPLER_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "target.h"
#include "usdt_sums.h"

#define SAMPLER_SLOTS 65536 /* of the table of sampled blocks */

static struct usdt_sums sampler_sums;
static uint64_t sampler_interval = 65536;
static double sampler_until; /* bytes to the next sample */
static void *sampler_blocks[SAMPLER_SLOTS];
static size_t sampler_nr_blocks;

/* The same numbers each time. */
static double sampler_random(void)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return ((double)(state >> 11) + 0.5) / (double)(1ull << 53);
}

static double sampler_distance(void)
{
	return -log(sampler_random()) * (double)sampler_interval;
}

static size_t sampler_slot(const void *block)
{
	return (size_t)(((uintptr_t)block >> 4) * 0x9e3779b97f4a7c15ull >> 48);
}

static void sampler_remember(void *block)
{
	size_t i = sampler_slot(block);

	REQUIRE(++sampler_nr_blocks < SAMPLER_SLOTS / 2);
	while (sampler_blocks[i])
		i = (i + 1) % SAMPLER_SLOTS;
	sampler_blocks[i] = block;
}

/* Moves up what would no longer be found. */
static void sampler_close_gap(size_t gap)
{
	size_t i, home;

	for (i = (gap + 1) % SAMPLER_SLOTS; sampler_blocks[i]; i = (i + 1) % SAMPLER_SLOTS) {
		home = sampler_slot(sampler_blocks[i]);
		if ((i - home) % SAMPLER_SLOTS < (i - gap) % SAMPLER_SLOTS)
			continue;
		sampler_blocks[gap] = sampler_blocks[i];
		sampler_blocks[i] = NULL;
		gap = i;
	}
}

static int sampler_forget(const void *block)
{
	size_t i = sampler_slot(block);

	while (sampler_blocks[i] && sampler_blocks[i] != block)
		i = (i + 1) % SAMPLER_SLOTS;
	if (!sampler_blocks[i])
		return 0;
	sampler_blocks[i] = NULL;
	sampler_nr_blocks--;
	sampler_close_gap(i);
	return 1;
}

SITE static void sampler_take(void *block, size_t size)
{
	uint64_t weight = 0;

	while (sampler_until <= 0) {
		weight += sampler_interval;
		sampler_until += sampler_distance();
	}
	sampler_remember(block);
	sampler_sums.allocs++;
	sampler_sums.weight += (long)weight;
	sampler_tell_alloc(block, size, weight);
}

static inline void *sampler_malloc(size_t size)
{
	void *block = malloc(size);

	REQUIRE(block);
	if (!sampler_listened())
		return block;
	if (!sampler_until)
		sampler_until = sampler_distance();
	sampler_sums.bytes += (long)size;
	sampler_until -= (double)size;
	if (sampler_until <= 0)
		sampler_take(block, size);
	return block;
}

static inline void sampler_free(void *block)
{
	if (sampler_nr_blocks && sampler_forget(block)) {
		sampler_sums.frees++;
		sampler_tell_free(block);
	}
	free(block);
}

#endif
