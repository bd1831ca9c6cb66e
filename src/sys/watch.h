/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells when a process maps code: the kernel's PERF_RECORD_MMAP2 stream (perf_event_open(2)), one dummy event a CPU. It
 * covers exec, dlopen and mprotect(PROT_EXEC), whoever does it; it does not tell of munmap. The trampolines of probes,
 * "[uprobes]", are left out.
 *
 * Opening needs CAP_PERFMON (or CAP_SYS_ADMIN); reading needs nothing. One owner, one thread.
 */
#ifndef SEEP_SYS_WATCH_H
#define SEEP_SYS_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct watch;

struct watch_mapping {
	pid_t tgid;
	uint64_t start, bytes, file_offset;
	uint32_t dev_major, dev_minor;
	uint64_t inode;
	bool is_program; /* what exec has just put in the place of what ran before; not of each exec that is known */
	const char
		*path; /* until take() returns; "//anon", "[vdso]" and such as the kernel has it */
};

enum watch_wakeup {
	WATCH_EACH, /* mapping wakes its reader, which costs the process that makes it some microseconds */
	WATCH_MANY, /* a quarter of what there is room for does; the reader looks by itself from time to time */
};

/* -EACCES, -EPERM, -EMFILE, -ENOMEM, ...: nobody watches, and mappings have to be looked at from time to time. */
int watch_new(enum watch_wakeup wakeup, struct watch **out);
void watch_free(struct watch *watch);

/* Readable (epoll) when there is something to take. */
int watch_fd(const struct watch *watch);

/*
 * Calls take() for each executable mapping that is new, of all processes. *lost: how many records the kernel dropped
 * since the last call, each of which may have been anybody's. Stops and returns take()'s value when that is not 0.
 */
int watch_take(struct watch *watch, int (*take)(const struct watch_mapping *mapping, void *arg),
	       void *arg, uint64_t *lost);

#endif
