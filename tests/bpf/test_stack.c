/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "native_begin.h"

#include "alloc.bpf.c"

#include "native.h"

#define SP (STACK_TOP - 0x8000)

/* --- a stack of frame records --- */

static __u64 pc_of(unsigned int i)
{
	return CODE + 0x100 + i * 16;
}

/* nr callers from sp on, each frame of so many bytes; returns the first frame pointer. */
static __u64 build(__u64 sp, unsigned int nr, __u64 frame_bytes)
{
	__u64 fp = sp + 16;

	fake_poke(sp, CALLER);
	for (unsigned int i = 0; i < nr; i++) {
		__u64 next = i + 1 < nr ? fp + frame_bytes : 0;

		fake_poke(fp, next);
		fake_poke(fp + 8, pc_of(i));
		fp = next;
	}
	return nr ? sp + 16 : 0;
}

static __u32 capture(__u64 pc, __u64 sp, __u64 fp)
{
	struct context c;
	__u32 id;

	assert_true(context_enter(&c));
	id = stack_of(&c, pc, sp, fp, 0);
	no_event();
	return id;
}

static struct stack_value *stack_at(__u32 id)
{
	struct stack_value *stack = fake_map_value(stack_table(id), &id, 0);

	assert_non_null(stack);
	assert_int_equal(stack->proc, PROC);
	return stack;
}

/* The caller, then nr callers as build() made them. */
static void assert_stack(__u32 id, unsigned int nr, __u16 flags)
{
	struct stack_value *stack = stack_at(id);

	assert_int_equal(stack->nr, nr + 1);
	assert_int_equal(stack->flags, flags);
	assert_int_equal(stack->frame[0], CALLER);
	for (unsigned int i = 0; i < nr; i++)
		assert_int_equal(stack->frame[i + 1], pc_of(i));
}

static struct slot_value *slot(void)
{
	const __u32 nr = SLOT;

	return fake_map_value(&slots, &nr, 0);
}

/* --- the walk --- */

static void test_to_the_outermost_frame(void **state)
{
	(void)state;
	assert_stack(capture(0, SP, build(SP, 7, 48)), 7, 0);
}

static void test_no_frame_pointer(void **state)
{
	(void)state;
	fake_poke(SP, CALLER);
	assert_stack(capture(0, SP, 0), 0, 0);
}

/* One window of the stack is 1 KiB: frames of sizes that fit in many ways, and not at all. */
static void test_across_windows(void **state)
{
	static const __u64 bytes[] = {16, 48, 504, 1000, 1008, 1016, 1024, 1032, 3000};

	(void)state;
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		__u64 size = bytes[i] & ~7ull;

		assert_stack(capture(0, SP, build(SP, 9, size)), 9, 0);
		/* from a stack pointer that is no multiple of 16 too */
		assert_stack(capture(0, SP + 8, build(SP + 8, 9, size)), 9, 0);
	}
	assert_int_equal(nr_failures(), 0);
}

static void test_one_read_for_a_shallow_stack(void **state)
{
	unsigned int before;

	(void)state;
	before = fake_nr_reads();
	(void)capture(0, SP, build(SP, 7, 48));
	assert_int_equal(fake_nr_reads() - before, 1);
}

static void test_unaligned_frame_pointer(void **state)
{
	__u64 fp = build(SP, 7, 48);

	(void)state;
	assert_stack(capture(0, SP, fp + 4), 0, STACK_PARTIAL);
	fake_poke(fp + 2 * 48, fp + 3 * 48 + 1);
	assert_stack(capture(0, SP, fp), 3, STACK_PARTIAL);
}

static void test_loop(void **state)
{
	__u64 fp = build(SP, 7, 48);

	(void)state;
	fake_poke(fp + 4 * 48, fp + 4 * 48);
	assert_stack(capture(0, SP, fp), 5, STACK_PARTIAL);
	fake_poke(fp + 4 * 48, fp);
	assert_stack(capture(0, SP, fp), 5, STACK_PARTIAL);
}

static void test_down(void **state)
{
	__u64 fp = build(SP, 7, 48);

	(void)state;
	assert_stack(capture(0, SP, SP - 64), 0, STACK_PARTIAL);
	fake_poke(fp + 48, fp + 8);
	assert_stack(capture(0, SP, fp), 2, STACK_PARTIAL);
}

static void test_far_away(void **state)
{
	__u64 fp = build(SP, 3, 48);

	(void)state;
	fake_memory_add(SP + (2 << 20), 4096);
	fake_poke(SP + (2 << 20) + 8, pc_of(9));
	fake_poke(fp + 48, SP + (2 << 20));
	assert_stack(capture(0, SP, fp), 2, STACK_PARTIAL);
}

static void test_depth_limit(void **state)
{
	__u32 id;

	(void)state;
	config.max_frames = 5;
	assert_stack(capture(0, SP, build(SP, 4, 48)), 4, 0);
	assert_stack(capture(0, SP, build(SP, 5, 48)), 4, STACK_TRUNCATED);
	config.max_frames = SEEP_MAX_FRAMES;
	assert_stack(capture(0, SP, build(SP, SEEP_MAX_FRAMES - 1, 48)), SEEP_MAX_FRAMES - 1, 0);
	id = capture(0, SP, build(SP, 300, 48));
	assert_stack(id, SEEP_MAX_FRAMES - 1, STACK_TRUNCATED);
}

static void test_not_code(void **state)
{
	__u64 fp = build(SP, 7, 48);

	(void)state;
	fake_poke(fp + 3 * 48 + 8, CODE + CODE_BYTES + 1);
	assert_stack(capture(0, SP, fp), 3, STACK_PARTIAL);
	fake_poke(fp + 3 * 48 + 8, CODE);
	assert_stack(capture(0, SP, fp), 3, STACK_PARTIAL);
	fake_poke(fp + 3 * 48 + 8, CODE + 1);
	assert_int_equal(stack_at(capture(0, SP, fp))->nr, 8);
	fake_poke(fp + 3 * 48 + 8, pc_of(3));
	assert_stack(capture(0, SP, fp), 7, 0);
	assert_failures(STAT_CUT_NO_MAPPING, 2);
	assert_int_equal(process_of(SLOT)->unknown, 2);
}

/* Until it is known where code is, anything but the first page may be. */
static void test_code_not_known_yet(void **state)
{
	__u64 fp = build(SP, 7, 48);

	(void)state;
	process_of(SLOT)->nr = 0;
	/* nor is it known that this is all */
	assert_stack(capture(0, SP, fp), 7, STACK_PARTIAL);
	fake_poke(fp + 3 * 48 + 8, 4095);
	assert_stack(capture(0, SP, fp), 3, STACK_PARTIAL);
}

/* The stack's last page, and what lies behind it is not mapped. */
static void test_at_the_end_of_the_stack(void **state)
{
	const __u64 sp = STACK_TOP - 200;

	(void)state;
	assert_stack(capture(0, sp, build(sp, 3, 48)), 3, 0);
	assert_int_equal(nr_failures(), 0);
}

static void test_unreadable_frame(void **state)
{
	__u64 fp = build(SP, 3, 48);

	(void)state;
	fake_poke(fp + 48, STACK_TOP);
	assert_stack(capture(0, SP, fp), 2, STACK_PARTIAL);
}

static void test_nothing_readable(void **state)
{
	(void)state;
	assert_int_equal(capture(0, 0x1000, 0x1010), SEEP_STACK_UNKNOWN);
	assert_failures(STAT_STACKS_EMPTY, 1);
}

/* An instruction in a function that may be a leaf: the word at the stack pointer is only a guess. */
static void test_from_an_instruction(void **state)
{
	__u64 fp = build(SP, 2, 48);
	struct stack_value *stack;

	(void)state;
	stack = stack_at(capture(CODE + 0x77, SP, fp));
	assert_int_equal(stack->flags, STACK_PRECISE_PC | STACK_LEAF_GUESS);
	assert_int_equal(stack->nr, 4);
	assert_int_equal(stack->frame[0], CODE + 0x77);
	assert_int_equal(stack->frame[1], CALLER);
	assert_int_equal(stack->frame[2], pc_of(0));
	fake_poke(SP, 1);
	stack = stack_at(capture(CODE + 0x77, SP, fp));
	assert_int_equal(stack->flags, STACK_PRECISE_PC);
	assert_int_equal(stack->nr, 3);
}

/* --- ids --- */

static void test_same_stack_same_id(void **state)
{
	__u32 id = capture(0, SP, build(SP, 7, 48));

	(void)state;
	assert_int_equal(capture(0, SP - 4096, build(SP - 4096, 7, 64)), id);
	assert_int_not_equal(capture(0, SP, build(SP, 6, 48)), id);
	assert_int_equal(nr_stacks(), 2);
	/* the same frames, but it is not known whether they are all: another stack */
	fake_poke(SP + 16 + 6 * 48, 1);
	assert_int_not_equal(capture(0, SP, build(SP, 7, 48) + 4), id);
}

/* One that just fits in each table, and one frame more. */
static void test_tables_by_depth(void **state)
{
	static const unsigned int room[] = {SEEP_STACK_FRAMES_0, SEEP_STACK_FRAMES_1,
					    SEEP_STACK_FRAMES_2, SEEP_STACK_FRAMES_3};
	__u32 id;

	(void)state;
	config.max_frames = SEEP_MAX_FRAMES;
	for (unsigned int i = 0; i < SEEP_STACK_TABLES; i++) {
		id = capture(0, SP, build(SP, room[i] - 1, 48));
		assert_int_equal(SEEP_STACK_TABLE(id), i);
		assert_stack(id, room[i] - 1, 0);
		assert_int_equal(capture(0, SP, build(SP, room[i] - 1, 48)), id);
		if (i + 1 == SEEP_STACK_TABLES)
			break;
		id = capture(0, SP, build(SP, room[i], 48));
		assert_int_equal(SEEP_STACK_TABLE(id), i + 1);
		assert_stack(id, room[i], 0);
	}
	assert_int_equal(nr_stacks(), 7);
	assert_int_equal(nr_failures(), 0);
}

static void test_another_process_another_stack(void **state)
{
	__u32 id = capture(0, SP, build(SP, 7, 48));

	(void)state;
	slot()->proc = SEEP_PROC(SLOT, 2);
	assert_int_not_equal(capture(0, SP, build(SP, 7, 48)), id);
}

/* All stacks have one hash: they are told apart by their frames, as far as neighbours go. */
static void edge_34_collisions(void **state)
{
	__u32 id[STACK_PROBES + 1];

	(void)state;
	config.stack_hash_mask = 0;
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i <= STACK_PROBES; i++) {
			__u32 got = capture(0, SP, build(SP, i, 48));

			if (i == STACK_PROBES)
				assert_int_equal(got, SEEP_STACK_UNKNOWN);
			else
				assert_stack(got, i, 0);
			if (round)
				assert_int_equal(got, id[i]);
			id[i] = got;
			for (unsigned int j = 0; j < i; j++)
				assert_int_not_equal(id[j], got);
		}
	}
	assert_int_equal(nr_stacks(), STACK_PROBES);
	assert_failures(STAT_STACK_COLLISIONS, 3);
}

/* One hash, one depth, and one frame that differs. */
static void test_frames_are_compared(void **state)
{
	__u64 fp = build(SP, 7, 48);
	__u32 id;

	(void)state;
	config.stack_hash_mask = 0;
	id = capture(0, SP, fp);
	/* the first of them, the last, and one between */
	for (unsigned int i = 0; i < 7; i += 3) {
		__u64 place = fp + i * 48 + 8;
		__u32 other;

		fake_poke(place, pc_of(i) + 1);
		other = capture(0, SP, fp);
		assert_int_not_equal(other, SEEP_STACK_UNKNOWN);
		assert_int_not_equal(other, id);
		fake_poke(place, pc_of(i));
		assert_int_equal(capture(0, SP, fp), id);
	}
	assert_stack(id, 7, 0);
	assert_int_equal(nr_stacks(), 4);
}

static void test_full_table(void **state)
{
	__u32 id;

	(void)state;
	fake_map_limit(&stacks_0, 1);
	id = capture(0, SP, build(SP, 3, 48));
	assert_stack(id, 3, 0);
	assert_int_equal(capture(0, SP, build(SP, 4, 48)), SEEP_STACK_UNKNOWN);
	assert_int_equal(capture(0, SP, build(SP, 3, 48)), id);
	assert_failures(STAT_STACKS_FULL, 1);
}

/* Another CPU interns the same stack, or another one, at the same moment. */
static __u32 raced_id;
static unsigned int raced_depth;

static void race(void)
{
	struct machine_task *was = &machine.main;

	run_as(&machine.worker);
	raced_id = capture(0, OTHER_STACK + 64, build(OTHER_STACK + 64, raced_depth, 48));
	run_as(was);
}

static void test_same_stack_on_two_cpus(void **state)
{
	__u32 id;

	(void)state;
	raced_depth = 7;
	fake_before(&stacks_0, FAKE_UPDATE, race);
	id = capture(0, SP, build(SP, 7, 48));
	assert_int_equal(id, raced_id);
	assert_stack(raced_id, 7, 0);
	assert_int_equal(nr_stacks(), 1);
	assert_int_equal(nr_failures(), 0);
}

static void test_two_stacks_for_one_id_on_two_cpus(void **state)
{
	__u32 id;

	(void)state;
	config.stack_hash_mask = 0;
	raced_depth = 5;
	fake_before(&stacks_0, FAKE_UPDATE, race);
	id = capture(0, SP, build(SP, 7, 48));
	assert_int_not_equal(id, raced_id);
	assert_stack(id, 7, 0);
	assert_stack(raced_id, 5, 0);
	assert_int_equal(nr_failures(), 0);
}

/* The id that means unknown is never given out. */
static void test_no_stack_is_unknown(void **state)
{
	const __u32 at = 0;
	struct walk *w;

	(void)state;
	(void)capture(0, SP, build(SP, 3, 48));
	w = walk_at(at);
	for (__u32 i = 1; i <= STACK_PROBES; i++) {
		w->stack.frame[0] = 0x1000 + i;
		w->hash = (__u64)(0u - i) << 32;
		assert_int_not_equal(stack_find(w), SEEP_STACK_UNKNOWN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		machine_test(test_to_the_outermost_frame),
		machine_test(test_no_frame_pointer),
		machine_test(test_across_windows),
		machine_test(test_one_read_for_a_shallow_stack),
		machine_test(test_unaligned_frame_pointer),
		machine_test(test_loop),
		machine_test(test_down),
		machine_test(test_far_away),
		machine_test(test_depth_limit),
		machine_test(test_not_code),
		machine_test(test_code_not_known_yet),
		machine_test(test_at_the_end_of_the_stack),
		machine_test(test_unreadable_frame),
		machine_test(test_nothing_readable),
		machine_test(test_from_an_instruction),
		machine_test(test_same_stack_same_id),
		machine_test(test_another_process_another_stack),
		machine_test(test_tables_by_depth),
		machine_test(edge_34_collisions),
		machine_test(test_frames_are_compared),
		machine_test(test_full_table),
		machine_test(test_same_stack_on_two_cpus),
		machine_test(test_two_stacks_for_one_id_on_two_cpus),
		machine_test(test_no_stack_is_unknown),
	};

	return cmocka_run_group_tests_name("stack", tests, NULL, NULL);
}
