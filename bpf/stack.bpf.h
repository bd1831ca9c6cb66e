/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stacks: walking the current thread's and giving them ids.
 *
 * The rest of the programs knows only stack_of(): registers in, an id out. How the frames are found
 * is private to this file.
 *
 * The walk here follows frame pointers. The kernel's own walk would lose the caller: at a
 * function's first instruction the caller's return address is still only at the stack pointer, and
 * the kernel allows for that only where the probed byte is 0x55. Ours starts with that word. It reads the stack
 * in windows: one read of 1 KiB costs little more than one of 8 bytes.
 *
 * A frame record is [fp] = the caller's fp, [fp + 8] = the return address, on x86-64 and arm64.
 */
#ifndef SEEP_STACK_BPF_H
#define SEEP_STACK_BPF_H

#include "common.bpf.h"

#define STACK_PROBES 8		  /* neighbours tried when another stack has the same hash */
#define FRAME_BYTES_MAX (1 << 20) /* a frame record further away than this is no frame record */
#define USER_CODE_MIN 4096

/* Where a walk starts. */
struct walk {
	__u64 fp;
	__u64 sp;
	__u64 hash;
};

static __always_inline __u64 hash_step(__u64 hash, __u64 word)
{
	__u64 x = (word ^ hash) * 0x9e3779b97f4a7c15ULL;

	return x ^ x >> 32;
}

static __always_inline void stack_start(struct thread *t, struct walk *w, __u64 sp, __u64 fp)
{
	w->sp = sp;
	w->fp = fp;
	w->hash = hash_step(0, t->stack.proc);
	t->stack.nr = 0;
	t->stack.flags = 0;
	t->window_base = sp & ~7ULL;
	if (bpf_probe_read_user(t->window, sizeof(t->window), (void *)t->window_base))
		t->window_base = ~0ULL;
}

static __always_inline void stack_push(struct thread *t, struct walk *w, __u64 pc)
{
	__u32 nr = *(volatile __u16 *)&t->stack.nr; /* checked anew for the verifier */

	if (nr >= SEEP_MAX_FRAMES)
		return;
	t->stack.frame[nr] = pc;
	t->stack.nr = nr + 1;
	w->hash = hash_step(w->hash, pc);
}

/* Reads two words at an aligned address: from the window, or a new window, or just these. */
static __always_inline int read_pair(struct thread *t, __u64 addr, __u64 *first, __u64 *second)
{
	__u64 at = addr - t->window_base, pair[2];

	if (at > (WINDOW_WORDS - 2) * 8) {
		if (bpf_probe_read_user(t->window, sizeof(t->window), (void *)addr)) {
			t->window_base = ~0ULL;
			if (bpf_probe_read_user(pair, sizeof(pair), (void *)addr))
				return -1;
			*first = pair[0];
			*second = pair[1];
			return 0;
		}
		t->window_base = addr;
		at = 0;
	}
	at >>= 3;
	*first = t->window[at & (WINDOW_WORDS - 1)];
	*second = t->window[(at + 1) & (WINDOW_WORDS - 1)];
	return 0;
}

static __always_inline bool may_be_code(const struct slot_value *slot, __u64 pc)
{
	if (!slot->nr_ranges)
		return pc >= USER_CODE_MIN;
#pragma unroll
	for (__u32 i = 0; i < SEEP_CODE_RANGES; i++) {
		/* Unused ranges are empty. */
		if (pc - slot->start[i] < slot->end[i] - slot->start[i])
			return true;
	}
	return false;
}

/* The callers, from the frame record at w->fp on. */
static __always_inline void walk_frame_pointers(struct thread *t, struct walk *w,
						const struct slot_value *slot)
{
	__u64 fp = w->fp, low = w->sp, next, pc;

	for (__u32 i = 0; i < SEEP_MAX_FRAMES; i++) {
		/* _start and clone() enter the outermost function with a frame pointer of zero. */
		if (!fp)
			return;
		if (t->stack.nr >= config.max_frames) {
			t->stack.flags |= STACK_TRUNCATED;
			return;
		}
		if (fp < low || fp - low > FRAME_BYTES_MAX || fp & 7)
			break;
		if (read_pair(t, fp, &next, &pc))
			break;
		if (!may_be_code(slot, pc))
			break;
		stack_push(t, w, pc);
		low = fp + 16;
		fp = next;
	}
	t->stack.flags |= STACK_PARTIAL;
}

static __always_inline bool stack_same(const struct stack_value *a, const struct stack_value *b)
{
	__u64 differ = 0;

	if (a->nr != b->nr || a->proc != b->proc || a->flags != b->flags)
		return false;
	for (__u32 i = 0; i < SEEP_MAX_FRAMES; i++) {
		if (i >= a->nr)
			break;
		differ |= a->frame[i] ^ b->frame[i];
	}
	return !differ;
}

/* The id of the stack in t->stack. */
static __always_inline __u32 stack_find(struct thread *t, __u32 hash)
{
	struct stack_value *known;
	int err;

	if (!t->stack.nr) {
		t->stack_stat = STAT_STACKS_EMPTY;
		return SEEP_STACK_UNKNOWN;
	}
	hash &= config.stack_hash_mask;
	for (__u32 i = 0; i < STACK_PROBES; i++) {
		__u32 id = hash + i + 1;

		if (id == SEEP_STACK_UNKNOWN)
			continue;
		known = bpf_map_lookup_elem(&stacks, &id);
		if (!known) {
			err = bpf_map_update_elem(&stacks, &id, &t->stack, BPF_NOEXIST);
			if (!err)
				return id;
			/* Another CPU may have put a stack there at the same moment. */
			known = bpf_map_lookup_elem(&stacks, &id);
			if (!known) {
				t->stack_stat = STAT_STACKS_FULL;
				return SEEP_STACK_UNKNOWN;
			}
		}
		if (stack_same(known, &t->stack))
			return id;
	}
	t->stack_stat = STAT_STACK_COLLISIONS;
	return SEEP_STACK_UNKNOWN;
}

/*
 * The same; a loop that allocates at one place has the stack that its thread had before. That is told
 * by all 64 bits of the hash and the number of frames, without the table.
 */
static __always_inline __u32 stack_intern(struct thread *t, __u64 hash)
{
	__u32 id;

	hash ^= t->stack.flags;
	if (hash == t->last_hash && t->stack.nr == t->last_nr)
		return t->last_stack;
	id = stack_find(t, hash >> 32);
	if (id != SEEP_STACK_UNKNOWN) {
		t->last_hash = hash;
		t->last_nr = t->stack.nr;
		t->last_stack = id;
	}
	return id;
}

/*
 * Walks and interns. A function of its own, with numbers for arguments, because the verifier then
 * checks it once and not for every path that leads to it.
 *
 * pc 0: at a function's entry, sp is where the return address is, or link holds it (arm64).
 * Otherwise at the instruction pc. If that is in a leaf function without a frame, its caller's return
 * address is the word at sp; else that word is data. Which of the two, is seen by who knows where
 * code is: userspace.
 */
__weak __noinline __u32 stack_capture(__u64 pc, __u64 sp, __u64 fp, __u64 link)
{
	struct thread *t = thread_find();
	struct slot_value *slot;
	struct walk w;
	__u32 nr;

	if (!t)
		return SEEP_STACK_UNKNOWN;
	nr = t->slot;
	slot = bpf_map_lookup_elem(&slots, &nr);
	if (!slot)
		return SEEP_STACK_UNKNOWN;
	stack_start(t, &w, sp, fp);
#if defined(__TARGET_ARCH_x86)
	if (t->window_base == sp)
		link = t->window[0];
	else if (bpf_probe_read_user(&link, sizeof(link), (void *)sp))
		link = 0;
#endif
	if (pc) {
		t->stack.flags = STACK_PRECISE_PC;
		stack_push(t, &w, pc);
		if (link >= USER_CODE_MIN)
			t->stack.flags |= STACK_LEAF_GUESS;
	}
	if (link >= USER_CODE_MIN)
		stack_push(t, &w, link);
	walk_frame_pointers(t, &w, slot);
	return stack_intern(t, w.hash);
}

/* pc, sp, fp and link as for stack_capture(). */
static __always_inline __u32 stack_of(struct context *c, __u64 pc, __u64 sp, __u64 fp, __u64 link)
{
	__u32 id, stat;

	c->thread->stack.proc = c->proc;
	id = stack_capture(pc, sp, fp, link);
	if (id == SEEP_STACK_UNKNOWN) {
		stat = *(volatile __u32 *)&c->thread->stack_stat;
		if (stat < STAT_NR)
			count_in(c->counters, stat, 1);
	}
	return id;
}

#endif
