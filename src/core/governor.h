/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The governor: how much may be followed, so that it costs the targets no more than was allowed.
 *
 * A function of what it is told and nothing else: no clock, no system call. sys/guard measures and asks it, the session
 * does what it says.
 *
 * The account. Of each interval's CPU time of the targets the allowed share is paid in, less a tenth to be sure, and what
 * our probes have cost is paid out. What was overspent has to be saved up again before anything dear is done: so the
 * share is kept over the run, whatever happens in one interval. Credit is kept for CREDIT_NS, and not longer: an idle
 * night is no licence for the morning. A target that uses less than GOVERNOR_LEAST_CPUS is taken to use that much, as nobody is harmed
 * by a share of nothing; but when it becomes busy, windows are not opened, and nothing richer is tried, until the
 * strict account, which knows no least use, has paid for that too. Costs of hits are means; what they add up to is
 * never taken for more than the targets have used. Where the share is one of all CPUs, what seep itself uses is paid out
 * as well; but with windows, which are fewer then, from the first moment on, and else after PATIENCE_NS.
 *
 * The ladder, richest first; what is not available is left out:
 *
 *	EXACT > SAMPLED 64K > SAMPLED 512K > SAMPLED 4M > WINDOWS 2K > FAULTS > DETACHED
 *
 *	from        to        when
 *	any         lower     the account is overdrawn, and since the last step has become worse: to the richest rung that
 *	                      is expected to cost less than MARGIN_DOWN of what is allowed, and to pay back the debt
 *	                      within PAYBACK_NS
 *	any         next      seep itself uses more CPU or memory than it may; again after PATIENCE_NS if it still does. In
 *	                      the first PATIENCE_NS its CPU time does not count: it makes tables then
 *	WINDOWS     lower     windows would be open for less than MIN_DUTY of the time
 *	any         higher    for `hold` without a break a richer rung was expected to cost less than MARGIN_UP of what
 *	                      is allowed: to the poorest of those that it was expected of in this time. Not while there
 *	                      is a debt of more than DEBT_NS
 *
 * hold is a second at first. It doubles when a step up did not last for three times as long as it was waited for, and
 * halves when it did; so a program that goes to and fro moves us ever less often.
 *
 * WINDOWS. Probes are in until the next interval could not be paid for, but not shorter than MIN_WINDOW_NS; they are out
 * until what the shortest window will cost has been saved, by what the last one cost, and by what the targets use now and
 * used then. How long that is depends on the target: the duty is a result, and the strict account pays. When a target has
 * become quiet since, a debt is no reason to wait for long: it is looked at, ever less often.
 *
 * FAULTS, DETACHED. There is nothing to estimate from. So at times the calls are counted, for a moment: after 2 s, and
 * twice as long each time that there is no room, up to a minute.
 *
 * What a rung would cost is computed from the calls that were seen in the present one: all of them are, also those that
 * are not sampled. Of the CPU time of the interval what our probes took is subtracted, and what they would take is added:
 * this holds for a program that waits for work as for one that always works and gets less done with probes in it.
 *
 *	governor_init(&governor, &options);
 *	governor_start(&governor, now_ns, predicted, &step);	do what step says
 *	each 100 ms, or sooner:
 *		switch (governor_tick(&governor, &input, &step)) {
 *		case GOVERNOR_STEP:	tell it in the report, and ...
 *		case GOVERNOR_WINDOW:	put probes in, or out, as step.attached says
 *		case GOVERNOR_COUNT:	count calls for a moment; governor_counted()
 *		case GOVERNOR_STAY:	;
 *		}
 */
#ifndef SEEP_CORE_GOVERNOR_H
#define SEEP_CORE_GOVERNOR_H

#include <stdbool.h>
#include <stdint.h>

#include "record.h"

/* What a hit of each kind takes from its target. */
enum governor_hit {
	GOVERNOR_FOLLOWED, /* an allocating call that is followed: entry, return, and our programs */
	GOVERNOR_SKIPPED,  /* an allocating call that is not sampled */
	GOVERNOR_FREE,	   /* a freeing call */
	GOVERNOR_FAULT,
	GOVERNOR_FOREIGN, /* a trap of who is no target, or at a probe that was told to go */
	GOVERNOR_USDT, /* a heap probe that a program brings along: what samples it takes is its own affair */
	GOVERNOR_MAPPING,   /* a mapping outside allocators, whose return and stack are looked at */
	GOVERNOR_UNMAPPING, /* and what is unmapped, where such a mapping is known */
	GOVERNOR_HIT_NR,
};

#define GOVERNOR_LEAST_CPUS 0.2 /* that targets are taken to use at least */
#define GOVERNOR_SAMPLE_AUTO 0	/* as sample_bytes: exact if that is cheap enough */

struct governor_options {
	double max_overhead;	   /* share of the targets' CPU time, 0.05; 0: unlimited */
	double max_cpu;		   /* that seep itself uses, in CPUs; 0: unlimited */
	uint64_t max_memory_bytes; /* likewise; 0: unlimited */
	uint64_t sample_bytes;	   /* the richest that was asked for; 1: every allocation */
	bool has_windows;	   /* probes go in and out in a moment */
	bool has_faults;	   /* page faults can be followed alone */
	bool pays_own;	    /* the share is of all CPUs: what seep itself uses is out of it, too */
	uint64_t detach_ns; /* how long probes still act after they were told to go; 0: 1 ms */
	double cost_ns[GOVERNOR_HIT_NR];
};

/* What came to pass in an interval. */
struct governor_input {
	uint64_t time_ns;     /* its end */
	uint64_t attached_ns; /* the part of it with probes in; at most all of it */
	uint64_t hits[GOVERNOR_HIT_NR];
	uint64_t call_bytes;	   /* asked for by all allocating calls */
	uint64_t cpu_ns;	   /* of the targets; system-wide: of all CPUs, idle or not */
	uint64_t own_cpu_ns;	   /* of seep */
	uint64_t own_memory_bytes; /* of seep, at the end of the interval */
};

/* Calls of an interval, counted without following them. */
struct governor_count {
	uint64_t counted_ns; /* its length */
	uint64_t calls, frees;
	uint64_t call_bytes; /* 0: not known, 256 a call are assumed */
	uint64_t cpu_ns;     /* of the targets in this time, with what counting took */
	uint64_t spent_ns;   /* what counting took */
};

enum governor_action {
	GOVERNOR_STAY = 0,
	GOVERNOR_STEP = 1,   /* another rung */
	GOVERNOR_WINDOW = 2, /* the same, probes go in or out */
	GOVERNOR_COUNT = 3,  /* count calls */
};

/* As struct record_step; and what is to be done. */
struct governor_step {
	enum step_mode mode;
	enum step_why why;
	uint64_t period_bytes;
	uint32_t duty_permille; /* WINDOWS: as expected */
	uint32_t overhead_ppm;	/* of the interval before it; of STEP_START as predicted, 0: not */
	bool attached;		/* probes at allocators are in */
};

#define GOVERNOR_RUNGS 7

struct governor_rung {
	enum step_mode mode;
	uint64_t period_bytes;
};

/* Private, but for the sums at its end. */
struct governor {
	struct governor_options options;
	struct governor_rung rung[GOVERNOR_RUNGS];
	unsigned int nr_rungs, at;
	bool attached;
	uint64_t start_ns;
	uint64_t time_ns;   /* of the last tick */
	double account_ns;  /* below 0: debt */
	double strict_ns;   /* the same without a least use */
	double cpus;	    /* that the targets use, averaged over a second */
	double last_cpus;   /* in the last interval, */
	double last_base;   /* and without what probes took */
	double own_cpus;    /* averaged likewise */
	double window_cpus; /* that probes took, when they were last in */
	double idle_cpus;   /* that the targets use while probes are out, averaged likewise */
	/* That they used, or would have, when window_cpus was seen: without probes, and with them. */
	double idle_then, cpus_then;
	double tolerated_ns;   /* not overdrawn while the account is above this */
	uint64_t turned_ns;    /* when probes last went in or out */
	uint64_t open_ns;      /* they are in for so long */
	uint64_t pause_ns;     /* at least, before a window that is not paid for yet */
	uint64_t seen_ns;      /* time with probes in since `rising_ns` */
	uint64_t rising_ns;    /* since then there was room for more; 0: there is none */
	unsigned int rises_to; /* the poorest rung that there was room for */
	uint64_t hold_ns, rose_ns, pressed_ns;
	uint64_t count_ns, count_pause_ns; /* when to count again */
	double overhead;		   /* of the last interval */
	/* Since the start: */
	double spent_ns, total_cpu_ns;
	unsigned int steps;
};

void governor_init(struct governor *governor, const struct governor_options *options);

/* The first step. count: what was counted before the attach, or NULL: the richest rung is tried. */
void governor_start(struct governor *governor, uint64_t time_ns, const struct governor_count *count,
		    struct governor_step *out);

/* What to do after an interval; *out is what holds from now on, whatever the answer. */
enum governor_action governor_tick(struct governor *governor, const struct governor_input *input,
				   struct governor_step *out);

/* What was counted on GOVERNOR_COUNT. May step up at once. Without an answer it is asked for again. */
enum governor_action governor_counted(struct governor *governor, const struct governor_count *count,
				      struct governor_step *out);

/* What is to be expected of each way, as shares of the targets' CPU time, probes always in. */
struct governor_prediction {
	double exact, sampled; /* sampled: with the period asked for, or 512K */
	double chosen;	       /* with the rung that governor_start() takes */
	bool of_least;	       /* of GOVERNOR_LEAST_CPUS: with probes in the targets use less */
	struct governor_step step;
	/* Not even the poorest rung that sees allocations keeps within max_overhead; or nothing limits it and exact is
	 * more than the target itself: to be refused unless the user insists. */
	bool hopeless;
};

void governor_predict(const struct governor_options *options, const struct governor_count *count,
		      struct governor_prediction *out);

#endif
