/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a stack is one that the memo has: all words that its walk would read are the same. */
#ifndef SEEP_KNOWN_BPF_H
#define SEEP_KNOWN_BPF_H

#include "memo.bpf.h"

#define MEMO_MOVES 16 /* of the window, to compare one entry */

static __always_inline bool memo_is_of(const struct memo *m, const struct memo_start *start)
{
	return m->generation == start->generation && m->proc == start->proc && m->sp == start->sp &&
	       m->pc == start->pc && m->link == start->link && (!m->needs_fp || m->fp == start->fp);
}

/* The window begins where the stack does, and has all words. */
static __always_inline bool memo_is_in_window(const struct memo *m, const struct walk *w)
{
	__u32 nr = m->nr_words;

	for (__u32 i = 0; i < MEMO_WORDS; i++) {
		barrier_var(i);
		if (i >= MEMO_WORDS || i >= nr)
			return true;
		if (w->window[m->place[i] & (WINDOW_WORDS - 1)] != m->word[i])
			return false;
	}
	return true;
}

enum memo_compared {
	MEMO_DIFFERS = 0,
	MEMO_SAME = 1,
	MEMO_ELSEWHERE =
		2, /* the next word is not in the window: walk.compared is its number, walk.wanted its address */
};

/*
 * Compares the words from walk.compared on, as far as the window goes. There is no call in this loop: where there
 * is one, older verifiers follow each of its 2^96 ways.
 */
__weak __noinline int memo_compare(__u32 at, __u32 entry)
{
	struct memo *m = bpf_map_lookup_elem(&memos, &entry);
	struct walk *w = walk_at(at);
	__u64 place;
	__u32 i;

	if (!m || !w)
		return MEMO_DIFFERS;
	i = w->compared;
	for (__u32 turn = 0; turn < MEMO_WORDS; turn++, i++) {
		barrier_var(i);
		if (i >= m->nr_words)
			return MEMO_SAME;
		if (i >= MEMO_WORDS)
			return MEMO_DIFFERS;
		place = w->start_sp + m->place[i] * 8ULL - w->window_base;
		if (place > WINDOW_BYTES || place + 8 > w->window_bytes) {
			w->compared = i;
			w->wanted = place + w->window_base;
			return MEMO_ELSEWHERE;
		}
		if (w->window[place >> 3 & (WINDOW_WORDS - 1)] != m->word[i])
			return MEMO_DIFFERS;
	}
	return MEMO_SAME;
}

static __always_inline bool memo_is_same(struct walk *w, __u32 at, __u32 entry)
{
	int result;

	w->compared = 0;
	for (__u32 moves = 0; moves < MEMO_MOVES; moves++) {
		result = memo_compare(at, entry);
		if (result != MEMO_ELSEWHERE)
			return result == MEMO_SAME;
		if (window_move(at, w->wanted))
			return false;
	}
	return false;
}

/* The stack of an entry if it is that of the walk about to begin, else SEEP_STACK_UNKNOWN. */
__weak __noinline __u32 memo_match(__u32 at, __u32 entry)
{
	struct memo *m = bpf_map_lookup_elem(&memos, &entry);
	struct walk *w = walk_at(at);
	struct memo_start start;
	__u32 seq, stack;

	if (!m || !w)
		return SEEP_STACK_UNKNOWN;
	start = memo_start_of(w);
	seq = memo_seq(m);
	if (seq & 1 || !memo_is_of(m, &start) || !memo_is_same(w, at, entry))
		return SEEP_STACK_UNKNOWN;
	stack = m->stack;
	w->by_pointer = m->by_pointer;
	return memo_seq(m) == seq ? stack : SEEP_STACK_UNKNOWN;
}

/* Among the entries of a set with this tag, wherever their words are. */
__weak __noinline __u32 memo_find_far(__u32 at, __u64 tag)
{
	__u32 nr = memo_set_of(tag), stack;
	struct memo_set *set = bpf_map_lookup_elem(&memo_sets, &nr);

	if (!set)
		return SEEP_STACK_UNKNOWN;
	for (__u32 way = 0; way < MEMO_WAYS; way++) {
		if (set->tag[way] != tag)
			continue;
		stack = memo_match(at, nr * MEMO_WAYS + way);
		if (stack != SEEP_STACK_UNKNOWN)
			return stack;
	}
	return SEEP_STACK_UNKNOWN;
}

/*
 * The stack's id, or SEEP_STACK_UNKNOWN. The window holds the first words of the stack, which nearly always are all
 * that there is to compare: without a further call then, which would cost as much as ten words do.
 */
static __always_inline __u32 memo_find_here(struct walk *w, __u32 at, __u64 tag)
{
	__u32 nr = memo_set_of(tag), seq, stack;
	struct memo_set *set = bpf_map_lookup_elem(&memo_sets, &nr);
	struct memo_start start = memo_start_of(w);
	bool is_far = false;
	struct memo *m;

	if (!set)
		return SEEP_STACK_UNKNOWN;
	for (__u32 way = 0; way < MEMO_WAYS; way++) {
		m = memo_in_way(set, nr, way, tag);
		if (!m)
			continue;
		seq = memo_seq(m);
		if (m->span > w->window_bytes) {
			is_far = true;
			continue;
		}
		if (seq & 1 || !memo_is_of(m, &start) || !memo_is_in_window(m, w))
			continue;
		stack = m->stack;
		w->by_pointer = m->by_pointer;
		if (memo_seq(m) == seq)
			return stack;
	}
	return is_far ? memo_find_far(at, tag) : SEEP_STACK_UNKNOWN;
}

/* The same where it is not so urgent: verified once, not in each program. */
__weak __noinline __u32 memo_find(__u32 at, __u64 tag)
{
	struct walk *w = walk_at(at);

	return w ? memo_find_here(w, at, tag) : SEEP_STACK_UNKNOWN;
}

#endif
