/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cache of rows found before, and of the origins of their code.
 *
 * It is shared by all CPUs and has no lock. An entry bears the pc and the mappings' generation that it holds for; a check
 * over all of it tells an entry that two programs have written at once.
 */
#ifndef SEEP_ROW_CACHE_BPF_H
#define SEEP_ROW_CACHE_BPF_H

#include "walk.bpf.h"

#define ROW_CACHE_ENTRIES 16384

struct row_cached {
	__u64 pc; /* and its origin, as in a frame */
	__u32 proc;
	__u32 generation;
	__u32 row;
	__u32 check;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ROW_CACHE_ENTRIES);
	__type(key, __u32);
	__type(value, struct row_cached);
} row_cache SEC(".maps") __weak;

static __always_inline __u32 row_check(__u64 pc, __u32 proc, __u32 generation, __u32 row)
{
	return ((pc ^ (__u64)generation << 32) * 0x9e3779b97f4a7c15ULL +
		((__u64)proc << 32 ^ row) * 0xbf58476d1ce4e5b9ULL) >>
	       32;
}

static __always_inline struct row_cached *row_cache_at(__u64 pc)
{
	__u32 at = (pc ^ pc >> 13) & (ROW_CACHE_ENTRIES - 1);

	return bpf_map_lookup_elem(&row_cache, &at);
}

static __always_inline bool row_from_cache(const struct walk *w, __u64 pc, __u32 *row,
					   __u64 *origin)
{
	const struct row_cached *c = row_cache_at(pc);
	__u64 found_pc;
	__u32 found;

	if (!c)
		return false;
	found_pc = *(volatile __u64 *)&c->pc;
	if ((found_pc & SEEP_FRAME_ADDRESS) != pc || c->generation != w->generation ||
	    c->proc != w->proc)
		return false;
	found = *(volatile __u32 *)&c->row;
	if (c->check != row_check(found_pc, w->proc, w->generation, found))
		return false;
	*row = found;
	*origin = found_pc ^ pc;
	return true;
}

static __always_inline void row_to_cache(const struct walk *w, __u64 pc, __u32 row)
{
	struct row_cached *c = row_cache_at(pc);

	if (!c)
		return;
	c->pc = pc | w->origin;
	c->proc = w->proc;
	c->generation = w->generation;
	c->row = row;
	c->check = row_check(pc | w->origin, w->proc, w->generation, row);
}

#endif
