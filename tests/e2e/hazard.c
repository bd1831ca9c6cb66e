// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes with something in the way of probes: hazard filter|strict|traced|plain. "hazard launch CMD ARGS..." runs a
 * command that cannot put anybody under seccomp.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target.h"

#define BLOCKS 1009
#define ROUNDS 23
#define HEAP_BYTES (4ul << 20)

static void *block[BLOCKS];

SITE void *edge_37_kept(size_t size)
{
	return malloc(size);
}

SITE void *edge_37_churn(size_t size)
{
	return malloc(size);
}

SITE void *edge_37_resized(void *p, size_t size)
{
	return realloc(p, size);
}

/* 23 rounds of 1009 blocks that are freed; then 211 blocks stay, 53 of them resized. */
static long edge_37(void)
{
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < BLOCKS; i++)
			REQUIRE((block[i] = edge_37_churn(67)));
		for (i = 0; i < BLOCKS; i++)
			free(block[i]);
	}
	for (i = 0; i < 211; i++)
		REQUIRE((block[i] = edge_37_kept(101)));
	for (i = 0; i < 53; i++)
		REQUIRE((block[i] = edge_37_resized(block[i], 307)));
	return 0;
}

static void enter_strict(void)
{
	/* Strict mode has no way to ask for memory: the heap is there before. */
	mallopt(M_MMAP_THRESHOLD, 2 * HEAP_BYTES);
	mallopt(M_TRIM_THRESHOLD, 2 * HEAP_BYTES);
	free(malloc(HEAP_BYTES));
	REQUIRE(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
}

#define ALLOW(call)                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1),                                     \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void enter_filter(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(read),
		ALLOW(write),
		ALLOW(brk),
		ALLOW(mmap),
		ALLOW(munmap),
		ALLOW(getrandom), /* the first malloc() of a process */
		ALLOW(exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(*filter), .filter = filter};

	REQUIRE(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	REQUIRE(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

/* Lets its parent do whatever it does. */
static void trace_parent(int ready)
{
	pid_t parent = getppid();
	int status;

	if (prctl(PR_SET_NAME, "edge_44_tracer") || ptrace(PTRACE_SEIZE, parent, NULL, NULL) ||
	    write(ready, "t", 1) != 1)
		_exit(1);
	while (waitpid(parent, &status, __WALL) == parent && WIFSTOPPED(status))
		(void)ptrace(PTRACE_CONT, parent, NULL, (long)WSTOPSIG(status));
	_exit(0);
}

static void be_traced(void)
{
	int end[2];
	char byte;

	REQUIRE(!pipe(end));
	if (!fork())
		trace_parent(end[1]);
	REQUIRE(read(end[0], &byte, 1) == 1);
}

static int launch(char **argv)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SECCOMP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(*filter), .filter = filter};

	/* Without PR_SET_NO_NEW_PRIVS: root may. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 1;
	execv(argv[0], argv);
	return 127;
}

static const struct work works[] = {
	{"edge_37", edge_37},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	REQUIRE(argc > 1);
	if (!strcmp(argv[1], "launch"))
		return launch(argv + 2);
	if (!strcmp(argv[1], "filter"))
		enter_filter();
	else if (!strcmp(argv[1], "strict"))
		enter_strict();
	else if (!strcmp(argv[1], "traced"))
		be_traced();
	else
		REQUIRE(!strcmp(argv[1], "plain"));
	return target_serve(works, 1, argv);
}
