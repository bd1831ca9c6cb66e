/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Links: BPF programs to places in processes, to page faults and to system calls.
 *
 * Every link is a file descriptor of ours: however we end, the kernel takes the probes out. A link
 * to a process covers all its threads, also after an exec by its first one.
 */
#ifndef SEEP_SYS_ATTACH_H
#define SEEP_SYS_ATTACH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "discover.h"
#include "loader.h"

/*
 * enum attach_kind, the best last; which one, the kernel's features say. A multi link holds all probes of a file that
 * share a program, and takes them out at once. A session is a multi link whose program runs at the entry and decides
 * there whether the return is trapped at all.
 */
const char *attach_kind_name(enum attach_kind kind); /* "perf", "multi", "session" */

struct attach {
	int *fd; /* perf events and links */
	size_t nr, cap;
};

void attach_init(struct attach *attach);
/* Takes every probe out; many take no longer than one does. */
void attach_release(struct attach *attach);
/* Moves all to another, which may have some; what there is no memory for is taken out. */
void attach_move(struct attach *to, struct attach *from);

/* Functions of one file, to be probed in one process. */
struct attach_request {
	pid_t tgid; /* 0: in every process that maps the file, now or later */
	const char *kernel_path;
	const struct discover_site *const *site;
	const uint16_t *probe; /* of each site: its number, for reports; NULL: 0 */
	size_t nr;
};

struct attach_links;

enum attach_what {
	ATTACH_ALLOCATORS, /* what seep is for */
	ATTACH_NOTHING, /* the same probes, empty: what they cost without what we do in them; to measure */
	ATTACH_NO_RETURNS, /* likewise, where no call is sampled: sessions skip the return; -EOPNOTSUPP without sessions */
	ATTACH_STACKS,	  /* entries alone that walk the stack; to measure */
	ATTACH_NO_STACKS, /* entries alone, empty; to measure */
};

/* All of them or none. 0, -ESRCH, or what the kernel says. */
int attach_sites(const struct loader *loader, const struct attach_request *request,
		 enum attach_what what, struct attach_links **out);
/* Takes them out. NULL is fine. */
void attach_links_free(struct attach_links *links);
/* Takes out many at once, which takes no longer than one does. The pointers may be NULL, and dangle afterwards. */
void attach_links_free_all(struct attach_links *const *links, size_t nr);

/*
 * A child has its parent's breakpoints in its memory, and runs into them although nobody wants to know. This takes
 * those out of every process that has no links of its own in the file; the request's tgid does not matter. 0 or
 * negative errno.
 */
int attach_sweep(const struct loader *loader, const struct attach_request *request);

int attach_processes(struct attach *attach, const struct loader *loader); /* fork, exec, exit */
int attach_syscalls(struct attach *attach, const struct loader *loader);  /* mmap and so on */
/* Code that is unmapped. */
int attach_code(struct attach *attach, const struct loader *loader);
int attach_faults(struct attach *attach, const struct loader *loader, uint32_t period);

#endif
