/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guard: measures what seep costs its targets and itself, and asks core/governor what may be followed.
 *
 * A hit costs what its trap was calibrated to, and what our programs take. The latter is guessed at first, and measured
 * after some tenths of a second, and every 10 s, by the kernel's run time statistics in the targets themselves: so it has
 * their stacks and their live sets in it. Between two measurements it is what was measured last.
 *
 *	struct guard_options options = {
 *		.max_overhead = 0.05, .sample_bytes = 1, .link = loader_attach_kind(loader), .calibration = &costs,
 *		.alloc_program_fd = loader_program_fd(loader, PROGRAM_ALLOC_SESSION), .return_program_fd = -1,
 *		.free_program_fd = loader_program_fd(loader, PROGRAM_FREE_ENTER)};
 *	struct governor_prediction prediction;
 *	bool counted = !callrate_count(place, nr, &callrate_options, NULL, &rate);
 *
 *	error = guard_new(&options, &guard);
 *	if (counted)
 *		guard_predict(guard, &rate, &prediction);		hopeless: refuse, unless --force
 *	guard_start(guard, &input, counted ? &rate : NULL, &step);	if step.attached: attach; tell the step
 *	guard_turned(guard, now, true);					when they are in
 *	...
 *	each 100 ms:
 *		sum the counters of all slots that ever were, into input.counter
 *		switch (guard_tick(guard, &input, &step)) {
 *		case GOVERNOR_STEP:	tell RECORD_STEP; loader_set_sampling(step.period_bytes); and:
 *		case GOVERNOR_WINDOW:	attach or detach by step.attached; then guard_turned(guard, now, step.attached)
 *					and RECORD_UNWATCHED, or loader_watch() and RECORD_STEP
 *		case GOVERNOR_COUNT:	if (!callrate_count(...)) and guard_counted() == GOVERNOR_STEP: as above
 *		}
 *	at the end:
 *		guard_overhead(guard)
 *
 * May be called more often than each 100 ms: what a burst costs before it is noticed is less then. 25 ms are well spent
 * with few targets: reading 8 of them takes some 20 us.
 */
#ifndef SEEP_SYS_GUARD_H
#define SEEP_SYS_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "calibrate.h"
#include "callrate.h"
#include "governor.h"
#include "loader.h"

struct guard_options {
	double max_overhead;	   /* as in struct governor_options, like the next three */
	double max_cpu;		   /* in CPUs */
	uint64_t max_memory_bytes; /* of seep's resident memory; kernel memory is not in it */
	uint64_t sample_bytes;
	bool has_faults;  /* page faults can be followed alone */
	bool system_wide; /* the share is of all CPUs */
	enum attach_kind link;
	enum loader_calls calls;
	const struct calibration *calibration; /* copied; NULL: guesses */
	/* Loaded programs, borrowed as long as the guard lives; -1: none. Of a session one for entry and return. */
	int alloc_program_fd, return_program_fd, free_program_fd;
};

struct guard_input {
	uint64_t time_ns;	   /* CLOCK_MONOTONIC */
	uint64_t counter[STAT_NR]; /* sums over all targets since the start, living and gone */
	const pid_t *tgid;	   /* processes profiled now; not needed system-wide */
	size_t nr_tgids;
};

struct guard;

/* 0 or -ENOMEM. */
int guard_new(const struct guard_options *options, struct guard **out);
void guard_free(struct guard *guard);

/* What is to be expected, by what was counted. */
void guard_predict(const struct guard *guard, const struct callrate *rate,
		   struct governor_prediction *out);

/* The first step. input: as it is now. rate: NULL when nothing was counted. */
void guard_start(struct guard *guard, const struct guard_input *input, const struct callrate *rate,
		 struct governor_step *out);

/* Probes are in, or out, since time_ns. */
void guard_turned(struct guard *guard, uint64_t time_ns, bool attached);

enum governor_action guard_tick(struct guard *guard, const struct guard_input *input,
				struct governor_step *out);
enum governor_action guard_counted(struct guard *guard, const struct callrate *rate,
				   struct governor_step *out);

/* Since the start: what was spent, of the targets' CPU time, which *cpu_ns gets. */
uint64_t guard_overhead(const struct guard *guard, uint64_t *cpu_ns);

/* What a hit is taken to cost at present, in ns: for reports. */
double guard_cost_ns(const struct guard *guard, enum governor_hit hit);

#endif
