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

#define PLACED_PAGES 4 /* that a stack lies on, at most; a power of two */

/* How far beyond a page's addresses the kernel has it; 0: not looked for. */
struct placed {
	__u64 shift[PLACED_PAGES];
};

/* As direct_address(), verified once. */
__weak __noinline __u64 direct_find(__u64 addr)
{
	return direct_address(current_task(), addr);
}

/* The pages behind the first one, as far as a stack of so many bytes goes: false where one is not known. */
static __always_inline bool placed_reach(struct placed *p, __u64 sp, __u32 bytes)
{
	__u64 page = sp & ~(__u64)(PAGE_BYTES - 1), at;

#pragma unroll
	for (__u32 i = 1; i < PLACED_PAGES; i++) {
		page += PAGE_BYTES;
		if (p->shift[i] || sp + bytes <= page)
			continue;
		at = direct_find(page);
		if (!at)
			return false;
		p->shift[i] = at - page;
	}
	return true;
}

static __always_inline __u64 placed_shift(const struct placed *p, __u64 sp, __u64 addr)
{
	return p->shift[(addr / PAGE_BYTES - sp / PAGE_BYTES) & (PLACED_PAGES - 1)];
}

/* on_one_page is a constant: which page a word is on costs as much to say as to read it. */
static __always_inline bool memo_has_words(const struct memo *m, const struct placed *p, __u64 sp,
					   bool on_one_page)
{
	__u64 first = p->shift[0], addr;
	__u32 nr = m->nr_words;

	for (__u32 i = 0; i < MEMO_WORDS; i++) {
		barrier_var(i);
		if (i >= MEMO_WORDS || i >= nr)
			return true;
		addr = sp + m->place[i] * 8ULL;
		if (direct_word(addr + (on_one_page ? first : placed_shift(p, sp, addr))) !=
		    m->word[i])
			return false;
	}
	return true;
}

/* The first page is known, the others are looked for. */
static __always_inline bool memo_is_in_place(const struct memo *m, struct placed *p, __u64 sp)
{
	if ((sp & (PAGE_BYTES - 1)) + m->span <= PAGE_BYTES)
		return memo_has_words(m, p, sp, true);
	return m->span <= (PLACED_PAGES - 1) * PAGE_BYTES && placed_reach(p, sp, m->span) &&
	       memo_has_words(m, p, sp, false);
}

/* The stack's id, with KNOWN_BY_POINTER where a frame pointer was followed; SEEP_STACK_UNKNOWN: ask otherwise. */
static __always_inline __u64 memo_find_in_place(const struct memo_start *start,
						const struct task_struct *task)
{
	struct placed p = {};
	__u32 nr, seq;
	struct memo_set *set;
	struct memo *m;
	__u64 at = direct_address(task, start->sp), tag, found;

	if (!at || start->sp & 7)
		return SEEP_STACK_UNKNOWN;
	p.shift[0] = at - start->sp;
	tag = memo_tag(start, direct_word(at));
	nr = memo_set_of(tag);
	set = bpf_map_lookup_elem(&memo_sets, &nr);
	if (!set)
		return SEEP_STACK_UNKNOWN;
	for (__u32 way = 0; way < MEMO_WAYS; way++) {
		m = memo_in_way(set, nr, way, tag);
		if (!m)
			continue;
		seq = memo_seq(m);
		if (seq & 1 || !memo_is_of(m, start) || !memo_is_in_place(m, &p, start->sp))
			continue;
		found = m->stack | (m->by_pointer ? KNOWN_BY_POINTER : 0);
		if (memo_seq(m) == seq)
			return found;
	}
	return SEEP_STACK_UNKNOWN;
}

/* The same as a function of its own: verified once, not in each program. */
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
