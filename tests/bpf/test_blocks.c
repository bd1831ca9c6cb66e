/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The block map: a table of sets in front of a hash. */
#include "native_begin.h"

#include "alloc.bpf.c"

#include "native.h"

#define BLOCK 0x55550010ull
#define OTHER_PROC SEEP_PROC(SLOT + 1, 1)

static struct block_key key_of(unsigned int i, __u32 proc)
{
	return (struct block_key){.addr = BLOCK + 32ull * i, .proc = proc};
}

static int put(unsigned int i, __u32 proc)
{
	struct block_key key = key_of(i, proc);
	struct block_value block = {
		.sized = 100 + i, .birth_ns = 1000 + i, .stack = i + 1, .proc = proc};

	return block_put(&key, &block);
}

static void assert_taken(unsigned int i, __u32 proc)
{
	struct block_key key = key_of(i, proc);
	struct block_value block = {0};

	assert_true(block_take(&key, &block));
	assert_int_equal(block.sized, 100 + i);
	assert_int_equal(block.birth_ns, 1000 + i);
	assert_int_equal(block.stack, i + 1);
	assert_int_equal(block.proc, proc);
	assert_false(block_take(&key, &block));
}

static char shard_map;

/* A table of so many sets. */
static void table_of(__u32 sets)
{
	config.block_table = 1;
	block_mask = block_mask_first = sets - 1;
	blocks_in_hash = 0;
	fake_map_register(&block_shards,
			  &(struct fake_map_shape){.type = BPF_MAP_TYPE_ARRAY_OF_MAPS,
						   .key_bytes = sizeof(__u32),
						   .value_bytes = sizeof(void *),
						   .max_entries = 1});
	fake_map_register(&shard_map,
			  &(struct fake_map_shape){.type = BPF_MAP_TYPE_ARRAY,
						   .key_bytes = sizeof(__u32),
						   .value_bytes = sizeof(struct block_set),
						   .max_entries = SEEP_BLOCK_SHARD_SETS});
	fake_inner_add(&block_shards, 0, &shard_map);
}

/* One set: what all blocks have to share. */
static struct block_set *one_set(void)
{
	__u32 zero = 0;

	table_of(1);
	return fake_map_value(&shard_map, &zero, 0);
}

static void test_a_set_and_the_hash_behind(void **state)
{
	unsigned int i;

	(void)state;
	assert_non_null(one_set());
	for (i = 0; i < SEEP_BLOCK_WAYS; i++)
		assert_int_equal(put(i, PROC), 0);
	assert_int_equal(fake_map_nr(&blocks), 0);
	assert_int_equal(blocks_in_hash, 0);
	for (; i < 11; i++)
		assert_int_equal(put(i, PROC), 0);
	assert_int_equal(fake_map_nr(&blocks), 3);
	assert_int_equal(blocks_in_hash, 3);
	for (i = 0; i < 11; i++)
		assert_int_equal(put(i, PROC), -EEXIST);
	for (i = 0; i < 11; i++)
		assert_taken(i, PROC);
	assert_int_equal(fake_map_nr(&blocks), 0);
}

static void test_a_place_is_used_again(void **state)
{
	unsigned int i;

	(void)state;
	assert_non_null(one_set());
	for (i = 0; i < 1009; i++) {
		assert_int_equal(put(i, PROC), 0);
		assert_taken(i, PROC);
	}
	assert_int_equal(blocks_in_hash, 0);
}

/* Two processes have the same address, in the same set. */
static void test_equal_addresses(void **state)
{
	(void)state;
	assert_non_null(one_set());
	assert_int_equal(put(7, PROC), 0);
	assert_int_equal(put(7, OTHER_PROC), 0);
	assert_taken(7, OTHER_PROC);
	assert_int_equal(put(7, PROC), -EEXIST);
	assert_taken(7, PROC);
}

/* A place that another CPU is writing to is neither free nor a block. */
static void test_a_place_being_taken(void **state)
{
	struct block_set *set = one_set();
	unsigned int i;

	(void)state;
	for (i = 0; i < SEEP_BLOCK_WAYS - 1; i++)
		set->addr[i] = SEEP_BLOCK_TAKEN;
	assert_int_equal(put(1, PROC), 0);
	assert_int_equal(set->addr[SEEP_BLOCK_WAYS - 1], BLOCK + 32);
	assert_int_equal(put(2, PROC), 0);
	assert_int_equal(fake_map_nr(&blocks), 1);
	assert_taken(1, PROC);
	assert_taken(2, PROC);
}

static void test_no_room(void **state)
{
	unsigned int i;

	(void)state;
	assert_non_null(one_set());
	fake_map_limit(&blocks, 5);
	for (i = 0; i < SEEP_BLOCK_WAYS + 5; i++)
		assert_int_equal(put(i, PROC), 0);
	assert_int_equal(put(i, PROC), -E2BIG);
	assert_taken(3, PROC);
	assert_int_equal(put(i, PROC), 0);
	assert_int_equal(fake_map_nr(&blocks), 5);
}

/* Blocks of smaller tables are found where those had them, and freed, and new ones go to the large one. */
static void test_growth(void **state)
{
	unsigned int i, nr = 200;

	(void)state;
	table_of(4);
	for (i = 0; i < nr; i++) {
		if (i == 20)
			block_mask = 15;
		if (i == 60)
			block_mask = 63;
		assert_int_equal(put(i, PROC), 0);
	}
	for (i = 0; i < nr; i++)
		assert_int_equal(put(i, PROC), -EEXIST);
	assert_true(blocks_in_hash < 40);
	for (i = 0; i < nr; i++)
		assert_taken(i, PROC);
	for (i = 0; i < nr; i++)
		assert_int_equal(put(i, PROC), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		machine_test(test_a_set_and_the_hash_behind),
		machine_test(test_a_place_is_used_again),
		machine_test(test_equal_addresses),
		machine_test(test_a_place_being_taken),
		machine_test(test_no_room),
		machine_test(test_growth),
	};

	return cmocka_run_group_tests_name("blocks", tests, NULL, NULL);
}
