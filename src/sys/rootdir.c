/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rootdir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fd.h"
#include "proc.h"

struct rootdir {
	int fd; /* O_PATH */
	unsigned int owners;
	struct statx id;
};

/* Mounts have ids of their own in each mount namespace: the same one means the same view of all files. */
static int identify(int fd, const char *path, struct statx *out)
{
	if (statx(fd, path, AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, out))
		return -errno;
	return 0;
}

static bool is_same(const struct statx *a, const struct statx *b)
{
	return a->stx_mask & b->stx_mask & STATX_MNT_ID && a->stx_mnt_id == b->stx_mnt_id &&
	       a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
	       a->stx_dev_minor == b->stx_dev_minor;
}

int rootdir_open(const char *path, struct rootdir **out)
{
	struct rootdir *root = calloc(1, sizeof(*root));
	int error = 0;

	if (!root)
		return -ENOMEM;
	root->owners = 1;
	root->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root->fd < 0)
		error = -errno;
	if (!error)
		error = identify(root->fd, "", &root->id);
	if (error)
		rootdir_put(root);
	else
		*out = root;
	return error;
}

int rootdir_open_process(pid_t tgid, struct rootdir **out)
{
	struct rootdir *root;
	struct statx own;
	char path[64];
	int error;

	(void)snprintf(path, sizeof(path), "/proc/%d/root", tgid);
	error = rootdir_open(path, &root);
	if (error)
		return error == -ENOENT ? -ESRCH : error;
	if (!identify(AT_FDCWD, "/", &own) && is_same(&own, &root->id)) {
		rootdir_put(root);
		root = NULL;
	}
	*out = root;
	return 0;
}

bool rootdir_is_same(const struct rootdir *a, const struct rootdir *b)
{
	return a == b || (a && b && is_same(&a->id, &b->id));
}

struct rootdir *rootdir_get(struct rootdir *root)
{
	if (root)
		root->owners++;
	return root;
}

void rootdir_put(struct rootdir *root)
{
	if (!root || --root->owners)
		return;
	fd_close(&root->fd);
	free(root);
}

static int open_part(int dir, const char *name, size_t nr, bool is_last)
{
	char part[NAME_MAX + 1];
	int fd;

	if (nr > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(part, name, nr);
	part[nr] = '\0';
	if (!strcmp(part, ".."))
		return -EXDEV;
	fd = openat(dir, part, O_PATH | O_NOFOLLOW | O_CLOEXEC | (is_last ? 0 : O_DIRECTORY));
	return fd < 0 ? -errno : fd;
}

/* Part by part, through directories only. Takes over dir. */
static int walk(int dir, const char *path)
{
	const char *rest;
	size_t nr;
	int next;

	for (path += strspn(path, "/"); dir >= 0 && *path; path = rest) {
		nr = strcspn(path, "/");
		rest = path + nr + strspn(path + nr, "/");
		next = open_part(dir, path, nr, !*rest);
		fd_close(&dir);
		dir = next;
	}
	return dir;
}

int rootdir_handle(const struct rootdir *root, const char *path, bool nofollow)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | (nofollow ? O_NOFOLLOW : 0),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	if (path[0] != '/')
		return -EINVAL;
	if (!root) {
		fd = open(path, (int)how.flags);
		return fd < 0 ? -errno : fd;
	}
	fd = (int)syscall(SYS_openat2, root->fd, path, &how, sizeof(how));
	if (fd >= 0)
		return fd;
	if (errno != ENOSYS && errno != EPERM)
		return -errno;
	fd = fcntl(root->fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : walk(fd, path);
}

int rootdir_open_file(const struct rootdir *root, const char *path, bool nofollow)
{
	int handle = rootdir_handle(root, path, nofollow);

	return handle < 0 ? handle : proc_open_handle(handle);
}
