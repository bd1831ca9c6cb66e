/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "uprobe_trial.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fd.h"
#include "probecode.h"
#include "uprobe_link.h"
#include "uprobe_program.h"

#define TIMEOUT_NS UINT64_C(2000000000)
#define STACK_BYTES 65536

struct trial {
	struct probecode code;
	const volatile uint64_t *counter;
};

static void say(int32_t word)
{
	/* a parent that no longer reads has no use for it */
	(void)fd_write_all(PROBECODE_PIPE_FD, &word, sizeof(word));
}

/* What the other thread does: it ends the process as well. */
static int run_thread(void *arg)
{
	const struct trial *trial = arg;

	(void)probecode_at(&trial->code, 0)(0);
	say(trial->counter[0] ? 1 : 0);
	(void)syscall(SYS_exit_group, 0);
	return 0;
}

static int set_link(struct trial *trial)
{
	const uint64_t offset = 0, cookie = 0;
	struct uprobe_places places = {
		.offset = &offset, .cookie = &cookie, .nr = 1, .tgid = getpid()};
	char path[32];
	int map_fd, prog_fd, fd;

	map_fd = uprobe_counter_map(1, &trial->counter);
	if (map_fd < 0)
		return map_fd;
	prog_fd = uprobe_program_counter(uprobe_link_attach_type(UPROBE_LINK_ENTRY), map_fd, 0);
	if (prog_fd < 0)
		return prog_fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", trial->code.fd);
	places.path = path;
	fd = uprobe_link(prog_fd, UPROBE_LINK_ENTRY, &places);
	return fd < 0 ? fd : 0;
}

/* pthread_create() would allocate memory, whose locks another thread of the parent may hold. */
static int start_thread(struct trial *trial)
{
	char *stack =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stack == MAP_FAILED)
		return -errno;
	if (clone(run_thread, stack + STACK_BYTES,
		  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
		  trial) < 0)
		return -errno;
	return 0;
}

static void run_trial(void *arg)
{
	struct trial *trial = arg;
	int error = probecode_map(&trial->code);

	if (!error)
		error = probecode_put(&trial->code, 0, probecode_emulated,
				      probecode_emulated_bytes);
	if (!error)
		error = set_link(trial);
	if (!error)
		error = start_thread(trial);
	if (error)
		say(error);
	while (!error)
		(void)pause();
}

int uprobe_trial_threads(void)
{
	struct trial trial = {.code = {.fd = -1}};
	struct probecode_child child;
	int32_t word;
	ssize_t nr;
	int error = probecode_fork(&child, -1, run_trial, &trial, TIMEOUT_NS);

	if (error)
		return error;
	nr = probecode_read(&child, &word, sizeof(word));
	probecode_end(&child);
	if (nr == sizeof(word))
		return word;
	return nr < 0 ? (int)nr : -ECHILD;
}
