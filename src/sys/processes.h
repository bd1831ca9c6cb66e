/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which processes there are: all, those of a name, those of a cgroup. What comes and goes meanwhile may be missed.
 * Functions return 0 or a negative errno; out parameters change only on success.
 */
#ifndef SEEP_SYS_PROCESSES_H
#define SEEP_SYS_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process_list {
	pid_t *tgid;
	size_t nr, cap;
};

/* Zeroed is empty. */
void process_list_release(struct process_list *list);

/* Adds every process below a directory such as /proc. comm: only those of this name, of which the kernel keeps 15 bytes;
 * NULL: all. */
int processes_add_all(struct process_list *list, const char *proc, const char *comm);

/* A directory of the cgroup file system. */
struct process_cgroup {
	char dir[4096];
	int fd;
	bool is_v2; /* of version 2: the kernel can be asked who is in it */
};

/*
 * path: of a directory below root (/sys/fs/cgroup), or of a cgroup as /proc/PID/cgroup has it, "/a/b". Where both versions
 * are mounted, version 2 goes first. -ENOENT, -ENOTDIR (it is no cgroup), -errno. process_cgroup_close() is due after 0.
 */
int process_cgroup_open(const char *root, const char *path, struct process_cgroup *out);
void process_cgroup_close(struct process_cgroup *cgroup);

/* Adds every process of the cgroup and of all below it. -ENOENT: the cgroup has been removed. */
int processes_add_cgroup(struct process_list *list, const struct process_cgroup *cgroup);

/*
 * The cgroup of a process by the text of its /proc/PID/cgroup: that of version 2, unless that is the root and another is
 * not. "" if there is none, or none that fits. The text is cut up.
 */
void process_cgroup_parse(char *text, char *path, size_t size);
/* The same, of a process. -ESRCH. */
int process_cgroup_read(pid_t tgid, char *path, size_t size);

#endif
