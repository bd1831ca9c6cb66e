/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hash functions and one hash table: uint64 key to uint64 value, open addressing, at most 7/8 full.
 *
 * Not for keys chosen by an enemy who wants collisions to cost time beyond linear probing; every user bounds its size.
 */
#ifndef SEEP_BASE_HASH_H
#define SEEP_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t hash_u64(uint64_t x);
uint64_t hash_bytes(const void *data, size_t nr, uint64_t seed);

struct map64_slot {
	uint64_t key;
	uint64_t value;
	bool used;
};

/* Zeroed is empty. */
struct map64 {
	struct map64_slot *slot;
	size_t nr, cap;
};

void map64_release(struct map64 *map);
/* Adds or replaces. 0 or -ENOMEM. */
int map64_put(struct map64 *map, uint64_t key, uint64_t value);
/* false: not there, *value untouched; value may be NULL. */
bool map64_get(const struct map64 *map, uint64_t key, uint64_t *value);
bool map64_remove(struct map64 *map, uint64_t key);
/* Walks in no order: *pos starts at 0; false at the end. The map must not change meanwhile. */
bool map64_next(const struct map64 *map, size_t *pos, uint64_t *key, uint64_t *value);

#endif
