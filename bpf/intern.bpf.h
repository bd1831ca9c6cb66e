/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ids for stacks: the hash finds the place, and every frame is compared. */
#ifndef SEEP_INTERN_BPF_H
#define SEEP_INTERN_BPF_H

#include "walk.bpf.h"

#define STACK_PROBES 8 /* neighbours tried when another stack has the same hash */

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

static __always_inline __u32 stack_unknown(struct walk *w, __u32 why)
{
	w->cut = why;
	return SEEP_STACK_UNKNOWN;
}

/* The id of the stack that was walked. */
static __always_inline __u32 stack_find(struct walk *w)
{
	__u32 hash = (w->hash >> 32 ^ w->stack.flags) & config.stack_hash_mask;
	struct stack_value *known;
	int err;

	if (!w->stack.nr)
		return stack_unknown(w, STAT_STACKS_EMPTY);
	for (__u32 i = 0; i < STACK_PROBES; i++) {
		__u32 id = hash + i + 1;

		if (id == SEEP_STACK_UNKNOWN)
			continue;
		known = bpf_map_lookup_elem(&stacks, &id);
		if (!known) {
			err = bpf_map_update_elem(&stacks, &id, &w->stack, BPF_NOEXIST);
			if (!err)
				return id;
			/* Another CPU may have put a stack there at the same moment. */
			known = bpf_map_lookup_elem(&stacks, &id);
			if (!known)
				return stack_unknown(w, STAT_STACKS_FULL);
		}
		if (stack_same(known, &w->stack))
			return id;
	}
	return stack_unknown(w, STAT_STACK_COLLISIONS);
}

#endif
