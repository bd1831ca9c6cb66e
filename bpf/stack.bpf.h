/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stacks of the current thread, and ids for them.
 *
 * The rest of the programs knows only stack_of(): registers in, an id out.
 */
#ifndef SEEP_STACK_BPF_H
#define SEEP_STACK_BPF_H

#include "intern.bpf.h"
#include "known.bpf.h"
#include "unwind.bpf.h"

#define MEMO_TRIAL 256 /* after so many questions it is seen whether the memo pays, */
#define MEMO_REST 4096 /* and if not, so many walks do without it */

/* The mappings must be the same at the end as they were at the start. */
static __always_inline void check_generation(struct walk *w)
{
	__u32 slot = w->slot;
	struct unwind_process *p = bpf_map_lookup_elem(&unwind_processes, &slot);

	if (!p || w->generation & 1 || *(volatile __u32 *)&p->generation != w->generation)
		(void)walk_cut(w, STAT_CUT_CHANGED);
}

/* Walks from the registers in the walk's state, and interns. */
__weak __noinline __u32 stack_capture(__u32 at)
{
	struct walk *w = walk_at(at);
	__u32 stack;

	if (!w)
		return SEEP_STACK_UNKNOWN;
	/* At least a step for each frame; trampolines take one more. */
	for (__u32 i = 0; i < 2 * SEEP_MAX_FRAMES; i++) {
		if (unwind_steps(at))
			break;
	}
	check_generation(w);
	stack = stack_find(w);
	memo_end(w, stack);
	return stack;
}

/* The entry's caller, whose return address is at sp, or in the link register. */
static __always_inline void start_at_entry(struct walk *w)
{
	w->is_exact = 0;
	w->is_certain = 1;
#if defined(__TARGET_ARCH_x86)
	w->pc = w->window[0];
	w->return_slot = w->start_sp;
	w->sp = w->start_sp + 8;
	memo_record(w, w->start_sp, w->pc);
#elif defined(__TARGET_ARCH_arm64)
	w->pc = CODE_ADDRESS(w->link);
	w->return_slot = 0;
	w->sp = w->start_sp;
#endif
}

static __always_inline void start_at_pc(struct walk *w)
{
	w->stack.flags = STACK_PRECISE_PC;
	w->pc = w->start_pc;
	w->sp = w->start_sp;
	w->is_exact = 1;
	w->is_certain = 1;
	w->has_link = 1;
	w->return_slot = 0;
}

static __always_inline bool memo_is_wanted(struct thread *t)
{
	if (!config.memo)
		return false;
	if (t->memo_rest) {
		t->memo_rest--;
		return false;
	}
	if (++t->memo_asked < MEMO_TRIAL)
		return true;
	if (t->memo_known < MEMO_TRIAL / 4)
		t->memo_rest = MEMO_REST;
	t->memo_asked = t->memo_known = 0;
	return true;
}

static __always_inline void walk_start(struct context *c, struct walk *w,
				       const struct memo_start *start)
{
	struct thread *t = c->thread;
	__u32 slot = t->slot;
	struct unwind_process *p = bpf_map_lookup_elem(&unwind_processes, &slot);

	w->slot = slot;
	w->proc = start->proc;
	w->generation = start->generation;
	w->first_mapping = p ? p->first : 0;
	w->nr_mappings = p ? p->nr : 0;
	w->start_pc = start->pc;
	w->start_sp = start->sp;
	w->start_fp = w->fp = start->fp;
	w->start_link = w->link = start->link;
	w->fp_state = FP_HERE;
	w->fp_is_first = 1;
	w->used_fp = 0;
	w->by_pointer = 0;
	w->has_link = 0;
	w->keep = 1;
	w->cut = STAT_NR;
	w->memo = MEMO_NONE;
	w->stack_top = t->stack_top;
	w->highest = start->sp;
	w->gap = 0;
	w->next_bytes = WINDOW_NEXT / 2;
	w->hash = hash_step(0, c->proc);
	w->stack.proc = c->proc;
	w->stack.nr = 0;
	w->stack.flags = 0;
}

/* What the next walk of this thread may go by. */
static __always_inline void walk_remember(struct thread *t, const struct walk *w)
{
	if (w->stack.flags & STACK_PARTIAL)
		return;
	t->stack_top = w->highest;
	t->window_end = w->gap ?: w->highest;
}

static __always_inline void count_walk(struct context *c, const struct walk *w)
{
	__u32 cut = *(volatile __u32 *)&w->cut;

	if (cut < STAT_NR)
		count_in(c->counters, cut, 1);
	if (w->by_pointer)
		count_in(c->counters, STAT_STACKS_BY_POINTER, 1);
}

static __always_inline __u32 stack_walk(struct context *c, struct walk *w, __u32 at)
{
	__u32 stack;

	if (w->start_pc)
		start_at_pc(w);
	else
		start_at_entry(w);
	w->by_pointer = 0;
	stack = stack_capture(at);
	walk_remember(c->thread, w);
	return stack;
}

/* known: the stack's id if the memo has told it already. */
static __always_inline __u32 stack_known_or_walked(struct context *c, struct walk *w, __u32 at,
						   bool memo_is_asked, __u32 known, bool urgent)
{
	struct memo_start start = memo_start_of(w);
	__u32 stack;
	__u64 tag;
	__u64 bytes = c->thread->window_end - w->start_sp;
	bool readable = !window_read(w, w->start_sp, bytes <= WINDOW_BYTES ? bytes : WINDOW_FIRST);

	if (!readable && !w->start_pc)
		return stack_unknown(w, STAT_STACKS_EMPTY);
	if (!readable || !memo_is_asked)
		return stack_walk(c, w, at);
	tag = memo_tag(&start, w->window[0]);
	if (known == SEEP_STACK_UNKNOWN)
		known = urgent ? memo_find_here(w, at, tag) : memo_find(at, tag);
	if (known != SEEP_STACK_UNKNOWN) {
		c->thread->memo_known++;
		if (!config.check_stacks)
			return known;
		count_in(c->counters, STAT_MEMO_HITS, 1);
	}
	/* The comparison may have gone elsewhere. */
	if (w->window_base != w->start_sp && window_read(w, w->start_sp, WINDOW_FIRST))
		return stack_unknown(w, STAT_STACKS_EMPTY);
	if (known == SEEP_STACK_UNKNOWN)
		memo_begin(w, tag);
	stack = stack_walk(c, w, at);
	if (config.check_stacks && known != SEEP_STACK_UNKNOWN && stack != known &&
	    w->cut != STAT_CUT_CHANGED)
		count_in(c->counters, STAT_MEMO_WRONG, 1);
	return stack;
}

static __always_inline __u32 generation_of(struct context *c)
{
	__u32 slot = c->thread->slot;
	struct unwind_process *p = bpf_map_lookup_elem(&unwind_processes, &slot);

	return p ? *(volatile __u32 *)&p->generation : 0;
}

/*
 * Where a walk of the current stack starts. pc 0: at a function's entry, sp is where the return address is, or link holds
 * it (arm64). Otherwise at the instruction pc.
 */
static __always_inline struct memo_start stack_start(struct context *c, __u64 pc, __u64 sp,
						     __u64 fp, __u64 link)
{
	return (struct memo_start){.pc = pc,
				   .sp = sp,
				   .fp = fp,
				   .link = link,
				   .proc = c->proc,
				   .generation = generation_of(c)};
}

/* The id of the stack that starts so; SEEP_STACK_UNKNOWN has been counted. urgent: see call_enters(). */
static __always_inline __u32 stack_from(struct context *c, const struct memo_start *start,
					bool memo_is_asked, __u32 known, bool urgent)
{
	struct walk *w;
	__u32 at, id;

	w = walk_begin(&at);
	if (!w) {
		count_in(c->counters, STAT_STACKS_BUSY, 1);
		return SEEP_STACK_UNKNOWN;
	}
	walk_start(c, w, start);
	id = stack_known_or_walked(c, w, at, memo_is_asked, known, urgent);
	count_walk(c, w);
	walk_end(w);
	return id;
}

static __always_inline __u32 stack_of(struct context *c, __u64 pc, __u64 sp, __u64 fp, __u64 link)
{
	struct memo_start start = stack_start(c, pc, sp, fp, link);

	return stack_from(c, &start, memo_is_wanted(c->thread), SEEP_STACK_UNKNOWN, false);
}

#endif
