/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Needs root: it counts calls of code of its own, in its own process and in a child. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "allocfail.h"
#include "callrate.h"
#include "cputime.h"
#include "probecode.h"

#define ALLOC 64 /* offsets of functions */
#define FREE 128
#define NEVER 192
#define MS UINT64_C(1000000)

struct world {
	struct probecode code;
	char path[64];
	atomic_bool stop;
	pthread_t thread;
};

static int set_up(void **state)
{
	static const size_t offset[] = {ALLOC, FREE, NEVER};
	static struct world world;
	size_t i;

	if (probecode_map(&world.code))
		return -1;
	for (i = 0; i < 3; i++) {
		if (probecode_put(&world.code, offset[i], probecode_emulated,
				  probecode_emulated_bytes))
			return -1;
	}
	snprintf(world.path, sizeof(world.path), "/proc/%d/fd/%d", (int)getpid(), world.code.fd);
	*state = &world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	munmap(world->code.page, PROBECODE_BYTES);
	return close(world->code.fd);
}

/* Three allocations for each free. */
static void *call_on(void *arg)
{
	struct world *world = arg;
	unsigned int i;

	for (i = 0; !atomic_load(&world->stop); i++) {
		(void)probecode_at(&world->code, ALLOC)(0);
		if (i % 3 == 0)
			(void)probecode_at(&world->code, FREE)(0);
	}
	return NULL;
}

static void start_calls(struct world *world)
{
	atomic_store(&world->stop, false);
	assert_int_equal(pthread_create(&world->thread, NULL, call_on, world), 0);
}

static void stop_calls(struct world *world)
{
	atomic_store(&world->stop, true);
	assert_int_equal(pthread_join(world->thread, NULL), 0);
}

static int count(struct world *world, pid_t tgid, const struct callrate_options *options,
		 uint64_t *hits, struct callrate *out)
{
	const struct callrate_place place[] = {
		{tgid, world->path, ALLOC, false, true},
		{tgid, world->path, NEVER, false, false},
		{tgid, world->path, FREE, true, true},
	};
	int error = callrate_count(place, 3, options, hits, out);

	if (error == -ENOTSUP) {
		print_message("this kernel has no multi links\n");
		skip();
	}
	return error;
}

static void test_counts(void **state)
{
	const struct callrate_options options = {.limit_ns = UINT64_C(1000000) * MS};
	struct world *world = *state;
	struct callrate rate;
	uint64_t hits[3];

	start_calls(world);
	assert_int_equal(count(world, getpid(), &options, hits, &rate), 0);
	stop_calls(world);
	assert_true(rate.count.counted_ns >= 50 * MS);
	assert_true(hits[0] > 0);
	assert_int_equal(hits[1], 0);
	assert_int_equal(rate.count.calls, hits[0]);
	assert_int_equal(rate.count.frees, hits[2]);
	/* three for one, but for what was read between two calls */
	assert_in_range(hits[0], hits[2] * 3 > 6 ? hits[2] * 3 - 6 : 0, hits[2] * 3 + 6);
	assert_int_equal(rate.nr_processes, 1);
	assert_int_equal(rate.nr_places, 3);
	assert_true(rate.stepped_calls == 0);
	/* a trap is no less, on whatever machine */
	assert_true(rate.count.spent_ns >= 100 * (hits[0] + hits[2]));
}

static void test_stops_early(void **state)
{
	const struct callrate_options options = {
		.max_ns = UINT64_C(60000) * MS, .limit_ns = MS, .emulated_ns = 1000};
	struct world *world = *state;
	struct callrate rate;

	start_calls(world);
	assert_int_equal(count(world, getpid(), &options, NULL, &rate), 0);
	stop_calls(world);
	/* long before the minute was over; what counts is that this test ends */
	assert_true(rate.count.counted_ns < UINT64_C(60000) * MS);
	assert_true(rate.count.spent_ns <= (rate.count.calls + rate.count.frees) * 1000);
}

static void test_nobody_calls(void **state)
{
	const struct callrate_options options = {.max_ns = 3 * MS};
	struct world *world = *state;
	struct callrate rate;
	uint64_t hits[3] = {7, 7, 7};

	assert_int_equal(count(world, getpid(), &options, hits, &rate), 0);
	assert_int_equal(hits[0] + hits[1] + hits[2], 0);
	assert_int_equal(rate.count.calls + rate.count.frees, 0);
	assert_true(rate.count.counted_ns >= 3 * MS);
}

static void test_every_process(void **state)
{
	const struct callrate_options options = {0};
	struct world *world = *state;
	struct callrate rate;
	pid_t child;

	atomic_store(&world->stop, false);
	child = fork();
	if (!child) {
		call_on(world);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(count(world, 0, &options, NULL, &rate), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(rate.count.calls > 0);
	assert_int_equal(rate.nr_processes, 0);
	assert_true(rate.count.cpu_ns >= rate.count.counted_ns);
}

/* Processes beyond the first ones are left out, with their CPU time. */
static void test_few_of_many(void **state)
{
	const struct callrate_options options = {.max_ns = MS, .max_processes = 1};
	struct world *world = *state;
	const struct callrate_place place[] = {
		{getpid(), world->path, ALLOC, false, true},
		{getppid(), world->path, ALLOC, false, true},
	};
	struct callrate rate;
	uint64_t hits[2];
	int error = callrate_count(place, 2, &options, hits, &rate);

	if (error == -ENOTSUP)
		skip();
	assert_int_equal(error, 0);
	assert_int_equal(rate.nr_processes, 1);
	assert_int_equal(rate.nr_places, 1);
}

static void test_what_is_wrong(void **state)
{
	const struct callrate_options options = {.max_ns = MS};
	struct world *world = *state;
	struct callrate rate = {.nr_places = 17};
	const struct callrate_place place = {getpid(), "/nowhere/at/all", 0, false, true};

	assert_int_equal(callrate_count(&place, 0, &options, NULL, &rate), -EINVAL);
	assert_int_equal(callrate_count(&place, 1, &options, NULL, &rate), -ENOENT);
	assert_int_equal(count(world, 4194304, &options, NULL, &rate), -ESRCH);
	assert_int_equal(rate.nr_places, 17);
}

static void test_no_memory(void **state)
{
	const struct callrate_options options = {.max_ns = MS};
	struct world *world = *state;
	struct callrate rate = {.nr_places = 17};
	long nth = 1;
	bool failed;
	int error;

	assert_int_equal(count(world, getpid(), &options, NULL, &rate), 0);
	do {
		rate.nr_places = 17;
		allocfail_set(nth++);
		error = count(world, getpid(), &options, NULL, &rate);
		failed = allocfail_hit();
		allocfail_set(0);
		if (error) {
			assert_true(failed);
			assert_int_equal(error, -ENOMEM);
			assert_int_equal(rate.nr_places, 17);
		} else {
			/* what was used meanwhile is then not known, and 0 */
			assert_true(!failed || rate.count.cpu_ns == 0);
		}
	} while (failed);
	assert_true(nth > 4);
}

static void test_cpu_time(void **state)
{
	pid_t tgid[] = {getpid(), 4194304};
	struct cputimes times = {0};
	uint64_t ns = 1, own = cputime_own(), of;

	(void)state;
	assert_int_equal(cputimes_since(&times, tgid, 2, 0, &ns), 0);
	assert_int_equal(ns, 0); /* from now on */
	while (cputime_own() < own + 30 * MS)
		;
	assert_int_equal(cputimes_since(&times, tgid, 2, 0, &ns), 0);
	assert_true(ns >= 10 * MS);
	assert_int_equal(cputimes_since(&times, tgid + 1, 1, 0, &ns), 0);
	assert_int_equal(ns, 0);
	/* new again: no more than it may have used meanwhile */
	assert_int_equal(cputimes_since(&times, tgid, 1, 17, &ns), 0);
	assert_int_equal(ns, 17);
	cputimes_release(&times);
	assert_int_equal(cputime_of(4194304, &of), -ESRCH);
	assert_int_equal(cputime_of(0, &of), -ESRCH);
	assert_int_equal(cputime_of(getpid(), &of), 0);
	assert_true(cputime_machine(17) >= 17);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),	     cmocka_unit_test(test_stops_early),
		cmocka_unit_test(test_nobody_calls), cmocka_unit_test(test_every_process),
		cmocka_unit_test(test_few_of_many),  cmocka_unit_test(test_what_is_wrong),
		cmocka_unit_test(test_no_memory),    cmocka_unit_test(test_cpu_time),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
