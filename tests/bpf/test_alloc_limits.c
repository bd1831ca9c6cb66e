/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is full, what fails, and who is a target at all. */
#include "native_begin.h"

#include "alloc.bpf.c"

#include "calls.h"

/* --- what is full --- */

static void test_full_block_map(void **state)
{
	(void)state;
	fake_map_limit(&blocks, 2);
	do_malloc(1, BLOCK);
	do_malloc(2, BLOCK + 16);
	do_malloc(3, BLOCK + 32);
	(void)expect_alloc(BLOCK, 1, 0);
	(void)expect_alloc(BLOCK + 16, 2, 0);
	no_event();
	assert_failures(STAT_LOST_ALLOCS, 1);
	assert_int_equal(counter(STAT_ALLOCS), 3);
	assert_balance();
	/* its free is one of a block that is not known */
	call_free(SP, BLOCK + 32);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 1);
	call_free(SP, BLOCK);
	(void)expect_free(BLOCK, 1, 0);
	do_malloc(4, BLOCK + 48);
	(void)expect_alloc(BLOCK + 48, 4, 0);
	assert_balance();
}

static void test_full_queue(void **state)
{
	(void)state;
	queue_at(0)->limit = 1;
	do_malloc(7, BLOCK);
	do_malloc(9, BLOCK + 16);
	call_free(SP, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	assert_failures(STAT_LOST_EVENTS, 2);
	assert_int_equal(lost_events, 2);
	/* the map is right all the same */
	assert_null(block_at(BLOCK));
	assert_live(BLOCK + 16, 9);
	assert_int_equal(counter(STAT_ALLOCS), 2);
	assert_int_equal(counter(STAT_FREES), 1);
	assert_balance();
}

static void test_no_thread_state(void **state)
{
	(void)state;
	thread_places_taken();
	fake_fail(&threads, FAKE_STORAGE, 1, ENOMEM);
	call(COOKIE_MALLOC, SP, 7, 0, 0);
	assert_failures(STAT_NO_THREAD_STATE, 1);
	/* the next probe of the thread tries again: here its return, of a call that we know nothing of */
	ret(SP, BLOCK);
	no_event();
	do_malloc(9, BLOCK);
	(void)expect_alloc(BLOCK, 9, 0);
	assert_failures(STAT_NO_THREAD_STATE, 1);
}

/* One of two threads whose numbers lead to the same place goes to task storage, and stays there. */
static void test_a_place_for_two(void **state)
{
	struct context c;

	(void)state;
	machine.worker.task.pid = machine.main.task.pid + THREAD_CACHE_PLACES;
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	assert_int_equal(fake_map_nr(&threads), 0);
	run_as(&machine.worker);
	call(COOKIE_MALLOC, SP - 4096, 9, 0, 0);
	assert_int_equal(fake_map_nr(&threads), 1);
	/* the place is free again: this thread's call goes on where it was begun */
	thread_forget((__u64)TGID << 32 | (__u32)machine.main.task.pid);
	ret(SP - 4096, BLOCK + 16);
	(void)expect_alloc(BLOCK + 16, 9, 0);
	assert_int_equal(nr_thread_states(), 1);
	/* and who comes anew finds it clean */
	run_as(&machine.main);
	assert_true(context_enter(&c));
	assert_int_equal(c.thread->nr_calls, 0);
	assert_int_equal(c.thread->last_freed, 0);
	assert_int_equal(nr_thread_states(), 2);
}

static void test_threads_by_tid(void **state)
{
	(void)state;
	config.task_storage = 0;
	thread_places_taken();
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	assert_int_equal(fake_map_nr(&threads_by_tid), 1);
	assert_int_equal(nr_thread_states(), 0);
	run_as(&machine.worker);
	fake_map_limit(&threads_by_tid, 1);
	call(COOKIE_MALLOC, SP - 4096, 7, 0, 0);
	assert_failures(STAT_NO_THREAD_STATE, 1);
}

static void test_deletion_fails(void **state)
{
	(void)state;
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	/* another thread has freed it at the same moment */
	fake_fail(&blocks, FAKE_DELETE, 1, ENOENT);
	call_free(SP, BLOCK);
	no_event();
	assert_int_equal(counter(STAT_FREES), 0);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 1);
}

static void test_no_queue(void **state)
{
	(void)state;
	queue_at(0)->limit = 0;
	do_malloc(7, BLOCK);
	assert_live(BLOCK, 7);
	assert_failures(STAT_LOST_EVENTS, 1);
	assert_balance();
}

/* --- who is a target --- */

static void test_not_armed(void **state)
{
	(void)state;
	armed = 0;
	do_malloc(7, BLOCK);
	call_free(SP, BLOCK);
	no_event();
	assert_int_equal(nr_thread_states(), 0);
	assert_int_equal(fake_map_nr(&blocks), 0);
	for (__u32 stat = 0; stat < STAT_NR; stat++)
		assert_int_equal(counter(stat), 0);
}

static void test_not_a_target(void **state)
{
	(void)state;
	run_as(&machine.other);
	do_malloc(7, BLOCK);
	no_event();
	assert_int_equal(nr_thread_states(), 0);
	assert_int_equal(fake_map_nr(&blocks), 0);
}

/* It becomes one later, and stops being one. */
static void test_targets_come_and_go(void **state)
{
	const __u32 tgid = OTHER_TGID;
	const struct event_alloc *e;

	(void)state;
	run_as(&machine.other);
	do_malloc(7, BLOCK);
	target_add(OTHER_TGID, OTHER_SLOT);
	do_malloc(9, BLOCK);
	e = next_event(EVENT_ALLOC);
	assert_int_equal(e->head.proc, SEEP_PROC(OTHER_SLOT, 1));
	assert_int_equal(counter_of(OTHER_SLOT, STAT_ALLOCS), 1);
	assert_int_equal(counter(STAT_ALLOCS), 0);
	assert_int_equal(bpf_map_delete_elem(&targets, &tgid), 0);
	targets_generation++;
	do_malloc(11, BLOCK + 16);
	call_free(SP, BLOCK);
	no_event();
	assert_int_equal(fake_map_nr(&blocks), 1);
}

static void test_two_targets_with_equal_addresses(void **state)
{
	const struct event_free *e;

	(void)state;
	target_add(OTHER_TGID, OTHER_SLOT);
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	run_as(&machine.other);
	do_malloc(9, BLOCK);
	(void)next_event(EVENT_ALLOC);
	assert_int_equal(fake_map_nr(&blocks), 2);
	call_free(SP, BLOCK);
	e = next_event(EVENT_FREE);
	assert_int_equal(e->sized, 9);
	assert_live(BLOCK, 7);
	assert_int_equal(counter(STAT_MISSED_FREES), 0);
}

/* Until it calls exec, a child of vfork() works in its parent's memory. */
static void test_vfork_child(void **state)
{
	(void)state;
	run_as(&machine.child);
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	run_as(&machine.main);
	call_free(SP, BLOCK);
	(void)expect_free(BLOCK, 7, 0);
	assert_balance();
}

/* A child of fork() has memory of its own. */
static void test_fork_child(void **state)
{
	(void)state;
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	machine.child.task.mm = &machine.other_mm;
	run_as(&machine.child);
	call_free(SP, BLOCK);
	no_event();
	assert_live(BLOCK, 7);
}

static void test_slot_is_gone(void **state)
{
	(void)state;
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	fake_fail(&slots, FAKE_LOOKUP, 1, ENOENT);
	call_free(SP, BLOCK);
	no_event();
	assert_live(BLOCK, 7);
}

static void test_exec_voids_calls_and_blocks(void **state)
{
	const __u32 slot = SLOT;
	struct slot_value *value = fake_map_value(&slots, &slot, 0);

	(void)state;
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	value->proc = SEEP_PROC(SLOT, 2);
	call_free(SP, BLOCK);
	no_event();
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 1);
	assert_live(BLOCK, 7); /* for userspace to sweep */
}

/* Somebody else comes and goes meanwhile. */
static void test_calls_go_on_when_targets_change(void **state)
{
	(void)state;
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	call(COOKIE_REALLOC, SP, BLOCK, 100, 0);
	target_add(OTHER_TGID, OTHER_SLOT);
	ret(SP, BLOCK + 64);
	(void)expect_free(BLOCK, 7, FREE_REALLOC);
	(void)expect_alloc(BLOCK + 64, 100, ALLOC_REALLOC);
	assert_balance();
}

/* A call under way when its process got a slot is not known of. */
static void test_attached_in_the_middle_of_a_call(void **state)
{
	const __u32 tgid = TGID;

	(void)state;
	call(COOKIE_MALLOC, SP, 7, 0, 0);
	assert_int_equal(bpf_map_delete_elem(&targets, &tgid), 0);
	targets_generation++;
	call_free(SP - 64, BLOCK);
	target_add(TGID, OTHER_SLOT);
	ret(SP, BLOCK);
	no_event();
	assert_int_equal(fake_map_nr(&blocks), 0);
}

/* --- waking the reader --- */

static void test_wakes_only_when_much_is_waiting(void **state)
{
	(void)state;
	config.wakeup_events = 1000;
	for (__u64 i = 0; i < 1000; i++)
		do_malloc(7, BLOCK + i * 16);
	assert_int_equal(fake_nr_wakeups(), 0);
	for (__u64 i = 1000; i < 1100; i++)
		do_malloc(7, BLOCK + i * 16);
	assert_in_range(fake_nr_wakeups(), 1, 3);
	for (__u64 i = 0; i < 1100; i++)
		(void)expect_alloc(BLOCK + i * 16, 7, 0);
}

/* Who reads is awake, if it is full. */
static void test_wakes_nobody_by_a_full_ring(void **state)
{
	(void)state;
	config.wakeup_events = 1;
	fake_ring_limit(machine.ring[0], 0);
	for (__u64 i = 0; i < 200; i++)
		do_malloc(7, BLOCK + i * 16);
	assert_int_equal(fake_nr_wakeups(), 0);
	for (__u64 i = 0; i < 200; i++)
		(void)expect_alloc(BLOCK + i * 16, 7, 0);
}

static void test_queues_by_cpu(void **state)
{
	(void)state;
	fake.cpu = 1;
	do_malloc(7, BLOCK);
	assert_null(queue_next(0));
	assert_non_null(queue_next(1));
	fake.cpu = 3;
	do_malloc(9, BLOCK + 16);
	assert_null(queue_next(0));
	assert_non_null(queue_next(1));
}

static void test_queue_goes_around(void **state)
{
	(void)state;
	queue_at(0)->mask = 3;
	queue_at(0)->limit = 4;
	for (__u64 i = 0; i < 21; i += 3) {
		for (__u64 k = i; k < i + 3; k++)
			do_malloc(k + 1, BLOCK + k * 16);
		for (__u64 k = i; k < i + 3; k++)
			(void)expect_alloc(BLOCK + k * 16, k + 1, 0);
	}
	assert_failures(STAT_LOST_EVENTS, 0);
}

/* What waits in the small one is still read there. */
static void test_larger_queue(void **state)
{
	(void)state;
	do_malloc(7, BLOCK);
	machine.segment[1] = 0;
	*queue_at(2) = *queue_at(1);
	queues_grown = 1;
	do_malloc(9, BLOCK + 16);
	assert_int_equal(queue_at(2)->head, 1);
	*queue_at(1) = *queue_at(2);
	(void)expect_alloc(BLOCK, 7, 0);
	(void)expect_alloc(BLOCK + 16, 9, 0);
}

/* --- the time --- */

/* Births of one address in one tick differ, whatever CPU it is allocated on. */
static void test_births_differ(void **state)
{
	__u64 birth[64];

	(void)state;
	for (__u32 i = 0; i < 64; i++) {
		fake.cpu = i & 1;
		do_malloc(7, BLOCK);
		birth[i] = block_at(BLOCK)->birth_ns;
		call_free(SP, BLOCK);
		for (__u32 k = 0; k < i; k++)
			assert_int_not_equal(birth[k], birth[i]);
	}
	for (__u32 i = 0; i < 128; i++)
		assert_non_null(event_next());
}

static void test_time_is_late_by_less_than_a_tick(void **state)
{
	const struct event_alloc *alloc;
	const struct event_free *freed;

	(void)state;
	for (__u32 i = 0; i < 100; i++) {
		fake.now_ns += i * FAKE_TICK_NS / 7;
		do_malloc(7, BLOCK);
		alloc = next_event(EVENT_ALLOC);
		assert_in_range(alloc->head.time_ns + FAKE_TICK_NS, fake.now_ns,
				fake.now_ns + FAKE_TICK_NS + 400);
		fake.now_ns += i * FAKE_TICK_NS / 11;
		call_free(SP, BLOCK);
		freed = next_event(EVENT_FREE);
		assert_in_range(freed->head.time_ns + FAKE_TICK_NS, fake.now_ns,
				fake.now_ns + FAKE_TICK_NS + 400);
	}
}

/* Nothing seems to be older than the window in which it is born, though that began in the middle of a tick. */
static void test_birth_in_a_new_window(void **state)
{
	(void)state;
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	fake.now_ns += 1000;
	watched_since = fake.now_ns;
	do_malloc(7, BLOCK + 16);
	assert_true(expect_alloc(BLOCK + 16, 7, 0).head.time_ns >= watched_since);
	watched_since = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		machine_test(test_full_block_map),
		machine_test(test_full_queue),
		machine_test(test_no_thread_state),
		machine_test(test_a_place_for_two),
		machine_test(test_threads_by_tid),
		machine_test(test_deletion_fails),
		machine_test(test_no_queue),
		machine_test(test_not_armed),
		machine_test(test_not_a_target),
		machine_test(test_targets_come_and_go),
		machine_test(test_two_targets_with_equal_addresses),
		machine_test(test_vfork_child),
		machine_test(test_fork_child),
		machine_test(test_slot_is_gone),
		machine_test(test_exec_voids_calls_and_blocks),
		machine_test(test_calls_go_on_when_targets_change),
		machine_test(test_attached_in_the_middle_of_a_call),
		machine_test(test_wakes_only_when_much_is_waiting),
		machine_test(test_wakes_nobody_by_a_full_ring),
		machine_test(test_queues_by_cpu),
		machine_test(test_queue_goes_around),
		machine_test(test_larger_queue),
		machine_test(test_births_differ),
		machine_test(test_time_is_late_by_less_than_a_tick),
		machine_test(test_birth_in_a_new_window),
	};

	return cmocka_run_group_tests_name("alloc limits", tests, NULL, NULL);
}
