/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * After the BPF source in a test of it: a machine with two processes, their stacks and code, two
 * rings and two queues. Every test starts with machine_setup() and ends with machine_teardown(), which checks
 * that all events were looked at.
 */
#ifndef SEEP_TEST_NATIVE_H
#define SEEP_TEST_NATIVE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake.h"

#define SLOT 7
#define TGID 4711
#define OTHER_SLOT 8
#define OTHER_TGID 4712
#define PROC SEEP_PROC(SLOT, 1)
#define STACK_BASE 0x7ffe00000000ull
#define STACK_BYTES 0x80000
#define STACK_TOP (STACK_BASE + STACK_BYTES)
#define OTHER_STACK 0x7f1100000000ull /* a coroutine's, or sigaltstack()'s */
#define CODE 0x400000ull
#define CODE_BYTES 0x100000
#define TRAMPOLINE 0x7fffffffe000ull
#define CALLER (CODE + 0x1234)
#define RING_BYTES 65536

struct machine_task {
	struct task_struct task;
	struct signal_struct signal;
	struct uprobe_task utask;
	struct pt_regs regs;
};

struct machine {
	struct xol_area xol;
	struct mm_struct mm, other_mm;
	struct machine_task main, worker, other, child;
	/* of a program that runs for a link of many probes */
	struct bpf_uprobe uprobe;
	struct bpf_uprobe_multi_run_ctx run;
	void *ring[2];
	char segment[2]; /* the maps of the queues' slots */
};

static struct machine machine;

#define MAP_REGISTER(map)                                                                          \
	fake_map_register(                                                                         \
		&(map),                                                                            \
		&(struct fake_map_shape){.type = sizeof(*(map).type) / sizeof(int),                \
					 .key_bytes = sizeof(*(map).key),                          \
					 .value_bytes = sizeof(*(map).value),                      \
					 .max_entries = sizeof(*(map).max_entries) / sizeof(int)})

static void task_init(struct machine_task *t, struct mm_struct *mm, uint32_t tgid, uint32_t tid)
{
	t->signal.live.counter = 1;
	t->task.pid = (int)tid;
	t->task.tgid = (int)tgid;
	t->task.mm = mm;
	t->task.signal = &t->signal;
	t->task.utask = &t->utask;
	t->task.group_leader = &t->task;
	t->task.real_parent = &t->task;
	machine.run.uprobe = &machine.uprobe;
	t->task.bpf_ctx = (struct bpf_run_ctx *)&machine.run;
}

/* Of the probe that the next program runs for: as the helper tells it, and as the kernel keeps it. */
static void cookie_is(__u64 cookie)
{
	fake.cookie = machine.uprobe.cookie = cookie;
}

static void run_as(struct machine_task *t)
{
	fake.task = &t->task;
	fake.regs = &t->regs;
	fake.tgid = (uint32_t)t->task.tgid;
	fake.tid = (uint32_t)t->task.pid;
	memcpy(fake.comm, t->task.comm, sizeof(fake.comm));
}

/* Its table; none other has it. */
static void *stack_table(__u32 id)
{
	void *table[SEEP_STACK_TABLES] = {&stacks_0, &stacks_1, &stacks_2, &stacks_3};

	return table[SEEP_STACK_TABLE(id)];
}

static size_t nr_stacks(void)
{
	return fake_map_nr(&stacks_0) + fake_map_nr(&stacks_1) + fake_map_nr(&stacks_2) +
	       fake_map_nr(&stacks_3);
}

static size_t nr_thread_states(void)
{
	size_t nr = fake_map_nr(&threads);

	for (__u32 i = 0; i < THREAD_CACHE_PLACES; i++)
		nr += thread_place(i)->owner > 1;
	return nr;
}

/* Somebody else has the places where these threads would keep their state. */
static void thread_places_taken(void)
{
	struct machine_task *task[] = {&machine.main, &machine.worker, &machine.other,
				       &machine.child};

	for (size_t i = 0; i < sizeof(task) / sizeof(task[0]); i++)
		thread_place((__u32)task[i]->task.pid)->owner = 1;
}

static void target_add(uint32_t tgid, uint32_t slot)
{
	struct slot_value value = {.proc = SEEP_PROC(slot, 1)};

	assert_int_equal(bpf_map_update_elem(&targets, &tgid, &slot, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(&slots, &slot, &value, BPF_ANY), 0);
	targets_generation++;
}

/* Where the BPF source sends of blocks. */
#ifdef SEEP_QUEUE_BPF_H
static struct event_queue *queue_at(__u32 index)
{
	return fake_map_value(&queues, &index, 0);
}

/* Of one segment. */
static void queue_open(__u32 index, __u32 segment)
{
	fake_map_register(&machine.segment[segment],
			  &(struct fake_map_shape){.type = BPF_MAP_TYPE_ARRAY,
						   .key_bytes = sizeof(__u32),
						   .value_bytes = sizeof(struct event_slot),
						   .max_entries = SEEP_QUEUE_SEGMENT_SLOTS});
	fake_inner_add(&queue_segments, segment, &machine.segment[segment]);
	*queue_at(index) = (struct event_queue){.first_segment = segment,
						.mask = SEEP_QUEUE_SEGMENT_SLOTS - 1,
						.limit = SEEP_QUEUE_SEGMENT_SLOTS,
						.index = index & 1};
}

/* The next event of a queue; NULL: none. */
static const struct event_head *queue_next(__u32 index)
{
	static struct event_slot event;
	struct event_queue *q = queue_at(index);
	__u32 place = (__u32)q->tail & q->mask;
	const struct event_slot *slot =
		fake_map_value(&machine.segment[q->first_segment], &place, 0);

	if (q->head == q->tail)
		return NULL;
	q->tail++;
	assert_int_equal(slot->number, q->tail);
	event = *slot;
	return &event.head;
}

static void queues_setup(void)
{
	MAP_REGISTER(queues);
	fake_map_register(&queue_segments,
			  &(struct fake_map_shape){.type = BPF_MAP_TYPE_ARRAY_OF_MAPS,
						   .key_bytes = sizeof(__u32),
						   .max_entries = SEEP_QUEUE_MAX_SEGMENTS});
	queue_open(0, 0);
	queue_open(1, 1);
	queues_grown = 0;
}
#else
static const struct event_head *queue_next(__u32 index)
{
	(void)index;
	return NULL;
}

static void queues_setup(void)
{
}
#endif

static void maps_register(void)
{
	fake_map_register(&threads, &(struct fake_map_shape){.type = BPF_MAP_TYPE_TASK_STORAGE,
							     .key_bytes = sizeof(void *),
							     .value_bytes = sizeof(struct thread),
							     .max_entries = SIZE_MAX});
	MAP_REGISTER(thread_cache);
	MAP_REGISTER(threads_by_tid);
	MAP_REGISTER(thread_zero);
	MAP_REGISTER(blocks);
	MAP_REGISTER(stacks_0);
	MAP_REGISTER(stacks_1);
	MAP_REGISTER(stacks_2);
	MAP_REGISTER(stacks_3);
	MAP_REGISTER(targets);
	MAP_REGISTER(slots);
	MAP_REGISTER(counters);
	MAP_REGISTER(walks);
	MAP_REGISTER(memos);
	MAP_REGISTER(memo_sets);
	MAP_REGISTER(row_cache);
	MAP_REGISTER(unwind_processes);
	MAP_REGISTER(unwind_mappings);
	fake_map_limit(&walks, 4 * SEEP_WALK_LEVELS);
	fake_map_limit(&unwind_mappings, 64);
	fake_map_register(&unwind_shards,
			  &(struct fake_map_shape){.type = BPF_MAP_TYPE_ARRAY_OF_MAPS,
						   .key_bytes = sizeof(__u32),
						   .max_entries = UNWIND_MAX_SHARDS});
	fake_map_register(&rings, &(struct fake_map_shape){.type = BPF_MAP_TYPE_ARRAY_OF_MAPS,
							   .key_bytes = sizeof(__u32),
							   .max_entries = SEEP_MAX_RINGS});
	machine.ring[0] = fake_ring_add(&rings, 0, RING_BYTES);
	machine.ring[1] = fake_ring_add(&rings, 1, RING_BYTES);
}

static struct unwind_process *process_of(__u32 slot)
{
	return fake_map_value(&unwind_processes, &slot, 0);
}

static struct unwind_mapping *mapping_at(__u32 index)
{
	return fake_map_value(&unwind_mappings, &index, 0);
}

/* Behind the others of the process. */
static void mapping_add(__u32 slot, __u32 index, const struct unwind_mapping *mapping)
{
	struct unwind_process *p = process_of(slot);

	if (!p->nr)
		p->first = index;
	*mapping_at(index) = *mapping;
	p->nr++;
	p->generation += 2;
}

/* Code without a table: walked by frame pointers. */
static void code_add(__u32 slot, __u32 index, __u64 start, __u64 bytes)
{
	mapping_add(slot, index,
		    &(struct unwind_mapping){
			    .start = start, .end = start + bytes, .kind = MAPPING_CODE});
}

/* Where the BPF source follows processes. */
#ifdef SEEP_FOLLOW_BPF_H
#define FREE_SLOTS 4
#define STAGE_FIRST 1024

static void follow_setup(void)
{
	MAP_REGISTER(free_slots);
	MAP_REGISTER(vforked);
	fake_map_limit(&free_slots, FREE_SLOTS);
	fake_map_limit(&unwind_mappings, STAGE_FIRST + 2 * UNWIND_STAGE_MAPPINGS);
	follow = (struct seep_follow){.self_tgid = 99,
				      .slots_mask = FREE_SLOTS - 1,
				      .stages_mask = 1,
				      .stage_first = STAGE_FIRST};
	slots_put = slots_taken = slots_missing = 0;
}
#else
static void follow_setup(void)
{
}
#endif

static int machine_setup(void **state)
{
	(void)state;
	fake_reset();
	memset(&machine, 0, sizeof(machine));
	maps_register();
	config = (struct seep_config){.max_frames = 64,
				      .nr_rings = 2,
				      .nr_queues = 2,
				      .wakeup_bytes = RING_BYTES / 4,
				      .wakeup_events = 512,
				      .task_storage = 1,
				      .task_pt_regs = 1,
				      .fault_period = 1,
				      .stack_hash_mask = ~0U,
				      .memo = 1};
	follow_setup();
	queues_setup();
	armed = 1;
	targets_generation = 1;
	lost_events = 0;
	machine.xol.vaddr = TRAMPOLINE;
	machine.mm.uprobes_state.xol_area = &machine.xol;
	task_init(&machine.main, &machine.mm, TGID, TGID);
	task_init(&machine.worker, &machine.mm, TGID, TGID + 100);
	task_init(&machine.other, &machine.other_mm, OTHER_TGID, OTHER_TGID);
	task_init(&machine.child, &machine.mm, 5000, 5000);
	machine.child.task.real_parent = &machine.main.task;
	memcpy(machine.main.task.comm, "server", 7);
	target_add(TGID, SLOT);
	code_add(SLOT, 1, CODE, CODE_BYTES);
	fake_memory_add(STACK_BASE, STACK_BYTES);
	fake_memory_add(OTHER_STACK, STACK_BYTES);
	run_as(&machine.main);
	return 0;
}

static __u64 counter_of(__u32 slot, enum seep_stat stat)
{
	__u64 sum = 0;

	for (unsigned int cpu = 0; cpu < 2; cpu++)
		sum += ((struct seep_counters *)fake_map_value(&counters, &slot, cpu))->value[stat];
	return sum;
}

static __u64 counter(enum seep_stat stat)
{
	return counter_of(SLOT, stat);
}

/* Sum of the counters of what went wrong. */
static __u64 nr_failures(void)
{
	__u64 sum = 0;

	for (__u32 stat = STAT_LOST_EVENTS; stat < STAT_STACKS_BY_POINTER; stat++)
		sum += counter(stat);
	return sum;
}

/* That many times something went wrong, each time this. */
static void assert_failures(enum seep_stat stat, __u64 nr)
{
	assert_int_equal(counter(stat), nr);
	assert_int_equal(nr_failures(), nr);
}

static const struct event_head *event_next(void)
{
	const struct event_head *head = NULL;
	size_t nr;

	assert_int_equal(fake_nr_reserved(), 0);
	for (__u32 i = 0; i < 2 && !head; i++)
		head = queue_next(i);
	for (__u32 i = 0; i < 2 && !head; i++)
		head = fake_ring_next(machine.ring[i], &nr);
	return head;
}

/* The next event of either queue, else of either ring, which must be of this kind. */
static const void *next_event(enum event_kind kind)
{
	const struct event_head *head = event_next();

	if (!head)
		fail_msg("no event, where one of kind %d is expected", kind);
	assert_int_equal(head->kind, kind);
	return head;
}

static void no_event(void)
{
	assert_null(event_next());
}

static int machine_teardown(void **state)
{
	(void)state;
	no_event();
	fake_reset();
	return 0;
}

#define machine_test(f) cmocka_unit_test_setup_teardown(f, machine_setup, machine_teardown)

#endif
