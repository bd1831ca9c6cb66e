/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The governor against programs that are simulated: so many pairs of malloc and free a second are wanted by so many
 * threads, and the probes that are in make each of them dearer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "governor.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)
#define TICK (100 * MS)
#define DETACH MS
#define GONE (80 * MS) /* when that is known, and no probe is there any more */

/* What a guest of this kind pays: session links, and our programs. */
static const struct governor_options usual = {
	.max_overhead = 0.05,
	.sample_bytes = 1,
	.has_windows = true,
	.has_faults = true,
	.cost_ns = {1900, 700, 800, 300, 650, 1500, 9000, 1000},
};

struct load {
	double pairs;	 /* wanted a second */
	double pair_ns;	 /* that each takes without us */
	double other;	 /* CPUs used beside */
	double threads;	 /* that make pairs: no more than so many CPUs */
	double bytes;	 /* of a pair */
	double mappings; /* a second, in the time beside */
};

struct world {
	struct governor governor;
	struct governor_step step;
	struct load (*program)(uint64_t time_ns);
	uint64_t time_ns;
	uint64_t leaving_ns; /* how long probes that were told to go still act */
	double spent_ns, cpu_ns;
	double paid_ns; /* what the share is of: cpu_ns, a fifth of a CPU at least */
	double own_memory, own_cpu_of_call_ns, own_ns;
	unsigned int nr_steps, nr_windows, nr_counts;
	uint64_t in_mode_ns[STEP_DETACHED + 1];
	uint64_t open_ns; /* in windows */
	uint64_t first_step_ns;
};

static uint64_t seed;

/* From -1 to 1. */
static double noise(void)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(seed >> 33) / (double)(UINT64_C(1) << 30) - 1;
}

/* Pairs made in a time of dt, each dearer by `dearer`. */
static double pairs_made(const struct load *load, double dearer, double dt)
{
	double most = load->threads * dt / (load->pair_ns + dearer);
	double wanted = load->pairs * dt / (double)S;

	return wanted < most ? wanted : most;
}

static double followed_share(const struct world *w, const struct load *load)
{
	double share = load->bytes / (double)w->step.period_bytes;

	return w->step.mode == STEP_EXACT || share > 1 ? 1 : share;
}

static void run_part(struct world *w, const struct load *load, bool in, uint64_t part_ns,
		     struct governor_input *input)
{
	const double *cost = w->governor.options.cost_ns;
	double share = followed_share(w, load), pairs, dearer = 0, dt = (double)part_ns;
	double mappings = in ? load->mappings * dt / (double)S : 0,
	       mapped_ns = mappings * cost[GOVERNOR_MAPPING];

	if (in)
		dearer = share * cost[GOVERNOR_FOLLOWED] + (1 - share) * cost[GOVERNOR_SKIPPED] +
			 cost[GOVERNOR_FREE];
	pairs = pairs_made(load, dearer, dt);
	input->cpu_ns +=
		(uint64_t)(pairs * (load->pair_ns + dearer) + load->other * dt + mapped_ns);
	w->spent_ns += pairs * dearer + mapped_ns;
	w->cpu_ns += pairs * (load->pair_ns + dearer) + load->other * dt + mapped_ns;
	if (!in)
		return;
	input->attached_ns += part_ns;
	input->hits[GOVERNOR_FOLLOWED] += (uint64_t)(pairs * share);
	input->hits[GOVERNOR_SKIPPED] += (uint64_t)(pairs * (1 - share));
	input->hits[GOVERNOR_FREE] += (uint64_t)pairs;
	input->hits[GOVERNOR_MAPPING] += (uint64_t)mappings;
	input->call_bytes += (uint64_t)(pairs * load->bytes);
	input->own_cpu_ns += (uint64_t)(pairs * share * w->own_cpu_of_call_ns);
	w->own_ns += pairs * share * w->own_cpu_of_call_ns;
}

static struct governor_count count_calls(const struct world *w, const struct load *load)
{
	struct governor_count count = {.counted_ns = 20 * MS};
	double pairs = pairs_made(load, 1400, 20.0 * MS);

	(void)w;
	count.calls = count.frees = (uint64_t)pairs;
	count.call_bytes = (uint64_t)(pairs * load->bytes);
	count.spent_ns = (uint64_t)(pairs * 1400);
	count.cpu_ns = (uint64_t)(pairs * (1400 + load->pair_ns) + load->other * 20.0 * MS);
	return count;
}

static void take_action(struct world *w, enum governor_action action, const struct load *load,
			bool was_in)
{
	struct governor_count count;

	if (action == GOVERNOR_COUNT) {
		w->nr_counts++;
		count = count_calls(w, load);
		w->spent_ns += (double)count.spent_ns;
		w->cpu_ns += (double)count.cpu_ns;
		action = governor_counted(&w->governor, &count, &w->step);
	}
	if (action == GOVERNOR_STEP) {
		w->nr_steps++;
		if (!w->first_step_ns)
			w->first_step_ns = w->time_ns;
	}
	w->nr_windows += action == GOVERNOR_WINDOW;
	if (was_in && !w->step.attached)
		w->leaving_ns = DETACH;
	if (w->step.attached)
		w->leaving_ns = 0;
}

static void tick(struct world *w)
{
	struct load load = w->program(w->time_ns);
	struct governor_input input = {.own_memory_bytes = (uint64_t)w->own_memory};
	bool in = w->step.attached;

	w->in_mode_ns[w->step.mode] += TICK;
	if (in && w->step.mode == STEP_WINDOWS)
		w->open_ns += TICK;
	if (in) {
		run_part(w, &load, true, TICK, &input);
	} else {
		run_part(w, &load, true, w->leaving_ns, &input);
		run_part(w, &load, false, TICK - w->leaving_ns, &input);
		if (w->leaving_ns)
			input.attached_ns = GONE;
		w->leaving_ns = 0;
	}
	w->paid_ns += (double)(input.cpu_ns > TICK / 5 ? input.cpu_ns : TICK / 5);
	w->time_ns += TICK;
	input.time_ns = w->time_ns;
	take_action(w, governor_tick(&w->governor, &input, &w->step), &load, in);
}

static void start(struct world *w, const struct governor_options *options,
		  struct load (*program)(uint64_t time_ns))
{
	memset(w, 0, sizeof(*w));
	seed = 17;
	w->program = program;
	w->time_ns = S;
	governor_init(&w->governor, options);
	governor_start(&w->governor, w->time_ns, NULL, &w->step);
	assert_int_equal(w->step.why, STEP_START);
}

static void run(struct world *w, uint64_t ns)
{
	uint64_t end_ns = w->time_ns + ns;

	while (w->time_ns < end_ns)
		tick(w);
}

static double share(const struct world *w)
{
	return w->spent_ns / w->paid_ns;
}

/* What the governor has booked is what was spent. */
static void assert_books(const struct world *w)
{
	assert_true(w->governor.spent_ns > 0.999 * w->spent_ns - 1e6);
	assert_true(w->governor.spent_ns < 1.001 * w->spent_ns + 1e6);
	assert_true(w->governor.total_cpu_ns > 0.99 * w->cpu_ns);
	assert_int_equal(w->governor.steps, w->nr_steps);
}

static struct load quiet(uint64_t time_ns)
{
	(void)time_ns;
	return (struct load){1000, 50, 0.01, 1, 100};
}

static struct load busy(uint64_t time_ns)
{
	(void)time_ns;
	return (struct load){2e6, 50, 0.9, 1, 100};
}

/* It begins at the end of an interval. */
static struct load late_burst(uint64_t time_ns)
{
	struct load load = busy(time_ns);

	if (time_ns < 6 * S)
		return quiet(time_ns);
	if (time_ns < 6 * S + TICK)
		load.pairs /= 8;
	return load;
}

/* Busy at first, then next to idle, but for a moment. */
static struct load burst_in_quiet(uint64_t time_ns)
{
	bool is_busy = time_ns < 5 * S || (time_ns >= 20 * S && time_ns < 20 * S + 3 * TICK);

	return is_busy ? busy(time_ns) : (struct load){100, 50, 0.002, 1, 100};
}

/* The same without any other work: probes make the most of it. */
static struct load idle_but_busy(uint64_t time_ns)
{
	(void)time_ns;
	return (struct load){2e6, 50, 0, 1, 100};
}

/* 6.9 % if exact, 4.0 % if sampled: in the middle of its thread's work. */
static struct load middling(uint64_t time_ns)
{
	(void)time_ns;
	return (struct load){27000, 50, 0.94, 1, 100};
}

static struct load to_and_fro(uint64_t time_ns, uint64_t period_ns)
{
	return time_ns / period_ns % 2 ? quiet(time_ns) : busy(time_ns);
}

static struct load in_tens(uint64_t time_ns)
{
	return to_and_fro(time_ns, 10 * S);
}

static struct load in_halves(uint64_t time_ns)
{
	return to_and_fro(time_ns, S / 2);
}

static struct load one_burst(uint64_t time_ns)
{
	return time_ns > 20 * S && time_ns <= 25 * S ? busy(time_ns) : quiet(time_ns);
}

/* From 1 k to 1 M in 100 s, and back; and then for 20 s no more than that. */
static struct load ramp(uint64_t time_ns)
{
	double at = (double)(time_ns % (220 * S)) / (double)(100 * S);

	at = at > 2 ? 0 : at > 1 ? 2 - at : at;
	return (struct load){1000 + 1e6 * at, 200, 0.5, 1, 100};
}

/* 4.3 % if exact, on average; from 0 to 8.6. */
static struct load noisy(uint64_t time_ns)
{
	(void)time_ns;
	return (struct load){16000 * (1 + noise()), 50, 0.9, 1, 100};
}

static struct load four_threads(uint64_t time_ns)
{
	(void)time_ns;
	return (struct load){8e6, 100, 0.3, 4, 1000};
}

static struct load maps_much(uint64_t time_ns)
{
	(void)time_ns;
	return (struct load){1000, 50, 0.7, 1, 100, 20000};
}

static void test_cheap_stays_exact(void **state)
{
	struct world w;

	(void)state;
	start(&w, &usual, quiet);
	run(&w, 60 * S);
	assert_int_equal(w.step.mode, STEP_EXACT);
	assert_int_equal(w.nr_steps, 0);
	assert_books(&w);
}

static void test_busy_ends_in_windows(void **state)
{
	struct world w;

	(void)state;
	start(&w, &usual, busy);
	tick(&w);
	/* the first interval is enough */
	assert_int_equal(w.step.mode, STEP_WINDOWS);
	assert_int_equal(w.step.why, STEP_OVER_TARGET);
	assert_false(w.step.attached);
	assert_int_equal(w.step.period_bytes, 2 << 10);
	assert_in_range(w.step.overhead_ppm, 400000, 600000);
	run(&w, 120 * S);
	assert_true(share(&w) <= 0.05);
	assert_true(share(&w) >= 0.03); /* and what is allowed is made use of */
	assert_int_equal(w.step.mode, STEP_WINDOWS);
	assert_in_range(w.step.duty_permille, 45, 60);
	assert_in_range(w.nr_steps, 1, 3);
	assert_in_range(w.open_ns, 3 * S, 6 * S);
	assert_books(&w);
}

static void test_little_work(void **state)
{
	struct world w;

	(void)state;
	start(&w, &usual, idle_but_busy);
	run(&w, 300 * S);
	assert_true(share(&w) <= 0.05);
	assert_int_equal(w.step.mode, STEP_WINDOWS);
	assert_in_range(w.step.duty_permille, 3, 6);
	assert_in_range(w.nr_steps, 1, 3);
	assert_books(&w);
}

static void test_short_run_of_a_busy_one(void **state)
{
	struct world w;

	(void)state;
	start(&w, &usual, busy);
	run(&w, 5 * S);
	assert_true(share(&w) <= 0.05);
}

static void test_middling_is_sampled(void **state)
{
	struct world w;

	(void)state;
	start(&w, &usual, middling);
	run(&w, 120 * S);
	assert_int_equal(w.step.mode, STEP_SAMPLED);
	assert_int_equal(w.step.period_bytes, 64 << 10);
	assert_in_range(w.nr_steps, 1, 3);
	assert_true(share(&w) <= 0.05);
	assert_books(&w);
}

static void test_one_burst(void **state)
{
	struct world w;

	(void)state;
	start(&w, &usual, one_burst);
	run(&w, 19 * S);
	assert_int_equal(w.step.mode, STEP_EXACT);
	assert_int_equal(w.nr_steps, 0);
	run(&w, 5 * S);
	assert_in_range(w.first_step_ns, 20 * S, 20 * S + 2 * TICK);
	assert_true(share(&w) <= 0.051);
	run(&w, 26 * S);
	assert_int_equal(w.step.mode, STEP_EXACT);
	assert_int_equal(w.step.why, STEP_ROOM);
	assert_in_range(w.nr_steps, 2, 4);
	assert_true(share(&w) <= 0.05);
	assert_books(&w);
}

static void test_to_and_fro_in_tens(void **state)
{
	struct world w;

	(void)state;
	start(&w, &usual, in_tens);
	run(&w, 200 * S);
	assert_true(share(&w) <= 0.05);
	/* also of what it really uses, which is little in the quiet times */
	assert_true(w.spent_ns <= 0.05 * w.cpu_ns);
	/* ten times down and up */
	assert_in_range(w.nr_steps, 10, 40);
	assert_true(w.in_mode_ns[STEP_EXACT] >= 50 * S);
	assert_books(&w);
}

static void test_to_and_fro_in_halves(void **state)
{
	struct world w;
	unsigned int first;

	(void)state;
	start(&w, &usual, in_halves);
	run(&w, 100 * S);
	first = w.nr_steps;
	assert_in_range(first, 1, 20);
	run(&w, 300 * S);
	/* less and less often */
	assert_in_range(w.nr_steps - first, 0, 20);
	assert_true(share(&w) <= 0.05);
	assert_books(&w);
}

static void test_ramp(void **state)
{
	struct world w;

	(void)state;
	start(&w, &usual, ramp);
	run(&w, 439 * S);
	assert_true(share(&w) <= 0.05);
	assert_in_range(w.nr_steps, 4, 30);
	assert_int_equal(w.step.mode, STEP_EXACT);
	assert_true(w.in_mode_ns[STEP_WINDOWS] > 100 * S);
	assert_books(&w);
}

static void test_noise(void **state)
{
	struct world w;

	(void)state;
	start(&w, &usual, noisy);
	run(&w, 300 * S);
	assert_true(share(&w) <= 0.05);
	assert_in_range(w.nr_steps, 0, 8);
	assert_books(&w);
}

static void test_threads(void **state)
{
	struct world w;

	(void)state;
	start(&w, &usual, four_threads);
	run(&w, 60 * S);
	assert_true(share(&w) <= 0.05);
	assert_true(share(&w) >= 0.02);
	assert_int_equal(w.step.mode, STEP_WINDOWS);
	assert_books(&w);
}

/* Of a burst that is noticed at once little is known: the first window waits all the same until it can be paid for. */
static void test_burst_noticed_at_once(void **state)
{
	struct world w;

	(void)state;
	start(&w, &usual, late_burst);
	run(&w, 5 * S + TICK);
	assert_int_equal(w.step.mode, STEP_WINDOWS);
	while (!w.step.attached)
		tick(&w);
	while (w.step.attached)
		tick(&w);
	assert_true(w.spent_ns <= 0.055 * w.paid_ns);
	run(&w, 30 * S);
	assert_true(w.spent_ns <= 0.05 * w.paid_ns);
	assert_true(w.spent_ns >= 0.035 * w.paid_ns);
}

/* A burst of a quiet program, in a window that was open for long as it cost nothing, is soon forgotten. */
static void test_burst_in_a_long_window(void **state)
{
	struct world w;

	(void)state;
	start(&w, &usual, burst_in_quiet);
	w.governor.hold_ns = 300 * S;
	run(&w, 10 * S);
	assert_int_equal(w.step.mode, STEP_WINDOWS);
	while (!w.step.attached || w.time_ns < 15 * S)
		tick(&w);
	run(&w, 20 * S - w.time_ns);
	assert_true(w.step.attached);
	w.open_ns = 0;
	run(&w, 15 * S); /* with the burst in it */
	assert_true(w.open_ns > 7 * S);
	assert_true(share(&w) <= 0.05);
}

/* An interval without probes, but with something that was unmapped, tells nothing of a rung. */
static void test_nothing_learned_in_a_pause(void **state)
{
	struct governor_options options = usual;
	struct governor_input input = {.cpu_ns = 25 * MS};
	struct world w;

	(void)state;
	options.max_overhead = 0.001;
	start(&w, &options, middling);
	run(&w, 30 * S);
	assert_int_equal(w.step.mode, STEP_WINDOWS);
	while (w.step.attached)
		tick(&w);
	tick(&w);
	assert_false(w.step.attached);
	input.hits[GOVERNOR_UNMAPPING] = 1;
	input.time_ns = w.time_ns += 25 * MS;
	assert_int_equal(governor_tick(&w.governor, &input, &w.step), GOVERNOR_STAY);
	assert_int_equal(w.step.mode, STEP_WINDOWS);
}

/* Following page faults costs seep more than it costs those who make them. */
static void test_own_cpu_of_faults(void **state)
{
	struct governor_options options = usual;
	struct governor_input input = {0};
	struct governor_step step;
	struct governor g;
	unsigned int i;

	(void)state;
	options.pays_own = true;
	options.has_windows = false;
	governor_init(&g, &options);
	governor_start(&g, S, NULL, &step);
	input.time_ns = S;
	for (i = 0; i < 100 && step.mode != STEP_DETACHED; i++) {
		bool faults = step.mode == STEP_FAULTS;

		input.time_ns += TICK;
		input.cpu_ns = 2 * TICK;
		input.attached_ns = faults ? 0 : TICK;
		input.hits[GOVERNOR_FOLLOWED] = input.hits[GOVERNOR_FREE] = faults ? 0 : 50000;
		input.hits[GOVERNOR_FAULT] = faults ? 2000 : 0;
		input.own_cpu_ns = faults ? 20 * MS : 0;
		(void)governor_tick(&g, &input, &step);
	}
	assert_int_equal(step.mode, STEP_DETACHED);
	assert_in_range(i, 2, 50);
}

/* What mappings cost is the same in each rung that has probes in. */
static void test_mappings(void **state)
{
	struct world w;

	(void)state;
	start(&w, &usual, maps_much);
	run(&w, 60 * S);
	assert_true(share(&w) <= 0.05);
	assert_true(share(&w) >= 0.02);
	assert_int_equal(w.step.mode, STEP_WINDOWS);
	assert_true(w.in_mode_ns[STEP_SAMPLED] < 2 * S);
	assert_books(&w);
}

static void test_small_allowance(void **state)
{
	struct governor_options options = usual;
	struct world w;

	(void)state;
	options.max_overhead = 0.001;
	start(&w, &options, busy);
	run(&w, 600 * S);
	assert_true(share(&w) <= 0.001);
	assert_int_equal(w.step.mode, STEP_FAULTS);
	/* at growing pauses */
	assert_in_range(w.nr_counts, 5, 40);
	assert_books(&w);
}

static void test_without_windows(void **state)
{
	struct governor_options options = usual;
	struct world w;

	(void)state;
	options.has_windows = options.has_faults = false;
	start(&w, &options, one_burst);
	run(&w, 20 * S);
	assert_int_equal(w.step.mode, STEP_DETACHED);
	run(&w, 130 * S);
	assert_int_equal(w.step.mode, STEP_EXACT);
	assert_in_range(w.nr_counts, 1, 20);
	assert_true(share(&w) <= 0.05);
	assert_books(&w);
}

/* Only the governor's floor lets a program be followed that hardly runs. */
static void test_never_richer_than_asked(void **state)
{
	struct governor_options options = usual;
	struct world w;

	(void)state;
	options.sample_bytes = 512 << 10;
	start(&w, &options, quiet);
	assert_int_equal(w.step.mode, STEP_SAMPLED);
	assert_int_equal(w.step.period_bytes, 512 << 10);
	run(&w, 60 * S);
	assert_int_equal(w.step.period_bytes, 512 << 10);
	assert_int_equal(w.nr_steps, 0);
	options.sample_bytes = UINT64_C(1) << 62;
	start(&w, &options, quiet);
	assert_int_equal(w.step.period_bytes, UINT64_C(1) << 40);
}

static void test_unlimited(void **state)
{
	struct governor_options options = usual;
	struct world w;

	(void)state;
	options.max_overhead = 0;
	start(&w, &options, busy);
	run(&w, 60 * S);
	assert_int_equal(w.step.mode, STEP_EXACT);
	assert_int_equal(w.nr_steps, 0);
	assert_books(&w);
}

static void test_own_memory(void **state)
{
	struct governor_options options = usual;
	struct world w;

	(void)state;
	options.max_memory_bytes = 100 << 20;
	start(&w, &options, quiet);
	w.own_memory = 99 << 20;
	run(&w, 10 * S);
	assert_int_equal(w.nr_steps, 0);
	w.own_memory = 101 << 20;
	tick(&w);
	assert_int_equal(w.step.mode, STEP_SAMPLED);
	assert_int_equal(w.step.why, STEP_OVER_MEMORY);
	run(&w, S);
	assert_int_equal(w.nr_steps, 1); /* it takes time to become less */
	run(&w, 20 * S);
	assert_int_equal(w.step.mode, STEP_DETACHED);
	assert_false(w.step.attached);
	run(&w, 100 * S);
	assert_int_equal(w.step.mode, STEP_DETACHED);
	assert_int_equal(w.nr_counts, 0);
	w.own_memory = 60 << 20;
	run(&w, 200 * S);
	assert_int_equal(w.step.mode, STEP_EXACT);
	assert_in_range(w.nr_steps, 12, 16); /* one rung at a time */
}

static void test_own_cpu(void **state)
{
	struct governor_options options = usual;
	struct world w;

	(void)state;
	options.max_overhead = 0.9;
	options.max_cpu = 0.1;
	start(&w, &options, middling);
	w.own_cpu_of_call_ns = 10000; /* 27 % of a CPU */
	run(&w, 19 * TICK);
	assert_int_equal(w.nr_steps, 0); /* at first it has other things to do */
	run(&w, 30 * S);
	assert_int_equal(w.step.mode, STEP_SAMPLED);
	/* goes up for room, finds none, and tries ever less often */
	run(&w, 300 * S);
	assert_in_range(w.nr_steps, 1, 30);
	assert_true(w.in_mode_ns[STEP_EXACT] < 60 * S);
}

/* Where the share is one of all CPUs. */
static void test_own_cpu_is_paid(void **state)
{
	struct governor_options options = usual;
	struct world w, free_of_charge;

	(void)state;
	options.pays_own = true;
	start(&w, &options, busy);
	start(&free_of_charge, &usual, busy);
	w.own_cpu_of_call_ns = free_of_charge.own_cpu_of_call_ns = 20000;
	run(&w, 300 * S);
	run(&free_of_charge, 300 * S);
	assert_int_equal(w.step.mode, STEP_WINDOWS);
	assert_true(w.own_ns > 0.1 * w.spent_ns);
	assert_true((w.spent_ns + w.own_ns) / w.paid_ns <= 0.051);
	assert_true(w.governor.spent_ns > 0.99 * (w.spent_ns + w.own_ns) - 1e6);
	assert_true((free_of_charge.spent_ns + free_of_charge.own_ns) / free_of_charge.paid_ns >
		    0.053);
	assert_true(w.open_ns < free_of_charge.open_ns);
}

/* Tables are made then, and nothing is left out for it. */
static void test_own_cpu_at_the_beginning(void **state)
{
	struct governor_options options = usual;
	struct world w;

	(void)state;
	options.pays_own = true;
	start(&w, &options, quiet);
	w.own_cpu_of_call_ns = 300000; /* 30 % of a CPU */
	run(&w, 19 * TICK);
	assert_int_equal(w.step.mode, STEP_EXACT);
	assert_true(w.governor.spent_ns > w.own_ns);
	run(&w, 2 * S);
	assert_int_not_equal(w.step.mode, STEP_EXACT);
}

static void test_starts_by_prediction(void **state)
{
	const struct governor_count idle = {.counted_ns = 50 * MS,
					    .calls = 50,
					    .frees = 50,
					    .cpu_ns = MS,
					    .spent_ns = 70000},
				    wild = {.counted_ns = 50 * MS,
					    .calls = 30000,
					    .frees = 30000,
					    .cpu_ns = 50 * MS,
					    .spent_ns = 42 * MS},
				    mean = {.counted_ns = 100 * MS,
					    .calls = 2700,
					    .frees = 2700,
					    .cpu_ns = 100 * MS,
					    .spent_ns = 3780000},
				    none = {0};
	struct governor_options options = usual;
	struct governor_prediction p;
	struct governor_step step;
	struct governor g;

	(void)state;
	governor_init(&g, &usual);
	governor_start(&g, S, &idle, &step);
	assert_int_equal(step.mode, STEP_EXACT);
	assert_true(step.attached);
	governor_init(&g, &usual);
	governor_start(&g, S, &wild, &step);
	assert_int_equal(step.mode, STEP_WINDOWS);
	assert_in_range(step.overhead_ppm, 49999, 50000); /* as predicted */
	assert_in_range(step.duty_permille, 40, 70);
	assert_false(step.attached);
	governor_init(&g, &usual);
	governor_start(&g, S, &mean, &step);
	assert_int_equal(step.mode, STEP_SAMPLED);
	governor_init(&g, &usual);
	governor_start(&g, S, &none, &step);
	assert_int_equal(step.mode, STEP_EXACT);

	governor_predict(&usual, &mean, &p);
	/* 2,700 pairs of 2.7 us in 100 ms: 7.29 of 96.2 + 7.29 ms */
	assert_in_range((int)(p.exact * 1e4), 700, 710);
	assert_in_range((int)(p.sampled * 1e4), 400, 410);
	assert_in_range((int)(p.chosen * 1e4), 400, 415);
	assert_int_equal(p.step.mode, STEP_SAMPLED);
	assert_false(p.hopeless || p.of_least);
	/* 50 pairs of 2.7 us in 50 ms, of a fifth of these: they use less */
	governor_predict(&usual, &idle, &p);
	assert_in_range((int)(p.exact * 1e4), 134, 136);
	assert_true(p.of_least);
	governor_predict(&usual, &wild, &p);
	assert_false(p.of_least);
	assert_true(p.exact > 0.85);
	assert_in_range((int)(p.chosen * 1e4), 499, 500);
	assert_false(p.hopeless);
	/* too little for windows */
	options.max_overhead = 0.0005;
	governor_predict(&options, &wild, &p);
	assert_true(p.hopeless);
	/* nothing limits it, and it is more than the program itself */
	options.max_overhead = 0;
	governor_predict(&options, &wild, &p);
	assert_true(p.hopeless);
	assert_int_equal(p.step.mode, STEP_EXACT);
	governor_predict(&options, &mean, &p);
	assert_false(p.hopeless);
	options.sample_bytes = 4 << 20;
	governor_predict(&options, &mean, &p);
	assert_int_equal(p.step.period_bytes, 4 << 20);
	assert_in_range((int)(p.sampled * 1e4), 400, 410);
}

/* Sooner and later than every 100 ms, and twice at the same time. */
static void test_any_interval(void **state)
{
	struct governor_input input = {.attached_ns = 10 * MS, .cpu_ns = 10 * MS};
	struct governor_step step;
	struct governor g;
	unsigned int i;

	(void)state;
	governor_init(&g, &usual);
	governor_start(&g, S, NULL, &step);
	input.hits[GOVERNOR_FOLLOWED] = input.hits[GOVERNOR_FREE] = 3500;
	input.time_ns = S + 10 * MS;
	assert_int_equal(governor_tick(&g, &input, &step), GOVERNOR_STEP);
	assert_int_equal(step.mode, STEP_WINDOWS);
	assert_int_equal(governor_tick(&g, &input, &step), GOVERNOR_STAY);
	assert_int_equal(step.mode, STEP_WINDOWS);
	/* one long sleep */
	memset(&input, 0, sizeof(input));
	input.time_ns = 100 * S;
	input.cpu_ns = 90 * S;
	assert_int_equal(governor_tick(&g, &input, &step), GOVERNOR_WINDOW);
	assert_true(step.attached);
	/* and windows of ticks of 10 ms: not for one tick alone */
	input = (struct governor_input){.attached_ns = 10 * MS, .cpu_ns = 10 * MS};
	input.hits[GOVERNOR_SKIPPED] = input.hits[GOVERNOR_FREE] = 6600;
	for (i = 1; step.attached && i < 20; i++) {
		input.time_ns = 100 * S + i * 10 * MS;
		(void)governor_tick(&g, &input, &step);
	}
	assert_in_range(i, 6, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cheap_stays_exact),
		cmocka_unit_test(test_busy_ends_in_windows),
		cmocka_unit_test(test_little_work),
		cmocka_unit_test(test_short_run_of_a_busy_one),
		cmocka_unit_test(test_middling_is_sampled),
		cmocka_unit_test(test_one_burst),
		cmocka_unit_test(test_to_and_fro_in_tens),
		cmocka_unit_test(test_to_and_fro_in_halves),
		cmocka_unit_test(test_ramp),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_burst_noticed_at_once),
		cmocka_unit_test(test_burst_in_a_long_window),
		cmocka_unit_test(test_nothing_learned_in_a_pause),
		cmocka_unit_test(test_own_cpu_of_faults),
		cmocka_unit_test(test_small_allowance),
		cmocka_unit_test(test_without_windows),
		cmocka_unit_test(test_never_richer_than_asked),
		cmocka_unit_test(test_unlimited),
		cmocka_unit_test(test_own_memory),
		cmocka_unit_test(test_own_cpu),
		cmocka_unit_test(test_own_cpu_is_paid),
		cmocka_unit_test(test_own_cpu_at_the_beginning),
		cmocka_unit_test(test_starts_by_prediction),
		cmocka_unit_test(test_any_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
