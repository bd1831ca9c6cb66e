/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Links: BPF programs to places in processes, to page faults and to system calls.
 *
 * Every link is a file descriptor of ours: however we end, the kernel takes the probes out. A link
 * to a process covers all its threads and ends with its address space; a forked child drops what it
 * inherited at its first hit.
 */
#ifndef SEEP_SYS_ATTACH_H
#define SEEP_SYS_ATTACH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "discover.h"
#include "loader.h"

/* One kind for now; session and multi links come here. */
enum attach_kind {
	ATTACH_PERF = 1,
};

const char *attach_kind_name(enum attach_kind kind); /* "perf" */

struct attach {
	int *fd; /* perf events and links */
	size_t nr, cap;
};

void attach_init(struct attach *attach);
/* Takes every probe out. */
void attach_release(struct attach *attach);

/* Probes a function in one process: its entry, and its return where the role has one. 0, -ESRCH, or what the kernel
 * says. probe: index for reports. */
int attach_site(struct attach *attach, const struct loader *loader, pid_t tgid,
		const char *kernel_path, const struct discover_site *site, uint16_t probe);

/* The same probes with the empty program: what they cost without what we do in them. For the benchmark. */
int attach_site_empty(struct attach *attach, const struct loader *loader, pid_t tgid,
		      const char *kernel_path, const struct discover_site *site);

/* A site's entry alone, with PROGRAM_STACK or the empty program: likewise. */
int attach_site_stack(struct attach *attach, const struct loader *loader, pid_t tgid,
		      const char *kernel_path, const struct discover_site *site, bool empty);

int attach_processes(struct attach *attach, const struct loader *loader); /* fork, exec, exit */
int attach_syscalls(struct attach *attach, const struct loader *loader);  /* mmap and so on */
/* Code that is unmapped. */
int attach_code(struct attach *attach, const struct loader *loader);
int attach_faults(struct attach *attach, const struct loader *loader, uint32_t period);

#endif
