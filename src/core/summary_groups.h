/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sites and blocks, by the lines of the report that they belong to. Linear in sites and blocks. Only the summary includes
 * this.
 */
#ifndef SEEP_CORE_SUMMARY_GROUPS_H
#define SEEP_CORE_SUMMARY_GROUPS_H

#include "frames.h"
#include "summary_owners.h"
#include "summary_windows.h"

/* Sites whose believed frames are the same: one line of the report. */
struct group {
	struct frames_view view;
	uint32_t proc; /* of the first */
	uint32_t nr_processes;
	uint64_t alloc_objects, alloc_bytes, free_objects;
	uint64_t alloc_samples, free_samples, sampled_samples;
	struct variance alloc_variance;
	uint64_t heaviest;
	uint64_t partial_objects, too_deep_objects; /* of alloc_objects */
	uint64_t lifetime[SITE_LIFETIMES];
	struct series *series;		    /* allocated */
	struct holding holding[HOLDING_NR]; /* at least min-age old */
	uint64_t live_old;		    /* samples */
	uint64_t oldest_birth_ns;
	double recent_variance; /* of objects born in the last third of the window and not freed */
	double usual_lifetime_s;
	uint32_t survivor_epochs;
	struct trend trend;
	struct group_windows windows;
	double recent_growth_objects;
	struct report_site site;
};

struct groups {
	struct profile *p;
	const struct report_options *options;
	struct group *item;
	size_t nr, cap;
	struct map64 by_hash;
	struct map64 members; /* (group, process) */
	struct owners owners;
	/* While a heap is walked: */
	const struct image *image;
	enum holding_kind kind;
	const struct site *last; /* neighbours often come from one site */
};

/* All sites and blocks, of groups->p by groups->options. 0 or -ENOMEM; release in either case. */
int groups_make(struct groups *groups);
void groups_release(struct groups *groups);

#endif
