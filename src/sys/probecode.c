/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probecode.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fd.h"
#include "parse.h"

#define PMU_TYPE_PATH "/sys/bus/event_source/devices/uprobe/type"
#define PMU_RETPROBE_PATH "/sys/bus/event_source/devices/uprobe/format/retprobe"

#ifdef __x86_64__
const uint8_t probecode_emulated[] = {0x55, 0x5d, 0xc3}; /* push rbp; pop rbp; ret */
#elif defined(__aarch64__)
/* b .+4; ret: a nop is simulated by newer kernels only */
const uint8_t probecode_emulated[] = {0x01, 0x00, 0x00, 0x14, 0xc0, 0x03, 0x5f, 0xd6};
#else
_Static_assert(0, "no code to try probes on for this machine");
#endif
const size_t probecode_emulated_bytes = sizeof(probecode_emulated);

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC,
			    &now); /* cannot fail: the clock is there, and so is now */
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static int read_number(const char *path, const char *prefix, uint64_t *out)
{
	char *text;
	size_t nr = strlen(prefix);
	int error = fd_read_file(path, &text, NULL, 4096);

	if (error)
		return error;
	text[strcspn(text, "\n")] = '\0';
	error = strncmp(text, prefix, nr) ? -EINVAL : parse_u64(text + nr, out);
	free(text);
	return error;
}

int probecode_init(struct probecode *code)
{
	uint64_t type, bit;
	int error = read_number(PMU_TYPE_PATH, "", &type);

	if (!error)
		error = read_number(PMU_RETPROBE_PATH, "config:", &bit);
	if (error)
		return error;
	if (type > UINT32_MAX || bit > 63)
		return -EINVAL;
	*code = (struct probecode){
		.pmu_type = (uint32_t)type, .retprobe_bit = (unsigned int)bit, .fd = -1};
	return 0;
}

int probecode_map(struct probecode *code)
{
	void *page;

	/* a kernel before 6.3 does not know the flag, one after it may be set up to demand it */
	code->fd = memfd_create("seep-probecode", MFD_CLOEXEC | 0x0010U /* MFD_EXEC */);
	if (code->fd < 0)
		code->fd = memfd_create("seep-probecode", MFD_CLOEXEC);
	if (code->fd < 0 || ftruncate(code->fd, PROBECODE_BYTES))
		return -errno;
	page = mmap(NULL, PROBECODE_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE, code->fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	code->page = page;
	return 0;
}

int probecode_put(const struct probecode *code, size_t offset, const uint8_t *bytes, size_t nr)
{
	if (offset > PROBECODE_BYTES || nr > PROBECODE_BYTES - offset)
		return -ERANGE;
	return pwrite(code->fd, bytes, nr, (off_t)offset) < 0 ? -errno : 0;
}

int probecode_attach(const struct probecode *code, uint64_t offset, bool is_return, int prog_fd)
{
	struct perf_event_attr attr = {.size = sizeof(attr), .type = code->pmu_type};
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", code->fd);
	attr.uprobe_path = (uint64_t)(uintptr_t)path;
	attr.probe_offset = offset;
	if (is_return)
		attr.config = UINT64_C(1) << code->retprobe_bit;
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if ((prog_fd >= 0 && ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog_fd)) ||
	    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))
		return -errno;
	return fd;
}

probecode_function probecode_at(const struct probecode *code, size_t offset)
{
	return (probecode_function)(uintptr_t)(code->page + offset);
}

static void close_from(int first)
{
	int fd;

	if (!syscall(SYS_close_range, first, ~0U, 0))
		return;
	for (fd = first; fd < 4096; fd++)
		(void)close(fd); /* before 5.9; most are not open */
}

/*
 * The fds that the child inherits would keep alive what the parent closes: its probes above all, and the reader of a
 * pipe that waits for the end. Only these are kept.
 */
static int keep_fds(int pipe_fd, int prog_fd)
{
	int high_pipe = fcntl(pipe_fd, F_DUPFD, 2), high_prog = -1;

	if (prog_fd >= 0)
		high_prog = fcntl(prog_fd, F_DUPFD, 2);
	if (high_pipe < 0 || (prog_fd >= 0 && high_prog < 0))
		return -errno;
	if (dup2(high_pipe, PROBECODE_PIPE_FD) < 0)
		return -errno;
	if (prog_fd >= 0 && dup2(high_prog, PROBECODE_PROG_FD) < 0)
		return -errno;
	close_from(prog_fd >= 0 ? PROBECODE_PROG_FD + 1 : PROBECODE_PROG_FD);
	return 0;
}

static void shut_off(int pipe_fd, int prog_fd, pid_t parent_tgid)
{
	sigset_t all;

	/* the parent's handlers are not ours to run; SIGKILL still comes through */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent_tgid ||
	    keep_fds(pipe_fd, prog_fd))
		_exit(1);
}

static int open_child(struct probecode_child *child, pid_t child_tgid)
{
	int error;

	child->child_fd = (int)syscall(SYS_pidfd_open, child_tgid, 0);
	if (child->child_fd >= 0)
		return 0;
	error = -errno;
	(void)kill(child_tgid, SIGKILL); /* nobody has reaped it yet */
	(void)waitpid(child_tgid, NULL, 0);
	return error;
}

int probecode_fork(struct probecode_child *child, int prog_fd, void (*run)(void *arg), void *arg,
		   uint64_t timeout_ns)
{
	struct probecode_child new = {.child_fd = -1};
	pid_t parent_tgid = getpid(), child_tgid;
	int end[2], error;

	if (pipe2(end, O_CLOEXEC))
		return -errno;
	child_tgid = fork();
	if (!child_tgid) {
		shut_off(end[1], prog_fd, parent_tgid);
		run(arg);
		_exit(0);
	}
	error = child_tgid < 0 ? -errno : open_child(&new, child_tgid);
	fd_close(&end[1]);
	if (error) {
		fd_close(&end[0]);
		return error;
	}
	new.pipe_fd = end[0];
	new.deadline_ns = now_ns() + timeout_ns;
	*child = new;
	return 0;
}

/* 0: there is something to read, or the child has gone; -ETIMEDOUT. */
static int wait_for_word(const struct probecode_child *child)
{
	struct pollfd waiting = {.fd = child->pipe_fd, .events = POLLIN};
	uint64_t now;
	int nr;

	do {
		now = now_ns();
		nr = poll(&waiting, 1,
			  now < child->deadline_ns ? (int)((child->deadline_ns - now) / 1000000 + 1)
						   : 0);
	} while (nr < 0 && errno == EINTR);
	if (nr < 0)
		return -errno;
	return nr ? 0 : -ETIMEDOUT;
}

static void kill_child(const struct probecode_child *child)
{
	/* fails if it has ended by itself, which is as good */
	(void)syscall(SYS_pidfd_send_signal, child->child_fd, SIGKILL, NULL, 0);
}

ssize_t probecode_read(const struct probecode_child *child, void *data, size_t nr)
{
	int error = wait_for_word(child);

	if (error) {
		kill_child(child);
		return error;
	}
	return fd_read_all(child->pipe_fd, data, nr);
}

void probecode_end(struct probecode_child *child)
{
	siginfo_t info;
	int error;

	kill_child(child);
	do {
		error = waitid(P_PIDFD, (id_t)child->child_fd, &info, WEXITED);
	} while (error && errno == EINTR);
	fd_close(&child->child_fd);
	fd_close(&child->pipe_fd);
}
