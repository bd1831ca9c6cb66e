// SPDX-License-Identifier: GPL-2.0-or-later
/* The block map, read by userspace: the table of sets, and the hash behind it. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "loader_impl.h"
#include "seep.skel.h"

#define BATCH 4096

static struct block_set *set_of(const struct loader *l, const struct block_key *key)
{
	if (!l->sets)
		return NULL;
	return &l->sets[SEEP_BLOCK_HASH(key->addr, key->proc) & (l->nr_sets - 1)];
}

static uint64_t way_addr(const struct block_set *set, unsigned int way)
{
	return __atomic_load_n(&set->addr[way], __ATOMIC_ACQUIRE);
}

/* One place of the table, read while programs write: what changed meanwhile is not what is there. */
static bool read_way(const struct block_set *set, unsigned int way, struct block_key *key,
		     struct block_value *value)
{
	uint64_t addr = way_addr(set, way);

	if (addr <= SEEP_BLOCK_TAKEN)
		return false;
	*value = set->block[way];
	*key = (struct block_key){.addr = addr, .proc = value->proc};
	return way_addr(set, way) == addr;
}

static int walk_sets(const struct loader *l,
		     int (*visit)(const struct block_key *key, const struct block_value *value,
				  void *arg),
		     void *arg)
{
	struct block_value value;
	struct block_key key;
	unsigned int way;
	uint32_t i;
	int err;

	for (i = 0; l->sets && i < l->nr_sets; i++) {
		for (way = 0; way < SEEP_BLOCK_WAYS; way++) {
			if (!read_way(&l->sets[i], way, &key, &value))
				continue;
			err = visit(&key, &value, arg);
			if (err)
				return err;
		}
	}
	return 0;
}

static int walk_hash(const struct loader *l,
		     int (*visit)(const struct block_key *key, const struct block_value *value,
				  void *arg),
		     void *arg)
{
	int fd = bpf_map__fd(l->skel->maps.blocks), err = 0;
	struct block_key *key = calloc(BATCH, sizeof(*key));
	struct block_value *value = calloc(BATCH, sizeof(*value));
	uint32_t position = 0, nr, i;
	bool first = true, last = false;

	if (!key || !value)
		err = -ENOMEM;
	while (!err && !last) {
		nr = BATCH;
		if (bpf_map_lookup_batch(fd, first ? NULL : &position, &position, key, value, &nr,
					 NULL)) {
			last = errno == ENOENT;
			err = last ? 0 : -errno;
		}
		first = false;
		for (i = 0; i < nr && !err; i++)
			err = visit(&key[i], &value[i], arg);
	}
	free(key);
	free(value);
	return err;
}

int loader_walk_blocks(const struct loader *l,
		       int (*visit)(const struct block_key *key, const struct block_value *value,
				    void *arg),
		       void *arg)
{
	int err = walk_sets(l, visit, arg);

	return err ? err : walk_hash(l, visit, arg);
}

int loader_has_block(const struct loader *l, const struct block_key *key, uint64_t birth_ns)
{
	const struct block_set *set = set_of(l, key);
	struct block_value value;
	struct block_key found;
	unsigned int way;

	for (way = 0; set && way < SEEP_BLOCK_WAYS; way++) {
		if (read_way(set, way, &found, &value) && found.addr == key->addr &&
		    found.proc == key->proc && value.birth_ns == birth_ns)
			return 1;
	}
	if (bpf_map_lookup_elem(bpf_map__fd(l->skel->maps.blocks), key, &value))
		return 0;
	return value.birth_ns == birth_ns;
}

void loader_forget_block(struct loader *l, const struct block_key *key)
{
	struct block_set *set = set_of(l, key);
	__u64 addr = key->addr;
	unsigned int way;

	for (way = 0; set && way < SEEP_BLOCK_WAYS; way++) {
		if (way_addr(set, way) == addr && set->block[way].proc == key->proc)
			(void)__atomic_compare_exchange_n(&set->addr[way], &addr, 0, false,
							  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		addr = key->addr;
	}
	(void)bpf_map_delete_elem(bpf_map__fd(l->skel->maps.blocks), key);
}
