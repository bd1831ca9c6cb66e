/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose the sites of a report are: processes, or all processes of a comm or of a cgroup. Linear in processes, sites and
 * blocks. Only the summary includes this.
 */
#ifndef SEEP_CORE_SUMMARY_OWNERS_H
#define SEEP_CORE_SUMMARY_OWNERS_H

#include "summary.h"
#include "summary_windows.h"

/* Where a block is that was not freed. */
enum holding_kind {
	HOLDING_LIVE = 0,
	HOLDING_HELD = 1, /* at the exit of its process */
	HOLDING_LEFT = 2, /* at the end of its window */
	HOLDING_NR = 3,
};

struct holding {
	uint64_t objects, bytes;
	uint64_t samples;
	uint64_t seen_bytes; /* of the blocks themselves */
	struct variance variance;
};

void holding_add(struct holding *holding, const struct weights *weights,
		 const struct heap_block *block);

struct owner {
	struct report_group out;
	struct holding holding[HOLDING_NR];
	struct variance alloc_variance;
	uint64_t alloc_samples;
	struct series *series; /* of live bytes; NULL: 0 all the time */
	/* In the last third of the window: */
	double unknown_frees; /* by the kernel's counter, of what was followed */
	double net_blocks;    /* gained, whatever was sampled */
	bool net_known;
	double grown_objects; /* by growing sites */
	double grown_variance;
	struct owner_windows windows;
};

struct owners {
	const struct profile *profile;
	enum report_by by;
	struct owner *item;
	size_t nr, cap;
	size_t *of_image; /* index of the owner, by the image's number */
	struct map64 by_key, members;
};

/* Who there is. 0 or -ENOMEM; release in either case. */
int owners_make(struct owners *owners, const struct profile *profile, enum report_by by);
void owners_release(struct owners *owners);
struct owner *owners_of(const struct owners *owners, const struct image *image);
/* The level of a site. 0 or -ENOMEM. */
int owners_add_site(struct owners *owners, const struct site *site);
/* Their part of the report, ranked; all sites and blocks have been added. 0 or -ENOMEM. */
int owners_report(struct owners *owners, struct report *out);

/* When the blocks of an image (NULL: of several) were last looked at, and since when in one go. */
uint64_t summary_end_ns(const struct profile *profile, const struct image *image);
uint64_t summary_start_ns(const struct profile *profile, uint64_t end_ns);
/* Gained in the last third of the window until then; 0 when that cannot be said, or it is a loss. */
double summary_recent(const struct profile *profile, const struct series *series, uint64_t end_ns);

#endif
