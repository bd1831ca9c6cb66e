/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "allocfail.h"
#include "array.h"

static void test_grows_and_keeps(void **state)
{
	uint32_t *item = NULL;
	size_t nr = 0, cap = 0;

	(void)state;
	for (uint32_t i = 0; i < 1009; i++) {
		assert_int_equal(ARRAY_GROW(&item, &cap, nr + 1), 0);
		assert_true(cap > nr);
		item[nr++] = i * 7;
	}
	for (uint32_t i = 0; i < 1009; i++)
		assert_int_equal(item[i], i * 7);
	assert_true(cap < 2 * nr);
	free(item);
}

static void test_enough_room_does_nothing(void **state)
{
	uint64_t *item = NULL;
	size_t cap = 0;

	(void)state;
	assert_int_equal(ARRAY_GROW(&item, &cap, 0), 0);
	assert_null(item);
	assert_int_equal(ARRAY_GROW(&item, &cap, 13), 0);
	assert_true(cap >= 13);
	allocfail_set(1);
	assert_int_equal(ARRAY_GROW(&item, &cap, 13), 0);
	assert_int_equal(allocfail_count(), 0);
	allocfail_set(0);
	free(item);
}

static void test_failure_changes_nothing(void **state)
{
	uint64_t *item = NULL, *before;
	size_t cap = 0, cap_before;

	(void)state;
	assert_int_equal(ARRAY_GROW(&item, &cap, 5), 0);
	item[4] = 10007;
	before = item;
	cap_before = cap;
	allocfail_set(1);
	assert_int_equal(ARRAY_GROW(&item, &cap, cap + 1), -ENOMEM);
	allocfail_set(0);
	assert_ptr_equal(item, before);
	assert_int_equal(cap, cap_before);
	assert_int_equal(item[4], 10007);
	assert_int_equal(ARRAY_GROW(&item, &cap, SIZE_MAX / 8 + 1), -ENOMEM);
	assert_int_equal(ARRAY_GROW(&item, &cap, SIZE_MAX), -ENOMEM);
	assert_ptr_equal(item, before);
	assert_int_equal(cap, cap_before);
	free(item);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_and_keeps),
		cmocka_unit_test(test_enough_room_does_nothing),
		cmocka_unit_test(test_failure_changes_nothing),
	};

	return cmocka_run_group_tests_name("array", tests, NULL, NULL);
}
