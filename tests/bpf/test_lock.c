/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mappings that are seen where the lock of an address space is taken. */
#include "native_begin.h"

#include "lock.bpf.c"

#include "native.h"

#define SP (STACK_TOP - 0x1000)
#define MAPPED 0x7f0000000000ull
#define ANONYMOUS 0x22
#define FIXED 0x32

/* What the kernel was asked to do before a task is back in its program. */
static struct {
	struct vm_return *value;
	unsigned int nr;
	int error; /* of the next time, once */
} work;

int task_work_schedule(struct task_struct *task, struct bpf_task_work *at, void *map,
		       bpf_task_work_callback_t callback, void *none)
{
	int err = work.error;

	assert_ptr_equal(task, fake.task);
	assert_ptr_equal(map, &vm_returns);
	assert_ptr_equal(callback, vm_returned);
	assert_null(none);
	work.error = 0;
	if (err)
		return err;
	if (work.value)
		return -EBUSY;
	work.value = (struct vm_return *)at;
	work.nr++;
	return 0;
}

static int rcu_readers;

void bpf_rcu_read_lock(void)
{
	rcu_readers++;
}

void bpf_rcu_read_unlock(void)
{
	rcu_readers--;
}

static int setup(void **state)
{
	memset(&work, 0, sizeof(work));
	rcu_readers = 0;
	(void)machine_setup(state);
	fake_map_register(&vm_returns,
			  &(struct fake_map_shape){.type = BPF_MAP_TYPE_HASH,
						   .key_bytes = sizeof(__u32),
						   .value_bytes = sizeof(struct vm_return),
						   .max_entries = 4});
	return 0;
}

#define lock_test(test) cmocka_unit_test_setup_teardown(test, setup, machine_teardown)

static void lock(bool is_write, bool is_held)
{
	struct task_struct *task = fake.task;
	__u64 ctx[3] = {(__u64)task->mm, is_write, is_held};

	assert_int_equal(vm_lock(ctx), 0);
}

struct arguments {
	__u64 arg[6];
};

/* A thread enters a system call, up to where it has the lock. */
static void call_of(struct machine_task *t, __u64 nr, struct arguments args)
{
	run_as(t);
	t->regs = (struct pt_regs){.sp = SP,
				   .ip = CODE + 0x500,
				   .orig_ax = nr,
				   .ax = (__u64)-ENOSYS,
				   .di = args.arg[0],
				   .si = args.arg[1],
				   .dx = args.arg[2],
				   .r10 = args.arg[3],
				   .r8 = args.arg[4],
				   .r9 = args.arg[5]};
	fake_poke(SP, CALLER);
	lock(true, true);
}

static void call(__u64 nr, struct arguments args)
{
	call_of(&machine.main, nr, args);
}

static void returns(__s64 value)
{
	struct vm_return *at = work.value;
	__u32 tid = fake.tid;

	((struct pt_regs *)fake.regs)->ax = (__u64)value;
	work.value = NULL;
	if (at)
		assert_int_equal(vm_returned(NULL, &tid, at), 0);
	assert_int_equal(rcu_readers, 0);
}

static struct event_vm expect(enum event_kind kind, __u64 addr, __u64 length)
{
	const struct event_vm *e = next_event(kind);

	assert_int_equal(e->head.proc, PROC);
	assert_int_equal(e->addr, addr);
	assert_int_equal(e->length, length);
	assert_int_equal(e->tid, fake.tid);
	return *e;
}

static void test_mmap(void **state)
{
	struct event_vm e;

	(void)state;
	call(NR_MMAP, (struct arguments){{0, 4097, 3, ANONYMOUS, -1ull, 0}});
	no_event();
	assert_int_equal(work.nr, 1);
	returns((__s64)MAPPED);
	e = expect(EVENT_MMAP, MAPPED, 8192);
	assert_int_equal(counter(STAT_MAPPINGS), 1);
	assert_int_equal(e.prot, 3);
	assert_int_equal(e.map_flags, ANONYMOUS);
	assert_int_not_equal(e.stack, SEEP_STACK_UNKNOWN);
	assert_int_equal(nr_failures(), 0);
}

/* What can fail is done when the lock is held for reading alone, and then it is over. */
static void test_munmap(void **state)
{
	(void)state;
	call(NR_MUNMAP, (struct arguments){{MAPPED, 12289}});
	no_event();
	lock(false, true);
	assert_int_equal(expect(EVENT_MUNMAP, MAPPED, 16384).stack, SEEP_STACK_UNKNOWN);
	lock(false, true);
	no_event();
	call(NR_MUNMAP, (struct arguments){{MAPPED + 1, 4096}}); /* refused */
	call(NR_MUNMAP, (struct arguments){{MAPPED, 4096}});
	lock(false, true);
	(void)expect(EVENT_MUNMAP, MAPPED, 4096);
	assert_int_equal(work.nr, 0);
	assert_int_equal(nr_failures(), 0);
}

static void test_mremap(void **state)
{
	struct event_vm e;

	(void)state;
	call(NR_MREMAP, (struct arguments){{MAPPED, 4096, 10000, 1}});
	lock(false, true); /* as in munmap() */
	returns((__s64)MAPPED + 0x100000);
	e = expect(EVENT_MREMAP, MAPPED + 0x100000, 12288);
	assert_int_equal(e.old_addr, MAPPED);
	assert_int_equal(e.old_length, 4096);
	assert_int_equal(e.map_flags, 1);
	assert_int_not_equal(e.stack, SEEP_STACK_UNKNOWN);
}

static void test_brk(void **state)
{
	struct event_vm e;

	(void)state;
	machine.mm.brk = 0x5000;
	call(NR_BRK, (struct arguments){{0}});
	returns(0x5000);
	no_event();
	call(NR_BRK, (struct arguments){{0x9000}});
	machine.mm.brk = 0x9000;
	returns(0x9000);
	e = expect(EVENT_BRK, 0x9000, 0);
	assert_int_equal(e.old_addr, 0x5000);
	call(NR_BRK, (struct arguments){{0x7000}});
	lock(false, true); /* it shrinks */
	returns(0x7000);
	e = expect(EVENT_BRK, 0x7000, 0);
	assert_int_equal(e.old_addr, 0x9000);
}

static void test_failed_calls(void **state)
{
	(void)state;
	call(NR_MMAP, (struct arguments){{0, 4096, 3, ANONYMOUS}});
	returns(-ENOMEM);
	call(NR_MREMAP, (struct arguments){{MAPPED, 4096, 8192, 0}});
	returns(-EFAULT);
	no_event();
	call(NR_MMAP, (struct arguments){{0, 4096, 3, ANONYMOUS}});
	returns((__s64)MAPPED);
	(void)expect(EVENT_MMAP, MAPPED, 4096);
	assert_int_equal(nr_failures(), 0);
}

static void test_other_takers_of_the_lock(void **state)
{
	__u64 ctx[3] = {(__u64)&machine.other_mm, true, true};

	(void)state;
	call(10, (struct arguments){{MAPPED, 4096, 1}}); /* mprotect */
	call((__u64)-1, (struct arguments){{MAPPED, 4096, 1}});
	machine.main.task.thread_info.status = TS_COMPAT;
	call(NR_MUNMAP, (struct arguments){{MAPPED, 4096}}); /* execve of 32 bits */
	lock(false, true);
	machine.main.task.thread_info.status = 0;
	/* not got: the thread is being killed */
	machine.main.regs.orig_ax = NR_MMAP;
	lock(true, false);
	lock(false, true);
	/* somebody else's address space */
	(void)code_lock(ctx);
	(void)vm_lock(ctx);
	no_event();
	assert_int_equal(work.nr, 0);
	assert_int_equal(nr_thread_states(), 0);
}

static void test_inside_an_allocator_call(void **state)
{
	struct context c;

	(void)state;
	assert_true(context_enter(&c));
	c.thread->nr_calls = 1;
	c.thread->call[0] = (struct call){.sp = SP + 256, .role = ROLE_ALLOC};
	fake_poke(SP + 256, TRAMPOLINE);
	call(NR_MMAP, (struct arguments){{0, 4096, 3, ANONYMOUS}});
	assert_int_equal(work.nr, 0); /* which costs a thread most */
	assert_int_equal(counter(STAT_MAPPINGS), 0);
	call(NR_MUNMAP, (struct arguments){{MAPPED, 4096}});
	lock(false, true);
	no_event();
	assert_int_equal(nr_failures(), 0);
}

static void test_not_watching(void **state)
{
	(void)state;
	watching = 0;
	call(NR_MMAP, (struct arguments){{0, 4096, 3, ANONYMOUS}});
	assert_int_equal(work.nr, 0);
	call(NR_MUNMAP, (struct arguments){{MAPPED, 4096}});
	lock(false, true);
	(void)expect(EVENT_MUNMAP, MAPPED, 4096);
	assert_int_equal(counter(STAT_UNMAPPINGS), 1);
	/* none is known */
	((struct slot_value *)fake_map_value(&slots, &(__u32){SLOT}, 0))->flags = SLOT_UNMAPPED;
	call(NR_MUNMAP, (struct arguments){{MAPPED, 4096}});
	lock(false, true);
	no_event();
	assert_int_equal(counter(STAT_UNMAPPINGS), 1);
	watching = 1;
	call(NR_MUNMAP, (struct arguments){{MAPPED, 4096}});
	lock(false, true);
	(void)expect(EVENT_MUNMAP, MAPPED, 4096);
}

/* The program for those who do not follow mappings. */
static void test_code_alone(void **state)
{
	__u64 ctx[3] = {(__u64)&machine.mm, true, true};

	(void)state;
	machine.main.regs = (struct pt_regs){
		.orig_ax = NR_MUNMAP, .ax = (__u64)-ENOSYS, .di = CODE, .si = 4096};
	ctx[2] = false;
	assert_int_equal(code_lock(ctx), 0);
	assert_int_not_equal(mapping_at(1)->kind, MAPPING_GONE);
	ctx[2] = true;
	assert_int_equal(code_lock(ctx), 0);
	assert_int_equal(mapping_at(1)->kind, MAPPING_GONE);
	ctx[1] = false;
	assert_int_equal(code_lock(ctx), 0);
	no_event();
	assert_int_equal(nr_thread_states(), 0);
}

static void test_two_threads(void **state)
{
	struct vm_return *first;

	(void)state;
	call_of(&machine.main, NR_MMAP, (struct arguments){{0, 4096, 3, ANONYMOUS}});
	first = work.value;
	work.value = NULL;
	call_of(&machine.worker, NR_MMAP, (struct arguments){{0, 8192, 3, ANONYMOUS}});
	assert_ptr_not_equal(work.value, first);
	returns((__s64)MAPPED + 0x10000);
	(void)expect(EVENT_MMAP, MAPPED + 0x10000, 8192);
	run_as(&machine.main);
	work.value = first;
	returns((__s64)MAPPED);
	(void)expect(EVENT_MMAP, MAPPED, 4096);
	assert_int_equal(fake_map_nr(&vm_returns), 2);
}

/* The lock is taken a second time in a call. */
static void test_lock_taken_twice(void **state)
{
	(void)state;
	call(NR_MREMAP, (struct arguments){{MAPPED, 4096, 8192, 1}});
	lock(true, true);
	returns((__s64)MAPPED + 0x10000);
	(void)expect(EVENT_MREMAP, MAPPED + 0x10000, 8192);
	assert_int_equal(work.nr, 1);
	assert_int_equal(nr_failures(), 0);
}

/* A signal is delivered on the way back, and its frame needs more stack. */
static void test_lock_taken_after_the_call(void **state)
{
	(void)state;
	call(NR_MMAP, (struct arguments){{0, 4096, 3, ANONYMOUS}});
	returns((__s64)MAPPED);
	(void)expect(EVENT_MMAP, MAPPED, 4096);
	lock(true, true);
	assert_null(work.value);
	call(NR_MUNMAP, (struct arguments){{MAPPED, 4096}});
	lock(false, true);
	(void)expect(EVENT_MUNMAP, MAPPED, 4096);
	returns(0);
	lock(true, true);
	lock(false, true);
	/* nor has one that was refused been done later */
	call(NR_MUNMAP, (struct arguments){{MAPPED + 1, 4096}});
	returns(-EINVAL);
	lock(false, true);
	no_event();
	assert_int_equal(nr_failures(), 0);
}

/* We are called in another call, or in none. */
static void test_too_late(void **state)
{
	struct vm_return *at;

	(void)state;
	call(NR_MMAP, (struct arguments){{0, 4096, 3, ANONYMOUS}});
	at = work.value;
	work.value = NULL;
	machine.main.regs.orig_ax = 10;
	work.value = at;
	returns(0);
	no_event();
	assert_failures(STAT_LOST_EVENTS, 1);
}

static void test_losses(void **state)
{
	(void)state;
	work.error = -ENOMEM;
	call(NR_MMAP, (struct arguments){{0, 4096, 3, ANONYMOUS}});
	assert_failures(STAT_LOST_EVENTS, 1);
	fake_map_limit(&vm_returns, 0);
	call_of(&machine.worker, NR_MMAP, (struct arguments){{0, 4096, 3, ANONYMOUS}});
	assert_failures(STAT_LOST_EVENTS, 2);
	/* the kernel did not come back to us */
	call(NR_MMAP, (struct arguments){{0, 4096, 3, ANONYMOUS}});
	work.value = NULL;
	call(NR_MMAP, (struct arguments){{0, 4096, 3, ANONYMOUS}});
	assert_failures(STAT_LOST_EVENTS, 3);
	returns((__s64)MAPPED);
	(void)expect(EVENT_MMAP, MAPPED, 4096);
	assert_int_equal(lost_events, 3);
	/* nor when the next call is one that gives back */
	call(NR_MMAP, (struct arguments){{0, 4096, 3, ANONYMOUS}});
	work.value = NULL;
	call(NR_MUNMAP, (struct arguments){{MAPPED, 4096}});
	lock(false, true);
	(void)expect(EVENT_MUNMAP, MAPPED, 4096);
	assert_failures(STAT_LOST_EVENTS, 4);
	/* somebody else's work is in this place */
	work.error = -EBUSY;
	call(NR_MMAP, (struct arguments){{0, 4096, 3, ANONYMOUS}});
	assert_failures(STAT_LOST_EVENTS, 5);
}

/* Code is gone as soon as the lock is taken. */
static void test_code_goes(void **state)
{
	(void)state;
	call(NR_MMAP, (struct arguments){{CODE, 4096, 3, ANONYMOUS}}); /* a wish alone */
	returns((__s64)MAPPED);
	(void)expect(EVENT_MMAP, MAPPED, 4096);
	assert_int_not_equal(mapping_at(1)->kind, MAPPING_GONE);
	call(NR_MMAP, (struct arguments){{CODE, 4096, 3, FIXED}});
	assert_int_equal(mapping_at(1)->kind, MAPPING_GONE);
	returns((__s64)CODE);
	(void)expect(EVENT_MMAP, CODE, 4096);
	mapping_at(1)->kind = MAPPING_CODE;
	call(NR_MREMAP, (struct arguments){{MAPPED, 4096, 4096, 3, CODE}});
	assert_int_equal(mapping_at(1)->kind, MAPPING_GONE);
	returns((__s64)CODE);
	(void)expect(EVENT_MREMAP, CODE, 4096);
	mapping_at(1)->kind = MAPPING_CODE;
	call(NR_MUNMAP, (struct arguments){{CODE, 4096}});
	assert_int_equal(mapping_at(1)->kind, MAPPING_GONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		lock_test(test_mmap),
		lock_test(test_munmap),
		lock_test(test_mremap),
		lock_test(test_brk),
		lock_test(test_failed_calls),
		lock_test(test_other_takers_of_the_lock),
		lock_test(test_inside_an_allocator_call),
		lock_test(test_not_watching),
		lock_test(test_two_threads),
		lock_test(test_lock_taken_twice),
		lock_test(test_lock_taken_after_the_call),
		lock_test(test_too_late),
		lock_test(test_losses),
		lock_test(test_code_goes),
		lock_test(test_code_alone),
	};

	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
