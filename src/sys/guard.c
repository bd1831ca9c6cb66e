/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cputime.h"
#include "progtime.h"

#define NS_PER_S UINT64_C(1000000000)
/* Guesses, of a guest, where nothing was calibrated. */
#define TRAP_NS 700
#define TRAP_AND_RETURN_NS 1150
#define STEPPED_NS 20000
/* What our programs take, until it has been measured: a call that is followed, stack and all, and others. */
#define FOLLOWED_NS 600
#define SKIPPED_NS 80
#define FREE_NS 150
#define FOREIGN_NS 40
#define FAULT_NS 800	/* of perf, and our program */
#define MAPPING_NS 1500 /* a stack, as a rule a new one */
#define UNMAPPING_NS 1000
#define MAPPING_BY_LOCK_NS 9000 /* with an interrupt that the CPU sends itself, dear in a guest */

#define MEASURE_FIRST_NS (NS_PER_S / 5)
#define MEASURE_EVERY_NS (10 * NS_PER_S)
#define MEASURE_LONGEST_NS NS_PER_S
#define MIN_RUNS 200 /* to tell a mean from */
#define OTHER_RATE 8 /* so much faster or slower, and caches are another matter */

enum program {
	PROGRAM_OF_ENTRY,
	PROGRAM_OF_RETURN,
	PROGRAM_OF_FREE,
	PROGRAM_OF_NR
};

struct guard {
	struct guard_options options;
	struct calibration calibration;
	double trap_ns[GOVERNOR_HIT_NR], program_ns[GOVERNOR_HIT_NR];
	struct governor governor;
	struct cputimes times;
	bool attached;
	uint64_t turned_ns, tick_ns; /* probes went in or out; the last tick */
	uint64_t attached_ns;	     /* since the last tick, up to turned_ns */
	uint64_t own_cpu_ns;
	uint64_t counter[STAT_NR];
	struct progtime progtime;
	uint64_t measure_ns;		 /* when to measure again */
	uint64_t measured_from[STAT_NR]; /* counters when it began */
	uint64_t measured_at_ns;	 /* and when that was */
	double measured_rate;		 /* calls in a ns then; 0: never measured */
};

/* --- what a hit costs ----------------------------------------------------------------------------- */

static double trap_ns(const struct guard *g, enum attach_kind kind, bool with_return,
		      double stepped)
{
	double emulated = calibration_ns(&g->calibration, kind, true, with_return);
	double dearer = calibration_ns(&g->calibration, kind, false, with_return);

	if (!emulated)
		emulated = with_return ? TRAP_AND_RETURN_NS : TRAP_NS;
	if (!dearer)
		dearer = STEPPED_NS;
	return emulated * (1 - stepped) + dearer * stepped;
}

/* stepped: the share of calls and frees at instructions that are single-stepped. */
static void set_traps(struct guard *g, double stepped_calls, double stepped_frees)
{
	enum attach_kind kind = g->options.link;
	bool session = kind == ATTACH_SESSION;
	enum attach_kind plain = session ? ATTACH_MULTI : kind;

	g->trap_ns[GOVERNOR_FOLLOWED] = trap_ns(g, kind, true, stepped_calls);
	/* only a session leaves the return alone */
	g->trap_ns[GOVERNOR_SKIPPED] = trap_ns(g, kind, !session, stepped_calls);
	g->trap_ns[GOVERNOR_FREE] = trap_ns(g, plain, false, stepped_frees);
	g->trap_ns[GOVERNOR_FOREIGN] = trap_ns(g, plain, false, stepped_calls);
	/* on a nop, by perf event */
	g->trap_ns[GOVERNOR_USDT] = trap_ns(g, ATTACH_PERF, false, 0);
}

double guard_cost_ns(const struct guard *g, enum governor_hit hit)
{
	return g->trap_ns[hit] + g->program_ns[hit];
}

static void set_costs(const struct guard *g, double *cost_ns)
{
	unsigned int hit;

	for (hit = 0; hit < GOVERNOR_HIT_NR; hit++)
		cost_ns[hit] = guard_cost_ns(g, hit);
}

/* --- counters ------------------------------------------------------------------------------------- */

static uint64_t since(const uint64_t *now, const uint64_t *before, enum seep_stat stat)
{
	/* a slot that was given out anew may have begun at 0 */
	return now[stat] > before[stat] ? now[stat] - before[stat] : 0;
}

static void take_hits(const struct guard *g, const uint64_t *now, const uint64_t *before,
		      uint64_t *hits)
{
	uint64_t entries = since(now, before, STAT_ENTRY_HITS);
	uint64_t followed = since(now, before, STAT_RETURN_HITS);
	uint64_t done = since(now, before, STAT_ALLOCS) + since(now, before, STAT_FAILED_ALLOCS);

	/* others than sessions trap every return, also of calls that are passed over */
	if (g->options.link != ATTACH_SESSION && done < followed)
		followed = done;
	hits[GOVERNOR_FOLLOWED] = followed;
	hits[GOVERNOR_SKIPPED] = entries > followed ? entries - followed : 0;
	hits[GOVERNOR_FREE] = since(now, before, STAT_FREE_HITS);
	hits[GOVERNOR_FAULT] =
		since(now, before, STAT_MINOR_FAULTS) + since(now, before, STAT_MAJOR_FAULTS);
	hits[GOVERNOR_FOREIGN] = since(now, before, STAT_FOREIGN_HITS);
	hits[GOVERNOR_USDT] = since(now, before, STAT_USDT_HITS);
	hits[GOVERNOR_MAPPING] = since(now, before, STAT_MAPPINGS);
	hits[GOVERNOR_UNMAPPING] = since(now, before, STAT_UNMAPPINGS);
}

/* --- what our programs take ----------------------------------------------------------------------- */

/*
 * Entry and return of a call are runs of one program, or of two. Which share of their time went to calls that were
 * passed over is not told: so when nearly all were followed, the rest is taken for what it was, and the other way round.
 */
static void take_program_times(struct guard *g, const uint64_t *hits, const uint64_t *ns,
			       const uint64_t *runs)
{
	double time = (double)(ns[PROGRAM_OF_ENTRY] + ns[PROGRAM_OF_RETURN]);
	double followed = (double)hits[GOVERNOR_FOLLOWED], skipped = (double)hits[GOVERNOR_SKIPPED];
	double *cost = g->program_ns, rest;

	if (runs[PROGRAM_OF_FREE] >= MIN_RUNS)
		cost[GOVERNOR_FREE] = (double)ns[PROGRAM_OF_FREE] / (double)runs[PROGRAM_OF_FREE];
	if (runs[PROGRAM_OF_ENTRY] < MIN_RUNS)
		return;
	if (followed >= MIN_RUNS && followed * 10 >= skipped) {
		rest = time - skipped * cost[GOVERNOR_SKIPPED];
		if (rest > 0)
			cost[GOVERNOR_FOLLOWED] = rest / followed;
	} else if (skipped >= MIN_RUNS) {
		rest = time - followed * cost[GOVERNOR_FOLLOWED];
		if (rest > 0)
			cost[GOVERNOR_SKIPPED] = rest / skipped;
	}
}

static void end_measuring(struct guard *g, const struct guard_input *in)
{
	uint64_t hits[GOVERNOR_HIT_NR], ns[PROGRAM_OF_NR], runs[PROGRAM_OF_NR];
	uint64_t took_ns = in->time_ns - g->measured_at_ns;

	take_hits(g, in->counter, g->measured_from, hits);
	if (!progtime_end(&g->progtime, ns, runs) && took_ns) {
		take_program_times(g, hits, ns, runs);
		set_costs(g, g->governor.options.cost_ns);
		g->measured_rate = (double)since(in->counter, g->measured_from, STAT_ENTRY_HITS) /
				   (double)took_ns;
	}
	g->measure_ns = in->time_ns + MEASURE_EVERY_NS;
}

/* From now on. Without the right to measure, guesses are all that there is. */
static void begin_measuring(struct guard *g, uint64_t time_ns, const uint64_t *counter)
{
	const int prog_fd[PROGRAM_OF_NR] = {g->options.alloc_program_fd,
					    g->options.return_program_fd,
					    g->options.free_program_fd};

	memmove(g->measured_from, counter, sizeof(g->measured_from));
	g->measured_at_ns = time_ns;
	if (progtime_begin(&g->progtime, prog_fd, PROGRAM_OF_NR))
		g->measure_ns = UINT64_MAX;
}

/* Do the targets call much more often, or more seldom, than when it was measured? */
static bool is_other_rate(const struct guard *g, const struct guard_input *in)
{
	double rate = (double)since(in->counter, g->counter, STAT_ENTRY_HITS) /
		      (double)(in->time_ns - g->tick_ns);

	return g->measured_rate > 0 && g->attached && g->measure_ns != UINT64_MAX &&
	       in->time_ns - g->measured_at_ns >= NS_PER_S &&
	       (rate > OTHER_RATE * g->measured_rate || rate * OTHER_RATE < g->measured_rate);
}

/* At each tick: begins to measure, or ends it. */
static void measure_programs(struct guard *g, const struct guard_input *in)
{
	uint64_t entries = since(in->counter, g->measured_from, STAT_ENTRY_HITS);

	if (g->progtime.stats_fd >= 0) {
		if (!g->attached || entries >= 2 * MIN_RUNS ||
		    in->time_ns - g->measured_at_ns >= MEASURE_LONGEST_NS)
			end_measuring(g, in);
	} else if (g->attached && (in->time_ns >= g->measure_ns || is_other_rate(g, in))) {
		begin_measuring(g, in->time_ns, in->counter);
	}
}

/* --- ourselves ------------------------------------------------------------------------------------ */

static uint64_t own_memory(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	(void)fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* --- ticks ---------------------------------------------------------------------------------------- */

void guard_turned(struct guard *g, uint64_t time_ns, bool attached)
{
	uint64_t from_ns = g->turned_ns > g->tick_ns ? g->turned_ns : g->tick_ns;

	if (g->attached && time_ns > from_ns)
		g->attached_ns += time_ns - from_ns;
	/* a window may be over at the next tick */
	if (attached && !g->attached && g->progtime.stats_fd < 0 && time_ns >= g->measure_ns)
		begin_measuring(g, time_ns, g->counter);
	g->attached = attached;
	g->turned_ns = time_ns;
}

static uint64_t targets_cpu_ns(struct guard *g, const struct guard_input *in)
{
	uint64_t ns = 0;

	if (g->options.system_wide)
		return cputime_machine(in->time_ns - g->tick_ns);
	/* without memory for it the targets are taken to be idle, which is the safe side */
	(void)cputimes_since(&g->times, in->tgid, in->nr_tgids, in->time_ns - g->tick_ns, &ns);
	return ns;
}

enum governor_action guard_tick(struct guard *g, const struct guard_input *in,
				struct governor_step *out)
{
	struct governor_input input = {.time_ns = in->time_ns, .own_memory_bytes = own_memory()};
	uint64_t own_ns = cputime_own();

	if (in->time_ns <= g->tick_ns)
		return governor_tick(&g->governor, &input, out);
	take_hits(g, in->counter, g->counter, input.hits);
	input.call_bytes = since(in->counter, g->counter, STAT_CALL_BYTES);
	input.cpu_ns = targets_cpu_ns(g, in);
	input.own_cpu_ns = own_ns - g->own_cpu_ns;
	guard_turned(g, in->time_ns, g->attached); /* up to now */
	input.attached_ns = g->attached_ns;
	measure_programs(g, in);
	g->attached_ns = 0;
	g->own_cpu_ns = own_ns;
	g->tick_ns = in->time_ns;
	memcpy(g->counter, in->counter, sizeof(g->counter));
	return governor_tick(&g->governor, &input, out);
}

void guard_predict(const struct guard *guard, const struct callrate *rate,
		   struct governor_prediction *out)
{
	struct governor_options options = guard->governor.options;
	struct guard with = *guard;

	set_traps(&with, rate->stepped_calls, rate->stepped_frees);
	set_costs(&with, options.cost_ns);
	governor_predict(&options, &rate->count, out);
}

void guard_start(struct guard *g, const struct guard_input *in, const struct callrate *rate,
		 struct governor_step *out)
{
	g->tick_ns = g->turned_ns = in->time_ns;
	g->measure_ns = in->time_ns + MEASURE_FIRST_NS;
	(void)targets_cpu_ns(g, in); /* from now on */
	memcpy(g->counter, in->counter, sizeof(g->counter));
	g->own_cpu_ns = cputime_own();
	if (rate) {
		set_traps(g, rate->stepped_calls, rate->stepped_frees);
		set_costs(g, g->governor.options.cost_ns);
	}
	governor_start(&g->governor, in->time_ns, rate ? &rate->count : NULL, out);
}

enum governor_action guard_counted(struct guard *g, const struct callrate *rate,
				   struct governor_step *out)
{
	return governor_counted(&g->governor, &rate->count, out);
}

uint64_t guard_overhead(const struct guard *g, uint64_t *cpu_ns)
{
	*cpu_ns = (uint64_t)g->governor.total_cpu_ns;
	return (uint64_t)g->governor.spent_ns;
}

int guard_new(const struct guard_options *options, struct guard **out)
{
	struct governor_options governor = {
		.max_overhead = options->max_overhead,
		.max_cpu = options->max_cpu,
		.max_memory_bytes = options->max_memory_bytes,
		.sample_bytes = options->sample_bytes,
		/* perf events take 110 ms each to go */
		.has_windows = options->link != ATTACH_PERF,
		.has_faults = options->has_faults,
		.pays_own = options->system_wide,
	};
	struct guard *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->options = *options;
	if (options->calibration)
		g->calibration = *options->calibration;
	g->options.calibration = NULL;
	g->program_ns[GOVERNOR_FOLLOWED] = FOLLOWED_NS;
	g->program_ns[GOVERNOR_SKIPPED] = SKIPPED_NS;
	g->program_ns[GOVERNOR_FREE] = FREE_NS;
	g->program_ns[GOVERNOR_FOREIGN] = FOREIGN_NS;
	g->program_ns[GOVERNOR_FAULT] = FAULT_NS;
	g->program_ns[GOVERNOR_USDT] = FOLLOWED_NS;
	g->program_ns[GOVERNOR_UNMAPPING] = UNMAPPING_NS;
	g->program_ns[GOVERNOR_MAPPING] =
		options->calls == CALLS_BY_LOCK ? MAPPING_BY_LOCK_NS : MAPPING_NS;
	progtime_init(&g->progtime);
	set_traps(g, 0, 0);
	set_costs(g, governor.cost_ns);
	governor_init(&g->governor, &governor);
	*out = g;
	return 0;
}

void guard_free(struct guard *g)
{
	if (!g)
		return;
	progtime_release(&g->progtime);
	cputimes_release(&g->times);
	free(g);
}
