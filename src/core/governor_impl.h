/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What governor.c, which moves, needs of governor_ladder.c, which knows what everything costs, and of governor_account.c,
 * which knows what can be paid. Nobody else includes it.
 */
#ifndef SEEP_CORE_GOVERNOR_IMPL_H
#define SEEP_CORE_GOVERNOR_IMPL_H

#include "governor.h"

#define NS_PER_S UINT64_C(1000000000)
#define CREDITED 0.9	       /* of what is allowed, the rest being for errors */
#define DEBT_NS (5 * NS_PER_S) /* stands for what is allowed in this time */
#define MIN_RATES_NS 1e7       /* with probes in, to tell rates from */
#define PATIENCE_NS (2 * NS_PER_S)

/* Calls as they come now, in a time of wall_ns with probes in. */
struct governor_rates {
	double calls, frees, bytes, faults, foreign, usdts, mappings, unmappings;
	double base_ns; /* CPU time of the targets without us */
	double wall_ns;
};

void governor_build_ladder(struct governor *governor);
bool governor_is_always_in(const struct governor *governor, unsigned int at);
bool governor_sees_calls(const struct governor *governor, unsigned int at);

struct governor_rates governor_rates_of_input(const struct governor *governor,
					      const struct governor_input *input,
					      double interval_ns, double spent_ns);
struct governor_rates governor_rates_of_count(const struct governor_count *count);

/* The CPU time that a share is of: GOVERNOR_LEAST_CPUS at least. */
double governor_at_least(double cpu_ns, double wall_ns);
/* What a rung takes of the targets with probes in, in CPU time and as a share of all that they then use. */
double governor_cost(const struct governor *governor, const struct governor_rates *rates,
		     unsigned int at);
double governor_load(const struct governor *governor, const struct governor_rates *rates,
		     unsigned int at);
/* The richest rung whose share is not above limit. */
unsigned int governor_best(const struct governor *governor, const struct governor_rates *rates,
			   double limit);

/* governor_account.c */
bool governor_is_windows(const struct governor *governor);
/* What is allowed in a time. */
double governor_allowed_ns(const struct governor *governor, uint64_t time_ns);
/* What probes that are in for so long will cost; and a window, with its end. */
double governor_expected_ns(const struct governor *governor, uint64_t time_ns);
double governor_window_ns(const struct governor *governor);
/* An interval, of which probes took hits_ns. */
void governor_book(struct governor *governor, const struct governor_input *in, double interval_ns,
		   double hits_ns);
/* What probes take while they are in; and what the targets used then, of which they took a part. */
void governor_note_window(struct governor *governor, const struct governor_rates *rates);
void governor_note_then(struct governor *governor, double base_cpus, double cpus);

#endif
