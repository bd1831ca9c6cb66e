/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocators.h"
#include "allocfail.h"
#include "array.h"

#define MAX_SYMBOLS 32

/* What an object defines: names separated by blanks, each perhaps with "=N", its address; without it has its own. */
struct object {
	char text[1024];
	struct allocator_symbol symbol[MAX_SYMBOLS];
	size_t nr;
	struct allocator_choice *choice;
	size_t nr_chosen;
};

static void object_choose(struct object *o, const char *symbols)
{
	char *name, *equals, *save = NULL;

	*o = (struct object){0};
	assert_true(strlen(symbols) < sizeof(o->text));
	memcpy(o->text, symbols, strlen(symbols) + 1);
	for (name = strtok_r(o->text, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		assert_true(o->nr < MAX_SYMBOLS);
		equals = strchr(name, '=');
		if (equals)
			*equals = '\0';
		o->symbol[o->nr] = (struct allocator_symbol){
			name, equals ? (uint64_t)atoi(equals + 1) : 1000 + o->nr};
		o->nr++;
	}
	assert_int_equal(allocators_choose(o->symbol, o->nr, &o->choice, &o->nr_chosen), 0);
}

static const struct allocator_choice *chosen(const struct object *o, const char *symbol)
{
	for (size_t i = 0; i < o->nr_chosen; i++) {
		if (!strcmp(o->choice[i].function.symbol, symbol))
			return &o->choice[i];
	}
	return NULL;
}

/* "malloc glibc leaf", or "malloc none": what becomes of a symbol. */
static void expect_choice(const struct object *o, const char *want)
{
	char got[200], symbol[128];
	const struct allocator_choice *c;

	assert_int_equal(sscanf(want, "%127s", symbol), 1);
	c = chosen(o, symbol);
	snprintf(got, sizeof(got), "%s %s%s", symbol, c ? c->family->name : "none",
		 c && c->leaf ? " leaf" : "");
	assert_string_equal(got, want);
	if (c)
		assert_string_equal(o->symbol[c->symbol].name, symbol);
}

#define MAX_WANTED 8

static const struct {
	const char *symbols;
	size_t nr;
	const char *want[MAX_WANTED];
} choices[] = {
	/* glibc, as a library and linked statically */
	{"gnu_get_libc_version pthread_create malloc=1 __libc_malloc=1 calloc realloc free "
	 "memalign=2 "
	 "aligned_alloc=2",
	 5,
	 {"malloc glibc leaf", "calloc glibc leaf", "free glibc leaf", "realloc glibc",
	  "aligned_alloc glibc", "memalign none", "__libc_malloc none"}},
	{"malloc free _int_malloc _int_free", 2, {"malloc glibc leaf", "free glibc leaf"}},
	/* one with hooks, which may call malloc() once more */
	{"gnu_get_libc_version malloc free", 2, {"malloc glibc", "free glibc"}},
	{"malloc free _int_malloc malloc_hook_ini", 2, {"malloc glibc", "free glibc"}},
	/* a static program with a malloc() of its own above glibc's */
	{"malloc=1 free=2 __libc_malloc=3 __libc_free=4 _int_malloc",
	 4,
	 {"malloc unknown", "free unknown", "__libc_malloc glibc leaf", "__libc_free glibc leaf"}},
	/* musl: its free() jumps to __libc_free(), its calloc() calls malloc() */
	{"malloc free calloc realloc __dls2b __dls3 _dlstart",
	 4,
	 {"malloc musl leaf", "free musl leaf", "calloc musl", "realloc musl"}},
	{"malloc=1 default_malloc=1 free=2 __libc_free=3 __libc_malloc=4 "
	 "__libc_malloc_impl calloc",
	 3,
	 {"malloc musl leaf", "free musl leaf", "__libc_free none", "__libc_malloc none",
	  "calloc musl"}},
	{"malloc=1 default_malloc=1 __simple_malloc", 1, {"malloc musl leaf"}},
	{"malloc=1 default_malloc=9 free=2", 2, {"malloc unknown", "free unknown"}},
	{"malloc free __expand_heap", 2, {"malloc musl leaf"}},
	/* malloc() alone is no allocator, and neither is its end */
	{"malloc calloc", 0, {"malloc none"}},
	{"free", 0, {"free none"}},
	{"", 0, {0}},
	/* jemalloc, with its operators */
	{"malloc free mallocx dallocx rallocx xallocx sdallocx malloc_stats_print _Znwm "
	 "_ZdlPv",
	 9,
	 {"malloc jemalloc leaf", "mallocx jemalloc leaf", "xallocx jemalloc", "rallocx jemalloc",
	  "sdallocx jemalloc leaf", "_Znwm jemalloc", "_ZdlPv jemalloc"}},
	/* linked into a program together with a C library that gave way */
	{"gnu_get_libc_version malloc free mallocx", 3, {"malloc jemalloc leaf"}},
	/* its own names only */
	{"mallocx dallocx", 2, {"mallocx jemalloc leaf", "dallocx jemalloc leaf"}},
	{"je_malloc je_free je_calloc",
	 3,
	 {"je_malloc jemalloc leaf", "je_calloc jemalloc leaf", "je_free jemalloc leaf"}},
	{"_rjem_malloc _rjem_free _rjem_mallocx _rjem_dallocx _rjem_xallocx "
	 "_rjem_arena_malloc",
	 5,
	 {"_rjem_malloc jemalloc leaf", "_rjem_xallocx jemalloc", "_rjem_arena_malloc none"}},
	{"xmalloc xfree xcalloc my_malloc my_free je_malloc", 0, {"xmalloc none"}},
	/* with a prefix, beside the C library's */
	{"malloc free _int_malloc je_malloc je_free je_mallocx",
	 5,
	 {"malloc glibc leaf", "je_malloc jemalloc leaf", "je_mallocx jemalloc leaf"}},
	/* tcmalloc: second names are aliases */
	{"malloc=1 tc_malloc=1 __libc_malloc=1 free=2 tc_free=2 _Znwm=3 tc_new=3 _ZdlPv=2",
	 3,
	 {"malloc tcmalloc leaf", "free tcmalloc leaf", "_Znwm tcmalloc", "tc_new none",
	  "_ZdlPv none"}},
	{"TCMallocInternalMalloc TCMallocInternalFree TCMallocInternalNew "
	 "__size_returning_new",
	 4,
	 {"TCMallocInternalMalloc tcmalloc leaf", "TCMallocInternalNew tcmalloc",
	  "__size_returning_new tcmalloc"}},
	/* mimalloc, in place of malloc() or beside it */
	{"malloc=1 mi_malloc=1 free=2 mi_free=2 __libc_malloc=1 _Znwm mi_version "
	 "mi_realloc",
	 4,
	 {"malloc mimalloc leaf", "_Znwm mimalloc", "mi_realloc mimalloc"}},
	{"mi_malloc mi_free mi_zalloc_aligned",
	 3,
	 {"mi_malloc mimalloc leaf", "mi_zalloc_aligned mimalloc"}},
	/* the operators of whoever has a malloc() that we do not know; not those that end in malloc() */
	{"malloc free _Znwm", 3, {"malloc unknown", "_Znwm unknown"}},
	{"_Znwm _ZdlPv __cxa_allocate_exception", 0, {"_Znwm none"}},
	{"malloc free _int_malloc _Znwm _ZdlPv", 2, {"_Znwm none"}},
	/* Rust, whose functions end in malloc() unless the program says otherwise */
	{"__rust_alloc __rust_dealloc __rust_realloc __rdl_alloc __rdl_dealloc",
	 0,
	 {"__rust_alloc none"}},
	{"__rust_alloc __rust_dealloc __rust_realloc __rg_alloc __rg_dealloc __rdl_alloc",
	 3,
	 {"__rust_alloc rust", "__rust_realloc rust", "__rg_alloc none"}},
	{"__rg_alloc __rg_dealloc", 2, {"__rg_alloc rust", "__rg_dealloc rust"}},
	{"_RNvCsfLfy6EI15iL_7___rustc12___rust_alloc "
	 "_RNvCsfLfy6EI15iL_7___rustc14___rust_dealloc "
	 "_RNvCsfLfy6EI15iL_7___rustc19___rust_alloc_zeroed "
	 "_RNvCsfLfy6EI15iL_7___rustc17___rust_drop_panic",
	 3,
	 {"_RNvCsfLfy6EI15iL_7___rustc12___rust_alloc rust",
	  "_RNvCsfLfy6EI15iL_7___rustc19___rust_alloc_zeroed rust"}},
	{"_RNvCsfLfy6EI15iL_7___rustc12___rust_alloc "
	 "_RNvCsfLfy6EI15iL_7___rustc14___rust_dealloc "
	 "_RNvCsfLfy6EI15iL_7___rustc11___rdl_alloc",
	 0,
	 {0}},
	{"_ZN7__rustc12__rust_alloc17h0123456789abcdefE "
	 "_ZN7__rustc14__rust_dealloc17h0123456789abcdefE",
	 2,
	 {"_ZN7__rustc12__rust_alloc17h0123456789abcdefE rust"}},
	{"_RNvCs_7___rustc11___rust_alloc "
	 "_RNvCs_7___rustc99999999999999999999___rust_dealloc _R _rustc",
	 0,
	 {0}},
};

static void test_choice(void **state)
{
	struct object o;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		object_choose(&o, choices[i].symbols);
		for (size_t j = 0; j < MAX_WANTED && choices[i].want[j]; j++)
			expect_choice(&o, choices[i].want[j]);
		if (o.nr_chosen != choices[i].nr)
			fail_msg("%zu chosen, not %zu, of: %s", o.nr_chosen, choices[i].nr,
				 choices[i].symbols);
		free(o.choice);
	}
}

/* Whatever is chosen, or chosen by, is asked of a file in the first place. */
static void test_wanted(void **state)
{
	static const char *const other[] = {
		"gnu_get_libc_version",
		"pthread_create",
		"malloc_hook_ini",
		"_int_malloc",
		"default_malloc",
		"__simple_malloc",
		"__expand_heap",
		"__libc_freeres",
		"__dls3",
		"_dlstart",
		"mallocx",
		"malloc_stats_print",
		"mi_version",
		"je_xallocx",
		"_rjem_mallocx",
		"__rdl_alloc",
		"_RNvCsfLfy6EI15iL_7___rustc11___rdl_alloc",
		"MallocExtension_Internal_GetNumericProperty",
	};
	static const char *const unwanted[] = {
		"",
		"main",
		"_ZN3foo6mallocEm",
		"mi_open",
		"tc_report",
		"allocate",
		"free_list_new",
		"_ZN7__rustc17rust_begin_unwind17h0123456789abcdefE",
	};
	size_t nr, i;
	const struct allocator_function *f = allocator_functions(&nr);
	char longest[300];

	(void)state;
	for (i = 0; i < nr; i++) {
		if (!allocators_want(f[i].symbol))
			fail_msg("%s is not wanted", f[i].symbol);
	}
	for (i = 0; i < ARRAY_SIZE(other); i++) {
		if (!allocators_want(other[i]))
			fail_msg("%s is not wanted", other[i]);
	}
	for (i = 0; i < ARRAY_SIZE(unwanted); i++) {
		if (allocators_want(unwanted[i]))
			fail_msg("%s is wanted", unwanted[i]);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	memcpy(longest + sizeof(longest) - 8, "mallocx", 8);
	assert_false(allocators_want(longest));
}

static void test_no_memory(void **state)
{
	const struct allocator_symbol symbol[] = {{"malloc", 1}, {"free", 2}, {"__dls3", 3}};
	struct allocator_choice *choice;
	size_t nr = 99;
	int error;

	(void)state;
	for (long nth = 1;; nth++) {
		allocfail_set(nth);
		error = allocators_choose(symbol, ARRAY_SIZE(symbol), &choice, &nr);
		if (!allocfail_hit())
			break;
		allocfail_set(0);
		assert_int_equal(error, -ENOMEM);
		assert_int_equal(nr, 99);
	}
	allocfail_set(0);
	assert_int_equal(error, 0);
	assert_int_equal(nr, 2);
	free(choice);
}

/* More than there is room for: a file may say anything. */
static void test_too_many(void **state)
{
	enum {
		NR = 1000
	};
	struct allocator_symbol *symbol = calloc(NR, sizeof(*symbol));
	struct allocator_choice *choice;
	char(*name)[64] = calloc(NR, sizeof(*name));
	size_t nr, i;

	(void)state;
	assert_true(symbol && name);
	for (i = 0; i < NR; i++) {
		snprintf(name[i], sizeof(name[i]), "_RNvCs%zu_7___rustc%s", i,
			 i % 2 ? "12___rust_alloc" : "14___rust_dealloc");
		symbol[i] = (struct allocator_symbol){name[i], i};
	}
	assert_int_equal(allocators_choose(symbol, NR, &choice, &nr), 0);
	assert_in_range(nr, 100, NR - 1);
	free(choice);
	free(name);
	free(symbol);
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
		{"xallocx", ROLE_RESIZE, 2, 0, 1},
		{"sdallocx", ROLE_FREE, 0, 0, 1},
		{"__rust_alloc_zeroed", ROLE_ALLOC, 1, 0, 0},
		{"__rust_realloc", ROLE_REALLOC, 4, 0, 1},
		{"__rg_dealloc", ROLE_FREE, 0, 0, 1},
		{"tc_deletearray_sized", ROLE_FREE, 0, 0, 1},
		{"TCMallocInternalCalloc", ROLE_ALLOC, 2, 1, 0},
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
		assert_in_range(f[i].role, ROLE_ALLOC, ROLE_RESIZE);
		assert_in_range(f[i].group, GROUP_C, GROUP_RUST_OWN);
		/* what may put a block back, or end in another function, is more than a leaf */
		assert_true(!f[i].leaf || f[i].role == ROLE_ALLOC || f[i].role == ROLE_FREE);
		assert_false(f[i].leaf && allocator_function_throws(&f[i]));
		assert_int_equal(f[i].size_arg != 0, allocates);
		assert_int_equal(f[i].ptr_arg != 0, f[i].role != ROLE_ALLOC);
		assert_true(!f[i].count_arg || allocates);
		assert_true(!f[i].count_arg || f[i].count_arg != f[i].size_arg);
		operators += f[i].group == GROUP_OPERATOR;
		if (!allocator_owns_frame(f[i].symbol))
			fail_msg("%s does not own its frame", f[i].symbol);
	}
	/* 8 new, 8 new with a hint, 12 delete */
	assert_int_equal(operators, 28);
	assert_int_equal(find("malloc")->group, GROUP_C);
	assert_int_equal(find("_ZdaPv")->group, GROUP_OPERATOR);
}

/* The names that win over their aliases come first. */
static void test_public_names_first(void **state)
{
	(void)state;
	assert_true(find("malloc") < find("__libc_malloc"));
	assert_true(find("free") < find("cfree"));
	assert_true(find("free") < find("_ZdlPv"));
	assert_true(find("_Znwm") < find("tc_new"));
	assert_true(find("calloc") < find("mi_calloc"));
	assert_true(find("malloc") < find("tc_malloc"));
	assert_true(find("posix_memalign") < find("__posix_memalign"));
}

static void test_throws(void **state)
{
	(void)state;
	assert_true(allocator_function_throws(find("_Znwm")));
	assert_true(allocator_function_throws(find("_ZnamSt11align_val_t")));
	assert_true(allocator_function_throws(find("tc_new")));
	assert_true(allocator_function_throws(find("mi_new_n")));
	assert_true(allocator_function_throws(find("TCMallocInternalNewAligned")));
	assert_true(allocator_function_throws(find("__size_returning_new_hot_cold")));
	assert_false(allocator_function_throws(find("_ZnwmRKSt9nothrow_t")));
	assert_false(allocator_function_throws(find("tc_new_nothrow")));
	assert_false(allocator_function_throws(find("TCMallocInternalNewNothrow")));
	assert_false(allocator_function_throws(find("_ZdlPv")));
	assert_false(allocator_function_throws(find("malloc")));
}

/* Nothing of an unknown family, of the user's, or of Rust's is one. */
static void test_leaves(void **state)
{
	const struct allocator_family user = allocator_family_of_user("pool");
	const struct allocator_family known = {.name = "glibc"};
	const struct allocator_family musl = {.name = "musl"};

	(void)state;
	assert_string_equal(user.name, "pool");
	assert_false(allocator_function_is_leaf(&user, find("malloc")));
	assert_true(allocator_function_is_leaf(&known, find("malloc")));
	assert_true(allocator_function_is_leaf(&known, find("calloc")));
	assert_true(allocator_function_is_leaf(&known, find("free")));
	assert_false(allocator_function_is_leaf(&known, find("realloc")));
	assert_false(allocator_function_is_leaf(&known, find("memalign")));
	assert_false(allocator_function_is_leaf(&known, find("posix_memalign")));
	assert_false(allocator_function_is_leaf(&known, find("_Znwm")));
	assert_true(allocator_function_is_leaf(&musl, find("malloc")));
	assert_false(allocator_function_is_leaf(&musl, find("calloc")));
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
		"__rust_alloc",
		"__rdl_alloc_zeroed",
		"__rustc::__rust_alloc",
		"__rustc[5224e6b81cd82a8f]::__rdl_realloc",
		"mi_umalloc",
		"_rjem_malloc",
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
		"__rustc::rust_begin_unwind",
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
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_public_names_first),
		cmocka_unit_test(test_throws),
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_frames_of_allocators),
		cmocka_unit_test(test_frames_of_others),
	};

	return cmocka_run_group_tests_name("allocators", tests, NULL, NULL);
}
