// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * launch [-c CAPTURE] SEEP COMMAND...: runs seep with a --ready-fd, and tells how long things took:
 *
 *	started PID
 *	ready MS		from its start to its ready line
 *	ended STATUS CPU_MS RSS_KIB	its exit status, and the most memory it had
 *	first MS		with -c: from its start to the first event in the capture
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

#include "capture.h"
#include "event.h"

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

/* Of the first allocation or free in a capture; a negative errno where there is none. */
static double first_event_ms(const char *path)
{
	struct capture_reader *reader = NULL;
	const struct event_head *head;
	const void *record;
	double found_ms = -ENOENT;
	size_t nr;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || capture_reader_new(fd, &reader, NULL))
		return -EIO;
	while (found_ms < 0 && capture_read(reader, &record, &nr) == 1) {
		head = record;
		if (head->kind == EVENT_ALLOC || head->kind == EVENT_FREE)
			found_ms = (double)head->time_ns / 1e6;
	}
	capture_reader_free(reader);
	return found_ms;
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
	double start_ms, first_ms;
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
	if (capture) {
		first_ms = first_event_ms(capture);
		if (first_ms >= 0)
			printf("first %.1f\n", first_ms - start_ms);
	}
	return status;
}
