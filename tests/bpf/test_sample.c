/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sampling: what is taken, what it stands for, and calls within calls when returns are not trapped. */
#include <math.h>

#include "native_begin.h"

#include "alloc.bpf.c"

#include "calls.h"

#define TAG 3
#define PERIOD (512u << 10)
/* Of functions that call nobody, and of one that does. */
#define COOKIE_LEAF (SEEP_COOKIE(ROLE_ALLOC, 6, 0, 0, 0, 1) | SEEP_COOKIE_LEAF)
#define COOKIE_OUTER SEEP_COOKIE(ROLE_ALLOC, 6, 0, 0, 0, 8)
#define COOKIE_XALLOCX SEEP_COOKIE(ROLE_RESIZE, 5, 0, 6, 0, 9)
#define NESTED_SP (SP - 0x80)

static struct thread *thread_here(void)
{
	return thread_find(current_task(), id_of(current_task()));
}

static int session_run(struct pt_regs *regs, __u64 cookie, bool is_return)
{
	cookie_is(cookie);
	machine.run.session_ctx.is_return = is_return;
	return alloc_session(regs);
}

/* A session's entry: the kernel puts the trampoline there only if the program says so. */
static bool session_enter(__u64 cookie, __u64 sp, __u64 size, __u64 second)
{
	struct pt_regs regs = {.sp = sp, .di = size, .si = second};
	bool skipped;

	skipped = session_run(&regs, cookie, false);
	if (!skipped)
		fake_poke(sp, TRAMPOLINE);
	return !skipped;
}

static bool session_call(__u64 cookie, __u64 sp, __u64 size, __u64 second)
{
	fake_poke(sp, CALLER);
	return session_enter(cookie, sp, size, second);
}

static void session_ret(__u64 sp, __u64 rc)
{
	struct pt_regs regs = {.sp = sp + 8, .ax = rc};

	assert_int_equal(session_run(&regs, 0, true), 0);
}

/* The next call is taken, or not. */
static void next_is(bool taken)
{
	if (!thread_here())
		(void)session_call(COOKIE_LEAF, SP, 1, 0);
	thread_here()->sample_tag = TAG;
	thread_here()->sample_gap = taken ? 1 : 1ull << 40;
}

static void sample_every(__u64 period)
{
	sampling = SEEP_SIZED(period, TAG);
	thread_here() ? (void)(thread_here()->sample_tag = 0) : (void)0;
}

/* --- sessions --- */

static void test_exact_session(void **state)
{
	(void)state;
	assert_true(session_call(COOKIE_MALLOC, SP, 101, 0));
	/* part of it: its return needs no trap */
	assert_false(session_call(COOKIE_MALLOC, NESTED_SP, 117, 0));
	/* a jump from one to the other */
	assert_false(session_enter(COOKIE_CALLOC, SP, 7, 7));
	session_ret(SP, BLOCK);
	(void)expect_alloc(BLOCK, 101, 0);
	assert_int_equal(counter(STAT_CALLS), 1);
	assert_int_equal(counter(STAT_CALL_BYTES), 101);
	assert_int_equal(counter(STAT_ENTRY_HITS), 3);
	assert_int_equal(counter(STAT_RETURN_HITS), 1);
}

static void test_nobody_armed(void **state)
{
	(void)state;
	armed = 0;
	assert_false(session_call(COOKIE_MALLOC, SP, 101, 0));
	armed = 1;
}

/* --- what is taken --- */

static void test_gap_of_the_extremes(void **state)
{
	(void)state;
	/* -ln(1) and -ln(2^-32), which is 22.18 */
	assert_int_equal(sample_gap(PERIOD, 0xffffffff), 1);
	assert_in_range(sample_gap(PERIOD, 0), 22 * PERIOD, 23 * PERIOD);
	assert_in_range(sample_gap(0xffffffff, 0), 22ull * 0xffffffff, 23ull * 0xffffffff);
	assert_int_equal(sample_gap(1, 0xffffffff), 1);
}

static void test_gap_is_the_logarithm(void **state)
{
	double exact, off;

	(void)state;
	for (__u64 random = 1; random < 1ull << 32; random = random * 5 / 4 + 1) {
		exact = -log((double)(random + 1) / 4294967296.0) * PERIOD;
		off = fabs((double)sample_gap(PERIOD, (__u32)random) - 1 - floor(exact));
		assert_true(off <= 1 + 4e-6 * PERIOD);
	}
}

/* The share of blocks taken is 1 - exp(-size / period), within five standard errors. */
static void check_share(__u64 size, __u32 nr)
{
	struct thread t = {.sample_tag = 0};
	double p = -expm1(-(double)(size ? size : 1) / PERIOD), share;
	__u32 taken = 0;

	for (__u32 i = 0; i < nr; i++)
		taken += sample_takes(&t, SEEP_SIZED(PERIOD, TAG), size);
	share = (double)taken / nr;
	assert_true(fabs(share - p) <= 5 * sqrt(p * (1 - p) / nr));
}

static void test_share_taken(void **state)
{
	static const __u64 size[] = {64, 1000, 4096, 65536, PERIOD, 4 * PERIOD, 64ull << 20};

	(void)state;
	fake.random = 42;
	for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++)
		check_share(size[i], size[i] < 4096 ? 20000000 : 2000000);
}

/* Also when sizes are mixed, and for each of them. */
static void test_share_in_a_mixture(void **state)
{
	static const __u64 size[] = {16, 300, 9000, 200000};
	__u32 taken[4] = {0}, nr = 4000000;
	struct thread t = {.sample_tag = 0};
	double p;

	(void)state;
	fake.random = 7;
	for (__u32 i = 0; i < nr; i++) {
		for (int k = 0; k < 4; k++)
			taken[k] += sample_takes(&t, SEEP_SIZED(PERIOD, TAG), size[k]);
	}
	for (int k = 0; k < 4; k++) {
		p = -expm1(-(double)size[k] / PERIOD);
		assert_true(fabs((double)taken[k] / nr - p) <= 5 * sqrt(p * (1 - p) / nr));
	}
}

static void test_period_changes(void **state)
{
	struct thread t = {.sample_tag = TAG, .sample_gap = 1ull << 40};

	(void)state;
	/* with another period a new distance is drawn: this block is 100 periods long */
	assert_true(sample_takes(&t, SEEP_SIZED(1000, TAG + 1), 100000));
	assert_int_equal(t.sample_tag, TAG + 1);
}

/* --- what becomes of it --- */

static void test_sampled_block(void **state)
{
	struct event_alloc alloc;

	(void)state;
	sample_every(PERIOD);
	next_is(true);
	assert_true(session_call(COOKIE_LEAF, SP, 1009, 0));
	session_ret(SP, BLOCK);
	alloc = expect_alloc(BLOCK, SEEP_SIZED(1009, TAG), 0);
	assert_int_equal(SEEP_TAG(alloc.sized), TAG);
	/* the period changes, the block does not */
	sampling = SEEP_SIZED(1u << 20, TAG + 1);
	call_free(SP, BLOCK);
	(void)expect_free(BLOCK, SEEP_SIZED(1009, TAG), 0);
}

static void test_passed_block(void **state)
{
	(void)state;
	sample_every(PERIOD);
	next_is(false);
	assert_false(session_call(COOKIE_LEAF, SP, 1009, 0));
	assert_false(session_call(COOKIE_LEAF, SP, 1013, 0));
	no_event();
	/* beside the first one of next_is() */
	assert_int_equal(counter(STAT_CALLS), 3);
	assert_int_equal(counter(STAT_CALL_BYTES), 1 + 1009 + 1013);
	assert_int_equal(counter(STAT_ALLOCS), 0);
}

/* One that calls another: what is passed over is not tried again inside. */
static void test_nested_in_a_passed_call(void **state)
{
	(void)state;
	sample_every(PERIOD);
	next_is(false);
	assert_false(session_call(COOKIE_OUTER, SP, 1009, 0));
	/* inside the allocator: its stack leads through the outer call's return address */
	next_is(true);
	fake_poke(NESTED_SP, CODE + 0x4444);
	fake_poke(SP - 16, 0);
	assert_true(thread_here()->passed.sp == SP);
	assert_int_equal(thread_here()->passed.return_address, CALLER);
	{
		/* by frame pointers: the inner call's frame record leads to the outer one's return address */
		struct pt_regs regs = {.sp = NESTED_SP, .bp = SP - 8, .di = 1009};

		fake_poke(SP - 8, 0);
		assert_int_equal(session_run(&regs, COOKIE_LEAF, false), 1);
	}
	no_event();
	assert_int_equal(counter(STAT_SAMPLES_NESTED), 1);
	assert_int_equal(counter(STAT_CALLS), 2);
}

/* The same place below it, left by a call that has long returned: that is no part of it. */
static void test_stale_passed_call(void **state)
{
	struct pt_regs regs = {.sp = NESTED_SP, .bp = 0, .di = 1009};

	(void)state;
	sample_every(PERIOD);
	next_is(false);
	assert_false(session_call(COOKIE_OUTER, SP, 1009, 0));
	next_is(true);
	fake_poke(NESTED_SP, CODE + 0x4444);
	assert_int_equal(session_run(&regs, COOKIE_LEAF, false), 0);
	fake_poke(NESTED_SP, TRAMPOLINE);
	session_ret(NESTED_SP, BLOCK);
	(void)expect_alloc(BLOCK, SEEP_SIZED(1009, TAG), 0);
	assert_int_equal(counter(STAT_SAMPLES_NESTED), 0);
	assert_int_equal(thread_here()->passed.sp, 0);
	assert_int_equal(counter(STAT_CALLS), 3);
}

/* Where the word is another, there is nothing to find out. */
static void test_overwritten_passed_call(void **state)
{
	(void)state;
	sample_every(PERIOD);
	next_is(false);
	assert_false(session_call(COOKIE_OUTER, SP, 1009, 0));
	fake_poke(SP, CODE + 0x9999);
	assert_false(session_call(COOKIE_LEAF, NESTED_SP, 11, 0));
	assert_int_equal(counter(STAT_CALLS), 3);
}

/* realloc(NULL, n) that jumps to malloc(n) at the same place; and the same function called again there. */
static void test_passed_call_goes_on(void **state)
{
	(void)state;
	sample_every(PERIOD);
	next_is(false);
	assert_false(session_call(COOKIE_OUTER, SP, 1009, 0));
	next_is(true);
	assert_false(session_enter(COOKIE_LEAF, SP, 1009, 0));
	no_event();
	assert_int_equal(counter(STAT_SAMPLES_NESTED), 1);
	next_is(true);
	assert_true(session_call(COOKIE_OUTER, SP, 1009, 0));
	session_ret(SP, BLOCK);
	(void)expect_alloc(BLOCK, SEEP_SIZED(1009, TAG), 0);
}

/* Inside a sampled call, which has its trampoline. */
static void test_nested_in_a_sampled_call(void **state)
{
	(void)state;
	sample_every(PERIOD);
	next_is(true);
	assert_true(session_call(COOKIE_OUTER, SP, 1009, 0));
	next_is(true);
	assert_false(session_call(COOKIE_LEAF, NESTED_SP, 1009, 0));
	session_ret(SP, BLOCK);
	(void)expect_alloc(BLOCK, SEEP_SIZED(1009, TAG), 0);
	assert_int_equal(counter(STAT_CALLS), 2);
}

/* --- realloc --- */

static void sampled_block(void)
{
	sample_every(PERIOD);
	next_is(true);
	assert_true(session_call(COOKIE_LEAF, SP, 100, 0));
	session_ret(SP, BLOCK);
	(void)expect_alloc(BLOCK, SEEP_SIZED(100, TAG), 0);
}

/* The old block is known, the new one is not sampled. */
static void test_realloc_out_of_the_sample(void **state)
{
	(void)state;
	sampled_block();
	next_is(false);
	assert_true(session_call(COOKIE_REALLOC, SP, BLOCK, 50));
	session_ret(SP, BLOCK);
	(void)expect_free(BLOCK, SEEP_SIZED(100, TAG), FREE_REALLOC);
	no_event();
	assert_int_equal(fake_map_nr(&blocks), 0);
	assert_int_equal(counter(STAT_FREES), 1);
	assert_int_equal(counter(STAT_ALLOCS), 1);
}

static void test_realloc_that_fails_out_of_the_sample(void **state)
{
	(void)state;
	sampled_block();
	next_is(false);
	assert_true(session_call(COOKIE_REALLOC, SP, BLOCK, 50));
	session_ret(SP, 0);
	(void)expect_alloc(BLOCK, SEEP_SIZED(100, TAG), ALLOC_RESTORED);
	assert_live(BLOCK, SEEP_SIZED(100, TAG));
}

static void test_realloc_into_the_sample(void **state)
{
	(void)state;
	sample_every(PERIOD);
	next_is(true);
	assert_true(session_call(COOKIE_REALLOC, SP, BLOCK, 50));
	session_ret(SP, BLOCK + 64);
	(void)expect_alloc(BLOCK + 64, SEEP_SIZED(50, TAG), ALLOC_REALLOC);
}

static void test_realloc_of_what_nobody_knows(void **state)
{
	(void)state;
	sample_every(PERIOD);
	next_is(false);
	assert_false(session_call(COOKIE_REALLOC, SP, BLOCK, 50));
	no_event();
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 1);
	next_is(false);
	assert_false(session_call(COOKIE_REALLOC, SP, 0, 50));
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 1);
}

/* --- xallocx: in place, and it answers with a size --- */

static void test_resize(void **state)
{
	(void)state;
	do_malloc(100, BLOCK);
	(void)expect_alloc(BLOCK, 100, 0);
	call(COOKIE_XALLOCX, SP, BLOCK, 150, 0);
	ret(SP, 160);
	(void)expect_free(BLOCK, 100, FREE_REALLOC);
	(void)expect_alloc(BLOCK, 150, ALLOC_REALLOC);
	assert_live(BLOCK, 150);
	/* it stays as it is */
	call(COOKIE_XALLOCX, SP, BLOCK, 5000, 0);
	ret(SP, 160);
	(void)expect_alloc(BLOCK, 150, ALLOC_RESTORED);
	assert_live(BLOCK, 150);
	assert_int_equal(counter(STAT_FAILED_ALLOCS), 1);
}

/* --- windows --- */

/*
 * What was born before frees were seen again may have been freed, and its address be anybody's: that it has gone by now
 * is told, but it is no free that is counted as one of ours.
 */
static void test_unwatched_blocks(void **state)
{
	(void)state;
	do_malloc(100, BLOCK);
	(void)expect_alloc(BLOCK, 100, 0);
	do_malloc(100, BLOCK + 256);
	(void)expect_alloc(BLOCK + 256, 100, 0);
	do_malloc(100, BLOCK + 512);
	(void)expect_alloc(BLOCK + 512, 100, 0);
	fake.now_ns +=
		100; /* births are some ns apart, as calls are, whatever the clock says here */
	watched_since = fake.now_ns + 1;
	fake.now_ns += 2;
	call_free(SP, BLOCK);
	(void)expect_free(BLOCK, 100, FREE_UNWATCHED);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 1);
	do_malloc(70, BLOCK + 256);
	(void)expect_free(BLOCK + 256, 100, FREE_UNWATCHED);
	(void)expect_alloc(BLOCK + 256, 70, 0);
	call(COOKIE_REALLOC, SP, BLOCK + 512, 80, 0);
	(void)expect_free(BLOCK + 512, 100, FREE_UNWATCHED);
	ret(SP, BLOCK + 512);
	(void)expect_alloc(BLOCK + 512, 80, ALLOC_REALLOC);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 2);
	/* once each: what has come since is of now */
	call_free(SP, BLOCK + 256);
	(void)expect_free(BLOCK + 256, 70, 0);
	assert_int_equal(counter(STAT_FREES), 1);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 2);
	assert_int_equal(counter(STAT_LOST_EVENTS), 0);
	assert_int_equal(counter(STAT_MISSED_FREES), 0);
	watched_since = 0;
}

/* Calls that were under way then have nobody to see them return. */
static void test_calls_of_before(void **state)
{
	(void)state;
	call(COOKIE_MALLOC, SP, 100, 0, 0);
	watching = 0;
	ret(SP, BLOCK);
	call(COOKIE_MALLOC, NESTED_SP, 50, 0, 0);
	call_free(NESTED_SP, BLOCK);
	no_event();
	assert_int_equal(counter(STAT_ENTRY_HITS), 1);
	watching = 1;
	watched_since = fake.now_ns + 1;
	fake.now_ns += 2;
	/* further down, and what is left of the trampoline is still above it */
	fake_poke(SP, TRAMPOLINE);
	call(COOKIE_MALLOC, NESTED_SP, 50, 0, 0);
	ret(NESTED_SP, BLOCK);
	(void)expect_alloc(BLOCK, 50, 0);
	assert_int_equal(counter(STAT_STALE_CALLS), 0);
}

static int sample_setup(void **state)
{
	(void)machine_setup(state);
	config.casts = config.multi_links = 1;
	watching = 1;
	sampling = 0;
	watched_since = 0;
	return 0;
}

#define sample_test(f) cmocka_unit_test_setup_teardown(f, sample_setup, machine_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		sample_test(test_exact_session),
		sample_test(test_nobody_armed),
		sample_test(test_gap_of_the_extremes),
		sample_test(test_gap_is_the_logarithm),
		sample_test(test_share_taken),
		sample_test(test_share_in_a_mixture),
		sample_test(test_period_changes),
		sample_test(test_sampled_block),
		sample_test(test_passed_block),
		sample_test(test_nested_in_a_passed_call),
		sample_test(test_stale_passed_call),
		sample_test(test_overwritten_passed_call),
		sample_test(test_passed_call_goes_on),
		sample_test(test_nested_in_a_sampled_call),
		sample_test(test_realloc_out_of_the_sample),
		sample_test(test_realloc_that_fails_out_of_the_sample),
		sample_test(test_realloc_into_the_sample),
		sample_test(test_realloc_of_what_nobody_knows),
		sample_test(test_resize),
		sample_test(test_unwatched_blocks),
		sample_test(test_calls_of_before),
	};

	return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
