/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What governor.c, which moves, needs of governor_ladder.c, which knows what everything costs. Nobody else includes it. */
#ifndef SEEP_CORE_GOVERNOR_IMPL_H
#define SEEP_CORE_GOVERNOR_IMPL_H

#include "governor.h"

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

#endif
