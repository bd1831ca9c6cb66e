/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One step of a walk: from a frame to its caller's, by the row of its pc, or by its frame pointer where no
 * row says anything: code made at run time, mostly.
 */
#ifndef SEEP_UNWIND_BPF_H
#define SEEP_UNWIND_BPF_H

#include "fast.bpf.h"
#include "frame.bpf.h"

static __always_inline int step_from_signal(struct walk *w, __u32 at)
{
	__u64 frame = w->sp, pc, sp;

	if (word_read(w, at, frame + SIGNAL_SP, &sp) || word_read(w, at, frame + SIGNAL_PC, &pc))
		return walk_cut(w, STAT_CUT_UNREADABLE);
#if defined(__TARGET_ARCH_arm64)
	if (word_read(w, at, frame + SIGNAL_LINK, &w->link))
		return walk_cut(w, STAT_CUT_UNREADABLE);
#endif
	fp_saved_at(w, frame + SIGNAL_FP);
	(void)to_caller(w, sp, pc, 0);
	w->is_exact = 1;
	w->has_link = 1;
	w->is_certain = 1;
	return STEP_ON;
}

/* What the word at sp is, nobody knows: the return address of a function without a frame, or data. */
static __always_inline int guess_leaf(struct walk *w, __u32 at)
{
	__u64 word = w->link, pc = w->pc;

#if defined(__TARGET_ARCH_x86)
	if (word_read(w, at, w->sp, &word))
		return 0;
#endif
	if (word < USER_CODE_MIN)
		return 0;
	w->pc = CODE_ADDRESS(word);
	w->origin = 0;
	w->is_exact = 0;
	if (frame_push(w))
		w->stack.flags |= STACK_LEAF_GUESS;
	w->is_exact = 1;
	w->pc = pc;
	return 0;
}

/* cut: what to say when there is no frame pointer to follow. */
static __always_inline int step_by_pointer(struct walk *w, __u32 at, __u32 cut)
{
	__u64 fp, pc;

	if (w->is_exact && w->stack.nr == 1)
		guess_leaf(w, at);
	w->by_pointer = 1;
	if (fp_read(w, at, &fp))
		return walk_cut(w, cut);
	/*
	 * _start and clone() enter the outermost function with a frame pointer of zero. Code that has a
	 * table may hold any number there, zero too.
	 */
	if (!fp)
		return cut == STAT_CUT_NO_TABLE ? STEP_END : walk_cut(w, cut);
	if (fp < w->sp || fp - w->sp > FRAME_BYTES_MAX || fp & 7)
		return walk_cut(w, cut);
	if (word_read(w, at, fp + 8, &pc) || (!pc && cut != STAT_CUT_NO_TABLE))
		return walk_cut(w, cut);
	fp_saved_at(w, fp);
	w->is_certain = 0;
	return to_caller(w, fp + 16, pc, fp + 8);
}

static __always_inline int cfa_of(struct walk *w, __u32 at, __u32 cfa_rule, __u64 *cfa)
{
	__u64 base = w->sp;

	switch (ROW_KIND(cfa_rule)) {
	case ROW_SP:
		*cfa = base + ROW_VALUE(cfa_rule) * 8;
		return 0;
	case ROW_FP:
		if (fp_read(w, at, &base))
			return -1;
		*cfa = base + ROW_VALUE(cfa_rule) * 8;
		return 0;
	case ROW_DEREF:
		if (ROW_DEREF_ON_FP(cfa_rule) && fp_read(w, at, &base))
			return -1;
		base += (__s64)ROW_DEREF_OFFSET(cfa_rule) * 8;
		if (word_read(w, at, base, cfa))
			return -1;
		*cfa += ROW_DEREF_ADD(cfa_rule) * 8;
		return 0;
	default: /* a stub of lazy binding */
		*cfa = base + 8;
		if ((w->pc & 15) - !w->is_exact >= (ROW_VALUE(cfa_rule) == ROW_PLT11 ? 11 : 10))
			*cfa += 8;
		return 0;
	}
}

#if defined(__TARGET_ARCH_x86)
static __always_inline int step_by_row(struct walk *w, __u32 at, __u32 row)
{
	__s32 saved = (__s32)row >> 16;
	__u64 cfa, pc, fp;

	if (cfa_of(w, at, row & 0xffff, &cfa))
		return walk_cut_read(w);
	if (cfa <= w->sp && !w->is_exact)
		return walk_cut(w, STAT_CUT_BAD_FRAME);
	if (word_read(w, at, cfa - 8, &pc))
		return walk_cut(w, STAT_CUT_UNREADABLE);
	if (saved < 0) {
		fp_saved_at(w, cfa + (__s64)saved * 8);
	} else if (saved == ROW_FP_AT_FP) {
		if (fp_read(w, at, &fp))
			return walk_cut_read(w);
		fp_saved_at(w, fp);
	} else if (saved == ROW_FP_LOST) {
		w->fp_state = FP_LOST;
	}
	w->is_certain = 1;
	return to_caller(w, cfa, pc, cfa - 8);
}
#elif defined(__TARGET_ARCH_arm64)
static __always_inline int step_by_row(struct walk *w, __u32 at, __u32 row)
{
	__s32 saved = (__s32)row >> 16;
	__u64 cfa, pc, slot;

	if (cfa_of(w, at, row & 0xffff, &cfa))
		return walk_cut_read(w);
	/* Only a function that has not called another still has its return address in the register. */
	if (ROW_SAVED_KIND(saved) == ROW_SAVED_NONE) {
		if (!w->has_link || cfa < w->sp)
			return walk_cut(w, STAT_CUT_BAD_FRAME);
		w->is_certain = 1;
		return to_caller(w, cfa, w->link, 0);
	}
	if (cfa <= w->sp && !w->is_exact)
		return walk_cut(w, STAT_CUT_BAD_FRAME);
	slot = cfa + (__s64)ROW_SAVED_OFFSET(saved) * 8;
	if (ROW_SAVED_KIND(saved) == ROW_SAVED_PAIR) {
		fp_saved_at(w, slot);
		slot += 8;
	} else if (ROW_SAVED_KIND(saved) == ROW_SAVED_FP_LOST) {
		w->fp_state = FP_LOST;
	}
	if (word_read(w, at, slot, &pc))
		return walk_cut(w, STAT_CUT_UNREADABLE);
	w->is_certain = 1;
	return to_caller(w, cfa, pc, slot);
}
#endif

static __always_inline int step_special(struct walk *w, __u32 at, __u32 special, __u32 row)
{
	switch (special) {
	case ROW_STOP:
		return STEP_END;
	case ROW_PLT11:
	case ROW_PLT10:
		return step_by_row(w, at, row);
	case ROW_SIGNAL:
		return step_from_signal(w, at);
	case ROW_UNSUPPORTED:
		return step_by_pointer(w, at, STAT_CUT_UNSUPPORTED);
	case ROW_PENDING:
		return step_by_pointer(w, at, STAT_CUT_PENDING);
	case ROW_OUTSIDE:
		return walk_cut(w, STAT_CUT_NO_MAPPING);
	default:
		return step_by_pointer(w, at, STAT_CUT_NO_TABLE);
	}
}

static __always_inline __u32 row_of(struct walk *w, __u32 at)
{
	__u32 row;

	if (!config.check_stacks &&
	    row_from_cache(w, w->is_exact ? w->pc : w->pc - 1, &row, &w->origin))
		return row;
	return row_find(at);
}

/* Takes frames to the stack and goes to their callers': some easy ones, and one of any kind. */
__weak __noinline int unwind_steps(__u32 at)
{
	struct walk *w = walk_at(at);
	__u32 row, special;

	if (!w)
		return STEP_END;
	if (!w->is_exact && !config.check_stacks)
		fast_steps(w);
	row = row_of(w, at);
	special = ROW_VALUE(row & 0xffff);
	if (ROW_KIND(row) != ROW_SPECIAL)
		special = 0;
	else if (special == ROW_TRAMPOLINE)
		return STEP_ON;
	else if (special == ROW_OPAQUE)
		return walk_cut(w, STAT_CUT_TRAMPOLINE);
	/* A guess that is no code is no frame. */
	else if (special == ROW_OUTSIDE && !w->is_certain)
		return walk_cut(w, STAT_CUT_NO_MAPPING);
	if (!frame_push(w)) {
		w->stack.flags |= STACK_TRUNCATED;
		w->cut = STAT_CUT_DEPTH;
		w->keep = 0;
		return STEP_END;
	}
	if (ROW_KIND(row) != ROW_SPECIAL)
		return step_by_row(w, at, row);
	return step_special(w, at, special, row);
}

#endif
