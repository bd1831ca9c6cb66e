// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * launch [-c CAPTURE] SEEP COMMAND...: runs seep with a --ready-fd, and tells how long things took:
 *
 *	started PID
 *	ready MS		from its start to its ready line
 *	ended STATUS CPU_MS RSS_KIB	its exit status, and the most memory it had
 *	first MS		with -c: from its start to the first event in the capture
 *	complete MS ARMED_MS	with -c: from its start, and from when the probes were armed, to the first allocation
 *				whose stack has its outermost frame
 *
 * Its standard output goes to our standard error. SIGINT and SIGTERM are passed on.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "array.h"
#include "capture.h"
#include "decode.h"

#define MAX_ARGS 64

static volatile sig_atomic_t child;

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void pass_on(int signal_nr)
{
	if (child > 0)
		(void)kill(child, signal_nr);
}

static void run_child(char **argv, int nr, int ready_fd)
{
	char *args[MAX_ARGS + 3], number[16];

	memcpy(args, argv, sizeof(*args) * (size_t)nr);
	snprintf(number, sizeof(number), "%d", ready_fd);
	/* Behind the name of the command, because what follows "--" is not seep's. */
	memmove(&args[4], &args[2], sizeof(*args) * (size_t)(nr - 2));
	args[2] = "--ready-fd";
	args[3] = number;
	args[nr + 2] = NULL;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execv(args[0], args);
	_exit(127);
}

/* What a capture tells, in the order of its file. Times in ns; 0: not there. */
struct story {
	uint64_t armed, first, complete;
	uint32_t *stack; /* ids, sorted in the end: those that have their outermost frame */
	size_t nr_stacks, cap_stacks;
};

static int compare_ids(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void earliest(uint64_t *known, uint64_t time_ns)
{
	if (!*known || time_ns < *known)
		*known = time_ns;
}

static int take_record(struct story *story, const struct event_head *head)
{
	if (head->kind == RECORD_RUN)
		story->armed = head->time_ns;
	if (head->kind == EVENT_ALLOC || head->kind == EVENT_FREE)
		earliest(&story->first, head->time_ns);
	if (head->kind != RECORD_STACK || head->flags & STACK_PARTIAL)
		return 0;
	if (ARRAY_GROW(&story->stack, &story->cap_stacks, story->nr_stacks + 1))
		return -ENOMEM;
	story->stack[story->nr_stacks++] = ((const struct record_stack *)head)->stack;
	return 0;
}

/* A stack is told of after the allocations that have it, so these are read in a second turn. */
static int take_alloc(struct story *story, const struct event_head *head)
{
	const struct event_alloc *alloc = (const void *)head;

	if (head->kind == EVENT_ALLOC && story->nr_stacks &&
	    bsearch(&alloc->stack, story->stack, story->nr_stacks, sizeof(*story->stack),
		    compare_ids))
		earliest(&story->complete, head->time_ns);
	return 0;
}

static int read_capture(const char *path, struct story *story,
			int (*take)(struct story *story, const struct event_head *head))
{
	struct capture_reader *reader = NULL;
	const void *record;
	size_t nr;
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0 || capture_reader_new(fd, &reader, NULL))
		return -EIO;
	while (!err && capture_read(reader, &record, &nr) == 1)
		err = record_check(record, nr) ?: take(story, record);
	capture_reader_free(reader);
	return err;
}

static void print_story(const char *path, double start_ms)
{
	struct story story = {0};
	int err = read_capture(path, &story, take_record);

	if (story.nr_stacks)
		qsort(story.stack, story.nr_stacks, sizeof(*story.stack), compare_ids);
	if (!err)
		err = read_capture(path, &story, take_alloc);
	if (!err && story.first)
		printf("first %.1f\n", (double)story.first / 1e6 - start_ms);
	if (!err && story.complete)
		printf("complete %.1f %.1f\n", (double)story.complete / 1e6 - start_ms,
		       (double)(story.complete - story.armed) / 1e6);
	free(story.stack);
}

static double cpu_ms(const struct rusage *usage)
{
	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e3 +
	       (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e3;
}

/* Prints all lines but the last. */
static int watch_child(double start_ms, int ready_fd)
{
	struct rusage usage;
	int status;
	char byte;

	printf("started %d\n", (int)child);
	fflush(stdout);
	while (read(ready_fd, &byte, 1) < 0 && errno == EINTR)
		;
	printf("ready %.1f\n", now_ms() - start_ms);
	fflush(stdout);
	while (wait4(child, &status, 0, &usage) < 0) {
		if (errno != EINTR)
			return 1;
	}
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	printf("ended %d %.0f %ld\n", status, cpu_ms(&usage), usage.ru_maxrss);
	return status;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = pass_on};
	const char *capture = NULL;
	double start_ms;
	int ready[2], status;

	if (argc > 2 && !strcmp(argv[1], "-c")) {
		capture = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc < 3 || argc > MAX_ARGS || pipe(ready)) {
		fprintf(stderr, "usage: launch [-c CAPTURE] SEEP COMMAND...\n");
		return 2;
	}
	fcntl(ready[0], F_SETFD, FD_CLOEXEC);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	start_ms = now_ms();
	child = fork();
	if (child < 0)
		return 1;
	if (!child)
		run_child(argv + 1, argc - 1, ready[1]);
	close(ready[1]);
	status = watch_child(start_ms, ready[0]);
	if (capture)
		print_story(capture, start_ms);
	return status;
}
