// SPDX-License-Identifier: GPL-2.0-or-later
/* The block map, read by userspace: the table of sets, and the hash behind it. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "loader_impl.h"
#include "seep.skel.h"

#define BATCH 4096
#define SHARD_BLOCKS (SEEP_BLOCK_SHARD_SETS * SEEP_BLOCK_WAYS)
#define FIRST_SHARDS 1u /* 1 MiB, for 32768 blocks at most */
/* Fewer blocks than this are not worth a table: a hash alone holds exactly what was asked for. */
#define TABLE_MIN_BLOCKS (2 * FIRST_SHARDS * SHARD_BLOCKS)
/* A hash takes 16 bytes of memory for each block that it might hold. It is for those that find their set full. */
#define HASH_SHARE 32
#define HASH_MIN 65536u
#define OVERFLOW_SHARE 64 /* one place of so many: then the table is some three quarters full */

void loader_size_blocks(struct loader *l, const struct loader_options *options,
			uint32_t *hash_entries)
{
	uint32_t shards = FIRST_SHARDS, in_hash = options->max_blocks / HASH_SHARE;

	*hash_entries = options->max_blocks;
	if (options->max_blocks < TABLE_MIN_BLOCKS)
		return;
	while ((uint64_t)shards * SHARD_BLOCKS < options->max_blocks &&
	       shards << SEEP_BLOCK_GROWTH_BITS <= SEEP_BLOCK_MAX_SHARDS)
		shards <<= SEEP_BLOCK_GROWTH_BITS;
	l->max_block_shards = shards;
	*hash_entries = in_hash > HASH_MIN ? in_hash : HASH_MIN;
}

static struct loader_arrays shards_of(const struct loader *l)
{
	return (struct loader_arrays){.outer_fd = bpf_map__fd(l->skel->maps.block_shards),
				      .name = "seep_blocks",
				      .value_bytes = sizeof(struct block_set),
				      .nr_values = SEEP_BLOCK_SHARD_SETS,
				      .at = (void **)l->block_shard};
}

/* Shards come before the mask that leads to them. Where it fails, those that are there stay unused. */
static int set_shards(struct loader *l, uint32_t nr)
{
	const struct loader_arrays shards = shards_of(l);
	int err = loader_add_arrays(&shards, l->nr_block_shards, nr - l->nr_block_shards);

	if (err)
		return err;
	__atomic_store_n(&l->nr_block_shards, nr, __ATOMIC_RELEASE);
	__atomic_store_n(&l->skel->bss->block_mask, nr * SEEP_BLOCK_SHARD_SETS - 1,
			 __ATOMIC_SEQ_CST);
	return 0;
}

int loader_make_blocks(struct loader *l)
{
	if (!l->max_block_shards)
		return 0;
	l->block_shard = calloc((size_t)l->max_block_shards << SEEP_BLOCK_GROWTH_BITS,
				sizeof(*l->block_shard));
	if (!l->block_shard)
		return -ENOMEM;
	l->skel->bss->block_mask_first = FIRST_SHARDS * SEEP_BLOCK_SHARD_SETS - 1;
	return set_shards(l, FIRST_SHARDS);
}

static void *grow(void *arg)
{
	struct loader *l = arg;

	l->grow_error = set_shards(l, l->nr_block_shards << SEEP_BLOCK_GROWTH_BITS);
	__atomic_store_n(&l->has_grown, true, __ATOMIC_RELEASE);
	return NULL;
}

static int grow_end(struct loader *l)
{
	(void)pthread_join(l->grower, NULL);
	/* What came while it was too small says nothing of how it is now. */
	l->hash_seen = __atomic_load_n(&l->skel->bss->blocks_in_hash, __ATOMIC_RELAXED);
	l->is_growing = l->has_grown = false;
	if (l->grow_error) /* not again and again */
		l->max_block_shards = l->nr_block_shards;
	return l->grow_error;
}

void loader_unmap_blocks(struct loader *l)
{
	const struct loader_arrays shards = shards_of(l);

	if (l->is_growing)
		(void)grow_end(l);
	loader_unmap_arrays(&shards, l->nr_block_shards << SEEP_BLOCK_GROWTH_BITS);
	free(l->block_shard);
}

/* In a thread, because it takes a tenth of a second, in which the rings would not be read. */
int loader_grow_blocks(struct loader *l)
{
	uint64_t in_hash = __atomic_load_n(&l->skel->bss->blocks_in_hash, __ATOMIC_RELAXED);
	uint64_t room = (uint64_t)l->nr_block_shards * SHARD_BLOCKS;

	if (l->is_growing)
		return __atomic_load_n(&l->has_grown, __ATOMIC_ACQUIRE) ? grow_end(l) : 0;
	if (l->nr_block_shards >= l->max_block_shards ||
	    in_hash - l->hash_seen < room / OVERFLOW_SHARE)
		return 0;
	l->is_growing = !pthread_create(&l->grower, NULL, grow, l);
	return l->is_growing ? 0 : -EAGAIN;
}

static struct block_set *set_at(const struct loader *l, uint32_t set)
{
	return &l->block_shard[set >> SEEP_BLOCK_SHARD_BITS][set & (SEEP_BLOCK_SHARD_SETS - 1)];
}

/* The sets where a block may lie, as the tables had it that there have been: how many, at most SEEP_BLOCK_LEVELS. */
static unsigned int sets_of(const struct loader *l, const struct block_key *key,
			    struct block_set *set[SEEP_BLOCK_LEVELS])
{
	uint32_t shards = __atomic_load_n(&l->nr_block_shards, __ATOMIC_ACQUIRE),
		 hash = SEEP_BLOCK_HASH(key->addr, key->proc);
	unsigned int nr = 0;

	for (; shards >= FIRST_SHARDS && nr < SEEP_BLOCK_LEVELS; shards >>= SEEP_BLOCK_GROWTH_BITS)
		set[nr++] = set_at(l, hash & (shards * SEEP_BLOCK_SHARD_SETS - 1));
	return nr;
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

static int walk_set(const struct block_set *set,
		    int (*visit)(const struct block_key *key, const struct block_value *value,
				 void *arg),
		    void *arg)
{
	struct block_value value;
	struct block_key key;
	unsigned int way;
	int err = 0;

	for (way = 0; way < SEEP_BLOCK_WAYS && !err; way++) {
		if (read_way(set, way, &key, &value))
			err = visit(&key, &value, arg);
	}
	return err;
}

static int walk_sets(const struct loader *l,
		     int (*visit)(const struct block_key *key, const struct block_value *value,
				  void *arg),
		     void *arg)
{
	uint32_t nr =
		__atomic_load_n(&l->nr_block_shards, __ATOMIC_ACQUIRE) * SEEP_BLOCK_SHARD_SETS;
	uint32_t i;
	int err = 0;

	for (i = 0; i < nr && !err; i++)
		err = walk_set(set_at(l, i), visit, arg);
	return err;
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

static bool set_has(const struct block_set *set, const struct block_key *key, uint64_t birth_ns)
{
	struct block_value value;
	struct block_key found;
	unsigned int way;

	for (way = 0; way < SEEP_BLOCK_WAYS; way++) {
		if (read_way(set, way, &found, &value) && found.addr == key->addr &&
		    found.proc == key->proc && value.birth_ns == birth_ns)
			return true;
	}
	return false;
}

int loader_has_block(const struct loader *l, const struct block_key *key, uint64_t birth_ns)
{
	struct block_set *set[SEEP_BLOCK_LEVELS];
	unsigned int nr = sets_of(l, key, set), i;
	struct block_value value;

	for (i = 0; i < nr; i++) {
		if (set_has(set[i], key, birth_ns))
			return 1;
	}
	if (bpf_map_lookup_elem(bpf_map__fd(l->skel->maps.blocks), key, &value))
		return 0;
	return value.birth_ns == birth_ns;
}

static bool set_forget(struct block_set *set, const struct block_key *key)
{
	unsigned int way;
	__u64 addr;

	for (way = 0; way < SEEP_BLOCK_WAYS; way++) {
		addr = key->addr;
		if (way_addr(set, way) == addr && set->block[way].proc == key->proc &&
		    __atomic_compare_exchange_n(&set->addr[way], &addr, 0, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return true;
	}
	return false;
}

void loader_forget_block(struct loader *l, const struct block_key *key)
{
	struct block_set *set[SEEP_BLOCK_LEVELS];
	unsigned int nr = sets_of(l, key, set), i;

	for (i = 0; i < nr; i++) {
		if (set_forget(set[i], key))
			return;
	}
	if (!nr || __atomic_load_n(&l->skel->bss->blocks_in_hash, __ATOMIC_RELAXED))
		(void)bpf_map_delete_elem(bpf_map__fd(l->skel->maps.blocks), key);
}
