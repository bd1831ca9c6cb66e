/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a row makes of a frame, one kind of row after the other, and where walks end. */
#include "native_begin.h"

#include "alloc.bpf.c"

#include "native.h"
#include "library.h"

/* --- the stack pointer --- */

static void test_sp(void **state)
{
	static const __u16 words[] = {1, 2, 3, 17, 63, 64, 127, 128, 129, 1023, 1024, 1025, 16383};
	__u64 outermost = outermost_add();

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		__u64 f = function_of_words(words[i]);

		fake_poke(SP, f);
		fake_poke(SP + words[i] * 8u, outermost);
		assert_frames(capture(0, SP, JUNK), 0, WORDS(f, outermost));
	}
	assert_int_equal(nr_failures(), 0);
	assert_int_equal(counter(STAT_STACKS_BY_POINTER), 0);
}

static void test_return_address_of_zero(void **state)
{
	__u64 f = function_of_words(2), g = function_of_words(1);

	(void)state;
	words_put(SP, WORDS(f, JUNK, g, 0));
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, g));
	assert_int_equal(nr_failures(), 0);
}

static void test_stop(void **state)
{
	__u64 f = function_of_words(1), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, outermost, f, f));
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, outermost));
	assert_frames(capture(0, SP + 8, JUNK), 0, WORDS(outermost));
	assert_frames(capture(outermost, SP, JUNK), STACK_PRECISE_PC, WORDS(outermost));
	assert_int_equal(nr_failures(), 0);
}

/* --- the frame pointer --- */

static void test_fp_of_the_start(void **state)
{
	__u64 f = function_add(ROW_CFA(ROW_FP, 2), -2), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, JUNK, JUNK, JUNK, outermost));
	assert_frames(capture(0, SP, SP + 24), 0, WORDS(f, outermost));
	assert_int_equal(nr_failures(), 0);
	assert_int_equal(counter(STAT_STACKS_BY_POINTER), 0);
}

static void test_fp_offsets(void **state)
{
	static const __u16 words[] = {0, 1, 2, 3, 500, 16383};
	__u64 outermost = outermost_add();

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		__u64 f = function_add(ROW_CFA(ROW_FP, words[i]), ROW_FP_SAME);

		fake_poke(SP, f);
		fake_poke(SP + 32 + words[i] * 8u - 8, outermost);
		assert_frames(capture(0, SP, SP + 32), 0, WORDS(f, outermost));
	}
	assert_int_equal(nr_failures(), 0);
}

/* f and g save it, and only what g saved is right for h. */
static void test_fp_saved_twice(void **state)
{
	__u64 f = function_add(ROW_CFA(ROW_SP, 2), -2), g = function_add(ROW_CFA(ROW_SP, 3), -3);
	__u64 same = function_of_words(1), h = function_add(ROW_CFA(ROW_FP, 2), -2);
	__u64 outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, /* f's */ SP + 64, g, /* g's */ SP + 72, JUNK, same, h,
			    /* h's */ JUNK, JUNK, outermost, outermost + 1));
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, g, same, h, outermost + 1));
	assert_int_equal(nr_failures(), 0);
}

/* Restored for the caller, whose own frame is found by it, and that one's caller's again. */
static void test_fp_chain(void **state)
{
	__u64 f = function_add(ROW_CFA(ROW_SP, 2), -2), g = function_add(ROW_CFA(ROW_FP, 2), -2);
	__u64 h = function_add(ROW_CFA(ROW_FP, 2), -2), k = function_add(ROW_CFA(ROW_FP, 3), -3);
	__u64 outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, SP + 32, g, JUNK, /* 32 */ SP + 56, h, JUNK, /* 56 */ SP + 72, k,
			    /* 72 */ 1, JUNK, outermost));
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, g, h, k, outermost));
	assert_int_equal(nr_failures(), 0);
}

/* Saved far below: a read of its own, if anybody asks. */
static void test_fp_is_read_late(void **state)
{
	__u64 f = function_add(ROW_CFA(ROW_SP, 1), -20000), g = function_of_words(1);
	__u64 h = function_add(ROW_CFA(ROW_FP, 2), ROW_FP_SAME), outermost = outermost_add();
	__u64 slot = SP + 16 - 20000 * 8;

	(void)state;
	config.memo = 0;
	words_put(SP, WORDS(f, g, outermost, JUNK));
	(void)capture(0, SP, JUNK);
	assert_int_equal(reads_of(0, SP, JUNK), 1);
	fake_poke(SP + 16, h);
	fake_poke(slot, SP + 24);
	fake_poke(SP + 32, outermost);
	(void)capture(0, SP, JUNK);
	/* the stack, the slot, the stack again */
	assert_int_equal(reads_of(0, SP, JUNK), 3);
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, g, h, outermost));
	assert_int_equal(nr_failures(), 0);
}

/* The slot cannot be read: that matters only to whom needs it. */
static void test_fp_slot_unreadable(void **state)
{
	__u64 f = function_add(ROW_CFA(ROW_SP, 1), -32768),
	      g = function_add(ROW_CFA(ROW_FP, 2), -2);
	const __u64 sp = STACK_BASE + 4096;
	__u64 outermost = outermost_add();

	(void)state;
	words_put(sp, WORDS(f, outermost));
	assert_frames(capture(0, sp, JUNK), 0, WORDS(f, outermost));
	assert_int_equal(nr_failures(), 0);
	words_put(sp, WORDS(f, g, outermost, outermost));
	assert_frames(capture(0, sp, sp + 8), STACK_PARTIAL, WORDS(f, g));
	assert_failures(STAT_CUT_UNREADABLE, 1);
}

static void test_fp_at_fp(void **state)
{
	/* CFA = *(fp - 8), as of functions that align their stack */
	__u64 f = function_add(ROW_DEREF_CFA(1, -1, 0), ROW_FP_AT_FP);
	__u64 g = function_add(ROW_CFA(ROW_FP, 2), -2), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, JUNK, SP + 56, /* 24 */ SP + 64, JUNK, JUNK, g, JUNK,
			    /* 64 */ JUNK, outermost));
	assert_frames(capture(0, SP, SP + 24), 0, WORDS(f, g, outermost));
	assert_int_equal(nr_failures(), 0);
}

static void test_fp_lost(void **state)
{
	__u64 f = function_add(ROW_CFA(ROW_SP, 1), ROW_FP_LOST), g = function_of_words(1);
	__u64 saves = function_add(ROW_CFA(ROW_SP, 2), -2);
	__u64 h = function_add(ROW_CFA(ROW_FP, 2), ROW_FP_SAME), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, g, outermost));
	assert_frames(capture(0, SP, SP + 24), 0, WORDS(f, g, outermost));
	/* a caller has saved what its own caller needs */
	words_put(SP, WORDS(f, saves, SP + 32, h, JUNK, outermost));
	assert_frames(capture(0, SP, SP + 24), 0, WORDS(f, saves, h, outermost));
	assert_int_equal(nr_failures(), 0);
	words_put(SP, WORDS(f, g, h, JUNK, outermost));
	assert_frames(capture(0, SP, SP + 24), STACK_PARTIAL, WORDS(f, g, h));
	assert_failures(STAT_CUT_UNSUPPORTED, 1);
}

/* All that asks for it. */
static void test_fp_lost_and_needed(void **state)
{
	__u64 f = function_add(ROW_CFA(ROW_SP, 1), ROW_FP_LOST);
	__u64 deref = function_add(ROW_DEREF_CFA(1, 0, 0), ROW_FP_SAME);
	__u64 at_fp = function_add(ROW_CFA(ROW_SP, 1), ROW_FP_AT_FP);
	__u64 unsupported = function_add(SPECIAL(ROW_UNSUPPORTED), 0);

	(void)state;
	words_put(SP, WORDS(f, deref, SP + 64));
	assert_frames(capture(0, SP, SP + 16), STACK_PARTIAL, WORDS(f, deref));
	words_put(SP, WORDS(f, at_fp, deref, SP + 64));
	assert_frames(capture(0, SP, SP + 16), STACK_PARTIAL, WORDS(f, at_fp));
	assert_failures(STAT_CUT_UNSUPPORTED, 2);
	words_put(SP, WORDS(f, unsupported, deref, deref));
	assert_frames(capture(0, SP, SP + 16), STACK_PARTIAL, WORDS(f, unsupported));
	assert_int_equal(counter(STAT_CUT_UNSUPPORTED), 3);
}

/* --- the CFA in memory --- */

static void test_deref_sp(void **state)
{
	static const int offset[] = {0, 1, 5, 127, 1023, -2, -3, -1024};
	__u64 outermost = outermost_add();

	(void)state;
	for (size_t i = 0; i < sizeof(offset) / sizeof(offset[0]); i++) {
		for (unsigned int add = 0; add < 4; add++) {
			__u64 f = function_add(ROW_DEREF_CFA(0, offset[i], add), ROW_FP_SAME);
			__u64 sp = SP + 8, cfa = SP + 0x5008;

			fake_poke(SP, f);
			fake_poke(sp + (__u64)(offset[i] * 8ll), cfa - add * 8);
			fake_poke(cfa - 8, outermost + add);
			assert_frames(capture(0, SP, JUNK), 0, WORDS(f, outermost + add));
		}
	}
	assert_int_equal(nr_failures(), 0);
}

static void test_deref_fp(void **state)
{
	static const int offset[] = {0, 1, 1023, -1, -1024};
	__u64 outermost = outermost_add();

	(void)state;
	for (size_t i = 0; i < sizeof(offset) / sizeof(offset[0]); i++) {
		for (unsigned int add = 0; add < 4; add++) {
			__u64 f = function_add(ROW_DEREF_CFA(1, offset[i], add), ROW_FP_SAME);
			__u64 fp = SP + 0x3000, cfa = SP + 0x6008;

			fake_poke(SP, f);
			fake_poke(fp + (__u64)(offset[i] * 8ll), cfa - add * 8);
			fake_poke(cfa - 8, outermost + add);
			assert_frames(capture(0, SP, fp), 0, WORDS(f, outermost + add));
		}
	}
	assert_int_equal(nr_failures(), 0);
}

static void test_deref_unreadable(void **state)
{
	__u64 f = function_add(ROW_DEREF_CFA(0, 0, 0), ROW_FP_SAME), outermost = outermost_add();

	(void)state;
	fake_poke(STACK_TOP - 8, f);
	assert_frames(capture(0, STACK_TOP - 8, JUNK), STACK_PARTIAL, WORDS(f));
	words_put(SP, WORDS(f, STACK_TOP + 16, outermost));
	assert_frames(capture(0, SP, JUNK), STACK_PARTIAL, WORDS(f));
	words_put(SP, WORDS(f, ~0ull, outermost));
	assert_frames(capture(0, SP, JUNK), STACK_PARTIAL, WORDS(f));
	assert_failures(STAT_CUT_UNREADABLE, 3);
}

static void test_deref_not_above(void **state)
{
	__u64 f = function_add(ROW_DEREF_CFA(0, 0, 0), ROW_FP_SAME);

	(void)state;
	words_put(SP, WORDS(f, SP + 8, f));
	assert_frames(capture(0, SP, JUNK), STACK_PARTIAL, WORDS(f));
	words_put(SP, WORDS(f, 0, f));
	assert_frames(capture(0, SP, JUNK), STACK_PARTIAL, WORDS(f));
	assert_failures(STAT_CUT_BAD_FRAME, 2);
}

/* --- stubs of lazy binding --- */

static void assert_plt(unsigned int special, unsigned int pushed)
{
	__u64 outermost = outermost_add();
	__u64 stub = function_add(SPECIAL(special), ROW_FP_SAME) - FUNCTION_CALL;

	words_put(SP, WORDS(outermost, outermost + 1, outermost + 2));
	for (unsigned int i = 0; i < 48; i++) {
		__u64 caller = outermost + (i % 16 >= pushed);

		assert_frames(capture(stub + i, SP, JUNK), STACK_PRECISE_PC,
			      WORDS(stub + i, caller));
	}
	/* as a return address, the instruction before it counts */
	for (unsigned int i = 1; i < 49; i++) {
		__u64 caller = outermost + 1 + ((i - 1) % 16 >= pushed);

		fake_poke(SP, stub + i);
		assert_frames(capture(0, SP, JUNK), 0, WORDS(stub + i, caller));
	}
	assert_int_equal(nr_failures(), 0);
}

static void test_plt11(void **state)
{
	(void)state;
	assert_plt(ROW_PLT11, 11);
}

static void test_plt10(void **state)
{
	(void)state;
	assert_plt(ROW_PLT10, 10);
}

/* --- no row, or none that says anything: frame pointers --- */

/* f's frame record is at SP + 24. */
static void record_put(__u64 f, __u64 outermost)
{
	words_put(SP, WORDS(f, JUNK, JUNK, 0, outermost));
}

static void assert_by_pointer(__u64 f, enum seep_stat cut)
{
	__u64 saved = counter(STAT_STACKS_BY_POINTER), was = counter(cut), failures = nr_failures();
	__u64 outermost = outermost_add();

	record_put(f, outermost);
	assert_frames(capture(0, SP, SP + 24), 0, WORDS(f, outermost));
	assert_int_equal(counter(STAT_STACKS_BY_POINTER), saved + 1);
	/* the outermost frame, where the number is a frame pointer and nothing else */
	if (cut == STAT_CUT_NO_TABLE) {
		assert_frames(capture(0, SP, 0), 0, WORDS(f));
	} else {
		assert_frames(capture(0, SP, 0), STACK_PARTIAL, WORDS(f));
		assert_failures(cut, ++was);
		failures++;
	}
	assert_int_equal(nr_failures(), failures);
	/* unaligned, below the stack pointer, too far away, unreadable */
	assert_frames(capture(0, SP, SP + 25), STACK_PARTIAL, WORDS(f));
	assert_frames(capture(0, SP, SP), STACK_PARTIAL, WORDS(f));
	assert_frames(capture(0, SP, SP + (1 << 20) + 16), STACK_PARTIAL, WORDS(f));
	assert_frames(capture(0, SP, STACK_TOP), STACK_PARTIAL, WORDS(f));
	assert_int_equal(counter(cut), was + 4);
	assert_int_equal(nr_failures(), failures + 4);
}

static void test_unsupported(void **state)
{
	(void)state;
	assert_by_pointer(function_add(SPECIAL(ROW_UNSUPPORTED), 0), STAT_CUT_UNSUPPORTED);
}

static void test_no_function_here(void **state)
{
	(void)state;
	assert_by_pointer(function_add(SPECIAL(ROW_NONE), 0), STAT_CUT_NO_TABLE);
}

static void test_before_the_first_row(void **state)
{
	(void)state;
	(void)function_of_words(1);
	row_at(SHARD_ROW)->pc += FUNCTION_CALL;
	assert_by_pointer(LIBRARY + FUNCTION_CALL, STAT_CUT_NO_TABLE);
}

static void test_table_without_rows(void **state)
{
	(void)state;
	mapping_add(SLOT, LIBRARY_INDEX + 1,
		    &(struct unwind_mapping){.start = LIBRARY + LIBRARY_BYTES,
					     .end = LIBRARY + 2 * LIBRARY_BYTES,
					     .row_lo = SHARD_ROW,
					     .row_hi = SHARD_ROW,
					     .shard = SHARD,
					     .kind = MAPPING_TABLE});
	assert_by_pointer(LIBRARY + LIBRARY_BYTES + 7, STAT_CUT_NO_TABLE);
	/* and one whose shard is not there */
	mapping_at(LIBRARY_INDEX + 1)->row_hi++;
	mapping_at(LIBRARY_INDEX + 1)->shard++;
	mappings_changed();
	assert_by_pointer(LIBRARY + LIBRARY_BYTES + 7, STAT_CUT_NO_TABLE);
}

/* Code of such a kind behind the library. */
static __u64 code_of_kind(enum mapping_kind kind)
{
	mapping_add(SLOT, LIBRARY_INDEX + 1,
		    &(struct unwind_mapping){.start = LIBRARY + LIBRARY_BYTES,
					     .end = LIBRARY + 2 * LIBRARY_BYTES,
					     .kind = kind});
	return LIBRARY + LIBRARY_BYTES + 77;
}

static void test_pending(void **state)
{
	(void)state;
	assert_by_pointer(code_of_kind(MAPPING_PENDING), STAT_CUT_PENDING);
}

static void test_no_table(void **state)
{
	(void)state;
	assert_by_pointer(code_of_kind(MAPPING_NO_TABLE), STAT_CUT_NO_TABLE);
}

static void test_code(void **state)
{
	(void)state;
	assert_by_pointer(code_of_kind(MAPPING_CODE), STAT_CUT_NO_TABLE);
}

static void test_gone(void **state)
{
	__u64 f = code_of_kind(MAPPING_GONE);

	(void)state;
	record_put(f, outermost_add());
	assert_frames(capture(0, SP, SP + 24), STACK_PARTIAL, WORDS(f));
	assert_failures(STAT_CUT_NO_MAPPING, 1);
	assert_int_equal(process_of(SLOT)->unknown, 1);
}

/* A table's return address is code, known or not; what a frame pointer led to may be anything. */
static void test_outside(void **state)
{
	__u64 f = function_of_words(1), none = function_add(SPECIAL(ROW_NONE), 0);

	(void)state;
	words_put(SP, WORDS(f, JUNK));
	assert_frames(capture(0, SP, 0), STACK_PARTIAL, WORDS(f, JUNK));
	record_put(none, JUNK);
	assert_frames(capture(0, SP, SP + 24), STACK_PARTIAL, WORDS(none));
	assert_failures(STAT_CUT_NO_MAPPING, 2);
	assert_int_equal(process_of(SLOT)->unknown, 2);
}

/* Tables again behind a frame that had none, and its frame pointer is theirs. */
static void test_back_to_tables(void **state)
{
	__u64 g = function_add(ROW_CFA(ROW_SP, 2), ROW_FP_SAME);
	__u64 h = function_add(ROW_CFA(ROW_FP, 2), -2), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(CODE + 77, JUNK, SP + 56, g, JUNK, h, JUNK, JUNK, outermost));
	assert_frames(capture(0, SP, SP + 16), 0, WORDS(CODE + 77, g, h, outermost));
	assert_int_equal(nr_failures(), 0);
	assert_int_equal(counter(STAT_STACKS_BY_POINTER), 1);
}

/* --- frame 0 is an instruction --- */

static void test_first_instruction(void **state)
{
	__u64 before = function_of_words(2), f = function_of_words(1), outermost = outermost_add();
	__u64 entry = f - FUNCTION_CALL;

	(void)state;
	words_put(SP, WORDS(outermost, outermost + 1));
	assert_frames(capture(entry, SP, JUNK), STACK_PRECISE_PC, WORDS(entry, outermost));
	assert_frames(capture(entry - 1, SP, JUNK), STACK_PRECISE_PC,
		      WORDS(entry - 1, outermost + 1));
	/* the same address, returned to: the call was the last instruction of the function before */
	fake_poke(SP, entry);
	fake_poke(SP + 16, before);
	fake_poke(SP + 32, outermost);
	assert_frames(capture(0, SP, JUNK), 0, WORDS(entry, before, outermost));
	assert_int_equal(nr_failures(), 0);
}

/* A row says where the caller is: nothing is guessed. */
static void test_guess_only_without_a_row(void **state)
{
	__u64 f = function_of_words(2), none = function_add(SPECIAL(ROW_NONE), 0);
	__u64 outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(outermost + 1, outermost));
	assert_frames(capture(f, SP, JUNK), STACK_PRECISE_PC, WORDS(f, outermost));
	assert_frames(capture(none, SP, 0), STACK_PRECISE_PC | STACK_LEAF_GUESS,
		      WORDS(none, outermost + 1));
	assert_int_equal(nr_failures(), 0);
}

/* The instruction is known all the same. */
static void test_stack_unreadable_at_an_instruction(void **state)
{
	__u64 f = function_of_words(1);

	(void)state;
	assert_frames(capture(f, 0x1000, JUNK), STACK_PRECISE_PC | STACK_PARTIAL, WORDS(f));
	assert_failures(STAT_CUT_UNREADABLE, 1);
}

/* --- signals --- */

#define RESTORER_CODE 0x0f0000000fc0c748ull /* mov $15,%rax; syscall */
#define RESTORER_CODE_END 0x05ull

/* What the kernel puts above pretcode, which is at sp - 8. */
static void signal_frame_put(__u64 sp, __u64 to_pc, __u64 to_sp, __u64 to_fp)
{
	for (unsigned int i = 0; i < 55; i++)
		fake_poke(sp + i * 8, JUNK + i);
	fake_poke(sp + SIGNAL_FP, to_fp);
	fake_poke(sp + SIGNAL_SP, to_sp);
	fake_poke(sp + SIGNAL_PC, to_pc);
}

static __u64 restorer_of_bytes(__u64 at)
{
	fake_memory_add(at & ~0xfffull, 8192);
	fake_poke(at, RESTORER_CODE);
	fake_poke(at + 8, RESTORER_CODE_END);
	return at;
}

/* A handler on a stack at sp, which has interrupted f at its first instruction on a stack at to_sp. */
static void assert_signal(__u64 restorer, __u64 sp, __u64 to_sp)
{
	__u64 handler = function_of_words(2), f = function_of_words(1) - FUNCTION_CALL;
	__u64 g = function_add(ROW_CFA(ROW_FP, 2), -2), outermost = outermost_add();

	words_put(sp, WORDS(handler, JUNK, restorer));
	signal_frame_put(sp + 24, f, to_sp, to_sp + 16);
	words_put(to_sp, WORDS(g, JUNK, JUNK, outermost));
	for (int again = 0; again < 2; again++) {
		assert_frames(capture(0, sp, JUNK), 0,
			      WORDS(handler, restorer, f | SEEP_FRAME_EXACT, g, outermost));
		assert_int_equal(nr_failures(), 0);
	}
}

static void test_signal_by_row(void **state)
{
	__u64 restorer = function_add(SPECIAL(ROW_SIGNAL), 0);

	(void)state;
	assert_signal(restorer, SP, SP + 0x1000);
	/* from another stack, further down or up */
	assert_signal(restorer, OTHER_STACK + 0x8000, SP);
	assert_signal(restorer, SP, OTHER_STACK + 0x8000);
	assert_signal(restorer, SP, SP - 0x8000);
}

/* With a row that does not say so, without one, and without a table. */
static void test_signal_by_its_code(void **state)
{
	__u64 f = function_of_words(1), none;

	(void)state;
	assert_signal(restorer_of_bytes(f), SP, SP + 0x1000);
	assert_signal(f, OTHER_STACK + 0x8000, SP);
	none = function_add(SPECIAL(ROW_NONE), 0);
	fake_poke(none, RESTORER_CODE);
	fake_poke(none + 8, RESTORER_CODE_END);
	assert_signal(none, SP, SP + 0x1000);
	assert_signal(restorer_of_bytes(code_of_kind(MAPPING_NO_TABLE)), SP, SP + 0x1000);
	mapping_at(LIBRARY_INDEX + 1)->kind = MAPPING_PENDING;
	process_of(SLOT)->generation += 2;
	assert_signal(LIBRARY + LIBRARY_BYTES + 77, SP, SP + 0x1000);
}

static void test_almost_a_restorer(void **state)
{
	__u64 f = function_of_words(1), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, outermost));
	(void)restorer_of_bytes(f);
	fake_poke(f, RESTORER_CODE ^ 1);
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, outermost));
	mappings_changed();
	fake_poke(f, RESTORER_CODE);
	fake_poke(f + 8, RESTORER_CODE_END ^ 1);
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, outermost));
	assert_int_equal(nr_failures(), 0);
}

/* A signal in a signal's handler, which was interrupted before it had a frame. */
static void test_signal_in_a_handler(void **state)
{
	__u64 restorer = function_add(SPECIAL(ROW_SIGNAL), 0), handler = function_of_words(1);
	__u64 f = function_of_words(1), outermost = outermost_add();
	__u64 other = OTHER_STACK + 0x1000, entry = handler - FUNCTION_CALL;

	(void)state;
	words_put(other, WORDS(handler, restorer));
	signal_frame_put(other + 16, entry, SP, JUNK);
	words_put(SP, WORDS(restorer));
	signal_frame_put(SP + 8, f, SP + 0x1000, JUNK);
	words_put(SP + 0x1000, WORDS(outermost));
	assert_frames(capture(0, other, JUNK), 0,
		      WORDS(handler, restorer, entry | SEEP_FRAME_EXACT, restorer,
			    f | SEEP_FRAME_EXACT, outermost));
	assert_int_equal(nr_failures(), 0);
}

static void test_signal_frame_unreadable(void **state)
{
	__u64 restorer = function_add(SPECIAL(ROW_SIGNAL), 0);
	const __u64 sp = STACK_TOP - 8;

	(void)state;
	words_put(sp, WORDS(restorer));
	assert_frames(capture(0, sp, JUNK), STACK_PARTIAL, WORDS(restorer));
	assert_failures(STAT_CUT_UNREADABLE, 1);
}

/* A call through a null pointer: its instruction is nowhere. */
static void test_signal_at_no_address(void **state)
{
	__u64 restorer = function_add(SPECIAL(ROW_SIGNAL), 0), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(restorer));
	signal_frame_put(SP + 8, 0, SP + 0x1000, JUNK);
	words_put(SP + 0x1000, WORDS(outermost));
	assert_frames(capture(0, SP, JUNK), STACK_PARTIAL, WORDS(restorer, SEEP_FRAME_EXACT));
	assert_failures(STAT_CUT_NO_MAPPING, 1);
}

/* --- return probes --- */

static struct return_instance pending[3];

/* Pending return probes, innermost first: where they are, and what was there. */
static void pending_set(unsigned int nr, const __u64 *place_and_pc)
{
	for (unsigned int i = 0; i < nr; i++)
		pending[i] = (struct return_instance){.stack = place_and_pc[2 * i],
						      .orig_ret_vaddr = place_and_pc[2 * i + 1],
						      .next = i + 1 < nr ? &pending[i + 1] : NULL};
	machine.main.utask.return_instances = nr ? &pending[0] : NULL;
}

static void test_trampoline(void **state)
{
	__u64 f = function_of_words(1), g = function_of_words(2), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, TRAMPOLINE, JUNK, outermost));
	pending_set(1, (__u64[]){SP + 8, g});
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, g, outermost));
	/* at the entry itself: another probe there has put it already */
	fake_poke(SP, TRAMPOLINE);
	pending_set(2, (__u64[]){SP, f, SP + 8, g});
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, g, outermost));
	assert_int_equal(nr_failures(), 0);
	assert_int_equal(process_of(SLOT)->unknown, 0);
}

/* One for each frame, the last in code without a table. */
static void test_trampolines(void **state)
{
	__u64 f = function_of_words(1), g = function_of_words(2);

	(void)state;
	words_put(SP, WORDS(f, TRAMPOLINE, JUNK, TRAMPOLINE, 0, TRAMPOLINE));
	pending_set(3, (__u64[]){SP + 8, g, SP + 24, CODE + 7, SP + 40, CODE + 77});
	assert_frames(capture(0, SP, SP + 32), 0, WORDS(f, g, CODE + 7, CODE + 77));
	assert_int_equal(nr_failures(), 0);
}

/* Nobody remembers that place: nothing of what is there is taken for a frame, nor for code to be looked up. */
static void test_trampoline_that_stays(void **state)
{
	__u64 f = function_of_words(1), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, TRAMPOLINE, outermost));
	for (unsigned int nr = 0; nr < 2; nr++) {
		pending_set(nr, (__u64[]){SP + 16, f});
		assert_frames(capture(0, SP, JUNK), STACK_PARTIAL, WORDS(f));
	}
	assert_failures(STAT_CUT_TRAMPOLINE, 2);
	assert_int_equal(process_of(SLOT)->unknown, 0);
}

/* Its stack says nothing of what it stands for. */
static void test_trampoline_is_not_remembered(void **state)
{
	__u64 f = function_of_words(1), g = function_of_words(1), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, TRAMPOLINE, outermost));
	pending_set(1, (__u64[]){SP + 8, g});
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, g, outermost));
	pending_set(1, (__u64[]){SP + 8, f});
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, f, outermost));
	pending_set(0, NULL);
	assert_true(stack_at(capture(0, SP, JUNK))->flags & STACK_PARTIAL);
}

/* Seen through also before anybody has looked at the process. */
static void test_trampoline_of_an_unknown_process(void **state)
{
	(void)state;
	process_of(SLOT)->nr = 0;
	mappings_changed();
	words_put(SP, WORDS(TRAMPOLINE, 0, CODE + 77));
	pending_set(1, (__u64[]){SP, CODE + 7});
	assert_frames(capture(0, SP, SP + 8), STACK_PARTIAL, WORDS(CODE + 7, CODE + 77));
	pending_set(1, (__u64[]){SP, CODE + 8});
	assert_frames(capture(0, SP, SP + 8), STACK_PARTIAL, WORDS(CODE + 8, CODE + 77));
}

/* --- where walks end --- */

static void test_frame_not_above(void **state)
{
	__u64 empty = function_of_words(0), f = function_add(ROW_CFA(ROW_FP, 1), -2);

	(void)state;
	words_put(SP, WORDS(empty, f));
	assert_frames(capture(0, SP, JUNK), STACK_PARTIAL, WORDS(empty));
	assert_failures(STAT_CUT_BAD_FRAME, 1);
	words_put(SP, WORDS(f, f));
	assert_frames(capture(0, SP, SP), STACK_PARTIAL, WORDS(f));
	assert_frames(capture(0, SP, SP - 800), STACK_PARTIAL, WORDS(f));
	assert_failures(STAT_CUT_BAD_FRAME, 3);
}

/* The saved frame pointer leads back to its own frame. */
static void test_loop(void **state)
{
	__u64 f = function_add(ROW_CFA(ROW_FP, 2), -2);

	(void)state;
	words_put(SP, WORDS(f, SP + 8, f));
	assert_frames(capture(0, SP, SP + 8), STACK_PARTIAL, WORDS(f, f));
	assert_failures(STAT_CUT_BAD_FRAME, 1);
}

/* A signal's frame that says it was interrupted by itself: no rule forbids it, only the depth ends it. */
static void test_loop_of_signals(void **state)
{
	__u64 restorer = function_add(SPECIAL(ROW_SIGNAL), 0), f = function_of_words(1);
	const struct stack_value *stack;

	(void)state;
	words_put(SP, WORDS(restorer));
	signal_frame_put(SP + 8, f, SP, JUNK);
	for (config.max_frames = 61; config.max_frames <= SEEP_MAX_FRAMES;
	     config.max_frames += 62) {
		stack = stack_at(capture(0, SP, JUNK));
		assert_int_equal(stack->nr, config.max_frames);
		assert_int_equal(stack->flags, STACK_TRUNCATED);
		for (unsigned int i = 0; i < stack->nr; i++)
			assert_int_equal(stack->frame[i], i % 2 ? f | SEEP_FRAME_EXACT : restorer);
	}
	assert_failures(STAT_CUT_DEPTH, 4);
}

static void test_depth(void **state)
{
	__u64 f = function_of_words(3), outermost = outermost_add();
	const struct stack_value *stack;

	(void)state;
	config.max_frames = 7;
	for (unsigned int i = 0; i < 7; i++)
		fake_poke(SP + i * 24, i == 6 ? outermost : f);
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, f, f, f, f, f, outermost));
	assert_int_equal(nr_failures(), 0);
	fake_poke(SP + 6 * 24, f);
	fake_poke(SP + 7 * 24, outermost);
	assert_frames(capture(0, SP, JUNK), STACK_TRUNCATED, WORDS(f, f, f, f, f, f, f));
	assert_failures(STAT_CUT_DEPTH, 1);
	config.max_frames = SEEP_MAX_FRAMES;
	for (unsigned int i = 0; i < 300; i++)
		fake_poke(SP + i * 24, f);
	stack = stack_at(capture(0, SP, JUNK));
	assert_int_equal(stack->nr, SEEP_MAX_FRAMES);
	assert_int_equal(stack->flags, STACK_TRUNCATED);
	assert_failures(STAT_CUT_DEPTH, 2);
	/* wherever the limit is, also among frames whose rows are in the cache */
	for (config.max_frames = 1; config.max_frames < 20; config.max_frames++) {
		stack = stack_at(capture(0, SP, JUNK));
		assert_int_equal(stack->nr, config.max_frames);
		assert_int_equal(stack->flags, STACK_TRUNCATED);
	}
}

/* As many frames as may be, a return probe on each, and one frame more. */
static void test_depth_with_trampolines(void **state)
{
	static struct return_instance probes[SEEP_MAX_FRAMES + 1];
	__u64 f = function_of_words(1);
	const struct stack_value *stack;
	unsigned int nr = 63;

	(void)state;
	config.max_frames = nr;
	for (unsigned int i = 0; i <= nr; i++) {
		fake_poke(SP + i * 8, TRAMPOLINE);
		probes[i] = (struct return_instance){.stack = SP + i * 8,
						     .orig_ret_vaddr = f,
						     .next = i < nr ? &probes[i + 1] : NULL};
	}
	machine.main.utask.return_instances = &probes[0];
	stack = stack_at(capture(0, SP, JUNK));
	assert_int_equal(stack->nr, nr);
	assert_int_equal(stack->flags, STACK_TRUNCATED);
	assert_failures(STAT_CUT_DEPTH, 1);
}

static void test_return_address_unreadable(void **state)
{
	__u64 f = function_of_words(2);
	const __u64 sp = STACK_TOP - 16;

	(void)state;
	words_put(sp, WORDS(f, JUNK));
	assert_frames(capture(0, sp, JUNK), STACK_PARTIAL, WORDS(f));
	assert_failures(STAT_CUT_UNREADABLE, 1);
}

static void test_no_caller(void **state)
{
	(void)state;
	(void)outermost_add();
	assert_int_equal(capture(0, 0x1000, JUNK), SEEP_STACK_UNKNOWN);
	assert_failures(STAT_STACKS_EMPTY, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		library_test(test_sp),
		library_test(test_return_address_of_zero),
		library_test(test_stop),
		library_test(test_fp_of_the_start),
		library_test(test_fp_offsets),
		library_test(test_fp_saved_twice),
		library_test(test_fp_chain),
		library_test(test_fp_is_read_late),
		library_test(test_fp_slot_unreadable),
		library_test(test_fp_at_fp),
		library_test(test_fp_lost),
		library_test(test_fp_lost_and_needed),
		library_test(test_deref_sp),
		library_test(test_deref_fp),
		library_test(test_deref_unreadable),
		library_test(test_deref_not_above),
		library_test(test_plt11),
		library_test(test_plt10),
		library_test(test_unsupported),
		library_test(test_no_function_here),
		library_test(test_before_the_first_row),
		library_test(test_table_without_rows),
		library_test(test_pending),
		library_test(test_no_table),
		library_test(test_code),
		library_test(test_gone),
		library_test(test_outside),
		library_test(test_back_to_tables),
		library_test(test_first_instruction),
		library_test(test_guess_only_without_a_row),
		library_test(test_stack_unreadable_at_an_instruction),
		library_test(test_signal_by_row),
		library_test(test_signal_by_its_code),
		library_test(test_almost_a_restorer),
		library_test(test_signal_in_a_handler),
		library_test(test_signal_frame_unreadable),
		library_test(test_signal_at_no_address),
		library_test(test_trampoline),
		library_test(test_trampolines),
		library_test(test_trampoline_that_stays),
		library_test(test_trampoline_is_not_remembered),
		library_test(test_trampoline_of_an_unknown_process),
		library_test(test_frame_not_above),
		library_test(test_loop),
		library_test(test_loop_of_signals),
		library_test(test_depth),
		library_test(test_depth_with_trampolines),
		library_test(test_return_address_unreadable),
		library_test(test_no_caller),
	};

	return cmocka_run_group_tests_name("unwind", tests, NULL, NULL);
}
