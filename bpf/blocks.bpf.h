/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block map: what is live. See struct block_set in event.h.
 *
 * For one address of one process, the program itself orders what happens: it allocates, frees and
 * allocates again, each after the other, on whatever CPU. So one address is never put and taken at
 * the same time, and only places in a set are fought for.
 */
#ifndef SEEP_BLOCKS_BPF_H
#define SEEP_BLOCKS_BPF_H

#include "common.bpf.h"

static __always_inline struct block_set *block_set_at(__u32 set)
{
	__u32 shard = set >> SEEP_BLOCK_SHARD_BITS;
	void *sets;

	if (!config.block_table)
		return NULL;
	sets = bpf_map_lookup_elem(&block_shards, &shard);
	if (!sets)
		return NULL;
	set &= SEEP_BLOCK_SHARD_SETS - 1;
	return bpf_map_lookup_elem(sets, &set);
}

static __always_inline struct block_set *block_set_of(const struct block_key *key)
{
	return block_set_at(SEEP_BLOCK_HASH(key->addr, key->proc) & block_mask);
}

static __always_inline bool set_holds(const struct block_set *set, __u32 way,
				      const struct block_key *key)
{
	return set->addr[way] == key->addr && set->block[way].proc == key->proc;
}

static __always_inline bool set_put(struct block_set *set, const struct block_key *key,
				    const struct block_value *block)
{
#pragma unroll
	for (__u32 i = 0; i < SEEP_BLOCK_WAYS; i++) {
		if (set->addr[i] || __sync_val_compare_and_swap(&set->addr[i], 0, SEEP_BLOCK_TAKEN))
			continue;
		set->block[i] = *block;
		/* Who sees the address sees the block. */
#if defined(__TARGET_ARCH_x86)
		barrier();
		*(volatile __u64 *)&set->addr[i] = key->addr;
#else
		__sync_val_compare_and_swap(&set->addr[i], SEEP_BLOCK_TAKEN, key->addr);
#endif
		return true;
	}
	return false;
}

static __always_inline bool set_has(const struct block_set *set, const struct block_key *key)
{
#pragma unroll
	for (__u32 i = 0; i < SEEP_BLOCK_WAYS; i++) {
		if (set_holds(set, i, key))
			return true;
	}
	return false;
}

/* The set where an earlier, smaller table has a block, if one has. */
static __always_inline struct block_set *older_set_of(const struct block_key *key)
{
	__u32 hash = SEEP_BLOCK_HASH(key->addr, key->proc), mask = block_mask;
	struct block_set *set;

	for (__u32 level = 0; level < SEEP_BLOCK_LEVELS && mask > block_mask_first; level++) {
		mask >>= SEEP_BLOCK_GROWTH_BITS;
		set = block_set_at(hash & mask);
		if (set && set_has(set, key))
			return set;
	}
	return NULL;
}

static __always_inline bool table_has_grown(void)
{
	return block_mask > block_mask_first;
}

/* Functions that stand alone, as these do, a verifier checks once and not for each way that leads to them. */
__weak __noinline int older_has(const struct block_key *key)
{
	return key && older_set_of(key);
}

/*
 * A map takes its key and value from the stack: before 6.4 or so, not from where an argument of a function that stands
 * alone points.
 */
__weak __noinline int hash_has(const struct block_key *key)
{
	struct block_key at;

	if (!key)
		return false;
	at = *key;
	return bpf_map_lookup_elem(&blocks, &at) != NULL;
}

static __always_inline bool block_is_live(struct block_set *set, const struct block_key *key)
{
	if (set && (set_has(set, key) || (table_has_grown() && older_has(key))))
		return true;
	return blocks_in_hash && hash_has(key);
}

__weak __noinline int hash_put(const struct block_key *key, const struct block_value *block)
{
	struct block_value value;
	struct block_key at;
	int err;

	if (!key || !block)
		return -1;
	at = *key;
	value = *block;
	err = bpf_map_update_elem(&blocks, &at, &value, BPF_NOEXIST);
	if (!err)
		__sync_fetch_and_add(&blocks_in_hash, 1);
	return err;
}

/* Where it has to be quick: a call costs as much as half of this. */
static __always_inline int block_put_here(const struct block_key *key,
					  const struct block_value *block)
{
	struct block_set *set = block_set_of(key);

	if (set) {
		if (block_is_live(set, key))
			return -EEXIST;
		if (set_put(set, key, block))
			return 0;
	}
	return hash_put(key, block);
}

/* 0; -EEXIST: this address is live, nothing has changed; another error: there is no room. */
__weak __noinline int block_put(const struct block_key *key, const struct block_value *block)
{
	if (!key || !block)
		return -1;
	return block_put_here(key, block);
}

__weak __noinline int hash_take(const struct block_key *key, struct block_value *out)
{
	struct block_value *known;
	struct block_key at;

	if (!key || !out)
		return false;
	at = *key;
	known = bpf_map_lookup_elem(&blocks, &at);
	if (!known)
		return false;
	*out = *known;
	return !bpf_map_delete_elem(&blocks, &at);
}

static __always_inline bool set_take(struct block_set *set, const struct block_key *key,
				     struct block_value *out, bool *there)
{
#pragma unroll
	for (__u32 i = 0; i < SEEP_BLOCK_WAYS; i++) {
		if (!set_holds(set, i, key))
			continue;
		*there = true;
		*out = set->block[i];
		return __sync_val_compare_and_swap(&set->addr[i], key->addr, 0) == key->addr;
	}
	return false;
}

__weak __noinline int older_take(const struct block_key *key, struct block_value *out)
{
	struct block_set *set;
	bool there = false;

	if (!key || !out)
		return false;
	set = older_set_of(key);
	return set && set_take(set, key, out, &there);
}

static __always_inline bool block_take_here(const struct block_key *key, struct block_value *out)
{
	struct block_set *set = block_set_of(key);
	bool there = false, taken;

	if (set) {
		taken = set_take(set, key, out, &there);
		if (there)
			return taken;
		if (table_has_grown() && older_take(key, out))
			return true;
	}
	return blocks_in_hash && hash_take(key, out);
}

/* Takes a block out: false when it is not there. */
__weak __noinline int block_take(const struct block_key *key, struct block_value *out)
{
	if (!key || !out)
		return false;
	return block_take_here(key, out);
}

#endif
