/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A few sums for each (process image, stack, kind): page faults and mappings, which need no more
 * than that. Later grouped by the frames that are believed.
 */
#ifndef SEEP_CORE_USAGE_H
#define SEEP_CORE_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frames.h"
#include "hash.h"

struct usage {
	uint32_t proc, stack;
	const char *kind; /* static */
	uint64_t sum[3];  /* what is summed is the user's affair */
};

/* Zeroed is empty. */
struct usages {
	struct usage *item; /* in order of first sight */
	size_t nr, cap;
	struct map64 index;
};

void usages_release(struct usages *usages);
struct usage *usages_find(const struct usages *usages, uint32_t proc, uint32_t stack,
			  const char *kind); /* NULL: not there */
/* Finds or adds; valid until the next call. NULL: no memory. */
struct usage *usages_get(struct usages *usages, uint32_t proc, uint32_t stack, const char *kind);

/* Usages of one kind and image, or owner, whose frames are the same. */
struct usage_group {
	struct frames_view view;
	uint32_t proc;	 /* the first */
	bool is_several; /* there are other processes' */
	const char *kind;
	uint64_t sum[3];
};

struct usage_groups {
	struct usage_group *item;
	size_t nr, cap;
	struct map64 index;
};

void usage_groups_release(struct usage_groups *groups);
/* Adds all usages to their groups. 0 or -ENOMEM. */
int usage_groups_add(struct usage_groups *groups, const struct profile *profile, enum report_by by,
		     const struct usages *usages);

#endif
