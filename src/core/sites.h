/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each allocating stack of each process image did: totals, lifetimes and the level over time.
 *
 * Objects and bytes are sums of weights (core/weights.h): what is estimated when not every block is followed, and just
 * what there was when each is. Samples are the blocks that were followed.
 *
 * Totals are sums over events and do not depend on their order: live = alloc - free - released, which
 * may be negative for a moment when a free is seen before its allocation. Sums wrap: sizes in an
 * untrusted capture may be any.
 */
#ifndef SEEP_CORE_SITES_H
#define SEEP_CORE_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hash.h"
#include "stats.h"
#include "weights.h"
#include "windows.h"

#define SITE_LIFETIMES 64
#define SITES_RECENT 256

struct site {
	uint32_t proc, stack;
	uint64_t alloc_objects, alloc_bytes;
	uint64_t free_objects, free_bytes;
	uint64_t released_objects, released_bytes; /* gone with the image or the window, or lost */
	uint64_t alloc_samples, free_samples;
	struct variance alloc_variance;
	uint64_t heaviest;	  /* objects that one of its samples stood for; 0: all were exact */
	uint64_t sampled_samples; /* of alloc_samples, those that were not exact */
	/* Freed blocks by the binary logarithm of their age in ns; all are halved before one would wrap. */
	uint32_t lifetime[SITE_LIFETIMES];
	struct series *series; /* of live bytes; NULL while they were 0 at every tick */
	struct left
		*left; /* at the ends of windows; NULL: nothing, or its process has called exec */
	uint64_t past_samples; /* of alloc_samples, those live when their window ended */
	uint64_t gone_bytes;   /* released before its process exited */
	bool held;	       /* its process has exited: the series ends with what it had then */
	bool ended;	       /* and has ended, at the tick of end_s */
	float end_s;
	struct site *next; /* of the same image */
	size_t group;	   /* scratch of a report under way */
};

struct sites {
	struct site **item; /* in order of first sight */
	size_t nr, cap;
	struct map64 by_key;
	struct site *recent[SITES_RECENT]; /* by hash: most events are of few sites */
	struct series empty; /* what a site's series would be that had nothing since the start */
};

void sites_release(struct sites *sites);

/* Finds or adds; a new one goes into the list of its image. NULL: no memory. The pointer stays valid. */
struct site *sites_get(struct sites *sites, struct site **list, uint32_t proc, uint32_t stack);
/* NULL: not there. */
struct site *sites_find(const struct sites *sites, uint32_t proc, uint32_t stack);

int64_t site_live_bytes(const struct site *site);
int64_t site_live_objects(const struct site *site);

void site_add_alloc(struct site *site, struct weight weight);
/* Of a sampled block, besides. */
void site_add_variance(struct site *site, struct weight weight, struct variance variance);
void site_add_free(struct site *site, struct weight weight, uint64_t age_ns);
/* A free turns out not to have been: the block lives. Its lifetime stays counted. */
void site_undo_free(struct site *site, struct weight weight);
/* One block has gone without having been freed; may be given back with a sign of -1. */
void site_add_released(struct site *site, int sign, struct weight weight);
/* What is live there now has gone with its process image, or its window. */
void site_release(struct site *site);
/* Likewise with the exit of its process. */
void site_exit(struct site *site);
/*
 * Likewise at the end of the window that was added to windows last; but what was live then is looked after from now on,
 * unless windows is NULL. 0 or -ENOMEM (it is not).
 */
int site_leave(struct site *site, struct windows *windows);
/* An allocation, or with a sign of -1 a free, of a window that is over was told of late. */
void site_leave_late(struct site *site, struct windows *windows, uint64_t birth_ns,
		     struct weight weight, int sign);
/* What it left has gone with its process image, and unless is_kept is of no interest any more. */
void site_end_left(struct site *site, struct windows *windows, bool is_kept);

/* Every site's series takes a point. 0 or -ENOMEM (some miss it then). */
int sites_tick(struct sites *sites, double time_s);
/* A new window: levels of the one before say nothing of this one. Series that have ended stay. */
void sites_restart(struct sites *sites);
/* The series of a site, also where it has none of its own. */
void sites_series(const struct sites *sites, const struct site *site, struct series *out);

/* Age in s below which a share (0..1) of the freed blocks was freed, rounded up to a power of two; 0 when none was
 * freed. */
double lifetime_quantile(const uint64_t *lifetime, double share);

#endif
