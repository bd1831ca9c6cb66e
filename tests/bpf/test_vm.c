/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "native_begin.h"

#include "vm.bpf.c"

#include "native.h"

#define SP (STACK_TOP - 0x1000)
#define MAPPED 0x7f0000000000ull

struct arguments {
	__u64 arg[6];
};

static void enter(int (*program)(struct syscall_enter_args *), struct arguments args)
{
	struct syscall_enter_args ctx = {.nr = 1};

	memcpy(ctx.args, args.arg, sizeof(ctx.args));
	machine.main.regs.sp = SP;
	machine.main.regs.ip = CODE + 0x500;
	fake_poke(SP, CALLER);
	(void)program(&ctx);
	no_event();
}

static void leave(int (*program)(struct syscall_exit_args *), __s64 ret)
{
	struct syscall_exit_args ctx = {.ret = ret};

	(void)program(&ctx);
}

static struct event_vm expect(enum event_kind kind, __u64 addr, __u64 length)
{
	const struct event_vm *e = next_event(kind);

	assert_int_equal(e->head.proc, PROC);
	assert_int_equal(e->head.flags, 0);
	assert_int_equal(e->addr, addr);
	assert_int_equal(e->length, length);
	assert_int_equal(e->tid, TGID);
	return *e;
}

static void test_mmap(void **state)
{
	struct event_vm e;

	(void)state;
	enter(mmap_enter, (struct arguments){{0, 4097, 3, 0x22, -1ull, 0}});
	leave(mmap_exit, (__s64)MAPPED);
	e = expect(EVENT_MMAP, MAPPED, 8192);
	assert_int_equal(e.prot, 3);
	assert_int_equal(e.map_flags, 0x22);
	assert_int_not_equal(e.stack, SEEP_STACK_UNKNOWN);
	assert_int_equal(nr_failures(), 0);
}

static void test_munmap(void **state)
{
	struct event_vm e;

	(void)state;
	enter(munmap_enter, (struct arguments){{MAPPED, 12289}});
	leave(munmap_exit, 0);
	e = expect(EVENT_MUNMAP, MAPPED, 16384);
	assert_int_equal(e.stack, SEEP_STACK_UNKNOWN);
	assert_int_equal(nr_failures(), 0);
}

static void test_mremap(void **state)
{
	struct event_vm e;

	(void)state;
	enter(mremap_enter, (struct arguments){{MAPPED, 4096, 10000, 1}});
	leave(mremap_exit, (__s64)MAPPED + 0x100000);
	e = expect(EVENT_MREMAP, MAPPED + 0x100000, 12288);
	assert_int_equal(e.old_addr, MAPPED);
	assert_int_equal(e.old_length, 4096);
	assert_int_equal(e.map_flags, 1);
}

static void test_brk(void **state)
{
	struct event_vm e;

	(void)state;
	machine.mm.brk = 0x5000;
	enter(brk_enter, (struct arguments){{0}});
	leave(brk_exit, 0x5000); /* asked where it is */
	no_event();
	enter(brk_enter, (struct arguments){{0x9000}});
	leave(brk_exit, 0x9000);
	e = expect(EVENT_BRK, 0x9000, 0);
	assert_int_equal(e.old_addr, 0x5000);
	machine.mm.brk = 0x9000;
	enter(brk_enter, (struct arguments){{1ull << 60}});
	leave(brk_exit, 0x9000); /* refused */
	no_event();
}

static void test_failed_calls(void **state)
{
	(void)state;
	enter(mmap_enter, (struct arguments){{0, 4096, 3, 0x22}});
	leave(mmap_exit, -ENOMEM);
	enter(mmap_enter, (struct arguments){{0, 4096, 3, 0x22}});
	leave(mmap_exit, -4095);
	enter(munmap_enter, (struct arguments){{1, 4096}});
	leave(munmap_exit, -EINVAL);
	no_event();
	enter(mmap_enter, (struct arguments){{0, 4096, 3, 0x22}});
	leave(mmap_exit, -4096); /* an address, if an odd one */
	(void)expect(EVENT_MMAP, -4096ull, 4096);
}

static void test_return_without_entry(void **state)
{
	(void)state;
	leave(mmap_exit, (__s64)MAPPED);
	enter(mmap_enter, (struct arguments){{0, 4096, 3, 0x22}});
	leave(munmap_exit, 0);
	no_event();
	leave(mmap_exit, (__s64)MAPPED);
	(void)expect(EVENT_MMAP, MAPPED, 4096);
	leave(mmap_exit, (__s64)MAPPED);
	no_event();
}

/* What an allocator maps for itself is counted with the heap. */
static void test_inside_an_allocator_call(void **state)
{
	struct context c;

	(void)state;
	assert_true(context_enter(&c));
	c.thread->nr_calls = 1;
	c.thread->call[0] = (struct call){.sp = SP + 256, .role = ROLE_ALLOC};
	fake_poke(SP + 256, TRAMPOLINE);
	enter(mmap_enter, (struct arguments){{0, 4096, 3, 0x22}});
	leave(mmap_exit, (__s64)MAPPED);
	no_event();
	/* the call was left by longjmp(), and its place used again */
	fake_poke(SP + 256, 0);
	enter(mmap_enter, (struct arguments){{0, 4096, 3, 0x22}});
	leave(mmap_exit, (__s64)MAPPED);
	(void)expect(EVENT_MMAP, MAPPED, 4096);
	assert_int_equal(nr_failures(), 0);
}

static void test_without_user_registers(void **state)
{
	struct context c;

	(void)state;
	config.task_pt_regs = 0;
	enter(mmap_enter, (struct arguments){{0, 4096, 3, 0x22}});
	leave(mmap_exit, (__s64)MAPPED);
	assert_int_equal(expect(EVENT_MMAP, MAPPED, 4096).stack, SEEP_STACK_UNKNOWN);
	assert_failures(STAT_NO_REGS, 1);
	assert_true(context_enter(&c));
	c.thread->nr_calls = 1;
	enter(mmap_enter, (struct arguments){{0, 4096, 3, 0x22}});
	leave(mmap_exit, (__s64)MAPPED);
	no_event();
	assert_failures(STAT_NO_REGS, 1);
}

static void test_full_ring(void **state)
{
	(void)state;
	fake_ring_limit(machine.ring[0], 8);
	enter(mmap_enter, (struct arguments){{0, 4096, 3, 0x22}});
	leave(mmap_exit, (__s64)MAPPED);
	no_event();
	assert_failures(STAT_LOST_EVENTS, 1);
	assert_int_equal(lost_events, 1);
}

static void test_not_a_target(void **state)
{
	(void)state;
	run_as(&machine.other);
	enter(mmap_enter, (struct arguments){{0, 4096, 3, 0x22}});
	leave(mmap_exit, (__s64)MAPPED);
	run_as(&machine.main);
	armed = 0;
	enter(mmap_enter, (struct arguments){{0, 4096, 3, 0x22}});
	leave(mmap_exit, (__s64)MAPPED);
	no_event();
	assert_int_equal(nr_thread_states(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		machine_test(test_mmap),
		machine_test(test_munmap),
		machine_test(test_mremap),
		machine_test(test_brk),
		machine_test(test_failed_calls),
		machine_test(test_return_without_entry),
		machine_test(test_inside_an_allocator_call),
		machine_test(test_without_user_registers),
		machine_test(test_full_ring),
		machine_test(test_not_a_target),
	};

	return cmocka_run_group_tests_name("vm", tests, NULL, NULL);
}
