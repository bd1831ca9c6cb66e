// SPDX-License-Identifier: GPL-2.0-or-later
/* What the numbers of a report are: exact, estimates, of a part of the time, or first one and then another. */
#include "summary.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "parse.h"

static void take_larger(uint64_t *bytes, uint64_t period)
{
	if (period > 1 && period > *bytes)
		*bytes = period;
}

/* A run whose samples are all still to come has missed blocks as well. */
static void take_steps(const struct profile *p, uint64_t *bytes)
{
	size_t i;

	take_larger(bytes, p->run.sample_bytes);
	for (i = 0; i < p->nr_steps; i++)
		take_larger(bytes, p->step[i].period_bytes);
}

double summary_unseen_bytes(const struct profile *p)
{
	uint64_t bytes = p->weights.unseen_bytes;

	take_steps(p, &bytes);
	return (double)bytes;
}

/* The mean distance of samples, the largest there was; 0: there were none. */
static uint64_t largest_period(const struct profile *p)
{
	uint64_t bytes = weights_given_period(&p->weights);
	size_t i;

	take_steps(p, &bytes);
	for (i = 0; i < p->weights.nr; i++)
		take_larger(&bytes, p->weights.period[i]);
	return bytes;
}

uint64_t summary_whole(double x)
{
	if (!(x > 0))
		return 0;
	return x < 0x1p63 ? (uint64_t)x : 1ull << 63;
}

struct report_interval summary_interval(uint64_t sum, double variance, double unseen, uint64_t seen)
{
	double ci[2];

	if (variance <= 0 && unseen <= 0)
		return (struct report_interval){sum, sum};
	weights_interval((double)sum, variance, unseen, (double)seen, ci);
	return (struct report_interval){summary_whole(floor(ci[0])), summary_whole(ceil(ci[1]))};
}

enum seen {
	SEEN_EXACT = 1 << 0,
	SEEN_SAMPLED = 1 << 1,
	SEEN_WINDOWS = 1 << 2,
};

/* Samples that a program took of itself come whatever the step; beside them others may be exact. */
static unsigned int seen_of_sites(const struct profile *p)
{
	unsigned int seen = 0;
	size_t i;

	for (i = 0; i < p->sites.nr; i++) {
		seen |= p->sites.item[i]->sampled_samples ? SEEN_SAMPLED : 0;
		if (p->sites.item[i]->sampled_samples != p->sites.item[i]->alloc_samples)
			seen |= SEEN_EXACT;
	}
	return seen;
}

static unsigned int seen_of_steps(const struct profile *p)
{
	unsigned int seen = p->nr_windows ? SEEN_WINDOWS : 0;
	size_t i;

	for (i = 0; i < p->nr_steps; i++) {
		if (p->step[i].mode == STEP_EXACT)
			seen |= SEEN_EXACT;
		else
			seen |= p->step[i].mode == STEP_SAMPLED ? SEEN_SAMPLED : SEEN_WINDOWS;
	}
	return seen;
}

/* The step that a governor starts with holds from the beginning, however long it took to take it. */
static bool is_first_step_the_start(const struct profile *p)
{
	return p->nr_steps &&
	       (p->step[0].why == STEP_START || p->step[0].head.time_ns <= p->run.head.time_ns);
}

static enum report_basis basis_of(const struct profile *p)
{
	unsigned int seen = seen_of_steps(p);

	if (!is_first_step_the_start(p))
		seen |= p->run.sample_bytes > 1 ? SEEN_SAMPLED : SEEN_EXACT;
	if (p->weights.given_least || (!p->nr_steps && p->weights.unseen_bytes))
		seen = (seen & ~(unsigned int)SEEN_EXACT) | seen_of_sites(p);
	switch (seen) {
	case 0:
	case SEEN_EXACT:
		return BASIS_EXACT;
	case SEEN_SAMPLED:
		return BASIS_SAMPLED;
	case SEEN_WINDOWS:
		return BASIS_WINDOWS;
	default:
		return BASIS_MIXED;
	}
}

static double watched_s(const struct profile *p)
{
	uint64_t ns = p->watched_ns;

	if (!p->unwatched && p->last_ns > p->watch_ns)
		ns += p->last_ns - p->watch_ns;
	return (double)ns / 1e9;
}

static double first_step_away_s(const struct profile *p)
{
	size_t i;

	for (i = 0; i < p->nr_steps && p->step[i].mode == STEP_EXACT; i++)
		;
	if (i == p->nr_steps || p->run.sample_bytes > 1)
		return 0;
	if (!i && is_first_step_the_start(p))
		return 0;
	return profile_window_s(p, p->step[i].head.time_ns);
}

static void describe(const struct profile *p, struct report *out)
{
	char period[FORMAT_MAX], until[40] = "";
	double exact_s = first_step_away_s(p);

	format_bytes(largest_period(p), period, sizeof(period));
	if (exact_s > 0)
		snprintf(until, sizeof(until), "exact until %.1f s, ", exact_s);
	if (p->nr_windows)
		snprintf(
			out->basis_note, sizeof(out->basis_note),
			"%sfollowed for %.1f of %.1f s in all: live is of the last stretch, totals "
			"are of all of them and not scaled up",
			until, out->watched_s, out->duration_s);
	else if (out->basis == BASIS_SAMPLED)
		snprintf(out->basis_note, sizeof(out->basis_note),
			 "estimates, from one sample in %s on average; intervals of 95 %%", period);
	else if (out->basis == BASIS_MIXED)
		snprintf(out->basis_note, sizeof(out->basis_note),
			 "%sestimates from one sample in %s or more often; intervals of 95 %%",
			 until[0] ? until : "exact counts and ", period);
}

static int add_steps(const struct profile *p, struct report *out)
{
	const struct record_step *step;
	size_t i;

	out->step = calloc(p->nr_steps + 1, sizeof(*out->step));
	if (!out->step)
		return -ENOMEM;
	for (i = 0; i < p->nr_steps; i++) {
		step = &p->step[i];
		out->step[out->nr_steps++] = (struct report_step){
			.at_s = profile_window_s(p, step->head.time_ns),
			.mode = step->mode,
			.why = step->why,
			.period_bytes = step->period_bytes,
			.duty_pct = step->duty_permille / 10.0,
			.overhead_pct = step->overhead_ppm / 1e4,
		};
	}
	return 0;
}

int summary_basis(const struct profile *p, struct report *out)
{
	out->basis = basis_of(p);
	out->watched_s = watched_s(p);
	out->last_watched_s = p->unwatched ? profile_window_s(p, p->unwatched_ns) : -1;
	out->live_since_s = p->nr_windows ? profile_window_s(p, p->watch_ns) : 0;
	if (out->basis == BASIS_SAMPLED && out->sample_bytes == 1)
		take_larger(&out->sample_bytes, largest_period(p));
	describe(p, out);
	return add_steps(p, out);
}
