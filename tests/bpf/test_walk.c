/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a stack is read, walks under way at once, and mappings that change under one. */
#include "native_begin.h"

#include "alloc.bpf.c"

#include "native.h"
#include "library.h"

/* nr frames of so many words from sp on, and an outermost one. Returns the bytes that are read of them. */
static __u64 frames_put(__u64 sp, unsigned int nr, __u64 f, unsigned int words, __u64 outermost)
{
	for (unsigned int i = 0; i < nr; i++, sp += words * 8)
		fake_poke(sp, f);
	fake_poke(sp, outermost);
	return nr * words * 8 + 8;
}

static void assert_frames_put(__u32 id, unsigned int nr, __u64 f, __u64 outermost)
{
	const struct stack_value *stack = stack_at(id);

	assert_int_equal(stack->nr, nr + 1);
	assert_int_equal(stack->flags, 0);
	for (unsigned int i = 0; i < nr; i++)
		assert_int_equal(stack->frame[i], f);
	assert_int_equal(stack->frame[nr], outermost);
}

/* --- reading --- */

static void test_the_thread_learns(void **state)
{
	__u64 f = function_of_words(4), outermost = outermost_add(), bytes;

	(void)state;
	config.memo = 0;
	bytes = frames_put(SP, 7, f, 4, outermost);
	assert_frames_put(capture(0, SP, 0), 7, f, outermost);
	assert_int_equal(this_thread()->stack_top, SP + bytes);
	assert_int_equal(this_thread()->window_end, SP + bytes);
	assert_int_equal(reads_of(0, SP, 0), 1);
	/* deeper, to the same end */
	assert_int_equal(frames_put(SP - 320, 17, f, 4, outermost), bytes + 320);
	assert_int_equal(reads_of(0, SP - 320, 0), 1);
	assert_int_equal(this_thread()->window_end, SP + bytes);
	/* further up: the words that were not there before take more */
	bytes = frames_put(SP, 17, f, 4, outermost);
	assert_int_equal(reads_of(0, SP, 0), 2);
	assert_int_equal(reads_of(0, SP, 0), 1);
	assert_int_equal(this_thread()->window_end, SP + bytes);
	assert_int_equal(nr_failures(), 0);
}

/* Many frames of which none is large: all is read at once. */
static void test_one_read_for_many_small_frames(void **state)
{
	__u64 f = function_of_words(40), outermost = outermost_add();

	(void)state;
	config.memo = 0;
	(void)frames_put(SP, 31, f, 40, outermost);
	for (int again = 0; again < 3; again++)
		assert_frames_put(capture(0, SP, 0), 31, f, outermost);
	assert_int_equal(reads_of(0, SP, 0), 1);
	assert_int_equal(nr_failures(), 0);
}

/* What lies behind a large frame is read when it is needed. */
static void test_large_frame(void **state)
{
	__u64 f = function_of_words(4), large = function_of_words(10000);
	__u64 outermost = outermost_add();

	(void)state;
	config.memo = 0;
	words_put(SP, WORDS(f, JUNK, JUNK, JUNK, large));
	words_put(SP + 80032, WORDS(f, JUNK, JUNK, JUNK, outermost));
	for (int again = 0; again < 3; again++)
		assert_frames(capture(0, SP, 0), 0, WORDS(f, large, f, outermost));
	assert_int_equal(reads_of(0, SP, 0), 2);
	assert_true(this_thread()->window_end - SP < 4096);
	assert_int_equal(nr_failures(), 0);
}

static void test_stacks_of_many_windows(void **state)
{
	static const unsigned int words[] = {63,  64,	65,   127,  128, 129,
					     300, 1023, 1024, 1025, 2000};
	__u64 outermost = outermost_add();

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		__u64 f = function_of_words((__u16)words[i]);

		(void)frames_put(SP, 13, f, words[i], outermost);
		for (int again = 0; again < 3; again++)
			assert_frames_put(capture(0, SP, 0), 13, f, outermost);
		(void)frames_put(SP + 8, 13, f, words[i], outermost);
		assert_frames_put(capture(0, SP + 8, 0), 13, f, outermost);
	}
	assert_int_equal(nr_failures(), 0);
}

/* A read that is too long would fail and cost more than the rest: there is none to be seen here. */
static void test_no_read_behind_the_stack(void **state)
{
	__u64 f = function_of_words(4), outermost = outermost_add();

	(void)state;
	config.memo = 0;
	(void)frames_put(STACK_TOP - 232, 7, f, 4, outermost);
	assert_frames_put(capture(0, STACK_TOP - 232, 0), 7, f, outermost);
	assert_int_equal(reads_of(0, STACK_TOP - 232, 0), 1);
	(void)frames_put(STACK_TOP - 104, 3, f, 4, outermost);
	assert_int_equal(reads_of(0, STACK_TOP - 104, 0), 1);
	assert_int_equal(reads_of(0, STACK_TOP - 8, 0), 1);
	assert_int_equal(nr_failures(), 0);
}

/* The last word of the stack, the page, everything. */
static void test_last_word(void **state)
{
	__u64 outermost = outermost_add();

	(void)state;
	fake_poke(STACK_TOP - 8, outermost);
	for (int again = 0; again < 3; again++)
		assert_frames(capture(0, STACK_TOP - 8, 0), 0, WORDS(outermost));
	fake_poke(STACK_TOP - 12, outermost);
	assert_frames(capture(0, STACK_TOP - 12, 0), 0, WORDS(outermost));
	assert_int_equal(nr_failures(), 0);
}

static void test_unaligned_stack_pointer(void **state)
{
	__u64 f = function_of_words(300), outermost = outermost_add();

	(void)state;
	for (unsigned int odd = 1; odd < 8; odd++) {
		(void)frames_put(SP + odd, 13, f, 300, outermost);
		for (int again = 0; again < 3; again++)
			assert_frames_put(capture(0, SP + odd, 0), 13, f, outermost);
	}
	assert_int_equal(nr_failures(), 0);
}

/* It becomes unaligned on the way, and aligned again. */
static void test_unaligned_frame(void **state)
{
	__u64 f = function_add(ROW_DEREF_CFA(0, 0, 0), ROW_FP_SAME), g = function_of_words(3);
	__u64 outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, SP + 67, JUNK));
	words_put(SP + 59, WORDS(f, SP + 160, g));
	words_put(SP + 152, WORDS(g, JUNK, JUNK, outermost));
	for (int again = 0; again < 3; again++)
		assert_frames(capture(0, SP, 0), 0, WORDS(f, f, g, outermost));
	assert_int_equal(nr_failures(), 0);
}

/* What was learned of one stack is not true of another that lies closely below. */
static void test_another_stack_below(void **state)
{
	const __u64 below = STACK_BASE - 0x200000, end = below + 0x1000;
	__u64 f = function_of_words(4), outermost = outermost_add();

	(void)state;
	fake_memory_add(below, 0x1000);
	(void)frames_put(SP, 31, f, 4, outermost);
	assert_frames_put(capture(0, SP, 0), 31, f, outermost);
	for (unsigned int nr = 0; nr < 7; nr++) {
		__u64 sp = end - nr * 32 - 8;

		(void)frames_put(sp, nr, f, 4, outermost);
		this_thread()->stack_top = STACK_TOP;
		this_thread()->window_end = sp + 1000;
		assert_frames_put(capture(0, sp, 0), nr, f, outermost);
	}
	assert_int_equal(nr_failures(), 0);
}

/* Any one read fails, as of a page that is being migrated: the stack is cut there, or read in words. */
static void test_reads_that_fail(void **state)
{
	__u64 f = function_of_words(100), outermost = outermost_add();

	(void)state;
	config.memo = 0;
	(void)frames_put(SP, 13, f, 100, outermost);
	(void)capture(0, SP, 0);
	for (unsigned int nth = 1; nth < 31; nth++) {
		this_thread()->window_end = 0;
		fake_fail_read(nth);
		assert_frames_put(capture(0, SP, 0), 13, f, outermost);
	}
	assert_int_equal(nr_failures(), 0);
}

/* --- several at once --- */

static void test_all_places_taken(void **state)
{
	__u64 outermost = outermost_add();
	__u32 id;

	(void)state;
	fake_poke(SP, outermost);
	for (__u32 level = 0; level < SEEP_WALK_LEVELS; level++) {
		assert_frames(capture(0, SP, 0), 0, WORDS(outermost));
		walk_at(level)->busy = 1;
	}
	assert_int_equal(capture(0, SP, 0), SEEP_STACK_UNKNOWN);
	assert_failures(STAT_STACKS_BUSY, 1);
	/* another CPU has its own */
	fake.cpu = 1;
	id = capture(0, SP, 0);
	assert_frames(id, 0, WORDS(outermost));
	fake.cpu = 0;
	walk_at(2)->busy = 0;
	assert_int_equal(capture(0, SP, 0), id);
	assert_int_equal(walk_at(2)->busy, 0);
	assert_failures(STAT_STACKS_BUSY, 1);
}

/* A thread that preempts another in the middle of its walk, is preempted by the first, and so on, on one CPU. */
static unsigned int nested_level, nested_deepest;
static __u64 nested_function, nested_outermost;
static void (*nested_trap)(void (*run)(void));

static void trap_lookup(void (*run)(void))
{
	fake_before(&unwind_mappings, FAKE_LOOKUP, run);
}

static void trap_second_read(void (*run)(void))
{
	fake_before_read(2, run);
}

static void nested_walk(void)
{
	unsigned int level = ++nested_level;
	__u64 sp = OTHER_STACK + 0x4000 * level;
	__u32 id;

	run_as(level % 2 ? &machine.worker : &machine.main);
	(void)frames_put(sp, level + 3, nested_function, 128, nested_outermost);
	if (level < nested_deepest)
		nested_trap(nested_walk);
	id = capture(0, sp, 0);
	if (level < SEEP_WALK_LEVELS)
		assert_frames_put(id, level + 3, nested_function, nested_outermost);
	else
		assert_int_equal(id, SEEP_STACK_UNKNOWN);
	run_as(level % 2 ? &machine.main : &machine.worker);
}

static void assert_nested_walks(void (*trap)(void (*run)(void)))
{
	nested_trap = trap;
	nested_function = function_of_words(128);
	nested_outermost = outermost_add();
	config.check_stacks = 1; /* no cache: lookups there are for sure */
	(void)frames_put(SP, 31, nested_function, 128, nested_outermost);
	for (nested_deepest = 1; nested_deepest <= SEEP_WALK_LEVELS; nested_deepest++) {
		__u64 failures = nested_deepest == SEEP_WALK_LEVELS;
		__u32 id;

		nested_level = 0;
		trap(nested_walk);
		id = capture(0, SP, 0);
		assert_int_equal(nested_level, nested_deepest);
		assert_int_equal(stack_at(id)->nr, 32);
		assert_int_equal(stack_at(id)->flags, 0);
		assert_failures(STAT_STACKS_BUSY, failures);
		for (__u32 level = 0; level < SEEP_WALK_LEVELS; level++)
			assert_int_equal(walk_at(level)->busy, 0);
	}
	assert_int_equal(counter(STAT_MEMO_WRONG), 0);
}

static void test_nested_in_a_search(void **state)
{
	(void)state;
	assert_nested_walks(trap_lookup);
}

static void test_nested_in_a_read(void **state)
{
	(void)state;
	assert_nested_walks(trap_second_read);
}

/* --- mappings that change --- */

static __u64 changed_function;

/* Other code there: the function's frame is one word more. */
static void code_changes(void)
{
	struct unwind_row *row = row_at(library()->row_lo);

	row->cfa = ROW_CFA(ROW_SP, ROW_VALUE(row->cfa) + 1);
	process_of(SLOT)->generation += 2;
}

static void assert_changed(__u64 nr)
{
	assert_failures(STAT_CUT_CHANGED, nr);
}

/* Whichever read it happens before, but the first: then the walk has seen nothing else. */
static void test_changed_before_a_read(void **state)
{
	unsigned int nr = 0, words = 500;
	__u64 outermost;

	(void)state;
	changed_function = function_of_words((__u16)words);
	outermost = outermost_add();
	for (;;) {
		__u32 generation = process_of(SLOT)->generation, id;

		(void)frames_put(SP, 31, changed_function, words, outermost);
		fake_before_read(nr + 2, code_changes);
		config.memo = 0; /* the memo asks no table: it would be right */
		id = capture(0, SP, 0);
		config.memo = 1;
		/* so many reads are not needed */
		if (process_of(SLOT)->generation == generation)
			break;
		assert_true(stack_at(id)->flags & STACK_PARTIAL);
		assert_changed(++nr);
		(void)frames_put(SP, 31, changed_function, ++words, outermost);
		for (int again = 0; again < 3; again++)
			assert_frames_put(capture(0, SP, 0), 31, changed_function, outermost);
		assert_changed(nr);
	}
	assert_true(nr > 3);
}

/* The words are as they were: only the generation tells that what was found is of no use. */
static void assert_nothing_kept(void *map, bool check)
{
	__u64 f = function_of_words(2), g = function_of_words(1), outermost = outermost_add();

	words_put(SP, WORDS(f, g, outermost, outermost));
	config.check_stacks = check;
	fake_before(map, FAKE_LOOKUP, code_changes);
	assert_true(stack_at(capture(0, SP, 0))->flags & STACK_PARTIAL);
	assert_changed(1);
	config.check_stacks = 0;
	words_put(SP, WORDS(f, g, g, outermost));
	for (int again = 0; again < 3; again++)
		assert_frames(capture(0, SP, 0), 0, WORDS(f, outermost));
	assert_changed(1);
}

static void test_changed_before_the_search(void **state)
{
	(void)state;
	assert_nothing_kept(&unwind_mappings, false);
}

static void test_changed_within_the_search(void **state)
{
	(void)state;
	assert_nothing_kept(&unwind_shards, false);
}

static void test_changed_before_the_cache(void **state)
{
	(void)state;
	assert_nothing_kept(&row_cache, false);
}

/* An old row goes to the cache when there are new ones already. */
static void test_changed_behind_the_search(void **state)
{
	(void)state;
	assert_nothing_kept(&row_cache, true);
}

static void test_changed_before_the_stack_is_kept(void **state)
{
	__u64 f = function_of_words(1), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, outermost, outermost));
	/* too late to be seen, and right: it was true at the end of the walk */
	fake_before(&stacks_0, FAKE_UPDATE, code_changes);
	assert_frames(capture(0, SP, 0), 0, WORDS(f, outermost));
	words_put(SP, WORDS(f, f, outermost));
	assert_frames(capture(0, SP, 0), 0, WORDS(f, outermost));
	assert_int_equal(nr_failures(), 0);
	words_put(SP, WORDS(f, outermost, f, JUNK, outermost));
	for (int again = 0; again < 2; again++)
		assert_frames(capture(0, SP, 0), 0, WORDS(f, f, outermost));
}

/* Userspace is about to put others in their place, and has been interrupted there. */
static void test_half_changed(void **state)
{
	__u64 f = function_of_words(1), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, outermost));
	process_of(SLOT)->generation++;
	for (int again = 0; again < 2; again++)
		assert_true(stack_at(capture(0, SP, 0))->flags & STACK_PARTIAL);
	assert_changed(2);
	process_of(SLOT)->generation++;
	assert_frames(capture(0, SP, 0), 0, WORDS(f, outermost));
	assert_changed(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		library_test(test_the_thread_learns),
		library_test(test_one_read_for_many_small_frames),
		library_test(test_large_frame),
		library_test(test_stacks_of_many_windows),
		library_test(test_no_read_behind_the_stack),
		library_test(test_last_word),
		library_test(test_unaligned_stack_pointer),
		library_test(test_unaligned_frame),
		library_test(test_another_stack_below),
		library_test(test_reads_that_fail),
		library_test(test_all_places_taken),
		library_test(test_nested_in_a_search),
		library_test(test_nested_in_a_read),
		library_test(test_changed_before_a_read),
		library_test(test_changed_before_the_search),
		library_test(test_changed_within_the_search),
		library_test(test_changed_before_the_cache),
		library_test(test_changed_behind_the_search),
		library_test(test_changed_before_the_stack_is_kept),
		library_test(test_half_changed),
	};

	return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
