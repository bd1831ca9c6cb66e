// SPDX-License-Identifier: GPL-2.0-or-later
#include "processes.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "array.h"
#include "fd.h"
#include "parse.h"

#define COMM_BYTES 15
#define FILE_MAX_BYTES ((size_t)16 << 20)
#define MAX_DEPTH 64 /* of cgroups below one */

void process_list_release(struct process_list *list)
{
	free(list->tgid);
	*list = (struct process_list){0};
}

static int add(struct process_list *list, pid_t tgid)
{
	if (ARRAY_GROW(&list->tgid, &list->cap, list->nr + 1))
		return -ENOMEM;
	list->tgid[list->nr++] = tgid;
	return 0;
}

static bool parse_tgid(const char *text, pid_t *out)
{
	uint64_t value;

	if (!isdigit((unsigned char)text[0]) || parse_u64(text, &value) || !value ||
	    value > INT32_MAX)
		return false;
	*out = (pid_t)value;
	return true;
}

/* 1; 0, also when it has gone; -ENOMEM */
static int has_comm(const char *proc, const char *tgid, const char *comm)
{
	char path[PATH_MAX], *text;
	int err = -ENAMETOOLONG, is_same;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s/comm", proc, tgid) < sizeof(path))
		err = fd_read_file(path, &text, NULL, FILE_MAX_BYTES);
	if (err)
		return err == -ENOMEM ? err : 0;
	text[strcspn(text, "\n")] = '\0';
	is_same =
		strlen(comm) < COMM_BYTES ? !strcmp(text, comm) : !strncmp(text, comm, COMM_BYTES);
	free(text);
	return is_same;
}

int processes_add_all(struct process_list *list, const char *proc, const char *comm)
{
	const struct dirent *entry;
	DIR *dir = opendir(proc);
	pid_t tgid;
	int err = 0;

	if (!dir)
		return -errno;
	while (err >= 0 && (entry = readdir(dir))) {
		if (!parse_tgid(entry->d_name, &tgid))
			continue;
		err = comm ? has_comm(proc, entry->d_name, comm) : 1;
		if (err == 1)
			err = add(list, tgid);
	}
	(void)closedir(dir);
	return err;
}

/* --- cgroups ---------------------------------------------------------------------------------- */

static bool is_cgroup(const char *dir)
{
	char path[PATH_MAX];

	return (size_t)snprintf(path, sizeof(path), "%s/cgroup.procs", dir) < sizeof(path) &&
	       !access(path, F_OK);
}

/* 0; -ENAMETOOLONG; -ENOENT; -ENOTDIR */
static int try_dir(const char *root, const char *below, const char *path, char *out, size_t size)
{
	struct stat st;
	int nr = snprintf(out, size, "%s%s%s%s%s", root, below[0] ? "/" : "", below,
			  path[0] == '/' || !path[0] ? "" : "/", path);

	if ((size_t)nr >= size)
		return -ENAMETOOLONG;
	if (stat(out, &st))
		return -errno;
	return S_ISDIR(st.st_mode) && is_cgroup(out) ? 0 : -ENOTDIR;
}

/* Below every hierarchy of version 1 that is mounted. */
static int try_hierarchies(const char *root, const char *path, char *out, size_t size)
{
	const struct dirent *entry;
	DIR *dir = opendir(root);
	int err = -ENOENT;

	if (!dir)
		return -errno;
	while (err && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			err = try_dir(root, entry->d_name, path, out, size);
	}
	(void)closedir(dir);
	return err ? -ENOENT : 0;
}

static int find_dir(const char *root, const char *path, char *out, size_t size)
{
	static const char *const first[] = {"", "unified", "systemd"};
	size_t nr = strlen(root), i;
	int err, why = -ENOENT;

	if (!strncmp(path, root, nr) && (path[nr] == '/' || !path[nr]))
		return try_dir(path, "", "", out, size);
	for (i = 0; i < ARRAY_SIZE(first); i++) {
		err = try_dir(root, first[i], path, out, size);
		if (!err || err == -ENAMETOOLONG)
			return err;
		if (err == -EACCES)
			why = err;
	}
	return try_hierarchies(root, path, out, size) ? why : 0;
}

int process_cgroup_open(const char *root, const char *path, struct process_cgroup *out)
{
	struct process_cgroup cgroup;
	struct statfs fs;
	int err = find_dir(root, path, cgroup.dir, sizeof(cgroup.dir));

	if (err)
		return err;
	cgroup.fd = open(cgroup.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup.fd < 0)
		return -errno;
	cgroup.is_v2 = !fstatfs(cgroup.fd, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC;
	*out = cgroup;
	return 0;
}

void process_cgroup_close(struct process_cgroup *cgroup)
{
	fd_close(&cgroup->fd);
}

static int add_lines(struct process_list *list, char *text)
{
	char *line, *rest = text;
	pid_t tgid;
	int err = 0;

	while (!err && (line = strsep(&rest, "\n"))) {
		if (parse_tgid(line, &tgid))
			err = add(list, tgid);
	}
	return err;
}

/* Cgroups of threads cannot be read (EOPNOTSUPP): their processes are those of the one above. */
static int add_procs(struct process_list *list, const char *dir)
{
	char path[PATH_MAX], *text;
	int err;

	if ((size_t)snprintf(path, sizeof(path), "%s/cgroup.procs", dir) >= sizeof(path))
		return -ENAMETOOLONG;
	err = fd_read_file(path, &text, NULL, FILE_MAX_BYTES);
	if (err)
		return err == -EOPNOTSUPP ? 0 : err;
	err = add_lines(list, text);
	free(text);
	return err;
}

static int add_tree(struct process_list *list, const char *dir, unsigned int depth)
{
	const struct dirent *entry;
	char path[PATH_MAX];
	int err = add_procs(list, dir);
	DIR *all;

	if (err || depth == MAX_DEPTH)
		return err;
	all = opendir(dir);
	if (!all)
		return -errno;
	while (!err && (entry = readdir(all))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) >=
		    sizeof(path))
			continue;
		err = add_tree(list, path, depth + 1);
		if (err == -ENOENT || err == -ENODEV) /* removed meanwhile */
			err = 0;
	}
	(void)closedir(all);
	return err;
}

int processes_add_cgroup(struct process_list *list, const struct process_cgroup *cgroup)
{
	int err = add_tree(list, cgroup->dir, 0);

	return err == -ENODEV ? -ENOENT : err;
}

/* Which of two lines tells more: version 2, then systemd's, then any; the root tells nothing. */
static int rank(const char *controllers, const char *path)
{
	if (!path[0] || !strcmp(path, "/"))
		return controllers[0] ? 0 : 1;
	if (!controllers[0])
		return 4;
	return strcmp(controllers, "name=systemd") ? 2 : 3;
}

/* "4:memory:/a/b" without its newline; false: it is nothing of the sort. */
static bool parse_line(char *line, const char **controllers, const char **path)
{
	char *at = strchr(line, ':'), *end = at ? strchr(at + 1, ':') : NULL;

	if (!end)
		return false;
	*end = '\0';
	*controllers = at + 1;
	*path = end + 1;
	return true;
}

void process_cgroup_parse(char *text, char *path, size_t size)
{
	const char *controllers, *found;
	char *line;
	int best = -1;

	path[0] = '\0';
	while ((line = strsep(&text, "\n"))) {
		if (!parse_line(line, &controllers, &found) || rank(controllers, found) <= best ||
		    strlen(found) >= size)
			continue;
		best = rank(controllers, found);
		strcpy(path, found);
	}
}

int process_cgroup_read(pid_t tgid, char *path, size_t size)
{
	char name[64], *text;
	int err;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)tgid);
	err = fd_read_file(name, &text, NULL, FILE_MAX_BYTES);
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	process_cgroup_parse(text, path, size);
	free(text);
	return 0;
}
