/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of C++ and Rust as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "demangle.h"

static void assert_demangled(const char *symbol, const char *expected)
{
	struct strbuf text = {0};

	demangle(symbol, &text);
	assert_int_equal(strbuf_error(&text), 0);
	assert_string_equal(text.text, expected);
	strbuf_release(&text);
}

static void test_demangle(void **state)
{
	(void)state;
	assert_demangled("malloc", "malloc");
	assert_demangled("_start", "_start");
	assert_demangled("_Z", "_Z");
	assert_demangled("main.main", "main.main");
	assert_demangled("_ZN5cache3putEi", "cache::put");
	assert_demangled("_ZNSt6vectorIiSaIiEE9push_backERKi",
			 "std::vector<int, std::allocator<int> >::push_back");
	assert_demangled("_ZN4core3ptr13drop_in_place17h0123456789abcdefE",
			 "core::ptr::drop_in_place");
	assert_demangled("_RNvC7mycrate3foo", "mycrate::foo");
	assert_demangled("_Z3foov.cold", "foo");
}

/* f<P<int, int>, P<T0, T0>, P<T1, T1>, ...>, the last of which is 2^35 bytes long. */
static void test_demangle_bomb(void **state)
{
	static const char digit[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct strbuf symbol = {0}, text = {0};

	(void)state;
	strbuf_puts(&symbol, "_Z1fI1PIiiE");
	for (int i = 0; i < 34; i++)
		strbuf_printf(&symbol, "S_IS%c_S%c_E", digit[i], digit[i]);
	strbuf_puts(&symbol, "Evv");
	demangle(symbol.text, &text);
	assert_int_equal(strbuf_error(&text), 0);
	assert_true(text.nr > DEMANGLE_MAX_BYTES / 2);
	assert_true(text.nr <= DEMANGLE_MAX_BYTES + 3);
	assert_string_equal(text.text + text.nr - 3, "...");
	strbuf_release(&symbol);
	strbuf_release(&text);
}

/* As a compiler of 2026 and one of 2020 name the same things. */
static void test_rust(void **state)
{
	(void)state;
	assert_demangled("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE",
			 "core::fmt::Formatter::pad");
	assert_demangled("_ZN5alloc3vec16Vec$LT$T$C$A$GT$4push17h0123456789abcdefE.llvm.1234567",
			 "alloc::vec::Vec<T,A>::push");
	assert_demangled("_RNCNvCs1_1a4main0B3_", "a::main::{closure#0}");
	assert_demangled("_RINvCs1_1a1gKj7_EB2_", "a::g::<7>");
	/* in C++ that is a name like others */
	assert_demangled("_ZN5cache17h0123456789abcdexE", "cache::h0123456789abcdex");
}

static char *repeat(const char *before, const char *what, size_t nr, const char *after)
{
	struct strbuf text = {0};

	strbuf_puts(&text, before);
	for (size_t i = 0; i < nr; i++)
		strbuf_puts(&text, what);
	strbuf_puts(&text, after);
	assert_int_equal(strbuf_error(&text), 0);
	return text.text;
}

/* Templates have such names; libiberty alone gives up above 1024 characters. */
static void test_long_name(void **state)
{
	char *symbol = repeat("_ZN", "5cache", 601, "3putEi"),
	     *expected = repeat("", "cache::", 601, "put");

	(void)state;
	assert_demangled(symbol, expected);
	free(symbol);
	free(expected);
	/* and beyond the limit it stays what it is */
	symbol = repeat("_ZN", "5cache", DEMANGLE_MAX_SYMBOL / 6, "3putEi");
	assert_demangled(symbol, symbol);
	free(symbol);
}

/* As deep as they are long: neither may overrun the stack. */
static void test_deep_names(void **state)
{
	static const char *const part[] = {"P",	     "F", "1aI",  "N1a", "Z1f",
					   "XL_Z1f", "J", "DTng", "M1a"};
	struct strbuf text = {0};
	char *symbol;

	(void)state;
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		symbol = repeat("_Z1fI", part[i], DEMANGLE_MAX_SYMBOL / strlen(part[i]) - 7, "iE");
		demangle(symbol, &text);
		assert_int_equal(strbuf_error(&text), 0);
		assert_true(text.nr > 0);
		free(symbol);
	}
	symbol = repeat("_R", "Nv", DEMANGLE_MAX_SYMBOL / 2 - 7, "C1a1b");
	demangle(symbol, &text);
	assert_string_equal(text.text, symbol);
	free(symbol);
	strbuf_release(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demangle),      cmocka_unit_test(test_rust),
		cmocka_unit_test(test_demangle_bomb), cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_deep_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
