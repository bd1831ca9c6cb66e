/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "strbuf.h"

static void test_adds(void **state)
{
	struct strbuf sb = {0};

	(void)state;
	strbuf_puts(&sb, "");
	assert_string_equal(sb.text, "");
	strbuf_puts(&sb, "one");
	strbuf_add(&sb, "two\0x", 5);
	strbuf_printf(&sb, "%d-%s", 3, "four");
	strbuf_add(&sb, NULL, 0);
	assert_int_equal(sb.nr, 3 + 5 + 6);
	assert_memory_equal(sb.text, "onetwo\0x3-four", sb.nr + 1);
	assert_int_equal(strbuf_error(&sb), 0);
	strbuf_clear(&sb);
	assert_int_equal(sb.nr, 0);
	assert_string_equal(sb.text, "");
	strbuf_release(&sb);
	assert_null(sb.text);
	strbuf_clear(&sb);
	strbuf_release(&sb);
}

static void test_long_text(void **state)
{
	struct strbuf sb = {0};

	(void)state;
	for (int i = 0; i < 10007; i++)
		strbuf_printf(&sb, "%05d\n", i);
	assert_int_equal(sb.nr, 6 * 10007);
	assert_memory_equal(sb.text + 6 * 5003, "05003\n", 6);
	assert_int_equal(strlen(sb.text), sb.nr);
	strbuf_release(&sb);
}

static void test_failure_is_sticky(void **state)
{
	struct strbuf sb = {0};

	(void)state;
	strbuf_puts(&sb, "kept");
	allocfail_set(1);
	strbuf_printf(&sb, "%1000d", 1);
	allocfail_set(0);
	assert_int_equal(strbuf_error(&sb), -ENOMEM);
	strbuf_puts(&sb, "x");
	strbuf_printf(&sb, "x");
	assert_string_equal(sb.text, "kept");
	assert_int_equal(sb.nr, 4);
	strbuf_clear(&sb);
	assert_int_equal(strbuf_error(&sb), 0);
	strbuf_puts(&sb, "again");
	assert_string_equal(sb.text, "again");
	strbuf_release(&sb);
	allocfail_set(1);
	strbuf_puts(&sb, "never");
	allocfail_set(0);
	assert_int_equal(strbuf_error(&sb), -ENOMEM);
	assert_null(sb.text);
	strbuf_release(&sb);
	assert_int_equal(strbuf_error(&sb), 0);
}

static void test_absurd_length(void **state)
{
	struct strbuf sb = {0};

	(void)state;
	strbuf_puts(&sb, "kept");
	strbuf_add(&sb, "x", SIZE_MAX - 3);
	assert_int_equal(strbuf_error(&sb), -ENOMEM);
	assert_string_equal(sb.text, "kept");
	strbuf_release(&sb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adds),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_failure_is_sticky),
		cmocka_unit_test(test_absurd_length),
	};

	return cmocka_run_group_tests_name("strbuf", tests, NULL, NULL);
}
