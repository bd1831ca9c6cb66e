/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random functions that call each other at random, laid out in memory as their rows say, with the remains of other
 * stacks between: a walk must find exactly the calls that were made, the first time, from the caches, and after the
 * stack has changed.
 */
#include "native_begin.h"

#include "alloc.bpf.c"

#include "native.h"
#include "library.h"

#define NR_FUNCTIONS 20
#define NR_STACKS 2003
#define STACKS_OF_A_TABLE 53
#define MAX_CALLS_DEEP 60

enum frame_kind {
	KIND_SP = 0,	 /* fixed frame, fp not touched */
	KIND_SAVES = 1,	 /* fixed frame, fp saved in it and used for something else */
	KIND_LOSES = 2,	 /* fixed frame, nobody knows where fp is */
	KIND_FP = 3,	 /* frame pointer, frame of any size */
	KIND_ALIGNS = 4, /* frame pointer, aligned: the CFA is in memory, and so is where fp is */
	KIND_DEREF = 5,	 /* fixed frame at an unknown distance from the CFA, which lies in it */
	KIND_NR = 6,
};

struct function {
	enum frame_kind kind;
	__u32 words, place, add;
	__u64 pc;
};

/* From the innermost on. */
struct chain {
	unsigned int nr;
	struct {
		const struct function *function;
		__u32 size; /* of the part that varies, in words */
		__u64 pc;
	} call[MAX_CALLS_DEEP];
	__u64 fp; /* of the innermost function */
};

static struct function functions[NR_FUNCTIONS];
static __u64 seed;

static __u32 random_below(__u32 n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (__u32)(seed >> 33) % n;
}

/* --- functions --- */

static __u64 function_of_kind(const struct function *f)
{
	switch (f->kind) {
	case KIND_SAVES:
		return function_add(ROW_CFA(ROW_SP, f->words), (__s16)-f->place);
	case KIND_LOSES:
		return function_add(ROW_CFA(ROW_SP, f->words), ROW_FP_LOST);
	case KIND_FP:
		return function_add(ROW_CFA(ROW_FP, f->place), (__s16)-f->place);
	case KIND_ALIGNS:
		return function_add(ROW_DEREF_CFA(1, -1, f->add), ROW_FP_AT_FP);
	case KIND_DEREF:
		return function_add(ROW_DEREF_CFA(0, f->place - 2, f->add), ROW_FP_SAME);
	default:
		return function_add(ROW_CFA(ROW_SP, f->words), ROW_FP_SAME);
	}
}

static void functions_make(void)
{
	library()->row_hi = library()->row_lo;
	for (size_t i = 0; i < NR_FUNCTIONS; i++) {
		struct function *f = &functions[i];

		f->kind = random_below(3) ? random_below(KIND_NR) : KIND_SP;
		if (f->kind == KIND_LOSES && random_below(9))
			f->kind = KIND_SAVES; /* else most stacks end early */
		f->words = 3 + random_below(random_below(7) ? 30 : 400);
		f->place = 2 + random_below(f->words - 2);
		f->add = random_below(4);
		if (f->kind == KIND_FP && f->place > 9)
			f->place = 2;
		f->pc = function_of_kind(f);
	}
}

/* --- stacks --- */

static void chain_make(struct chain *c, unsigned int keep)
{
	c->nr = keep + 1 + random_below(MAX_CALLS_DEEP - keep);
	for (unsigned int i = keep; i < c->nr; i++) {
		c->call[i].function = &functions[random_below(NR_FUNCTIONS)];
		c->call[i].size = random_below(50);
		c->call[i].pc = c->call[i].function->pc - random_below(FUNCTION_CALL - 1);
	}
}

/* The words of a frame whose stack pointer is this, up to its CFA. */
static __u32 frame_words(const struct chain *c, unsigned int i)
{
	const struct function *f = c->call[i].function;

	switch (f->kind) {
	case KIND_FP:
		return f->place + c->call[i].size;
	case KIND_ALIGNS:
		return 6 + c->call[i].size;
	case KIND_DEREF:
		return f->words + f->add + c->call[i].size;
	default:
		return f->words;
	}
}

/* Puts what the function keeps in its frame; fp is its caller's. Returns its own. */
static __u64 frame_put(const struct function *f, __u64 sp, __u64 cfa, __u64 fp)
{
	__u64 at = sp + 8 * (1 + random_below(2));

	switch (f->kind) {
	case KIND_SAVES:
		fake_poke(cfa - f->place * 8, fp);
		return STACK_BASE + random_below(STACK_BYTES);
	case KIND_LOSES:
		return STACK_BASE + random_below(STACK_BYTES);
	case KIND_FP:
		fake_poke(cfa - f->place * 8, fp);
		return cfa - f->place * 8;
	case KIND_ALIGNS:
		fake_poke(at, fp);
		fake_poke(at - 8, cfa - f->add * 8);
		return at;
	case KIND_DEREF:
		fake_poke(sp + (f->place - 2) * 8, cfa - f->add * 8);
		return fp;
	default:
		return fp;
	}
}

/* The innermost frame's end is at SP, always: the others begin where the ones inside them end. */
static void chain_put(struct chain *c)
{
	__u64 cfa[MAX_CALLS_DEEP], sp = SP + 8, fp = STACK_BASE + random_below(STACK_BYTES);

	for (unsigned int i = 0; i < c->nr; i++)
		cfa[i] = sp += frame_words(c, i) * 8;
	fake_poke(sp - 8, 0);
	for (unsigned int i = c->nr; i-- > 0;) {
		sp = i ? cfa[i - 1] : SP + 8;
		fp = frame_put(c->call[i].function, sp, cfa[i], fp);
		fake_poke(sp - 8, c->call[i].pc);
	}
	c->fp = fp;
}

static void remains_put(void)
{
	for (unsigned int i = 0; i < 2048; i++) {
		__u64 word = random_below(2) ? functions[random_below(NR_FUNCTIONS)].pc
					     : STACK_BASE + random_below(STACK_BYTES / 8) * 8;

		fake_poke(SP + random_below(3000) * 8, word);
	}
}

/* --- what is to be found --- */

/* How many frames there are to find. */
static unsigned int nr_to_find(const struct chain *c, __u16 *flags)
{
	bool known = true;

	*flags = 0;
	for (unsigned int i = 0; i < c->nr; i++) {
		enum frame_kind kind = c->call[i].function->kind;

		if (!known && (kind == KIND_FP || kind == KIND_ALIGNS)) {
			*flags = STACK_PARTIAL;
			return i + 1;
		}
		if (kind == KIND_SAVES)
			known = true;
		else if (kind == KIND_LOSES)
			known = false;
	}
	return c->nr;
}

static void assert_chain(const struct chain *c)
{
	const struct stack_value *stack = stack_at(capture(0, SP, c->fp));
	unsigned int nr;
	__u16 flags;

	nr = nr_to_find(c, &flags);
	for (unsigned int i = 0; i < nr && i < stack->nr; i++)
		assert_int_equal(stack->frame[i], c->call[i].pc);
	assert_int_equal(stack->nr, nr);
	assert_int_equal(stack->flags, flags);
}

/* The same beginning, and another end; then the first again, where it is still known. */
static void assert_stack(struct chain *c)
{
	struct chain other = *c;
	unsigned int keep = random_below(c->nr);

	chain_put(c);
	for (int again = 0; again < 3; again++)
		assert_chain(c);
	chain_make(&other, keep);
	chain_put(&other);
	assert_chain(&other);
	assert_chain(&other);
	if (!random_below(5))
		remains_put();
	chain_put(c);
	assert_chain(c);
}

static void assert_random_stacks(__u64 start)
{
	static struct chain c;

	seed = start;
	for (unsigned int i = 0; i < NR_STACKS; i++) {
		if (i % STACKS_OF_A_TABLE == 0)
			functions_make();
		/* often one that begins as the last did */
		chain_make(&c, i % STACKS_OF_A_TABLE && random_below(2) ? random_below(c.nr) : 0);
		remains_put();
		assert_stack(&c);
	}
	assert_failures(STAT_CUT_UNSUPPORTED, counter(STAT_CUT_UNSUPPORTED));
	assert_in_range(counter(STAT_CUT_UNSUPPORTED), NR_STACKS / 10, NR_STACKS * 2);
}

static void test_random_stacks(void **state)
{
	(void)state;
	assert_random_stacks(2);
}

/* Each that is known again is walked all the same. */
static void test_random_stacks_checked(void **state)
{
	(void)state;
	config.check_stacks = 1;
	assert_random_stacks(3);
	assert_true(counter(STAT_MEMO_HITS) > NR_STACKS);
	assert_int_equal(counter(STAT_MEMO_WRONG), 0);
}

static void test_random_stacks_without_a_memo(void **state)
{
	(void)state;
	config.memo = 0;
	assert_random_stacks(5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		library_test(test_random_stacks),
		library_test(test_random_stacks_checked),
		library_test(test_random_stacks_without_a_memo),
	};

	return cmocka_run_group_tests_name("random stacks", tests, NULL, NULL);
}
