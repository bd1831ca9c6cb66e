/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ids for stacks: the hash finds the place, and every frame is compared. */
#ifndef SEEP_INTERN_BPF_H
#define SEEP_INTERN_BPF_H

#include "walk.bpf.h"

#define STACK_PROBES 4 /* neighbours tried when another stack has the same hash */

static __always_inline bool stack_same(const struct stack_value *a, const struct stack_value *b,
				       __u32 room)
{
	__u64 differ = 0;

	if (a->nr != b->nr || a->proc != b->proc || a->flags != b->flags)
		return false;
	for (__u32 i = 0; i < room; i++) {
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

static __always_inline __u32 stack_find_in(struct walk *w, void *table, __u32 table_nr, __u32 room)
{
	__u32 hash = (w->hash >> 32 ^ w->stack.flags) & config.stack_hash_mask, id;
	struct stack_value *known;
	int err;

	for (__u32 i = 1; i <= STACK_PROBES; i++) {
		id = SEEP_STACK_ID(table_nr, hash + i);
		if (!(id & SEEP_STACK_NUMBER))
			continue;
		known = bpf_map_lookup_elem(table, &id);
		if (!known) {
			err = bpf_map_update_elem(table, &id, &w->stack, BPF_NOEXIST);
			if (!err)
				return id;
			/* Another CPU may have put a stack there at the same moment. */
			known = bpf_map_lookup_elem(table, &id);
			if (!known)
				return stack_unknown(w, STAT_STACKS_FULL);
		}
		if (stack_same(known, &w->stack, room))
			return id;
	}
	return stack_unknown(w, STAT_STACK_COLLISIONS);
}

/* The id of the stack that was walked. */
static __always_inline __u32 stack_find(struct walk *w)
{
	__u32 nr = w->stack.nr;

	if (!nr)
		return stack_unknown(w, STAT_STACKS_EMPTY);
	if (nr <= SEEP_STACK_FRAMES_0)
		return stack_find_in(w, &stacks_0, 0, SEEP_STACK_FRAMES_0);
	if (nr <= SEEP_STACK_FRAMES_1)
		return stack_find_in(w, &stacks_1, 1, SEEP_STACK_FRAMES_1);
	if (nr <= SEEP_STACK_FRAMES_2)
		return stack_find_in(w, &stacks_2, 2, SEEP_STACK_FRAMES_2);
	return stack_find_in(w, &stacks_3, 3, SEEP_STACK_FRAMES_3);
}

#endif
