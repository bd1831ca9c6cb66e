/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocator calls under way in a thread.
 *
 * Only the outermost one counts. Which call is the outermost is told by the stack pointer, not by counting: a call
 * whose return address lies below that of a call under way is part of it; one above it shows that the call under way
 * was left without returning (longjmp, an exception), so that nothing is left over for ever. Nested calls need no
 * state, and their returns, where they are trapped, find none.
 */
#ifndef SEEP_CALLS_BPF_H
#define SEEP_CALLS_BPF_H

#include "account.bpf.h"
#include "regs.bpf.h"
#include "stack.bpf.h"

/*
 * What a thread had under way when it was last looked at is over if allocators were not followed meanwhile: nobody has
 * seen it return.
 */
static __always_inline bool calls_are_followed(struct context *c, struct task_struct *task)
{
	struct thread *t;
	__u64 since;

	if (!watching || !context_enter_as(c, task) || c->slot_flags & SLOT_TELLS)
		return false;
	c->queue = queue_here();
	if (!c->queue)
		return false;
	t = c->thread;
	since = watched_since;
	if (t->watched_since != since) {
		t->watched_since = since;
		t->nr_calls = 0;
		t->passed.sp = 0;
		t->last_freed = 0;
	}
	return true;
}

/* False: allocators are not followed, or not those of this process, which pays for the trap all the same. */
static __always_inline bool calls_enter(struct context *c, struct task_struct *task)
{
	if (calls_are_followed(c, task))
		return true;
	count_slot(SEEP_SLOT_NONE, STAT_FOREIGN_HITS, 1);
	return false;
}

/* Has the call at the very same place ended in a jump to this function, as realloc(NULL, n) does to malloc()? */
static __always_inline bool is_continued(const struct pt_regs *ctx, const struct call *call,
					 __u64 sp)
{
#if defined(__TARGET_ARCH_x86)
	return call->sp == sp && call_is_under_way(sp);
#else
	return call->sp == sp && is_trampoline(LINK_REG(ctx));
#endif
}

static __always_inline bool on_same_stack(const struct call *call, __u64 sp)
{
	return call_encloses(call, sp) || sp - call->sp < NEST_BYTES;
}

/* The call of this number and those begun after it were left without returning. */
static __noinline int calls_leave(struct context *c, __u32 first)
{
	struct thread *t = c->thread;

	for (__u32 i = 0; i < MAX_CALLS; i++) {
		struct call *call = &t->call[i];

		if (i < first || i >= t->nr_calls)
			continue;
		if (call->has_old == OLD_FREED)
			old_block_end(c, call, clock_now(c->queue));
		else
			old_block_restore(c, call);
		count_in(c->counters, STAT_STALE_CALLS, 1);
	}
	return 0;
}

/* Is a call at sp part of one under way? */
static __always_inline bool call_is_nested(const struct pt_regs *ctx, const struct thread *t,
					   __u64 sp)
{
	if (!t->nr_calls)
		return false;
	if (inside_call(t, sp))
		return true;
#pragma unroll
	for (__u32 i = 0; i < MAX_CALLS; i++) {
		if (i < t->nr_calls && is_continued(ctx, &t->call[i], sp))
			return true;
	}
	return false;
}

/*
 * A number by way of memory: the verifier does not know it any more, and goes on from here once, and not once for each
 * number that it may be.
 */
static __always_inline __u32 call_number(struct thread *t, __u32 nr)
{
	t->number = nr;
	barrier();
	return *(volatile __u32 *)&t->number;
}

/* Makes room for an outermost call at sp: forgets calls that were left without returning. NULL: there is no room. */
static __always_inline struct call *call_begin(struct context *c, __u64 sp)
{
	struct thread *t = c->thread;
	__u32 nr = t->nr_calls;

	if (nr == 0) {
		t->nr_calls = 1;
		return &t->call[0];
	}
#pragma unroll
	for (__u32 i = 0; i < MAX_CALLS; i++) {
		if (i < nr && on_same_stack(&t->call[i], sp))
			nr = i;
	}
	nr = call_number(t, nr);
	if (nr >= MAX_CALLS) {
		count_in(c->counters, STAT_CALLS_TOO_DEEP, 1);
		return NULL;
	}
	if (nr < t->nr_calls)
		calls_leave(c, nr);
	t->nr_calls = nr + 1;
	return &t->call[nr & (MAX_CALLS - 1)];
}

/* --- calls that are not sampled --- */

#if defined(__TARGET_ARCH_x86)
static __always_inline __u64 return_address_at(const struct pt_regs *ctx, __u64 sp)
{
	__u64 word;

	(void)ctx;
	return bpf_probe_read_user(&word, sizeof(word), (void *)sp) ? 0 : word;
}
#else
static __always_inline __u64 return_address_at(const struct pt_regs *ctx, __u64 sp)
{
	(void)sp;
	return LINK_REG(ctx);
}
#endif

/*
 * May a call at sp be part of the one that was passed over? One at the same place is if that has ended in a jump to
 * this function; the same function there has been called anew. On arm64 nobody knows where a return address is kept:
 * what lies below may be part of it.
 */
static __always_inline bool inside_passed(const struct pt_regs *ctx, const struct thread *t,
					  __u64 sp, __u32 probe)
{
	const struct passed_call *p = &t->passed;
	__u64 word;

	if (p->sp < sp || p->sp - sp >= NEST_BYTES || (p->sp == sp && p->probe == probe))
		return false;
#if defined(__TARGET_ARCH_x86)
	word = return_address_at(ctx, p->sp);
	/* Where entries are no sessions, its return is trapped all the same. */
	return word == p->return_address || is_trampoline(word);
#else
	word = LINK_REG(ctx);
	return p->sp != sp || word == p->return_address;
#endif
}

/*
 * What is outermost and passed over is remembered if it may call other functions that have probes. A realloc ends a
 * block, one that nobody knows, as nobody sees whether it fails.
 */
static __always_inline void call_pass(struct context *c, const struct pt_regs *ctx, __u64 sp,
				      __u64 cookie)
{
	struct thread *t = c->thread;

	if (role_resizes(COOKIE_ROLE(cookie)) && reg_get(ctx, COOKIE_PTR_REG(cookie)))
		count_in(c->counters, STAT_FREES_UNKNOWN, 1);
	if (COOKIE_IS_LEAF(cookie))
		return;
	t->passed.sp = sp;
	t->passed.probe = COOKIE_PROBE(cookie);
	t->passed.return_address = return_address_at(ctx, sp);
}

static __always_inline bool frames_have(const struct stack_value *stack, __u32 room, __u64 address)
{
	/* Not the first, which is its own: a function may call an allocator and itself. */
	for (__u32 i = 1; i < room; i++) {
		if (i >= stack->nr)
			break;
		if ((stack->frame[i] & SEEP_FRAME_ADDRESS) == address)
			return true;
	}
	return false;
}

/* Does a stack lead through this return address? If it is that of an allocator call, it is inside one. */
__weak __noinline int stack_has(__u32 id, __u64 address)
{
	struct stack_value *stack;

	switch (SEEP_STACK_TABLE(id)) {
	case 0:
		stack = bpf_map_lookup_elem(&stacks_0, &id);
		return stack && frames_have(stack, SEEP_STACK_FRAMES_0, address);
	case 1:
		stack = bpf_map_lookup_elem(&stacks_1, &id);
		return stack && frames_have(stack, SEEP_STACK_FRAMES_1, address);
	case 2:
		stack = bpf_map_lookup_elem(&stacks_2, &id);
		return stack && frames_have(stack, SEEP_STACK_FRAMES_2, address);
	default:
		stack = bpf_map_lookup_elem(&stacks_3, &id);
		return stack && frames_have(stack, SEEP_STACK_FRAMES_3, address);
	}
}

#endif
