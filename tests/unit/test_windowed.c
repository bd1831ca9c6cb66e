/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that are followed in windows, with fixed seeds: an allocator that hands addresses out again or does not, the
 * kernel's block map as bpf/ keeps it, and a profiler that looks for a tenth of the time. Leaks must be found; caches,
 * tables and churn must not be taken for leaks, whatever happened while nobody looked.
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
#define MS 1000000ull
#define MAX_SLOTS (1u << 21)
#define MAX_SITES 8
#define CLASSES 16
#define CALENDAR (1u << 17) /* ms; longer lives do not end */
#define BASE 0x7f0000000000ull

enum life {
	FOREVER, /* a leak, or with an end of its allocations a table */
	FIXED,	 /* as a queue, or a full cache: the oldest goes */
	RANDOM,	 /* exponential */
	BATCH,	 /* all of them at once, now and then */
	MIXED,	 /* exponential, but for every second one, which stays */
};

struct site_spec {
	const char *name; /* of its function */
	enum life life;
	double per_s;
	uint64_t bytes;
	uint32_t life_ms;
	uint32_t until_ms; /* it allocates no more; 0: it goes on */
	bool no_reuse;	   /* its addresses are not handed out again */
};

struct slot {
	uint64_t bytes, birth_ns;
	uint32_t site, next; /* next: free, or to die at the same time; number + 1 */
	uint16_t tag;
	bool in_map;
};

struct world {
	struct profile *profile;
	struct stream stream;
	uint64_t random;
	const struct site_spec *spec;
	unsigned int nr_specs;
	double period; /* of samples; 0: each is followed */
	uint32_t now_ms, start_ms;
	uint64_t now_ns, watched_since; /* from the start */
	bool watching;
	uint64_t counter[STAT_NR];
	uint32_t nr_slots, free_list[CLASSES];
};

static struct slot slot[MAX_SLOTS];
static uint32_t calendar[CALENDAR];

static double uniform(struct world *w)
{
	return (double)(hash_u64(++w->random) >> 11) * 0x1p-53;
}

static unsigned int class_of(uint64_t bytes)
{
	unsigned int class = 0;

	while (bytes >>= 1)
		class ++;
	return class % CLASSES;
}

/* --- the kernel --- */

static void tell_free(struct world *w, uint32_t number, uint16_t flags)
{
	struct slot *s = &slot[number];
	struct heap_block block =
		stream_block(BASE + 64ull * number, s->birth_ns, s->bytes, s->site + 1);

	block.tag = s->tag;
	s->in_map = false;
	assert_int_equal(stream_free(&w->stream, &block, w->now_ns, flags), 0);
}

static bool is_unwatched(const struct world *w, const struct slot *s)
{
	return s->birth_ns < w->watched_since;
}

static void see_alloc(struct world *w, uint32_t number, const struct slot *as)
{
	struct slot *s = &slot[number];

	w->counter[STAT_CALLS]++;
	w->counter[STAT_CALL_BYTES] += as->bytes;
	if (w->period > 0 && uniform(w) >= -expm1(-(double)as->bytes / w->period))
		return;
	if (s->in_map)
		tell_free(w, number, is_unwatched(w, s) ? FREE_UNWATCHED : FREE_REPLACED);
	*s = *as;
	s->in_map = true;
	s->birth_ns = w->now_ns;
	s->tag = w->period > 0;
	assert_int_equal(stream_alloc(&w->stream, BASE + 64ull * number, w->now_ns,
				      SEEP_SIZED(s->bytes, s->tag), s->site + 1),
			 0);
}

static void see_free(struct world *w, uint32_t number)
{
	bool unwatched = is_unwatched(w, &slot[number]);

	if (!slot[number].in_map || unwatched)
		w->counter[STAT_FREES_UNKNOWN]++;
	else
		w->counter[STAT_FREES]++;
	if (slot[number].in_map)
		tell_free(w, number, unwatched ? FREE_UNWATCHED : 0);
}

/* --- the program --- */

/* What the map has at an address, and what lives there, are not always the same. */
static struct slot living[MAX_SLOTS];

static void allocate(struct world *w, uint32_t site)
{
	const struct site_spec *spec = &w->spec[site];
	uint32_t *free_list = &w->free_list[class_of(spec->bytes)], number, dies_ms = CALENDAR;

	if (*free_list) {
		number = *free_list - 1;
		*free_list = living[number].next;
	} else {
		assert_true(w->nr_slots < MAX_SLOTS);
		number = w->nr_slots++;
		slot[number].in_map = false;
	}
	living[number] = (struct slot){.bytes = spec->bytes, .site = site};
	w->now_ns++;
	if (w->watching)
		see_alloc(w, number, &living[number]);
	if (spec->life == FIXED)
		dies_ms = spec->life_ms;
	else if (spec->life == BATCH)
		dies_ms = spec->life_ms - w->now_ms % spec->life_ms;
	else if (spec->life == RANDOM || (spec->life == MIXED && uniform(w) < 0.5))
		dies_ms = (uint32_t)fmin(-log(1 - uniform(w)) * spec->life_ms, CALENDAR - 1);
	if (dies_ms >= CALENDAR)
		return;
	dies_ms = (w->now_ms + 1 + dies_ms) % CALENDAR;
	living[number].next = calendar[dies_ms];
	calendar[dies_ms] = number + 1;
}

static void release(struct world *w, uint32_t number)
{
	uint32_t *free_list = &w->free_list[class_of(living[number].bytes)];

	w->now_ns++;
	if (w->watching)
		see_free(w, number);
	if (w->spec[living[number].site].no_reuse)
		return;
	living[number].next = *free_list;
	*free_list = number + 1;
}

static void millisecond(struct world *w)
{
	uint32_t *due = &calendar[w->now_ms % CALENDAR], number, i;
	const struct site_spec *spec;
	double expected;

	while (*due) {
		number = *due - 1;
		*due = living[number].next;
		release(w, number);
	}
	for (i = 0; i < w->nr_specs; i++) {
		spec = &w->spec[i];
		if (spec->until_ms && w->now_ms >= w->start_ms + spec->until_ms)
			continue;
		for (expected = spec->per_s / 1000; expected > 0; expected--) {
			if (uniform(w) < expected)
				allocate(w, i);
		}
	}
	w->now_ms++;
	w->now_ns = w->now_ms > w->start_ms ? (w->now_ms - w->start_ms) * MS : 0;
}

/* --- the profiler --- */

static void watch(struct world *w)
{
	struct record_step step = {.mode = STEP_WINDOWS,
				   .why = STEP_OVER_TARGET,
				   .period_bytes = w->period > 0 ? (uint64_t)w->period : 1,
				   .duty_permille = 100};

	w->watching = true;
	w->watched_since = ++w->now_ns;
	assert_int_equal(stream_step(&w->stream, &step, w->now_ns), 0);
}

static void unwatch(struct world *w)
{
	w->watching = false;
	assert_int_equal(stream_counters(&w->stream, STREAM_PROC, w->counter), 0);
	assert_int_equal(stream_mark(&w->stream, RECORD_UNWATCHED, 0, ++w->now_ns), 0);
}

static void pass(struct world *w, uint32_t ms)
{
	while (ms--) {
		millisecond(w);
		if (w->now_ms % 200)
			continue;
		assert_int_equal(stream_counters(&w->stream, STREAM_PROC, w->counter), 0);
		assert_int_equal(stream_mark(&w->stream, RECORD_TICK, 0, w->now_ns), 0);
	}
}

static void begin(struct world *w, uint64_t seed, const struct site_spec *spec, unsigned int nr,
		  uint32_t warm_ms)
{
	char names[64];
	uint32_t i;

	w->random = seed << 40;
	w->spec = spec;
	w->nr_specs = nr;
	memset(calendar, 0, sizeof(calendar));
	while (w->now_ms < warm_ms)
		millisecond(w);
	w->start_ms = w->now_ms;
	w->now_ns = 0;
	w->profile = profile_new();
	assert_non_null(w->profile);
	w->stream = stream_to(w->profile);
	assert_int_equal(stream_run(&w->stream, RUN_LEAKS), 0);
	assert_int_equal(stream_target(&w->stream, STREAM_PROC, STREAM_TGID, "server"), 0);
	for (i = 0; i < nr; i++) {
		(void)snprintf(names, sizeof(names), "%s main", spec[i].name);
		assert_int_equal(stream_named_stack(&w->stream, i + 1, names), 0);
	}
	if (w->period > 0)
		assert_int_equal(stream_sampling(&w->stream, 1, (uint64_t)w->period), 0);
}

/* In windows of some 100 ms, each second or so. */
struct load {
	const char *what, *function; /* that is looked at */
	const struct site_spec *spec;
	unsigned int nr;
	uint32_t warm_ms, run_ms;
	double period;
	enum report_by by;
	uint32_t exact_ms, exact_after_ms; /* followed in full before and after */
};

static struct report follow(struct world *w, const struct load *load)
{
	const struct report_options options = {.by = load->by};
	const struct report_balance *b;
	struct report report;

	if (load->exact_ms) {
		w->watching = true;
		pass(w, load->exact_ms);
		unwatch(w);
	} else {
		assert_int_equal(stream_mark(&w->stream, RECORD_UNWATCHED, 0, 0), 0);
	}
	while (w->now_ms < w->start_ms + load->exact_ms + load->run_ms) {
		pass(w, 500 + (uint32_t)(uniform(w) * 1000));
		watch(w);
		pass(w, 50 + (uint32_t)(uniform(w) * 100));
		unwatch(w);
	}
	pass(w, 300);
	if (load->exact_after_ms) {
		watch(w);
		pass(w, load->exact_after_ms);
		unwatch(w);
	}
	assert_int_equal(stream_mark(&w->stream, RECORD_END, 0, w->now_ns), 0);
	assert_int_equal(profile_report(w->profile, &options, &report), 0);
	b = &report.balance;
	assert_int_equal(b->allocs, b->frees + b->live + b->released + b->lost_allocs);
	assert_int_equal(b->live, 0);
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

/* --- verdicts --- */

struct tally {
	unsigned int nr[VERDICT_UNKNOWN + 1]; /* of the site that is looked at */
	unsigned int other_leaks;
	char evidence[160]; /* of the first */
};

static void tally_add(struct tally *t, const struct report *report, const char *function)
{
	const struct report_site *site = site_of(report, function);

	for (size_t i = 0; i < report->nr_sites; i++) {
		t->other_leaks +=
			&report->site[i] != site && report->site[i].verdict == VERDICT_LEAKING;
	}
	if (!site)
		return;
	t->nr[site->verdict]++;
	if (!t->evidence[0])
		(void)snprintf(t->evidence, sizeof(t->evidence), "%s", site->evidence);
}

static void tally_show(const char *what, const struct tally *t)
{
	print_message("%s: LEAKING %u, GROWING %u, SATURATING %u, STARTUP %u, CHURN %u, HELD %u, "
		      "? %u; others LEAKING %u; first: %s\n",
		      what, t->nr[VERDICT_LEAKING], t->nr[VERDICT_GROWING],
		      t->nr[VERDICT_SATURATING], t->nr[VERDICT_STARTUP], t->nr[VERDICT_CHURN],
		      t->nr[VERDICT_HELD], t->nr[VERDICT_UNKNOWN], t->other_leaks, t->evidence);
}

static struct tally run_seeds(const struct load *load, unsigned int seeds)
{
	struct tally tally = {.other_leaks = 0};
	struct report report;

	for (uint64_t seed = 1; seed <= seeds; seed++) {
		struct world w = {.period = load->period};

		begin(&w, seed, load->spec, load->nr, load->warm_ms);
		report = follow(&w, load);
		tally_add(&tally, &report, load->function);
		report_release(&report);
		profile_free(w.profile);
	}
	tally_show(load->what, &tally);
	return tally;
}

static const struct site_spec churn = {
	.name = "churn", .life = RANDOM, .per_s = 1000, .bytes = 100, .life_ms = 5};
static const struct site_spec cache = {
	.name = "cache", .life = FIXED, .per_s = 300, .bytes = 600, .life_ms = 2000};
static const struct site_spec leak = {.name = "leak", .life = FOREVER, .per_s = 100, .bytes = 500};

static void test_leak_is_found(void **state)
{
	const struct site_spec spec[] = {leak, churn, cache};
	struct load load = {"leak", "leak", spec, ARRAY_SIZE(spec), 3000, 60000, 0};
	struct tally t = run_seeds(&load, SEEDS);

	(void)state;
	assert_true(t.nr[VERDICT_LEAKING] >= 95);
	assert_int_equal(t.other_leaks, 0);
	load.what = "leak, by comm";
	load.by = BY_COMM;
	t = run_seeds(&load, SEEDS / 10);
	assert_int_equal(t.nr[VERDICT_LEAKING], SEEDS / 10);
	load.what = "leak, sampled";
	load.by = BY_PROCESS;
	load.period = 2048;
	t = run_seeds(&load, SEEDS);
	assert_true(t.nr[VERDICT_LEAKING] + t.nr[VERDICT_GROWING] >= 95);
	assert_int_equal(t.other_leaks, 0);
}

/* In full at first, or in the end: whatever was watched for longer is what counts. */
static void test_exact_and_windows(void **state)
{
	const struct site_spec spec[] = {leak, churn, cache};
	struct load load = {"first exact", "leak", spec, ARRAY_SIZE(spec), 3000, 60000, 0};
	struct tally t;

	(void)state;
	load.exact_ms = 7000;
	t = run_seeds(&load, SEEDS / 10);
	assert_int_equal(t.nr[VERDICT_LEAKING] + t.nr[VERDICT_GROWING], SEEDS / 10);
	assert_int_equal(t.other_leaks, 0);
	load.what = "exact again";
	load.exact_after_ms = 30000;
	t = run_seeds(&load, SEEDS / 10);
	assert_int_equal(t.nr[VERDICT_LEAKING], SEEDS / 10);
	assert_int_equal(t.other_leaks, 0);
	load.what = "exact again for a moment";
	load.exact_after_ms = 2000;
	t = run_seeds(&load, SEEDS / 10);
	assert_int_equal(t.nr[VERDICT_LEAKING] + t.nr[VERDICT_GROWING], SEEDS / 10);
	assert_int_equal(t.other_leaks, 0);
}

/* Of a place that frees some of what it allocates, soon or late, the rest is a leak all the same. */
static void test_leak_in_part(void **state)
{
	static const uint32_t lives_ms[] = {1, 10, 100, 1000};
	struct site_spec spec[] = {leak, churn, cache};
	struct load load = {"leak in part", "leak", spec, ARRAY_SIZE(spec), 3000, 60000, 0};
	struct tally t;

	(void)state;
	spec[0].life = MIXED;
	for (unsigned int i = 0; i < ARRAY_SIZE(lives_ms); i++) {
		spec[0].life_ms = lives_ms[i];
		t = run_seeds(&load, SEEDS / 10);
		assert_true(t.nr[VERDICT_LEAKING] + t.nr[VERDICT_GROWING] >= SEEDS / 10 - 1);
		assert_int_equal(t.other_leaks, 0);
	}
}

/* Whose blocks live from a moment to longer than the run, in windows and across them. */
static void test_full_caches(void **state)
{
	static const uint32_t lives_ms[] = {30, 300, 1000, 3000, 30000, 100000};
	struct site_spec spec[] = {cache, churn};
	struct load load = {"", "cache", spec, ARRAY_SIZE(spec), 0, 60000, 0};
	struct tally t;
	char what[64];

	(void)state;
	load.what = what;
	for (unsigned int i = 0; i < 4 * ARRAY_SIZE(lives_ms); i++) {
		spec[0].life_ms = lives_ms[i / 4];
		spec[0].no_reuse = i & 1;
		load.period = i & 2 ? 2048 : 0;
		load.warm_ms = lives_ms[i / 4] + 1000;
		(void)snprintf(what, sizeof(what), "cache of %u ms%s%s", spec[0].life_ms,
			       i & 1 ? ", no reuse" : "", i & 2 ? ", sampled" : "");
		t = run_seeds(&load, SEEDS / 10);
		assert_int_equal(t.nr[VERDICT_LEAKING], 0);
		assert_int_equal(t.other_leaks, 0);
	}
}

/* The same beside a leak, which makes the process grow. */
static void test_full_caches_beside_a_leak(void **state)
{
	static const uint32_t lives_ms[] = {30, 300, 3000, 30000, 100000};
	struct site_spec spec[] = {cache, churn, leak};
	struct load load = {"", "cache", spec, ARRAY_SIZE(spec), 0, 60000, 0};
	struct tally t;
	char what[64];

	(void)state;
	load.what = what;
	for (unsigned int i = 0; i < 4 * ARRAY_SIZE(lives_ms); i++) {
		spec[0].life_ms = lives_ms[i / 4];
		spec[0].no_reuse = i & 1;
		load.period = i & 2 ? 2048 : 0;
		load.warm_ms = lives_ms[i / 4] + 1000;
		(void)snprintf(what, sizeof(what), "beside a leak, cache of %u ms%s%s",
			       spec[0].life_ms, i & 1 ? ", no reuse" : "",
			       i & 2 ? ", sampled" : "");
		t = run_seeds(&load, SEEDS / 10);
		assert_int_equal(t.nr[VERDICT_LEAKING], 0);
	}
}

/* Whose blocks are freed together, in a moment that nobody may see. */
static void test_batches(void **state)
{
	static const uint32_t lives_ms[] = {100, 700, 1700, 15000};
	struct site_spec spec[] = {cache, churn, leak};
	struct load load = {"", "batch", spec, ARRAY_SIZE(spec), 0, 60000, 0};
	struct tally t;
	char what[64];

	(void)state;
	load.what = what;
	spec[0].name = "batch";
	spec[0].life = BATCH;
	for (unsigned int i = 0; i < 4 * ARRAY_SIZE(lives_ms); i++) {
		spec[0].life_ms = lives_ms[i / 4];
		load.nr = i & 1 ? 3 : 2;
		load.period = i & 2 ? 2048 : 0;
		load.warm_ms = 3000;
		(void)snprintf(what, sizeof(what), "batch of %u ms%s%s", spec[0].life_ms,
			       i & 1 ? ", leak" : "", i & 2 ? ", sampled" : "");
		t = run_seeds(&load, SEEDS / 10);
		assert_int_equal(t.nr[VERDICT_LEAKING], 0);
	}
}

/* --- others --- */

/* What nobody is seen to free could be freed unseen: without others to compare with it is not called a leak. */
static void test_leak_alone(void **state)
{
	struct load load = {"leak alone", "leak", &leak, 1, 0, 30000, 0};
	struct tally t = run_seeds(&load, SEEDS / 10);

	(void)state;
	assert_int_equal(t.nr[VERDICT_GROWING], SEEDS / 10);
}

/* A table made while somebody looked, for a third of a minute or for a moment. */
static void test_table(void **state)
{
	struct site_spec spec[] = {leak, churn};
	struct load load = {"table", "table", spec, ARRAY_SIZE(spec), 0, 60000, 0};
	struct tally t;

	(void)state;
	spec[0].name = "table";
	spec[0].per_s = 1000;
	for (unsigned int i = 0; i < 3; i++) {
		spec[0].until_ms = 2000u << (2 * i);
		t = run_seeds(&load, SEEDS / 5);
		assert_int_equal(t.nr[VERDICT_LEAKING], 0);
		assert_true(i == 2 || t.nr[VERDICT_GROWING] == 0);
	}
}

/* Anything but a leak, as it comes; all of them have their full size when the run begins. */
static void random_site(struct world *w, struct site_spec *spec)
{
	*spec = (struct site_spec){
		.life = uniform(w) < 0.5 ? FIXED : RANDOM,
		.per_s = exp(log(10) + uniform(w) * log(200)),
		.bytes = (uint64_t)exp(log(16) + uniform(w) * log(4096)),
		.life_ms = (uint32_t)exp(uniform(w) * log(40000)),
		.no_reuse = uniform(w) < 0.3,
	};
}

static void run_random(bool with_leak, double period, unsigned int leaks_to_find)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
	struct site_spec spec[MAX_SITES];
	const struct load load = {.run_ms = 45000};
	struct tally tally = {.other_leaks = 0};
	struct report report;
	unsigned int i;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world w = {.period = period, .random = seed << 20};
		unsigned int nr = 2 + (unsigned int)(uniform(&w) * 5);

		for (i = 0; i < nr; i++) {
			random_site(&w, &spec[i]);
			spec[i].name = names[i];
		}
		spec[nr] = leak;
		begin(&w, seed, spec, nr + with_leak, 160000);
		report = follow(&w, &load);
		tally_add(&tally, &report, "leak");
		report_release(&report);
		profile_free(w.profile);
	}
	tally_show(with_leak ? "random, with a leak" : "random", &tally);
	assert_int_equal(tally.other_leaks, 0);
	assert_true(tally.nr[VERDICT_LEAKING] + tally.nr[VERDICT_GROWING] >= leaks_to_find);
}

static void test_random_programs(void **state)
{
	(void)state;
	run_random(false, 0, 0);
	run_random(false, 1024, 0);
	run_random(true, 0, 95);
	run_random(true, 1024, 90);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leak_is_found),
		cmocka_unit_test(test_exact_and_windows),
		cmocka_unit_test(test_leak_in_part),
		cmocka_unit_test(test_full_caches),
		cmocka_unit_test(test_full_caches_beside_a_leak),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_leak_alone),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_random_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
