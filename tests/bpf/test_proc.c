/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "native_begin.h"

#include "proc.bpf.c"
#include "stack.bpf.h"

#include "native.h"

/* Raw tracepoints have as many arguments as they have. */
struct raw_args {
	__u64 args[3];
};

static void run(int (*program)(struct bpf_raw_tracepoint_args *), __u64 second)
{
	struct raw_args args = {{1, second, 3}};

	(void)program((void *)&args);
}

static struct event_proc expect(enum event_kind kind, __u32 proc, __u32 tgid)
{
	const struct event_proc *e = next_event(kind);

	assert_int_equal(e->head.proc, proc);
	assert_int_equal(e->tgid, tgid);
	return *e;
}

static struct slot_value *slot(void)
{
	const __u32 nr = SLOT;

	return fake_map_value(&slots, &nr, 0);
}

static bool is_target(__u32 tgid)
{
	return fake_map_value(&targets, &tgid, 0) != NULL;
}

static void test_fork(void **state)
{
	struct event_proc e;

	(void)state;
	run(proc_fork, (uintptr_t)&machine.child.task);
	e = expect(EVENT_FORK, PROC, 5000);
	assert_int_equal(e.parent_tgid, TGID);
	assert_string_equal(e.comm, "server");
	/* a new thread is no new process */
	run(proc_fork, (uintptr_t)&machine.worker.task);
	run_as(&machine.other);
	run(proc_fork, (uintptr_t)&machine.child.task);
	no_event();
}

static void test_exec(void **state)
{
	struct context c;

	(void)state;
	assert_true(context_enter(&c));
	c.thread->nr_calls = 1;
	run(proc_exec, 0);
	(void)expect(EVENT_EXEC, SEEP_PROC(SLOT, 2), TGID);
	assert_int_equal(slot()->proc, SEEP_PROC(SLOT, 2));
	assert_true(context_enter(&c));
	assert_int_equal(c.proc, SEEP_PROC(SLOT, 2));
	assert_int_equal(c.thread->nr_calls, 0);
	run(proc_exec, 0);
	(void)expect(EVENT_EXEC, SEEP_PROC(SLOT, 3), TGID);
}

/* It takes the leader's id; its own state goes. */
static void test_exec_by_another_thread(void **state)
{
	struct event_proc e;
	struct context c;

	(void)state;
	config.task_storage = 0;
	thread_places_taken();
	run_as(&machine.worker);
	assert_true(context_enter(&c));
	assert_int_equal(fake_map_nr(&threads_by_tid), 1);
	run_as(&machine.main);
	run(proc_exec, (__u64)machine.worker.task.pid);
	e = expect(EVENT_EXEC, SEEP_PROC(SLOT, 2), TGID);
	assert_int_equal(e.parent_tgid, machine.worker.task.pid);
	assert_int_equal(fake_map_nr(&threads_by_tid), 0);
}

/* The incarnation is kept also while nothing is sent. */
static void test_exec_while_not_armed(void **state)
{
	(void)state;
	armed = 0;
	run(proc_exec, 0);
	run(proc_fork, (uintptr_t)&machine.child.task);
	no_event();
	assert_int_equal(slot()->proc, SEEP_PROC(SLOT, 2));
}

/* Until then it counted as its parent. */
static void test_exec_of_a_vfork_child(void **state)
{
	struct context c;

	(void)state;
	run_as(&machine.child);
	assert_true(context_enter(&c));
	assert_int_equal(c.proc, PROC);
	machine.child.task.mm = &machine.other_mm;
	run(proc_exec, 0);
	no_event();
	assert_int_equal(slot()->proc, PROC);
	assert_false(context_enter(&c));
}

static void test_exit(void **state)
{
	(void)state;
	run_as(&machine.worker);
	machine.worker.signal.live.counter = 1;
	run(proc_exit, 0);
	no_event();
	assert_true(is_target(TGID));
	run_as(&machine.main);
	machine.main.signal.live.counter = 0;
	run(proc_exit, 0);
	(void)expect(EVENT_EXIT, PROC, TGID);
	assert_false(is_target(TGID));
	run(proc_exit, 0);
	no_event();
}

static void test_exit_of_the_leader(void **state)
{
	(void)state;
	machine.main.signal.live.counter = 1;
	run(proc_exit, 0);
	no_event();
	assert_true(is_target(TGID));
	assert_int_equal(leaders_gone, 1);
	run_as(&machine.worker);
	run(proc_exit, 0);
	run_as(&machine.other);
	machine.other.signal.live.counter = 1;
	run(proc_exit, 0);
	assert_int_equal(leaders_gone, 1);
}

/* The last thread need not be the one that the process is named after. */
static void test_exit_of_another_thread_last(void **state)
{
	(void)state;
	run_as(&machine.worker);
	machine.worker.signal.live.counter = 0;
	run(proc_exit, 0);
	(void)expect(EVENT_EXIT, PROC, TGID);
}

static void test_exit_frees_state_by_tid(void **state)
{
	struct context c;

	(void)state;
	config.task_storage = 0;
	thread_places_taken();
	assert_true(context_enter(&c));
	assert_int_equal(fake_map_nr(&threads_by_tid), 1);
	run(proc_exit, 0);
	assert_int_equal(fake_map_nr(&threads_by_tid), 0);
	assert_true(is_target(TGID));
}

static void test_exit_while_not_armed(void **state)
{
	(void)state;
	armed = 0;
	machine.main.signal.live.counter = 0;
	run(proc_exit, 0);
	no_event();
	assert_false(is_target(TGID));
}

static void test_full_ring(void **state)
{
	(void)state;
	fake_ring_limit(machine.ring[0], 8);
	run(proc_exec, 0);
	no_event();
	assert_failures(STAT_LOST_EVENTS, 1);
	assert_int_equal(lost_events, 1);
	assert_int_equal(slot()->proc, SEEP_PROC(SLOT, 2));
}

/* Nobody waits for the end of a process longer than need be. */
static void test_wakes_the_reader(void **state)
{
	(void)state;
	run(proc_exec, 0);
	(void)expect(EVENT_EXEC, SEEP_PROC(SLOT, 2), TGID);
	assert_int_equal(fake_nr_wakeups(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		machine_test(test_fork),
		machine_test(test_exec),
		machine_test(test_exec_by_another_thread),
		machine_test(test_exec_while_not_armed),
		machine_test(test_exit_of_the_leader),
		machine_test(test_exec_of_a_vfork_child),
		machine_test(test_exit),
		machine_test(test_exit_of_another_thread_last),
		machine_test(test_exit_frees_state_by_tid),
		machine_test(test_exit_while_not_armed),
		machine_test(test_full_ring),
		machine_test(test_wakes_the_reader),
	};

	return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
