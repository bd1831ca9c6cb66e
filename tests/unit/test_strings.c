/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "strings.h"

static void test_kept_once(void **state)
{
	struct strings strings = {0};
	char text[] = "leak_session";
	const char *kept = strings_keep(&strings, text, 12);

	(void)state;
	assert_string_equal(kept, "leak_session");
	assert_ptr_not_equal(kept, text);
	text[0] = 'X';
	assert_string_equal(kept, "leak_session");
	assert_ptr_equal(strings_keep(&strings, "leak_session", 12), kept);
	assert_ptr_not_equal(strings_keep(&strings, "leak_session", 4), kept);
	assert_string_equal(strings_keep(&strings, "leak_session", 4), "leak");
	strings_release(&strings);
	assert_int_equal(strings.bytes, 0);
	strings_release(&strings);
}

static void test_empty_is_static(void **state)
{
	struct strings strings = {0};

	(void)state;
	allocfail_set(1);
	assert_string_equal(strings_keep(&strings, "never read", 0), "");
	allocfail_set(0);
	strings_release(&strings);
}

static void test_many(void **state)
{
	static const char *kept[10007];
	struct strings strings = {0};
	char text[32];

	(void)state;
	for (int i = 0; i < 10007; i++) {
		int nr = snprintf(text, sizeof(text), "function_%d", i);

		kept[i] = strings_keep(&strings, text, (size_t)nr);
		assert_non_null(kept[i]);
	}
	for (int i = 0; i < 10007; i++) {
		int nr = snprintf(text, sizeof(text), "function_%d", i);

		assert_string_equal(kept[i], text);
		assert_ptr_equal(strings_keep(&strings, text, (size_t)nr), kept[i]);
	}
	strings_release(&strings);
}

static void test_no_memory(void **state)
{
	struct strings strings = {0};
	const char *kept = NULL;
	size_t bytes = 0;

	(void)state;
	for (long nth = 1; !kept; nth++) {
		allocfail_set(nth);
		kept = strings_keep(&strings, "text", 4);
		allocfail_set(0);
		assert_true(kept || strings.bytes == bytes);
	}
	assert_string_equal(kept, "text");
	assert_true(strings.bytes > bytes);
	strings_release(&strings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_once),
		cmocka_unit_test(test_empty_is_static),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("strings", tests, NULL, NULL);
}
