/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long programs run, by the kernel's own statistics (5.8). Having these on makes each run some 50 ns dearer, of every
 * program on the machine: so only for a moment, now and then.
 *
 *	error = progtime_begin(&time, fd, nr);
 *	... some hundred runs later ...
 *	error = progtime_end(&time, ns, runs);
 */
#ifndef SEEP_SYS_PROGTIME_H
#define SEEP_SYS_PROGTIME_H

#include <stddef.h>
#include <stdint.h>

#define PROGTIME_MAX 4

struct progtime {
	int stats_fd; /* -1: not under way; keeps the statistics on */
	int prog_fd[PROGTIME_MAX];
	uint64_t ns[PROGTIME_MAX], runs[PROGTIME_MAX]; /* at the beginning */
	size_t nr;
};

void progtime_init(struct progtime *time);
/* Begins; prog_fd: borrowed until the end, -1 for none. 0 or negative errno: -EPERM without CAP_SYS_ADMIN, -EBUSY. */
int progtime_begin(struct progtime *time, const int *prog_fd, size_t nr);
/* Ends. Of each program the time and the number of its runs since the beginning. 0 or negative errno. */
int progtime_end(struct progtime *time, uint64_t *ns, uint64_t *runs);
/* Ends it without a result. */
void progtime_release(struct progtime *time);

#endif
