/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of blocks that were live when a window ended.
 *
 * A busy program is followed in short windows. What a site left live at the end of one may be freed in a gap, where
 * nobody sees it; but the kernel's block map still has it, and tells of it (FREE_UNWATCHED) when in a later window it is
 * freed, or its address is, or is handed out again. So for each site it is known how many blocks it left, and how many of
 * them were seen gone since. By two ways that says what became of the others:
 *
 *	frees	of blocks that are freed at any time, as many are seen as there are windows in that time. A site that
 *		had freed all it left would have shown so many frees; if it has shown nearly none, it has not
 *	reuse	a busy program hands freed addresses out again, so that most of what is freed is found out in the end,
 *		and what a site keeps is what remains of its oldest blocks
 *
 * Only sums are kept, here and for each site: windows lie in at most WINDOWS_BINS bins of equally many, neighbours of
 * which are merged when there is no room for the next one. The blocks themselves are in the kernel's map alone. Of more
 * than WINDOWS_MAX_BLOCKS the oldest are given up, down to half as many.
 *
 * Samples are blocks that were followed; objects and bytes are what they stand for (core/weights.h). Sums wrap, and times
 * of an untrusted capture may be any. Pure; no memory of its own.
 */
#ifndef SEEP_CORE_WINDOWS_H
#define SEEP_CORE_WINDOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats.h"
#include "weights.h"

#define WINDOWS_BINS 16
#define WINDOWS_MAX_BLOCKS 262144

/* Zeroed is: no window is over yet. */
struct windows {
	struct {
		uint64_t start_ns, watched_ns; /* of its first window; sum of its windows */
		uint64_t blocks; /* left there by whatever site, and not seen gone since */
	} bin[WINDOWS_BINS];
	uint64_t end_ns;    /* of the last one */
	uint32_t nr;	    /* of windows in bins */
	unsigned int shift; /* a bin that is full has 1 << shift of them */
	uint64_t since_ns;  /* blocks born before then have been given up */
	uint64_t given_up;  /* blocks */
	uint64_t dead;	    /* blocks whose process is gone; in no bin */
};

struct left_sum {
	uint64_t samples, objects, bytes;
};

/* What a site, or several, left at the ends of windows. Zeroed is: nothing. */
struct left {
	struct {
		struct left_sum left, gone; /* gone: seen since, of left */
		uint32_t windows; /* in which it left anything; of several sites, the most */
	} bin[WINDOWS_BINS];
};

unsigned int windows_nr_bins(const struct windows *windows);

/* Must be done, for all sites as well (left_merge()), before the next window is added. */
bool windows_is_full(const struct windows *windows);
void windows_merge(struct windows *windows);
void left_merge(struct left *left);

/* A window is over; it goes into the last bin. */
void windows_add(struct windows *windows, uint64_t start_ns, uint64_t end_ns);

/* The oldest bins that have to be dropped for there being too many blocks, if any; likewise for all sites. */
unsigned int windows_excess(const struct windows *windows);
void windows_drop(struct windows *windows, unsigned int nr_bins);
void left_drop(struct left *left, unsigned int nr_bins);

/* At the end of the window that was added last: all that a site has live. */
void left_add(struct windows *windows, struct left *left, const struct left_sum *sum);
/* One block more, or with a sign of -1 one less, of a window that is over: it was told of late. False: of none of them. */
bool left_correct(struct windows *windows, struct left *left, uint64_t birth_ns,
		  struct weight weight, int sign);
/* One block was seen gone. False: it had been given up. */
bool left_gone(struct windows *windows, struct left *left, uint64_t birth_ns, struct weight weight);

/* The process is gone, and nothing will be told of its blocks. What is known of them stays in left. */
void left_end(struct windows *windows, const struct left *left);

/* Adds what another site left. */
void left_add_left(struct left *sum, const struct left *other);
/* Over all bins: what was left, and what of it has not been seen gone. */
struct left_sum left_total(const struct left *left);
struct left_sum left_remaining(const struct left *left);

/*
 * The share of what is left that stays, as far as can be told: that of the oldest third of the samples that has not been
 * seen gone; and if that is less than of the next third, so that they are still going, what it will be if that goes on
 * for as long again. Where it is less than a tenth, the rest may well go too: 0.
 */
double left_kept(const struct left *left);

/*
 * How many frees of its samples would have been seen until end_ns if all of them had been freed since, each at any time.
 * watching_ns: how much of the time before end_ns belongs to a window that is not over.
 */
double windows_expected(const struct windows *windows, const struct left *left, uint64_t end_ns,
			uint64_t watching_ns);

/*
 * Growth of bytes in the time that was watched: what was left, times the share that is kept, by bin. Bins are taken to be
 * independent, and count the same whatever their lengths: one long one, full of what was made at the start, must not be
 * all there is. Not usable with fewer than WINDOWS_MIN_BINS.
 */
#define WINDOWS_MIN_BINS 5
void windows_trend(const struct windows *windows, const struct left *left, double kept,
		   struct trend *out);

/* What a process gained in blocks by the kernel's exact counters, by bin. */
struct windows_net {
	double bin[WINDOWS_BINS];
	double counted; /* so far in all */
};

void net_merge(struct windows_net *net);
void net_drop(struct windows_net *net, unsigned int nr_bins);
/* After windows_add(). counted: what the counters say by then. */
void net_add(const struct windows *windows, struct windows_net *net, double counted);
/*
 * The gain over all bins, and its variance: blocks that live for a moment make it go up and down from one bin to the next,
 * by more than their lengths explain.
 */
double net_gain(const struct windows *windows, const struct windows_net *net, double *variance);

/* Bit i: bin i has blocks that were not seen gone. */
uint32_t left_survivors(const struct left *left);

#endif
