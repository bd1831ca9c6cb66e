/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Needs root: it sets probes on code of its own and has the kernel measure programs. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "allocfail.h"
#include "cputime.h"
#include "guard.h"
#include "probecode.h"
#include "progtime.h"
#include "uprobe_link.h"
#include "uprobe_program.h"

#define MS UINT64_C(1000000)

static const struct calibration calibration = {
	.emulated = {{0}, {700, 1200}, {600, 1100}, {500, 1000}},
	.stepped = {{0}, {9000, 9500}, {8000, 8500}, {7000, 7500}},
};

static const struct guard_options usual = {
	.max_overhead = 0.05,
	.sample_bytes = 1,
	.has_faults = true,
	.link = ATTACH_SESSION,
	.calibration = &calibration,
	.alloc_program_fd = -1,
	.return_program_fd = -1,
	.free_program_fd = -1,
};

static uint64_t now_ns(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

static struct guard *begin(const struct guard_options *options, const struct guard_input *input,
			   struct governor_step *step)
{
	struct guard *guard = NULL;

	assert_int_equal(guard_new(options, &guard), 0);
	guard_start(guard, input, NULL, step);
	assert_int_equal(step->why, STEP_START);
	assert_true(step->attached);
	guard_turned(guard, input->time_ns, true);
	return guard;
}

static void test_costs_by_link_and_place(void **state)
{
	const struct callrate stepped = {
		.count = {.counted_ns = 50 * MS}, .stepped_calls = 0.5, .stepped_frees = 1};
	struct guard_options options = usual;
	struct guard_input input = {.time_ns = now_ns()};
	struct governor_step step;
	struct guard *guard = begin(&options, &input, &step);

	(void)state;
	/* traps and what is guessed of our programs; a free is no session */
	assert_int_equal((int)guard_cost_ns(guard, GOVERNOR_FOLLOWED), 1600);
	assert_int_equal((int)guard_cost_ns(guard, GOVERNOR_SKIPPED), 580);
	assert_int_equal((int)guard_cost_ns(guard, GOVERNOR_FREE), 750);
	assert_int_equal((int)guard_cost_ns(guard, GOVERNOR_USDT), 1300);
	assert_int_equal((int)guard_cost_ns(guard, GOVERNOR_MAPPING), 1500);
	assert_int_equal((int)guard_cost_ns(guard, GOVERNOR_UNMAPPING), 1000);
	guard_start(guard, &input, &stepped, &step);
	assert_int_equal((int)guard_cost_ns(guard, GOVERNOR_FOLLOWED), 600 + 1000 / 2 + 7500 / 2);
	assert_int_equal((int)guard_cost_ns(guard, GOVERNOR_FREE), 150 + 8000);
	guard_free(guard);
	options.link = ATTACH_PERF;
	guard = begin(&options, &input, &step);
	/* its return is trapped all the same */
	assert_int_equal((int)guard_cost_ns(guard, GOVERNOR_SKIPPED), 1280);
	assert_int_equal((int)guard_cost_ns(guard, GOVERNOR_FREE), 850);
	guard_free(guard);
	options.calls = CALLS_BY_LOCK;
	guard = begin(&options, &input, &step);
	assert_int_equal((int)guard_cost_ns(guard, GOVERNOR_MAPPING), 9000);
	guard_free(guard);
	options.calibration = NULL;
	guard = begin(&options, &input, &step);
	assert_int_equal((int)guard_cost_ns(guard, GOVERNOR_FOLLOWED), 1750);
	guard_free(guard);
	guard_free(NULL);
}

/* A child that does nothing but work. */
static pid_t start_worker(void)
{
	pid_t child = fork();

	if (!child) {
		for (;;)
			__asm__ volatile("" ::: "memory");
	}
	assert_true(child > 0);
	return child;
}

static void stop_worker(pid_t worker)
{
	assert_int_equal(kill(worker, SIGKILL), 0);
	assert_int_equal(waitpid(worker, NULL, 0), worker);
}

/* Until it has used so much CPU. */
static void wait_for_work(pid_t worker, uint64_t ns)
{
	const struct timespec pause = {.tv_nsec = MS};
	uint64_t used = 0, before = 0;

	assert_int_equal(cputime_of(worker, &before), 0);
	while (!cputime_of(worker, &used) && used < before + ns)
		nanosleep(&pause, NULL);
}

static void test_steps(void **state)
{
	pid_t worker = start_worker();
	struct guard_input input = {.time_ns = now_ns(), .tgid = &worker, .nr_tgids = 1};
	struct governor_step step;
	struct guard *guard = begin(&usual, &input, &step);
	uint64_t cpu_ns;

	(void)state;
	wait_for_work(worker, 30 * MS);
	input.time_ns = now_ns();
	input.counter[STAT_ENTRY_HITS] = input.counter[STAT_RETURN_HITS] = 100;
	input.counter[STAT_FREE_HITS] = 90;
	/* 160 us and 67 of at least 30 ms */
	assert_int_equal(guard_tick(guard, &input, &step), GOVERNOR_STAY);
	assert_int_equal(step.mode, STEP_EXACT);
	assert_in_range(step.overhead_ppm, 1, 9000);
	assert_int_equal(guard_overhead(guard, &cpu_ns), 100 * 1600 + 90 * 750);
	assert_true(cpu_ns >= 20 * MS);
	/* probes that a program brings along cost it something, too */
	wait_for_work(worker, 10 * MS);
	input.time_ns = now_ns();
	input.counter[STAT_USDT_HITS] = 70;
	assert_int_equal(guard_tick(guard, &input, &step), GOVERNOR_STAY);
	assert_int_equal(guard_overhead(guard, &cpu_ns), 100 * 1600 + 90 * 750 + 70 * 1300);
	/* and so do mappings outside allocators */
	wait_for_work(worker, 10 * MS);
	input.time_ns = now_ns();
	input.counter[STAT_MAPPINGS] = 20;
	assert_int_equal(guard_tick(guard, &input, &step), GOVERNOR_STAY);
	assert_int_equal(guard_overhead(guard, &cpu_ns),
			 100 * 1600 + 90 * 750 + 70 * 1300 + 20 * 1500);
	/* all at once more than it can have used */
	wait_for_work(worker, 10 * MS);
	input.time_ns = now_ns();
	input.counter[STAT_ENTRY_HITS] = input.counter[STAT_RETURN_HITS] += 100000000;
	assert_int_equal(guard_tick(guard, &input, &step), GOVERNOR_STEP);
	assert_int_equal(step.mode, STEP_WINDOWS);
	assert_int_equal(step.why, STEP_OVER_TARGET);
	assert_false(step.attached);
	guard_turned(guard, now_ns(), false);
	assert_int_equal(guard_tick(guard, &input, &step), GOVERNOR_STAY); /* no time has passed */
	stop_worker(worker);
	guard_free(guard);
}

/* Counters that become less, and processes that go, do no harm. */
static void test_what_goes(void **state)
{
	pid_t worker = start_worker();
	struct guard_input input = {.time_ns = now_ns(), .tgid = &worker, .nr_tgids = 1};
	struct governor_step step;
	struct guard *guard;
	uint64_t cpu_ns;

	(void)state;
	input.counter[STAT_ENTRY_HITS] = input.counter[STAT_RETURN_HITS] = 100000000;
	guard = begin(&usual, &input, &step);
	stop_worker(worker);
	input.time_ns = now_ns();
	input.counter[STAT_ENTRY_HITS] = input.counter[STAT_RETURN_HITS] = 7;
	assert_int_equal(guard_tick(guard, &input, &step), GOVERNOR_STAY);
	assert_int_equal(guard_overhead(guard, &cpu_ns), 0);
	assert_int_equal(cpu_ns, 0);
	guard_free(guard);
}

static void test_of_the_machine(void **state)
{
	struct guard_options options = usual;
	struct guard_input input = {.time_ns = now_ns()};
	struct governor_step step;
	struct guard *guard;
	uint64_t cpu_ns;

	(void)state;
	options.system_wide = true;
	guard = begin(&options, &input, &step);
	input.time_ns += 100 * MS;
	assert_int_equal(guard_tick(guard, &input, &step), GOVERNOR_STAY);
	(void)guard_overhead(guard, &cpu_ns);
	assert_int_equal(cpu_ns, 100 * MS * (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	guard_free(guard);
}

static void test_own_memory(void **state)
{
	struct guard_options options = usual;
	struct guard_input input = {.time_ns = now_ns()};
	struct governor_step step;
	struct guard *guard;

	(void)state;
	options.max_memory_bytes = 4096; /* any program has more */
	guard = begin(&options, &input, &step);
	input.time_ns = now_ns();
	assert_int_equal(guard_tick(guard, &input, &step), GOVERNOR_STEP);
	assert_int_equal(step.why, STEP_OVER_MEMORY);
	assert_int_equal(step.mode, STEP_SAMPLED);
	guard_free(guard);
}

static void test_predicts(void **state)
{
	/* 2,000 pairs of 2.35 us, and 95.3 ms of its own work */
	const struct callrate rate = {.count = {.counted_ns = 100 * MS,
						.calls = 2000,
						.frees = 2000,
						.cpu_ns = 98300000,
						.spent_ns = 3000000}};
	struct governor_prediction p;
	struct guard *guard;

	(void)state;
	assert_int_equal(guard_new(&usual, &guard), 0);
	guard_predict(guard, &rate, &p);
	assert_in_range((int)(p.exact * 1e4), 469, 471);
	assert_in_range((int)(p.sampled * 1e4), 270, 275);
	assert_int_equal(p.step.mode, STEP_SAMPLED);
	assert_false(p.hopeless);
	guard_free(guard);
}

static void test_no_memory(void **state)
{
	pid_t self = getpid();
	struct guard *guard = NULL;
	struct cputimes times = {0};
	uint64_t ns = 7;
	int error;

	(void)state;
	allocfail_set(1);
	error = guard_new(&usual, &guard);
	allocfail_set(0);
	assert_int_equal(error, -ENOMEM);
	assert_null(guard);
	allocfail_set(1);
	error = cputimes_since(&times, &self, 1, 0, &ns);
	allocfail_set(0);
	assert_int_equal(error, -ENOMEM);
	assert_int_equal(ns, 7);
	cputimes_release(&times);
}

/* --- programs that are measured ------------------------------------------------------------------- */

struct measured {
	struct probecode code;
	const volatile uint64_t *counter;
	int map_fd, prog_fd, link_fd;
};

static void set_probe(struct measured *m)
{
	static const uint64_t offset = 64, cookie = 0;
	char path[64];
	struct uprobe_places places = {
		.path = path, .offset = &offset, .cookie = &cookie, .nr = 1, .tgid = getpid()};

	memset(m, 0, sizeof(*m));
	assert_int_equal(probecode_map(&m->code), 0);
	assert_int_equal(
		probecode_put(&m->code, offset, probecode_emulated, probecode_emulated_bytes), 0);
	m->map_fd = uprobe_counter_map(1, &m->counter);
	assert_true(m->map_fd >= 0);
	m->prog_fd =
		uprobe_program_counter(uprobe_link_attach_type(UPROBE_LINK_ENTRY), m->map_fd, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", m->code.fd);
	m->link_fd = m->prog_fd < 0 ? -1 : uprobe_link(m->prog_fd, UPROBE_LINK_ENTRY, &places);
}

static void remove_probe(struct measured *m)
{
	close(m->link_fd);
	close(m->prog_fd);
	close(m->map_fd);
	uprobe_counter_unmap(m->counter, 1);
	munmap(m->code.page, PROBECODE_BYTES);
	close(m->code.fd);
}

static void test_times_of_programs(void **state)
{
	uint64_t ns[2] = {7, 7}, runs[2] = {7, 7};
	struct progtime time;
	struct measured m;
	unsigned int i;

	(void)state;
	set_probe(&m);
	if (m.link_fd < 0) {
		remove_probe(&m);
		skip();
	}
	progtime_init(&time);
	assert_int_equal(progtime_end(&time, ns, runs), -EINVAL);
	assert_int_equal(progtime_begin(&time, (const int[]){m.prog_fd, -1}, 2), 0);
	assert_int_equal(progtime_begin(&time, (const int[]){m.prog_fd, -1}, 2), -EBUSY);
	for (i = 0; i < 307; i++)
		(void)probecode_at(&m.code, 64)(0);
	assert_int_equal(progtime_end(&time, ns, runs), 0);
	assert_int_equal(runs[0], 307);
	assert_in_range(ns[0], 307, 307 * MS);
	assert_int_equal(runs[1], 0);
	assert_int_equal(progtime_begin(&time, (const int[]){m.code.fd}, 1),
			 -EINVAL); /* no program */
	progtime_release(&time);
	remove_probe(&m);
}

/* The guess is replaced by what was measured. */
static void test_measures_programs(void **state)
{
	struct guard_options options = usual;
	struct guard_input input = {.time_ns = now_ns()};
	struct governor_step step;
	struct guard *guard;
	struct measured m;
	unsigned int i;

	(void)state;
	set_probe(&m);
	if (m.link_fd < 0) {
		remove_probe(&m);
		skip();
	}
	options.max_overhead = 0;
	options.free_program_fd = options.alloc_program_fd = m.prog_fd;
	guard = begin(&options, &input, &step);
	input.time_ns += 300 * MS; /* it begins */
	(void)guard_tick(guard, &input, &step);
	for (i = 0; i < 503; i++)
		(void)probecode_at(&m.code, 64)(0);
	input.counter[STAT_ENTRY_HITS] = input.counter[STAT_RETURN_HITS] = 503;
	input.time_ns += 100 * MS;
	(void)guard_tick(guard, &input, &step);
	/* the program counts, and takes much less than one that walks a stack: but that is not to be timed here */
	assert_int_not_equal((int)(1000 * guard_cost_ns(guard, GOVERNOR_FREE)), 750000);
	assert_int_not_equal((int)(1000 * guard_cost_ns(guard, GOVERNOR_FOLLOWED)), 1600000);
	assert_true(guard_cost_ns(guard, GOVERNOR_FREE) > 600);
	assert_int_equal((int)guard_cost_ns(guard, GOVERNOR_SKIPPED), 580);
	guard_free(guard);
	remove_probe(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_costs_by_link_and_place),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_what_goes),
		cmocka_unit_test(test_of_the_machine),
		cmocka_unit_test(test_own_memory),
		cmocka_unit_test(test_predicts),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_times_of_programs),
		cmocka_unit_test(test_measures_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
