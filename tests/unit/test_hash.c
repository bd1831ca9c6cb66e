/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "hash.h"

#define MODEL_KEYS 97

static void test_put_get_remove(void **state)
{
	struct map64 map = {0};
	uint64_t value = 41;

	(void)state;
	assert_false(map64_get(&map, 0, &value));
	assert_false(map64_remove(&map, 0));
	assert_int_equal(value, 41);
	assert_int_equal(map64_put(&map, 0, 3), 0);
	assert_int_equal(map64_put(&map, UINT64_MAX, 5), 0);
	assert_int_equal(map64_put(&map, 0, 7), 0);
	assert_int_equal(map.nr, 2);
	assert_true(map64_get(&map, 0, &value));
	assert_int_equal(value, 7);
	assert_true(map64_get(&map, UINT64_MAX, NULL));
	assert_true(map64_remove(&map, 0));
	assert_false(map64_remove(&map, 0));
	assert_false(map64_get(&map, 0, &value));
	assert_int_equal(map.nr, 1);
	map64_release(&map);
	assert_int_equal(map.nr, 0);
	assert_false(map64_get(&map, UINT64_MAX, NULL));
}

/* Few keys, many operations: runs of neighbours form and are torn up again. */
static void test_against_model(void **state)
{
	uint64_t model[MODEL_KEYS] = {0}, value, key, random = 1;
	bool there[MODEL_KEYS] = {false};
	struct map64 map = {0};
	size_t nr = 0;

	(void)state;
	for (uint64_t i = 0; i < 100003; i++) {
		random = hash_pair(random, i);
		key = random % MODEL_KEYS;
		if (random >> 33 & 1) {
			nr += !there[key];
			there[key] = true;
			model[key] = i;
			assert_int_equal(map64_put(&map, key << 12, i), 0);
		} else {
			assert_int_equal(map64_remove(&map, key << 12), there[key]);
			nr -= there[key];
			there[key] = false;
		}
		assert_int_equal(map.nr, nr);
		key = (random >> 40) % MODEL_KEYS;
		assert_int_equal(map64_get(&map, key << 12, &value), there[key]);
		if (there[key])
			assert_int_equal(value, model[key]);
	}
	for (key = 0; key < MODEL_KEYS; key++)
		assert_int_equal(map64_get(&map, key << 12, NULL), there[key]);
	map64_release(&map);
}

static void test_walk_sees_each_once(void **state)
{
	bool seen[1009] = {false};
	struct map64 map = {0};
	uint64_t key, value;
	size_t pos = 0, nr = 0;

	(void)state;
	assert_false(map64_next(&map, &pos, &key, &value));
	for (uint64_t i = 0; i < 1009; i++)
		assert_int_equal(map64_put(&map, i * 4096, i), 0);
	for (pos = 0; map64_next(&map, &pos, &key, &value); nr++) {
		assert_int_equal(key, value * 4096);
		assert_false(seen[value]);
		seen[value] = true;
	}
	assert_int_equal(nr, 1009);
	assert_true(map.nr * 8 <= map.cap * 7);
	map64_release(&map);
}

static void test_failure_changes_nothing(void **state)
{
	struct map64 map = {0};
	uint64_t value;
	size_t failures = 0;

	(void)state;
	for (uint64_t i = 0; i < 211; i++) {
		allocfail_set(1);
		if (map64_put(&map, i, i)) {
			failures++;
			assert_int_equal(map.nr, i);
			assert_false(map64_get(&map, i, NULL));
			allocfail_set(0);
			assert_int_equal(map64_put(&map, i, i), 0);
		}
		allocfail_set(0);
	}
	assert_in_range(failures, 4, 6);
	for (uint64_t i = 0; i < 211; i++) {
		assert_true(map64_get(&map, i, &value));
		assert_int_equal(value, i);
	}
	map64_release(&map);
}

static void test_hash_bytes(void **state)
{
	char text[32];

	(void)state;
	memset(text, 'x', sizeof(text));
	/* each length, each byte and the seed matter; place in memory does not */
	for (size_t nr = 1; nr < sizeof(text); nr++) {
		uint64_t hash = hash_bytes(text, nr, 1);

		assert_true(hash != hash_bytes(text, nr - 1, 1));
		assert_true(hash != hash_bytes(text, nr, 2));
		assert_true(hash == hash_bytes(text + (sizeof(text) - nr), nr, 1));
		for (size_t i = 0; i < nr; i++) {
			text[i] = 'y';
			assert_true(hash != hash_bytes(text, nr, 1));
			text[i] = 'x';
		}
	}
	assert_true(hash_bytes("", 0, 0) != hash_bytes("\0", 1, 0));
	assert_true(hash_bytes(NULL, 0, 0) == hash_bytes("", 0, 0));
}

/* Addresses differ in few bits; the low bits of their hashes must still spread. */
static void test_spread(void **state)
{
	unsigned int hit[1024];

	(void)state;
	for (unsigned int shift = 0; shift < 52; shift++) {
		memset(hit, 0, sizeof(hit));
		for (uint64_t i = 0; i < 4096; i++)
			hit[hash_u64(i << shift) % 1024]++;
		for (size_t i = 0; i < 1024; i++)
			assert_in_range(hit[i], 0, 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_get_remove),
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_walk_sees_each_once),
		cmocka_unit_test(test_failure_changes_nothing),
		cmocka_unit_test(test_hash_bytes),
		cmocka_unit_test(test_spread),
	};

	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
