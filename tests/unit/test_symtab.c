/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What names of functions are kept in: ranges of addresses, tables of symbols, texts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "ranges.h"
#include "strpool.h"
#include "symtab.h"

static void test_ranges(void **state)
{
	struct ranges ranges = {0};
	const struct range *at;

	(void)state;
	assert_null(ranges_find(&ranges, 7, NULL));
	assert_int_equal(ranges_add(&ranges, 100, 200, 1), 0);
	assert_int_equal(ranges_add(&ranges, 10, 1000, 2), 0);
	assert_int_equal(ranges_add(&ranges, 100, 150, 3), 0);
	assert_int_equal(ranges_add(&ranges, 300, 400, 4), 0);
	assert_int_equal(ranges_add(&ranges, 300, 300, 5), 0);
	assert_int_equal(ranges_add(&ranges, 100, 150, 0), 0);
	ranges_sort(&ranges);
	assert_int_equal(ranges.nr, 5);
	assert_null(ranges_find(&ranges, 9, NULL));
	at = ranges_find(&ranges, 149, NULL);
	assert_int_equal(at->value, 0);
	at = ranges_find(&ranges, 149, at);
	assert_int_equal(at->value, 3);
	at = ranges_find(&ranges, 149, at);
	assert_int_equal(at->value, 1);
	at = ranges_find(&ranges, 149, at);
	assert_int_equal(at->value, 2);
	assert_null(ranges_find(&ranges, 149, at));
	assert_int_equal(ranges_find(&ranges, 150, NULL)->value, 1);
	assert_int_equal(ranges_find(&ranges, 200, NULL)->value, 2);
	assert_int_equal(ranges_find(&ranges, 400, NULL)->value, 2);
	assert_null(ranges_find(&ranges, 1000, NULL));
	ranges_release(&ranges);
}

static void test_strpool(void **state)
{
	struct strpool pool = {0};
	const char *one = strpool_add(&pool, "one and", 3), *two;
	char number[16];

	(void)state;
	assert_string_equal(one, "one");
	assert_ptr_equal(strpool_add(&pool, "one", 3), one);
	assert_string_equal(strpool_add(&pool, "", 0), "");
	for (int i = 0; i < 1009; i++) {
		(void)snprintf(number, sizeof(number), "%d", i);
		two = strpool_add(&pool, number, strlen(number));
		assert_non_null(two);
		assert_string_equal(two, number);
	}
	assert_int_equal(pool.nr, 1011);
	assert_ptr_equal(strpool_add(&pool, "one", 3), one);
	strpool_release(&pool);
}

/* What a full pool has no room for is "". */
static void test_strpool_is_bounded(void **state)
{
	struct strpool pool = {.max_bytes = 1000};
	const char *first = strpool_add(&pool, "first", 5);
	char number[16];

	(void)state;
	for (int i = 0; i < 101; i++) {
		(void)snprintf(number, sizeof(number), "%d", i);
		assert_non_null(strpool_add(&pool, number, strlen(number)));
	}
	assert_string_equal(strpool_add(&pool, "late", 4), "");
	assert_ptr_equal(strpool_add(&pool, "first", 5), first);
	assert_true(pool.bytes < 1200);
	strpool_release(&pool);
}

static struct symtab *new_table(void)
{
	struct symtab *tab = calloc(1, sizeof(*tab));

	assert_non_null(tab);
	return tab;
}

static void free_table(struct symtab *tab)
{
	symtab_release(tab);
	free(tab);
}

static void add(struct symtab *tab, const char *name, uint64_t start, uint64_t bytes)
{
	assert_int_equal(symtab_add_function(tab, name, start, bytes), 0);
}

/* name NULL: none. */
static void assert_found(const struct symtab *tab, uint64_t address, const char *name,
			 uint64_t start)
{
	uint64_t found_start = 0;
	const char *found = symtab_find(tab, address, &found_start);

	if (!name) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_string_equal(found, name);
	assert_int_equal(found_start, start);
}

static void test_nested_symbols(void **state)
{
	struct symtab *tab = new_table();

	(void)state;
	add(tab, "outer", 100, 100);
	add(tab, "inner", 120, 20);
	add(tab, "across", 190, 30);
	add(tab, "overflows", UINT64_MAX - 3, 7);
	assert_int_equal(symtab_lay_out(tab), 0);
	assert_found(tab, 99, NULL, 0);
	assert_found(tab, 100, "outer", 100);
	assert_found(tab, 120, "inner", 120);
	assert_found(tab, 139, "inner", 120);
	assert_found(tab, 140, "outer", 100);
	assert_found(tab, 190, "across", 190);
	assert_found(tab, 219, "across", 190);
	assert_found(tab, 220, NULL, 0);
	assert_found(tab, UINT64_MAX - 2, NULL, 0);
	free_table(tab);
}

static void test_public_names(void **state)
{
	static const char *const alias[] = {"__libc_malloc", "malloc", "__GI___libc_malloc",
					    "malloc@OLD", "malloc_long"};
	struct symtab *tab = new_table();

	(void)state;
	for (size_t i = 0; i < sizeof(alias) / sizeof(alias[0]); i++)
		add(tab, alias[i], 1000, 10);
	add(tab, "_short", 1000, 5);
	add(tab, "free@@NEW", 2000, 10);
	add(tab, "free@OLD", 2000, 10);
	assert_int_equal(symtab_lay_out(tab), 0);
	assert_found(tab, 1000, "malloc", 1000);
	assert_found(tab, 1009, "malloc", 1000);
	assert_found(tab, 2003, "free@@NEW", 2000);
	free_table(tab);
	assert_int_equal(symtab_bare_length("free@@NEW"), 4);
	assert_int_equal(symtab_bare_length("free"), 4);
	assert_int_equal(symtab_bare_length("free@plt"), 8);
	assert_int_equal(symtab_bare_length("@"), 1);
}

/* They go as far as the next symbol, and give way to those that have a size. */
static void test_symbols_without_size(void **state)
{
	struct symtab *tab = new_table();

	(void)state;
	add(tab, "first", 100, 0);
	add(tab, "sized", 130, 10);
	add(tab, "second", 150, 0);
	add(tab, "_second", 150, 0);
	add(tab, "hidden", 160, 0);
	add(tab, "wide", 155, 20);
	assert_int_equal(symtab_lay_out(tab), 0);
	assert_found(tab, 100, "first", 100);
	assert_found(tab, 129, "first", 100);
	assert_found(tab, 130, "sized", 130);
	assert_found(tab, 140, NULL, 0);
	assert_found(tab, 150, "second", 150);
	assert_found(tab, 154, "second", 150);
	assert_found(tab, 165, "wide", 155);
	assert_found(tab, 175, "hidden", 160);
	assert_found(tab, UINT64_MAX - 1, "hidden", 160);
	free_table(tab);
}

#define NR_SYMBOLS 1009
#define SPAN 2048

/* Against the rule itself: of those that hold an address the one that starts last, and of these the best name. */
static void test_random_symbols(void **state)
{
	static char name[NR_SYMBOLS][8];
	static unsigned int start[NR_SYMBOLS], end[NR_SYMBOLS];
	struct symtab *tab = new_table();
	uint32_t random = 314159;

	(void)state;
	for (unsigned int i = 0; i < NR_SYMBOLS; i++) {
		random = random * 1664525 + 1013904223;
		(void)snprintf(name[i], sizeof(name[i]), "f%04u", i);
		start[i] = random >> 8 & (SPAN - 1);
		end[i] = start[i] + 1 + (random >> 26);
		add(tab, name[i], start[i], end[i] - start[i]);
	}
	assert_int_equal(symtab_lay_out(tab), 0);
	for (unsigned int at = 0; at < SPAN + 64; at++) {
		int best = -1;

		for (int i = 0; i < NR_SYMBOLS; i++) {
			if (at >= start[i] && at < end[i] && (best < 0 || start[i] > start[best]))
				best = i;
		}
		assert_found(tab, at, best < 0 ? NULL : name[best], best < 0 ? 0 : start[best]);
	}
	assert_true(symtab_bytes(tab) < 4 * NR_SYMBOLS * sizeof(struct symtab_piece));
	free_table(tab);
}

static void test_out_of_memory(void **state)
{
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		struct symtab *tab = new_table();
		int error;

		allocfail_set(nth);
		error = symtab_add_function(tab, "one", 10, 10);
		if (!error)
			error = symtab_add_function(tab, "two", 12, 0);
		if (!error)
			error = symtab_lay_out(tab);
		failed = allocfail_hit();
		allocfail_set(0);
		assert_int_equal(error, failed ? -ENOMEM : 0);
		free_table(tab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_strpool),
		cmocka_unit_test(test_strpool_is_bounded),
		cmocka_unit_test(test_nested_symbols),
		cmocka_unit_test(test_public_names),
		cmocka_unit_test(test_symbols_without_size),
		cmocka_unit_test(test_random_symbols),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
