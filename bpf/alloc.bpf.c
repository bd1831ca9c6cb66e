// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocator functions: pairing a call with its return, and keeping the block map.
 *
 * Only the outermost allocator call of a thread counts. Which call is the outermost is told by the
 * stack pointer, not by counting: a call whose return address lies below that of a call under way
 * is part of it; one above it shows that the call under way was left without returning (longjmp,
 * an exception), so that nothing is left over for ever. Nested calls need no state, and their
 * returns find none.
 *
 * An allocation is committed at its return. A free counts at its entry, before the allocator can
 * hand the block out again, so for each address the block map sees events in their true order. A
 * realloc takes its old block out of the map at its entry, for the same reason, and puts it back
 * when it fails. Inside another call a free counts if it is of a block in the map: operator new may
 * call a handler that frees what it can spare.
 */
#include "account.bpf.h"
#include "regs.bpf.h"
#include "stack.bpf.h"

char LICENSE[] SEC("license") __weak = "GPL";

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
			old_block_end(c, call, bpf_ktime_get_ns());
		else
			old_block_restore(c, call);
		count_in(c->counters, STAT_STALE_CALLS, 1);
	}
	return 0;
}

/*
 * Makes room for a call at sp: forgets calls that were left without returning. NULL: there is no
 * room, or this call is part of one under way.
 */
static __always_inline struct call *call_begin(struct context *c, const struct pt_regs *ctx,
					       __u64 sp)
{
	struct thread *t = c->thread;
	__u32 nr = 0;

	if (t->nr_calls == 0) {
		t->nr_calls = 1;
		return &t->call[0];
	}
	if (inside_call(t, sp))
		return NULL;
#pragma unroll
	for (__u32 i = 0; i < MAX_CALLS; i++) {
		struct call *call = &t->call[i];

		if (i >= t->nr_calls)
			break;
		if (is_continued(ctx, call, sp))
			return NULL;
		if (on_same_stack(call, sp)) {
			calls_leave(c, i);
			call->sp = 0;
			call->role = ROLE_INVALID;
			nr = i;
			t->nr_calls = nr + 1;
			return call;
		}
	}
	nr = t->nr_calls;
	if (nr >= MAX_CALLS) {
		count_in(c->counters, STAT_CALLS_TOO_DEEP, 1);
		return NULL;
	}
	t->nr_calls = nr + 1;
	return &t->call[nr];
}

static __always_inline __u64 size_of_call(const struct pt_regs *ctx, __u64 cookie)
{
	__u64 size = reg_get(ctx, COOKIE_SIZE_REG(cookie)), count, product;

	if (!COOKIE_COUNT_REG(cookie))
		return size;
	count = reg_get(ctx, COOKIE_COUNT_REG(cookie));
	product = size * count;
	barrier_var(product); /* clang would make this a 128-bit multiplication, which BPF lacks */
	/* A product that wraps is a call that fails; what is kept here is never used. */
	return count && product / count != size ? SEEP_SIZE_MAX : product;
}

SEC("uprobe")
int alloc_enter(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx), sp;
	struct context c;
	struct call *call;

	if (!context_enter(&c))
		return 0;
	count_in(c.counters, STAT_ENTRY_HITS, 1);
	sp = ENTRY_SP(ctx, COOKIE_SP_WORDS(cookie));
	call = call_begin(&c, ctx, sp);
	if (!call)
		return 0;
	call->sp = sp;
	call->role = COOKIE_ROLE(cookie);
	call->size = size_of_call(ctx, cookie);
	call->ptr = reg_get(ctx, COOKIE_PTR_REG(cookie));
	call->has_old = 0;
	if (call->role == ROLE_REALLOC)
		old_block_take(&c, call);
	call->stack = stack_of(&c, 0, sp, PT_REGS_FP(ctx), LINK_REG(ctx));
	return 0;
}

/* The block that a call returned; 0 when it failed. */
static __always_inline __u64 returned_block(struct context *c, const struct call *call, __u64 rc)
{
	__u64 block = 0;

	if (call->role != ROLE_ALLOC_OUT)
		return rc;
	if ((__u32)rc)
		return 0;
	if (bpf_probe_read_user(&block, sizeof(block), (void *)call->ptr)) {
		count_in(c->counters, STAT_OUT_POINTER_FAULTS, 1);
		return 0;
	}
	return block;
}

static __always_inline void call_commit(struct context *c, struct call *call, __u64 rc)
{
	__u64 block = returned_block(c, call, rc), now = bpf_ktime_get_ns();

	if (!block) {
		/* realloc(p, 0) frees p and returns NULL: that is no failure. */
		if (call->role == ROLE_REALLOC && call->ptr &&
		    (!call->size || call->has_old == OLD_FREED)) {
			old_block_end(c, call, now);
			return;
		}
		old_block_restore(c, call);
		count_in(c->counters, STAT_FAILED_ALLOCS, 1);
		return;
	}
	if (call->role == ROLE_REALLOC)
		old_block_end(c, call, now);
	block_add(c, block, call, now);
}

SEC("uretprobe")
int alloc_return(struct pt_regs *ctx)
{
	__u64 sp = RETURN_SP(ctx);
	struct context c;
	struct thread *t;

	if (!context_enter(&c))
		return 0;
	t = c.thread;
	count_in(c.counters, STAT_RETURN_HITS, 1);
#pragma unroll
	for (__u32 i = 0; i < MAX_CALLS; i++) {
		if (i >= t->nr_calls)
			break;
		if (t->call[i].sp != sp)
			continue;
		t->call[i].sp = 0;
		if (t->nr_calls > i + 1)
			calls_leave(&c, i + 1);
		t->nr_calls = i;
		call_commit(&c, &t->call[i], PT_REGS_RC(ctx));
		break;
	}
	return 0;
}

/*
 * A free that is part of an allocator call: realloc(p, 0) may call free(p), or end in a jump to it.
 */
static __always_inline bool free_is_nested(const struct thread *t, __u64 sp, __u64 ptr)
{
	if (!t->nr_calls)
		return false;
	if (inside_call(t, sp))
		return true;
	return t->call[0].sp == sp && t->call[0].role == ROLE_REALLOC && t->call[0].ptr == ptr;
}

/* The old block of a realloc under way, which may still fail (reallocf), or was left. */
static __always_inline bool old_block_is_freed(struct thread *t, __u64 ptr)
{
	bool found = false;

#pragma unroll
	for (__u32 i = 0; i < MAX_CALLS; i++) {
		if (i >= t->nr_calls || !t->call[i].has_old || t->call[i].ptr != ptr)
			continue;
		t->call[i].has_old = OLD_FREED;
		found = true;
	}
	return found;
}

SEC("uprobe")
int free_enter(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx), ptr = reg_get(ctx, COOKIE_PTR_REG(cookie));
	struct block_value block = {};
	struct block_key key = {};
	struct context c;
	bool is_nested;

	if (!ptr || !context_enter(&c))
		return 0;
	count_in(c.counters, STAT_FREE_HITS, 1);
	is_nested = free_is_nested(c.thread, ENTRY_SP(ctx, COOKIE_SP_WORDS(cookie)), ptr);
	key.addr = ptr;
	key.proc = c.proc;
	if (!block_take(&key, &block)) {
		if (old_block_is_freed(c.thread, ptr) || is_nested)
			return 0;
		if (c.thread->last_freed != ptr)
			count_in(c.counters, STAT_FREES_UNKNOWN, 1);
		c.thread->last_freed = ptr;
		return 0;
	}
	c.thread->last_freed = ptr;
	count_free(&c, &block);
	send_free(&c, &key, &block, 0, bpf_ktime_get_ns());
	return 0;
}

/* The stack of an allocating call, and nothing else: what that costs. Used to measure, and by nothing else. */
SEC("uprobe")
int probe_stack(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx);
	struct context c;

	if (context_enter(&c))
		(void)stack_of(&c, 0, ENTRY_SP(ctx, COOKIE_SP_WORDS(cookie)), PT_REGS_FP(ctx),
			       LINK_REG(ctx));
	return 0;
}

/* The empty program: what a probe costs without us. Used to measure, and by nothing else. */
SEC("uprobe")
int probe_floor(struct pt_regs *ctx)
{
	return 0;
}
