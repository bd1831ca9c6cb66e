/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The unwinder for arm64, whatever this is compiled for: return addresses come in a register there. */
#include "native_begin.h"

#undef __TARGET_ARCH_x86
#ifndef __TARGET_ARCH_arm64
#define __TARGET_ARCH_arm64
#endif
#include "alloc.bpf.c"

#include "native.h"
#include "library.h"

#define AUTHENTICATED (0x2aull << 48) /* a signature in the bits that no address has */

/* A frame of so many words, its record, or its return address alone, at the stack pointer. */
static __u64 function_that_saves(enum row_saved saved, __u16 words)
{
	return function_add(ROW_CFA(ROW_SP, words), ROW_SAVED(saved, -words));
}

static void test_pairs(void **state)
{
	__u64 f = function_that_saves(ROW_SAVED_PAIR, 4),
	      g = function_that_saves(ROW_SAVED_PAIR, 2);
	__u64 outermost = outermost_add();

	(void)state;
	link_register = f;
	words_put(SP, WORDS(JUNK, g, JUNK, JUNK, /* g */ JUNK, outermost));
	for (int again = 0; again < 3; again++)
		assert_frames(capture(0, SP, JUNK), 0, WORDS(f, g, outermost));
	assert_int_equal(nr_failures(), 0);
}

static void test_return_address_alone(void **state)
{
	__u64 f = function_that_saves(ROW_SAVED_LR, 2), g = function_that_saves(ROW_SAVED_LR, 3);
	__u64 outermost = outermost_add();

	(void)state;
	link_register = f;
	words_put(SP, WORDS(g, JUNK, /* g */ outermost, JUNK, JUNK));
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, g, outermost));
	assert_int_equal(nr_failures(), 0);
}

/* The frame pointer that f saved is g's, whose frame is of any size. */
static void test_frame_by_fp(void **state)
{
	__u64 f = function_that_saves(ROW_SAVED_PAIR, 2);
	__u64 g = function_add(ROW_CFA(ROW_FP, 2), ROW_SAVED(ROW_SAVED_PAIR, -2));
	__u64 lost = function_that_saves(ROW_SAVED_FP_LOST, 2), outermost = outermost_add();

	(void)state;
	link_register = f;
	words_put(SP, WORDS(SP + 40, g, JUNK, JUNK, JUNK, JUNK, outermost));
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, g, outermost));
	assert_int_equal(nr_failures(), 0);
	link_register = lost;
	words_put(SP, WORDS(g, JUNK));
	assert_frames(capture(0, SP, SP + 40), STACK_PARTIAL, WORDS(lost, g));
	assert_failures(STAT_CUT_UNSUPPORTED, 1);
}

/* Only the innermost function may still have its return address in the register. */
static void test_leaf(void **state)
{
	__u64 leaf = function_add(ROW_CFA(ROW_SP, 0), ROW_FP_SAME);
	__u64 g = function_that_saves(ROW_SAVED_PAIR, 2), outermost = outermost_add();

	(void)state;
	link_register = g;
	words_put(SP, WORDS(JUNK, outermost));
	assert_frames(capture(leaf, SP, JUNK), STACK_PRECISE_PC, WORDS(leaf, g, outermost));
	assert_int_equal(nr_failures(), 0);
	words_put(SP, WORDS(JUNK, leaf, JUNK, outermost));
	link_register = g;
	assert_frames(capture(0, SP, JUNK), STACK_PARTIAL, WORDS(g, leaf));
	assert_failures(STAT_CUT_BAD_FRAME, 1);
}

static void test_signed_return_addresses(void **state)
{
	__u64 f = function_that_saves(ROW_SAVED_PAIR, 2), outermost = outermost_add();

	(void)state;
	link_register = f | AUTHENTICATED;
	words_put(SP, WORDS(JUNK, f | AUTHENTICATED, JUNK, outermost | AUTHENTICATED));
	for (int again = 0; again < 3; again++)
		assert_frames(capture(0, SP, JUNK), 0, WORDS(f, f, outermost));
	assert_int_equal(nr_failures(), 0);
}

/* The register is not on the stack: two calls in one function leave the same words there. */
static void test_each_call_is_known_by_itself(void **state)
{
	__u64 f = function_that_saves(ROW_SAVED_PAIR, 2), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(JUNK, outermost));
	for (int again = 0; again < 5; again++) {
		link_register = f;
		assert_frames(capture(0, SP, JUNK), 0, WORDS(f, outermost));
		link_register = f + 4;
		assert_frames(capture(0, SP, JUNK), 0, WORDS(f + 4, outermost));
	}
	assert_int_equal(nr_failures(), 0);
}

static void test_each_leaf_is_known_by_itself(void **state)
{
	__u64 leaf = function_add(ROW_CFA(ROW_SP, 0), ROW_FP_SAME);
	__u64 f = function_that_saves(ROW_SAVED_PAIR, 2), outermost = outermost_add();
	__u64 none = function_add(SPECIAL(ROW_NONE), 0);

	(void)state;
	words_put(SP, WORDS(JUNK, outermost));
	for (int again = 0; again < 5; again++) {
		for (__u64 pc = f; pc < f + 12; pc += 4) {
			link_register = pc;
			assert_frames(capture(leaf, SP, JUNK), STACK_PRECISE_PC,
				      WORDS(leaf, pc, outermost));
			assert_frames(capture(none, SP, 0), STACK_PRECISE_PC | STACK_LEAF_GUESS,
				      WORDS(none, pc));
		}
	}
	assert_int_equal(nr_failures(), 0);
}

static void test_frame_pointers(void **state)
{
	(void)state;
	link_register = CODE + 76;
	words_put(SP, WORDS(JUNK, SP + 40, CODE + 80, JUNK, JUNK, /* 40 */ 0, CODE + 84));
	assert_frames(capture(0, SP, SP + 8), 0, WORDS(CODE + 76, CODE + 80, CODE + 84));
	assert_int_equal(nr_failures(), 0);
}

/* A leaf was interrupted: its return address is in the signal's frame. */
static void test_signal(void **state)
{
	__u64 handler = function_that_saves(ROW_SAVED_PAIR, 2);
	__u64 restorer = function_add(SPECIAL(ROW_SIGNAL), 0);
	__u64 leaf = function_add(ROW_CFA(ROW_SP, 0), ROW_FP_SAME) - FUNCTION_CALL;
	__u64 g = function_add(ROW_CFA(ROW_FP, 2), ROW_SAVED(ROW_SAVED_PAIR, -2));
	__u64 outermost = outermost_add(), frame = SP + 16, to_sp = SP + 0x2000;

	(void)state;
	link_register = handler;
	words_put(SP, WORDS(JUNK, restorer));
	fake_poke(frame + SIGNAL_PC, leaf);
	fake_poke(frame + SIGNAL_SP, to_sp);
	fake_poke(frame + SIGNAL_FP, to_sp + 32);
	fake_poke(frame + SIGNAL_LINK, g);
	words_put(to_sp + 32, WORDS(JUNK, outermost));
	for (int again = 0; again < 3; again++)
		assert_frames(capture(0, SP, JUNK), 0,
			      WORDS(handler, restorer, leaf | SEEP_FRAME_EXACT, g, outermost));
	assert_int_equal(nr_failures(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		library_test(test_pairs),
		library_test(test_return_address_alone),
		library_test(test_frame_by_fp),
		library_test(test_leaf),
		library_test(test_signed_return_addresses),
		library_test(test_each_call_is_known_by_itself),
		library_test(test_each_leaf_is_known_by_itself),
		library_test(test_frame_pointers),
		library_test(test_signal),
	};

	return cmocka_run_group_tests_name("arm64", tests, NULL, NULL);
}
