/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A memo of stacks walked before: most programs allocate from few places again and again.
 *
 * A walk is a function of where it starts, of the tables, and of the words of the stack that it reads. An
 * entry holds all of these: pc, stack pointer, the mappings' generation, each word with its place, and
 * the frame pointer if the walk needed the one it began with. When all are unchanged, so is the stack.
 * Return addresses alone would not do: with alloca() they may all be the same, left by another call.
 *
 * The tags of a set of entries lie side by side: an entry is looked at only if it may well match, for each
 * costs some lines of cache and, in a guest, a dear miss of the TLB.
 *
 * Entries are shared by all CPUs. seq is odd while somebody writes, who alone does so; a reader that finds
 * it changed has read nothing.
 */
#ifndef SEEP_MEMO_BPF_H
#define SEEP_MEMO_BPF_H

#include "walk.bpf.h"

#define MEMO_SETS 256
#define MEMO_WAYS 4
#define MEMO_ENTRIES (MEMO_SETS * MEMO_WAYS)
#define MEMO_WORDS 96	       /* that a walk may read, to be kept */
#define MEMO_SPAN (0xffff * 8) /* ... not further than this from the first */

struct memo {
	__u32 seq;
	__u32 stack; /* the id */
	__u32 proc;
	__u32 generation;
	__u64 pc, sp, fp, link;
	__u32 nr_words;
	__u32 span; /* bytes from sp to behind the highest word */
	__u8 needs_fp;
	__u8 by_pointer;
	__u64 word[MEMO_WORDS];
	__u16 place[MEMO_WORDS]; /* in words from sp */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MEMO_ENTRIES);
	__type(key, __u32);
	__type(value, struct memo);
} memos SEC(".maps") __weak;

/* Hints, written without a lock. */
struct memo_set {
	__u64 tag[MEMO_WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MEMO_SETS);
	__type(key, __u32);
	__type(value, struct memo_set);
} memo_sets SEC(".maps") __weak;

static __always_inline __u32 memo_seq(struct memo *m)
{
#if defined(__TARGET_ARCH_arm64)
	return __sync_fetch_and_add(&m->seq, 0); /* in order with what is read before and after */
#else
	__u32 seq;

	barrier();
	seq = *(volatile __u32 *)&m->seq;
	barrier();
	return seq;
#endif
}

/* Where a walk starts, and with which tables. */
struct memo_start {
	__u64 pc, sp, fp, link;
	__u32 proc, generation;
};

static __always_inline struct memo_start memo_start_of(const struct walk *w)
{
	return (struct memo_start){
		.pc = w->start_pc,
		.sp = w->start_sp,
		.fp = w->start_fp,
		.link = w->start_link,
		.proc = w->proc,
		.generation = w->generation,
	};
}

/* What tells stacks apart before they are walked: where they start, and the first word. Never 0. */
static __always_inline __u64 memo_tag(const struct memo_start *start, __u64 first_word)
{
	__u64 pc = start->pc ?: start->link ?: first_word;
	__u64 x = (pc ^ start->sp << 20) * 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 31 ^ (__u64)start->proc << 32 ^ start->generation) * 0xbf58476d1ce4e5b9ULL;
	return (x ^ x >> 32) | 1;
}

static __always_inline __u32 memo_set_of(__u64 tag)
{
	return tag >> 56; /* MEMO_SETS of them */
}

/* The entry of a way of a set if it may well be of this tag; NULL. */
static __always_inline struct memo *memo_in_way(const struct memo_set *set, __u32 nr, __u32 way,
						__u64 tag)
{
	__u32 entry = nr * MEMO_WAYS + way;

	return set->tag[way] == tag ? bpf_map_lookup_elem(&memos, &entry) : NULL;
}

/* Takes an entry to record the walk in; none when another CPU has it. */
static __always_inline void memo_begin(struct walk *w, __u64 tag)
{
	__u32 nr = memo_set_of(tag), way = w->turn++ & (MEMO_WAYS - 1);
	__u32 entry = nr * MEMO_WAYS + way, seq;
	struct memo_set *set = bpf_map_lookup_elem(&memo_sets, &nr);
	struct memo *m = bpf_map_lookup_elem(&memos, &entry);

	if (!m || !set)
		return;
	seq = memo_seq(m);
	if (seq & 1 || __sync_val_compare_and_swap(&m->seq, seq, seq + 1) != seq)
		return;
	m->proc = 0; /* no process: an entry that is given up matches nothing */
	set->tag[way] = tag;
	w->memo = entry;
	w->nr_words = 0;
}

static __always_inline void memo_unlock(struct memo *m)
{
#if defined(__TARGET_ARCH_arm64)
	__sync_fetch_and_add(&m->seq, 1);
#else
	barrier();
	*(volatile __u32 *)&m->seq = m->seq + 1;
#endif
}

/* The walk has read this word. */
static __always_inline void memo_record(struct walk *w, __u64 addr, __u64 word)
{
	__u64 place = addr - w->start_sp;
	__u32 entry = w->memo, nr = w->nr_words;
	struct memo *m;

	if (addr + 8 > w->highest)
		w->highest = addr + 8;
	if (entry == MEMO_NONE)
		return;
	m = bpf_map_lookup_elem(&memos, &entry);
	if (!m)
		return;
	if (nr >= MEMO_WORDS || place > MEMO_SPAN || place & 7) {
		w->keep = 0;
		return;
	}
	m->word[nr] = word;
	m->place[nr] = place >> 3;
	w->nr_words = nr + 1;
}

/* The walk has ended with this stack. */
static __always_inline void memo_end(struct walk *w, __u32 stack)
{
	__u32 entry = w->memo;
	struct memo *m;

	if (entry == MEMO_NONE)
		return;
	m = bpf_map_lookup_elem(&memos, &entry);
	if (!m)
		return;
	if (w->keep && stack != SEEP_STACK_UNKNOWN && w->nr_words) {
		m->stack = stack;
		m->generation = w->generation;
		m->pc = w->start_pc;
		m->sp = w->start_sp;
		m->fp = w->start_fp;
		m->link = w->start_link;
		m->needs_fp = w->used_fp;
		m->by_pointer = w->by_pointer;
		m->nr_words = w->nr_words;
		m->span = w->highest - w->start_sp;
		m->proc = w->proc;
	}
	memo_unlock(m);
	w->memo = MEMO_NONE;
}

#endif
