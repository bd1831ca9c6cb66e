/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often processes call functions: counted for a moment, before they are followed, so that it can be told what that
 * will cost.
 *
 * A multi link with a program that counts is set at all places, and taken out after 50 ms, or as soon as the counting has
 * taken so much of the targets' time as it may. For the 20 to 40 ms that the kernel takes to remove it, calls go on to
 * cost. Needs the kernel's multi links (6.6): the alternative, perf events, would take seconds to remove.
 *
 *	error = callrate_count(place, nr, &options, &rate);
 *	if (!error)
 *		governor_predict(&governor_options, &rate.count, &prediction);
 */
#ifndef SEEP_SYS_CALLRATE_H
#define SEEP_SYS_CALLRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "governor.h"

/* A probed instruction. Those of one process and file lie together. All borrowed for the call. */
struct callrate_place {
	pid_t tgid;	  /* 0: every process */
	const char *path; /* by which the kernel finds the file */
	uint64_t offset;
	bool frees;
	bool emulated;
};

#define CALLRATE_MAX_PLACES 4096

struct callrate_options {
	uint32_t emulated_ns, stepped_ns; /* of a hit, as calibrated; 0: a guess */
	uint64_t max_ns;		  /* how long; 0: 50 ms */
	uint64_t limit_ns; /* of the targets' CPU time that counting may take; 0: 20 ms */
	/* Setting links takes up to 17 ms each: no more than so many processes are counted; 0: 8. */
	size_t max_processes;
};

struct callrate {
	struct governor_count count;
	double stepped_calls, stepped_frees; /* share of these hits at single-stepped places */
	size_t nr_processes;		     /* counted: the CPU time is theirs; 0: every process */
	size_t nr_places;		     /* counted, the first so many */
};

/*
 * hits: NULL, or nr numbers that get the calls at each place in count.counted_ns; 0 for places beyond nr_places. 0 or
 * negative errno: -ENOTSUP this kernel has no multi links; -ESRCH, -ENOENT the processes, or files, have gone, all of them;
 * -EINVAL no places.
 */
int callrate_count(const struct callrate_place *place, size_t nr,
		   const struct callrate_options *options, uint64_t *hits, struct callrate *out);

#endif
