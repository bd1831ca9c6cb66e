/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Templates and lambdas of C++, inlined into each other: each level with its own name and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "array.h"
#include "sample_program.h"
#include "symbolize.h"

/* As the one in C, it prints four addresses and waits. */
static const char program_text[] =
	"#include <cstdio>\n"
	"extern \"C\" __attribute__((noinline)) void *here()\n"
	"{\n"
	"	void *at = __builtin_return_address(0);\n"
	"	__asm__ volatile(\"\" : \"+r\"(at));\n"
	"	return at;\n"
	"}\n"
	"#define INLINE inline __attribute__((always_inline))\n"
	"namespace deep {\n"
	"#line 101\n"
	"template <typename T> static INLINE void *leaf(const T &)\n"
	"{\n"
	"	void *at = here();\n"
	"	__asm__ volatile(\"\" : \"+r\"(at));\n"
	"	return at;\n"
	"}\n"
	"template <typename T> struct level {\n"
	"	T t;\n"
	"#line 211\n"
	"	template <int N> INLINE void *middle() const\n"
	"	{\n"
	"		return leaf(*this);\n"
	"	}\n"
	"};\n"
	"#line 307\n"
	"template <typename T> __attribute__((noinline)) void *outer(T t)\n"
	"{\n"
	"	level<T> l = {t};\n"
	"	return l.template middle<sizeof(T)>();\n"
	"}\n"
	"#line 401\n"
	"__attribute__((noinline)) void *lambda(int n)\n"
	"{\n"
	"	auto f = [n]() INLINE_LAMBDA {\n"
	"		return leaf(n);\n"
	"	};\n"
	"	return f();\n"
	"}\n"
	"namespace {\n"
	"#line 503\n"
	"struct hidden {\n"
	"	__attribute__((noinline)) void *operator()(char c)\n"
	"	{\n"
	"		return c ? leaf(c) : leaf(this);\n"
	"	}\n"
	"};\n"
	"}\n"
	"}\n"
	"int main()\n"
	"{\n"
	"	deep::hidden h;\n"
	"	printf(\"%p %p %p %p\\n\", deep::outer(7), deep::outer(7.0), deep::lambda(11), "
	"h('x'));\n"
	"	fflush(stdout);\n"
	"	return getchar() == 'x';\n"
	"}\n";

struct expected {
	const char *function;
	uint32_t line;
};

static void assert_frames(struct symbolizer *sym, uint64_t address, const struct expected *expected,
			  int nr)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];

	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, address, frame), nr);
	for (int i = 0; i < nr; i++) {
		assert_string_equal(frame[i].function, expected[i].function);
		assert_line(&frame[i], "/deep.cc", expected[i].line);
		assert_int_equal(frame[i].inlined, i < nr - 1);
	}
}

static void assert_all(const char *name, const char *lambda)
{
	const struct expected of_int[] = {
		{"deep::leaf<deep::level<int> >", 103},
		{"deep::level<int>::middle<4>", 213},
		{"deep::outer<int>", 310},
	};
	const struct expected of_double[] = {
		{"deep::leaf<deep::level<double> >", 103},
		{"deep::level<double>::middle<8>", 213},
		{"deep::outer<double>", 310},
	};
	const struct expected of_lambda[] = {
		{"deep::leaf<int>", 103},
		{lambda, 404},
		{"deep::lambda", 406},
	};
	const struct expected of_hidden[] = {
		{"deep::leaf<char>", 103},
		{"deep::(anonymous namespace)::hidden::operator()", 506},
	};
	struct target target;
	struct symbolizer *sym = symbolizer_of(name, NULL, &target);

	assert_frames(sym, target.outer, of_int, 3);
	assert_frames(sym, target.plain, of_double, 3);
	assert_frames(sym, target.inside, of_lambda, 3);
	assert_frames(sym, target.nested, of_hidden, 2);
	symbolizer_free(sym);
}

static void compile_cxx(const char *compiler, const char *name, const char *options)
{
	run("cd %s && %s -std=gnu++17 -O2 -fno-pie -no-pie -fno-optimize-sibling-calls "
	    "-DINLINE_LAMBDA='__attribute__((always_inline))' %s deep.cc -o %s",
	    sample_directory(), compiler, options, name);
}

static void test_in_the_program(void **state)
{
	static const char *const options[] = {"-g", "-gdwarf-4", "-g -gz -ffunction-sections"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		compile_cxx("g++", "deep", options[i]);
		assert_all("deep", "{lambda}::operator()");
	}
}

static void test_in_a_file_of_its_own(void **state)
{
	(void)state;
	compile_cxx("g++", "apart", "-g");
	run("cd %s && objcopy --only-keep-debug apart apart.debug && strip apart && "
	    "objcopy --add-gnu-debuglink=apart.debug apart",
	    sample_directory());
	assert_all("apart", "{lambda}::operator()");
}

/* What has no name for the linker is named by where it stands. */
static void test_without_symbols(void **state)
{
	(void)state;
	compile_cxx("g++", "bare", "-g");
	run("cd %s && objcopy --wildcard --strip-symbol='*' bare && ! nm bare | grep -q leaf",
	    sample_directory());
	assert_all("bare", "{lambda}::operator()");
}

static void test_clang(void **state)
{
	(void)state;
	compile_cxx("clang++", "deep", "-g -Wno-gcc-compat");
	assert_all("deep", "deep::lambda(int)::$_0::operator()");
}

static int set_up(void **state)
{
	int error = sample_set_up(state);

	write_file(path_of("deep.cc"), program_text, sizeof(program_text) - 1);
	return error;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_the_program),
		cmocka_unit_test(test_in_a_file_of_its_own),
		cmocka_unit_test(test_without_symbols),
		cmocka_unit_test(test_clang),
	};

	return cmocka_run_group_tests(tests, set_up, sample_tear_down);
}
