/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "strpool.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"

/* The pointer, the slot of the table, and what malloc() adds. */
#define TEXT_OVERHEAD_BYTES 64

void strpool_release(struct strpool *pool)
{
	for (size_t i = 0; i < pool->nr; i++)
		free(pool->text[i]);
	free(pool->text);
	map64_release(&pool->by_hash);
	*pool = (struct strpool){0};
}

const char *strpool_add(struct strpool *pool, const char *text, size_t nr)
{
	uint64_t hash = hash_bytes(text, nr, 0), at;
	char *copy;

	for (; map64_get(&pool->by_hash, hash, &at); hash++) {
		if (!strncmp(pool->text[at], text, nr) && pool->text[at][nr] == '\0')
			return pool->text[at];
	}
	if (nr && pool->max_bytes && pool->bytes >= pool->max_bytes)
		return strpool_add(pool, "", 0);
	if (ARRAY_GROW(&pool->text, &pool->cap, pool->nr + 1))
		return NULL;
	copy = malloc(nr + 1);
	if (!copy)
		return NULL;
	memcpy(copy, text, nr);
	copy[nr] = '\0';
	if (map64_put(&pool->by_hash, hash, pool->nr)) {
		free(copy);
		return NULL;
	}
	pool->text[pool->nr++] = copy;
	pool->bytes += nr + TEXT_OVERHEAD_BYTES;
	return copy;
}
