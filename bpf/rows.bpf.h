/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a pc to its row: the process's mappings, and the rows of the mapping. What was found goes to the cache. */
#ifndef SEEP_ROWS_BPF_H
#define SEEP_ROWS_BPF_H

#include "row_cache.bpf.h"

#define USER_CODE_MIN 4096

/* Rows that no table holds, found by the search itself. */
enum row_found {
	ROW_OUTSIDE = 32,    /* in no mapping */
	ROW_TRAMPOLINE = 33, /* a pending return probe: walk.pc has been set right, look again */
	ROW_PENDING = 34,    /* the table is being made */
	ROW_CODE = 35,	     /* there is none: frame pointers */
	ROW_OPAQUE = 36,     /* a pending return probe that says nothing */
};

#define ROW_MADE(special) ((__u32)ROW_CFA(ROW_SPECIAL, special))

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 128);
	__type(key, __u32);
	__type(value, struct unwind_process);
} unwind_processes SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct unwind_mapping);
} unwind_mappings SEC(".maps") __weak;

/* libbpf 1.1 wants the sizes of an inner map in numbers. */
struct unwind_shard {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, UNWIND_SHARD_ROWS);
	__uint(key_size, 4);
	__uint(value_size, 8);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, UNWIND_MAX_SHARDS);
	__type(key, __u32);
	__array(values, struct unwind_shard);
} unwind_shards SEC(".maps") __weak;

/*
 * A search for the last of n sorted items that is not after what is sought goes down in powers of two. What
 * it has got to is kept in memory, where the verifier does not follow it: else it would try every path.
 */
struct search {
	__u32 at, end;
};

/* The last of a process's mappings that starts at or before pc; its index, or ~0. */
static __always_inline __u32 mapping_search(__u32 first, __u32 nr, __u64 pc)
{
	volatile struct search s = {.at = first, .end = first + nr};
	struct unwind_mapping *m;
	__u32 try;

	try = s.at;
	m = bpf_map_lookup_elem(&unwind_mappings, &try);
	if (!m || s.at == s.end || m->start > pc)
		return ~0U;
#pragma unroll
	for (__u32 step = UNWIND_MAX_PROCESS_MAPPINGS / 2; step; step /= 2) {
		try = s.at + step;
		if (try >= s.end)
			continue;
		m = bpf_map_lookup_elem(&unwind_mappings, &try);
		if (m && m->start <= pc)
			s.at = try;
	}
	return s.at;
}

/* Likewise among the rows of a mapping. */
static __always_inline bool row_search(const struct unwind_mapping *m, __u64 pc, __u32 *row)
{
	volatile struct search s = {.at = m->row_lo, .end = m->row_hi};
	__u32 sought = m->pc + (__u32)(pc - m->start), nr = m->shard, try;
	struct unwind_row *r;
	void *shard = bpf_map_lookup_elem(&unwind_shards, &nr);

	if (!shard || s.at >= s.end)
		return false;
	for (__u32 step = UNWIND_SHARD_ROWS / 2; step; step /= 2) {
		try = s.at + step;
		if (try >= s.end)
			continue;
		r = bpf_map_lookup_elem(shard, &try);
		if (r && r->pc <= sought)
			s.at = try;
	}
	try = s.at;
	r = bpf_map_lookup_elem(shard, &try);
	if (!r || r->pc > sought)
		return false;
	*row = (__u32)(__u16)r->fp << 16 | r->cfa;
	return true;
}

/*
 * The kernel puts its trampoline in the place of a return address that somebody has a return probe on. It
 * remembers the address, and the place.
 */
static __always_inline bool see_through_trampoline(struct walk *w)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct return_instance *r;

	r = BPF_CORE_READ(task, utask, return_instances);
	for (__u32 i = 0; i < 64 && r; i++) {
		if (BPF_CORE_READ(r, stack) == w->return_slot) {
			w->pc = BPF_CORE_READ(r, orig_ret_vaddr);
			return true;
		}
		r = BPF_CORE_READ(r, next);
	}
	return false;
}

/* Is this the code that a signal handler returns to? Not all libraries say so in their tables. */
static __always_inline bool returns_from_signal(__u64 pc)
{
	__u64 code[2] = {};

	if (bpf_probe_read_user(code, sizeof(code), (void *)pc))
		return false;
#if defined(__TARGET_ARCH_x86)
	/* mov $15,%rax; syscall */
	return code[0] == 0x0f0000000fc0c748ULL && (code[1] & 0xff) == 0x05;
#elif defined(__TARGET_ARCH_arm64)
	/* mov x8,#139; svc #0 */
	return code[0] == 0xd4000001d2801168ULL;
#endif
}

static __always_inline __u32 row_outside(struct walk *w, __u32 slot)
{
	struct unwind_process *p;

	if (w->return_slot && is_trampoline(w->pc)) {
		w->keep = 0; /* what it stands for is not on the stack */
		return see_through_trampoline(w) ? ROW_MADE(ROW_TRAMPOLINE) : ROW_MADE(ROW_OPAQUE);
	}
	/* Nobody has looked at the process yet. */
	if (!w->nr_mappings && w->pc >= USER_CODE_MIN)
		return ROW_MADE(ROW_PENDING);
	p = bpf_map_lookup_elem(&unwind_processes, &slot);
	if (p)
		__sync_fetch_and_add(&p->unknown, 1);
	return ROW_MADE(ROW_OUTSIDE);
}

/* Where a file's code has gone, what is met is another's. */
static __always_inline __u64 origin_of(const struct unwind_mapping *m)
{
	if (m->kind != MAPPING_GONE)
		return SEEP_FRAME_OF(0, m->origin);
	return m->origin >= ORIGIN_FILE ? SEEP_FRAME_OF(0, ORIGIN_CHANGED) : 0;
}

/* The row of the walk's pc, from the tables; and its origin. */
__weak __noinline __u32 row_find(__u32 at)
{
	struct walk *w = walk_at(at);
	struct unwind_mapping *m;
	__u32 index, row = ROW_MADE(ROW_CODE);
	__u64 pc;

	if (!w)
		return ROW_MADE(ROW_OUTSIDE);
	pc = w->is_exact ? w->pc : w->pc - 1;
	w->origin = 0;
	index = mapping_search(w->first_mapping, w->nr_mappings, pc);
	m = bpf_map_lookup_elem(&unwind_mappings, &index);
	if (!m || pc >= m->end)
		return row_outside(w, w->slot);
	w->origin = origin_of(m);
	if (m->kind == MAPPING_GONE)
		return row_outside(w, w->slot);
	if (!w->is_exact && m->kind != MAPPING_CODE && returns_from_signal(w->pc))
		row = ROW_MADE(ROW_SIGNAL);
	else if (m->kind == MAPPING_PENDING)
		return ROW_MADE(ROW_PENDING);
	else if (m->kind == MAPPING_TABLE && !row_search(m, pc, &row))
		row = ROW_MADE(ROW_NONE);
	row_to_cache(w, pc, row);
	return row;
}

#endif
