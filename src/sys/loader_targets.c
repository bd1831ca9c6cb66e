// SPDX-License-Identifier: GPL-2.0-or-later
/* Which processes the programs follow: slots, and who becomes a target by himself. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loader_impl.h"
#include "seep.skel.h"

#define FORK_STAGES 256

static uint32_t power_above(uint32_t n)
{
	uint32_t power = 2;

	while (power <= n)
		power *= 2;
	return power;
}

int loader_configure_targets(struct loader *l, const struct loader_options *options)
{
	struct seep_follow *follow = (struct seep_follow *)&l->skel->rodata->follow;
	const struct loader_follow *wanted = &options->follow;
	uint32_t places = power_above(options->max_targets), stages = 0;
	int err;

	*follow = (struct seep_follow){
		.children = wanted->children,
		.all = wanted->all,
		.self_tgid = (uint32_t)getpid(),
		.cgroup = wanted->cgroup,
		.slots_mask = places - 1,
		.stage_first = l->max_mappings,
	};
	if (wanted->comm)
		snprintf(follow->comm, sizeof(follow->comm), "%s", wanted->comm);
	follow->is_on = wanted->children || wanted->all || wanted->cgroup || wanted->comm;
	if (follow->is_on) {
		follow->stages_mask = FORK_STAGES - 1;
		stages = FORK_STAGES * UNWIND_STAGE_MAPPINGS;
	}
	err = bpf_map__set_max_entries(l->skel->maps.unwind_mappings, l->max_mappings + stages);
	if (!err)
		err = bpf_map__set_max_entries(l->skel->maps.free_slots, places);
	if (!err)
		err = bpf_map__set_max_entries(l->skel->maps.targets, options->max_targets);
	if (!err && !follow->cgroup)
		err = bpf_map__set_autocreate(l->skel->maps.wanted_cgroup, false);
	if (!err && !follow->is_on)
		err = bpf_map__set_max_entries(l->skel->maps.vforked, 1);
	return err;
}

static void set_flag(struct loader *l, uint32_t slot, uint32_t flag, bool on)
{
	if (on)
		__atomic_fetch_or(&l->slots[slot].flags, flag, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(&l->slots[slot].flags, ~flag, __ATOMIC_SEQ_CST);
}

void loader_set_tells(struct loader *l, uint32_t slot, bool tells)
{
	set_flag(l, slot, SLOT_TELLS, tells);
}

void loader_set_unmapped(struct loader *l, uint32_t slot, bool unmapped)
{
	set_flag(l, slot, SLOT_UNMAPPED, unmapped);
}

int loader_set_cgroup(struct loader *l, int fd)
{
	const uint32_t zero = 0;

	return bpf_map_update_elem(bpf_map__fd(l->skel->maps.wanted_cgroup), &zero, &fd, BPF_ANY)
		       ? -errno
		       : 0;
}

void loader_give_slot(struct loader *l, uint32_t proc)
{
	uint32_t put = l->skel->bss->slots_put; /* ours alone */

	l->free_slots[put & l->skel->rodata->follow.slots_mask] = proc;
	__atomic_store_n(&l->skel->bss->slots_put, put + 1, __ATOMIC_RELEASE);
}

/* As slot_take() of bpf/follow.bpf.h. */
uint32_t loader_take_slot(struct loader *l)
{
	uint32_t taken = __atomic_load_n(&l->skel->bss->slots_taken, __ATOMIC_ACQUIRE), proc;

	do {
		if (taken == l->skel->bss->slots_put)
			return 0;
		proc = l->free_slots[taken & l->skel->rodata->follow.slots_mask];
	} while (!__atomic_compare_exchange_n(&l->skel->bss->slots_taken, &taken, taken + 1, false,
					      __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
	return proc;
}

uint32_t loader_max_targets(const struct loader *l)
{
	return l->max_targets;
}

uint32_t loader_proc_of_slot(const struct loader *l, uint32_t slot)
{
	return __atomic_load_n(&l->slots[slot].proc, __ATOMIC_ACQUIRE);
}

int loader_set_target(struct loader *l, uint32_t proc, uint32_t tgid)
{
	uint32_t slot = SEEP_PROC_SLOT(proc);

	if (!slot || slot > l->max_targets)
		return -ENOSPC;
	l->slots[slot].proc = proc;
	if (bpf_map_update_elem(bpf_map__fd(l->skel->maps.targets), &tgid, &slot, BPF_NOEXIST))
		return -errno;
	__atomic_fetch_add(&l->skel->bss->targets_generation, 1, __ATOMIC_SEQ_CST);
	return 0;
}

uint32_t loader_slot_of(const struct loader *l, uint32_t tgid)
{
	uint32_t slot;

	if (bpf_map_lookup_elem(bpf_map__fd(l->skel->maps.targets), &tgid, &slot))
		return SEEP_SLOT_NONE;
	return slot;
}

void loader_drop_target(struct loader *l, uint32_t slot, uint32_t tgid)
{
	static const struct seep_counters zero;
	int cpu;

	if (loader_slot_of(l, tgid) == slot)
		(void)bpf_map_delete_elem(bpf_map__fd(l->skel->maps.targets), &tgid);
	__atomic_fetch_add(&l->skel->bss->targets_generation, 1, __ATOMIC_SEQ_CST);
	for (cpu = 0; cpu < l->nr_cpus; cpu++)
		l->scratch[cpu] = zero;
	(void)bpf_map_update_elem(bpf_map__fd(l->skel->maps.counters), &slot, l->scratch, BPF_ANY);
}

int loader_walk_targets(const struct loader *l,
			int (*visit)(uint32_t tgid, uint32_t slot, void *arg), void *arg)
{
	int fd = bpf_map__fd(l->skel->maps.targets), err = 0;
	uint32_t tgid, next, slot;
	bool first = true;

	while (!err && !bpf_map_get_next_key(fd, first ? NULL : &tgid, &next)) {
		first = false;
		tgid = next;
		if (!bpf_map_lookup_elem(fd, &tgid, &slot))
			err = visit(tgid, slot, arg);
	}
	return err;
}

uint32_t loader_slots_missing(const struct loader *l)
{
	return __atomic_load_n(&l->skel->bss->slots_missing, __ATOMIC_SEQ_CST);
}
