// SPDX-License-Identifier: GPL-2.0-or-later
#include "leak_windows.h"

#include <math.h>
#include <stdio.h>

#include "parse.h"

#define DECELERATION 0.5	/* as in leak.c, like the next four */
#define SURVIVOR_SHARE 0.7	/* of bins */
#define STARTUP_SHARE 0.2	/* of bins */
#define CHURN_FREED 0.5		/* of what it allocates, or left */
#define UNKNOWN_EXPLAINS 0.5	/* frees per object grown */
#define FREED_AT_MOST (1.0 / 3) /* of what was left */
#define QUIET_MIN 4		/* samples missing where there are none, to say so */
#define OTHERS_MIN 20		/* samples of others that were seen gone */

double leak_poisson_high(uint64_t seen)
{
	double k = (double)seen + 1, root = 1 - 1 / (9 * k) + 1.96 / (3 * sqrt(k));

	return k * root * root * root; /* Wilson and Hilferty */
}

static double share_of(uint64_t part, uint64_t all)
{
	return all ? (double)part / (double)all : 0;
}

/* At most this share of what was left has been freed. */
static double freed_at_most(const struct leak_windows *f)
{
	double high = leak_poisson_high(f->gone + f->missed);

	return high < f->expected ? high / f->expected : 1;
}

/* Of the bins in which the site can have left anything, those of which something survives. */
static double survivor_share(const struct leak_windows *f)
{
	unsigned int nr = (unsigned int)__builtin_popcount(f->survivor_bins), of;

	if (!nr)
		return 0;
	of = f->nr_bins - (unsigned int)__builtin_ctz(f->survivor_bins);
	if (f->left < of)
		of = (unsigned int)f->left;
	if (f->sampled && of)
		of = (unsigned int)lround(of * (1 - pow(1 - 1.0 / of, (double)f->left)));
	return of > nr ? (double)nr / of : 1;
}

static bool frees_explain(const struct leak_windows *f)
{
	double error = 2 * f->unknown_error;

	if (f->unknown_most <= UNKNOWN_EXPLAINS * f->grown_objects)
		return false;
	if (f->unknown_frees - error > UNKNOWN_EXPLAINS * f->grown_objects)
		return true;
	return error > 0 && f->unknown_frees + error >= f->grown_objects;
}

static double growth_certainty(const struct trend *t)
{
	double half = (t->ci[1] - t->ci[0]) / 2;

	if (t->per_s <= 0)
		return 0;
	return half > 0 ? erf(1.96 * t->per_s / half / sqrt(2)) : 1;
}

static double leak_probability(const struct leak_windows *f)
{
	double freed = fmin(1, ((double)f->gone + 1) / (f->expected + 2));
	double p = growth_certainty(&f->trend) * (1 - freed) * survivor_share(f);

	return f->trend.last_third <= DECELERATION * f->trend.first_third ? 0.2 * p : p;
}

/* "left live in 41 of 43 windows, 0 of its 3,120 blocks seen freed since" */
static void say_left(const struct leak_windows *f, struct leak_verdict *out, const char *before,
		     const char *after)
{
	char left[FORMAT_MAX], gone[FORMAT_MAX];

	format_count(f->left, left, sizeof(left));
	format_count(f->gone, gone, sizeof(gone));
	snprintf(out->evidence, sizeof(out->evidence),
		 "%sleft live in %u of %u windows, %s of its %s %s seen freed since%s", before,
		 f->windows, f->of_windows, f->gone ? gone : "none", left,
		 f->sampled ? "samples" : "blocks", after);
}

static void judge_flat(const struct leak_windows *f, struct leak_verdict *out)
{
	unsigned int first = f->survivor_bins ? (unsigned int)__builtin_ctz(f->survivor_bins) : 0;
	unsigned int last =
		f->survivor_bins ? 32 - (unsigned int)__builtin_clz(f->survivor_bins) : 0;

	if (share_of(f->free + f->gone, f->alloc) >= CHURN_FREED ||
	    (f->left && 1 - f->kept >= CHURN_FREED)) {
		out->verdict = VERDICT_CHURN;
		say_left(f, out, "", ", no growth");
		if (!f->gone)
			snprintf(out->evidence, sizeof(out->evidence),
				 "%.0f%% of what it allocates is freed, no growth",
				 100 * share_of(f->free, f->alloc));
		return;
	}
	if (survivor_share(f) < SURVIVOR_SHARE && f->quiet_left < QUIET_MIN) {
		out->probability = 0;
		say_left(f, out, "followed for too short a time to tell: ", "");
		return;
	}
	out->verdict = VERDICT_HELD;
	if (last - first <= STARTUP_SHARE * f->nr_bins) {
		out->verdict = VERDICT_STARTUP;
		say_left(f, out, "", "");
		return;
	}
	say_left(f, out, "", "; no growth that can be told from noise");
}

/* Growth that is no proof of a leak. False: nothing explains it. */
static bool judge_explained(const struct leak_windows *f, struct leak_verdict *out)
{
	const char *why = NULL;

	out->verdict = VERDICT_GROWING;
	if (f->losses)
		why = "; lost events could explain it";
	else if (f->sampled && f->left - f->gone < LEAK_MIN_SAMPLES)
		why = ": too few to tell";
	else if (survivor_share(f) < SURVIVOR_SHARE)
		why = ", but not in every part of the time";
	else if (freed_at_most(f) > FREED_AT_MOST)
		why = f->gone > f->expected / 4 ? ": others may have been, unseen"
						: ": watch for longer";
	else if (f->others_gone < OTHERS_MIN)
		why = ", but few of other sites' were";
	else if (frees_explain(f))
		why = "; frees of older blocks could explain it";
	if (!why)
		return false;
	say_left(f, out, "grows: ", why);
	return true;
}

void leak_judge_windows(const struct leak_windows *f, struct leak_verdict *out)
{
	char gone[FORMAT_MAX], others[FORMAT_MAX + 48];

	*out = (struct leak_verdict){.verdict = VERDICT_UNKNOWN};
	out->probability = leak_probability(f);
	if (f->trend.ci[0] <= 0) {
		judge_flat(f, out);
		return;
	}
	if (f->trend.last_third <= DECELERATION * f->trend.first_third) {
		out->verdict = VERDICT_SATURATING;
		snprintf(out->evidence, sizeof(out->evidence),
			 "in windows, growth fell to %.0f%% of what it was at first",
			 100 * f->trend.last_third / f->trend.first_third);
		return;
	}
	if (judge_explained(f, out))
		return;
	out->verdict = VERDICT_LEAKING;
	format_count(f->others_gone, gone, sizeof(gone));
	snprintf(others, sizeof(others), ", where %s of others' were", gone);
	say_left(f, out, "", others);
}
