// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mappings and code that goes away, seen where the kernel takes the lock of an address space.
 *
 * It takes it in each of these system calls and hardly anywhere else, so nobody pays for other calls, as all do who are
 * on a machine where tracepoints of system calls are in use (syscall.bpf.h). Which call it is, and with what, is in the
 * registers that the thread came with. That one has unmapped is told by the lock: munmap() keeps it for reading alone when
 * all that can fail is done. What the others return is seen when the thread goes back to its program: the kernel is asked
 * to call us then (bpf_task_work, 6.18). That takes some microseconds, of who maps, outside allocators.
 */
#include "code.bpf.h"
#include "lock.h"
#include "syscall.bpf.h"
#include "vm.bpf.h"

char LICENSE[] SEC("license") __weak = "GPL";

#ifdef __bpf__
static int (*const task_work_schedule)(struct task_struct *task, struct bpf_task_work *work,
				       void *map, bpf_task_work_callback_t callback,
				       void *none) = (void *)SEEP_CALL_TASK_WORK;
#else
int task_work_schedule(struct task_struct *task, struct bpf_task_work *work, void *map,
		       bpf_task_work_callback_t callback, void *none);
#endif

extern void bpf_rcu_read_lock(void) __ksym __weak; /* 6.2 */
extern void bpf_rcu_read_unlock(void) __ksym __weak;

struct vm_return {
	struct bpf_task_work work;
};

/* By thread, which makes a call at a time. What is pushed out during a call is counted when its thread makes the next. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct vm_return);
} vm_returns SEC(".maps") __weak;

/* arch/x86/entry/syscalls/syscall_64.tbl */
#define NR_MMAP 9
#define NR_MUNMAP 11
#define NR_BRK 12
#define NR_MREMAP 25
#define TS_COMPAT 0x0002 /* a call by the numbers of 32-bit programs */

/* Enum event_kind of the last system call of the current thread; 0: another. */
static __always_inline __u32 last_call(struct task_struct *task, struct pt_regs *regs)
{
	__u32 kind;

#if defined(__TARGET_ARCH_x86)
	switch (regs->orig_ax) {
	case NR_MMAP:
		kind = EVENT_MMAP;
		break;
	case NR_MUNMAP:
		kind = EVENT_MUNMAP;
		break;
	case NR_BRK:
		kind = EVENT_BRK;
		break;
	case NR_MREMAP:
		kind = EVENT_MREMAP;
		break;
	default:
		return 0;
	}
	return task->thread_info.status & TS_COMPAT ? 0 : kind;
#else
	(void)task; /* such kernels have trampolines */
	(void)regs;
	(void)kind;
	return 0;
#endif
}

/*
 * The same, and 0 once it has returned, when the registers hold what it returns: a signal may have to be delivered before
 * the thread is in its program again, and that may take the lock as well.
 */
static __always_inline __u32 call_under_way(struct task_struct *task, struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	if (regs->ax != (unsigned long)-ENOSYS)
		return 0;
#endif
	return last_call(task, regs);
}

/* Back from its call: the registers hold what that returns. */
static int vm_returned(struct bpf_map *map, void *key, void *value)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
	struct context c;
	__s64 ret;

	(void)map;
	(void)key;
	(void)value;
	if (!context_enter(&c) || !c.thread->vm.kind)
		return 0;
	if (c.thread->vm.kind != last_call(task, regs)) { /* too late */
		c.thread->vm.kind = 0;
		event_lost(&c);
		return 0;
	}
#if defined(__TARGET_ARCH_x86)
	ret = (__s64)regs->ax;
#else
	ret = (__s64)regs->regs[0];
#endif
	if ((__u64)ret >= (__u64)-MAX_ERRNO) {
		c.thread->vm.kind = 0;
		return 0;
	}
	vm_take_stack(&c);
	/* This may sleep, and a ring that was exchanged is waited for no longer than others may use it. */
	bpf_rcu_read_lock();
	mmap_exits(ret);
	mremap_exits(ret);
	brk_exits(ret);
	bpf_rcu_read_unlock();
	return 0;
}

static __always_inline int vm_await_return(struct task_struct *task)
{
	__u32 tid = task->pid;
	struct vm_return *at = bpf_map_lookup_elem(&vm_returns, &tid), none = {};

	if (!at) {
		(void)bpf_map_update_elem(&vm_returns, &tid, &none, BPF_NOEXIST);
		at = bpf_map_lookup_elem(&vm_returns, &tid);
	}
	return at ? task_work_schedule(task, &at->work, &vm_returns, vm_returned, NULL) : -1;
}

/* The lock is held: nothing has been done yet. */
static __always_inline void vm_begins(struct task_struct *task, __u32 kind, const __u64 *arg)
{
	struct context c;
	bool is_untold;
	int err;

	/* as vm_note() says, but at once */
	if ((!watching && kind != EVENT_MUNMAP) || !context_enter(&c))
		return;
	/* of an earlier call, unless this one takes the lock a second time */
	is_untold = c.thread->vm.kind && c.thread->vm.kind != EVENT_MUNMAP;
	if (kind == EVENT_MUNMAP) {
		(void)vm_note(&c, arg, kind, 4, true);
	} else if (vm_note(&c, arg, kind, kind == EVENT_BRK ? 1 : 4, false)) {
		err = vm_await_return(task);
		if (err == -EBUSY && is_untold)
			return;
		if (err) {
			c.thread->vm.kind = 0;
			is_untold = true;
		}
	}
	if (is_untold)
		event_lost(&c);
}

static __always_inline void code_strikes(__u32 kind, const __u64 *arg)
{
	if (kind == EVENT_MUNMAP)
		munmap_strikes(arg);
	else if (kind == EVENT_MREMAP)
		mremap_strikes(arg);
	else if (kind == EVENT_MMAP)
		mmap_strikes(arg);
}

static __always_inline void lock_is_held(const __u64 *ctx, bool with_vm)
{
	bool is_write = ctx[1];
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
	__u32 kind = call_under_way(task, regs);
	__u64 arg[SYSCALL_ARGS];

	if (!kind || ctx[0] != (__u64)task->mm)
		return;
	if (is_write) {
		syscall_args(regs, arg);
		code_strikes(kind, arg);
		if (with_vm)
			vm_begins(task, kind, arg);
	} else if (with_vm && kind == EVENT_MUNMAP) {
		munmap_exits(0);
	}
}

/* Mappings, and code that goes away; one program, as each takes time. */
SEC("tp_btf/mmap_lock_acquire_returned")
int vm_lock(__u64 *ctx)
{
	bool is_got = ctx[2];

	if (is_got)
		lock_is_held(ctx, true);
	return 0;
}

/* Where mappings are of no interest. */
SEC("tp_btf/mmap_lock_acquire_returned")
int code_lock(__u64 *ctx)
{
	bool is_got = ctx[2];

	if (is_got)
		lock_is_held(ctx, false);
	return 0;
}
