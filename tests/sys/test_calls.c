/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Needs root: mmap, munmap, mremap and brk of its own process, by each way that the kernel has to see them. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "attach.h"
#include "event.h"
#include "kernel.h"
#include "loader.h"
#include "ring.h"

#define SLOT 1
#define PAGE 4096
#define THREADS 4
#define ROUNDS 1000
#define MAX_EVENTS 20000

struct world {
	struct loader *loader;
	struct attach links;
	struct ring_set *rings;
	struct event_vm event[MAX_EVENTS];
	size_t nr;
};

static struct world world;

static int take(const void *record, size_t nr, void *arg)
{
	const struct event_head *head = record;
	struct world *w = arg;

	if (head->kind < EVENT_MMAP || head->kind > EVENT_BRK)
		return 0;
	assert_true(nr >= sizeof(w->event[0]));
	assert_true(w->nr < MAX_EVENTS);
	memcpy(&w->event[w->nr++], record, sizeof(w->event[0]));
	return 0;
}

/* False: not on this kernel. */
static bool set_up(enum loader_calls calls)
{
	static const struct loader_options options = {.allocations = true,
						      .ring_bytes = 1 << 22,
						      .max_blocks = 1024,
						      .max_targets = 2,
						      .max_stacks = 64,
						      .max_frames = 16,
						      .max_mappings = 64};
	struct kernel_features features;

	memset(&world, 0, sizeof(world));
	kernel_probe(&features);
	kernel_raise_limits();
	if (calls < CALLS_BY_TRAMPOLINES)
		features.trampolines = false;
	if (calls < CALLS_BY_LOCK)
		features.task_work = 0;
	assert_int_equal(loader_new(&options, &features, &world.loader), 0);
	if (loader_calls(world.loader) != calls) {
		loader_free(world.loader);
		return false;
	}
	assert_int_equal(loader_set_target(world.loader, SLOT, (uint32_t)getpid()), 0);
	assert_int_equal(ring_set_new(world.loader, take, &world, &world.rings), 0);
	assert_int_equal(attach_code(&world.links, world.loader), 0);
	assert_int_equal(attach_syscalls(&world.links, world.loader), 0);
	loader_watch(world.loader, 1);
	loader_arm(world.loader, true);
	return true;
}

static void drain(void)
{
	long nr;

	do {
		nr = ring_set_drain(world.rings);
		assert_true(nr >= 0);
	} while (nr);
}

/* No more events after this. */
static void stop(void)
{
	uint64_t value[STAT_NR];

	loader_arm(world.loader, false);
	drain();
	assert_int_equal(loader_counters(world.loader, SLOT, value), 0);
	assert_int_equal(value[STAT_LOST_EVENTS], 0);
}

static void take_down(void)
{
	attach_release(&world.links);
	ring_set_free(world.rings);
	loader_free(world.loader);
}

/* How many events say this; the sanitizer maps, too. */
static size_t nr_events(enum event_kind kind, uintptr_t addr, uint64_t length, uintptr_t old_addr,
			uint64_t old_length)
{
	size_t i, nr = 0;

	for (i = 0; i < world.nr; i++) {
		const struct event_vm *e = &world.event[i];

		nr += e->head.kind == kind && e->addr == addr && e->length == length &&
		      e->old_addr == old_addr && e->old_length == old_length &&
		      e->tid == (uint32_t)gettid();
	}
	return nr;
}

static uintptr_t map(uintptr_t at, size_t bytes, int flags)
{
	return (uintptr_t)syscall(SYS_mmap, at, bytes, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static void each_call(void)
{
	uintptr_t at = map(0, 3 * PAGE - 1, 0), large = map(0, (4 << 20) + PAGE, 0), moved, end;

	assert_int_equal(map(at + PAGE, PAGE, MAP_FIXED), at + PAGE);
	assert_int_equal(map(1, PAGE, MAP_FIXED), (uintptr_t)-1);
	assert_int_equal(syscall(SYS_munmap, at + 1, PAGE), -1);
	assert_int_equal(syscall(SYS_munmap, at + PAGE, PAGE), 0);
	assert_int_equal(syscall(SYS_munmap, large, (4 << 20) + PAGE), 0);
	moved = (uintptr_t)syscall(SYS_mremap, at, PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	assert_int_equal(syscall(SYS_mremap, moved, 64 * PAGE, 2 * PAGE, 0), moved);
	assert_int_equal(syscall(SYS_mremap, 1, PAGE, PAGE, 0), -1);
	end = (uintptr_t)syscall(SYS_brk, 0);
	assert_int_equal(syscall(SYS_brk, end + 2 * PAGE), end + 2 * PAGE);
	assert_int_equal(syscall(SYS_brk, end), end);
	assert_int_equal(syscall(SYS_brk, ~0UL), end);
	stop();
	assert_int_equal(nr_events(EVENT_MMAP, at, 3 * PAGE, 0, 0), 1);
	assert_int_equal(nr_events(EVENT_MMAP, large, (4 << 20) + PAGE, 0, 0), 1);
	assert_int_equal(nr_events(EVENT_MMAP, at + PAGE, PAGE, 0, 0), 1);
	assert_int_equal(nr_events(EVENT_MMAP, (uintptr_t)-1, PAGE, 0, 0), 0);
	assert_int_equal(nr_events(EVENT_MUNMAP, at + 1, PAGE, 0, 0), 0);
	assert_int_equal(nr_events(EVENT_MUNMAP, at + PAGE, PAGE, 0, 0), 1);
	assert_int_equal(nr_events(EVENT_MUNMAP, large, (4 << 20) + PAGE, 0, 0), 1);
	assert_int_equal(nr_events(EVENT_MREMAP, moved, 64UL * PAGE, at, PAGE), 1);
	assert_int_equal(nr_events(EVENT_MREMAP, moved, 2UL * PAGE, moved, 64UL * PAGE), 1);
	assert_int_equal(nr_events(EVENT_BRK, end + 2 * PAGE, 0, end, 0), 1);
	assert_int_equal(nr_events(EVENT_BRK, end, 0, end + 2 * PAGE, 0), 1);
	assert_int_equal(nr_events(EVENT_BRK, end, 0, end, 0), 0);
	assert_int_equal(syscall(SYS_munmap, moved, 2 * PAGE), 0);
	assert_int_equal(syscall(SYS_munmap, at + 2 * PAGE, PAGE), 0);
}

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	(void)number;
	signals++;
}

/* Signals come at any moment, also on the way back from a call. */
static void *map_and_unmap(void *arg)
{
	uint64_t *sum = arg;
	uintptr_t at;
	size_t i;

	for (i = 0; i < ROUNDS; i++) {
		if (i % 8 == 0)
			(void)pthread_kill(pthread_self(), SIGUSR1);
		at = map(0, 2 * PAGE, 0);
		*sum += at;
		if (syscall(SYS_munmap, at, 2 * PAGE))
			*sum = 0;
	}
	return NULL;
}

static void many_threads(void)
{
	pthread_t thread[THREADS];
	uint64_t sum[THREADS] = {0}, mapped = 0, unmapped = 0, wanted = 0;
	size_t i, nr_mapped = 0, nr_unmapped = 0;
	struct sigaction action = {.sa_handler = on_signal};

	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, map_and_unmap, &sum[i]), 0);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	stop();
	for (i = 0; i < THREADS; i++)
		wanted += sum[i];
	for (i = 0; i < world.nr; i++) {
		const struct event_vm *e = &world.event[i];
		bool is_one = e->length == 2 * PAGE && e->tid != (uint32_t)getpid();

		if (is_one && e->head.kind == EVENT_MMAP) {
			nr_mapped++;
			mapped += e->addr;
		} else if (is_one && e->head.kind == EVENT_MUNMAP) {
			nr_unmapped++;
			unmapped += e->addr;
		}
	}
	assert_true(signals > 0);
	assert_int_equal(nr_mapped, THREADS * ROUNDS);
	assert_int_equal(nr_unmapped, THREADS * ROUNDS);
	assert_int_equal(mapped, wanted);
	assert_int_equal(unmapped, wanted);
}

static void by_way(enum loader_calls calls, void (*test)(void))
{
	if (!set_up(calls)) {
		print_message("# n/a: not a way of this kernel\n");
		return;
	}
	test();
	take_down();
}

static void test_tracepoints(void **state)
{
	(void)state;
	by_way(CALLS_BY_TRACEPOINTS, each_call);
}

static void test_tracepoints_of_many_threads(void **state)
{
	(void)state;
	by_way(CALLS_BY_TRACEPOINTS, many_threads);
}

static void test_lock(void **state)
{
	(void)state;
	by_way(CALLS_BY_LOCK, each_call);
}

static void test_lock_of_many_threads(void **state)
{
	(void)state;
	by_way(CALLS_BY_LOCK, many_threads);
}

static void test_trampolines(void **state)
{
	(void)state;
	by_way(CALLS_BY_TRAMPOLINES, each_call);
}

static void test_trampolines_of_many_threads(void **state)
{
	(void)state;
	by_way(CALLS_BY_TRAMPOLINES, many_threads);
}

/* Whichever it is. */
static void test_one_way_at_least(void **state)
{
	struct kernel_features features;

	(void)state;
	kernel_probe(&features);
	assert_true(features.trampolines || features.task_work || features.syscall_tracepoints);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tracepoints),
		cmocka_unit_test(test_tracepoints_of_many_threads),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_lock_of_many_threads),
		cmocka_unit_test(test_trampolines),
		cmocka_unit_test(test_trampolines_of_many_threads),
		cmocka_unit_test(test_one_way_at_least),
	};

	if (geteuid()) {
		puts("1..0 # SKIP needs root");
		return 0;
	}
	return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
