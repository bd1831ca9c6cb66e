// SPDX-License-Identifier: GPL-2.0-or-later
#include "leak.h"

#include <math.h>
#include <stdio.h>

#include "parse.h"

#define DECELERATION 0.5     /* last third over first third, below which growth is flattening */
#define EPOCH_SHARE 0.7	     /* of the epochs need survivors */
#define RISING_SHARE 0.6     /* of the steps go up */
#define STARTUP_SHARE 0.2    /* survivors in so few epochs, and growth over, is a table */
#define CHURN_FREED 0.5	     /* a site that frees as much of what it allocates */
#define UNKNOWN_EXPLAINS 0.5 /* unknown frees per object grown */
#define OLD_SHARE 0.25	     /* of the live blocks are older than the usual lifetime allows */

/* Of so many epochs, those that samples at random moments would fall into. */
static double epochs_reached(unsigned int nr, uint64_t samples)
{
	return nr * (1 - pow(1 - 1.0 / nr, (double)samples));
}

/* Would frees of blocks that we never saw allocated account for the growth? */
static bool unknown_frees_explain(const struct leak_facts *f)
{
	double error = 2 * f->recent_unknown_error;

	if (f->recent_unknown_frees - error > UNKNOWN_EXPLAINS * f->recent_growth_objects)
		return true;
	return error > 0 && f->recent_unknown_frees + error >= f->recent_growth_objects;
}

/*
 * How many epochs have survivors, of those in which the site can have allocated: from the first with
 * survivors on, and not more than it made allocations.
 */
static double epoch_share(const struct leak_facts *f, unsigned int *nr, unsigned int *of)
{
	*nr = (unsigned int)__builtin_popcount(f->survivor_epochs);
	*of = 0;
	if (!*nr)
		return 0;
	*of = LEAK_EPOCHS - (unsigned int)__builtin_ctz(f->survivor_epochs);
	if (f->alloc_objects < *of)
		*of = (unsigned int)f->alloc_objects;
	if (f->sampled && *of)
		*of = (unsigned int)lround(epochs_reached(*of, f->live_objects));
	if (*of < *nr)
		*of = *nr;
	return (double)*nr / *of;
}

/* From the first epoch with survivors to the last. */
static unsigned int epoch_span(uint32_t epochs)
{
	if (!epochs)
		return 0;
	return LEAK_EPOCHS - (unsigned int)__builtin_clz(epochs) -
	       (unsigned int)__builtin_ctz(epochs);
}

static bool decelerating(const struct trend *t)
{
	return t->first_third > 0 && t->last_third <= DECELERATION * t->first_third;
}

static double never_freed(const struct leak_facts *f)
{
	double freed_late = 0.05 * (double)f->free_objects; /* by the meaning of a 95 % quantile */

	return ((double)f->live_old + 1) / ((double)f->live_old + freed_late + 2);
}

static double growth_certainty(const struct trend *t)
{
	double half = (t->ci[1] - t->ci[0]) / 2, sigmas;

	if (!t->usable || t->per_s <= 0)
		return 0;
	if (half <= 0)
		return 1;
	sigmas = 1.96 * t->per_s / half;
	return erf(sigmas / sqrt(2));
}

static double leak_probability(const struct leak_facts *f)
{
	unsigned int nr, of;
	double p = growth_certainty(&f->trend) * never_freed(f) * epoch_share(f, &nr, &of);

	if (decelerating(&f->trend))
		p *= 0.2;
	return p;
}

static void judge_flat(const struct leak_facts *f, struct leak_verdict *out)
{
	double freed = f->alloc_objects ? (double)f->free_objects / (double)f->alloc_objects : 0;
	unsigned int span = epoch_span(f->survivor_epochs);

	out->verdict = VERDICT_HELD;
	if (freed >= CHURN_FREED) {
		out->verdict = VERDICT_CHURN;
		snprintf(out->evidence, sizeof(out->evidence),
			 "%.0f%% of what it allocates is freed, no growth", 100 * freed);
	} else if (!f->survivor_epochs) {
		snprintf(out->evidence, sizeof(out->evidence), "kept until %s",
			 f->unwatched ? "following stopped, or its process exited"
				      : "its process called exec or exited");
	} else if (span <= STARTUP_SHARE * LEAK_EPOCHS && f->live_objects) {
		out->verdict = VERDICT_STARTUP;
		snprintf(out->evidence, sizeof(out->evidence),
			 "allocated %.0f s ago within %.0f%% of the window, kept since",
			 f->oldest_age_s, 100.0 * span / LEAK_EPOCHS);
	} else {
		snprintf(out->evidence, sizeof(out->evidence),
			 "kept, no growth that can be told from noise");
	}
}

/* Growth that is no proof of a leak: says what could explain it. False: nothing does. */
static bool judge_explained(const struct leak_facts *f, struct leak_verdict *out)
{
	unsigned int nr, of;
	double share = epoch_share(f, &nr, &of);
	const char *why = NULL;

	out->verdict = VERDICT_GROWING;
	if (f->losses) {
		why = "but lost events could explain it";
	} else if (f->sampled && f->live_objects < LEAK_MIN_SAMPLES) {
		why = "but there are too few samples to tell";
	} else if (unknown_frees_explain(f)) {
		if (f->sampled)
			why = "but frees of blocks older than the attach could explain it";
		else
			snprintf(out->evidence, sizeof(out->evidence),
				 "grows, but as many blocks older than the attach are freed (%.0f "
				 "of late)",
				 f->recent_unknown_frees);
		if (!why)
			return true;
	} else if (share < EPOCH_SHARE) {
		why = "but not in every part of the window";
	} else if (f->trend.rising_share < RISING_SHARE) {
		why = "but not steadily";
	} else if (f->usual_lifetime_s > 0 &&
		   (double)f->live_old < OLD_SHARE * (double)f->live_objects) {
		snprintf(out->evidence, sizeof(out->evidence),
			 "grows, but its blocks usually live %.3g s: watch for longer",
			 f->usual_lifetime_s);
		return true;
	}
	if (!why)
		return false;
	snprintf(out->evidence, sizeof(out->evidence), "grows, %s", why);
	return true;
}

void leak_judge(const struct leak_facts *f, struct leak_verdict *out)
{
	unsigned int nr, of;
	char freed[32];

	*out = (struct leak_verdict){.verdict = VERDICT_UNKNOWN};
	if (!f->trend.usable) {
		snprintf(out->evidence, sizeof(out->evidence), "%s",
			 f->unwatched ? "followed for too short a time to tell"
				      : "window too short to tell");
		return;
	}
	out->probability = leak_probability(f);
	if (f->trend.ci[0] <= 0 || !f->live_objects) {
		judge_flat(f, out);
		return;
	}
	if (decelerating(&f->trend)) {
		out->verdict = VERDICT_SATURATING;
		snprintf(out->evidence, sizeof(out->evidence),
			 "growth fell to %.0f%% of what it was at first",
			 100 * fmax(0, f->trend.last_third) / f->trend.first_third);
		return;
	}
	if (judge_explained(f, out))
		return;
	out->verdict = VERDICT_LEAKING;
	(void)epoch_share(f, &nr, &of);
	format_count(f->free_objects, freed, sizeof(freed));
	snprintf(out->evidence, sizeof(out->evidence),
		 "steady growth, survivors in %u of %u epochs, %s of its %s ever freed", nr, of,
		 f->free_objects ? freed : "none", f->sampled ? "samples" : "blocks");
}

int leak_compare(const struct report_site *a, const struct report_site *b)
{
	double rank_a = fmax(0, a->growth_bytes_per_s) * a->probability;
	double rank_b = fmax(0, b->growth_bytes_per_s) * b->probability;

	/* A leak is what the reader came for, however slow it is. */
	if ((a->verdict == VERDICT_LEAKING) != (b->verdict == VERDICT_LEAKING))
		return a->verdict == VERDICT_LEAKING ? -1 : 1;
	if (rank_a > rank_b || rank_a < rank_b)
		return rank_a > rank_b ? -1 : 1;
	if (a->live_bytes + a->held_bytes != b->live_bytes + b->held_bytes)
		return a->live_bytes + a->held_bytes > b->live_bytes + b->held_bytes ? -1 : 1;
	if (a->alloc_bytes != b->alloc_bytes)
		return a->alloc_bytes > b->alloc_bytes ? -1 : 1;
	return 0;
}
