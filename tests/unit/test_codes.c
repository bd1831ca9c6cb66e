// SPDX-License-Identifier: GPL-2.0-or-later
/* Which code lay at an address, and when it is not known. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "array.h"
#include "codes.h"
#include "unwind.h"

#define ONE 1009
#define TWO 1013
#define THREE 1019

static struct code code_of(uint64_t start, uint64_t end, uint16_t origin)
{
	return (struct code){
		.start = start, .end = end, .inode = origin, .name = "", .origin = origin};
}

static int replace(struct codes *codes, const struct code *code, size_t nr)
{
	struct code_list now = {0};
	int error = 0;

	for (size_t i = 0; i < nr && !error; i++)
		error = code_list_add(&now, &code[i]);
	if (!error)
		error = codes_replace(codes, &now);
	code_list_release(&now);
	return error;
}

static void put(struct codes *codes, uint64_t start, uint64_t end, uint16_t origin)
{
	struct code code = code_of(start, end, origin);

	assert_int_equal(replace(codes, &code, 1), 0);
}

static int find(const struct codes *codes, uint64_t address, uint16_t origin)
{
	const struct code *code = NULL;
	int error = codes_find(codes, address, origin, &code);

	return error ? error : code->origin;
}

static void test_one_after_the_other(void **state)
{
	struct codes codes = {0};

	(void)state;
	assert_int_equal(find(&codes, 5, ORIGIN_UNKNOWN), -ENOENT);
	assert_int_equal(find(&codes, 5, ONE), -ESTALE);
	put(&codes, 0, 10, ONE);
	assert_int_equal(find(&codes, 5, ORIGIN_UNKNOWN), ONE);
	assert_int_equal(find(&codes, 10, ORIGIN_UNKNOWN), -ENOENT);
	assert_int_equal(find(&codes, 5, TWO), -ESTALE);
	put(&codes, 4, 20, TWO);
	put(&codes, 4, 6, THREE);
	assert_int_equal(find(&codes, 5, ONE), ONE);
	assert_int_equal(find(&codes, 5, TWO), TWO);
	assert_int_equal(find(&codes, 5, THREE), THREE);
	assert_int_equal(find(&codes, 5, ORIGIN_UNKNOWN), -ESTALE);
	assert_int_equal(find(&codes, 5, ORIGIN_NO_FILE), -ESTALE);
	assert_int_equal(find(&codes, 5, ORIGIN_CHANGED), -ENOENT);
	/* gone, but nothing has come */
	assert_int_equal(find(&codes, 3, ORIGIN_UNKNOWN), ONE);
	assert_int_equal(find(&codes, 3, TWO), -ESTALE);
	assert_int_equal(find(&codes, 15, ORIGIN_UNKNOWN), TWO);
	assert_int_equal(find(&codes, 15, ONE), -ESTALE);
	codes_release(&codes);
}

/* The same file again is the same code, also with something else in between. */
static void test_the_same_again(void **state)
{
	struct codes codes = {0};

	(void)state;
	put(&codes, 0, 10, ONE);
	put(&codes, 0, 10, ONE);
	put(&codes, 0, 7, ONE);
	assert_int_equal(find(&codes, 5, ORIGIN_UNKNOWN), ONE);
	assert_int_equal(codes.past.nr, 0);
	put(&codes, 0, 10, TWO);
	put(&codes, 0, 10, ONE);
	assert_int_equal(find(&codes, 5, ONE), ONE);
	assert_int_equal(find(&codes, 5, TWO), TWO);
	assert_int_equal(find(&codes, 5, ORIGIN_UNKNOWN), -ESTALE);
	codes_release(&codes);
}

/* A file that we could not look at may be the one that a frame tells of. */
static void test_unknown_file(void **state)
{
	struct codes codes = {0};

	(void)state;
	put(&codes, 0, 10, ORIGIN_UNKNOWN);
	assert_int_equal(find(&codes, 5, ONE), ORIGIN_UNKNOWN);
	assert_int_equal(find(&codes, 5, ORIGIN_UNKNOWN), ORIGIN_UNKNOWN);
	put(&codes, 0, 10, TWO);
	put(&codes, 0, 10, ORIGIN_UNKNOWN);
	assert_int_equal(find(&codes, 5, ONE), -ESTALE);
	assert_int_equal(find(&codes, 5, TWO), TWO);
	codes_release(&codes);
}

static void test_bound(void **state)
{
	struct codes codes = {0};
	uint16_t origin;

	(void)state;
	for (uint32_t i = 0; i < 3 * CODES_MAX_PAST; i++) {
		put(&codes, 0, 10, (uint16_t)(ORIGIN_FILE + i));
		assert_true(codes.past.nr <= CODES_MAX_PAST);
	}
	for (uint32_t i = 0; i < 3 * CODES_MAX_PAST; i++) {
		origin = (uint16_t)(ORIGIN_FILE + i);
		if (i < 2 * CODES_MAX_PAST - 1)
			assert_int_equal(find(&codes, 5, origin), -ESTALE);
		else if (i >= 5 * CODES_MAX_PAST / 2)
			assert_int_equal(find(&codes, 5, origin), origin);
	}
	codes_release(&codes);
}

static void test_no_memory(void **state)
{
	const struct code code[] = {code_of(2, 4, TWO), code_of(6, 8, THREE)};
	struct codes codes = {0};
	bool failed = true;
	int error;

	(void)state;
	put(&codes, 0, 10, ONE);
	for (long nth = 1; failed; nth++) {
		allocfail_set(nth);
		error = replace(&codes, code, ARRAY_SIZE(code));
		failed = allocfail_hit();
		allocfail_set(0);
		assert_int_equal(error, failed ? -ENOMEM : 0);
		assert_int_equal(find(&codes, 1, ORIGIN_UNKNOWN), ONE);
		assert_int_equal(find(&codes, 3, ONE), ONE);
		assert_int_equal(find(&codes, 3, TWO), failed ? -ESTALE : TWO);
	}
	codes_release(&codes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_after_the_other), cmocka_unit_test(test_the_same_again),
		cmocka_unit_test(test_unknown_file),	    cmocka_unit_test(test_bound),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("codes", tests, NULL, NULL);
}
