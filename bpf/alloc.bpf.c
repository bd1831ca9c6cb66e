// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocator functions: pairing a call with its return, and keeping the block map.
 *
 * An allocation is committed at its return. A free counts at its entry, before the allocator can
 * hand the block out again, so for each address the block map sees events in their true order. A
 * realloc takes its old block out of the map at its entry, for the same reason, and puts it back
 * when it fails. Inside another call a free counts if it is of a block in the map: operator new may
 * call a handler that frees what it can spare.
 *
 * Where the kernel has sessions, the entry says whether the return is trapped: not that of a call inside another, nor
 * that of one which is not sampled.
 */
#include "calls.bpf.h"
#include "in_place.bpf.h"
#include "running.bpf.h"
#include "sample.bpf.h"

char LICENSE[] SEC("license") __weak = "GPL";

static __always_inline __u64 size_of_call(const struct pt_regs *ctx, __u64 cookie)
{
	__u64 size = reg_get(ctx, COOKIE_SIZE_REG(cookie)), count, product;

	if (!COOKIE_COUNT_REG(cookie))
		return size < SEEP_SIZE_MAX ? size : SEEP_SIZE_MAX;
	count = reg_get(ctx, COOKIE_COUNT_REG(cookie));
	product = size * count;
	barrier_var(product); /* clang would make this a 128-bit multiplication, which BPF lacks */
	/* A product that wraps is a call that fails; what is kept here is never used. */
	if ((count && product / count != size) || product > SEEP_SIZE_MAX)
		return SEEP_SIZE_MAX;
	return product;
}

/* Is a sample that may lie inside a call that was passed over really there? Its stack tells. */
static __always_inline bool sample_is_nested(struct thread *t, __u64 sp, __u32 stack)
{
	if (t->passed.sp == sp || stack_has(stack, t->passed.return_address))
		return true;
	t->passed.sp = 0;
	return false;
}

static __always_inline void call_fill(struct context *c, const struct pt_regs *ctx, __u64 cookie,
				      struct call *call)
{
	call->role = COOKIE_ROLE(cookie);
	call->ptr = reg_get(ctx, COOKIE_PTR_REG(cookie));
	call->has_old = 0;
	if (role_resizes(call->role))
		old_block_take(c, call);
}

/*
 * True: its return is to be seen. Where it is `urgent` known stacks are compared without a call, which the verifiers of
 * older kernels find too much.
 */
static __always_inline bool call_enters(struct pt_regs *ctx, struct task_struct *task, bool urgent)
{
	__u64 cookie = running_cookie(ctx, task), how = sampling, sp, size;
	bool is_sample = true, maybe_nested = false, has_old;
	__u32 stack = SEEP_STACK_UNKNOWN;
	struct context c;
	struct call *call;

	if (!calls_enter(&c, task))
		return false;
	count_in(c.counters, STAT_ENTRY_HITS, 1);
	sp = ENTRY_SP(ctx, COOKIE_SP_WORDS(cookie));
	if (call_is_nested(ctx, c.thread, sp))
		return false;
	size = size_of_call(ctx, cookie);
	if (how) {
		is_sample = sample_takes(c.thread, how, size);
		maybe_nested = inside_passed(ctx, c.thread, sp, COOKIE_PROBE(cookie));
	}
	has_old = !is_sample && role_resizes(COOKIE_ROLE(cookie)) &&
		  old_block_is_known(&c, reg_get(ctx, COOKIE_PTR_REG(cookie)));
	if (is_sample)
		stack = stack_of_call(&c, sp, PT_REGS_FP(ctx), LINK_REG(ctx), urgent);
	if (is_sample && maybe_nested) {
		maybe_nested = sample_is_nested(c.thread, sp, stack);
		is_sample = !maybe_nested;
		if (maybe_nested)
			count_in(c.counters, STAT_SAMPLES_NESTED, 1);
	}
	if (!maybe_nested) {
		count_in(c.counters, STAT_CALLS, 1);
		count_in(c.counters, STAT_CALL_BYTES, size);
	}
	if (!is_sample && !has_old) {
		if (!maybe_nested)
			call_pass(&c, ctx, sp, cookie);
		return false;
	}
	call = call_begin(&c, sp);
	if (!call)
		return false;
	call->sp = sp;
	call->sized = SEEP_SIZED(size, SEEP_TAG(how));
	call->stack = stack;
	call->is_passed = !is_sample;
	call_fill(&c, ctx, cookie, call);
	return true;
}

/* The block that a call returned; 0 when it failed. */
static __always_inline __u64 returned_block(struct context *c, const struct call *call, __u64 rc)
{
	__u64 block = 0;

	if (call->role == ROLE_RESIZE)
		return rc >= SEEP_SIZE(call->sized) ? call->ptr : 0;
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
	__u64 block = returned_block(c, call, rc), now = clock_birth(c->queue);

	if (!block) {
		/* realloc(p, 0) frees p and returns NULL: that is no failure. */
		if (call->role == ROLE_REALLOC && call->ptr &&
		    (!SEEP_SIZE(call->sized) || call->has_old == OLD_FREED)) {
			old_block_end(c, call, now);
			return;
		}
		old_block_restore(c, call);
		count_in(c->counters, STAT_FAILED_ALLOCS, 1);
		return;
	}
	if (role_resizes(call->role))
		old_block_end(c, call, now);
	if (!call->is_passed)
		block_add(c, block, call, now);
}

/* The call that returns at sp; MAX_CALLS: none. */
static __always_inline __u32 call_find(struct thread *t, __u64 sp)
{
	__u32 nr = MAX_CALLS;

#pragma unroll
	for (__u32 i = 0; i < MAX_CALLS; i++) {
		if (i < t->nr_calls && t->call[i].sp == sp && nr == MAX_CALLS)
			nr = i;
	}
	return call_number(t, nr);
}

static __always_inline void call_returns(struct pt_regs *ctx, struct task_struct *task)
{
	struct context c;
	struct thread *t;
	struct call *call;
	__u32 nr;

	if (!calls_enter(&c, task))
		return;
	t = c.thread;
	count_in(c.counters, STAT_RETURN_HITS, 1);
	nr = call_find(t, RETURN_SP(ctx));
	if (nr >= MAX_CALLS)
		return;
	call = &t->call[nr & (MAX_CALLS - 1)];
	call->sp = 0;
	if (t->nr_calls > nr + 1)
		calls_leave(&c, nr + 1);
	t->nr_calls = nr;
	call_commit(&c, call, PT_REGS_RC(ctx));
}

SEC("uprobe")
int alloc_enter(struct pt_regs *ctx)
{
	(void)call_enters(ctx, current_task(), false);
	return 0;
}

SEC("uretprobe")
int alloc_return(struct pt_regs *ctx)
{
	call_returns(ctx, current_task());
	return 0;
}

/* Both, where the kernel has sessions: 1 is an entry whose return need not be seen. */
SEC("uprobe")
int alloc_session(struct pt_regs *ctx)
{
	struct task_struct *task = current_task();

	if (!running_is_return(task))
		return !call_enters(ctx, task, true);
	call_returns(ctx, task);
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
	struct task_struct *task = current_task();
	__u64 cookie = running_cookie(ctx, task), ptr = reg_get(ctx, COOKIE_PTR_REG(cookie));
	struct block_value block = {};
	struct block_key key = {};
	struct context c;
	bool is_nested;

	if (!ptr || !calls_enter(&c, task))
		return 0;
	count_in(c.counters, STAT_FREE_HITS, 1);
	is_nested = free_is_nested(c.thread, ENTRY_SP(ctx, COOKIE_SP_WORDS(cookie)), ptr);
	key.addr = ptr;
	key.proc = c.proc;
	if (!block_take_here(&key, &block)) {
		if (old_block_is_freed(c.thread, ptr) || is_nested)
			return 0;
		if (c.thread->last_freed != ptr)
			count_in(c.counters, STAT_FREES_UNKNOWN, 1);
		c.thread->last_freed = ptr;
		return 0;
	}
	c.thread->last_freed = ptr;
	if (is_unwatched(&block)) {
		if (!is_nested)
			count_in(c.counters, STAT_FREES_UNKNOWN, 1);
		(void)unwatched_end(&c, &key, &block);
		return 0;
	}
	count_free(&c);
	send_free(&c, &key, &block, 0, clock_now(c.queue));
	return 0;
}

/* The stack of an allocating call, and nothing else: what that costs. Used to measure, and by nothing else. */
SEC("uprobe")
int probe_stack(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx);
	struct context c;

	if (context_enter(&c))
		(void)stack_of_call(&c, ENTRY_SP(ctx, COOKIE_SP_WORDS(cookie)), PT_REGS_FP(ctx),
				    LINK_REG(ctx), true);
	return 0;
}

/* What direct_look() has seen. Read by userspace. */
volatile __u64 direct_seen = 0;

/* How the direct map is found out, by a run for the current process: (enum direct_look, address). */
SEC("raw_tp")
int direct_look(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = current_task();
	__u64 addr = ctx->args[1], at;

	switch (ctx->args[0]) {
	case DIRECT_TABLES:
		direct_seen = (__u64)task->mm->pgd;
		break;
	case DIRECT_KERNEL_WORD:
		direct_seen = direct_word(addr);
		break;
	default:
		at = direct_address(task, addr);
		direct_seen = at ? direct_word(at) : 0;
	}
	return 0;
}

/* The empty programs: what a probe costs without us. Used to measure, and one of them to sweep (src/sys/attach.h). */
SEC("uprobe")
int probe_floor(struct pt_regs *ctx)
{
	return 0;
}

SEC("uprobe")
int floor_multi(struct pt_regs *ctx)
{
	return 0;
}

SEC("uprobe")
int floor_session(struct pt_regs *ctx)
{
	return 0;
}

SEC("uprobe")
int floor_skip(struct pt_regs *ctx)
{
	return 1;
}
