/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mappings that are struck out before they go. */
#include "native_begin.h"

#include "code.bpf.c"
#define LICENSE proc_license
#include "proc.bpf.c"
#include "stack.bpf.h"

#include "native.h"
#include "library.h"

#define ANONYMOUS 0x22
#define NOREPLACE 0x100000
#define FIRST 5
#define SIZE 0x10000 /* of a mapping, and as much lies between two */

static __u64 start_of(__u32 i)
{
	return LIBRARY + i * 2ull * SIZE;
}

/* Only these mappings, each with a hole behind it. */
static void mappings_make(__u32 nr)
{
	process_of(SLOT)->nr = 0;
	for (__u32 i = 0; i < nr; i++)
		code_add(SLOT, FIRST + i, start_of(i), SIZE);
}

static bool is_there(__u32 i)
{
	return mapping_at(FIRST + i)->kind != MAPPING_GONE;
}

static struct unwind_process was;

static void remember(void)
{
	was = *process_of(SLOT);
}

static void do_munmap(__u64 start, __u64 bytes)
{
	struct syscall_enter_args args = {.args = {start, bytes}};

	remember();
	assert_int_equal(code_munmap(&args), 0);
}

static void do_mmap(__u64 start, __u64 bytes, __u64 flags)
{
	struct syscall_enter_args args = {.args = {start, bytes, 3, flags, ~0ull, 0}};

	remember();
	assert_int_equal(code_mmap(&args), 0);
}

/* Whoever walks, or looks for new mappings, hears of it: exactly if something was struck out. */
static void assert_told(bool yes)
{
	const struct unwind_process *p = process_of(SLOT);

	assert_int_equal(p->generation, was.generation + (yes ? 2 : 0));
	assert_int_equal(p->unknown, was.unknown + (yes ? 1 : 0));
	assert_int_equal(p->first, was.first);
}

/* Of seven mappings these are there, from the lowest bit on. */
static void assert_there(__u32 bits)
{
	for (__u32 i = 0; i < 7; i++)
		assert_int_equal(is_there(i), bits >> i & 1);
	assert_int_equal(process_of(SLOT)->nr, 7);
}

static void test_nothing_there(void **state)
{
	static const struct {
		__u64 start, bytes;
	} hole[] = {
		{LIBRARY - SIZE, 4096},	       {LIBRARY - SIZE, SIZE}, /* up to the first */
		{LIBRARY + SIZE, SIZE},				       /* between two */
		{LIBRARY + SIZE + 4096, 4096}, {LIBRARY + 11 * SIZE, SIZE},
		{LIBRARY + 13 * SIZE, SIZE}, /* from the end of the last */
		{LIBRARY + 99 * SIZE, 4096},   {0, 4096},
		{LIBRARY - SIZE, ~0ull}, /* no such range */
	};

	(void)state;
	mappings_make(7);
	for (size_t i = 0; i < sizeof(hole) / sizeof(hole[0]); i++) {
		do_munmap(hole[i].start, hole[i].bytes);
		assert_told(false);
		assert_there(0x7f);
	}
}

static void test_one(void **state)
{
	(void)state;
	mappings_make(7);
	do_munmap(start_of(0), SIZE);
	assert_told(true);
	assert_there(0x7e);
	do_munmap(start_of(3), SIZE);
	assert_told(true);
	assert_there(0x76);
	do_munmap(start_of(6), SIZE);
	assert_told(true);
	assert_there(0x36);
	/* it is gone already */
	do_munmap(start_of(3), SIZE);
	assert_told(false);
	assert_there(0x36);
}

/* A page of it is enough: at its start, its end, in the middle, and with what is around it. */
static void test_a_part_of_one(void **state)
{
	static const __s64 part[][2] = {
		{0, 4096},	     {SIZE - 4096, 4096}, {8192, 4096},	     {-4096, 8192},
		{SIZE - 4096, SIZE}, {-4096, 2 * SIZE},	  {-SIZE, SIZE + 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		mappings_make(7);
		do_munmap(start_of(3) + (__u64)part[i][0], (__u64)part[i][1]);
		assert_told(true);
		assert_there(0x77);
	}
}

static void test_several(void **state)
{
	(void)state;
	mappings_make(7);
	do_munmap(start_of(2) + 4096, 4ull * SIZE);
	assert_told(true);
	assert_there(0x63);
	/* one in the middle has gone before */
	mappings_make(7);
	do_munmap(start_of(1), SIZE);
	do_munmap(start_of(0), 5ull * SIZE);
	assert_told(true);
	assert_there(0x78);
	mappings_make(7);
	do_munmap(0, LIBRARY + 99 * SIZE);
	assert_told(true);
	assert_there(0);
}

/* What is side by side is struck out to the page. */
static void test_neighbours(void **state)
{
	(void)state;
	process_of(SLOT)->nr = 0;
	for (__u32 i = 0; i < 7; i++)
		code_add(SLOT, FIRST + i, LIBRARY + i * SIZE, SIZE);
	do_munmap(LIBRARY + 3 * SIZE, SIZE);
	assert_told(true);
	assert_there(0x77);
}

/* Those of other processes lie before and behind. */
static void test_only_its_own(void **state)
{
	(void)state;
	mappings_make(7);
	*mapping_at(FIRST - 1) = *mapping_at(FIRST + 7) = *mapping_at(FIRST);
	mapping_at(FIRST - 1)->start = 0;
	mapping_at(FIRST + 7)->end = ~0ull;
	do_munmap(0, ~0ull);
	assert_told(true);
	assert_there(0);
	assert_int_equal(mapping_at(FIRST - 1)->kind, MAPPING_CODE);
	assert_int_equal(mapping_at(FIRST + 7)->kind, MAPPING_CODE);
}

static void test_mmap(void **state)
{
	(void)state;
	mappings_make(7);
	do_mmap(start_of(3), SIZE, ANONYMOUS);
	do_mmap(start_of(3), SIZE, ANONYMOUS | NOREPLACE);
	assert_told(false);
	assert_there(0x7f);
	do_mmap(start_of(3) - 4096, 8192, ANONYMOUS | VM_MAP_FIXED);
	assert_told(true);
	assert_there(0x77);
	do_mmap(start_of(3) + SIZE, SIZE, ANONYMOUS | VM_MAP_FIXED);
	assert_told(false);
}

/* So many that nobody counts them here: nothing is known any more until userspace has looked. */
static void test_more_than_are_struck_out_at_once(void **state)
{
	(void)state;
	mappings_make(MAPPINGS_AT_ONCE);
	do_munmap(LIBRARY, ~0ull - LIBRARY);
	assert_told(true);
	for (__u32 nr = MAPPINGS_AT_ONCE + 1; nr < MAPPINGS_AT_ONCE + 20; nr++) {
		mappings_make(nr);
		do_munmap(LIBRARY, ~0ull - LIBRARY);
		assert_told(true);
		for (__u32 i = 0; i < nr; i++)
			assert_true(!process_of(SLOT)->nr || !is_there(i));
		/* and there is nothing left to be told */
		do_munmap(LIBRARY, ~0ull - LIBRARY);
		assert_told(false);
	}
	mappings_make(MAPPINGS_AT_ONCE + 19);
	do_munmap(start_of(7), 2ull * SIZE * MAPPINGS_AT_ONCE);
	assert_told(true);
	assert_true(!process_of(SLOT)->nr || is_there(6));
}

static void test_not_looked_at_yet(void **state)
{
	(void)state;
	process_of(SLOT)->nr = 0;
	do_munmap(0, ~0ull);
	assert_told(false);
	assert_int_equal(process_of(SLOT)->nr, 0);
}

static void test_not_a_target(void **state)
{
	(void)state;
	mappings_make(7);
	run_as(&machine.other);
	do_munmap(LIBRARY, SIZE);
	do_mmap(LIBRARY, SIZE, VM_MAP_FIXED);
	assert_told(false);
	assert_there(0x7f);
	/* the slot of none */
	code_add(SEEP_SLOT_NONE, 0, 0, ~0ull);
	do_munmap(LIBRARY, SIZE);
	assert_int_equal(mapping_at(0)->kind, MAPPING_CODE);
}

/* Its memory is its parent's. */
static void test_child_of_vfork(void **state)
{
	(void)state;
	mappings_make(7);
	run_as(&machine.child);
	do_munmap(start_of(2), SIZE);
	assert_told(true);
	assert_there(0x7b);
}

/* No walk takes the table of what is gone, nor a stack from before. */
static void test_walks(void **state)
{
	__u64 f = function_of_words(1), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, outermost));
	assert_frames(capture(0, SP, 0), 0, WORDS(f, outermost));
	do_munmap(LIBRARY, 4096);
	assert_frames(capture(0, SP, 0), STACK_PARTIAL, WORDS(f));
	assert_failures(STAT_CUT_NO_MAPPING, 1);
	/* a walk under way has seen what was there; it is told by the generation */
	library()->kind = MAPPING_TABLE;
	mappings_changed();
	assert_frames(capture(0, SP, 0), 0, WORDS(f, outermost));
}

static void strike_out_meanwhile(void)
{
	do_munmap(LIBRARY, 4096);
}

static void test_during_a_walk(void **state)
{
	__u64 f = function_of_words(1), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, outermost));
	fake_before(&unwind_shards, FAKE_LOOKUP, strike_out_meanwhile);
	assert_true(stack_at(capture(0, SP, 0))->flags & STACK_PARTIAL);
	assert_failures(STAT_CUT_CHANGED, 1);
}

/* --- exec --- */

static void do_exec(void)
{
	__u64 args[3] = {0};

	remember();
	assert_int_equal(proc_exec((void *)args), 0);
}

static void test_exec(void **state)
{
	__u64 f = function_of_words(1), outermost = outermost_add();
	__u32 id;

	(void)state;
	words_put(SP, WORDS(f, outermost));
	id = capture(0, SP, 0);
	do_exec();
	(void)next_event(EVENT_EXEC);
	assert_int_equal(process_of(SLOT)->nr, 0);
	assert_int_equal(process_of(SLOT)->generation, was.generation + 2);
	/* the old image's tables say nothing of the new one */
	assert_frames(capture(0, SP, 0), STACK_PARTIAL, WORDS(f));
	assert_int_not_equal(capture(0, SP, 0), id);
	assert_failures(STAT_CUT_PENDING, 2);
}

static void test_exec_of_others(void **state)
{
	(void)state;
	run_as(&machine.other);
	do_exec();
	assert_told(false);
	assert_int_equal(process_of(SLOT)->nr, was.nr);
	/* the child of vfork() leaves its parent's memory to it */
	run_as(&machine.child);
	do_exec();
	assert_told(false);
	assert_int_equal(process_of(SLOT)->nr, was.nr);
}

static void test_exec_while_not_armed(void **state)
{
	(void)state;
	armed = 0;
	do_exec();
	assert_int_equal(process_of(SLOT)->nr, 0);
	assert_int_equal(process_of(SLOT)->generation, was.generation + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		library_test(test_nothing_there),
		library_test(test_one),
		library_test(test_a_part_of_one),
		library_test(test_several),
		library_test(test_neighbours),
		library_test(test_only_its_own),
		library_test(test_mmap),
		library_test(test_more_than_are_struck_out_at_once),
		library_test(test_not_looked_at_yet),
		library_test(test_not_a_target),
		library_test(test_child_of_vfork),
		library_test(test_walks),
		library_test(test_during_a_walk),
		library_test(test_exec),
		library_test(test_exec_of_others),
		library_test(test_exec_while_not_armed),
	};

	return cmocka_run_group_tests_name("code", tests, NULL, NULL);
}
