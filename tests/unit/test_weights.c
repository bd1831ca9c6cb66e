/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sampling as the kernel does it, many times over with fixed seeds: estimates must be right on average, and their 95 %
 * intervals hold the truth about as often as they say.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "hash.h"
#include "leak.h"
#include "stream.h"
#include "weights.h"

#define SEEDS 100
#define BLOCKS 20000
#define KIB 1024ull
#define MIB (1024 * KIB)

/* --- one block ---------------------------------------------------------------------------------- */

static void test_exact(void **state)
{
	struct weights weights = {0};
	struct heap_block block = {.addr = 64, .birth_ns = 5, .size_bytes = 0xffffffffffff};
	struct weight weight = weights_of(&weights, &block);
	struct variance variance = weights_variance(&weights, &block);
	double ci[2];

	(void)state;
	assert_int_equal(weight.objects, 1);
	assert_int_equal(weight.bytes, 0xffffffffffff);
	assert_true(variance.objects == 0 && variance.bytes == 0);
	weights_interval(1237, 0, 0, 0, ci);
	assert_true(ci[0] == 1237 && ci[1] == 1237);
}

static void test_tags(void **state)
{
	struct weights weights = {0};

	(void)state;
	assert_true(weights_know(&weights, SEEP_TAG_EXACT));
	assert_true(weights_know(&weights, SEEP_TAG_GIVEN));
	assert_true(weights_know(&weights, 0xffff));
	assert_false(weights_know(&weights, 1));
	assert_int_equal(weights_set(&weights, 7, 512 * KIB), 0);
	assert_true(weights_know(&weights, 7));
	assert_false(weights_know(&weights, 6));
	assert_false(weights_know(&weights, 8));
	/* what a tag means never changes */
	assert_int_equal(weights_set(&weights, 7, 512 * KIB), 0);
	assert_int_equal(weights_set(&weights, 7, 256 * KIB), -EBADMSG);
	assert_int_equal(weights_set(&weights, 0, 1), -EBADMSG);
	assert_int_equal(weights_set(&weights, 8, 0), -EBADMSG);
	assert_int_equal(weights_set(&weights, SEEP_TAG_GIVEN, 1), -EBADMSG);
	assert_int_equal(weights_set(&weights, SEEP_TAG_PERIOD_MAX, 3), 0);
	assert_int_equal(weights.unseen_bytes, 512 * KIB);
	allocfail_set(1);
	weights_release(&weights);
	assert_int_equal(weights_set(&weights, 7, 1), -ENOMEM);
	allocfail_set(0);
	assert_false(weights_know(&weights, 7));
}

/* The mean over the chance that rounds it. */
static double mean_weight(const struct weights *weights, uint64_t size, uint16_t tag, bool bytes)
{
	struct heap_block block = {.size_bytes = size, .tag = tag};
	struct weight weight;
	double sum = 0;

	for (block.birth_ns = 0; block.birth_ns < 4096; block.birth_ns++) {
		block.addr = 0x7f0000001000 + 16 * (block.birth_ns * 7919 % 4096);
		weight = weights_of(weights, &block);
		sum += (double)(bytes ? weight.bytes : weight.objects) / 4096;
	}
	return sum;
}

static void test_weight_of_a_period(void **state)
{
	static const uint64_t sizes[] = {1, 16, 4096, 65536, 65536 * 3, 1 << 24, 0xffffffffffff};
	struct weights weights = {0};
	double p, size;

	(void)state;
	assert_int_equal(weights_set(&weights, 3, 65536), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size = (double)sizes[i];
		p = -expm1(-size / 65536);
		assert_true(fabs(mean_weight(&weights, sizes[i], 3, false) * p - 1) < 0.01);
		assert_true(fabs(mean_weight(&weights, sizes[i], 3, true) * p / size - 1) < 0.01);
	}
	/* nothing was asked for: a block all the same, of the chance of one byte */
	assert_true(fabs(mean_weight(&weights, 0, 3, false) / 65536.5 - 1) < 0.001);
	assert_true(mean_weight(&weights, 0, 3, true) == 0);
	weights_release(&weights);
}

static void test_weight_given(void **state)
{
	struct weights weights = {0};
	uint16_t tag = SEEP_TAG_GIVEN | 3 << 10 | 512; /* 1.5 * 8 */
	struct heap_block block = {.addr = 16, .birth_ns = 3, .size_bytes = 100, .tag = tag};
	struct variance variance = weights_variance(&weights, &block);

	(void)state;
	assert_true(mean_weight(&weights, 100, tag, false) == 12);
	assert_true(mean_weight(&weights, 100, tag, true) == 1200);
	assert_true(fabs(variance.objects - 11.0 / 12 * 144) < 1e-9);
	assert_true(fabs(variance.bytes - 11.0 / 12 * 1200 * 1200) < 1e-6);
	block.tag = SEEP_TAG_GIVEN;
	assert_int_equal(weights_of(&weights, &block).objects, 1);
	assert_true(weights_variance(&weights, &block).bytes == 0);
	/* the largest there is: no sum of 2^31 of them wraps */
	block.tag = 0xffff;
	block.size_bytes = SEEP_SIZE_MAX;
	assert_in_range(weights_of(&weights, &block).objects, 1u << 31, 1ull << 32);
	assert_in_range(weights_of(&weights, &block).bytes, 1, 1ull << 62);
}

static void test_any_period(void **state)
{
	struct weights weights = {0};
	struct heap_block block = {.tag = 1};
	struct weight weight;

	(void)state;
	assert_int_equal(weights_set(&weights, 1, UINT64_MAX), 0);
	weight = weights_of(&weights, &block);
	assert_true(weight.objects == 1ull << 32 && weight.bytes == 0);
	block.size_bytes = SEEP_SIZE_MAX;
	weight = weights_of(&weights, &block);
	assert_in_range(weight.bytes, 1, 1ull << 62);
	assert_true(isfinite(weights_variance(&weights, &block).bytes));
	weights_release(&weights);
}

static void test_interval_of_few(void **state)
{
	double ci[2], t = 512 * KIB;

	(void)state;
	/* none seen: there may have been some, and that many bytes have one of them seen in 19 of 20 cases */
	weights_interval(0, 0, t, 0, ci);
	assert_true(ci[0] == 0);
	assert_true(ci[1] > 3 * t && ci[1] < 4 * t);
	/* one small one: exact quantiles of Poisson are 0.025 and 5.57 */
	weights_interval(t, t * t, t, 64, ci);
	assert_true(ci[0] >= 64 && ci[0] < 0.06 * t);
	assert_true(ci[1] > 5.4 * t && ci[1] < 5.7 * t);
	/* four: 1.09 and 10.24 */
	weights_interval(4 * t, 4 * t * t, t, 256, ci);
	assert_true(ci[0] > 1.0 * t && ci[0] < 1.15 * t);
	assert_true(ci[1] > 10.1 * t && ci[1] < 10.4 * t);
	/* many: the normal one */
	weights_interval(1e4 * t, 1e4 * t * t, t, 0, ci);
	assert_true(fabs(ci[0] / t - (1e4 - 196)) < 3);
	assert_true(fabs(ci[1] / t - (1e4 + 196)) < 6);
	/* what was counted is certain */
	weights_interval(4 * t, 4 * t * t, t, 3.5 * t, ci);
	assert_true(ci[0] == 3.5 * t);
}

/* --- a heap ------------------------------------------------------------------------------------- */

static uint64_t seed;

static double uniform(void)
{
	return (double)(hash_u64(++seed) >> 11) * 0x1p-53;
}

/* 64 B to 1 MiB, the more the smaller: a tenth of the blocks has most of the bytes. */
static uint64_t mixed_size(void)
{
	double size = 64 / pow(1 - uniform(), 1 / 0.8);

	return size < 1048576 ? (uint64_t)size : 1048576;
}

struct truth {
	double objects, bytes;
};

struct estimate {
	struct truth sum, variance;
	double heaviest;
};

static void estimate_add(struct estimate *e, const struct weights *weights,
			 const struct heap_block *block)
{
	struct weight weight = weights_of(weights, block);
	struct variance variance = weights_variance(weights, block);

	e->sum.objects += (double)weight.objects;
	e->sum.bytes += (double)weight.bytes;
	e->variance.objects += variance.objects;
	e->variance.bytes += variance.bytes;
	e->heaviest = fmax(e->heaviest, (double)weight.objects);
}

struct score {
	struct truth mean; /* of estimate / truth */
	unsigned int objects_held, bytes_held, below, above;
};

static void score_add(struct score *score, const struct estimate *e, const struct truth *truth,
		      double period)
{
	double ci[2], unseen = fmax(e->heaviest, period * truth->objects / truth->bytes);

	score->mean.objects += e->sum.objects / truth->objects / SEEDS;
	score->mean.bytes += e->sum.bytes / truth->bytes / SEEDS;
	weights_interval(e->sum.bytes, e->variance.bytes, period, 0, ci);
	score->bytes_held += ci[0] <= truth->bytes && truth->bytes <= ci[1];
	score->below += truth->bytes < ci[0];
	score->above += truth->bytes > ci[1];
	weights_interval(e->sum.objects, e->variance.objects, unseen, 0, ci);
	score->objects_held += ci[0] <= truth->objects && truth->objects <= ci[1];
}

static void score_show(const char *what, const struct score *score)
{
	print_message("%s: mean %.4f of bytes, %.4f of objects; held %u (%u below, %u above), %u\n",
		      what, score->mean.bytes, score->mean.objects, score->bytes_held, score->below,
		      score->above, score->objects_held);
}

static bool is_taken(const struct weights *weights, const struct heap_block *block)
{
	double period = (double)weights->period[block->tag];
	double size = block->size_bytes ? (double)block->size_bytes : 1;

	return uniform() < -expm1(-size / period);
}

/* One run: blocks are allocated, those that leave_live() does not want are freed again. */
static void sample_heap(const struct weights *weights, uint16_t (*tag)(int i),
			bool (*leave_live)(int i), struct truth *truth, struct estimate *e)
{
	struct heap_block block = {0};

	*truth = (struct truth){0, 0};
	*e = (struct estimate){.heaviest = 0};
	for (int i = 0; i < BLOCKS; i++) {
		block.addr = 0x7f0000001000 + 16 * (uint64_t)(i % 1000);
		block.birth_ns = seed;
		block.size_bytes = mixed_size();
		block.tag = tag(i);
		if (!leave_live(i))
			continue;
		truth->objects++;
		truth->bytes += (double)block.size_bytes;
		if (!block.tag || is_taken(weights, &block))
			estimate_add(e, weights, &block);
	}
}

static uint16_t tag_1(int i)
{
	(void)i;
	return 1;
}

/* Exact at first, then the governor steps down, and up again. */
static uint16_t tag_by_time(int i)
{
	return i < BLOCKS / 10 ? 0 : i < BLOCKS / 2 ? 2 : i < BLOCKS * 3 / 4 ? 3 : 1;
}

static bool all(int i)
{
	(void)i;
	return true;
}

static bool one_in_three(int i)
{
	return i % 3 == 0;
}

static void check_runs(const char *what, uint64_t period, uint16_t (*tag)(int i),
		       bool (*leave_live)(int i), double tolerance)
{
	struct weights weights = {0};
	struct score score = {.below = 0};
	struct truth truth;
	struct estimate estimate;

	assert_int_equal(weights_set(&weights, 1, period), 0);
	assert_int_equal(weights_set(&weights, 2, 2 * period), 0);
	assert_int_equal(weights_set(&weights, 3, 4 * period), 0);
	for (uint64_t run = 0; run < SEEDS; run++) {
		seed = (run + 1) << 40;
		sample_heap(&weights, tag, leave_live, &truth, &estimate);
		score_add(&score, &estimate, &truth, (double)weights.unseen_bytes);
	}
	score_show(what, &score);
	assert_true(fabs(score.mean.bytes - 1) < tolerance);
	assert_in_range(score.bytes_held, 90, 99);
	assert_in_range(score.objects_held, 90, 100);
	weights_release(&weights);
}

static void test_mixed_heap(void **state)
{
	(void)state;
	check_runs("4 KiB", 4 * KIB, tag_1, all, 0.005);
	check_runs("64 KiB", 64 * KIB, tag_1, all, 0.02);
	check_runs("512 KiB", 512 * KIB, tag_1, all, 0.02);
}

static void test_after_frees(void **state)
{
	(void)state;
	check_runs("16 KiB, freed", 16 * KIB, tag_1, one_in_three, 0.02);
	check_runs("128 KiB, freed", 128 * KIB, tag_1, one_in_three, 0.02);
}

static void test_changing_period(void **state)
{
	(void)state;
	check_runs("changing from 16 KiB", 16 * KIB, tag_by_time, all, 0.02);
	check_runs("changing, freed", 64 * KIB, tag_by_time, one_in_three, 0.02);
}

/* --- distances that nobody said ------------------------------------------------------------------ */

/* As the kernel side packs it: usdt_sized(). */
static uint16_t given_tag(uint64_t size, double weight)
{
	int exponent = ilogb(weight / (double)size);
	double mantissa = weight / (double)size / ldexp(1, exponent) - 1;

	return (uint16_t)(SEEP_TAG_GIVEN | exponent << 10 | (int)(mantissa * 1024));
}

static void note_given(struct weights *weights, uint64_t i, uint64_t size, double weight)
{
	struct heap_block block = {.addr = i * 16, .birth_ns = i, .size_bytes = size};

	if (weight < (double)size)
		return;
	block.tag = given_tag(size, weight);
	weights_note(weights, &block, weights_of_sample(weights, &block).bytes);
}

/* Sizes around 1 KiB, some of them larger than the distance by far. */
static uint64_t any_size(void)
{
	return (uint64_t)(512 / (1 - uniform()));
}

static void check_period(struct weights *weights, double period, double factor)
{
	double found = (double)weights_given_period(weights);

	if (found < period / factor || found > period * factor)
		fail_msg("%.0f, where %.0f is right", found, period);
	weights_release(weights);
}

#define GIVEN_NR 5000

/* A block gets as many whole distances as fall into it: what the largest of them gets says nothing. */
static void test_distance_of_whole_intervals(void **state)
{
	struct weights weights = {0};
	double period, left;

	(void)state;
	for (period = 3000; period < 3e6; period *= 1.7) {
		left = period;
		for (uint64_t i = 1, taken = 0; taken < GIVEN_NR; i++) {
			uint64_t size = any_size(), nr = 0;

			for (left -= (double)size; left <= 0; nr++)
				left -= period * log(1 - uniform());
			if (!nr)
				continue;
			taken++;
			note_given(&weights, i, size, (double)nr * period);
		}
		assert_true((double)weights.unseen_bytes > 3 * period);
		check_period(&weights, period, 1.01);
	}
}

/* 1 / p, as weights of fixed periods are. */
static void test_distance_of_inclusion_weights(void **state)
{
	struct weights weights = {0};

	(void)state;
	for (double period = 3000; period < 3e6; period *= 1.7) {
		for (uint64_t i = 1, taken = 0; taken < GIVEN_NR; i++) {
			uint64_t size = any_size();
			double p = -expm1(-(double)size / period);

			if (uniform() >= p)
				continue;
			taken++;
			note_given(&weights, i, size, (double)size / p);
		}
		check_period(&weights, period, 1.2);
	}
}

/* What was allocated since the sample before. */
static void test_distance_of_bytes_since(void **state)
{
	struct weights weights = {0};
	double period = 512 * KIB;

	(void)state;
	for (uint64_t i = 1; i < GIVEN_NR; i++)
		note_given(&weights, i, 100, -period * log(1 - uniform()));
	check_period(&weights, period, 1.5);
}

static void test_distance_of_few(void **state)
{
	struct weights weights = {0};

	(void)state;
	assert_int_equal(weights_given_period(&weights), 0);
	/* samples that stand for themselves */
	note_given(&weights, 1, 100, 100);
	assert_int_equal(weights_given_period(&weights), 0);
	assert_int_equal(weights.unseen_bytes, 0);
	/* large ones alone: the least of them is as near as it gets */
	note_given(&weights, 2, 65536, 98304);
	note_given(&weights, 3, 65536, 81920);
	assert_int_equal(weights_given_period(&weights), 81920);
	note_given(&weights, 4, 16, 65536);
	assert_int_equal(weights_given_period(&weights), 65536);
	assert_int_equal(weights.unseen_bytes, 98304);
	/* of no bytes, of one, and of as many as there can be */
	weights_note(&weights, &(struct heap_block){.tag = 0xffff}, 0);
	weights_note(&weights, &(struct heap_block){.tag = 0xffff}, 1);
	weights_note(&weights, &(struct heap_block){.tag = 0xffff}, 1ull << 62);
	weights_note(&weights, &(struct heap_block){.tag = 0xffff}, 1ull << 62);
	weights_note(&weights, &(struct heap_block){.tag = 0xffff}, 1ull << 62);
	assert_true(weights_given_period(&weights) == 1ull << 62);
	weights_release(&weights);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distance_of_whole_intervals),
		cmocka_unit_test(test_distance_of_inclusion_weights),
		cmocka_unit_test(test_distance_of_bytes_since),
		cmocka_unit_test(test_distance_of_few),
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_weight_of_a_period),
		cmocka_unit_test(test_weight_given),
		cmocka_unit_test(test_any_period),
		cmocka_unit_test(test_interval_of_few),
		cmocka_unit_test(test_mixed_heap),
		cmocka_unit_test(test_after_frees),
		cmocka_unit_test(test_changing_period),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
