/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A target's calls into its allocator, as the probes see them, and what is expected of them. */
#ifndef SEEP_TEST_CALLS_H
#define SEEP_TEST_CALLS_H

#include "native.h"

#define BLOCK 0x55550010ull
#define SP (STACK_TOP - 0x1000)

#define COOKIE_MALLOC SEEP_COOKIE(ROLE_ALLOC, 6, 0, 0, 0, 1)
#define COOKIE_CALLOC SEEP_COOKIE(ROLE_ALLOC, 5, 6, 0, 0, 2)
#define COOKIE_REALLOC SEEP_COOKIE(ROLE_REALLOC, 5, 0, 6, 0, 3)
#define COOKIE_REALLOCARRAY SEEP_COOKIE(ROLE_REALLOC, 2, 5, 6, 0, 4)
#define COOKIE_POSIX_MEMALIGN SEEP_COOKIE(ROLE_ALLOC_OUT, 2, 0, 6, 0, 5)
#define COOKIE_FREE SEEP_COOKIE(ROLE_FREE, 0, 0, 6, 0, 6)

/* --- a target's calls: sp is where a call puts its return address --- */

static void enter(__u64 cookie, __u64 sp, __u64 a, __u64 b, __u64 c)
{
	struct pt_regs regs = {.sp = sp, .bp = 0, .di = a, .si = b, .dx = c};

	cookie_is(cookie);
	(void)alloc_enter(&regs);
	/* The kernel then puts the trampoline in place of the return address. */
	fake_poke(sp, TRAMPOLINE);
}

/* A call instruction, and not a jump that leaves the return address of the one before. */
static void call(__u64 cookie, __u64 sp, __u64 a, __u64 b, __u64 c)
{
	fake_poke(sp, CALLER);
	enter(cookie, sp, a, b, c);
}

static void ret(__u64 sp, __u64 rc)
{
	struct pt_regs regs = {.sp = sp + 8, .ax = rc};

	cookie_is(0);
	(void)alloc_return(&regs);
}

static void call_free(__u64 sp, __u64 ptr)
{
	struct pt_regs regs = {.sp = sp, .di = ptr};

	cookie_is(COOKIE_FREE);
	(void)free_enter(&regs);
}

static void do_malloc(__u64 size, __u64 block)
{
	call(COOKIE_MALLOC, SP, size, 0, 0);
	ret(SP, block);
}

/* --- what is expected --- */

static struct event_alloc expect_alloc(__u64 addr, __u64 size, __u16 flags)
{
	const struct event_alloc *e = next_event(EVENT_ALLOC);

	assert_int_equal(e->addr, addr);
	assert_int_equal(e->sized, size);
	assert_int_equal(e->head.flags, flags);
	assert_int_equal(e->head.proc, PROC);
	assert_int_equal(e->tid, fake.tid);
	return *e;
}

static struct event_free expect_free(__u64 addr, __u64 size, __u16 flags)
{
	const struct event_free *e = next_event(EVENT_FREE);

	assert_int_equal(e->addr, addr);
	assert_int_equal(e->sized, size);
	assert_int_equal(e->head.flags, flags);
	assert_int_equal(e->head.proc, PROC);
	return *e;
}

static struct block_value *block_at(__u64 addr)
{
	struct block_key key = {.addr = addr, .proc = PROC};

	return fake_map_value(&blocks, &key, 0);
}

static void assert_live(__u64 addr, __u64 size)
{
	struct block_value *block = block_at(addr);

	assert_non_null(block);
	assert_int_equal(block->sized, size);
}

/* The kernel's side of the balance. */
static void assert_balance(void)
{
	assert_int_equal(counter(STAT_ALLOCS),
			 counter(STAT_FREES) + fake_map_nr(&blocks) + counter(STAT_LOST_ALLOCS));
}

#endif
