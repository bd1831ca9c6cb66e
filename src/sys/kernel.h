/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this kernel and these privileges allow. Found out by trying, never by comparing versions.
 */
#ifndef SEEP_SYS_KERNEL_H
#define SEEP_SYS_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kernel_features {
	char release[65];
	bool btf;		  /* types of the running kernel: needed */
	bool ring_buffer;	  /* 5.8: needed */
	bool uprobe_pmu;	  /* perf uprobes: needed for allocations */
	bool uprobe_cookie;	  /* 5.15: needed for allocations */
	bool task_storage;	  /* 5.11: else thread state in a hash */
	bool task_pt_regs;	  /* 5.15: else no stacks of system calls */
	bool hash_on_demand;	  /* 6.1: else maps are allocated whole at start */
	bool syscall_tracepoints; /* else no mappings */
	bool trampolines;	  /* fentry and fexit at system calls */
	/*
	 * Without trampolines: programs where the lock of an address space is taken, and 6.18, on a task's way back to its
	 * program. Else tracepoints of system calls, for which all others pay.
	 */
	uint32_t task_work; /* the number of the function that asks for it, 0: none */
	bool atomics;	    /* 5.12, compare and swap: needed */
	bool casts;	    /* 6.2, of pointers in programs: else more calls in each */
	bool uprobe_multi;  /* 6.6.35: else perf events, which are slow to remove */
	bool uprobe_session; /* 6.13, and a program can tell a return: else every return is trapped */
};

/* Fills in all. Never fails: what cannot be found out is false. */
void kernel_probe(struct kernel_features *out);

/*
 * The capabilities that we lack, as text: "CAP_BPF, CAP_PERFMON"; "" when none. True when nothing is
 * missing. CAP_SYS_ADMIN stands for CAP_BPF, CAP_PERFMON and CAP_CHECKPOINT_RESTORE.
 */
bool kernel_capabilities(char *missing, size_t size);

/*
 * Gives up every capability that following processes does not take: before files of a target are read, which are
 * untrusted. What runs after an exec is not affected. uprobes: keeps CAP_SYS_ADMIN, without which
 * newer kernels (6.16 and stable ones, ba677dbe77af) refuse uprobes by perf event. 0 or a negative errno.
 */
int kernel_drop_capabilities(bool uprobes);

/*
 * Whether we see processes by the numbers that the kernel itself gives them, which are what our programs see. Within a
 * PID namespace of a container they are others.
 */
bool kernel_knows_our_pids(void);

/* Raises the limits on descriptors and on locked memory (before 5.11 maps count as such). */
void kernel_raise_limits(void);

/* CPUs that there may ever be. */
unsigned int kernel_nr_cpus(void);

/* The id of a tracepoint, for perf_event_open(); negative errno. tracefs need not be mounted: it is reached through a
 * mount of our own that nobody else sees. */
int kernel_tracepoint_id(const char *category, const char *name);

#endif
