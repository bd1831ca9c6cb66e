/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The governor's account: what is allowed, what was spent, and what a window is expected to cost. */
#include "governor_impl.h"

#define CREDIT_NS (2 * NS_PER_S)
#define AVERAGE_NS NS_PER_S
/* Before probes go in: the shortest window, and the look that ends it. */
#define SAVED_FOR_NS (3 * NS_PER_S / 40)

bool governor_is_windows(const struct governor *g)
{
	return g->rung[g->at].mode == STEP_WINDOWS;
}

/* What is allowed in a time. */
double governor_allowed_ns(const struct governor *g, uint64_t time_ns)
{
	return CREDITED * g->options.max_overhead * governor_at_least(g->cpus, 1) * (double)time_ns;
}

/*
 * What probes that are in for so long will cost. While they are out, in proportion to what the targets use beside what they
 * used then: a burst that was noticed at once has told little of itself. But never more than they use.
 */
double governor_expected_ns(const struct governor *g, uint64_t time_ns)
{
	double cpus = g->window_cpus, most = g->idle_cpus > cpus ? g->idle_cpus : cpus;

	if (!g->attached && g->idle_cpus < g->idle_then)
		cpus *= g->idle_cpus / g->idle_then;
	if (!g->attached && g->idle_cpus > g->cpus_then && g->cpus_then > 0)
		cpus *= g->idle_cpus / g->cpus_then;
	return (cpus < most ? cpus : most) * (double)time_ns;
}

/* A window, and its end. */
double governor_window_ns(const struct governor *g)
{
	return governor_expected_ns(g, SAVED_FOR_NS + g->options.detach_ns);
}

static void average(double *mean, double value, double weight)
{
	*mean += weight * (value - *mean);
}

/* Of what seep itself takes. At the beginning it makes tables, and that is soon over. */
static bool pays_own(const struct governor *g)
{
	return governor_is_windows(g) || g->time_ns - g->start_ns >= PATIENCE_NS;
}

/* hits_ns: what the probes took. */
void governor_book(struct governor *g, const struct governor_input *in, double interval_ns,
		   double hits_ns)
{
	double weight = interval_ns < AVERAGE_NS ? interval_ns / AVERAGE_NS : 1, cap, floor;
	double cpu_ns = (double)in->cpu_ns;
	double own_ns = g->options.pays_own ? (double)in->own_cpu_ns : 0;
	double spent_ns = hits_ns + own_ns, paid_ns = pays_own(g) ? spent_ns : hits_ns;

	if (!g->total_cpu_ns)
		weight = 1;
	g->overhead = cpu_ns > 0 ? spent_ns / cpu_ns : 0;
	g->spent_ns += spent_ns;
	g->total_cpu_ns += cpu_ns;
	g->last_cpus = cpu_ns / interval_ns;
	g->last_base = cpu_ns > hits_ns ? (cpu_ns - hits_ns) / interval_ns : 0;
	average(&g->cpus, g->last_cpus, weight);
	average(&g->own_cpus, (double)in->own_cpu_ns / interval_ns, weight);
	if (!in->attached_ns)
		average(&g->idle_cpus, g->last_cpus, weight);
	g->account_ns +=
		CREDITED * g->options.max_overhead * governor_at_least(cpu_ns, interval_ns) -
		paid_ns;
	g->strict_ns += CREDITED * g->options.max_overhead * cpu_ns - paid_ns;
	cap = governor_allowed_ns(g, CREDIT_NS);
	if (governor_is_windows(g) && cap < governor_window_ns(g))
		cap = governor_window_ns(g);
	if (g->account_ns > cap)
		g->account_ns = cap;
	if (g->strict_ns > cap)
		g->strict_ns = cap;
	/* a quiet time, however long, is not paid for for ever */
	floor = CREDITED * g->options.max_overhead * (double)DEBT_NS;
	if (g->account_ns >= 0 && g->strict_ns < -floor)
		g->strict_ns = -floor;
	if (g->account_ns >= 0)
		g->tolerated_ns = 0;
}

/* What probes take while they are in, as it is in the rung of windows. */
void governor_note_window(struct governor *g, const struct governor_rates *r)
{
	unsigned int at;

	if (r->wall_ns < MIN_RATES_NS)
		return;
	for (at = 0; at < g->nr_rungs; at++) {
		if (g->rung[at].mode == STEP_WINDOWS)
			g->window_cpus = governor_cost(g, r, at) / r->wall_ns;
	}
}

/*
 * window_cpus is of a time in which the targets used so much, of which probes took a part. Who works as much as he can
 * would have used the same without them, and who waits for work, less: as before, if that can be.
 */
void governor_note_then(struct governor *g, double base_cpus, double cpus)
{
	if (g->idle_cpus < base_cpus)
		g->idle_cpus = base_cpus;
	if (g->idle_cpus > cpus)
		g->idle_cpus = cpus;
	g->idle_then = g->idle_cpus;
	g->cpus_then = cpus;
}
