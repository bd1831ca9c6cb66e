/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process's memory by way of its page tables, stacks that are known by it, and what the kernel keeps of a run. The
 * machine's physical memory is this test's own, from BASE on.
 */
#include "native_begin.h"

#include "alloc.bpf.c"

#include "native.h"
#include "library.h"

#define BASE (1ull << 30)
#define LIMIT (1ull << 47)
#define MASK 0x000ffffffffff000ull
#define MAPPED 7ull /* present, writable, the user's */
#define LARGE 0x80ull
#define ENCRYPTED (1ull << 51)
#define PAGE 4096ull
#define ENTRIES 512
#define NR_LEVELS 5

/* The tables that lead to the stack: table[0] is the lowest. */
static __u64 table[NR_LEVELS][ENTRIES] __attribute__((aligned(4096)));
static char large_page[2 << 20] __attribute__((aligned(2 << 20)));

static __u64 physical(const void *at)
{
	return (uintptr_t)at - BASE;
}

static __u64 *entry_of(unsigned int level, __u64 addr)
{
	return &table[level][addr >> (12 + 9 * level) & (ENTRIES - 1)];
}

static void stack_is_mapped(void)
{
	const char *pages = fake_memory_at(STACK_BASE, STACK_BYTES);

	for (__u64 i = 0; i < STACK_BYTES; i += PAGE)
		*entry_of(0, STACK_BASE + i) = physical(pages + i) | MAPPED;
	for (unsigned int level = 1; level < NR_LEVELS; level++)
		*entry_of(level, STACK_BASE) = physical(table[level - 1]) | MAPPED;
}

static int direct_setup(void **state)
{
	(void)library_setup(state);
	memset(table, 0, sizeof(table));
	stack_is_mapped();
	machine.mm.pgd = table[3];
	config.casts = 1;
	direct_map.base = BASE;
	direct_map.limit = LIMIT;
	direct_map.mask = MASK;
	direct_map.levels = 4;
	return 0;
}

static int direct_teardown(void **state)
{
	direct_map.base = 0;
	return machine_teardown(state);
}

#define direct_test(f) cmocka_unit_test_setup_teardown(f, direct_setup, direct_teardown)

static const void *address_of(__u64 addr)
{
	return (const void *)(uintptr_t)direct_address(current_task(), addr);
}

static void test_address(void **state)
{
	(void)state;
	assert_ptr_equal(address_of(SP), fake_memory_at(SP, 8));
	assert_ptr_equal(address_of(STACK_BASE), fake_memory_at(STACK_BASE, 8));
	assert_ptr_equal(address_of(STACK_TOP - 8), fake_memory_at(STACK_TOP - 8, 8));
	fake_poke(SP, 42);
	assert_int_equal(direct_word((uintptr_t)address_of(SP)), 42);
}

static void test_five_levels(void **state)
{
	(void)state;
	machine.mm.pgd = table[4];
	assert_null(address_of(SP)); /* taken for four, they lead elsewhere */
	direct_map.levels = 5;
	assert_ptr_equal(address_of(SP), fake_memory_at(SP, 8));
	*entry_of(4, SP) = 0;
	assert_null(address_of(SP));
}

static void test_large_page(void **state)
{
	(void)state;
	*entry_of(1, SP) = physical(large_page) | MAPPED | LARGE;
	assert_ptr_equal(address_of(SP), large_page + SP % sizeof(large_page));
	/* Bit 12 says how it is cached, and is no part of the address. */
	*entry_of(1, SP) |= PAGE;
	assert_ptr_equal(address_of(SP), large_page + SP % sizeof(large_page));
	*entry_of(2, SP) = physical(large_page) | MAPPED | LARGE;
	assert_null(address_of(SP));
}

/* What the kernel cannot reach as the user would, is left to the helper. */
static void test_not_there(void **state)
{
	(void)state;
	for (unsigned int level = 0; level < 4; level++) {
		__u64 *entry = entry_of(level, SP), was = *entry;

		*entry = was & ~1ull;
		assert_null(address_of(SP)); /* swapped, or moved in this moment */
		*entry = was & ~4ull;
		assert_null(address_of(SP)); /* the kernel's own */
		*entry = LIMIT | MAPPED;
		assert_null(address_of(SP)); /* a device's */
		*entry = was;
		assert_non_null(address_of(SP));
	}
	assert_null(address_of(OTHER_STACK));
}

static void test_other_bits(void **state)
{
	(void)state;
	*entry_of(0, SP) |=
		1ull << 63 | 1ull << 58 | LARGE; /* no execution, a key, how it is cached */
	assert_ptr_equal(address_of(SP), fake_memory_at(SP, 8));
	*entry_of(0, SP) |= ENCRYPTED;
	assert_null(address_of(SP));
	direct_map.mask &= ~ENCRYPTED;
	assert_ptr_equal(address_of(SP), fake_memory_at(SP, 8));
}

static void test_not_known(void **state)
{
	(void)state;
	direct_map.base = 0;
	assert_null(address_of(SP));
	direct_map.base = BASE;
	config.casts = 0;
	assert_null(address_of(SP));
}

/* --- how it is found out --- */

static __u64 looked(enum direct_look what, __u64 addr)
{
	__u64 args[] = {what, addr};

	direct_seen = 1;
	assert_int_equal(direct_look((struct bpf_raw_tracepoint_args *)args), 0);
	return direct_seen;
}

static void test_look(void **state)
{
	(void)state;
	fake_poke(SP, 42);
	assert_int_equal(looked(DIRECT_TABLES, 0), (uintptr_t)machine.mm.pgd);
	assert_int_equal(looked(DIRECT_KERNEL_WORD, (uintptr_t)fake_memory_at(SP, 8)), 42);
	assert_int_equal(looked(DIRECT_USER_WORD, SP), 42);
	assert_int_equal(looked(DIRECT_USER_WORD, OTHER_STACK), 0);
}

/* --- stacks --- */

static __u64 f, g, outermost;

/* Of two frames and the outermost one, from sp up. */
static void stack_put(__u64 sp)
{
	f = function_of_words(2);
	g = function_of_words(3);
	outermost = outermost_add();
	words_put(sp, (const __u64[]){f, JUNK, g, JUNK, JUNK, outermost}, 6);
}

static __u32 capture_call(__u64 sp, bool urgent)
{
	struct context c;

	assert_true(context_enter(&c));
	return stack_of_call(&c, sp, JUNK, 0, urgent);
}

static unsigned int reads_of_call(__u64 sp, bool urgent, __u32 *id)
{
	unsigned int before = fake_nr_reads();

	*id = capture_call(sp, urgent);
	return fake_nr_reads() - before;
}

static void assert_known_in_place(__u64 sp, __u32 expected)
{
	__u32 id;

	assert_int_equal(reads_of_call(sp, true, &id), 0);
	assert_int_equal(id, expected);
	assert_int_equal(reads_of_call(sp, false, &id), 0);
	assert_int_equal(id, expected);
}

static void test_known_without_reading(void **state)
{
	__u32 id;

	(void)state;
	stack_put(SP);
	assert_int_not_equal(reads_of_call(SP, true, &id), 0);
	assert_frames(id, 0, WORDS(f, g, outermost));
	assert_known_in_place(SP, id);
	fake_poke(SP + 8, 1); /* no word of the walk's */
	assert_known_in_place(SP, id);
	assert_int_equal(nr_failures(), 0);
}

static void assert_change_is_seen(__u64 sp)
{
	__u32 id, other;

	stack_put(sp);
	id = capture_call(sp, true);
	fake_poke(sp + 16, f);
	fake_poke(sp + 32, outermost);
	assert_int_not_equal(reads_of_call(sp, true, &other), 0);
	assert_frames(other, 0, WORDS(f, f, outermost));
	assert_int_not_equal(other, id);
	assert_known_in_place(sp, other);
}

static void test_changed_word(void **state)
{
	const __u64 end = (SP & ~(PAGE - 1)) + PAGE;

	(void)state;
	assert_change_is_seen(SP);
	assert_change_is_seen(end - 24); /* the last word of a page */
	assert_change_is_seen(end - 16); /* the first one of the next */
}

static void test_changed_mappings(void **state)
{
	__u32 id, again;

	(void)state;
	stack_put(SP);
	id = capture_call(SP, true);
	mappings_changed();
	assert_int_not_equal(reads_of_call(SP, true, &again), 0);
	assert_int_equal(again, id);
	assert_known_in_place(SP, id);
}

static void test_two_pages(void **state)
{
	const __u64 end = (SP & ~(PAGE - 1)) + PAGE;
	__u32 id, again;

	(void)state;
	for (__u64 sp = end - 48; sp < end; sp += 8) {
		stack_put(sp);
		id = capture_call(sp, true);
		assert_known_in_place(sp, id);
		/* Moved, or swapped: it is read. */
		*entry_of(0, end) &= ~1ull;
		if (sp == end - 48)
			assert_known_in_place(sp, id);
		else
			assert_int_equal(reads_of_call(sp, true, &again), 1);
		stack_is_mapped();
	}
}

/* And no more than four. */
static void test_three_pages(void **state)
{
	const __u64 words = 2 * PAGE / 8, far = 3 * PAGE / 8;
	__u64 large = function_of_words(words), last = outermost_add();
	__u32 id, again;

	(void)state;
	fake_poke(SP, large);
	fake_poke(SP + words * 8, last);
	id = capture_call(SP, true);
	assert_frames(id, 0, WORDS(large, last));
	assert_known_in_place(SP, id);
	*entry_of(0, SP + 2 * PAGE) = 0;
	assert_int_not_equal(reads_of_call(SP, true, &again), 0);
	assert_int_equal(again, id);
	stack_is_mapped();
	large = function_of_words(far);
	fake_poke(SP, large);
	fake_poke(SP + far * 8, last);
	id = capture_call(SP, true);
	assert_frames(id, 0, WORDS(large, last));
	assert_int_not_equal(reads_of_call(SP, true, &again), 0);
	assert_int_equal(again, id);
}

static void test_odd_stack_pointer(void **state)
{
	__u32 id, again;

	(void)state;
	stack_put(SP + 4);
	id = capture_call(SP + 4, true);
	assert_int_not_equal(reads_of_call(SP + 4, true, &again), 0);
	assert_int_equal(again, id);
}

static void test_by_pointer_is_counted(void **state)
{
	__u64 h = function_add(ROW_CFA(ROW_FP, 2), ROW_FP_SAME), last = outermost_add();
	struct context c;
	__u64 before;
	__u32 id;

	(void)state;
	words_put(SP, (const __u64[]){h, SP + 16, JUNK, last}, 4);
	assert_true(context_enter(&c));
	id = stack_of_call(&c, SP, SP + 16, 0, true);
	before = counter(STAT_STACKS_BY_POINTER);
	assert_int_equal(stack_of_call(&c, SP, SP + 16, 0, true), id);
	assert_int_equal(counter(STAT_STACKS_BY_POINTER) - before, before);
	/* Another frame pointer, another stack. */
	assert_int_not_equal(stack_of_call(&c, SP, SP + 8, 0, true), id);
}

/* What is said of a stack without walking it is compared with what a walk finds. */
static void test_checked(void **state)
{
	(void)state;
	stack_put(SP);
	config.check_stacks = 1;
	(void)capture_call(SP, true);
	(void)capture_call(SP, true);
	assert_int_equal(counter(STAT_MEMO_HITS), 1);
	assert_int_equal(counter(STAT_MEMO_WRONG), 0);
	for (__u32 i = 0; i < MEMO_ENTRIES; i++)
		((struct memo *)fake_map_value(&memos, &i, 0))->stack = 0xabcd;
	(void)capture_call(SP, true);
	assert_int_equal(counter(STAT_MEMO_WRONG), 1);
}

/* --- what the kernel keeps of a run --- */

static void test_running(void **state)
{
	struct pt_regs regs = {0};

	(void)state;
	machine.uprobe.cookie = 11;
	fake.cookie = 22;
	assert_int_equal(running_cookie(&regs, current_task()), 22); /* not of a link of many */
	config.multi_links = 1;
	assert_int_equal(running_cookie(&regs, current_task()), 11);
	assert_false(running_is_return(current_task()));
	machine.run.session_ctx.is_return = true;
	assert_true(running_is_return(current_task()));
	config.casts = 0;
	assert_int_equal(running_cookie(&regs, current_task()), 22);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		direct_test(test_address),
		direct_test(test_five_levels),
		direct_test(test_large_page),
		direct_test(test_not_there),
		direct_test(test_other_bits),
		direct_test(test_not_known),
		direct_test(test_look),
		direct_test(test_known_without_reading),
		direct_test(test_changed_word),
		direct_test(test_changed_mappings),
		direct_test(test_two_pages),
		direct_test(test_three_pages),
		direct_test(test_odd_stack_pointer),
		direct_test(test_by_pointer_is_counted),
		direct_test(test_checked),
		direct_test(test_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
