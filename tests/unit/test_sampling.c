/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that allocate, sampled as the kernel does it, many times over with fixed seeds: what comes out of the report
 * must be right on average, its intervals must hold the truth, leaks must be found and caches not be taken for leaks.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "array.h"
#include "hash.h"
#include "stream.h"

#define SEEDS 100
#define KIB 1024ull
#define TICKS 60

enum {
	STACK_MIXED = 1,
	STACK_LEAK = 2,
	STACK_CACHE = 3,
	STACK_CHURN = 4,
};

/* A program under the profiler. */
struct program {
	struct profile *profile;
	struct stream stream;
	uint64_t random;
	uint64_t now_ns; /* since the start */
	uint16_t tag;	 /* 0: everything is followed */
	double period;
	uint64_t counter[STAT_NR];
	uint64_t next_addr;
};

struct block {
	struct heap_block heap; /* addr 0: there is none */
	bool followed;
};

static uint64_t pick(struct program *p)
{
	return hash_u64(++p->random);
}

static double uniform(struct program *p)
{
	return (double)(pick(p) >> 11) * 0x1p-53;
}

static void program_start(struct program *p, uint64_t seed)
{
	*p = (struct program){.profile = profile_new(), .random = seed << 40};
	assert_non_null(p->profile);
	p->stream = stream_to(p->profile);
	p->next_addr = 0x7f0000001000;
	assert_int_equal(stream_run(&p->stream, RUN_LEAKS), 0);
	assert_int_equal(stream_target(&p->stream, STREAM_PROC, STREAM_TGID, "server"), 0);
	(void)stream_named_stack(&p->stream, STACK_MIXED, "mixed main");
	(void)stream_named_stack(&p->stream, STACK_LEAK, "leak main");
	(void)stream_named_stack(&p->stream, STACK_CACHE, "cache main");
	(void)stream_named_stack(&p->stream, STACK_CHURN, "churn main");
}

static void program_sample(struct program *p, uint16_t tag, uint64_t period)
{
	p->tag = tag;
	p->period = (double)period;
	assert_int_equal(stream_sampling(&p->stream, tag, period), 0);
	assert_int_equal(stream_step(&p->stream,
				     &(struct record_step){.mode = STEP_SAMPLED,
							   .why = STEP_OVER_TARGET,
							   .period_bytes = period,
							   .duty_permille = 1000},
				     p->now_ns),
			 0);
}

static struct block program_alloc(struct program *p, uint64_t bytes, uint32_t stack)
{
	struct block b = {.heap = stream_block(p->next_addr, ++p->now_ns, bytes, stack)};

	p->next_addr += 16;
	p->counter[STAT_CALLS]++;
	p->counter[STAT_CALL_BYTES] += bytes;
	b.heap.tag = p->tag;
	b.followed = !p->tag || uniform(p) < -expm1(-(double)bytes / p->period);
	if (b.followed)
		assert_int_equal(stream_alloc(&p->stream, b.heap.addr, p->now_ns,
					      SEEP_SIZED(bytes, p->tag), stack),
				 0);
	return b;
}

static void program_free(struct program *p, struct block *b)
{
	p->now_ns++;
	p->counter[b->followed ? STAT_FREES : STAT_FREES_UNKNOWN]++;
	if (b->followed)
		assert_int_equal(stream_free(&p->stream, &b->heap, p->now_ns, 0), 0);
	*b = (struct block){.followed = false};
}

static void program_tick(struct program *p, uint64_t tick)
{
	assert_true(p->now_ns < (tick + 1) * STREAM_S);
	p->now_ns = (tick + 1) * STREAM_S;
	assert_int_equal(stream_counters(&p->stream, STREAM_PROC, p->counter), 0);
	assert_int_equal(stream_mark(&p->stream, RECORD_TICK, 0, p->now_ns), 0);
}

static struct report program_end(struct program *p)
{
	static const struct report_options options = {.top = 0};
	struct report report;
	const struct report_balance *b = &report.balance;

	assert_int_equal(stream_mark(&p->stream, RECORD_END, 0, p->now_ns), 0);
	assert_int_equal(profile_report(p->profile, &options, &report), 0);
	assert_int_equal(b->allocs, b->frees + b->live + b->released + b->lost_allocs);
	assert_int_equal(b->exact_calls, p->counter[STAT_CALLS]);
	assert_int_equal(b->exact_bytes, p->counter[STAT_CALL_BYTES]);
	return report;
}

static const struct report_site *site_of(const struct report *report, const char *function)
{
	for (size_t i = 0; i < report->nr_sites; i++) {
		if (!strcmp(report->site[i].frame[0].function, function))
			return &report->site[i];
	}
	return NULL;
}

static bool holds(struct report_interval ci, double truth)
{
	return (double)ci.low <= truth && truth <= (double)ci.high;
}

/* --- numbers ------------------------------------------------------------------------------------ */

struct truth {
	double live_bytes, live_objects, alloc_bytes;
};

static uint64_t mixed_size(struct program *p)
{
	double size = 64 / pow(1 - uniform(p), 1 / 0.8);

	return size < 1048576 ? (uint64_t)size : 1048576;
}

/* Exact, then sampled, then at four times the period; two thirds are freed again, some after the period has changed. */
static struct truth run_mixed(struct program *p, uint64_t period)
{
	static struct block recent[64];
	struct truth truth = {0, 0, 0};
	struct block b, *old;

	memset(recent, 0, sizeof(recent));
	for (int i = 0; i < 6000; i++) {
		if (i == 600)
			program_sample(p, 1, period);
		if (i == 4000)
			program_sample(p, 2, 4 * period);
		b = program_alloc(p, mixed_size(p), STACK_MIXED);
		truth.alloc_bytes += (double)b.heap.size_bytes;
		truth.live_bytes += (double)b.heap.size_bytes;
		truth.live_objects++;
		old = &recent[i % ARRAY_SIZE(recent)];
		if (old->heap.addr && pick(p) % 3) {
			truth.live_bytes -= (double)old->heap.size_bytes;
			truth.live_objects--;
			program_free(p, old);
		}
		*old = b;
		if (i % 100 == 99)
			program_tick(p, (uint64_t)i / 100);
	}
	return truth;
}

struct score {
	double live, objects, allocated; /* means of estimate / truth */
	unsigned int held_live, held_objects, held_allocated, held_balance;
};

static void score_add(struct score *score, const struct report *report, const struct truth *truth)
{
	const struct report_site *site = site_of(report, "mixed");

	assert_non_null(site);
	score->live += (double)site->live_bytes / truth->live_bytes / SEEDS;
	score->objects += (double)site->live_objects / truth->live_objects / SEEDS;
	score->allocated += (double)site->alloc_bytes / truth->alloc_bytes / SEEDS;
	score->held_live += holds(site->live_ci, truth->live_bytes);
	score->held_objects += holds(site->live_objects_ci, truth->live_objects);
	score->held_allocated += holds(site->alloc_ci, truth->alloc_bytes);
	score->held_balance += holds(report->balance.live_bytes_ci, truth->live_bytes);
	/* the site is all there is: the sums are the same to the last block */
	assert_int_equal(site->live_bytes, report->balance.live_bytes);
	assert_int_equal(site->live_objects, report->balance.live);
	assert_int_equal(site->alloc_objects, report->balance.allocs);
	assert_int_equal(site->alloc_samples, report->balance.samples);
}

static void check_mixed(uint64_t period)
{
	struct score score = {.held_live = 0};
	struct program p;
	struct truth truth;
	struct report report;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		program_start(&p, seed);
		truth = run_mixed(&p, period);
		report = program_end(&p);
		assert_int_equal(report.basis, BASIS_MIXED);
		score_add(&score, &report, &truth);
		report_release(&report);
		profile_free(p.profile);
	}
	print_message("from %llu KiB: live %.4f in %.4f objects, allocated %.4f; "
		      "held %u, %u, %u, of the balance %u\n",
		      (unsigned long long)(period / KIB), score.live, score.objects,
		      score.allocated, score.held_live, score.held_objects, score.held_allocated,
		      score.held_balance);
	assert_true(fabs(score.live - 1) < 0.02);
	assert_true(fabs(score.allocated - 1) < 0.02);
	assert_in_range(score.held_live, 90, 99);
	assert_in_range(score.held_objects, 90, 100);
	assert_in_range(score.held_allocated, 90, 99);
	assert_in_range(score.held_balance, 90, 99);
}

static void test_numbers(void **state)
{
	(void)state;
	check_mixed(2 * KIB);
	check_mixed(16 * KIB);
}

/* --- verdicts ----------------------------------------------------------------------------------- */

#define CACHE_BLOCKS 4000

struct verdicts {
	unsigned int nr[VERDICT_UNKNOWN + 1]; /* of the site that is looked at */
	unsigned int other_leaks;
	unsigned int held_growth;
	unsigned int nr_growth;
};

static void verdicts_add(struct verdicts *v, const struct report *report, const char *function,
			 double growth)
{
	const struct report_site *site = site_of(report, function);

	for (size_t i = 0; i < report->nr_sites; i++)
		v->other_leaks +=
			&report->site[i] != site && report->site[i].verdict == VERDICT_LEAKING;
	if (!site)
		return;
	v->nr[site->verdict]++;
	v->nr_growth++;
	v->held_growth += site->growth_ci[0] <= growth && growth <= site->growth_ci[1];
}

static void verdicts_show(const char *what, const struct verdicts *v)
{
	print_message(
		"%s: LEAKING %u, GROWING %u, SATURATING %u, others %u; growth held %u of %u; "
		"other sites LEAKING %u\n",
		what, v->nr[VERDICT_LEAKING], v->nr[VERDICT_GROWING], v->nr[VERDICT_SATURATING],
		SEEDS - v->nr[VERDICT_LEAKING] - v->nr[VERDICT_GROWING] - v->nr[VERDICT_SATURATING],
		v->held_growth, v->nr_growth, v->other_leaks);
}

/* Each tick: so many blocks leak, and of a cache that is full from the start, so many are replaced. */
struct load {
	unsigned int leak, replace, churn;
	uint64_t leak_bytes, cache_bytes, churn_bytes;
	bool cache_unknown; /* it was filled before the attach */
};

static void run_load(struct program *p, const struct load *load)
{
	static struct block cache[CACHE_BLOCKS];
	struct block b, *old;
	unsigned int i, next = 0;

	for (i = 0; i < CACHE_BLOCKS; i++) {
		cache[i] = (struct block){.heap = {.addr = 1}};
		if (!load->cache_unknown && load->replace)
			cache[i] = program_alloc(p, load->cache_bytes, STACK_CACHE);
	}
	for (uint64_t tick = 0; tick < TICKS; tick++) {
		for (i = 0; i < load->leak; i++)
			(void)program_alloc(p, load->leak_bytes, STACK_LEAK);
		for (i = 0; i < load->replace; i++) {
			/* the oldest: nothing that was seen being allocated is freed until all was replaced */
			old = &cache[next++ % CACHE_BLOCKS];
			program_free(p, old);
			*old = program_alloc(p, load->cache_bytes, STACK_CACHE);
		}
		for (i = 0; i < load->churn; i++) {
			b = program_alloc(p, load->churn_bytes, STACK_CHURN);
			program_free(p, &b);
		}
		program_tick(p, tick);
	}
}

static struct verdicts run_seeds(const char *what, const struct load *load, uint64_t period,
				 const char *function)
{
	struct verdicts verdicts = {.other_leaks = 0};
	struct program p;
	struct report report;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		program_start(&p, seed);
		program_sample(&p, 1, period);
		run_load(&p, load);
		report = program_end(&p);
		verdicts_add(&verdicts, &report, function, (double)(load->leak * load->leak_bytes));
		report_release(&report);
		profile_free(p.profile);
	}
	verdicts_show(what, &verdicts);
	return verdicts;
}

/* 100 samples of a leak beside a cache and a lot of churn: the noise of those must not hide it. */
static void test_leak_is_found(void **state)
{
	struct load load = {.leak = 110,
			    .leak_bytes = 1000,
			    .replace = 200,
			    .cache_bytes = 4000,
			    .churn = 500,
			    .churn_bytes = 16000};
	struct verdicts v = run_seeds("leak of 100 samples", &load, 64 * KIB, "leak");

	(void)state;
	assert_true(v.nr[VERDICT_LEAKING] >= 90);
	assert_true(v.other_leaks <= 2);
	assert_in_range(v.held_growth, 90, 100);
}

static void test_small_leak(void **state)
{
	struct load load = {.leak = 110, .leak_bytes = 400};
	struct verdicts v = run_seeds("leak of 40 samples", &load, 64 * KIB, "leak");

	(void)state;
	assert_true(v.nr[VERDICT_LEAKING] >= 85);
	assert_in_range(v.held_growth, 90, 100);
	load.leak_bytes = 100;
	v = run_seeds("leak of 10 samples", &load, 64 * KIB, "leak");
	assert_in_range(v.held_growth, 90, 100);
}

/* A cache that was full before the attach looks like a leak until its old blocks are gone. */
static void test_full_cache_is_no_leak(void **state)
{
	struct load load = {.replace = 40, .cache_bytes = 4000, .cache_unknown = true};
	struct verdicts v = run_seeds("full cache", &load, 64 * KIB, "cache");

	(void)state;
	assert_true(v.nr[VERDICT_LEAKING] <= 3);
	load.churn = 300;
	load.churn_bytes = 1000;
	v = run_seeds("full cache, churn", &load, 64 * KIB, "cache");
	assert_true(v.nr[VERDICT_LEAKING] <= 3);
	/* a leak beside it is no excuse */
	load.leak = 20;
	load.leak_bytes = 4000;
	v = run_seeds("full cache, leak", &load, 64 * KIB, "cache");
	assert_true(v.nr[VERDICT_LEAKING] <= 3);
}

static void test_steady_cache(void **state)
{
	struct load load = {.replace = 200, .cache_bytes = 4000};
	struct verdicts v = run_seeds("steady cache", &load, 64 * KIB, "cache");

	(void)state;
	assert_true(v.nr[VERDICT_LEAKING] <= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),	     cmocka_unit_test(test_leak_is_found),
		cmocka_unit_test(test_small_leak),   cmocka_unit_test(test_full_cache_is_no_leak),
		cmocka_unit_test(test_steady_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
