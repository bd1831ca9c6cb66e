/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of one walk over a user stack, and reading that stack.
 *
 * All of it lies in an array, some places for each CPU: a program may be preempted in the middle of a
 * walk, and the next one on that CPU takes the next place. Functions of the walk get the place's number
 * and look it up again: numbers are what every verifier takes as arguments, and an array lookup is a few
 * instructions. The verifier then checks each function once, and not for every path to it.
 *
 * A read of 1 KiB costs little more than one of 8 bytes, so the stack is read in windows. It must not be
 * read past its end, however: a read that faults costs ten times as much. The thread remembers how far up
 * its stack has been seen to go.
 */
#ifndef SEEP_WALK_BPF_H
#define SEEP_WALK_BPF_H

#include "common.bpf.h"

#define WINDOW_WORDS 4096 /* 32 KiB */
#define WINDOW_BYTES (WINDOW_WORDS * 8)
#define WINDOW_FIRST 512 /* bytes to read when nothing is known of a stack */
#define WINDOW_NEXT 4096 /* and further up; twice as many each time */
#define GAP_BYTES 8192	 /* a frame larger than this is not read for the next one's sake */
#define STACK_BYTES_MAX                                                                            \
	(64 << 20) /* what lies further below a thread's stack top is on another stack */
#define MEMO_NONE (~0U)

enum walk_frame_pointer {
	FP_HERE = 0,  /* in walk.fp */
	FP_SAVED = 1, /* at walk.fp_slot */
	FP_LOST = 2,
};

struct walk {
	__u32 busy;
	__u32 proc;
	/* struct unwind_process, as it was at the start */
	__u32 generation;
	__u32 first_mapping;
	__u32 nr_mappings;
	__u32 slot;

	/* The frame at hand. Its caller's registers are looked for. */
	__u64 pc, sp, fp, link;
	__u64 origin; /* of the code at pc, where a frame has it */
	__u64 fp_slot;
	__u64 return_slot; /* where pc was read; 0: nowhere */
	__u8 fp_state;	   /* enum walk_frame_pointer */
	__u8 is_exact;	   /* pc is the instruction itself, not the one after a call */
	__u8 is_certain;   /* pc was found by a table: it is code, known to us or not */
	__u8 has_link;	   /* arm64: the link register has not been spilled yet */
	__u8 fp_is_first;  /* fp is still the one that the walk began with */
	__u8 used_fp;	   /* ... and was needed */
	__u8 by_pointer;   /* a frame pointer was followed */
	__u8 keep;	   /* the memo may keep it */
	__u32 cut;	   /* enum seep_stat: why the stack is cut or unknown; STAT_NR: it is not */
	__u32 row;	   /* of pc: cfa, and fp above it */

	__u64 hash;
	__u64 start_pc, start_sp, start_fp, start_link;
	__u64 stack_top;  /* struct thread */
	__u64 highest;	  /* behind the highest word read */
	__u64 gap;	  /* where the first large frame begins; 0: none yet */
	__u32 next_bytes; /* to be read when the window moves */
	__u32 memo;	  /* where this walk is being recorded; MEMO_NONE */
	__u32 nr_words;	  /* recorded */
	__u32 turn;
	__u32 compared; /* words of a memo's entry, so far; and where the next one is */
	__u64 wanted;
	__u64 window_base;
	__u64 window_bytes;
	struct stack_value stack;
	__u64 window[WINDOW_WORDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SEEP_WALK_LEVELS);
	__type(key, __u32);
	__type(value, struct walk);
} walks SEC(".maps") __weak;

static __always_inline struct walk *walk_at(__u32 at)
{
	return bpf_map_lookup_elem(&walks, &at);
}

static __always_inline bool walk_take(struct walk *w)
{
	if (*(volatile __u32 *)&w->busy)
		return false;
	return !__sync_lock_test_and_set(&w->busy, 1);
}

static __always_inline struct walk *walk_begin(__u32 *at)
{
	__u32 first = bpf_get_smp_processor_id() * SEEP_WALK_LEVELS;
	struct walk *w;

#pragma unroll
	for (__u32 level = 0; level < SEEP_WALK_LEVELS; level++) {
		*at = first + level;
		w = walk_at(*at);
		if (w && walk_take(w))
			return w;
	}
	return NULL;
}

static __always_inline void walk_end(struct walk *w)
{
	barrier();
	*(volatile __u32 *)&w->busy = 0;
}

/* Reads so many bytes at addr, or fewer where the stack is known to end or cannot be read. */
static __always_inline int window_read(struct walk *w, __u64 addr, __u64 bytes)
{
	__u64 room = w->stack_top - addr;

	/* Not below that top, so that says nothing of this stack: stay on the page. */
	if (room > STACK_BYTES_MAX) {
		room = PAGE_BYTES - (addr & (PAGE_BYTES - 1));
		if (bytes > WINDOW_FIRST)
			bytes = WINDOW_FIRST;
	}
	if (bytes > room)
		bytes = room;
	if (bytes > WINDOW_BYTES)
		bytes = WINDOW_BYTES;
	w->window_base = addr;
	if (bytes < 8 || bpf_probe_read_user(w->window, bytes, (void *)addr)) {
		bytes = 8;
		if (bpf_probe_read_user(w->window, 8, (void *)addr)) {
			w->window_bytes = 0;
			return -1;
		}
	}
	w->window_bytes = bytes;
	return 0;
}

/* The window must be at addr. A function of its own: rare, and needed in many places. */
__weak __noinline int window_move(__u32 at, __u64 addr)
{
	struct walk *w = walk_at(at);

	if (!w)
		return -1;
	if (w->next_bytes < WINDOW_BYTES)
		w->next_bytes *= 2;
	return window_read(w, addr, w->next_bytes);
}

#endif
