/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each allocating stack of each process image did: totals, lifetimes and the level over time.
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

#define SITE_LIFETIMES 64
#define SITES_RECENT 256

struct site {
	uint32_t proc, stack;
	uint64_t alloc_objects, alloc_bytes;
	uint64_t free_objects, free_bytes;
	uint64_t released_objects, released_bytes; /* gone with the image, or lost */
	/* Freed blocks by the binary logarithm of their age in ns; all are halved before one would wrap. */
	uint32_t lifetime[SITE_LIFETIMES];
	struct series *series; /* of live bytes; NULL before the first tick */
	bool held;	       /* its process has exited: the series ends with what it had then */
	bool ended;	       /* and has ended */
	struct site *next;     /* of the same image */
	size_t group;	       /* scratch of a report under way */
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

void site_add_alloc(struct site *site, uint64_t bytes);
void site_add_free(struct site *site, uint64_t bytes, uint64_t age_ns);
/* A free turns out not to have been: the block lives. Its lifetime stays counted. */
void site_undo_free(struct site *site, uint64_t bytes);
/* One block has gone without having been freed; may be given back with objects of -1. */
void site_add_released(struct site *site, int objects, uint64_t bytes);
/* What is live there now has gone with its process image. */
void site_release(struct site *site);

/* Every site's series takes a point. 0 or -ENOMEM (some have no series then). */
int sites_tick(struct sites *sites, double time_s);

/* Age in s below which a share (0..1) of the freed blocks was freed, rounded up to a power of two; 0 when none was
 * freed. */
double lifetime_quantile(const uint64_t *lifetime, double share);

#endif
