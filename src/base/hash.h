/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hash functions and one hash table: uint64 key to uint64 value, open addressing with linear
 * probing, at most 7/8 full.
 *
 * The functions give the same values in every run (no secret seed): not for keys chosen by an enemy
 * who wants collisions to cost time. Every user bounds its size. All bits of a hash are equally
 * good.
 */
#ifndef SEEP_BASE_HASH_H
#define SEEP_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_ODD_1 UINT64_C(0x9e3779b97f4a7c15)
#define HASH_ODD_2 UINT64_C(0xc2b2ae3d27d4eb4f)

/*
 * Multiplied to 128 bits and folded; the second multiplication is for keys that differ in a few
 * high bits only, which the fold alone leaves in clusters.
 */
static inline uint64_t hash_pair(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)(a ^ HASH_ODD_1) * (b ^ HASH_ODD_2);
	uint64_t folded = (uint64_t)product ^ (uint64_t)(product >> 64);

	folded = (folded ^ (folded >> 32)) * HASH_ODD_1;
	return folded ^ (folded >> 29);
}

static inline uint64_t hash_u64(uint64_t x)
{
	return hash_pair(x, 0);
}

uint64_t hash_bytes(const void *data, size_t nr, uint64_t seed);

struct map64_slot {
	uint64_t key;
	uint64_t value;
	bool used;
};

/* Zeroed is empty. */
struct map64 {
	struct map64_slot *slot;
	size_t nr, cap; /* cap: 0 or a power of two */
};

void map64_release(struct map64 *map);
/* Adds or replaces. 0 or -ENOMEM, which leaves the map as it was; replacing does not fail. */
int map64_put(struct map64 *map, uint64_t key, uint64_t value);
/* false: not there, *value untouched; value may be NULL. */
bool map64_get(const struct map64 *map, uint64_t key, uint64_t *value);
/* false: was not there. Gives no memory back. */
bool map64_remove(struct map64 *map, uint64_t key);
/*
 * Walks in no order: *pos starts at 0; false at the end. key and value may be NULL. The map must
 * not change meanwhile.
 */
bool map64_next(const struct map64 *map, size_t *pos, uint64_t *key, uint64_t *value);

#endif
