/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "array.h"
#include "parse.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)
#define UNTOUCHED UINT64_C(0xdeadbeef)

struct example {
	const char *text;
	int error;
	uint64_t value;
};

static void check(int (*parse)(const char *, uint64_t *), const struct example *example, size_t nr)
{
	for (; nr; nr--, example++) {
		uint64_t value = UNTOUCHED;
		int error = parse(example->text, &value);

		if (error != example->error || value != (error ? UNTOUCHED : example->value))
			fail_msg("\"%s\": error %d, value %llu", example->text, error,
				 (unsigned long long)value);
	}
}

static void test_u64(void **state)
{
	static const struct example example[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999", -ERANGE, 0},
		{"99999999999999999999999x", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1.0", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1k", -EINVAL, 0},
		{"abc", -EINVAL, 0},
	};

	(void)state;
	check(parse_u64, example, ARRAY_SIZE(example));
}

static void test_duration(void **state)
{
	static const struct example example[] = {
		{"10s", 0, 10 * S},
		{"1.5s", 0, 1500 * MS},
		{"200ms", 0, 200 * MS},
		{"3m", 0, 180 * S},
		{"1h", 0, 3600 * S},
		{"0.5h", 0, 1800 * S},
		{"7", 0, 7 * S},
		{"0.25", 0, 250 * MS},
		{"0", 0, 0},
		{"0.000000001", 0, 1},
		{"1.9999999999999999999999999s", 0, 2 * S - 1},
		{"1.2500000000000000000000000000000s", 0, 1250 * MS},
		{"18446744073s", 0, 18446744073 * S},
		{"18446744073.709551615s", 0, UINT64_MAX},
		{"18446744073.709551616s", -ERANGE, 0},
		{"5124096h", -ERANGE, 0},
		{"18446744073709551616s", -ERANGE, 0},
		{"abc", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"1.", -EINVAL, 0},
		{"1.s", -EINVAL, 0},
		{".5s", -EINVAL, 0},
		{"1..5s", -EINVAL, 0},
		{"1,5s", -EINVAL, 0},
		{"1 s", -EINVAL, 0},
		{"1S", -EINVAL, 0},
		{"1sec", -EINVAL, 0},
		{"1h30m", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"-1s", -EINVAL, 0},
		{"inf", -EINVAL, 0},
	};

	(void)state;
	check(parse_duration, example, ARRAY_SIZE(example));
}

static void test_size(void **state)
{
	static const struct example example[] = {
		{"512", 0, 512},
		{"512K", 0, 512 << 10},
		{"512k", 0, 512 << 10},
		{"512KB", 0, 512 << 10},
		{"512KiB", 0, 512 << 10},
		{"1.5M", 0, 3 << 19},
		{"2G", 0, UINT64_C(2) << 30},
		{"1T", 0, UINT64_C(1) << 40},
		{"0.001K", 0, 1},
		{"16777215T", 0, UINT64_C(16777215) << 40},
		{"16777216T", -ERANGE, 0},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"1.5", -EINVAL, 0},
		{"512B", -EINVAL, 0},
		{"512iB", -EINVAL, 0},
		{"512KI", -EINVAL, 0},
		{"512Kb", -EINVAL, 0},
		{"512 K", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"-1K", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	(void)state;
	check(parse_size, example, ARRAY_SIZE(example));
}

static void test_percent(void **state)
{
	static const char *const bad[] = {"", "%", "5%%", "5 %", "-5%", "+5", ".5%", "5.%", "five"};
	double value = -1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_percent(bad[i], &value), -EINVAL);
	assert_int_equal(parse_percent("99999999999999999999%", &value), -ERANGE);
	assert_true(value == -1);
	assert_int_equal(parse_percent("5%", &value), 0);
	assert_true(value == 5);
	assert_int_equal(parse_percent("0.5%", &value), 0);
	assert_true(value == 0.5);
	assert_int_equal(parse_percent("103", &value), 0);
	assert_true(value == 103);
}

static void test_format_bytes(void **state)
{
	static const struct example example[] = {
		{"0 B", 0, 0},
		{"1023 B", 0, 1023},
		{"1.0 KiB", 0, 1024},
		{"1.2 KiB", 0, 1229},
		{"1023.9 KiB", 0, 1023 * 1024 + 900},
		{"1.0 MiB", 0, 1024 * 1024 - 1},
		{"9.5 MiB", 0, 10000000},
		{"1.0 GiB", 0, UINT64_C(1) << 30},
		{"1.0 TiB", 0, UINT64_C(1) << 40},
		{"1.0 PiB", 0, UINT64_C(1) << 50},
		{"16.0 EiB", 0, UINT64_MAX},
	};
	char text[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(example); i++) {
		format_bytes(example[i].value, text, sizeof(text));
		assert_string_equal(text, example[i].text);
	}
	format_bytes(1024, text, 5);
	assert_string_equal(text, "1.0 ");
}

static void test_format_duration(void **state)
{
	static const struct {
		double seconds;
		const char *text;
	} example[] = {
		{0, "0.0 s"},
		{12.34, "12.3 s"},
		{59.94, "59.9 s"},
		{59.96, "1m00s"},
		{245, "4m05s"},
		{3599.4, "59m59s"},
		{3599.6, "1h00m"},
		{11520, "3h12m"},
		{86399.9, "1d00h"},
		{2 * 86400 + 4 * 3600 + 59, "2d04h"},
		{1e300, "999999d00h"},
		{INFINITY, "999999d00h"},
		{-1, "?"},
		{NAN, "?"},
	};
	char text[FORMAT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(example); i++) {
		format_duration(example[i].seconds, text, sizeof(text));
		assert_string_equal(text, example[i].text);
	}
}

static void test_format_count(void **state)
{
	static const struct example example[] = {
		{"0", 0, 0},
		{"999", 0, 999},
		{"1,000", 0, 1000},
		{"12,345", 0, 12345},
		{"1,234,567", 0, 1234567},
		{"18,446,744,073,709,551,615", 0, UINT64_MAX},
	};
	char text[FORMAT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(example); i++) {
		format_count(example[i].value, text, sizeof(text));
		assert_string_equal(text, example[i].text);
	}
	format_count(1234567, text, 4);
	assert_string_equal(text, "1,2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64),	     cmocka_unit_test(test_duration),
		cmocka_unit_test(test_size),	     cmocka_unit_test(test_percent),
		cmocka_unit_test(test_format_bytes), cmocka_unit_test(test_format_duration),
		cmocka_unit_test(test_format_count),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
