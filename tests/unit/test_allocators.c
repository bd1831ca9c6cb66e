/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocators.h"
#include "array.h"

/* What an object exports: names separated by blanks. */
static bool exports(const char *symbol, void *arg)
{
	const char *at = arg;
	size_t nr = strlen(symbol);

	for (; at; at = strchr(at, ' ')) {
		at += *at == ' ';
		if (!strncmp(at, symbol, nr) && (at[nr] == ' ' || !at[nr]))
			return true;
	}
	return false;
}

struct family_case {
	const char *exported;
	const char *name;
	bool has_operators;
};

static void test_families(void **state)
{
	static const struct family_case cases[] = {
		{"malloc free malloc_stats gnu_get_libc_version __libc_malloc", "glibc", false},
		{"malloc free _int_malloc _int_free", "glibc", false},
		{"malloc free __dls2b __dls3 _dlstart", "musl", false},
		{"malloc free mallocx malloc_stats_print _Znwm", "jemalloc", true},
		{"je_malloc je_mallocx", "jemalloc", true},
		{"malloc tc_malloc __libc_malloc malloc_stats _Znwm", "tcmalloc", true},
		{"malloc mi_malloc __libc_malloc mi_free _Znwm", "mimalloc", true},
		/* jemalloc linked into a program together with the C library */
		{"gnu_get_libc_version malloc mallocx", "jemalloc", true},
		{"malloc free _Znwm", "unknown", true},
		{"malloc mallocx_like xmi_malloc", "unknown", true},
		{"", "unknown", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct allocator_family *family =
			allocator_family_of(exports, (void *)cases[i].exported);

		assert_string_equal(family->name, cases[i].name);
		assert_int_equal(family->has_operators, cases[i].has_operators);
		assert_non_null(family->marker);
	}
}

static const struct allocator_function *find(const char *symbol)
{
	size_t nr, i;
	const struct allocator_function *function = allocator_functions(&nr);

	for (i = 0; i < nr; i++) {
		if (!strcmp(function[i].symbol, symbol))
			return &function[i];
	}
	return NULL;
}

static void test_arguments(void **state)
{
	static const struct allocator_function want[] = {
		{"malloc", ROLE_ALLOC, 1, 0, 0},
		{"calloc", ROLE_ALLOC, 2, 1, 0},
		{"realloc", ROLE_REALLOC, 2, 0, 1},
		{"reallocarray", ROLE_REALLOC, 3, 2, 1},
		{"posix_memalign", ROLE_ALLOC_OUT, 3, 0, 1},
		{"aligned_alloc", ROLE_ALLOC, 2, 0, 0},
		{"memalign", ROLE_ALLOC, 2, 0, 0},
		{"valloc", ROLE_ALLOC, 1, 0, 0},
		{"pvalloc", ROLE_ALLOC, 1, 0, 0},
		{"free", ROLE_FREE, 0, 0, 1},
		{"cfree", ROLE_FREE, 0, 0, 1},
		{"free_sized", ROLE_FREE, 0, 0, 1},
		{"free_aligned_sized", ROLE_FREE, 0, 0, 1},
		{"__libc_malloc", ROLE_ALLOC, 1, 0, 0},
		{"mallocx", ROLE_ALLOC, 1, 0, 0},
		{"rallocx", ROLE_REALLOC, 2, 0, 1},
		{"sdallocx", ROLE_FREE, 0, 0, 1},
		{"je_malloc", ROLE_ALLOC, 1, 0, 0},
		{"tc_posix_memalign", ROLE_ALLOC_OUT, 3, 0, 1},
		{"mi_malloc_aligned", ROLE_ALLOC, 1, 0, 0},
		{"mi_memalign", ROLE_ALLOC, 2, 0, 0},
		{"mi_calloc_aligned", ROLE_ALLOC, 2, 1, 0},
		{"mi_reallocn", ROLE_REALLOC, 3, 2, 1},
		{"mi_free_size", ROLE_FREE, 0, 0, 1},
		{"_Znwm", ROLE_ALLOC, 1, 0, 0},
		{"_Znam", ROLE_ALLOC, 1, 0, 0},
		{"_ZnwmRKSt9nothrow_t", ROLE_ALLOC, 1, 0, 0},
		{"_ZnwmSt11align_val_t", ROLE_ALLOC, 1, 0, 0},
		{"_ZnamSt11align_val_tRKSt9nothrow_t", ROLE_ALLOC, 1, 0, 0},
		{"_ZdlPv", ROLE_FREE, 0, 0, 1},
		{"_ZdaPvm", ROLE_FREE, 0, 0, 1},
		{"_ZdlPvRKSt9nothrow_t", ROLE_FREE, 0, 0, 1},
		{"_ZdlPvSt11align_val_t", ROLE_FREE, 0, 0, 1},
		{"_ZdaPvmSt11align_val_t", ROLE_FREE, 0, 0, 1},
		{"_ZdlPvSt11align_val_tRKSt9nothrow_t", ROLE_FREE, 0, 0, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		const struct allocator_function *got = find(want[i].symbol);

		if (!got)
			fail_msg("%s is missing", want[i].symbol);
		assert_int_equal(got->role, want[i].role);
		assert_int_equal(got->size_arg, want[i].size_arg);
		assert_int_equal(got->count_arg, want[i].count_arg);
		assert_int_equal(got->ptr_arg, want[i].ptr_arg);
	}
}

/* What holds for every function, whatever its name. */
static void test_table(void **state)
{
	size_t nr, i, j, operators = 0;
	const struct allocator_function *f = allocator_functions(&nr);

	(void)state;
	assert_string_equal(f[0].symbol, "malloc");
	for (i = 0; i < nr; i++) {
		bool allocates = f[i].role != ROLE_FREE;

		for (j = 0; j < i; j++)
			assert_string_not_equal(f[i].symbol, f[j].symbol);
		assert_in_range(f[i].role, ROLE_ALLOC, ROLE_ALLOC_OUT);
		assert_int_equal(f[i].size_arg != 0, allocates);
		assert_int_equal(f[i].ptr_arg != 0, f[i].role != ROLE_ALLOC);
		assert_true(!f[i].count_arg || allocates);
		assert_true(!f[i].count_arg || f[i].count_arg != f[i].size_arg);
		operators += allocator_function_is_operator(&f[i]);
		if (!allocator_owns_frame(f[i].symbol))
			fail_msg("%s does not own its frame", f[i].symbol);
	}
	/* 8 new, 8 new with a hint, 12 delete */
	assert_int_equal(operators, 28);
	assert_false(allocator_function_is_operator(find("malloc")));
	assert_true(allocator_function_is_operator(find("_ZdaPv")));
}

/* The names that win over their aliases come first. */
static void test_public_names_first(void **state)
{
	(void)state;
	assert_true(find("malloc") < find("__libc_malloc"));
	assert_true(find("free") < find("cfree"));
	assert_true(find("free") < find("_ZdlPv"));
	assert_true(find("calloc") < find("mi_calloc"));
	assert_true(find("malloc") < find("tc_malloc"));
	assert_true(find("posix_memalign") < find("__posix_memalign"));
}

static void test_frames_of_allocators(void **state)
{
	static const char *const name[] = {
		"malloc",
		"malloc@@GLIBC_2.2.5",
		"malloc@plt",
		"malloc(unsigned long)",
		"__libc_malloc",
		"__GI___libc_malloc",
		"__GI___libc_free",
		"_int_malloc",
		"_int_malloc.constprop.0",
		"_int_free",
		"_int_free_merge_chunk",
		"_mid_memalign",
		"sysmalloc",
		"sysmalloc_mmap.isra.0",
		"malloc_consolidate",
		"unlink_chunk.constprop.0",
		"xallocx",
		"je_malloc",
		"je_malloc_default",
		"je_arena_malloc_hard",
		"je_tcache_alloc_small_hard",
		"imalloc_fastpath",
		"void* newImpl<false>(unsigned long)",
		"newImpl<false>",
		"mi_malloc_aligned",
		"mi_heap_malloc_zero_aligned_at_fallback",
		"_mi_malloc_generic",
		"mi_heap_malloc",
		"tc_calloc",
		"tc_deletearray_sized",
		"TCMallocInternalMalloc",
		"tcmalloc::allocate_full_malloc_oom(unsigned long)",
		"void* tcmalloc::allocate_full<&tcmalloc::cpp_throw_oom>(unsigned long)",
		"operator new(unsigned long)",
		"operator new[](unsigned long)",
		"operator new",
		"operator new[]",
		"operator new(unsigned long, std::align_val_t, std::nothrow_t const&)",
		"operator new(unsigned long) [clone .cold]",
		"operator delete(void*)",
		"operator delete[](void*, unsigned long)",
		"operator delete",
		"_Znwm@plt",
		"__interceptor_malloc",
		"__rtld_malloc",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(name); i++) {
		if (!allocator_owns_frame(name[i]))
			fail_msg("\"%s\" is not known", name[i]);
	}
}

static void test_frames_of_others(void **state)
{
	static const char *const name[] = {
		"",
		"(",
		"@plt",
		".plt",
		"main",
		"my_malloc",
		"xmalloc",
		"zmalloc",
		"zmalloc(unsigned long)",
		"mallocation",
		"malloc_usable_size",
		"malloc_hash",
		"Malloc",
		"free_list_new",
		"freeaddrinfo",
		"free::all()",
		"freehand",
		"callocate",
		"mi6_report",
		"mi_open",
		"mi_cmd_break_insert",
		"_mi_write_keypage",
		"tc_report",
		"je_suis",
		"__libc_start_main",
		"__libc_start_call_main",
		"__GI_",
		"__GI_fopen",
		"strdup",
		"__strdup",
		"_IO_file_doallocate",
		"std::allocator<char>::allocate(unsigned long)",
		"__gnu_cxx::new_allocator<int>::allocate(unsigned long, void const*)",
		"std::__new_allocator<int>::allocate(unsigned long, void const*)",
		"std::vector<int, std::allocator<int> >::operator=(std::vector<int> const&)",
		"Pool::operator new(unsigned long)",
		"Pool::operator delete(void*)",
		"Pool::malloc(unsigned long)",
		"void* Pool::allocate<int>(unsigned long)",
		"operator newer(int)",
		"operator delete_all()",
		"operator==(A const&, B const&)",
		"operator ",
		"alloc::alloc::alloc",
		"PyObject_Malloc",
		"g_malloc",
		"_ZN4Pool6mallocEm",
		"a_function_whose_name_is_longer_than_any_name_of_an_allocator_could_be",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(name); i++) {
		if (allocator_owns_frame(name[i]))
			fail_msg("\"%s\" is taken for an allocator's", name[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_public_names_first),
		cmocka_unit_test(test_frames_of_allocators),
		cmocka_unit_test(test_frames_of_others),
	};

	return cmocka_run_group_tests_name("allocators", tests, NULL, NULL);
}
