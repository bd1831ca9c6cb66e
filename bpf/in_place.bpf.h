/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stacks that the memo has, compared without a window: word by word, where the kernel has them (direct.bpf.h). Nothing of a
 * walk is needed for that. Most allocations end here.
 *
 * Only one object may include this: the linker of libbpf 1.1 cannot make one of two objects that call the same function
 * of the kernel's.
 */
#ifndef SEEP_IN_PLACE_BPF_H
#define SEEP_IN_PLACE_BPF_H

#include "direct.bpf.h"
#include "stack.bpf.h"

#define KNOWN_BY_POINTER (1ULL << 32)

/* Where the kernel has the words of one page of a stack: those of addresses in [start, end) lie at `shift` beyond them. */
struct placed {
	__u64 start, end, shift;
};

/* addr is a multiple of 8. False: it is not known where that is. */
static __always_inline bool placed_at(struct placed *p, const struct task_struct *task, __u64 addr)
{
	__u64 at;

	if (addr >= p->start && addr < p->end)
		return true;
	at = direct_address(task, addr);
	p->start = addr & ~(__u64)(PAGE_BYTES - 1);
	p->end = p->start + PAGE_BYTES;
	p->shift = at - addr;
	return at;
}

static __always_inline bool memo_is_in_place(const struct memo *m, struct placed *p,
					     const struct task_struct *task)
{
	__u32 nr = m->nr_words;
	__u64 addr;

	for (__u32 i = 0; i < MEMO_WORDS; i++) {
		barrier_var(i);
		if (i >= MEMO_WORDS || i >= nr)
			return true;
		addr = m->sp + m->place[i] * 8ULL;
		if (!placed_at(p, task, addr) || direct_word(addr + p->shift) != m->word[i])
			return false;
	}
	return true;
}

/* The stack's id, with KNOWN_BY_POINTER where a frame pointer was followed; SEEP_STACK_UNKNOWN: ask otherwise. */
static __always_inline __u64 memo_find_in_place(const struct memo_start *start,
						const struct task_struct *task)
{
	struct placed p = {};
	__u32 nr, entry, seq;
	struct memo_set *set;
	struct memo *m;
	__u64 tag, found;

	if (start->sp & 7 || !placed_at(&p, task, start->sp))
		return SEEP_STACK_UNKNOWN;
	tag = memo_tag(start, direct_word(start->sp + p.shift));
	nr = memo_set_of(tag);
	set = bpf_map_lookup_elem(&memo_sets, &nr);
	if (!set)
		return SEEP_STACK_UNKNOWN;
	for (__u32 way = 0; way < MEMO_WAYS; way++) {
		entry = nr * MEMO_WAYS + way;
		if (set->tag[way] != tag)
			continue;
		m = bpf_map_lookup_elem(&memos, &entry);
		if (!m)
			continue;
		seq = memo_seq(m);
		if (seq & 1 || !memo_is_of(m, start) || !memo_is_in_place(m, &p, task))
			continue;
		found = m->stack | (m->by_pointer ? KNOWN_BY_POINTER : 0);
		if (memo_seq(m) == seq)
			return found;
	}
	return SEEP_STACK_UNKNOWN;
}

/*
 * The same as a function of its own, which a verifier checks once: in each program it finds all the ways through the loop
 * too many.
 */
__weak __noinline __u64 memo_find_placed(__u64 proc_and_generation, __u64 pc, __u64 sp, __u64 fp,
					 __u64 link)
{
	struct memo_start start = {.pc = pc,
				   .sp = sp,
				   .fp = fp,
				   .link = link,
				   .proc = proc_and_generation >> 32,
				   .generation = proc_and_generation};

	return memo_find_in_place(&start, current_task());
}

/* Is it a stack that the memo has, seen where the kernel has it? SEEP_STACK_UNKNOWN: that cannot be said so quickly. */
static __always_inline __u32 stack_in_place(struct context *c, const struct memo_start *start)
{
	__u64 known;

	if (!config.casts)
		return SEEP_STACK_UNKNOWN;
	known = memo_find_placed((__u64)start->proc << 32 | start->generation, start->pc, start->sp,
				 start->fp, start->link);
	/* Where all are checked, the walk counts. */
	if (known & KNOWN_BY_POINTER && !config.check_stacks)
		count_in(c->counters, STAT_STACKS_BY_POINTER, 1);
	return known;
}

/* The id of the stack of a call that is about to begin; SEEP_STACK_UNKNOWN has been counted. urgent: see call_enters(). */
static __always_inline __u32 stack_of_call(struct context *c, __u64 sp, __u64 fp, __u64 link,
					   bool urgent)
{
	struct memo_start start = stack_start(c, 0, sp, fp, link);
	bool memo_is_asked = memo_is_wanted(c->thread);
	__u32 known = SEEP_STACK_UNKNOWN;

	if (memo_is_asked)
		known = stack_in_place(c, &start);
	if (known == SEEP_STACK_UNKNOWN || config.check_stacks)
		return stack_from(c, &start, memo_is_asked, known, urgent);
	c->thread->memo_known++;
	return known;
}

#endif
