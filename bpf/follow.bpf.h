/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes that become targets by themselves, from their first instruction on: children of targets, or whatever the user
 * asked for by name, by cgroup, or all. A slot is taken here, from those that userspace has put aside.
 */
#ifndef SEEP_FOLLOW_BPF_H
#define SEEP_FOLLOW_BPF_H

#include "common.bpf.h"
#include "rows.bpf.h"

#define TAKE_TRIES 8 /* as many forks at once, on other CPUs, as may come first */

/* Set before load. */
SEEP_RODATA struct seep_follow follow __weak = {
	.is_on = 1,
	.children = 1,
	.all = 1,
	.cgroup = 1,
	.comm = "?",
	.slots_mask = 1,
	.stages_mask = 1,
	.stage_first = 1,
};

/*
 * The slots that are free: a ring of the `proc` that the next process in each will bear. Userspace puts them in at
 * `slots_put`, and both take them out at `slots_taken`. Neither number ever goes back.
 */
volatile __u32 slots_put __weak = 0, slots_taken __weak = 0;

/* Read by userspace: processes that would have become targets, had there been a slot. */
volatile __u32 slots_missing __weak = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} free_slots SEC(".maps") __weak;

/* Children of vfork() that will be targets once they exec: until then they are their parents. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} vforked SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} wanted_cgroup SEC(".maps") __weak;

/* 0: there is none. */
static __always_inline __u32 slot_take(void)
{
	__u32 taken, at, *proc;

#pragma unroll
	for (__u32 i = 0; i < TAKE_TRIES; i++) {
		taken = slots_taken;
		if (taken == slots_put)
			return 0;
		at = taken & follow.slots_mask;
		proc = bpf_map_lookup_elem(&free_slots, &at);
		if (proc && __sync_val_compare_and_swap(&slots_taken, taken, taken + 1) == taken)
			return *proc;
	}
	return 0;
}

/* Whoever had this stage last and has not got mappings of his own yet does without. */
static __always_inline void stage_clear(__u32 owner, __u32 base)
{
	struct unwind_process *p = bpf_map_lookup_elem(&unwind_processes, &owner);

	if (!p || p->first != base)
		return;
	p->nr = 0;
	__sync_fetch_and_add(&p->generation, 2);
}

/*
 * What a child of fork has mapped is what its parent has. It is copied to a stage, one of a few, and is good until userspace
 * has looked at the child, soon.
 */
static __always_inline void code_copy(__u32 parent, __u32 child)
{
	__u32 base = follow.stage_first + (child & follow.stages_mask) * UNWIND_STAGE_MAPPINGS, nr,
	      at;
	struct unwind_process *from = bpf_map_lookup_elem(&unwind_processes, &parent), *to;
	struct unwind_mapping *m, *copy;
	__u32 generation, first;

	to = bpf_map_lookup_elem(&unwind_processes, &child);
	if (!from || !to || !follow.stages_mask)
		return;
	generation = from->generation;
	first = from->first;
	nr = from->nr;
	copy = bpf_map_lookup_elem(&unwind_mappings, &base);
	if (!copy || !nr || nr > UNWIND_STAGE_MAPPINGS || generation & 1)
		return;
	if (copy->owner && copy->owner != child)
		stage_clear(copy->owner, base);
	for (__u32 i = 0; i < UNWIND_STAGE_MAPPINGS && i < nr; i++) {
		at = first + i;
		m = bpf_map_lookup_elem(&unwind_mappings, &at);
		at = base + i;
		copy = bpf_map_lookup_elem(&unwind_mappings, &at);
		if (!m || !copy)
			return;
		*copy = *m;
		copy->owner = (__u16)child;
	}
	if (from->generation != generation)
		return;
	to->first = base;
	to->nr = nr;
	__sync_fetch_and_add(&to->generation, 2);
}

/* The `proc` of a process that is a target from now on; 0: there is no room for one more. */
static __always_inline __u32 target_born(__u32 tgid)
{
	__u32 proc = slot_take(), nr = SEEP_PROC_SLOT(proc);
	struct slot_value *slot = bpf_map_lookup_elem(&slots, &nr);

	if (!proc || !slot) {
		__sync_fetch_and_add(&slots_missing, 1);
		return 0;
	}
	slot->proc = proc;
	if (bpf_map_update_elem(&targets, &tgid, &nr, BPF_ANY)) {
		__sync_fetch_and_add(&slots_missing, 1);
		return 0;
	}
	return proc;
}

static __always_inline bool has_wanted_name(void)
{
	char comm[SEEP_COMM_LEN] = {};

	if (bpf_get_current_comm(comm, sizeof(comm)))
		return false;
#pragma unroll
	for (__u32 i = 0; i < SEEP_COMM_LEN; i++) {
		if (comm[i] != follow.comm[i])
			return false;
		if (!comm[i])
			return true;
	}
	return true;
}

/* Whether the current process, or the child that it makes, is one that the user asked for. */
static __always_inline bool is_asked_for(__u32 tgid, __u32 parent_tgid)
{
	if (tgid == follow.self_tgid || parent_tgid == follow.self_tgid)
		return false;
	if (follow.all)
		return true;
	if (follow.cgroup && bpf_current_task_under_cgroup(&wanted_cgroup, 0) == 1)
		return true;
	return follow.comm[0] && has_wanted_name();
}

#endif
