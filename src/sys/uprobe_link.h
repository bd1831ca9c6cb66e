/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Uprobe links to many places of a file at once, made by the raw bpf(2) call, which libbpf 1.1 does not know.
 *
 *	const uint64_t offset[] = {0x97a30, 0x98150}, cookie[] = {17, 23};
 *	const struct uprobe_places places = {
 *		.path = "/proc/4711/map_files/7f...", .offset = offset, .cookie = cookie, .nr = 2, .tgid = 4711};
 *	fd = uprobe_link(prog_fd, UPROBE_LINK_SESSION, &places);
 *	... close(fd) takes all its probes out ...
 *
 * What is known of them:
 * - A program must be loaded for its kind: with uprobe_link_attach_type() as the expected attach type.
 * - A session runs its program at the entry and at the return. If it returns 1 at the entry, this call's return is not
 *   trapped; if it returns 0, it is. Whether it is at the return, bpf_session_is_return() tells it, which takes other
 *   arguments from 7.0 on, or the kernel's state of the run: bpf/running.bpf.h. bpf_session_cookie() gives it 8 bytes
 *   that last from the entry to the return.
 * - Entry and return programs have to return 0: before f505005bc742 (6.13) a 1 removed the probe.
 * - Before 46ba0e49b642 (6.10, 6.6.35) a link to a process ran for its first thread alone:
 *   uprobe_trial_threads() of uprobe_trial.h finds out.
 * - A child of fork() inherits the traps of a link to its parent, and pays for them, though no program runs; what a
 *   perf event has set goes away at the child's first hit.
 * - Attaching takes some 0.1 to 17 ms, closing 20 to 50 ms, for all the places of a link together; the targets run
 *   meanwhile. Perf events take 110 ms each to close.
 * - The return of a session is the same trampoline as that of other return probes: all of sys/hazard.h applies.
 */
#ifndef SEEP_SYS_UPROBE_LINK_H
#define SEEP_SYS_UPROBE_LINK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum uprobe_link_kind {
	UPROBE_LINK_ENTRY = 1,	 /* uprobe.multi, 6.6 */
	UPROBE_LINK_RETURN = 2,	 /* uretprobe.multi, 6.6 */
	UPROBE_LINK_SESSION = 3, /* uprobe.session, 6.13 */
};

/* All borrowed for the call. */
struct uprobe_places {
	const char *path;	/* one file; looked up by the kernel in our mount namespace */
	const uint64_t *offset; /* nr of them, in the file */
	const uint64_t *cookie; /* nr of them, or NULL: what bpf_get_attach_cookie() returns */
	size_t nr;
	pid_t tgid; /* 0: every process, also those to come */
};

/* The attach type that a program of this kind is loaded with, and a link made with. */
uint32_t uprobe_link_attach_type(enum uprobe_link_kind kind);

/*
 * A link's fd, or negative errno: -EINVAL the kernel does not know this kind, or the program was loaded for another;
 * -EBADF the path is no regular file; -ESRCH there is no such process, or its first thread has ended.
 */
int uprobe_link(int prog_fd, enum uprobe_link_kind kind, const struct uprobe_places *places);

#endif
