/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes that a return probe would kill on this kernel. Where a function has a return probe, it returns to a
 * trampoline of the kernel's, and some kernels' trampolines are not for everybody:
 *
 * - From 6.11 on, on x86, it makes a system call, which seccomp did not let pass before cf6cb56ef244 (6.14 and stable
 *   kernels): the process is killed at its first allocation.
 * - Before 1713b63a07a2 (6.11) the return did not match what a shadow stack has: the process is killed likewise.
 *
 * Kernels have fixes that their version does not tell, so each hazard is tried out, on code of our own in a forked
 * child, but only when a process turns up that it threatens: a try takes a tenth of a second.
 * Links of every kind lead their returns through the same trampoline: what is said here of return probes holds for
 * uretprobe.multi and sessions too, and a session is tried along.
 *
 *	struct hazard_kernel kernel = {0};
 *	error = proc_read_guards(tgid, &guards);
 *	if (!error && hazard_check(&kernel, &guards, why, sizeof(why)))
 *		log_error("cannot profile %d: %s", tgid, why);
 *
 * A process that puts itself under seccomp when it has its probes is not protected by this.
 */
#ifndef SEEP_SYS_HAZARD_H
#define SEEP_SYS_HAZARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel.h"
#include "loader.h"
#include "proc.h"

enum hazard_answer {
	HAZARD_UNTRIED = 0,
	HAZARD_SAFE = 1,
	HAZARD_KILLS = 2,
};

/* What this kernel's return probes do to a process that has each of these guards. All zero at first. */
struct hazard_kernel {
	int seccomp_strict; /* each an enum hazard_answer, or a negative errno: cannot be found out */
	int seccomp_filter;
	int shadow_stack;
};

#define HAZARD_WHY_BYTES 160

/*
 * 0: return probes do a process with these guards no harm. 1: they kill it. Negative errno: that cannot be found out,
 * and none may be set. In the latter two cases why has the reason, to be put behind a colon. Tries, once, what it needs
 * to know of the kernel.
 */
int hazard_check(struct hazard_kernel *kernel, const struct proc_guards *guards, char *why,
		 size_t size);

/*
 * The same for probes that act in every process that maps a file, also in those to come: of what processes of this
 * machine may have, if not every kind of seccomp, all of which go the same way.
 */
int hazard_check_anybody(struct hazard_kernel *kernel, char *why, size_t size);

/* The same of what is known: a function of its arguments and nothing else. HAZARD_UNTRIED counts as -ENODATA. */
int hazard_judge(const struct hazard_kernel *kernel, const struct proc_guards *guards, char *why,
		 size_t size);

/* A place to be probed: on which kernel, in which process, and how. */
struct hazard_facts {
	const struct kernel_features *features;
	const struct hazard_kernel *kernel;
	const struct proc_guards *guards;
	bool is_32bit;	  /* the process */
	bool with_return; /* not a function that only frees */
};

/*
 * 0, and *link is what is set: sessions for what has a return, where there are any; entries alone by multi links.
 * Otherwise as hazard_judge(), for any reason not to probe it. That placement passes over five-byte nops, that functions
 * which throw and functions of Go have no return probe, is decided before, where functions are searched for.
 */
int hazard_decide(const struct hazard_facts *facts, enum attach_kind *link, char *why, size_t size);

/*
 * What hazard_check() asks the kernel, each in a child of its own. An enum hazard_answer or negative errno.
 *
 * Under seccomp, strict or with a filter, a function is called that has a return probe. It is the caller's own, so that
 * a test can bring one that does not survive; code: NULL for one that does nothing.
 */
int hazard_try_seccomp(bool strict, const uint8_t *code, size_t nr);
int hazard_try_shadow_stack(void);

#endif
