/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is it a leak? One word a site, with the evidence.
 *
 * LEAKING needs all of: growth whose 95 % interval lies above zero; no deceleration (the last third of
 * the window grows by more than half of what the first third did); survivors in most of the epochs
 * in which the site allocated; blocks that outlive the site's usual lifetime. And nothing else may
 * explain the growth: lost events, or frees of blocks older than the attach, which are what a full
 * cache looks like whose old entries we never saw allocated.
 *
 * When blocks are sampled, objects here are samples: what was really seen is the evidence, not what it stands for.
 * Samples of a steady leak fall into epochs by chance, so they are held against the number of epochs that as many
 * samples would reach. With fewer than LEAK_MIN_SAMPLES of them nothing is proved.
 *
 * Frees of blocks older than the attach cannot be counted then, as the frees of blocks that were not sampled look
 * the same. But calls and frees are counted exactly, so the net change of the number of blocks is known. What the
 * growing sites seem to have gained, less that, is what such frees would have to be (recent_unknown_frees), with the
 * error of the gain (recent_unknown_error). Sites that do not grow stay out of it: they would add their noise and
 * nothing else; one that shrinks makes for caution. Two things may be true, that no such free explains the growth of
 * a site, g, or that they explain all of it. It can be a leak only if the second is excluded at 2 standard errors,
 * and it is said to be explained if more than half of g is, at 2 standard errors. With 16 samples born in the last
 * third both errors are rare; with a few, a leak is only called growing. Without error, the rule is that of exact runs.
 *
 * The probability is the share of old blocks never freed (with a uniform prior), times the share of
 * epochs with survivors, times how far the growth is from zero in units of its interval.
 */
#ifndef SEEP_CORE_LEAK_H
#define SEEP_CORE_LEAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report.h"
#include "stats.h"

#define LEAK_EPOCHS 32 /* the window is cut into as many */
#define LEAK_MIN_SAMPLES 4

struct leak_facts {
	double window_s;
	struct trend trend; /* of live bytes */
	uint64_t live_bytes, live_objects;
	uint64_t alloc_objects, free_objects;
	uint32_t survivor_epochs; /* bit i: blocks born in epoch i are live */
	double usual_lifetime_s; /* 95 % of the freed blocks were freed by this age; 0: none was freed */
	uint64_t live_old;	 /* live objects older than twice that */
	double oldest_age_s;
	double recent_growth_objects; /* of this site, in the last third of the window; estimated */
	double recent_unknown_frees;  /* of the process, in the last third */
	double recent_unknown_error;  /* standard error of it; 0 when exact */
	bool sampled;		      /* not every block was followed; of objects above, samples */
	bool unwatched;		      /* there was a time in which nothing was followed */
	bool losses;		      /* events were lost and not recovered: frees may be missing */
};

struct leak_verdict {
	enum verdict verdict;
	double probability;
	char evidence[160];
};

void leak_judge(const struct leak_facts *facts, struct leak_verdict *out);

/* What a site's rank is: bytes per hour times probability, then live bytes. Negative: a before b. */
int leak_compare(const struct report_site *a, const struct report_site *b);

#endif
