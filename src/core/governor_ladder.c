/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rungs, and what each of them would cost. */
#include "governor_impl.h"

#define MIN_DUTY 0.002
#define BYTES_OF_A_CALL 256
#define SAMPLE_FIRST (UINT64_C(64) << 10)
#define SAMPLE_STEP 8
#define SAMPLE_WINDOWS (UINT64_C(2) << 10)
#define SAMPLE_MAX (UINT64_C(1) << 40)

static void add_rung(struct governor *g, enum step_mode mode, uint64_t period_bytes)
{
	g->rung[g->nr_rungs++] = (struct governor_rung){mode, period_bytes};
}

void governor_build_ladder(struct governor *g)
{
	uint64_t asked = g->options.sample_bytes, period = asked, in_windows = asked;
	unsigned int i;

	if (asked == GOVERNOR_SAMPLE_AUTO || asked == 1) {
		add_rung(g, STEP_EXACT, 1);
		period = SAMPLE_FIRST;
		in_windows = SAMPLE_WINDOWS;
	}
	for (i = 0; i < 3; i++) {
		if (period > SAMPLE_MAX)
			period = SAMPLE_MAX;
		add_rung(g, STEP_SAMPLED, period);
		period *= SAMPLE_STEP;
	}
	/* there traps are nearly all of the cost, and a leak is told by what becomes of many blocks */
	if (g->options.has_windows)
		add_rung(g, STEP_WINDOWS, in_windows < SAMPLE_MAX ? in_windows : SAMPLE_MAX);
	if (g->options.has_faults)
		add_rung(g, STEP_FAULTS, 1);
	add_rung(g, STEP_DETACHED, 1);
}

bool governor_is_always_in(const struct governor *g, unsigned int at)
{
	return g->rung[at].mode == STEP_EXACT || g->rung[at].mode == STEP_SAMPLED;
}

bool governor_sees_calls(const struct governor *g, unsigned int at)
{
	return governor_is_always_in(g, at) || g->rung[at].mode == STEP_WINDOWS;
}

/* With probes in, and with what it follows. */
double governor_cost(const struct governor *g, const struct governor_rates *r, unsigned int at)
{
	const double *cost = g->options.cost_ns;
	double followed = r->calls, others;

	if (!governor_sees_calls(g, at))
		return g->rung[at].mode == STEP_FAULTS ? r->faults * cost[GOVERNOR_FAULT] : 0;
	if (g->rung[at].mode != STEP_EXACT &&
	    r->bytes / (double)g->rung[at].period_bytes < followed)
		followed = r->bytes / (double)g->rung[at].period_bytes;
	others = r->frees * cost[GOVERNOR_FREE] + r->foreign * cost[GOVERNOR_FOREIGN] +
		 r->usdts * cost[GOVERNOR_USDT] + r->mappings * cost[GOVERNOR_MAPPING] +
		 r->unmappings * cost[GOVERNOR_UNMAPPING];
	return followed * cost[GOVERNOR_FOLLOWED] + (r->calls - followed) * cost[GOVERNOR_SKIPPED] +
	       others;
}

/* The CPU time that a share is of. */
double governor_at_least(double cpu_ns, double wall_ns)
{
	double least_ns = GOVERNOR_LEAST_CPUS * wall_ns;

	return cpu_ns > least_ns ? cpu_ns : least_ns;
}

double governor_load(const struct governor *g, const struct governor_rates *r, unsigned int at)
{
	double cost = governor_cost(g, r, at),
	       cpu = governor_at_least(r->base_ns + cost, r->wall_ns);

	return cpu > 0 ? cost / cpu : 0;
}

/* The richest rung that costs no more than limit, a share. */
unsigned int governor_best(const struct governor *g, const struct governor_rates *r, double limit)
{
	unsigned int at;
	double load;

	for (at = 0; at < g->nr_rungs - 1; at++) {
		load = governor_load(g, r, at);
		if (!g->options.max_overhead || load <= limit ||
		    (g->rung[at].mode == STEP_WINDOWS &&
		     g->options.max_overhead >= MIN_DUTY * load))
			break;
	}
	return at;
}

struct governor_rates governor_rates_of_input(const struct governor *g,
					      const struct governor_input *in, double interval_ns,
					      double spent_ns)
{
	double attached_ns = (double)in->attached_ns;
	double part = interval_ns > 0 && attached_ns < interval_ns ? attached_ns / interval_ns : 1;
	struct governor_rates r = {
		.calls = (double)(in->hits[GOVERNOR_FOLLOWED] + in->hits[GOVERNOR_SKIPPED]),
		.frees = (double)in->hits[GOVERNOR_FREE],
		.bytes = (double)in->call_bytes,
		.faults = (double)in->hits[GOVERNOR_FAULT],
		.foreign = (double)in->hits[GOVERNOR_FOREIGN],
		.usdts = (double)in->hits[GOVERNOR_USDT],
		.mappings = (double)in->hits[GOVERNOR_MAPPING],
		.unmappings = (double)in->hits[GOVERNOR_UNMAPPING],
		.wall_ns = interval_ns,
	};

	if (governor_sees_calls(g, g->at))
		r.wall_ns *= part;
	r.base_ns = (double)in->cpu_ns * (r.wall_ns / interval_ns) - spent_ns;
	if (r.base_ns < 0)
		r.base_ns = 0;
	return r;
}

struct governor_rates governor_rates_of_count(const struct governor_count *count)
{
	struct governor_rates r = {
		.calls = (double)count->calls,
		.frees = (double)count->frees,
		.bytes = (double)count->call_bytes,
		.base_ns = (double)count->cpu_ns - (double)count->spent_ns,
		.wall_ns = (double)count->counted_ns,
	};

	if (!count->call_bytes)
		r.bytes = r.calls * BYTES_OF_A_CALL;
	if (r.base_ns < 0)
		r.base_ns = 0;
	return r;
}
