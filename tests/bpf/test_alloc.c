/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls and their returns. */
#include "native_begin.h"

#include "alloc.bpf.c"

#include "calls.h"

/* --- one call --- */

static void test_malloc_and_free(void **state)
{
	struct event_alloc alloc;
	struct event_free free;

	(void)state;
	call(COOKIE_MALLOC, SP, 101, 0, 0);
	no_event();
	assert_int_equal(fake_map_nr(&blocks), 0);
	ret(SP, BLOCK);
	alloc = expect_alloc(BLOCK, 101, 0);
	assert_live(BLOCK, 101);
	assert_int_not_equal(alloc.stack, SEEP_STACK_UNKNOWN);
	assert_int_equal(block_at(BLOCK)->birth_ns, alloc.head.time_ns);
	assert_int_equal(block_at(BLOCK)->stack, alloc.stack);
	call_free(SP, BLOCK);
	free = expect_free(BLOCK, 101, 0);
	assert_int_equal(free.birth_ns, alloc.head.time_ns);
	assert_int_equal(free.stack, alloc.stack);
	assert_true(free.head.time_ns >= alloc.head.time_ns);
	assert_int_equal(fake_map_nr(&blocks), 0);
	assert_int_equal(counter(STAT_ALLOCS), 1);
	assert_int_equal(counter(STAT_FREES), 1);
	assert_int_equal(counter(STAT_ENTRY_HITS), 1);
	assert_int_equal(counter(STAT_RETURN_HITS), 1);
	assert_int_equal(counter(STAT_FREE_HITS), 1);
	assert_int_equal(nr_failures(), 0);
}

static void test_words_pushed_before_the_probe(void **state)
{
	struct pt_regs regs = {.sp = SP - 24, .di = 103};

	(void)state;
	fake_poke(SP, CALLER);
	cookie_is(SEEP_COOKIE(ROLE_ALLOC, 6, 0, 0, 3, 1));
	(void)alloc_enter(&regs);
	fake_poke(SP, TRAMPOLINE);
	ret(SP, BLOCK);
	(void)expect_alloc(BLOCK, 103, 0);
}

static void test_every_register(void **state)
{
	struct pt_regs regs = {.ax = 1,
			       .dx = 2,
			       .cx = 3,
			       .bx = 4,
			       .si = 5,
			       .di = 6,
			       .bp = 7,
			       .r8 = 9,
			       .r9 = 10,
			       .r10 = 11,
			       .r11 = 12,
			       .r12 = 13,
			       .r13 = 14,
			       .r14 = 15,
			       .r15 = 16};

	(void)state;
	for (__u32 i = 0; i < 32; i++)
		assert_int_equal(reg_get(&regs, i), i == 0 || i == 8 || i > 16 ? 0 : i);
}

static void test_no_bytes(void **state)
{
	(void)state;
	do_malloc(0, BLOCK);
	(void)expect_alloc(BLOCK, 0, 0);
	assert_live(BLOCK, 0);
}

static void test_failed_malloc(void **state)
{
	(void)state;
	do_malloc(1ull << 60, 0);
	no_event();
	assert_int_equal(counter(STAT_FAILED_ALLOCS), 1);
	assert_int_equal(counter(STAT_ALLOCS), 0);
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
}

static void test_calloc_product(void **state)
{
	(void)state;
	call(COOKIE_CALLOC, SP, 13, 17, 0);
	ret(SP, BLOCK);
	(void)expect_alloc(BLOCK, 221, 0);
	call(COOKIE_CALLOC, SP, 0, 17, 0);
	ret(SP, BLOCK + 16);
	(void)expect_alloc(BLOCK + 16, 0, 0);
}

/* A product that wraps is no size. The call fails; if an allocator let it pass, the block shows. */
static void test_calloc_overflow(void **state)
{
	(void)state;
	call(COOKIE_CALLOC, SP, 1ull << 33, 1ull << 33, 0);
	ret(SP, 0);
	no_event();
	assert_int_equal(counter(STAT_FAILED_ALLOCS), 1);
	call(COOKIE_CALLOC, SP, 3, 0x5555555555555556ull, 0);
	ret(SP, BLOCK);
	(void)expect_alloc(BLOCK, SEEP_SIZE_MAX, 0);
}

static void test_posix_memalign(void **state)
{
	const __u64 out = SP + 0x100;

	(void)state;
	call(COOKIE_POSIX_MEMALIGN, SP, out, 64, 107);
	fake_poke(out, BLOCK);
	ret(SP, 0);
	(void)expect_alloc(BLOCK, 107, 0);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 0);
	/* fails: what the out-pointer leads to is not a block */
	call(COOKIE_POSIX_MEMALIGN, SP, out, 64, 107);
	ret(SP, ENOMEM);
	no_event();
	assert_int_equal(counter(STAT_FAILED_ALLOCS), 1);
	assert_int_equal(counter(STAT_ALLOCS), 1);
	assert_int_equal(nr_failures(), 0);
}

/* An int: the upper half of the register may hold anything. */
static void test_posix_memalign_returns_an_int(void **state)
{
	const __u64 out = SP + 0x100;

	(void)state;
	call(COOKIE_POSIX_MEMALIGN, SP, out, 64, 107);
	fake_poke(out, BLOCK);
	ret(SP, 0xdead00000000ull);
	(void)expect_alloc(BLOCK, 107, 0);
}

static void test_posix_memalign_out_pointer_fault(void **state)
{
	(void)state;
	call(COOKIE_POSIX_MEMALIGN, SP, 0x10, 64, 107);
	ret(SP, 0);
	no_event();
	assert_failures(STAT_OUT_POINTER_FAULTS, 1);
	assert_int_equal(fake_map_nr(&blocks), 0);
	assert_balance();
}

/* --- calls in calls --- */

static void test_nested_calls(void **state)
{
	(void)state;
	call(COOKIE_CALLOC, SP, 3, 5, 0);
	call(COOKIE_MALLOC, SP - 64, 15, 0, 0);
	call(COOKIE_MALLOC, SP - 128, 4096, 0, 0);
	ret(SP - 128, BLOCK - 64);
	call_free(SP - 64, BLOCK - 64);
	ret(SP - 64, BLOCK);
	no_event();
	ret(SP, BLOCK);
	(void)expect_alloc(BLOCK, 15, 0);
	assert_int_equal(fake_map_nr(&blocks), 1);
	assert_int_equal(counter(STAT_ALLOCS), 1);
	assert_int_equal(counter(STAT_ENTRY_HITS), 3);
	assert_int_equal(nr_failures(), 0);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 0);
}

/* realloc(NULL, n) ends in a jump to malloc(): both return probes fire at one return. */
static void test_tail_jump_to_malloc(void **state)
{
	(void)state;
	call(COOKIE_REALLOC, SP, 0, 109, 0);
	enter(COOKIE_MALLOC, SP, 109, 0, 0);
	ret(SP, BLOCK);
	ret(SP, BLOCK);
	(void)expect_alloc(BLOCK, 109, ALLOC_REALLOC);
	assert_int_equal(counter(STAT_ALLOCS), 1);
	assert_int_equal(counter(STAT_FREES), 0);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 0);
	assert_int_equal(nr_failures(), 0);
}

static void test_tail_jump_reallocarray_to_realloc(void **state)
{
	(void)state;
	do_malloc(11, BLOCK);
	(void)expect_alloc(BLOCK, 11, 0);
	call(COOKIE_REALLOCARRAY, SP, BLOCK, 3, 37);
	enter(COOKIE_REALLOC, SP, BLOCK, 111, 0);
	ret(SP, BLOCK + 32);
	ret(SP, BLOCK + 32);
	(void)expect_free(BLOCK, 11, FREE_REALLOC);
	(void)expect_alloc(BLOCK + 32, 111, ALLOC_REALLOC);
	assert_int_equal(fake_map_nr(&blocks), 1);
	assert_int_equal(nr_failures(), 0);
	assert_balance();
}

static void test_return_without_entry(void **state)
{
	(void)state;
	ret(SP, BLOCK);
	no_event();
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	ret(SP, BLOCK);
	ret(SP + 64, BLOCK);
	no_event();
	assert_int_equal(counter(STAT_ALLOCS), 1);
	assert_int_equal(nr_failures(), 0);
}

/* --- calls that were left without returning --- */

/* longjmp() out of a signal handler that interrupted malloc(), to a frame further out. */
static void test_left_by_longjmp(void **state)
{
	(void)state;
	call(COOKIE_MALLOC, SP - 512, 7, 0, 0);
	call(COOKIE_MALLOC, SP, 13, 0, 0);
	assert_failures(STAT_STALE_CALLS, 1);
	ret(SP, BLOCK);
	(void)expect_alloc(BLOCK, 13, 0);
	/* and nothing is left over */
	do_malloc(17, BLOCK + 32);
	(void)expect_alloc(BLOCK + 32, 17, 0);
	assert_int_equal(counter(STAT_ALLOCS), 2);
	assert_int_equal(counter(STAT_STALE_CALLS), 1);
}

/* The same, but the next call is made deeper down: the place of the return address has been used again. */
static void test_left_by_longjmp_then_deeper(void **state)
{
	(void)state;
	call(COOKIE_MALLOC, SP, 7, 0, 0);
	fake_poke(SP, 0x1234);
	call(COOKIE_MALLOC, SP - 256, 13, 0, 0);
	ret(SP - 256, BLOCK);
	(void)expect_alloc(BLOCK, 13, 0);
	assert_failures(STAT_STALE_CALLS, 1);
}

/* operator new throws: left, and called again from the same place. */
static void test_left_by_an_exception_and_called_again(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		call(COOKIE_MALLOC, SP, 1ull << 50, 0, 0);
	assert_failures(STAT_STALE_CALLS, 4);
	call(COOKIE_MALLOC, SP, 7, 0, 0);
	ret(SP, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
}

static void test_free_after_a_longjmp(void **state)
{
	(void)state;
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	call(COOKIE_MALLOC, SP, 7, 0, 0);
	fake_poke(SP, 0x1234);
	call_free(SP - 256, BLOCK);
	(void)expect_free(BLOCK, 7, 0);
	assert_balance();
}

static void test_realloc_left_by_longjmp(void **state)
{
	struct event_alloc alloc, again;

	(void)state;
	do_malloc(7, BLOCK);
	alloc = expect_alloc(BLOCK, 7, 0);
	call(COOKIE_REALLOC, SP - 512, BLOCK, 100, 0);
	assert_null(block_at(BLOCK));
	do_malloc(13, BLOCK + 32);
	again = expect_alloc(BLOCK, 7, ALLOC_RESTORED);
	assert_int_equal(again.head.time_ns, alloc.head.time_ns);
	assert_int_equal(again.stack, alloc.stack);
	(void)expect_alloc(BLOCK + 32, 13, 0);
	assert_live(BLOCK, 7);
	assert_failures(STAT_STALE_CALLS, 1);
	assert_balance();
}

/* --- realloc --- */

static void test_realloc_moves(void **state)
{
	struct event_alloc alloc;
	struct event_free free;

	(void)state;
	do_malloc(7, BLOCK);
	alloc = expect_alloc(BLOCK, 7, 0);
	call(COOKIE_REALLOC, SP, BLOCK, 113, 0);
	call(COOKIE_MALLOC, SP - 64, 113, 0, 0);
	ret(SP - 64, BLOCK + 64);
	call_free(SP - 64, BLOCK);
	no_event();
	ret(SP, BLOCK + 64);
	free = expect_free(BLOCK, 7, FREE_REALLOC);
	assert_int_equal(free.birth_ns, alloc.head.time_ns);
	(void)expect_alloc(BLOCK + 64, 113, ALLOC_REALLOC);
	assert_null(block_at(BLOCK));
	assert_live(BLOCK + 64, 113);
	assert_int_equal(counter(STAT_ALLOCS), 2);
	assert_int_equal(counter(STAT_FREES), 1);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 0);
	assert_int_equal(nr_failures(), 0);
}

static void test_realloc_in_place(void **state)
{
	struct event_alloc alloc, grown;

	(void)state;
	do_malloc(7, BLOCK);
	alloc = expect_alloc(BLOCK, 7, 0);
	call(COOKIE_REALLOC, SP, BLOCK, 9, 0);
	ret(SP, BLOCK);
	(void)expect_free(BLOCK, 7, FREE_REALLOC);
	grown = expect_alloc(BLOCK, 9, ALLOC_REALLOC);
	assert_true(grown.head.time_ns > alloc.head.time_ns);
	assert_live(BLOCK, 9);
	assert_int_equal(nr_failures(), 0);
	assert_balance();
}

/* While it moves, its old address may be given to another thread. */
static void test_realloc_races_with_its_old_address(void **state)
{
	(void)state;
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	call(COOKIE_REALLOC, SP, BLOCK, 100, 0);
	run_as(&machine.worker);
	call(COOKIE_MALLOC, OTHER_STACK + 0x1000, 17, 0, 0);
	ret(OTHER_STACK + 0x1000, BLOCK);
	(void)expect_alloc(BLOCK, 17, 0);
	run_as(&machine.main);
	ret(SP, BLOCK + 64);
	(void)expect_free(BLOCK, 7, FREE_REALLOC);
	(void)expect_alloc(BLOCK + 64, 100, ALLOC_REALLOC);
	assert_live(BLOCK, 17);
	assert_int_equal(nr_failures(), 0);
	assert_balance();
}

static void test_failed_realloc(void **state)
{
	struct event_alloc alloc, again;

	(void)state;
	do_malloc(7, BLOCK);
	alloc = expect_alloc(BLOCK, 7, 0);
	call(COOKIE_REALLOC, SP, BLOCK, 1ull << 60, 0);
	ret(SP, 0);
	again = expect_alloc(BLOCK, 7, ALLOC_RESTORED);
	assert_int_equal(again.head.time_ns, alloc.head.time_ns);
	assert_live(BLOCK, 7);
	assert_int_equal(block_at(BLOCK)->birth_ns, alloc.head.time_ns);
	assert_int_equal(counter(STAT_FAILED_ALLOCS), 1);
	assert_int_equal(counter(STAT_ALLOCS), 1);
	assert_int_equal(counter(STAT_FREES), 0);
	assert_int_equal(nr_failures(), 0);
}

static void test_failed_realloc_cannot_put_back(void **state)
{
	struct event_alloc alloc;
	struct event_free lost;

	(void)state;
	do_malloc(7, BLOCK);
	alloc = expect_alloc(BLOCK, 7, 0);
	call(COOKIE_REALLOC, SP, BLOCK, 1ull << 60, 0);
	fake_map_limit(&blocks, 0);
	ret(SP, 0);
	lost = expect_free(BLOCK, 7, FREE_LOST);
	assert_int_equal(lost.birth_ns, alloc.head.time_ns);
	assert_failures(STAT_LOST_ALLOCS, 1);
	assert_balance();
}

static void test_realloc_to_nothing(void **state)
{
	(void)state;
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	call(COOKIE_REALLOC, SP, BLOCK, 0, 0);
	call_free(SP - 32, BLOCK);
	ret(SP, 0);
	(void)expect_free(BLOCK, 7, FREE_REALLOC);
	assert_int_equal(counter(STAT_FAILED_ALLOCS), 0);
	assert_int_equal(counter(STAT_FREES), 1);
	assert_int_equal(fake_map_nr(&blocks), 0);
	/* by a jump to free(), as glibc does */
	do_malloc(9, BLOCK);
	(void)expect_alloc(BLOCK, 9, 0);
	call(COOKIE_REALLOC, SP, BLOCK, 0, 0);
	call_free(SP, BLOCK);
	no_event();
	ret(SP, 0);
	(void)expect_free(BLOCK, 9, FREE_REALLOC);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 0);
	assert_balance();
}

static void test_realloc_of_an_unknown_block(void **state)
{
	(void)state;
	call(COOKIE_REALLOC, SP, BLOCK, 100, 0);
	call_free(SP - 64, BLOCK);
	ret(SP, BLOCK + 64);
	(void)expect_alloc(BLOCK + 64, 100, ALLOC_REALLOC);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 1);
	/* a failed one frees nothing, and knows nothing to put back */
	call(COOKIE_REALLOC, SP, BLOCK + 999, 1ull << 60, 0);
	ret(SP, 0);
	no_event();
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 1);
	assert_int_equal(counter(STAT_FAILED_ALLOCS), 1);
	assert_int_equal(nr_failures(), 0);
	assert_balance();
}

static void test_realloc_of_null(void **state)
{
	(void)state;
	call(COOKIE_REALLOC, SP, 0, 100, 0);
	ret(SP, BLOCK);
	(void)expect_alloc(BLOCK, 100, ALLOC_REALLOC);
	call(COOKIE_REALLOC, SP, 0, 0, 0);
	ret(SP, 0);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 0);
	assert_int_equal(counter(STAT_FAILED_ALLOCS), 1);
}

/* --- free --- */

static void test_free_of_null_and_unknown(void **state)
{
	(void)state;
	call_free(SP, 0);
	assert_int_equal(counter(STAT_FREE_HITS), 0);
	call_free(SP, BLOCK);
	no_event();
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 1);
	assert_int_equal(counter(STAT_FREES), 0);
	assert_int_equal(nr_failures(), 0);
}

/* operator delete is probed, and ends in a jump to free(), which is probed too. */
static void test_delete_jumps_to_free(void **state)
{
	(void)state;
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	call_free(SP, BLOCK);
	call_free(SP, BLOCK);
	(void)expect_free(BLOCK, 7, 0);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 0);
	/* also of a block that we do not know: that is one free */
	call_free(SP, BLOCK + 64);
	call_free(SP, BLOCK + 64);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 1);
	/* handed out again and freed again */
	do_malloc(9, BLOCK);
	(void)expect_alloc(BLOCK, 9, 0);
	call_free(SP, BLOCK);
	(void)expect_free(BLOCK, 9, 0);
	assert_int_equal(counter(STAT_FREES), 2);
	assert_balance();
}

static void test_free_in_another_thread(void **state)
{
	struct event_free free;

	(void)state;
	do_malloc(7, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	run_as(&machine.worker);
	fake.cpu = 1;
	call_free(OTHER_STACK + 64, BLOCK);
	free = expect_free(BLOCK, 7, 0);
	assert_int_equal(free.tid, TGID + 100);
	assert_balance();
}

static void test_missed_free(void **state)
{
	struct event_alloc first;
	struct event_free free;

	(void)state;
	do_malloc(7, BLOCK);
	first = expect_alloc(BLOCK, 7, 0);
	do_malloc(9, BLOCK);
	free = expect_free(BLOCK, 7, FREE_REPLACED);
	assert_int_equal(free.birth_ns, first.head.time_ns);
	(void)expect_alloc(BLOCK, 9, 0);
	assert_live(BLOCK, 9);
	assert_failures(STAT_MISSED_FREES, 1);
	assert_int_equal(counter(STAT_FREES), 1);
	assert_balance();
}

/* The second of two frees of an address is no duplicate when the address was handed out between. */
static void test_frees_of_unknown_blocks_at_one_address(void **state)
{
	(void)state;
	fake_map_limit(&blocks, 0);
	call_free(SP, BLOCK);
	do_malloc(7, BLOCK);
	call_free(SP, BLOCK);
	no_event();
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 2);
	assert_failures(STAT_LOST_ALLOCS, 1);
}

/* --- other stacks --- */

/* A signal handler on its own stack allocates while malloc() is under way. */
static void test_alternate_signal_stack(void **state)
{
	const __u64 sp = OTHER_STACK + 0x8000;

	(void)state;
	call(COOKIE_MALLOC, SP, 7, 0, 0);
	call(COOKIE_MALLOC, sp, 13, 0, 0);
	call(COOKIE_MALLOC, sp - 64, 99, 0, 0);
	ret(sp - 64, BLOCK + 32);
	ret(sp, BLOCK + 32);
	(void)expect_alloc(BLOCK + 32, 13, 0);
	ret(SP, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	assert_int_equal(counter(STAT_ALLOCS), 2);
	assert_int_equal(nr_failures(), 0);
}

/* Calls under way at once on four stacks; there is no room for a fifth. */
static void test_four_at_once(void **state)
{
	const __u64 step = 0x1000000;

	(void)state;
	for (__u64 i = 0; i < 5; i++) {
		fake_memory_add(0x100000000 + i * step, 0x1000);
		call(COOKIE_MALLOC, 0x100000000 + i * step + 0x800, 100 + i, 0, 0);
	}
	assert_failures(STAT_CALLS_TOO_DEEP, 1);
	for (__u64 i = 5; i-- > 0;)
		ret(0x100000000 + i * step + 0x800, BLOCK + i * 32);
	for (__u64 i = 4; i-- > 0;)
		(void)expect_alloc(BLOCK + i * 32, 100 + i, 0);
	assert_int_equal(counter(STAT_ALLOCS), 4);
	do_malloc(7, BLOCK + 512);
	(void)expect_alloc(BLOCK + 512, 7, 0);
}

/* Two threads in malloc() at once. */
static void test_threads_do_not_mix(void **state)
{
	(void)state;
	call(COOKIE_MALLOC, SP, 7, 0, 0);
	run_as(&machine.worker);
	call(COOKIE_MALLOC, OTHER_STACK + 64, 13, 0, 0);
	run_as(&machine.main);
	ret(SP, BLOCK);
	(void)expect_alloc(BLOCK, 7, 0);
	run_as(&machine.worker);
	ret(OTHER_STACK + 64, BLOCK + 32);
	(void)expect_alloc(BLOCK + 32, 13, 0);
	assert_int_equal(nr_failures(), 0);
}

/* operator new calls a new_handler, which gives back what a cache has. */
static void test_free_of_a_block_in_another_call(void **state)
{
	(void)state;
	do_malloc(101, BLOCK);
	(void)expect_alloc(BLOCK, 101, 0);
	call(COOKIE_MALLOC, SP, 103, 0, 0);
	call_free(SP - 0x200, BLOCK);
	ret(SP, BLOCK + 0x1000);
	(void)expect_free(BLOCK, 101, 0);
	(void)expect_alloc(BLOCK + 0x1000, 103, 0);
	assert_int_equal(fake_map_nr(&blocks), 1);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 0);
	assert_int_equal(nr_failures(), 0);
}

/* reallocf() frees what it cannot make larger. */
static void test_realloc_that_fails_and_frees(void **state)
{
	(void)state;
	do_malloc(101, BLOCK);
	(void)expect_alloc(BLOCK, 101, 0);
	call(COOKIE_REALLOC, SP, BLOCK, 1ull << 60, 0);
	call_free(SP - 0x20, BLOCK);
	ret(SP, 0);
	(void)next_event(EVENT_FREE);
	no_event();
	assert_int_equal(fake_map_nr(&blocks), 0);
	assert_int_equal(nr_failures(), 0);
}

/* A signal comes in malloc, its handler leaves a realloc, on another stack, and so both calls. */
static void test_calls_left_together(void **state)
{
	const __u64 other = OTHER_STACK + STACK_BYTES - 0x1000;

	(void)state;
	do_malloc(101, BLOCK);
	(void)expect_alloc(BLOCK, 101, 0);
	call(COOKIE_MALLOC, SP, 103, 0, 0);
	call(COOKIE_REALLOC, other, BLOCK, 107, 0);
	assert_int_equal(counter(STAT_STALE_CALLS), 0);
	call(COOKIE_MALLOC, SP, 109, 0, 0);
	ret(SP, BLOCK + 0x1000);
	(void)expect_alloc(BLOCK, 101, ALLOC_RESTORED);
	(void)expect_alloc(BLOCK + 0x1000, 109, 0);
	assert_live(BLOCK, 101);
	assert_int_equal(counter(STAT_STALE_CALLS), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		machine_test(test_free_of_a_block_in_another_call),
		machine_test(test_realloc_that_fails_and_frees),
		machine_test(test_calls_left_together),
		machine_test(test_malloc_and_free),
		machine_test(test_words_pushed_before_the_probe),
		machine_test(test_every_register),
		machine_test(test_no_bytes),
		machine_test(test_failed_malloc),
		machine_test(test_calloc_product),
		machine_test(test_calloc_overflow),
		machine_test(test_posix_memalign),
		machine_test(test_posix_memalign_returns_an_int),
		machine_test(test_posix_memalign_out_pointer_fault),
		machine_test(test_nested_calls),
		machine_test(test_tail_jump_to_malloc),
		machine_test(test_tail_jump_reallocarray_to_realloc),
		machine_test(test_return_without_entry),
		machine_test(test_left_by_longjmp),
		machine_test(test_left_by_longjmp_then_deeper),
		machine_test(test_left_by_an_exception_and_called_again),
		machine_test(test_free_after_a_longjmp),
		machine_test(test_realloc_left_by_longjmp),
		machine_test(test_realloc_moves),
		machine_test(test_realloc_in_place),
		machine_test(test_realloc_races_with_its_old_address),
		machine_test(test_failed_realloc),
		machine_test(test_failed_realloc_cannot_put_back),
		machine_test(test_realloc_to_nothing),
		machine_test(test_realloc_of_an_unknown_block),
		machine_test(test_realloc_of_null),
		machine_test(test_free_of_null_and_unknown),
		machine_test(test_delete_jumps_to_free),
		machine_test(test_free_in_another_thread),
		machine_test(test_missed_free),
		machine_test(test_frees_of_unknown_blocks_at_one_address),
		machine_test(test_alternate_signal_stack),
		machine_test(test_four_at_once),
		machine_test(test_threads_do_not_mix),
	};

	return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
