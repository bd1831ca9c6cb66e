/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fd.h"

#define PF_KTHREAD 0x00200000u
#define NS_PER_S 1000000000u
#define STAT_MAX_BYTES 4096
#define STATUS_MAX_BYTES 65536
#define PROC_PATH_BYTES 96 /* of a path under /proc that has numbers only */

/* Fields of /proc/PID/stat, counted as proc(5) does; the first two are not among the numbers. */
enum stat_field {
	STAT_STATE = 3,
	STAT_PPID = 4,
	STAT_FLAGS = 9,
	STAT_MINFLT = 10,
	STAT_MAJFLT = 12,
	STAT_UTIME = 14,
	STAT_STIME = 15,
	STAT_NUM_THREADS = 20,
	STAT_STARTTIME = 22,
	STAT_FIELDS = 23,
};

static int gone(int error)
{
	return error == -ENOENT ? -ESRCH : error;
}

static int read_proc_file(pid_t tgid, const char *name, char **text, size_t max)
{
	char path[PROC_PATH_BYTES];

	if (tgid <= 0)
		return -ESRCH;
	(void)snprintf(path, sizeof(path), "/proc/%d/%s", tgid, name);
	return gone(fd_read_file(path, text, NULL, max));
}

/* Numbers may be signed (tty, priority); those that we use are not. */
static int parse_stat_fields(const char *at, uint64_t *field)
{
	char *end;

	for (int i = STAT_STATE + 1; i < STAT_FIELDS; i++) {
		errno = 0;
		field[i] = strtoull(at, &end, 10);
		if (end == at || errno)
			return -EINVAL;
		at = end;
	}
	return 0;
}

/* "PID (COMM) STATE ...": a comm may hold anything, so its end is the last ')' of all. */
static int parse_stat(const char *text, struct proc_info *info)
{
	uint64_t field[STAT_FIELDS] = {0};
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	size_t nr;

	if (!open || !close || close < open || close[1] != ' ' || !close[2])
		return -EINVAL;
	if (parse_stat_fields(close + 3, field))
		return -EINVAL;
	nr = (size_t)(close - open - 1);
	if (nr >= sizeof(info->comm))
		nr = sizeof(info->comm) - 1;
	memcpy(info->comm, open + 1, nr);
	info->comm[nr] = '\0';
	info->state = close[2];
	info->parent_tgid = (pid_t)field[STAT_PPID];
	info->start_ticks = field[STAT_STARTTIME];
	info->cpu_ns = proc_ticks_to_ns(field[STAT_UTIME] + field[STAT_STIME]);
	info->minor_faults = field[STAT_MINFLT];
	info->major_faults = field[STAT_MAJFLT];
	info->is_kernel_thread = field[STAT_FLAGS] & PF_KTHREAD;
	info->nr_threads = (uint32_t)field[STAT_NUM_THREADS];
	return 0;
}

/* What stands behind key, a colon and blanks; NULL: no such line. The kernel escapes newlines in the name line. */
static const char *status_value(const char *text, const char *key)
{
	size_t nr = strlen(key);
	const char *line = text;

	while (strncmp(line, key, nr) != 0 || line[nr] != ':') {
		line = strchr(line, '\n');
		if (!line)
			return NULL;
		line++;
	}
	line += nr + 1;
	return line + strspn(line, " \t");
}

static bool status_number(const char *text, const char *key, long *out)
{
	const char *at = status_value(text, key);
	char *end;
	long value;

	if (!at || *at == '\n') /* strtol() would go on in the next line */
		return false;
	value = strtol(at, &end, 10);
	if (end == at || *end != '\n')
		return false;
	*out = value;
	return true;
}

static bool status_has_word(const char *text, const char *key, const char *word)
{
	const char *at = status_value(text, key);
	size_t nr = strlen(word), found;

	while (at && *at && *at != '\n') {
		found = strcspn(at, " \t\n");
		if (found == nr && !strncmp(at, word, nr))
			return true;
		at += found;
		at += strspn(at, " \t");
	}
	return false;
}

static int read_status(pid_t tgid, struct proc_info *info)
{
	long leader = 0, seccomp = -1;
	char *text;
	int error = read_proc_file(tgid, "status", &text, STATUS_MAX_BYTES);

	if (error)
		return error;
	(void)status_number(text, "Tgid", &leader);
	(void)status_number(text, "Seccomp",
			    &seccomp); /* CONFIG_SECCOMP=n: there is no such line */
	free(text);
	/* /proc/TID is there for every thread, though no listing shows it */
	if (leader != tgid)
		return -ESRCH;
	info->seccomp = (int)seccomp;
	return 0;
}

/* Kernel threads and zombies have no executable, and others' may be out of reach: all these count as 64 bit. */
static bool exe_is_32bit(pid_t tgid)
{
	char path[PROC_PATH_BYTES];
	unsigned char ident[EI_NIDENT];
	ssize_t nr;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", tgid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	nr = fd_read_all(fd, ident, sizeof(ident));
	fd_close(&fd);
	return nr == sizeof(ident) && !memcmp(ident, ELFMAG, SELFMAG) &&
	       ident[EI_CLASS] == ELFCLASS32;
}

static int read_stat(pid_t tgid, struct proc_info *info)
{
	char *text;
	int error = read_proc_file(tgid, "stat", &text, STAT_MAX_BYTES);

	if (error)
		return error;
	error = parse_stat(text, info);
	free(text);
	return error;
}

int proc_read_info(pid_t tgid, struct proc_info *out)
{
	struct proc_info info = {.tgid = tgid};
	int error = read_stat(tgid, &info);

	if (!error)
		error = read_status(tgid, &info);
	if (error)
		return error;
	info.is_32bit = exe_is_32bit(tgid);
	*out = info;
	return 0;
}

int proc_read_stat(pid_t tgid, struct proc_info *out)
{
	struct proc_info info = {.tgid = tgid, .seccomp = -1};
	int error = read_stat(tgid, &info);

	if (!error)
		*out = info;
	return error;
}

void proc_parse_guards(const char *status, struct proc_guards *guards)
{
	long seccomp = 0, tracer = 0;

	(void)status_number(status, "Seccomp", &seccomp); /* without such lines there is none */
	(void)status_number(status, "TracerPid", &tracer);
	guards->seccomp_strict |= seccomp == 1;
	guards->seccomp_filter |= seccomp == 2;
	guards->shadow_stack |= status_has_word(status, "x86_Thread_features", "shstk");
	if (tracer)
		guards->tracer_tid = (pid_t)tracer;
}

static int add_guards_of_thread(pid_t tgid, const char *tid, struct proc_guards *guards)
{
	char name[48], *text;
	int error;

	if ((size_t)snprintf(name, sizeof(name), "task/%s/status", tid) >= sizeof(name))
		return -ENAMETOOLONG;
	error = read_proc_file(tgid, name, &text, STATUS_MAX_BYTES);
	if (error)
		return error;
	proc_parse_guards(text, guards);
	free(text);
	return 0;
}

/* A thread that starts meanwhile has what its creator has; one that ends has nothing any more. */
static int add_guards_of_threads(pid_t tgid, DIR *dir, struct proc_guards *guards)
{
	const struct dirent *entry;
	bool any = false;
	int error;

	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			break;
		if (entry->d_name[0] == '.')
			continue;
		error = add_guards_of_thread(tgid, entry->d_name, guards);
		if (error && error != -ESRCH)
			return error;
		any |= !error;
	}
	if (errno)
		return gone(-errno);
	return any ? 0 : -ESRCH;
}

int proc_read_guards(pid_t tgid, struct proc_guards *out)
{
	struct proc_guards guards = {0};
	char path[PROC_PATH_BYTES];
	DIR *dir;
	int error;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", tgid);
	dir = opendir(path);
	if (!dir)
		return gone(-errno);
	error = add_guards_of_threads(tgid, dir, &guards);
	(void)closedir(dir);
	if (!error)
		*out = guards;
	return error;
}

int proc_read_comm(pid_t tid, char *comm, size_t size)
{
	char *text;
	int error = read_proc_file(tid, "comm", &text, STAT_MAX_BYTES);

	if (error)
		return error;
	text[strcspn(text, "\n")] = '\0';
	(void)snprintf(comm, size, "%s", text); /* the kernel's names are short: cutting is fine */
	free(text);
	return 0;
}

int proc_read_exe(pid_t tgid, char *path, size_t size)
{
	char link[PROC_PATH_BYTES], target[PATH_MAX];
	ssize_t nr;

	(void)snprintf(link, sizeof(link), "/proc/%d/exe", tgid);
	nr = readlink(link, target, sizeof(target));
	if (nr < 0 && errno == ENOENT) {
		*strrchr(link, '/') = '\0';
		return access(link, F_OK) ? -ESRCH : -ENOENT;
	}
	if (nr < 0)
		return -errno;
	if ((size_t)nr >= size || (size_t)nr >= sizeof(target))
		return -ENAMETOOLONG;
	memcpy(path, target, (size_t)nr);
	path[nr] = '\0';
	return 0;
}

static void map_files_path(pid_t tgid, const struct proc_mapping *mapping, char *path)
{
	(void)snprintf(path, PROC_PATH_BYTES, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, tgid,
		       mapping->start, mapping->end);
}

/*
 * The path as the target's own root has it: its absolute symbolic links lead to places in its root, not in ours.
 */
static int handle_in_root(pid_t tgid, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	char root_path[PROC_PATH_BYTES];
	int root, fd;

	if (path[0] != '/')
		return -ENOENT;
	(void)snprintf(root_path, sizeof(root_path), "/proc/%d/root", tgid);
	root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	if (fd < 0)
		fd = -errno;
	fd_close(&root);
	return fd;
}

/*
 * Only the inode is compared: on btrfs and overlayfs stat() tells another device than maps does.
 */
static int handle_of_mapping(pid_t tgid, const struct proc_mapping *mapping)
{
	char path[PROC_PATH_BYTES];
	struct stat st;
	int fd;

	map_files_path(tgid, mapping, path);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	fd = handle_in_root(tgid, mapping->path);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) || st.st_ino != mapping->inode) {
		fd_close(&fd);
		return -ESTALE;
	}
	return fd;
}

static int tell_if_gone(pid_t tgid, int error)
{
	char path[PROC_PATH_BYTES];

	(void)snprintf(path, sizeof(path), "/proc/%d", tgid);
	return access(path, F_OK) && errno == ENOENT ? -ESRCH : error;
}

int proc_open_handle(int handle)
{
	char path[PROC_PATH_BYTES];
	struct stat st;
	int fd;

	if (fstat(handle, &st)) {
		fd = -errno;
	} else if (!S_ISREG(st.st_mode)) {
		fd = -ENOTSUP;
	} else {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", handle);
		/* else it would wait for whoever holds a lease on it, for 45 s */
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			fd = -errno;
	}
	fd_close(&handle);
	return fd;
}

int proc_open_mapping(pid_t tgid, const struct proc_mapping *mapping)
{
	int handle;

	if (!mapping->inode)
		return -ENOENT;
	handle = handle_of_mapping(tgid, mapping);
	if (handle < 0)
		return tell_if_gone(tgid, handle);
	return proc_open_handle(handle);
}

int proc_open_left(const struct proc_mapping *mapping)
{
	int handle;
	struct stat st;

	if (!mapping->inode || mapping->path[0] != '/')
		return -ENOENT;
	handle = open(mapping->path, O_PATH | O_CLOEXEC);
	if (handle < 0)
		return -errno;
	if (!fstat(handle, &st) && st.st_ino == mapping->inode &&
	    st.st_dev == makedev(mapping->dev_major, mapping->dev_minor))
		return proc_open_handle(handle);
	fd_close(&handle);
	return -ESTALE;
}

/* The path by which a mapped file can be had, and what stat() says of it. */
static int find_mapping(pid_t tgid, const struct proc_mapping *mapping, char *path, size_t size,
			struct stat *st)
{
	char link[PROC_PATH_BYTES];
	int nr;

	if (!mapping->inode)
		return -ENOENT;
	map_files_path(tgid, mapping, link);
	if (!stat(link, st)) {
		nr = snprintf(path, size, "%s", link);
		return nr >= 0 && (size_t)nr < size ? 0 : -ENAMETOOLONG;
	}
	if (mapping->path[0] != '/')
		return tell_if_gone(tgid, -ENOENT);
	nr = snprintf(path, size, "/proc/%d/root%s", tgid, mapping->path);
	if (nr < 0 || (size_t)nr >= size)
		return -ENAMETOOLONG;
	if (stat(path, st))
		return tell_if_gone(tgid, -errno);
	return st->st_ino == mapping->inode ? 0 : -ESTALE;
}

int proc_mapping_path(pid_t tgid, const struct proc_mapping *mapping, char *path, size_t size)
{
	struct stat st;

	return find_mapping(tgid, mapping, path, size, &st);
}

int proc_stat_mapping(pid_t tgid, const struct proc_mapping *mapping, struct stat *out)
{
	char path[PATH_MAX];
	struct stat st;
	int err = find_mapping(tgid, mapping, path, sizeof(path), &st);

	if (!err)
		*out = st;
	return err;
}

uint64_t proc_ticks_to_ns(uint64_t ticks)
{
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

	return ticks / hz * NS_PER_S + ticks % hz * NS_PER_S / hz;
}
