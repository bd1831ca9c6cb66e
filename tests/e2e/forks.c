/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes by the dozen: children that leak, short ones, images one after the other, threads, libraries. */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "blocks.h"
#include "target.h"

#define NR_CHILDREN 5
#define NR_SHORT 61
#define NR_SLEEPERS 499
#define NR_THREADS 5000
#define NR_IMAGES 17
#define NR_MILLISECONDS 400
#define CODE_BYTES 64 /* of a function: its probe is in there */

MALLOC_SITE(follow_child)
MALLOC_SITE(follow_parent)
MALLOC_SITE(follow_short)
MALLOC_SITE(follow_thread)
MALLOC_SITE(follow_sleeper)
MALLOC_SITE(follow_image)
MALLOC_SITE(follow_millisecond)

struct child {
	pid_t pid;
	int ask, answer;
};

static struct child child[NR_CHILDREN];
static const size_t nr_of_child[NR_CHILDREN] = {101, 103, 107, 109, 113};
static int wake_up[2], awake[2];
static unsigned char code[2][CODE_BYTES];

/* Kept for good: the site of a leak. */
static void leak(void *(*site)(size_t size), size_t size, size_t nr)
{
	while (nr--)
		REQUIRE(site(size));
}

/* --- code ------------------------------------------------------------------------------------- */

static void *const probed[2] = {(void *)malloc, (void *)free};

static void remember_code(void)
{
	int i;

	for (i = 0; i < 2; i++)
		memcpy(code[i], probed[i], CODE_BYTES);
}

/* Bytes of malloc and free that are not what they were at the start: breakpoints. */
static long code_changed(void)
{
	long nr = 0;
	int i, k;

	for (i = 0; i < 2; i++) {
		for (k = 0; k < CODE_BYTES; k++)
			nr += ((volatile unsigned char *)probed[i])[k] != code[i][k];
	}
	return nr;
}

/* --- children that are asked ------------------------------------------------------------------ */

static long child_answer(int nr, char question)
{
	switch (question) {
	case 'l':
		leak(follow_child, 1009, nr_of_child[nr]);
		return (long)nr_of_child[nr];
	case 'c':
		free(follow_child(11)); /* one kind of probe goes at its first hit */
		return code_changed();
	default:
		_exit(0);
	}
}

/* It does not outlive us. */
static void be_mortal(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void child_serve(int nr, int ask, int answer)
{
	char question;
	long value;

	be_mortal();
	while (read(ask, &question, 1) == 1) {
		value = child_answer(nr, question);
		if (write(answer, &value, sizeof(value)) != sizeof(value))
			break;
	}
	_exit(0);
}

static long children(void)
{
	int ask[2], answer[2], i;

	for (i = 0; i < NR_CHILDREN; i++) {
		REQUIRE(!pipe(ask) && !pipe(answer));
		child[i].pid = fork();
		if (!child[i].pid)
			child_serve(i, ask[0], answer[1]);
		child[i].ask = ask[1];
		child[i].answer = answer[0];
	}
	return child[0].pid;
}

static long ask(int nr, char question)
{
	long value = 0;

	REQUIRE(write(child[nr].ask, &question, 1) == 1);
	REQUIRE(read(child[nr].answer, &value, sizeof(value)) == sizeof(value));
	return value;
}

static long children_leak(void)
{
	long sum = 0;
	int i;

	leak(follow_parent, 1013, 23);
	for (i = 0; i < NR_CHILDREN; i++)
		sum += ask(i, 'l');
	return sum;
}

static long children_code(void)
{
	long sum = 0;
	int i;

	for (i = 0; i < NR_CHILDREN; i++)
		sum += ask(i, 'c');
	return sum;
}

static long children_end(void)
{
	int i, status;

	for (i = 0; i < NR_CHILDREN; i++) {
		REQUIRE(write(child[i].ask, "q", 1) == 1);
		REQUIRE(waitpid(child[i].pid, &status, 0) == child[i].pid && !status);
	}
	return NR_CHILDREN;
}

/* --- short lives ------------------------------------------------------------------------------ */

/* Each is over before anybody has looked at it, and leaves 13 blocks of the 17 that it has asked for. */
static long short_lives(void)
{
	void *kept[4];
	int i, k, status;
	pid_t pid;

	for (i = 0; i < NR_SHORT; i++) {
		pid = fork();
		if (!pid) {
			for (k = 0; k < 4; k++)
				kept[k] = follow_short(31);
			leak(follow_short, 37, 13);
			for (k = 0; k < 4; k++)
				free(kept[k]);
			_exit(0);
		}
		REQUIRE(waitpid(pid, &status, 0) == pid && !status);
	}
	return NR_SHORT;
}

/* The last of so many images of one process. */
static long images(void)
{
	const char *left = getenv("FORKS_IMAGES");
	int nr = left ? atoi(left) : NR_IMAGES;
	char *argv[] = {"forks", "images", NULL}, text[16];

	leak(follow_image, 41, 3);
	if (!nr)
		return 0;
	snprintf(text, sizeof(text), "%d", nr - 1);
	setenv("FORKS_IMAGES", text, 1);
	execv("/proc/self/exe", argv);
	return -1;
}

/* A child that becomes another program, this one under another name. */
static long run_named(void)
{
	char *argv[] = {"forks", "short", NULL};
	int status;
	pid_t pid = vfork();

	if (!pid) {
		execv(getenv("FORKS_NAMED"), argv);
		_exit(1);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid && !status);
	return pid;
}

/* --- many ------------------------------------------------------------------------------------- */

static void sleep_and_wake(void)
{
	char byte;

	if (read(wake_up[0], &byte, 1) == 1) {
		leak(follow_sleeper, 43, 3);
		(void)!write(awake[1], &byte, 1);
	}
	pause();
}

static long sleepers(void)
{
	char text[32];
	pid_t pid;
	int i;

	REQUIRE(!pipe(wake_up) && !pipe(awake));
	for (i = 0; i < NR_SLEEPERS; i++) {
		pid = fork();
		if (!pid) {
			be_mortal();
			sleep_and_wake();
		}
		snprintf(text, sizeof(text), "sleeper %d\n", (int)pid);
		target_write(text);
	}
	return NR_SLEEPERS;
}

static long sleepers_wake(void)
{
	char byte = 'w';
	int i;

	for (i = 0; i < NR_SLEEPERS; i++)
		REQUIRE(write(wake_up[1], &byte, 1) == 1);
	for (i = 0; i < NR_SLEEPERS; i++)
		REQUIRE(read(awake[0], &byte, 1) == 1);
	return NR_SLEEPERS;
}

static void *thread_main(void *unused)
{
	sleep_and_wake();
	return unused;
}

static long threads(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int i;

	REQUIRE(!pipe(wake_up) && !pipe(awake));
	REQUIRE(!pthread_attr_init(&attr) && !pthread_attr_setstacksize(&attr, 65536));
	for (i = 0; i < NR_THREADS; i++)
		REQUIRE(!pthread_create(&thread, &attr, thread_main, NULL));
	return NR_THREADS;
}

static long threads_wake(void)
{
	char byte = 'w';
	int i;

	for (i = 0; i < NR_THREADS; i++) {
		REQUIRE(write(wake_up[1], &byte, 1) == 1);
		REQUIRE(read(awake[0], &byte, 1) == 1);
	}
	return NR_THREADS;
}

/* --- how soon --------------------------------------------------------------------------------- */

/* One block a millisecond, as long as nobody may need to see the first. Returns how many. */
static long milliseconds(void *(*get)(size_t size))
{
	struct timespec next;
	int i;

	REQUIRE(!clock_gettime(CLOCK_MONOTONIC, &next));
	for (i = 0; i < NR_MILLISECONDS; i++) {
		REQUIRE(get(47));
		next.tv_nsec += 1000000;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL))
			;
	}
	return NR_MILLISECONDS;
}

static long of_libc(void)
{
	return milliseconds(follow_millisecond);
}

static void *(*of_library)(size_t size);

SITE static void *follow_library(size_t size)
{
	return of_library(size);
}

/* An allocator that was not there when the process was looked at. */
static long of_dlopen(void)
{
	void *library = dlopen(getenv("FORKS_LIBRARY"), RTLD_NOW | RTLD_LOCAL);

	REQUIRE(library);
	of_library = (void *(*)(size_t))dlsym(library, "malloc");
	REQUIRE(of_library);
	return milliseconds(follow_library);
}

static const struct work works[] = {
	{"children", children},
	{"children_leak", children_leak},
	{"children_code", children_code},
	{"children_end", children_end},
	{"code", code_changed},
	{"short", short_lives},
	{"images", images},
	{"run_named", run_named},
	{"sleepers", sleepers},
	{"sleepers_wake", sleepers_wake},
	{"threads", threads},
	{"threads_wake", threads_wake},
	{"of_libc", of_libc},
	{"of_dlopen", of_dlopen},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	remember_code();
	return target_serve(works, argc, argv);
}
