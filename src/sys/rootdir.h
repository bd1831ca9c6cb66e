/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory that stands for "/": where a process in a container has its files, or a copy of another machine's. Paths
 * in it are looked up as a process with that root would, so that neither ".." nor a symbolic link, absolute or not, leads
 * out of it; links of /proc (/proc/PID/root, say) are not followed at all. Both by openat2(2); where a filter forbids
 * that, no symbolic link is followed and ".." is refused.
 *
 * NULL stands for our own root. An open one keeps its file system mounted, so hold it no longer than needed. One thread.
 */
#ifndef SEEP_SYS_ROOTDIR_H
#define SEEP_SYS_ROOTDIR_H

#include <stdbool.h>
#include <sys/types.h>

struct rootdir;

/* 0 or negative errno. */
int rootdir_open(const char *path, struct rootdir **out);
/*
 * The root of a process; *out is NULL when it sees the same files as we do. It outlives the process, though not with
 * what was mounted below it if its mount namespace goes. -ESRCH and others: negative errno.
 */
int rootdir_open_process(pid_t tgid, struct rootdir **out);
bool rootdir_is_same(const struct rootdir *a, const struct rootdir *b);

/* One owner more, one owner less; both take NULL. */
struct rootdir *rootdir_get(struct rootdir *root);
void rootdir_put(struct rootdir *root);

/*
 * An O_PATH descriptor of what an absolute path leads to; or negative errno. With nofollow, of the link itself if the
 * last part is one.
 */
int rootdir_handle(const struct rootdir *root, const char *path, bool nofollow);
/* Opens a regular file for reading (-ENOTSUP: it is something else); or negative errno. */
int rootdir_open_file(const struct rootdir *root, const char *path, bool nofollow);

#endif
