/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a line of the report left at the ends of windows, and what that says beside the rest of its process. */
#ifndef SEEP_CORE_SUMMARY_WINDOWS_H
#define SEEP_CORE_SUMMARY_WINDOWS_H

#include "leak_windows.h"
#include "profile_impl.h"

#define SIZE_CLASSES 64 /* of the mean size of what a line left, by its binary logarithm */

/* Of an owner: all lines, and the kernel's counters. */
struct owner_windows {
	uint64_t seen_gone[SIZE_CLASSES]; /* samples, of lines that show that addresses come back */
	double kept_objects, kept_variance, remaining_objects;
	double net, net_variance; /* blocks gained in windows */
	bool net_known;
	uint64_t missed; /* events lost since the first window was over */
};

void owner_windows_count(struct owner_windows *owner, const struct profile *profile,
			 const struct target *target);

/* Of a line: all its sites. Zeroed is: none. */
struct group_windows {
	struct left *left;    /* allocated; NULL: nothing */
	uint64_t alloc, free; /* samples */
	double expected;
	double objects_variance;
	bool sampled;
	double kept;
};

void group_windows_release(struct group_windows *group);
/* 0 or -ENOMEM. */
int group_windows_add(struct group_windows *group, const struct profile *profile,
		      const struct site *site);
/* All sites have been added: tells the owner. */
void group_windows_finish(struct group_windows *group, struct owner_windows *owner);
/* All lines are finished. False: the stretch of now says more, or there is nothing to say. */
bool group_windows_facts(const struct group_windows *group, const struct owner_windows *owner,
			 const struct profile *profile, struct leak_windows *out);

#endif
