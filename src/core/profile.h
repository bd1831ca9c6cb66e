/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that is known of a run, made from its stream of records: the same code for a live run and for a replay.
 *
 * Bytes in, numbers out: no system call, no clock (time comes with the records), no logging. Records may be malformed
 * (a capture is untrusted): profile_feed() refuses those with -EBADMSG and stays as it was.
 */
#ifndef SEEP_CORE_PROFILE_H
#define SEEP_CORE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap.h"
#include "record.h"
#include "report.h"

struct profile;

struct profile *profile_new(void); /* NULL: no memory */
void profile_free(struct profile *profile);

/*
 * One record of nr bytes, at a multiple of 8. 0, -EBADMSG (nothing has changed) or -ENOMEM (an event
 * has not been counted; of a tick some series miss a point; all sums hold still).
 */
int profile_feed(struct profile *profile, const void *record, size_t nr);

/* Has RECORD_RUN been fed? Before it there is nothing to report. */
bool profile_is_started(const struct profile *profile);

/* Resync: the live blocks of a process as known here, to be compared with the kernel's; NULL when there is no such
 * process. Borrowed until the next feed. */
struct heap *profile_heap(struct profile *profile, uint32_t proc);

/*
 * Blocks of windows that are over stay in the kernel's block map, which tells when they are seen gone, for as long as they
 * are looked after: not those of processes that are gone, nor the oldest of very many. How many are so no more, since the
 * start: they may be taken out.
 */
bool profile_looks_after(const struct profile *profile, uint32_t proc, uint64_t birth_ns);
uint64_t profile_nr_forgotten(const struct profile *profile);

/* Is the stack known by its frames? An event may name one before its RECORD_STACK came. */
bool profile_knows_stack(const struct profile *profile, uint32_t stack);

/* Calls want() once for every address of a known stack that has no RECORD_SYMBOL yet; pass `address` of that record. */
void profile_unnamed(struct profile *profile,
		     void (*want)(uint32_t proc, uint64_t address, void *arg), void *arg);

/* May a mapping outside allocators be there, as far as is known? What was told of last may not be counted yet. */
bool profile_has_mappings(const struct profile *profile, uint32_t proc);

uint64_t profile_live_bytes(const struct profile *profile);
uint64_t profile_nr_live(const struct profile *profile);
uint64_t profile_nr_events(const struct profile *profile);
uint64_t profile_memory_bytes(const struct profile *profile);

struct report_options {
	size_t top;	       /* sites in the report; 0: all */
	uint64_t min_age_ns;   /* younger blocks do not count as live */
	bool allocator_frames; /* keep the allocator's own frames at the inner end of stacks */
	enum report_by by;
};

/* The report as of the last record. 0 or -ENOMEM. report_release() it. */
int profile_report(struct profile *profile, const struct report_options *options,
		   struct report *out);

#endif
