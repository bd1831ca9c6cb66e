/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes that a program brings along: their arguments, what a block stands for, and what becomes of it. */
#include "native_begin.h"

#include "usdt.bpf.c"

#include "native.h"

#define BLOCK 0x55550010ull
#define SP (STACK_TOP - 0x1000)
#define SITE (CODE + 0x40)
#define KIB(n) ((__u64)(n) << 10)

/* Three registers: block in rdi, size in rsi, weight in rdx. */
static const struct usdt_spec by_registers = {
	.arg = {{.kind = USDT_ARG_REGISTER, .base = 6, .bytes = 8},
		{.kind = USDT_ARG_REGISTER, .base = 5, .bytes = 8},
		{.kind = USDT_ARG_REGISTER, .base = 2, .bytes = 8}}};

static void spec_set(__u32 number, const struct usdt_spec *spec)
{
	assert_int_equal(bpf_map_update_elem(&usdt_specs, &number, spec, BPF_ANY), 0);
	cookie_is(number);
}

static int usdt_setup(void **state)
{
	(void)machine_setup(state);
	MAP_REGISTER(usdt_specs);
	spec_set(1, &by_registers);
	fake_poke(SP, CALLER);
	return 0;
}

#define usdt_test(f) cmocka_unit_test_setup_teardown(f, usdt_setup, machine_teardown)

static void emit_alloc(__u64 block, __u64 size, __u64 weight)
{
	struct pt_regs regs = {.ip = SITE, .sp = SP, .di = block, .si = size, .dx = weight};

	(void)usdt_alloc(&regs);
}

static void emit_free(__u64 block)
{
	struct pt_regs regs = {.ip = SITE + 8, .sp = SP, .di = block};

	(void)usdt_free(&regs);
}

static struct event_alloc expect_alloc(__u64 block, __u64 sized)
{
	const struct event_alloc *e = next_event(EVENT_ALLOC);

	assert_int_equal(e->addr, block);
	assert_int_equal(e->sized, sized);
	assert_int_equal(e->head.flags, 0);
	assert_int_equal(e->head.proc, PROC);
	assert_int_equal(e->tid, fake.tid);
	return *e;
}

/* What a reader of the tag makes of it, as event.h says. */
static double weight_of(__u64 sized)
{
	__u32 tag = SEEP_TAG(sized);

	assert_true(tag >= SEEP_TAG_GIVEN);
	return (1 + SEEP_TAG_MANTISSA(tag) / 1024.0) * (double)(1ull << SEEP_TAG_EXPONENT(tag)) *
	       (double)SEEP_SIZE(sized);
}

/* --- what a block stands for --- */

static void check_weight(__u64 size, __u64 weight)
{
	double got = weight_of(usdt_sized(size, weight)), want = (double)weight;

	if (got < want * (1 - 1.0 / 2048) || got > want * (1 + 1.0 / 2048))
		fail_msg("%llu bytes that stand for %llu are kept as %f", size, weight, got);
}

static void test_weights(void **state)
{
	(void)state;
	assert_int_equal(usdt_sized(101, 101), SEEP_SIZED(101, SEEP_TAG_GIVEN));
	assert_int_equal(usdt_sized(101, 202), SEEP_SIZED(101, SEEP_TAG_GIVEN | 1 << 10));
	assert_int_equal(usdt_sized(1024, 1025), SEEP_SIZED(1024, SEEP_TAG_GIVEN | 1));
	assert_int_equal(usdt_sized(2, 3), SEEP_SIZED(2, SEEP_TAG_GIVEN | 512));
	/* Rounded up to the next power of two. */
	assert_int_equal(usdt_sized(100000, 199999), SEEP_SIZED(100000, SEEP_TAG_GIVEN | 1 << 10));
	for (__u64 size = 1; size < KIB(4096); size += size / 7 + 1) {
		for (__u64 weight = size; weight < size << 31 && weight <= SEEP_SIZE_MAX;
		     weight += weight / 5 + 1)
			check_weight(size, weight);
		assert_int_equal(SEEP_SIZE(usdt_sized(size, KIB(4096))), size);
	}
}

/* What whole intervals of 512 KiB make of a block that is larger than one. */
static void test_weight_below_the_size(void **state)
{
	(void)state;
	assert_int_equal(usdt_sized(KIB(700), KIB(512)), SEEP_SIZED(KIB(512), SEEP_TAG_GIVEN));
	assert_int_equal(usdt_sized(KIB(700), 1), SEEP_SIZED(1, SEEP_TAG_GIVEN));
	assert_int_equal(usdt_sized(KIB(700), 0), SEEP_SIZED(KIB(700), SEEP_TAG_GIVEN));
}

static void test_extreme_weights(void **state)
{
	__u64 sized;

	(void)state;
	assert_int_equal(usdt_sized(0, 0), SEEP_SIZED(0, SEEP_TAG_GIVEN));
	assert_int_equal(usdt_sized(0, 512), SEEP_SIZED(0, SEEP_TAG_GIVEN | 9 << 10));
	assert_int_equal(usdt_sized(~0ull, ~0ull), SEEP_SIZED(SEEP_SIZE_MAX, SEEP_TAG_GIVEN));
	assert_int_equal(usdt_sized(~0ull, 17), SEEP_SIZED(17, SEEP_TAG_GIVEN));
	sized = usdt_sized(1, ~0ull); /* more than the tag can say */
	assert_int_equal(SEEP_SIZE(sized), 1);
	assert_int_equal(SEEP_TAG(sized), 0xffff);
	sized = usdt_sized(1, (1ull << 32) - 1);
	assert_int_equal(SEEP_TAG(sized), 0xffff);
}

/* --- a block's life --- */

static void test_alloc_and_free(void **state)
{
	const __u64 sized = SEEP_SIZED(KIB(1), SEEP_TAG_GIVEN | 9 << 10);
	struct block_key key = {.addr = BLOCK, .proc = PROC};
	const struct event_free *freed;
	struct block_value *block;
	struct stack_value *stack;
	struct event_alloc alloc;

	(void)state;
	emit_alloc(BLOCK, KIB(1), KIB(512));
	alloc = expect_alloc(BLOCK, sized);
	block = fake_map_value(&blocks, &key, 0);
	assert_non_null(block);
	assert_int_equal(block->sized, sized);
	assert_int_equal(block->birth_ns, alloc.head.time_ns);
	stack = fake_map_value(stack_table(alloc.stack), &alloc.stack, 0);
	assert_non_null(stack);
	assert_int_equal(stack->frame[0], SITE);
	assert_int_equal(stack->frame[1], CALLER);
	assert_int_equal(stack->flags, STACK_PRECISE_PC | STACK_LEAF_GUESS);
	emit_free(BLOCK);
	freed = next_event(EVENT_FREE);
	assert_int_equal(freed->addr, BLOCK);
	assert_int_equal(freed->sized, sized);
	assert_int_equal(freed->birth_ns, alloc.head.time_ns);
	assert_int_equal(freed->stack, alloc.stack);
	assert_int_equal(freed->head.flags, 0);
	assert_int_equal(fake_map_nr(&blocks), 0);
	assert_int_equal(counter(STAT_ALLOCS), 1);
	assert_int_equal(counter(STAT_FREES), 1);
	assert_int_equal(counter(STAT_USDT_HITS), 2);
	/* Nobody knows of the calls that were not sampled, and no allocator's probe was hit. */
	assert_int_equal(counter(STAT_CALLS), 0);
	assert_int_equal(counter(STAT_ENTRY_HITS), 0);
	assert_int_equal(counter(STAT_FREE_HITS), 0);
	assert_int_equal(nr_failures(), 0);
}

static void test_frees_of_others(void **state)
{
	(void)state;
	emit_free(BLOCK);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 1);
	emit_free(0);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 1);
	assert_int_equal(counter(STAT_USDT_HITS), 2);
	assert_int_equal(counter(STAT_FREES), 0);
	no_event();
}

/* Of a window that is over: told, and counted as what is older than the one of now. */
static void test_unwatched_block(void **state)
{
	const __u64 sized = SEEP_SIZED(KIB(1), SEEP_TAG_GIVEN | 9 << 10);
	const struct event_free *freed;

	(void)state;
	emit_alloc(BLOCK, KIB(1), KIB(512));
	(void)expect_alloc(BLOCK, sized);
	fake.now_ns += 1000;
	watched_since = fake.now_ns;
	emit_free(BLOCK);
	watched_since = 0;
	freed = next_event(EVENT_FREE);
	assert_int_equal(freed->addr, BLOCK);
	assert_int_equal(freed->head.flags, FREE_UNWATCHED);
	assert_int_equal(counter(STAT_FREES), 0);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 1);
}

static void test_failed_allocation(void **state)
{
	(void)state;
	emit_alloc(0, KIB(1), KIB(512));
	no_event();
	assert_int_equal(counter(STAT_FAILED_ALLOCS), 1);
	assert_int_equal(counter(STAT_ALLOCS), 0);
	assert_int_equal(fake_map_nr(&blocks), 0);
}

/* The program has not told of a free: the address shows it. */
static void test_address_comes_back(void **state)
{
	const struct event_free *freed;

	(void)state;
	emit_alloc(BLOCK, 101, 101);
	(void)expect_alloc(BLOCK, SEEP_SIZED(101, SEEP_TAG_GIVEN));
	emit_alloc(BLOCK, 103, 206);
	freed = next_event(EVENT_FREE);
	assert_int_equal(freed->sized, SEEP_SIZED(101, SEEP_TAG_GIVEN));
	assert_int_equal(freed->head.flags, FREE_REPLACED);
	(void)expect_alloc(BLOCK, SEEP_SIZED(103, SEEP_TAG_GIVEN | 1 << 10));
	assert_failures(STAT_MISSED_FREES, 1);
	assert_int_equal(fake_map_nr(&blocks), 1);
}

static void test_not_a_target(void **state)
{
	(void)state;
	run_as(&machine.other);
	emit_alloc(BLOCK, 101, 101);
	emit_free(BLOCK);
	run_as(&machine.main);
	armed = 0;
	emit_alloc(BLOCK, 101, 101);
	emit_free(BLOCK);
	no_event();
	assert_int_equal(counter(STAT_USDT_HITS), 0);
	assert_int_equal(fake_map_nr(&blocks), 0);
}

/* --- arguments --- */

static const struct pt_regs all_registers = {.ip = SITE,
					     .sp = SP,
					     .ax = 1,
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

static __u64 argument(const struct usdt_arg *arg)
{
	struct pt_regs regs = all_registers;
	__u64 value = 0xdead;

	assert_int_equal(usdt_arg_get(&regs, arg, &value), 0);
	return value;
}

static void test_registers(void **state)
{
	struct usdt_arg arg = {.kind = USDT_ARG_REGISTER, .bytes = 8};

	(void)state;
	for (arg.base = 1; arg.base <= 16; arg.base++)
		assert_int_equal(argument(&arg), arg.base == USDT_REG_SP ? SP : arg.base);
}

static void test_widths(void **state)
{
	struct usdt_arg arg = {.kind = USDT_ARG_CONSTANT, .value = 0x8765432187654321ull};

	(void)state;
	arg.bytes = 8;
	assert_int_equal(argument(&arg), 0x8765432187654321ull);
	arg.bytes = 4;
	assert_int_equal(argument(&arg), 0x87654321ull);
	arg.is_signed = 1;
	assert_int_equal(argument(&arg), 0xffffffff87654321ull);
	arg.bytes = 2;
	assert_int_equal(argument(&arg), 0x4321);
	arg.bytes = 1;
	assert_int_equal(argument(&arg), 0x21);
	arg.value = 0x80;
	assert_int_equal(argument(&arg), (__u64)-128);
}

static void test_memory(void **state)
{
	struct usdt_arg arg = {
		.kind = USDT_ARG_MEMORY, .base = USDT_REG_SP, .value = (__u64)-16, .bytes = 8};

	(void)state;
	fake_poke(SP - 16, 0x1122334455667788ull);
	fake_poke(SP + 8 * 5 - 16, 0x99);
	assert_int_equal(argument(&arg), 0x1122334455667788ull);
	arg.bytes = 2;
	assert_int_equal(argument(&arg), 0x7788);
	arg.bytes = 8;
	arg.index = 5; /* rsi, which is 5 */
	arg.shift = 3;
	assert_int_equal(argument(&arg), 0x99);
}

/* No more is read than there is. */
static void test_memory_at_its_end(void **state)
{
	struct usdt_arg arg = {.kind = USDT_ARG_MEMORY, .value = STACK_TOP - 4, .bytes = 4};

	(void)state;
	fake_poke(STACK_TOP - 8, 0x1122334400000000ull);
	assert_int_equal(argument(&arg), 0x11223344);
}

static void test_memory_that_is_not_there(void **state)
{
	struct usdt_spec spec = by_registers;
	static const struct usdt_arg nowhere = {.kind = USDT_ARG_MEMORY, .value = 0x10, .bytes = 8};

	(void)state;
	for (int i = 0; i < USDT_ALLOC_ARGS; i++) {
		spec = by_registers;
		spec.arg[i] = nowhere;
		spec_set(2, &spec);
		emit_alloc(BLOCK, 101, 101);
	}
	spec.arg[0] = nowhere;
	spec_set(2, &spec);
	emit_free(BLOCK);
	no_event();
	assert_failures(STAT_OUT_POINTER_FAULTS, 4);
	assert_int_equal(fake_map_nr(&blocks), 0);
	assert_int_equal(counter(STAT_FREES_UNKNOWN), 0);
}

static void test_constants_and_memory_together(void **state)
{
	static const struct usdt_spec spec = {
		.arg = {{.kind = USDT_ARG_MEMORY, .base = USDT_REG_SP, .value = 8, .bytes = 8},
			{.kind = USDT_ARG_CONSTANT, .value = 3, .bytes = 4, .is_signed = 1},
			{.kind = USDT_ARG_REGISTER, .base = 2, .bytes = 4}}};

	(void)state;
	spec_set(USDT_MAX_SPECS - 1, &spec);
	fake_poke(SP + 8, BLOCK);
	emit_alloc(0, 0, 0xffffffff00000006ull);
	(void)expect_alloc(BLOCK, SEEP_SIZED(3, SEEP_TAG_GIVEN | 1 << 10));
}

static void test_unknown_spec(void **state)
{
	(void)state;
	cookie_is(USDT_MAX_SPECS);
	emit_alloc(BLOCK, 101, 101);
	emit_free(BLOCK);
	no_event();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_weight_below_the_size),
		cmocka_unit_test(test_extreme_weights),
		usdt_test(test_alloc_and_free),
		usdt_test(test_frees_of_others),
		usdt_test(test_unwatched_block),
		usdt_test(test_failed_allocation),
		usdt_test(test_address_comes_back),
		usdt_test(test_not_a_target),
		usdt_test(test_registers),
		usdt_test(test_widths),
		usdt_test(test_memory),
		usdt_test(test_memory_at_its_end),
		usdt_test(test_memory_that_is_not_there),
		usdt_test(test_constants_and_memory_together),
		usdt_test(test_unknown_spec),
	};

	return cmocka_run_group_tests_name("usdt", tests, NULL, NULL);
}
