/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Needs root: it sets probes on code of its own, in its own process. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "array.h"
#include "probecode.h"
#include "uprobe_link.h"
#include "uprobe_program.h"
#include "uprobe_trial.h"

#define NR_COUNTERS 8
#define FIRST 64 /* offsets of functions */
#define SECOND 128
#define CALLS 13

struct world {
	struct probecode code;
	char path[64];
	int map_fd;
	const volatile uint64_t *counter;
};

static void set_up(struct world *world)
{
	memset(world, 0, sizeof(*world));
	assert_int_equal(probecode_map(&world->code), 0);
	assert_int_equal(
		probecode_put(&world->code, FIRST, probecode_emulated, probecode_emulated_bytes),
		0);
	assert_int_equal(
		probecode_put(&world->code, SECOND, probecode_emulated, probecode_emulated_bytes),
		0);
	snprintf(world->path, sizeof(world->path), "/proc/self/fd/%d", world->code.fd);
	world->map_fd = uprobe_counter_map(NR_COUNTERS, &world->counter);
	assert_true(world->map_fd >= 0);
}

static void take_down(struct world *world)
{
	uprobe_counter_unmap(world->counter, NR_COUNTERS);
	close(world->map_fd);
	munmap(world->code.page, PROBECODE_BYTES);
	close(world->code.fd);
}

static void call(const struct world *world, size_t offset, unsigned int times)
{
	while (times--)
		probecode_at(&world->code, offset)(0);
}

/* A link of both functions that counts in 3 and 5; skips the test where the kernel has none of this kind. */
static int link_both(struct world *world, enum uprobe_link_kind kind, int result, pid_t tgid)
{
	const uint64_t offset[] = {FIRST, SECOND}, cookie[] = {3, 5};
	const struct uprobe_places places = {
		.path = world->path, .offset = offset, .cookie = cookie, .nr = 2, .tgid = tgid};
	int prog_fd = uprobe_program_counter(uprobe_link_attach_type(kind), world->map_fd, result);
	int fd;

	if (prog_fd == -EINVAL) {
		take_down(world);
		skip();
	}
	assert_true(prog_fd >= 0);
	fd = uprobe_link(prog_fd, kind, &places);
	close(prog_fd);
	if (fd == -EINVAL) {
		take_down(world);
		skip();
	}
	return fd;
}

/* How often each program runs for a call. */
static void assert_runs(enum uprobe_link_kind kind, int result, unsigned int runs)
{
	struct world world;
	int fd;

	set_up(&world);
	fd = link_both(&world, kind, result, getpid());
	assert_true(fd >= 0);
	call(&world, FIRST, CALLS);
	call(&world, SECOND, 1);
	assert_int_equal(world.counter[3], CALLS * runs);
	assert_int_equal(world.counter[5], runs);
	assert_int_equal(world.counter[0], 0);
	close(fd);
	call(&world, FIRST, CALLS);
	assert_int_equal(world.counter[3], CALLS * runs);
	take_down(&world);
}

static void test_entry(void **state)
{
	(void)state;
	assert_runs(UPROBE_LINK_ENTRY, 0, 1);
}

static void test_return(void **state)
{
	(void)state;
	assert_runs(UPROBE_LINK_RETURN, 0, 1);
}

static void test_session(void **state)
{
	(void)state;
	assert_runs(UPROBE_LINK_SESSION, 0, 2);
}

static void test_session_that_skips(void **state)
{
	(void)state;
	assert_runs(UPROBE_LINK_SESSION, 1, 1);
}

static void *call_in_thread(void *arg)
{
	call(arg, FIRST, CALLS);
	return NULL;
}

static void edge_46_other_threads_and_processes(void **state)
{
	struct world world;
	pthread_t thread;
	pid_t child;
	int fd, status;

	(void)state;
	set_up(&world);
	fd = link_both(&world, UPROBE_LINK_SESSION, 1, getpid());
	assert_true(fd >= 0);
	assert_int_equal(pthread_create(&thread, NULL, call_in_thread, &world), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(world.counter[3], CALLS);
	child = fork();
	if (!child) {
		call(&world, FIRST, CALLS);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(world.counter[3], CALLS);
	close(fd);

	/* of every process, it sees the child too */
	fd = link_both(&world, UPROBE_LINK_SESSION, 1, 0);
	assert_true(fd >= 0);
	child = fork();
	if (!child) {
		call(&world, SECOND, CALLS);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(world.counter[5], CALLS);
	close(fd);
	take_down(&world);
}

static void test_trial_of_threads(void **state)
{
	int answer = uprobe_trial_threads();

	(void)state;
	if (answer == -EINVAL)
		skip();
	/* the kernels that the tests run on have the fix, or no multi links */
	assert_int_equal(answer, 1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_what_is_wrong(void **state)
{
	const uint64_t offset = FIRST;
	struct uprobe_places places = {.offset = &offset, .nr = 1, .tgid = getpid()};
	struct world world;
	int entry_fd, fd;

	(void)state;
	set_up(&world);
	fd = link_both(&world, UPROBE_LINK_SESSION, 1, getpid());
	close(fd);
	entry_fd = uprobe_program_constant(uprobe_link_attach_type(UPROBE_LINK_ENTRY), 0);
	assert_true(entry_fd >= 0);
	places.path = "/";
	assert_int_equal(uprobe_link(entry_fd, UPROBE_LINK_ENTRY, &places), -EBADF);
	places.path = "/nowhere/at/all";
	assert_int_equal(uprobe_link(entry_fd, UPROBE_LINK_ENTRY, &places), -ENOENT);
	places.path = world.path;
	/* a program of another kind */
	assert_int_equal(uprobe_link(entry_fd, UPROBE_LINK_SESSION, &places), -EINVAL);
	places.tgid = 4194304; /* no process has this number */
	assert_int_equal(uprobe_link(entry_fd, UPROBE_LINK_ENTRY, &places), -ESRCH);
	places.nr = (size_t)UINT32_MAX + 1;
	assert_int_equal(uprobe_link(entry_fd, UPROBE_LINK_ENTRY, &places), -E2BIG);
	close(entry_fd);
	take_down(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entry),
		cmocka_unit_test(test_return),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_session_that_skips),
		cmocka_unit_test(edge_46_other_threads_and_processes),
		cmocka_unit_test(test_trial_of_threads),
		cmocka_unit_test(test_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
