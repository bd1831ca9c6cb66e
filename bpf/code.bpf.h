/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Code that goes away: dlclose, or a mapping over another. Userspace learns of new code soon enough, but
 * of what is gone only when it looks, and other code may be there by then: its callers would be found by the
 * wrong table. So the mapping is struck out here, before the system call does it.
 */
#ifndef SEEP_CODE_BPF_H
#define SEEP_CODE_BPF_H

#include "common.bpf.h"
#include "rows.bpf.h"

#define VM_MAP_FIXED 0x10    /* MAP_FIXED */
#define VM_MREMAP_FIXED 0x02 /* MREMAP_FIXED */
#define MAPPINGS_AT_ONCE 32

/* Returns whether code was there. */
static __always_inline bool strike_out(struct unwind_process *p, __u64 start, __u64 end)
{
	__u32 first = p->first, nr = p->nr, at;
	struct unwind_mapping *m;
	bool found = false;

	at = mapping_search(first, nr, start);
	if (at == ~0U)
		at = first;
	for (__u32 i = 0; i < MAPPINGS_AT_ONCE; i++, at++) {
		if (at - first >= nr)
			return found;
		m = bpf_map_lookup_elem(&unwind_mappings, &at);
		if (!m || m->start >= end)
			return found;
		if (m->end <= start || m->kind == MAPPING_GONE)
			continue;
		m->kind = MAPPING_GONE;
		found = true;
	}
	p->nr = 0; /* so many: userspace is quicker */
	return true;
}

static __always_inline void code_goes(__u64 start, __u64 bytes)
{
	__u32 slot = current_slot(bpf_get_current_pid_tgid());
	struct unwind_process *p;

	if (slot == SEEP_SLOT_NONE)
		return;
	p = bpf_map_lookup_elem(&unwind_processes, &slot);
	if (!p || !p->nr || !strike_out(p, start, start + bytes))
		return;
	__sync_fetch_and_add(&p->generation, 2);
	__sync_fetch_and_add(&p->unknown, 1);
}

static __always_inline void munmap_strikes(const __u64 *arg)
{
	code_goes(arg[0], arg[1]);
}

static __always_inline void mremap_strikes(const __u64 *arg)
{
	code_goes(arg[0], arg[1]);
	if (arg[3] & VM_MREMAP_FIXED)
		code_goes(arg[4], arg[2]);
}

static __always_inline void mmap_strikes(const __u64 *arg)
{
	if (arg[3] & VM_MAP_FIXED)
		code_goes(arg[0], arg[1]);
}

#endif
