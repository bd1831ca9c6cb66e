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

struct leak_facts {
	double window_s;
	struct trend trend; /* of live bytes */
	uint64_t live_bytes, live_objects;
	uint64_t alloc_objects, free_objects;
	uint32_t survivor_epochs; /* bit i: blocks born in epoch i are live */
	double usual_lifetime_s; /* 95 % of the freed blocks were freed by this age; 0: none was freed */
	uint64_t live_old;	 /* live objects older than twice that */
	double oldest_age_s;
	double recent_growth_objects; /* of this site, in the last third of the window */
	double recent_unknown_frees;  /* of the process, in the last third */
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
