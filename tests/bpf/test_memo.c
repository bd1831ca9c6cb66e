/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stacks that are known again. What the memo says is told from what a walk finds by an id that no walk gives: it is
 * planted in an entry, and comes back from a hit.
 */
#include "native_begin.h"

#include "alloc.bpf.c"

#include "native.h"
#include "library.h"

#define PLANTED 0xabcdu

static struct memo *memo_at(__u32 entry)
{
	return fake_map_value(&memos, &entry, 0);
}

/* Entries that hold a stack. */
static unsigned int nr_kept(void)
{
	unsigned int nr = 0;

	for (__u32 i = 0; i < MEMO_ENTRIES; i++)
		nr += memo_at(i)->proc != 0;
	return nr;
}

/* The only entry. */
static struct memo *kept(void)
{
	struct memo *found = NULL;

	for (__u32 i = 0; i < MEMO_ENTRIES; i++) {
		if (!memo_at(i)->proc)
			continue;
		assert_null(found);
		found = memo_at(i);
	}
	assert_non_null(found);
	return found;
}

static void memo_forget(void)
{
	for (__u32 i = 0; i < MEMO_ENTRIES; i++)
		memo_at(i)->proc = 0;
}

static void assert_unlocked(void)
{
	for (__u32 i = 0; i < MEMO_ENTRIES; i++)
		assert_int_equal(memo_at(i)->seq & 1, 0);
}

static void plant(void)
{
	for (__u32 i = 0; i < MEMO_ENTRIES; i++)
		memo_at(i)->stack = PLANTED;
}

/* Takes this from the memo, and leaves it there. */
static bool is_known(__u64 pc, __u64 sp, __u64 fp)
{
	struct memo was[MEMO_ENTRIES];
	struct memo_set sets[MEMO_SETS];
	bool known;

	for (__u32 i = 0; i < MEMO_ENTRIES; i++) {
		was[i] = *memo_at(i);
		memo_at(i)->stack = PLANTED;
	}
	for (__u32 i = 0; i < MEMO_SETS; i++)
		sets[i] = *(struct memo_set *)fake_map_value(&memo_sets, &i, 0);
	known = capture(pc, sp, fp) == PLANTED;
	for (__u32 i = 0; i < MEMO_ENTRIES; i++)
		*memo_at(i) = was[i];
	for (__u32 i = 0; i < MEMO_SETS; i++)
		*(struct memo_set *)fake_map_value(&memo_sets, &i, 0) = sets[i];
	return known;
}

/* --- what is known again --- */

static __u64 f, g, h, outermost;

/* A stack of nine words, all but JUNK of them needed; h's frame is found by the frame pointer that g saved. */
static const __u64 *words_of_the_stack(void)
{
	static __u64 word[9];
	const __u64 layout[] = {f, JUNK, g, SP + 56, h, JUNK, JUNK, JUNK, outermost};

	memcpy(word, layout, sizeof(layout));
	return word;
}

static void stack_put(void)
{
	words_put(SP, words_of_the_stack(), 9);
}

static int memo_setup(void **state)
{
	(void)library_setup(state);
	f = function_of_words(2);
	g = function_add(ROW_CFA(ROW_SP, 2), -2);
	h = function_add(ROW_CFA(ROW_FP, 2), ROW_FP_SAME);
	outermost = outermost_add();
	stack_put();
	return 0;
}

#define memo_test(f) cmocka_unit_test_setup_teardown(f, memo_setup, machine_teardown)

static void test_known_with_one_read(void **state)
{
	__u32 id = capture(0, SP, JUNK);

	(void)state;
	assert_frames(id, 0, WORDS(f, g, h, outermost));
	assert_int_equal(kept()->nr_words, 5);
	assert_int_equal(reads_of(0, SP, JUNK), 1);
	assert_int_equal(capture(0, SP, JUNK), id);
	assert_true(is_known(0, SP, JUNK));
	assert_int_equal(nr_failures(), 0);
	assert_unlocked();
}

/* Also by a thread that has not been seen at that depth, once it has. */
static void test_known_to_another_thread(void **state)
{
	__u32 id = capture(0, SP, JUNK);

	(void)state;
	run_as(&machine.worker);
	assert_int_equal(capture(0, SP, JUNK), id);
	assert_true(is_known(0, SP, JUNK));
	fake.cpu = 1;
	assert_true(is_known(0, SP, JUNK));
}

/* Every word that the walk has read makes another stack, or none. */
static void test_each_word_counts(void **state)
{
	static const unsigned int read[] = {0, 2, 3, 4, 8};
	__u32 id = capture(0, SP, JUNK);

	(void)state;
	for (size_t i = 0; i < sizeof(read) / sizeof(read[0]); i++) {
		__u64 place = SP + read[i] * 8, was = words_of_the_stack()[read[i]];
		const __u64 other[] = {f, g, h, outermost, was + 1, was ^ 1ull << 63, 0, SP + 64};

		for (size_t j = 0; j < sizeof(other) / sizeof(other[0]); j++) {
			__u32 truth, got;

			if (other[j] == was)
				continue;
			fake_poke(place, other[j]);
			assert_false(is_known(0, SP, JUNK));
			truth = capture_anew(0, SP, JUNK);
			got = capture(0, SP, JUNK);
			assert_int_equal(got, truth);
			assert_int_not_equal(got, id);
			fake_poke(place, was);
			assert_int_equal(capture(0, SP, JUNK), id);
		}
	}
}

static void test_other_words_do_not(void **state)
{
	static const unsigned int not_read[] = {1, 5, 6, 7};
	__u32 id = capture(0, SP, JUNK);

	(void)state;
	for (size_t i = 0; i < sizeof(not_read) / sizeof(not_read[0]); i++) {
		fake_poke(SP + not_read[i] * 8, g);
		assert_true(is_known(0, SP, JUNK));
	}
	fake_poke(SP + 72, g);
	assert_true(is_known(0, SP, JUNK));
	assert_int_equal(capture(0, SP, JUNK), id);
}

/*
 * alloca(): the frame's size is known to its frame pointer alone. Both return addresses lie in both places of both
 * stacks, left there by the other, so that no return address tells them apart.
 */
static void test_alloca_by_the_first_frame_pointer(void **state)
{
	__u64 a = function_of_words(1), b = function_of_words(1);
	__u32 first, second;

	(void)state;
	words_put(SP, WORDS(h, JUNK, a, outermost, JUNK, b, outermost));
	first = capture(0, SP, SP + 8);
	assert_frames(first, 0, WORDS(h, a, outermost));
	second = capture(0, SP, SP + 32);
	assert_frames(second, 0, WORDS(h, b, outermost));
	for (int again = 0; again < 5; again++) {
		assert_int_equal(capture(0, SP, SP + 8), first);
		assert_int_equal(capture(0, SP, SP + 32), second);
	}
	assert_true(is_known(0, SP, SP + 8));
	assert_true(is_known(0, SP, SP + 32));
	assert_false(is_known(0, SP, SP + 16));
}

static void test_alloca_by_a_saved_frame_pointer(void **state)
{
	__u64 a = function_of_words(1), b = function_of_words(1);
	__u32 first, second;

	(void)state;
	words_put(SP, WORDS(g, SP + 24, h, JUNK, a, outermost, JUNK, b, outermost));
	first = capture(0, SP, JUNK);
	assert_frames(first, 0, WORDS(g, h, a, outermost));
	fake_poke(SP + 8, SP + 48);
	second = capture(0, SP, JUNK);
	assert_frames(second, 0, WORDS(g, h, b, outermost));
	for (int again = 0; again < 5; again++) {
		fake_poke(SP + 8, SP + 24);
		assert_int_equal(capture(0, SP, JUNK), first);
		fake_poke(SP + 8, SP + 48);
		assert_int_equal(capture(0, SP, JUNK), second);
	}
	assert_true(is_known(0, SP, JUNK));
}

/* A frame that is found by a word in it. */
static void test_alloca_by_a_word(void **state)
{
	__u64 a = function_of_words(1), b = function_of_words(1);
	__u64 d = function_add(ROW_DEREF_CFA(0, 1, 0), ROW_FP_SAME);

	(void)state;
	words_put(SP, WORDS(d, JUNK, SP + 40, JUNK, a, outermost, JUNK, b, outermost));
	for (int again = 0; again < 5; again++) {
		fake_poke(SP + 16, SP + 40);
		assert_frames(capture(0, SP, JUNK), 0, WORDS(d, a, outermost));
		fake_poke(SP + 16, SP + 64);
		assert_frames(capture(0, SP, JUNK), 0, WORDS(d, b, outermost));
	}
	assert_true(is_known(0, SP, JUNK));
}

static void test_frame_pointer_that_is_not_needed(void **state)
{
	__u32 id = capture(0, SP, JUNK);

	(void)state;
	assert_int_equal(kept()->needs_fp, 0);
	assert_true(is_known(0, SP, 0));
	assert_true(is_known(0, SP, SP));
	assert_int_equal(capture(0, SP, SP), id);
}

/* Code without a table follows it, and in the outermost frame only sees that it is zero. */
static void test_frame_pointer_that_is_followed(void **state)
{
	__u64 before;

	(void)state;
	words_put(SP, WORDS(CODE + 77, 0, CODE + 99, 0, CODE + 111));
	assert_frames(capture(0, SP, SP + 8), 0, WORDS(CODE + 77, CODE + 99));
	assert_true(is_known(0, SP, SP + 8));
	assert_false(is_known(0, SP, SP + 24));
	assert_false(is_known(0, SP, 0));
	assert_frames(capture(0, SP, SP + 24), 0, WORDS(CODE + 77, CODE + 111));
	assert_frames(capture(0, SP, 0), 0, WORDS(CODE + 77));
	assert_true(is_known(0, SP, 0));
	assert_frames(capture(0, SP, SP + 8), 0, WORDS(CODE + 77, CODE + 99));
	/* and a stack that is known counts as what it is */
	before = counter(STAT_STACKS_BY_POINTER);
	assert_true(is_known(0, SP, SP + 8));
	assert_int_equal(counter(STAT_STACKS_BY_POINTER), before + 1);
	fake_poke(SP, outermost);
	(void)capture(0, SP, 0);
	assert_true(is_known(0, SP, 0));
	assert_int_equal(counter(STAT_STACKS_BY_POINTER), before + 1);
}

/* From instructions: each makes its own stack, though the words are the same. */
static void test_instructions(void **state)
{
	__u64 none = function_add(SPECIAL(ROW_NONE), 0);

	(void)state;
	words_put(SP, WORDS(JUNK, outermost));
	for (__u64 pc = f - 3; pc < f + 3; pc++) {
		assert_frames(capture(pc, SP, 0), STACK_PRECISE_PC, WORDS(pc, outermost));
		assert_true(is_known(pc, SP, 0));
		assert_false(is_known(pc + 1, SP, 0));
	}
	/* the entry of a function that would be called from there */
	words_put(SP, WORDS(f, outermost, outermost + 1));
	assert_frames(capture(0, SP, 0), 0, WORDS(f, outermost + 1));
	/* the word that was guessed counts as well */
	fake_poke(SP, outermost);
	assert_frames(capture(none, SP, 0), STACK_PRECISE_PC | STACK_LEAF_GUESS,
		      WORDS(none, outermost));
	assert_true(is_known(none, SP, 0));
	fake_poke(SP, 1);
	assert_false(is_known(none, SP, 0));
	assert_frames(capture(none, SP, 0), STACK_PRECISE_PC, WORDS(none));
}

static void test_another_stack_pointer(void **state)
{
	(void)state;
	(void)capture(0, SP, JUNK);
	for (__u64 sp = SP - 64; sp <= SP + 64; sp += 8) {
		words_put(sp, WORDS(f, JUNK, outermost));
		assert_frames(capture(0, sp, JUNK), 0, WORDS(f, outermost));
	}
}

static void test_another_generation(void **state)
{
	(void)state;
	(void)capture(0, SP, JUNK);
	assert_true(is_known(0, SP, JUNK));
	mappings_changed();
	assert_false(is_known(0, SP, JUNK));
	(void)capture(0, SP, JUNK);
	assert_true(is_known(0, SP, JUNK));
}

static void test_another_process(void **state)
{
	const __u32 slot = SLOT;
	__u32 id = capture(0, SP, JUNK), other;

	(void)state;
	((struct slot_value *)fake_map_value(&slots, &slot, 0))->proc = SEEP_PROC(SLOT, 2);
	assert_false(is_known(0, SP, JUNK));
	other = capture(0, SP, JUNK);
	assert_int_not_equal(other, id);
	assert_int_equal(stack_at(other)->proc, SEEP_PROC(SLOT, 2));
	assert_true(is_known(0, SP, JUNK));
	/* and one beside it that has the same numbers all over */
	target_add(OTHER_TGID, OTHER_SLOT);
	*process_of(OTHER_SLOT) = *process_of(SLOT);
	run_as(&machine.other);
	assert_false(is_known(0, SP, JUNK));
	other = capture(0, SP, JUNK);
	assert_int_equal(stack_at(other)->proc, SEEP_PROC(OTHER_SLOT, 1));
}

/* Whatever an entry's fields but one say, it is not of this walk. */
static void test_each_field_counts(void **state)
{
	struct memo was, *m;

	(void)state;
	words_put(SP, WORDS(h, JUNK, outermost));
	(void)capture(0, SP, SP + 8);
	m = kept();
	was = *m;
	assert_true(is_known(0, SP, SP + 8));
	m->pc = f;
	assert_false(is_known(0, SP, SP + 8));
	*m = was;
	m->sp += 8;
	assert_false(is_known(0, SP, SP + 8));
	*m = was;
	m->fp += 8;
	assert_false(is_known(0, SP, SP + 8));
	*m = was;
	m->generation += 2;
	assert_false(is_known(0, SP, SP + 8));
	*m = was;
	m->proc++;
	assert_false(is_known(0, SP, SP + 8));
	*m = was;
	m->seq++;
	assert_false(is_known(0, SP, SP + 8));
	*m = was;
	for (__u32 i = 0; i < m->nr_words; i++) {
		m->word[i]++;
		assert_false(is_known(0, SP, SP + 8));
		*m = was;
	}
	assert_true(is_known(0, SP, SP + 8));
}

/* Many stacks that begin alike: more than there are places for them. */
static void test_more_stacks_than_ways(void **state)
{
	__u64 caller[3 * MEMO_WAYS];
	unsigned int nr_known = 0;

	(void)state;
	for (size_t i = 0; i < 3 * MEMO_WAYS; i++)
		caller[i] = function_of_words(1);
	for (int again = 0; again < 7; again++) {
		for (size_t i = 0; i < 3 * MEMO_WAYS; i++) {
			words_put(SP, WORDS(f, JUNK, caller[i], outermost));
			assert_frames(capture(0, SP, 0), 0, WORDS(f, caller[i], outermost));
			assert_true(is_known(0, SP, 0));
		}
	}
	for (size_t i = 0; i < 3 * MEMO_WAYS; i++) {
		words_put(SP, WORDS(f, JUNK, caller[i], outermost));
		nr_known += is_known(0, SP, 0);
	}
	assert_int_equal(nr_known, MEMO_WAYS);
	assert_int_equal(nr_failures(), 0);
}

/* --- several at once --- */

static void test_locked_entries(void **state)
{
	__u32 id = capture(0, SP, JUNK);

	(void)state;
	for (__u32 i = 0; i < MEMO_ENTRIES; i++)
		memo_at(i)->seq |= 1;
	plant();
	for (int again = 0; again < 2 * MEMO_WAYS; again++)
		assert_int_equal(capture(0, SP, JUNK), id);
	for (__u32 i = 0; i < MEMO_ENTRIES; i++) {
		assert_int_equal(memo_at(i)->seq & 1, 1);
		assert_int_equal(memo_at(i)->stack, PLANTED);
		memo_at(i)->seq++;
	}
	assert_true(is_known(0, SP, JUNK));
	assert_int_equal(nr_failures(), 0);
}

/* Another CPU writes the entry, and is ready before it has been compared to the end. */
static void entries_rewritten(void)
{
	for (__u32 i = 0; i < MEMO_ENTRIES; i++) {
		memo_at(i)->seq += 2;
		memo_at(i)->stack = PLANTED;
	}
}

static void entries_locked(void)
{
	for (__u32 i = 0; i < MEMO_ENTRIES; i++) {
		memo_at(i)->seq++;
		memo_at(i)->stack = PLANTED;
	}
}

static void assert_not_taken(void (*meanwhile)(void))
{
	__u32 id = capture(0, SP, JUNK);

	/* less is read at first than the entry needs, so there is a read between */
	this_thread()->window_end = SP + 16;
	fake_before_read(2, meanwhile);
	assert_int_equal(capture(0, SP, JUNK), id);
	assert_int_equal(memo_at(0)->stack, PLANTED);
	assert_int_equal(nr_failures(), 0);
}

static void test_entry_rewritten_meanwhile(void **state)
{
	(void)state;
	assert_not_taken(entries_rewritten);
	assert_unlocked();
}

static void test_entry_locked_meanwhile(void **state)
{
	(void)state;
	assert_not_taken(entries_locked);
}

/* A stack that starts alike is walked by another thread while this one's is: both want the same set. */
static __u32 nested_id;

static void nested_walk(void)
{
	run_as(&machine.worker);
	fake_poke(SP + 16, outermost);
	nested_id = capture(0, SP, JUNK);
	fake_poke(SP + 16, g);
	run_as(&machine.main);
}

static void test_nested_walk_in_the_same_set(void **state)
{
	__u32 id;

	(void)state;
	fake_before(&unwind_mappings, FAKE_LOOKUP, nested_walk);
	id = capture(0, SP, JUNK);
	assert_frames(nested_id, 0, WORDS(f, outermost));
	assert_frames(id, 0, WORDS(f, g, h, outermost));
	assert_unlocked();
	for (int again = 0; again < 3; again++) {
		assert_int_equal(capture(0, SP, JUNK), id);
		nested_walk();
		assert_frames(nested_id, 0, WORDS(f, outermost));
	}
	assert_true(is_known(0, SP, JUNK));
	assert_int_equal(nr_failures(), 0);
}

/* --- what is not kept --- */

static void assert_not_kept(__u64 pc, __u64 sp, __u64 fp)
{
	memo_forget();
	for (int again = 0; again < 3; again++)
		assert_false(is_known(pc, sp, fp));
	(void)capture(pc, sp, fp);
	assert_int_equal(nr_kept(), 0);
	assert_unlocked();
}

static void test_partial(void **state)
{
	(void)state;
	words_put(SP, WORDS(f, JUNK, g, JUNK, JUNK));
	assert_not_kept(0, SP, JUNK);
	words_put(SP, WORDS(CODE + 77, JUNK));
	assert_not_kept(0, SP, SP + 9);
	words_put(SP, WORDS(g, JUNK, h, JUNK));
	assert_not_kept(0, SP, JUNK);
}

static void test_truncated(void **state)
{
	(void)state;
	config.max_frames = 3;
	assert_not_kept(0, SP, JUNK);
	config.max_frames = 4;
	(void)capture(0, SP, JUNK);
	assert_true(is_known(0, SP, JUNK));
}

static void test_trampoline(void **state)
{
	struct return_instance pending = {.stack = SP + 16, .orig_ret_vaddr = g};

	(void)state;
	fake_poke(SP + 16, TRAMPOLINE);
	machine.main.utask.return_instances = &pending;
	assert_not_kept(0, SP, JUNK);
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, g, h, outermost));
}

static void generation_changes(void)
{
	mappings_changed();
}

static void test_changed_mappings(void **state)
{
	(void)state;
	fake_before(&unwind_mappings, FAKE_LOOKUP, generation_changes);
	(void)capture(0, SP, JUNK);
	assert_int_equal(nr_kept(), 0);
	assert_unlocked();
	assert_failures(STAT_CUT_CHANGED, 1);
}

static void test_no_room_for_the_stack(void **state)
{
	(void)state;
	fake_map_limit(&stacks_0, 0);
	assert_int_equal(capture(0, SP, JUNK), SEEP_STACK_UNKNOWN);
	assert_int_equal(nr_kept(), 0);
	assert_unlocked();
	assert_failures(STAT_STACKS_FULL, 1);
}

/* A frame each, and the outermost one: nr words are read. */
static void words_needed(unsigned int nr, unsigned int words)
{
	__u64 of_words = function_of_words((__u16)words);

	for (unsigned int i = 0; i + 1 < nr; i++)
		fake_poke(SP + i * words * 8, of_words);
	fake_poke(SP + (nr - 1) * words * 8, outermost);
}

static void test_as_many_words_as_are_kept(void **state)
{
	(void)state;
	config.max_frames = SEEP_MAX_FRAMES;
	words_needed(MEMO_WORDS, 2);
	(void)capture(0, SP, JUNK);
	assert_int_equal(kept()->nr_words, MEMO_WORDS);
	assert_true(is_known(0, SP, JUNK));
	assert_int_equal(stack_at(capture(0, SP, JUNK))->nr, MEMO_WORDS);
	/* the last of them counts */
	fake_poke(SP + (MEMO_WORDS - 1) * 16, outermost + 1);
	assert_false(is_known(0, SP, JUNK));
	words_needed(MEMO_WORDS + 1, 2);
	assert_not_kept(0, SP, JUNK);
	/* and where frames are taken one by one */
	config.check_stacks = 1;
	assert_not_kept(0, SP, JUNK);
	assert_int_equal(nr_failures(), 0);
}

/* The last of them is as far away as a place can say, and then a word further. */
static void test_as_far_as_is_kept(void **state)
{
	const __u64 last = STACK_BASE + MEMO_SPAN;
	__u64 large = function_of_words(16383), rest = function_of_words(3);
	__u64 more = function_of_words(4);

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		fake_poke(STACK_BASE + i * 16383 * 8, large);
	fake_poke(last - 24, rest);
	fake_poke(last, outermost);
	(void)capture(0, STACK_BASE, JUNK);
	assert_int_equal(kept()->place[5], 0xffff);
	assert_true(is_known(0, STACK_BASE, JUNK));
	fake_poke(last, outermost + 1);
	assert_false(is_known(0, STACK_BASE, JUNK));
	fake_memory_add(STACK_TOP, 4096);
	fake_poke(last - 24, more);
	fake_poke(last + 8, outermost);
	assert_int_equal(stack_at(capture(0, STACK_BASE, JUNK))->nr, 6);
	assert_not_kept(0, STACK_BASE, JUNK);
	assert_int_equal(nr_failures(), 0);
}

/* More than the window holds: compared piece by piece, wherever in it the difference is. */
static void test_many_windows(void **state)
{
	const unsigned int nr = 31, words = 150;
	__u32 id;

	(void)state;
	words_needed(nr, words);
	id = capture(0, SP, JUNK);
	assert_int_equal(stack_at(id)->nr, nr);
	assert_true(is_known(0, SP, JUNK));
	for (unsigned int i = 0; i < nr; i++) {
		__u64 place = SP + i * words * 8, was = i + 1 < nr ? kept()->word[0] : outermost;

		fake_poke(place, was + 1);
		assert_false(is_known(0, SP, JUNK));
		assert_int_equal(capture(0, SP, JUNK), capture_anew(0, SP, JUNK));
		assert_int_equal(stack_at(capture(0, SP, JUNK))->frame[i], was + 1);
		memo_forget();
		fake_poke(place, was);
		assert_int_equal(capture(0, SP, JUNK), id);
	}
	assert_int_equal(nr_failures(), 0);
}

/* A word below the stack pointer, and one that is not at a multiple of 8 from it. */
static void test_odd_places(void **state)
{
	__u64 below = function_add(ROW_DEREF_CFA(0, -2, 0), ROW_FP_SAME);
	__u64 odd = function_add(ROW_DEREF_CFA(0, 0, 0), ROW_FP_SAME);

	(void)state;
	words_put(SP - 8, WORDS(SP + 32, below, JUNK, JUNK, outermost));
	assert_frames(capture(0, SP, JUNK), 0, WORDS(below, outermost));
	assert_not_kept(0, SP, JUNK);
	words_put(SP, WORDS(odd, SP + 36));
	fake_poke(SP + 28, outermost);
	assert_frames(capture(0, SP, JUNK), 0, WORDS(odd, outermost));
	assert_not_kept(0, SP, JUNK);
	assert_int_equal(nr_failures(), 0);
}

/* The memory that an entry was of has gone in the meantime, but for its first word. */
static void test_memory_that_has_gone(void **state)
{
	const __u64 sp = STACK_TOP - 16;

	(void)state;
	fake_memory_add(STACK_TOP + 0x10000, 16);
	words_put(sp, WORDS(function_of_words(1), outermost));
	(void)capture(0, sp, JUNK);
	kept()->nr_words = 3;
	kept()->word[2] = 0;
	kept()->place[2] = 9;
	kept()->span = 10 * 8;
	this_thread()->stack_top = STACK_TOP + 4096;
	plant();
	assert_int_not_equal(capture(0, sp, JUNK), PLANTED);
	assert_int_equal(nr_failures(), 0);
}

/* --- whether it pays --- */

static void walk_something_new(void)
{
	static __u64 word;

	fake_poke(SP + 8, ++word);
	mappings_changed();
	(void)capture(0, SP, JUNK);
}

static void test_rest(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < MEMO_TRIAL; i++) {
		assert_int_equal(this_thread() ? this_thread()->memo_rest : 0, 0);
		walk_something_new();
	}
	assert_int_equal(this_thread()->memo_rest, MEMO_REST);
	memo_forget();
	stack_put();
	for (unsigned int i = 0; i < MEMO_REST; i++)
		(void)capture(0, SP, JUNK);
	assert_int_equal(nr_kept(), 0);
	(void)capture(0, SP, JUNK);
	assert_int_equal(nr_kept(), 1);
	/* another thread has its own opinion */
	this_thread()->memo_rest = MEMO_REST;
	memo_forget();
	run_as(&machine.worker);
	(void)capture(0, SP, JUNK);
	assert_int_equal(nr_kept(), 1);
	assert_int_equal(nr_failures(), 0);
}

/* A quarter known again is enough, and one less is not. */
static void test_trial(void **state)
{
	(void)state;
	for (unsigned int enough = 0; enough < 2; enough++) {
		const unsigned int known = MEMO_TRIAL / 4 - 1 + enough;

		(void)capture(0, SP, JUNK);
		this_thread()->memo_asked = this_thread()->memo_known = 0;
		for (unsigned int i = 0; i < known; i++)
			(void)capture(0, SP, JUNK);
		assert_int_equal(this_thread()->memo_known, known);
		for (unsigned int i = known; i < MEMO_TRIAL; i++)
			walk_something_new();
		assert_int_equal(this_thread()->memo_rest, enough ? 0 : MEMO_REST);
		assert_int_equal(this_thread()->memo_asked, 0);
		this_thread()->memo_rest = 0;
		stack_put();
	}
	/* what was known in one trial says nothing of the next */
	for (unsigned int i = 0; i < MEMO_TRIAL; i++)
		walk_something_new();
	assert_int_equal(this_thread()->memo_rest, MEMO_REST);
}

static void test_switched_off(void **state)
{
	(void)state;
	config.memo = 0;
	for (int again = 0; again < 3; again++)
		assert_frames(capture(0, SP, JUNK), 0, WORDS(f, g, h, outermost));
	assert_int_equal(nr_kept(), 0);
}

/* --- checking --- */

static void test_checking(void **state)
{
	__u32 id;

	(void)state;
	config.check_stacks = 1;
	id = capture(0, SP, JUNK);
	assert_int_equal(counter(STAT_MEMO_HITS), 0);
	for (unsigned int i = 1; i < 8; i++) {
		assert_int_equal(capture(0, SP, JUNK), id);
		assert_int_equal(counter(STAT_MEMO_HITS), i);
	}
	assert_int_equal(counter(STAT_MEMO_WRONG), 0);
	kept()->stack = PLANTED;
	assert_int_equal(capture(0, SP, JUNK), id);
	assert_int_equal(counter(STAT_MEMO_HITS), 8);
	assert_int_equal(counter(STAT_MEMO_WRONG), 1);
	/* a table that has changed and nobody said so */
	kept()->stack = id;
	row_at(library()->row_lo)->cfa = ROW_CFA(ROW_SP, 8);
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, outermost));
	assert_int_equal(counter(STAT_MEMO_HITS), 9);
	assert_int_equal(counter(STAT_MEMO_WRONG), 2);
	assert_int_equal(nr_failures(), 0);
}

/* To compare it, more than the first words had to be read: the walk begins at the first word all the same. */
static void test_checking_a_deep_stack(void **state)
{
	const __u64 sp = SP - 16;
	__u32 id;

	(void)state;
	config.check_stacks = 1;
	words_needed(31, 150);
	fake_poke(sp, f);
	id = capture(0, sp, JUNK);
	for (unsigned int i = 1; i < 8; i++) {
		assert_int_equal(capture(0, sp, JUNK), id);
		assert_int_equal(counter(STAT_MEMO_HITS), i);
	}
	assert_int_equal(counter(STAT_MEMO_WRONG), 0);
	assert_int_equal(nr_failures(), 0);
}

/* That the mappings changed during the check says nothing of the memo. */
static void test_checking_while_mappings_change(void **state)
{
	(void)state;
	config.check_stacks = 1;
	(void)capture(0, SP, JUNK);
	fake_before(&unwind_mappings, FAKE_LOOKUP, generation_changes);
	(void)capture(0, SP, JUNK);
	assert_int_equal(counter(STAT_MEMO_HITS), 1);
	assert_int_equal(counter(STAT_MEMO_WRONG), 0);
	assert_failures(STAT_CUT_CHANGED, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		memo_test(test_known_with_one_read),
		memo_test(test_known_to_another_thread),
		memo_test(test_each_word_counts),
		memo_test(test_other_words_do_not),
		memo_test(test_alloca_by_the_first_frame_pointer),
		memo_test(test_alloca_by_a_saved_frame_pointer),
		memo_test(test_alloca_by_a_word),
		memo_test(test_frame_pointer_that_is_not_needed),
		memo_test(test_frame_pointer_that_is_followed),
		memo_test(test_instructions),
		memo_test(test_another_stack_pointer),
		memo_test(test_another_generation),
		memo_test(test_another_process),
		memo_test(test_each_field_counts),
		memo_test(test_more_stacks_than_ways),
		memo_test(test_locked_entries),
		memo_test(test_entry_rewritten_meanwhile),
		memo_test(test_entry_locked_meanwhile),
		memo_test(test_nested_walk_in_the_same_set),
		memo_test(test_partial),
		memo_test(test_truncated),
		memo_test(test_trampoline),
		memo_test(test_changed_mappings),
		memo_test(test_no_room_for_the_stack),
		memo_test(test_as_many_words_as_are_kept),
		memo_test(test_as_far_as_is_kept),
		memo_test(test_many_windows),
		memo_test(test_odd_places),
		memo_test(test_memory_that_has_gone),
		memo_test(test_rest),
		memo_test(test_trial),
		memo_test(test_switched_off),
		memo_test(test_checking),
		memo_test(test_checking_a_deep_stack),
		memo_test(test_checking_while_mappings_change),
	};

	return cmocka_run_group_tests_name("memo", tests, NULL, NULL);
}
