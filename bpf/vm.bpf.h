/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address space taken by system calls outside every allocator call: mmap, munmap, mremap, brk.
 *
 * A call is noted when it begins, and sent with the stack of whoever made it when it has succeeded. What an allocator
 * maps for itself is its own affair: the heap counts it. How programs come to see calls: vm.bpf.c, lock.bpf.c.
 */
#ifndef SEEP_VM_BPF_H
#define SEEP_VM_BPF_H

#include "common.bpf.h"
#include "stack.bpf.h"

#define PAGE_ALIGN(x) (((x) + PAGE_BYTES - 1) & ~((__u64)PAGE_BYTES - 1))
#define MAX_ERRNO 4095
#define VM_PROT_EXEC 4 /* PROT_EXEC */

static __always_inline __u32 stack_of_syscall(struct context *c, const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return stack_of(c, BPF_CORE_READ(regs, ip), BPF_CORE_READ(regs, sp),
			BPF_CORE_READ(regs, bp), 0);
#else
	return stack_of(c, BPF_CORE_READ(regs, pc), BPF_CORE_READ(regs, sp),
			BPF_CORE_READ(regs, regs[29]), BPF_CORE_READ(regs, regs[30]));
#endif
}

static __always_inline __u64 current_break(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, mm, brk);
}

/*
 * Notes a call that begins, without its stack; false: it is not to be told of. nr_args: the kernel refuses a program that
 * reads more than the call has. gives_back: told of also while allocators are not followed.
 */
static __always_inline bool vm_note(struct context *c, const __u64 *arg, __u32 kind, __u32 nr_args,
				    bool gives_back)
{
	struct thread *t = c->thread;
	struct pt_regs *regs;

	t->vm.kind = 0;
	/* Whether an allocator makes this call cannot be told while those are not followed. */
	if (!watching && (!gives_back || c->slot_flags & SLOT_UNMAPPED))
		return false;
	if (!config.task_pt_regs) {
		/* No user stack pointer: any call under way is taken to contain this one. */
		if (t->nr_calls)
			return false;
		count_in(c->counters, STAT_NO_REGS, 1);
	} else {
		regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
		if (inside_call(t, BPF_CORE_READ(regs, sp)))
			return false;
	}
	count_in(c->counters, gives_back ? STAT_UNMAPPINGS : STAT_MAPPINGS, 1);
	t->vm.kind = kind;
	t->vm.stack = SEEP_STACK_UNKNOWN;
	t->vm.arg[0] = arg[0];
	if (kind == EVENT_BRK)
		t->vm.arg[1] = current_break();
	if (nr_args >= 2)
		t->vm.arg[1] = arg[1];
	if (nr_args >= 4) {
		t->vm.arg[2] = arg[2];
		t->vm.arg[3] = arg[3];
	}
	return true;
}

/* The registers that a system call was made with are there until it has returned. */
static __always_inline void vm_take_stack(struct context *c)
{
	if (config.task_pt_regs)
		c->thread->vm.stack =
			stack_of_syscall(c, (void *)bpf_task_pt_regs(bpf_get_current_task_btf()));
}

static __always_inline void vm_enter(const __u64 *arg, __u32 kind, __u32 nr_args)
{
	struct context c;

	if (context_enter(&c) && vm_note(&c, arg, kind, nr_args, false))
		vm_take_stack(&c);
}

/* The call that the current thread is returning from, if it is to be told of. */
static __always_inline struct vm_call *vm_leave(struct context *c, __u32 kind, __s64 ret)
{
	struct vm_call *call;

	if (!context_enter(c))
		return NULL;
	call = &c->thread->vm;
	if (call->kind != kind)
		return NULL;
	call->kind = 0;
	return (__u64)ret >= (__u64)-MAX_ERRNO ? NULL : call;
}

static __always_inline void vm_send(struct context *c, struct event_vm *what)
{
	struct event_vm *e;
	void *ring = current_ring();

	if (!ring)
		return;
	e = bpf_ringbuf_reserve(ring, sizeof(*e), 0);
	if (!e) {
		event_lost(c);
		return;
	}
	*e = *what;
	head_set(&e->head, what->head.kind, 0, c->proc, bpf_ktime_get_ns());
	e->tid = bpf_get_current_pid_tgid();
	/* New code: its mapping is to be read while it lasts. */
	bpf_ringbuf_submit(e, what->prot & VM_PROT_EXEC ? BPF_RB_FORCE_WAKEUP
							: submit_flags(c->thread, ring));
}

static __always_inline void mmap_enters(const __u64 *arg)
{
	vm_enter(arg, EVENT_MMAP, 4);
}

static __always_inline void mmap_exits(__s64 ret)
{
	struct context c;
	struct vm_call *call = vm_leave(&c, EVENT_MMAP, ret);
	struct event_vm e = {};

	if (!call)
		return;
	e.head.kind = EVENT_MMAP;
	e.addr = ret;
	e.length = PAGE_ALIGN(call->arg[1]);
	e.prot = call->arg[2];
	e.map_flags = call->arg[3];
	e.stack = call->stack;
	vm_send(&c, &e);
}

static __always_inline void munmap_enters(const __u64 *arg)
{
	struct context c;

	if (context_enter(&c))
		(void)vm_note(&c, arg, EVENT_MUNMAP, 2, true);
}

static __always_inline void munmap_exits(__s64 ret)
{
	struct context c;
	struct vm_call *call = vm_leave(&c, EVENT_MUNMAP, ret);
	struct event_vm e = {};

	if (!call)
		return;
	e.head.kind = EVENT_MUNMAP;
	e.addr = call->arg[0];
	e.length = PAGE_ALIGN(call->arg[1]);
	vm_send(&c, &e);
}

static __always_inline void mremap_enters(const __u64 *arg)
{
	vm_enter(arg, EVENT_MREMAP, 4);
}

static __always_inline void mremap_exits(__s64 ret)
{
	struct context c;
	struct vm_call *call = vm_leave(&c, EVENT_MREMAP, ret);
	struct event_vm e = {};

	if (!call)
		return;
	e.head.kind = EVENT_MREMAP;
	e.addr = ret;
	e.old_addr = call->arg[0];
	e.old_length = PAGE_ALIGN(call->arg[1]);
	e.length = PAGE_ALIGN(call->arg[2]);
	e.map_flags = call->arg[3];
	e.stack = call->stack;
	vm_send(&c, &e);
}

static __always_inline void brk_enters(const __u64 *arg)
{
	vm_enter(arg, EVENT_BRK, 1);
}

/* brk() returns the break, moved or not. */
static __always_inline void brk_exits(__s64 ret)
{
	struct context c;
	struct vm_call *call = vm_leave(&c, EVENT_BRK, ret);
	struct event_vm e = {};

	if (!call || (__u64)ret == call->arg[1])
		return;
	e.head.kind = EVENT_BRK;
	e.addr = ret;
	e.old_addr = call->arg[1];
	e.stack = call->stack;
	vm_send(&c, &e);
}

#endif
