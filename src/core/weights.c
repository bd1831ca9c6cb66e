// SPDX-License-Identifier: GPL-2.0-or-later
#include "weights.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "event.h"
#include "hash.h"

/* No honest period comes near; sums of fewer than 2^31 such blocks fit 63 bits. */
#define OBJECTS_MAX 0x1p32
#define BYTES_MAX 0x1p62

#define Z95 1.959964

void weights_release(struct weights *w)
{
	free(w->period);
	*w = (struct weights){0};
}

int weights_set(struct weights *w, uint32_t tag, uint64_t period_bytes)
{
	size_t nr = (size_t)tag + 1;

	if (tag == SEEP_TAG_EXACT || tag > SEEP_TAG_PERIOD_MAX || !period_bytes)
		return -EBADMSG;
	if (tag < w->nr && w->period[tag])
		return w->period[tag] == period_bytes ? 0 : -EBADMSG;
	if (nr > w->nr) {
		if (ARRAY_GROW(&w->period, &w->cap, nr))
			return -ENOMEM;
		memset(w->period + w->nr, 0, (nr - w->nr) * sizeof(*w->period));
		w->nr = nr;
	}
	w->period[tag] = period_bytes;
	if (period_bytes > w->unseen_bytes)
		w->unseen_bytes = period_bytes;
	return 0;
}

bool weights_know(const struct weights *w, uint16_t tag)
{
	return tag == SEEP_TAG_EXACT || tag >= SEEP_TAG_GIVEN || (tag < w->nr && w->period[tag]);
}

/* Four to a power of two. */
static unsigned int class_of(uint64_t bytes)
{
	unsigned int exponent = 63 - (unsigned int)__builtin_clzll(bytes);
	uint64_t quarter = exponent < 2 ? bytes << (2 - exponent) : bytes >> (exponent - 2);

	return 4 * exponent + (unsigned int)(quarter & 3);
}

void weights_note(struct weights *w, const struct heap_block *block, uint64_t bytes)
{
	unsigned int class;

	if (block->tag <= SEEP_TAG_GIVEN || !bytes)
		return;
	/* What it stands for, another may have stood for that was not taken. */
	if (bytes > w->unseen_bytes)
		w->unseen_bytes = bytes;
	if (!w->given_least || bytes < w->given_least)
		w->given_least = bytes;
	if (!SEEP_TAG_EXPONENT(block->tag))
		return;
	class = class_of(bytes);
	w->given[class].nr++;
	w->given[class].bytes += (double)bytes;
}

/* Two neighbouring classes at a time, since the weight sought may lie between them. */
uint64_t weights_given_period(const struct weights *w)
{
	uint64_t period = w->given_least, most = 0, nr;
	size_t i;

	for (i = 0; i + 1 < WEIGHTS_CLASSES; i++) {
		nr = w->given[i].nr + w->given[i + 1].nr;
		if (nr <= most)
			continue;
		most = nr;
		period = (uint64_t)round((w->given[i].bytes + w->given[i + 1].bytes) / (double)nr);
	}
	return period;
}

/* 1 / p, and q = 1 - p without the rounding of a p near to 1. */
static double blocks_for_one(const struct weights *w, const struct heap_block *block, double *q)
{
	uint64_t size = block->size_bytes ? block->size_bytes : 1;
	double given, periods;

	if (block->tag >= SEEP_TAG_GIVEN) {
		given = ldexp(1 + SEEP_TAG_MANTISSA(block->tag) / 1024.0,
			      (int)SEEP_TAG_EXPONENT(block->tag));
		*q = 1 - 1 / given;
		return given;
	}
	periods = (double)size / (double)w->period[block->tag];
	*q = exp(-periods);
	return -1 / expm1(-periods);
}

/* 0 to 1, the same for all that is told of a block. */
static double chance(const struct heap_block *block)
{
	return (double)(hash_pair(block->addr, block->birth_ns) >> 11) * 0x1p-53;
}

struct weight weights_of_sample(const struct weights *w, const struct heap_block *block)
{
	double q, objects = blocks_for_one(w, block, &q), u = chance(block);
	double bytes = (double)block->size_bytes * objects;

	return (struct weight){.objects = (uint64_t)fmin(floor(objects + u), OBJECTS_MAX),
			       .bytes = (uint64_t)fmin(floor(bytes + u), BYTES_MAX)};
}

static double rounding_variance(double x)
{
	double left = x - floor(x);

	return left * (1 - left);
}

struct variance weights_variance(const struct weights *w, const struct heap_block *block)
{
	double q, objects, bytes;

	if (!block->tag)
		return (struct variance){0, 0};
	objects = blocks_for_one(w, block, &q);
	bytes = (double)block->size_bytes * objects;
	return (struct variance){.objects = q * objects * objects + rounding_variance(objects),
				 .bytes = q * bytes * bytes + rounding_variance(bytes)};
}

/* Wilson and Hilferty's approximation of the quantile at z of chi-square; errs to the wide side for few degrees. */
static double chi_square(double degrees, double z)
{
	double spread = 2 / (9 * degrees), root = 1 - spread + z * sqrt(spread);

	return root > 0 ? degrees * root * root * root : 0;
}

void weights_interval(double sum, double variance, double unseen, double seen, double ci[2])
{
	double above = sum + unseen, above_variance = variance + unseen * unseen;

	ci[0] = ci[1] = sum;
	if (variance > 0 && sum > 0)
		ci[0] = variance / (2 * sum) * chi_square(2 * sum * sum / variance, -Z95);
	if (above_variance > 0 && above > 0)
		ci[1] = above_variance / (2 * above) *
			chi_square(2 * above * above / above_variance, Z95);
	ci[0] = fmin(fmax(ci[0], seen), sum);
	ci[1] = fmax(ci[1], sum);
}
