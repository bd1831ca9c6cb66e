/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nearly all frames are of functions whose CFA is at a constant from the stack pointer, in the window, by a row
 * in the cache. fast_steps() goes through such frames with what it needs in registers, and stops before the first
 * other.
 */
#ifndef SEEP_FAST_BPF_H
#define SEEP_FAST_BPF_H

#include "frame.bpf.h"

#if defined(__TARGET_ARCH_x86)
#define FAST_FRAMES 32

/* Numbers are kept from becoming pointers that are moved along, which the verifier refuses. */
static __always_inline void fast_record(struct walk *w, struct memo *m, __u64 addr, __u64 word)
{
	__u64 place = addr - w->start_sp;
	__u32 nr = w->nr_words;

	barrier_var(nr);
	if (nr >= MEMO_WORDS || place > MEMO_SPAN) {
		w->keep = 0;
		return;
	}
	m->word[nr] = word;
	m->place[nr] = place >> 3;
	w->nr_words = nr + 1;
}

static __always_inline bool fast_push(struct walk *w, __u32 nr, __u64 frame)
{
	barrier_var(nr);
	if (nr >= SEEP_MAX_FRAMES)
		return false;
	w->stack.frame[nr] = frame;
	return true;
}

static __always_inline void fast_steps(struct walk *w)
{
	__u64 pc = w->pc, sp = w->sp, hash = w->hash, base = w->window_base, word, place, cfa,
	      origin;
	__u32 nr = *(volatile __u16 *)&w->stack.nr, entry = w->memo, row;
	struct memo *m = bpf_map_lookup_elem(&memos, &entry);
	__s32 saved;

	for (__u32 i = 0; i < FAST_FRAMES; i++) {
		if (nr >= config.max_frames || !row_from_cache(w, pc - 1, &row, &origin) ||
		    ROW_KIND(row) != ROW_SP)
			break;
		saved = (__s32)row >> 16;
		cfa = sp + ROW_VALUE(row & 0xffff) * 8;
		place = cfa - 8 - base;
		if (saved > ROW_FP_SAME || cfa <= sp || place & 7 || place > WINDOW_BYTES ||
		    place + 8 > w->window_bytes)
			break;
		word = w->window[place >> 3 & (WINDOW_WORDS - 1)];
		if (!word || !fast_push(w, nr, pc | origin))
			break;
		nr++;
		hash = hash_step(hash, pc | origin);
		if (saved)
			fp_saved_at(w, cfa + (__s64)saved * 8);
		if (m)
			fast_record(w, m, cfa - 8, word);
		pc = word;
		note_gap(w, sp, cfa);
		sp = cfa;
	}
	if (sp == w->sp)
		return;
	if (sp > w->highest)
		w->highest = sp;
	w->hash = hash;
	w->stack.nr = nr;
	w->is_certain = 1;
	w->sp = sp; /* gaps have been noted, frame by frame */
	(void)to_caller(w, sp, pc, sp - 8);
}
#else
static __always_inline void fast_steps(struct walk *w)
{
	(void)w;
}
#endif

#endif
