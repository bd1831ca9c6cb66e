/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPU time that processes use, all threads of each together, by the kernel's clocks of processes: one system call
 * for a process, however many threads it has, and exact to a scheduler tick (some ms) where /proc/PID/stat has 10 ms.
 */
#ifndef SEEP_SYS_CPUTIME_H
#define SEEP_SYS_CPUTIME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "hash.h"

/* Since its start, user and system, of ended threads too. 0 or -ESRCH. */
int cputime_of(pid_t tgid, uint64_t *ns);
uint64_t cputime_own(void);
/* What all CPUs together could have used in a time. */
uint64_t cputime_machine(uint64_t wall_ns);

/* Of a changing set of processes. Zeroed is empty. */
struct cputimes {
	struct map64 last; /* tgid to ns */
};

/*
 * *ns: what these processes have used since the last call. One that was not among them then counts with all that it has
 * ever used, but at most new_ns: it may have been born since. One that has gone counts no more. 0 or -ENOMEM.
 */
int cputimes_since(struct cputimes *times, const pid_t *tgid, size_t nr, uint64_t new_ns,
		   uint64_t *ns);
void cputimes_release(struct cputimes *times);

#endif
