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
	machine.child.task.mm = &machine.other_mm;
	run(proc_fork, (uintptr_t)&machine.child.task);
	e = expect(EVENT_FORK, PROC, 5000);
	assert_int_equal(e.head.flags, 0);
	assert_int_equal(e.parent_tgid, TGID);
	assert_string_equal(e.comm, "server");
	/* a new thread is no new process */
	run(proc_fork, (uintptr_t)&machine.worker.task);
	run_as(&machine.other);
	run(proc_fork, (uintptr_t)&machine.child.task);
	no_event();
}

static void slot_put(__u32 proc)
{
	const __u32 at = slots_put++ & follow.slots_mask;

	*(__u32 *)fake_map_value(&free_slots, &at, 0) = proc;
}

/* As a fork makes it; it runs as machine.child from then on. */
static void fork_child(void)
{
	machine.child.task.mm = &machine.other_mm;
	memcpy(machine.child.task.comm, machine.main.task.comm, sizeof(machine.child.task.comm));
	run(proc_fork, (uintptr_t)&machine.child.task);
}

static void follow_children(void)
{
	follow.is_on = follow.children = 1;
	slot_put(SEEP_PROC(9, 5));
}

static void test_followed_fork(void **state)
{
	struct event_proc e;
	struct context c;

	(void)state;
	follow_children();
	fork_child();
	e = expect(EVENT_FORK, SEEP_PROC(9, 5), 5000);
	assert_int_equal(e.head.flags, FORK_FOLLOWED);
	assert_int_equal(e.parent_tgid, TGID);
	assert_true(is_target(5000));
	/* from its first instruction on */
	run_as(&machine.child);
	assert_true(context_enter(&c));
	assert_int_equal(c.proc, SEEP_PROC(9, 5));
}

/* A child of a child is one, too; and there are no more slots than there are. */
static void test_followed_without_a_slot(void **state)
{
	(void)state;
	follow_children();
	fork_child();
	(void)expect(EVENT_FORK, SEEP_PROC(9, 5), 5000);
	run_as(&machine.child);
	machine.worker.task.tgid = machine.worker.task.pid = 5001;
	run(proc_fork, (uintptr_t)&machine.worker.task);
	assert_int_equal(expect(EVENT_FORK, SEEP_PROC(9, 5), 5001).head.flags, 0);
	assert_int_equal(slots_missing, 1);
	assert_false(is_target(5001));
	slot_put(SEEP_PROC(10, 1));
	run(proc_fork, (uintptr_t)&machine.worker.task);
	(void)expect(EVENT_FORK, SEEP_PROC(10, 1), 5001);
	assert_true(is_target(5001));
}

/* The ring of free slots goes round. */
static void test_slots_in_their_order(void **state)
{
	(void)state;
	for (__u32 i = 1; i <= 3 * FREE_SLOTS; i++) {
		slot_put(SEEP_PROC(20, i));
		slot_put(SEEP_PROC(21, i));
		assert_int_equal(slot_take(), SEEP_PROC(20, i));
		assert_int_equal(slot_take(), SEEP_PROC(21, i));
		assert_int_equal(slot_take(), 0);
	}
}

/* What the parent has mapped is the child's, until either changes. */
static void test_child_has_its_parents_code(void **state)
{
	const struct unwind_process *child = process_of(9);
	__u32 generation = child->generation;

	(void)state;
	code_add(SLOT, 2, CODE + CODE_BYTES, 4096);
	follow_children();
	fork_child();
	(void)expect(EVENT_FORK, SEEP_PROC(9, 5), 5000);
	assert_int_equal(child->nr, 2);
	assert_int_equal(child->first, STAGE_FIRST + UNWIND_STAGE_MAPPINGS);
	assert_int_equal(child->generation, generation + 2);
	assert_int_equal(mapping_at(child->first)->start, CODE);
	assert_int_equal(mapping_at(child->first + 1)->start, CODE + CODE_BYTES);
	mapping_at(child->first)->kind = MAPPING_GONE;
	assert_int_equal(mapping_at(process_of(SLOT)->first)->kind, MAPPING_CODE);
}

/* Who comes later to the same stage takes it from the one before. */
static void test_stage_of_another_child(void **state)
{
	(void)state;
	follow_children();
	slot_put(SEEP_PROC(11, 1)); /* 9 and 11: the same of two stages */
	fork_child();
	(void)expect(EVENT_FORK, SEEP_PROC(9, 5), 5000);
	machine.child.task.tgid = machine.child.task.pid = 5001;
	run(proc_fork, (uintptr_t)&machine.child.task);
	(void)expect(EVENT_FORK, SEEP_PROC(11, 1), 5001);
	assert_int_equal(process_of(11)->nr, 1);
	assert_int_equal(process_of(9)->nr, 0);
	/* who has mappings of his own keeps them */
	process_of(11)->first = 3;
	slot_put(SEEP_PROC(9, 6));
	machine.child.task.tgid = machine.child.task.pid = 5002;
	run(proc_fork, (uintptr_t)&machine.child.task);
	(void)expect(EVENT_FORK, SEEP_PROC(9, 6), 5002);
	assert_int_equal(process_of(11)->nr, 1);
}

/* More than a stage holds, or being written: the child waits for userspace. */
static void test_code_that_cannot_be_copied(void **state)
{
	(void)state;
	follow_children();
	process_of(SLOT)->generation++;
	fork_child();
	(void)expect(EVENT_FORK, SEEP_PROC(9, 5), 5000);
	assert_int_equal(process_of(9)->nr, 0);
	process_of(SLOT)->generation++;
	process_of(SLOT)->nr = UNWIND_STAGE_MAPPINGS + 1;
	slot_put(SEEP_PROC(10, 1));
	machine.child.task.tgid = machine.child.task.pid = 5001;
	run(proc_fork, (uintptr_t)&machine.child.task);
	(void)expect(EVENT_FORK, SEEP_PROC(10, 1), 5001);
	assert_int_equal(process_of(10)->nr, 0);
}

/* It is its parent until it execs. */
static void test_followed_vfork(void **state)
{
	struct context c;

	(void)state;
	follow_children();
	run(proc_fork, (uintptr_t)&machine.child.task);
	assert_int_equal(expect(EVENT_FORK, PROC, 5000).head.flags, FORK_SHARED);
	assert_false(is_target(5000));
	run_as(&machine.child);
	assert_true(context_enter(&c));
	assert_int_equal(c.proc, PROC);
	machine.child.task.mm = &machine.other_mm;
	run(proc_exec, 5000);
	(void)expect(EVENT_EXEC, SEEP_PROC(9, 5), 5000);
	assert_true(context_enter(&c));
	assert_int_equal(c.proc, SEEP_PROC(9, 5));
	assert_int_equal(fake_map_nr(&vforked), 0);
}

/* Who cannot be remembered until he execs is one that is missing. */
static void test_no_room_for_vfork(void **state)
{
	(void)state;
	follow_children();
	fake_fail(&vforked, FAKE_UPDATE, 1, 7);
	run(proc_fork, (uintptr_t)&machine.child.task);
	assert_int_equal(expect(EVENT_FORK, PROC, 5000).head.flags, FORK_SHARED);
	assert_int_equal(slots_missing, 1);
	run_as(&machine.child);
	machine.child.task.mm = &machine.other_mm;
	run(proc_exec, 5000);
	no_event();
}

static void test_vfork_child_that_exits(void **state)
{
	(void)state;
	follow_children();
	run(proc_fork, (uintptr_t)&machine.child.task);
	(void)expect(EVENT_FORK, PROC, 5000);
	run_as(&machine.child);
	machine.child.signal.live.counter = 0;
	run(proc_exit, 0);
	no_event();
	assert_int_equal(fake_map_nr(&vforked), 0);
}

/* A stranger forks, or execs. */
static void others_become_targets(bool by_fork, bool by_exec)
{
	slot_put(SEEP_PROC(9, 1));
	slot_put(SEEP_PROC(10, 1));
	run_as(&machine.other);
	machine.child.task.mm = &machine.mm;
	run(proc_fork, (uintptr_t)&machine.child.task);
	if (by_fork)
		(void)expect(EVENT_FORK, SEEP_PROC(9, 1), 5000);
	no_event();
	assert_int_equal(is_target(5000), by_fork);
	run(proc_exec, OTHER_TGID);
	if (by_exec)
		(void)expect(EVENT_EXEC, SEEP_PROC(by_fork ? 10 : 9, 1), OTHER_TGID);
	no_event();
	assert_int_equal(is_target(OTHER_TGID), by_exec);
}

static void test_all(void **state)
{
	(void)state;
	follow.is_on = follow.all = 1;
	others_become_targets(true, true);
}

static void test_nobody_else(void **state)
{
	(void)state;
	follow.is_on = follow.children = 1;
	others_become_targets(false, false);
}

static void test_all_but_ourselves(void **state)
{
	(void)state;
	follow.is_on = follow.all = 1;
	follow.self_tgid = OTHER_TGID;
	others_become_targets(false, false);
}

static void test_in_the_cgroup(void **state)
{
	(void)state;
	follow.is_on = follow.cgroup = 1;
	fake.in_cgroup = true;
	others_become_targets(true, true);
}

static void test_not_in_the_cgroup(void **state)
{
	(void)state;
	follow.is_on = follow.cgroup = 1;
	others_become_targets(false, false);
}

static void follow_name(const char *name)
{
	for (size_t i = 0; i <= strlen(name); i++)
		follow.comm[i] = name[i];
}

static void test_by_name(void **state)
{
	(void)state;
	follow.is_on = 1;
	follow_name("fifteen letters");
	memcpy(machine.other.task.comm, "fifteen letters", 16);
	others_become_targets(true, true);
}

static void test_by_another_name(void **state)
{
	(void)state;
	follow.is_on = 1;
	follow_name("work");
	memcpy(machine.other.task.comm, "worker", 7);
	others_become_targets(false, false);
}

/* The kernel's threads have no memory. */
static void test_kernel_thread(void **state)
{
	(void)state;
	follow.is_on = follow.all = 1;
	slot_put(SEEP_PROC(9, 1));
	machine.child.task.mm = NULL;
	run(proc_fork, (uintptr_t)&machine.child.task);
	no_event();
	assert_false(is_target(5000));
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
		machine_test(test_followed_fork),
		machine_test(test_followed_without_a_slot),
		machine_test(test_slots_in_their_order),
		machine_test(test_child_has_its_parents_code),
		machine_test(test_stage_of_another_child),
		machine_test(test_code_that_cannot_be_copied),
		machine_test(test_followed_vfork),
		machine_test(test_no_room_for_vfork),
		machine_test(test_vfork_child_that_exits),
		machine_test(test_all),
		machine_test(test_nobody_else),
		machine_test(test_all_but_ourselves),
		machine_test(test_in_the_cgroup),
		machine_test(test_not_in_the_cgroup),
		machine_test(test_by_name),
		machine_test(test_by_another_name),
		machine_test(test_kernel_thread),
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
