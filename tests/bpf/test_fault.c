/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "native_begin.h"

#include "fault.bpf.c"

#include "native.h"

#define SP (STACK_TOP - 0x1000)
#define TOUCHED 0x7f0000001234ull
#define USER_CS 0x33
#define KERNEL_CS 0x10

static struct bpf_perf_event_data fault_at(__u64 addr, unsigned long cs)
{
	fake_poke(SP, CALLER);
	return (struct bpf_perf_event_data){.regs = {.ip = CODE + 0x40, .sp = SP, .cs = cs},
					    .addr = addr};
}

static struct event_fault expect(__u64 addr, __u16 flags)
{
	const struct event_fault *e = next_event(EVENT_FAULT);

	assert_int_equal(e->head.proc, PROC);
	assert_int_equal(e->head.flags, flags);
	assert_int_equal(e->addr, addr);
	assert_int_equal(e->tid, TGID);
	return *e;
}

static void test_minor_and_major(void **state)
{
	struct bpf_perf_event_data data = fault_at(TOUCHED, USER_CS);
	struct stack_value *stack;
	__u32 id;

	(void)state;
	(void)fault_minor(&data);
	id = expect(TOUCHED, 0).stack;
	stack = fake_map_value(stack_table(id), &id, 0);
	assert_non_null(stack);
	assert_int_equal(stack->frame[0], CODE + 0x40);
	assert_int_equal(stack->frame[1], CALLER);
	assert_int_equal(stack->flags, STACK_PRECISE_PC | STACK_LEAF_GUESS);
	(void)fault_major(&data);
	assert_int_equal(expect(TOUCHED, FAULT_MAJOR).stack, id);
	assert_int_equal(counter(STAT_MINOR_FAULTS), 1);
	assert_int_equal(counter(STAT_MAJOR_FAULTS), 1);
	assert_int_equal(nr_failures(), 0);
}

/* read() into a page that is not there yet: the stack is that of the system call. */
static void test_in_the_kernel(void **state)
{
	struct bpf_perf_event_data data = fault_at(TOUCHED, KERNEL_CS);
	struct stack_value *stack;
	__u32 id;

	(void)state;
	machine.main.regs = (struct pt_regs){.ip = CODE + 0x99, .sp = SP, .cs = USER_CS};
	(void)fault_minor(&data);
	id = expect(TOUCHED, 0).stack;
	stack = fake_map_value(stack_table(id), &id, 0);
	assert_non_null(stack);
	assert_int_equal(stack->frame[0], CODE + 0x99);
	config.task_pt_regs = 0;
	(void)fault_minor(&data);
	assert_int_equal(expect(TOUCHED, 0).stack, SEEP_STACK_UNKNOWN);
	assert_failures(STAT_NO_REGS, 1);
}

static void test_period(void **state)
{
	struct bpf_perf_event_data data = fault_at(TOUCHED, USER_CS);

	(void)state;
	config.fault_period = 17;
	(void)fault_minor(&data);
	(void)expect(TOUCHED, 0);
	assert_int_equal(counter(STAT_MINOR_FAULTS), 17);
}

/* The counters are right also when events are lost. */
static void test_full_ring(void **state)
{
	struct bpf_perf_event_data data = fault_at(TOUCHED, USER_CS);

	(void)state;
	fake_ring_limit(machine.ring[0], sizeof(struct event_fault));
	for (int i = 0; i < 5; i++)
		(void)fault_minor(&data);
	(void)expect(TOUCHED, 0);
	assert_int_equal(counter(STAT_MINOR_FAULTS), 5);
	assert_failures(STAT_LOST_EVENTS, 4);
	assert_int_equal(lost_events, 4);
}

static void test_not_a_target(void **state)
{
	struct bpf_perf_event_data data = fault_at(TOUCHED, USER_CS);

	(void)state;
	run_as(&machine.other);
	(void)fault_minor(&data);
	run_as(&machine.main);
	armed = 0;
	(void)fault_minor(&data);
	no_event();
	assert_int_equal(counter(STAT_MINOR_FAULTS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		machine_test(test_minor_and_major), machine_test(test_in_the_kernel),
		machine_test(test_period),	    machine_test(test_full_ring),
		machine_test(test_not_a_target),
	};

	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
