// SPDX-License-Identifier: GPL-2.0-or-later
/* The block map without what is of no use any more: of processes that are over, and of windows long past. */
#include <errno.h>
#include <stdlib.h>

#include "array.h"
#include "session_impl.h"

#define AT_ONCE 16384 /* blocks: for fewer of them the map is not walked */

struct forget {
	struct session *s;
	uint32_t proc;
};

static int forget_block(const struct heap_block *block, void *arg)
{
	struct forget *c = arg;
	struct block_key key = {.addr = block->addr, .proc = c->proc};

	loader_forget_block(c->s->loader, &key);
	return 0;
}

void session_forget_blocks(struct session *s, uint32_t proc)
{
	struct forget c = {.s = s, .proc = proc};
	struct heap *heap = profile_heap(s->profile, proc);

	if (heap && s->armed)
		(void)heap_walk(heap, forget_block, &c);
}

struct forgotten {
	const struct profile *profile;
	struct block_key *key;
	size_t nr, cap;
};

static int find_forgotten(const struct block_key *key, const struct block_value *value, void *arg)
{
	struct forgotten *f = arg;

	if (profile_looks_after(f->profile, key->proc, value->birth_ns))
		return 0;
	if (ARRAY_GROW(&f->key, &f->cap, f->nr + 1))
		return -ENOMEM;
	f->key[f->nr++] = *key;
	return 0;
}

int session_forget_left(struct session *s)
{
	struct forgotten f = {.profile = s->profile};
	uint64_t nr = profile_nr_forgotten(s->profile);
	size_t i;
	int err;

	if (nr - s->nr_forgotten < AT_ONCE)
		return 0;
	s->nr_forgotten = nr;
	err = loader_walk_blocks(s->loader, find_forgotten, &f);
	for (i = 0; i < f.nr && !err; i++)
		loader_forget_block(s->loader, &f.key[i]);
	free(f.key);
	return err;
}
