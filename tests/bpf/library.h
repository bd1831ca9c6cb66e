/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Included after native.h in tests of the unwinder: a library whose code has an unwind table, stacks laid out by hand,
 * and what is expected of a walk over them.
 */
#ifndef SEEP_TEST_LIBRARY_H
#define SEEP_TEST_LIBRARY_H

#define LIBRARY 0x7f3300000000ull
#define LIBRARY_BYTES 0x100000
#define LIBRARY_PC 0x2000 /* of LIBRARY, as its rows have it */
#define LIBRARY_INDEX 2	  /* of its mapping: the one behind the program's code */
#define SHARD 3
#define SHARD_ROW 1000 /* its first */
#define FUNCTION_BYTES 64
#define FUNCTION_CALL 33 /* where in a function its call returns to */
#define SP (STACK_TOP - 0x40000)
#define JUNK 0x1badbadbad1ull

#define SPECIAL(special) ROW_CFA(ROW_SPECIAL, special)
#define WORDS(...)                                                                                 \
	((const __u64[]){__VA_ARGS__}), sizeof((const __u64[]){__VA_ARGS__}) / sizeof(__u64)

static char shard_map;
static __u64 link_register; /* arm64: the return address at an entry */

static struct unwind_row *row_at(__u32 index)
{
	return fake_map_value(&shard_map, &index, 0);
}

static struct unwind_mapping *library(void)
{
	return mapping_at(LIBRARY_INDEX);
}

static void mappings_changed(void)
{
	process_of(SLOT)->generation += 2;
}

static int library_setup(void **state)
{
	(void)machine_setup(state);
	link_register = 0;
	fake_map_register(&shard_map,
			  &(struct fake_map_shape){.type = BPF_MAP_TYPE_ARRAY,
						   .key_bytes = sizeof(__u32),
						   .value_bytes = sizeof(struct unwind_row),
						   .max_entries = UNWIND_SHARD_ROWS});
	fake_inner_add(&unwind_shards, SHARD, &shard_map);
	mapping_add(SLOT, LIBRARY_INDEX,
		    &(struct unwind_mapping){.start = LIBRARY,
					     .end = LIBRARY + LIBRARY_BYTES,
					     .pc = LIBRARY_PC,
					     .row_lo = SHARD_ROW,
					     .row_hi = SHARD_ROW,
					     .shard = SHARD,
					     .kind = MAPPING_TABLE});
	return 0;
}

#define library_test(f) cmocka_unit_test_setup_teardown(f, library_setup, machine_teardown)

/* A function of one row behind the others. Returns an address in it, where a call returns to. */
static __u64 function_add(__u16 cfa, __s16 fp)
{
	struct unwind_mapping *m = library();
	__u32 offset = (m->row_hi - m->row_lo) * FUNCTION_BYTES;

	*row_at(m->row_hi++) = (struct unwind_row){.pc = m->pc + offset, .cfa = cfa, .fp = fp};
	mappings_changed();
	return m->start + offset + FUNCTION_CALL;
}

/* Whose frame is so many words, the return address among them. */
static __u64 function_of_words(__u16 nr)
{
	return function_add(ROW_CFA(ROW_SP, nr), ROW_FP_SAME);
}

static __u64 outermost_add(void)
{
	return function_add(SPECIAL(ROW_STOP), ROW_FP_SAME);
}

/* Words from addr up. */
static void words_put(__u64 addr, const __u64 *word, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		fake_poke(addr + i * 8, word[i]);
}

/* pc 0: at a function's entry, its return address at sp, or in the link register. */
static __u32 capture(__u64 pc, __u64 sp, __u64 fp)
{
	struct context c;
	__u32 id;

	assert_true(context_enter(&c));
	id = stack_of(&c, pc, sp, fp, link_register);
	no_event();
	return id;
}

/* By the tables alone: no memo, no cache, and nothing left in them. */
static __u32 capture_anew(__u64 pc, __u64 sp, __u64 fp)
{
	__u32 id;

	config.memo = 0;
	config.check_stacks = 1;
	id = capture(pc, sp, fp);
	config.memo = 1;
	config.check_stacks = 0;
	return id;
}

static const struct stack_value *stack_at(__u32 id)
{
	const struct stack_value *stack;

	assert_int_not_equal(id, SEEP_STACK_UNKNOWN);
	stack = fake_map_value(stack_table(id), &id, 0);
	assert_non_null(stack);
	return stack;
}

static void assert_frames(__u32 id, __u16 flags, const __u64 *frame, size_t nr)
{
	const struct stack_value *stack = stack_at(id);

	for (size_t i = 0; i < nr && i < stack->nr; i++)
		assert_int_equal(stack->frame[i], frame[i]);
	assert_int_equal(stack->nr, nr);
	assert_int_equal(stack->flags, flags);
}

/* How often user memory is read to capture this. */
static unsigned int reads_of(__u64 pc, __u64 sp, __u64 fp)
{
	unsigned int before = fake_nr_reads();

	(void)capture(pc, sp, fp);
	return fake_nr_reads() - before;
}

static struct thread *this_thread(void)
{
	return thread_find(current_task(), id_of(current_task()));
}

#endif
