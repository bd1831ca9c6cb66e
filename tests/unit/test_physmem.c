/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "physmem.h"

static uint64_t limit_of(const char *text)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	uint64_t limit;

	assert_non_null(f);
	limit = physmem_read_limit(f);
	assert_int_equal(fclose(f), 0);
	return limit;
}

static void test_last_memory(void **state)
{
	(void)state;
	assert_int_equal(limit_of("00000000-00000fff : Reserved\n"
				  "00001000-0009fbff : System RAM\n"
				  "000f0000-000fffff : Reserved\n"
				  "  000f0000-000fffff : System ROM\n"
				  "100000000-61fffffff : System RAM\n"
				  "  5fe000000-5ff3fffff : Kernel code\n"
				  "3800000000-3fffffffff : PCI Bus 0000:00\n"),
			 0x620000000);
}

/* A range that has parts is one, and so is a part: CXL windows hold memory. */
static void test_nested(void **state)
{
	(void)state;
	assert_int_equal(limit_of("00001000-0009fbff : System RAM\n"
				  "1050000000-304fffffff : CXL Window 0\n"
				  "  1050000000-304fffffff : region0\n"
				  "    1050000000-304fffffff : dax0.0\n"
				  "      1050000000-304fffffff : System RAM (kmem)\n"),
			 0x3050000000);
}

/* What the kernel tells who may not know. */
static void test_hidden(void **state)
{
	(void)state;
	assert_int_equal(limit_of("00000000-00000000 : System RAM\n"
				  "00000000-00000000 : Reserved\n"),
			 0);
}

static void test_bad_lines(void **state)
{
	(void)state;
	assert_int_equal(limit_of("\n"), 0);
	assert_int_equal(limit_of("00001000-0009fbff"), 0);
	assert_int_equal(limit_of("00001000 : System RAM\n"), 0);
	assert_int_equal(limit_of("zzzz-0009fbff : System RAM\n"), 0);
	assert_int_equal(limit_of("0009fbff-00001000 : System RAM\n"), 0);
	assert_int_equal(limit_of("0-ffffffffffffffff : System RAM\n"), 0);
	assert_int_equal(limit_of("00001000-0009fbff : System RAM"), 0x9fc00);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_memory),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_bad_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
