// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes that fork, exec and exit, as cases.c does the rest; edge.sh knows what must come out. */
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

#include "blocks.h"
#include "target.h"

extern char **environ;

MALLOC_SITE(edge_20_before)
MALLOC_SITE(edge_20_child)

/* It is slow until the probes that it has from its parent are taken out, soon. */
static long cost_at_last(void)
{
	long ns = cost();
	int tries;

	for (tries = 0; tries < 500 && ns > 60; tries++)
		ns = cost();
	return ns;
}

/* Returns what a pair costs in the child. */
static long edge_20(void)
{
	int fd[2], status;
	long ns = -1;
	pid_t child;

	fill(edge_20_before, 197, 37);
	REQUIRE(!pipe(fd));
	child = fork();
	if (!child) {
		empty(0, 37);
		fill(edge_20_child, 199, 41);
		ns = cost_at_last();
		_exit(write(fd[1], &ns, sizeof(ns)) != sizeof(ns));
	}
	REQUIRE(waitpid(child, &status, 0) == child && !status);
	REQUIRE(read(fd[0], &ns, sizeof(ns)) == sizeof(ns));
	close(fd[0]);
	close(fd[1]);
	return ns;
}

/* A child that nobody reaps. */
static long zombie(void)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	return child;
}

MALLOC_SITE(edge_21_child)

static long edge_21(void)
{
	char *const argv[] = {"true", NULL};
	int status;
	pid_t child;

	child = vfork();
	if (!child) {
		fill(edge_21_child, 211, 43);
		empty(0, 13);
		execv("/bin/true", argv);
		_exit(1);
	}
	REQUIRE(waitpid(child, &status, 0) == child && !status);
	REQUIRE(!posix_spawn(&child, "/bin/true", NULL, NULL, argv, environ));
	REQUIRE(waitpid(child, &status, 0) == child && !status);
	return 0;
}

MALLOC_SITE(edge_22_before)
MALLOC_SITE(edge_22_after)

static long edge_22(void)
{
	char *const argv[] = {"lives", NULL};

	fill(edge_22_before, 223, 47);
	execv("/proc/self/exe", argv);
	return -1;
}

static void *exec_again(void *unused)
{
	(void)unused;
	(void)edge_22();
	_exit(1);
}

/* It takes the place of the thread that the process is named after. */
static long edge_22_thread(void)
{
	pthread_t thread;

	REQUIRE(!pthread_create(&thread, NULL, exec_again, NULL));
	pthread_join(thread, NULL);
	return -1;
}

static void *outlive(void *leader)
{
	pthread_join((pthread_t)leader, NULL);
	target_write("done edge_23_leader 0\n");
	pause();
	return NULL;
}

static long edge_23_leader(void)
{
	pthread_t thread;

	REQUIRE(!pthread_create(&thread, NULL, outlive, (void *)pthread_self()));
	pthread_exit(NULL);
	return -1;
}

static long edge_22_new_image(void)
{
	fill(edge_22_after, 227, 53);
	return 0;
}

MALLOC_SITE(edge_23_malloc)

static long edge_23(void)
{
	fill(edge_23_malloc, 229, 59);
	exit(0);
}

static const struct work works[] = {
	{"cost", cost},
	{"edge_20", edge_20},
	{"zombie", zombie},
	{"edge_21", edge_21},
	{"edge_22", edge_22},
	{"edge_22_new_image", edge_22_new_image},
	{"edge_23", edge_23},
	{"edge_22_thread", edge_22_thread},
	{"edge_23_leader", edge_23_leader},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return target_serve(works, argc, argv);
}
