/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is it a leak, of a program that is followed in windows (core/windows.h)?
 *
 * Words are those of leak.h. LEAKING needs all of: growth whose 95 % interval lies above zero and that does not slow
 * down; something left in most of the time; and that nothing else explains what was left and not seen gone:
 *
 *	its blocks were freed in gaps	so few of them were seen gone that at most a third can have been freed, at 95 %
 *	nobody would have seen it	there are other sites of the process, with blocks of at least 1/64 of the size, of
 *					which most of what they left was seen gone, or three times as much as windows alone
 *					can show: addresses are handed out again
 *	older blocks were freed		the kernel counts each call and each free: the process has gained the blocks that the
 *					growing sites seem to have gained, or few frees in windows were of blocks of before
 *	events were lost
 *
 * If one of them may be, the word is GROWING. Times of frees are taken to be independent of the windows. What is not, as
 * it happens a moment after the probes have gone, is what the second and the third are for.
 */
#ifndef SEEP_CORE_LEAK_WINDOWS_H
#define SEEP_CORE_LEAK_WINDOWS_H

#include "leak.h"

struct leak_windows {
	struct trend trend; /* of bytes in watched time; usable */
	/* Samples, which of exact blocks is all of them: */
	uint64_t alloc, free; /* in windows */
	uint64_t left, gone;  /* at ends of windows; of them, seen gone since */
	uint64_t others_gone; /* of sites that show reuse, with blocks that are not much smaller */
	uint64_t missed;      /* events lost since: at most so many more may have been seen gone */
	double kept;	      /* share of what is left that stays: left_kept() */
	double expected; /* frees that would have been seen if all that was left had been freed since */
	unsigned int windows, of_windows; /* that left anything, of all since the first that did */
	unsigned int nr_bins;
	uint32_t survivor_bins; /* of nr_bins, those of which not all is gone */
	double quiet_left; /* what it would have left in bins in which it left nothing, at its usual rate */
	double grown_objects; /* of this site; estimated */
	/* Frees, in windows, of blocks older than their window that no left block stands for: */
	double unknown_frees, unknown_error; /* by what was gained; and its standard error */
	double unknown_most; /* they are not more, of exact blocks; infinite when sampled */
	bool sampled;
	bool losses; /* as in struct leak_facts */
};

void leak_judge_windows(const struct leak_windows *facts, struct leak_verdict *out);

/* With so many events seen there were, at 97.5 %, not more in the mean. */
double leak_poisson_high(uint64_t seen);

#endif
