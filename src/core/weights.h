/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a block stands for when not every block is followed, and how wrong sums of such blocks may be.
 *
 * A block of s bytes that was kept with probability p stands for 1 / p blocks and s / p bytes (Horvitz
 * and Thompson): whatever is summed, over sites, sizes and periods mixed, the expectation is the truth.
 * Weights are whole numbers: what is left over is rounded up or down by chance, with the odds that keep the
 * expectation, and the chance is a hash of (address, birth). So the allocation and the free of a block
 * agree, sums of weights do not depend on the order of events, and a balance sums to the last block.
 *
 * The variance of such a sum is estimated by the sum of (1 - p) / p^2 over the kept blocks (times s^2 for
 * bytes), without bias, plus what the rounding adds. Exact blocks have weight 1 and no variance.
 *
 * Pure; sizes and periods may be any.
 */
#ifndef SEEP_CORE_WEIGHTS_H
#define SEEP_CORE_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap.h"

/* Of a block, or a sum over blocks. */
struct weight {
	uint64_t objects, bytes;
};

#define WEIGHTS_CLASSES (4 * 64) /* of weights: four to a power of two */

/* Zeroed knows exact blocks, and those whose weight is given (event.h). */
struct weights {
	uint64_t *period; /* by tag; 0: not known */
	size_t nr, cap;
	uint64_t
		unseen_bytes; /* what a block that was missed may have stood for; 0: none is missed */
	/* Of blocks whose weight is given: */
	uint64_t given_least; /* and more than the size; 0: there was none */
	struct {
		uint64_t nr;
		double bytes;
	} given[WEIGHTS_CLASSES]; /* and at least twice the size */
};

void weights_release(struct weights *weights);
/* The meaning of a tag, for good. 0, -EBADMSG (no tag of a period, or another period before) or -ENOMEM. */
int weights_set(struct weights *weights, uint32_t tag, uint64_t period_bytes);
bool weights_know(const struct weights *weights, uint16_t tag);

/* A sampled block has come, which stands for so many bytes. */
void weights_note(struct weights *weights, const struct heap_block *block, uint64_t bytes);

/*
 * The mean distance of the samples whose weight was given, as far as it can be told from the weights; 0: not at all.
 *
 * Nobody says it, but small blocks stand for about so much: exactly, a little more, or with a scatter around it, as the
 * sampler has it; large ones stand for themselves, or for several distances. So it is the weight that is the most
 * frequent, on a logarithmic scale, among blocks that stand for at least twice their size.
 */
uint64_t weights_given_period(const struct weights *weights);

/* Of a block whose tag is sampled (not 0) and known. */
struct weight weights_of_sample(const struct weights *weights, const struct heap_block *block);

static inline struct weight weight_exact(uint64_t bytes)
{
	return (struct weight){.objects = 1, .bytes = bytes};
}

/* Of a block whose tag is known. */
static inline struct weight weights_of(const struct weights *weights,
				       const struct heap_block *block)
{
	return block->tag ? weights_of_sample(weights, block) : weight_exact(block->size_bytes);
}

/* With which a sum is known. Summed like weights; nothing is taken off for a free (sum what lives instead). */
struct variance {
	double objects, bytes;
};

/* What one block adds to the variance of the sums it is in. */
struct variance weights_variance(const struct weights *weights, const struct heap_block *block);

/*
 * The 95 % interval of a sum: Fay and Feuer's for weighted Poisson counts, which has honest coverage also for few
 * samples, where the normal one is too short above and below zero. seen: what is certain, since it was counted.
 * unseen: the weight that one further block might have had; 0 when none can have been missed.
 * With neither variance nor unseen blocks both ends are the sum.
 */
void weights_interval(double sum, double variance, double unseen, double seen, double ci[2]);

#endif
