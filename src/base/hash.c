/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAP64_MIN_CAP 16

uint64_t hash_bytes(const void *data, size_t nr, uint64_t seed)
{
	const unsigned char *at = data;
	uint64_t hash = hash_pair(seed, nr);
	uint64_t word;

	for (; nr >= sizeof(word); nr -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = hash_pair(hash, word);
	}
	word = 0;
	if (nr)
		memcpy(&word, at, nr);
	return hash_pair(hash, word);
}

void map64_release(struct map64 *map)
{
	free(map->slot);
	*map = (struct map64){0};
}

/* The slot that has the key, or the free one where it belongs. There always is a free one. */
static struct map64_slot *find_slot(struct map64_slot *slot, size_t cap, uint64_t key)
{
	size_t i = hash_u64(key) & (cap - 1);

	while (slot[i].used && slot[i].key != key)
		i = (i + 1) & (cap - 1);
	return &slot[i];
}

static int map64_grow(struct map64 *map)
{
	size_t cap = map->cap ? map->cap * 2 : MAP64_MIN_CAP;
	struct map64_slot *slot = calloc(cap, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	for (size_t i = 0; i < map->cap; i++) {
		if (map->slot[i].used)
			*find_slot(slot, cap, map->slot[i].key) = map->slot[i];
	}
	free(map->slot);
	map->slot = slot;
	map->cap = cap;
	return 0;
}

int map64_put(struct map64 *map, uint64_t key, uint64_t value)
{
	struct map64_slot *slot = NULL;

	if (map->cap) {
		slot = find_slot(map->slot, map->cap, key);
		if (slot->used) {
			slot->value = value;
			return 0;
		}
	}
	if (map->nr + 1 > map->cap / 8 * 7) {
		if (map64_grow(map))
			return -ENOMEM;
		slot = find_slot(map->slot, map->cap, key);
	}
	*slot = (struct map64_slot){.key = key, .value = value, .used = true};
	map->nr++;
	return 0;
}

bool map64_get(const struct map64 *map, uint64_t key, uint64_t *value)
{
	const struct map64_slot *slot;

	if (!map->nr)
		return false;
	slot = find_slot(map->slot, map->cap, key);
	if (!slot->used)
		return false;
	if (value)
		*value = slot->value;
	return true;
}

bool map64_remove(struct map64 *map, uint64_t key)
{
	size_t mask = map->cap - 1;
	size_t hole, i, home;

	if (!map->nr)
		return false;
	hole = (size_t)(find_slot(map->slot, map->cap, key) - map->slot);
	if (!map->slot[hole].used)
		return false;
	/* what was pushed past the hole moves back into it, so that no tombstones are needed */
	for (i = (hole + 1) & mask; map->slot[i].used; i = (i + 1) & mask) {
		home = hash_u64(map->slot[i].key) & mask;
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		map->slot[hole] = map->slot[i];
		hole = i;
	}
	map->slot[hole] = (struct map64_slot){0};
	map->nr--;
	return true;
}

bool map64_next(const struct map64 *map, size_t *pos, uint64_t *key, uint64_t *value)
{
	const struct map64_slot *slot;

	while (*pos < map->cap) {
		slot = &map->slot[(*pos)++];
		if (!slot->used)
			continue;
		if (key)
			*key = slot->key;
		if (value)
			*value = slot->value;
		return true;
	}
	return false;
}
