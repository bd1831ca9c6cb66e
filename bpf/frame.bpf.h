/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame that a walk is at: its words, its frame pointer, and the way to the next.
 *
 * The frame pointer is read late. Few functions compute their frame from it, so a step only notes where it
 * was saved.
 */
#ifndef SEEP_FRAME_BPF_H
#define SEEP_FRAME_BPF_H

#include "memo.bpf.h"
#include "rows.bpf.h"

#define FRAME_BYTES_MAX (1 << 20) /* a frame record further away than this is no frame record */

enum step {
	STEP_ON = 0,
	STEP_END = 1, /* the outermost frame, or a cut: walk.cut tells */
};

/* In the signal's frame, from the stack pointer of the code that returns from it. */
#if defined(__TARGET_ARCH_x86)
/* struct rt_sigframe behind pretcode: ucontext, its mcontext at 40; arch/x86/include/uapi/asm/sigcontext.h */
#define SIGNAL_FP 120
#define SIGNAL_SP 160
#define SIGNAL_PC 168
#define CODE_ADDRESS(pc) (pc)
#elif defined(__TARGET_ARCH_arm64)
/* struct rt_sigframe: siginfo of 128 bytes, ucontext, its mcontext at 176; regs[] behind the fault address */
#define SIGNAL_REGS 312
#define SIGNAL_FP (SIGNAL_REGS + 8 * 29)
#define SIGNAL_LINK (SIGNAL_REGS + 8 * 30)
#define SIGNAL_SP (SIGNAL_REGS + 8 * 31)
#define SIGNAL_PC (SIGNAL_REGS + 8 * 32)
/* Return addresses may be signed, in the bits that no user address has. */
#define CODE_ADDRESS(pc) ((pc)&0xffffffffffffULL)
#endif

static __always_inline int walk_cut(struct walk *w, __u32 stat)
{
	w->stack.flags |= STACK_PARTIAL;
	w->cut = stat;
	w->keep = 0;
	return STEP_END;
}

/* A rule asked for a word that is not to be had. */
static __always_inline int walk_cut_read(struct walk *w)
{
	return walk_cut(w, w->fp_state == FP_LOST ? STAT_CUT_UNSUPPORTED : STAT_CUT_UNREADABLE);
}

static __always_inline int word_read(struct walk *w, __u32 at, __u64 addr, __u64 *word)
{
	__u64 place = addr - w->window_base;

	if (place & 7 || place + 8 > w->window_bytes || place > WINDOW_BYTES) {
		if (window_move(at, addr))
			return -1;
		place = 0;
	}
	*word = w->window[(place >> 3) & (WINDOW_WORDS - 1)];
	memo_record(w, addr, *word);
	return 0;
}

static __always_inline int fp_read(struct walk *w, __u32 at, __u64 *fp)
{
	if (w->fp_state == FP_LOST)
		return -1;
	if (w->fp_state == FP_SAVED) {
		if (word_read(w, at, w->fp_slot, &w->fp))
			return -1;
		w->fp_state = FP_HERE;
		w->fp_is_first = 0;
	}
	if (w->fp_is_first)
		w->used_fp = 1;
	*fp = w->fp;
	return 0;
}

static __always_inline void fp_saved_at(struct walk *w, __u64 slot)
{
	w->fp_slot = slot;
	w->fp_state = FP_SAVED;
}

static __always_inline __u64 hash_step(__u64 hash, __u64 word)
{
	__u64 x = (word ^ hash) * 0x9e3779b97f4a7c15ULL;

	return x ^ x >> 32;
}

/* False: there is no more room. */
static __always_inline bool frame_push(struct walk *w)
{
	__u32 nr = *(volatile __u16 *)&w->stack.nr; /* checked anew for the verifier */
	__u64 frame = (w->pc & SEEP_FRAME_ADDRESS) | w->origin;

	if (nr >= config.max_frames || nr >= SEEP_MAX_FRAMES)
		return false;
	w->stack.frame[nr] = w->is_exact && nr ? frame | SEEP_FRAME_EXACT : frame;
	w->stack.nr = nr + 1;
	w->hash = hash_step(w->hash, frame);
	return true;
}

/* What lies above a large frame is better read when it is needed. */
static __always_inline void note_gap(struct walk *w, __u64 sp, __u64 cfa)
{
	if (cfa - sp > GAP_BYTES && !w->gap)
		w->gap = sp;
}

/* To the caller: its stack pointer, and its pc, read at slot. A return address of 0 is the end by convention. */
static __always_inline int to_caller(struct walk *w, __u64 cfa, __u64 pc, __u64 slot)
{
	note_gap(w, w->sp, cfa);
	w->sp = cfa;
	w->pc = CODE_ADDRESS(pc);
	w->return_slot = slot;
	w->is_exact = 0;
	w->has_link = 0;
	return pc ? STEP_ON : STEP_END;
}

#endif
