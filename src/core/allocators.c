/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "allocators.h"

#include <string.h>

#include "array.h"

static const struct allocator_function functions[] = {
	/* The C library's. The name that users know comes first: aliases of its address are dropped later. */
	{"malloc", ROLE_ALLOC, 1, 0, 0},
	{"calloc", ROLE_ALLOC, 2, 1, 0},
	{"realloc", ROLE_REALLOC, 2, 0, 1},
	{"reallocarray", ROLE_REALLOC, 3, 2, 1},
	{"reallocf", ROLE_REALLOC, 2, 0, 1},
	{"posix_memalign", ROLE_ALLOC_OUT, 3, 0, 1},
	{"aligned_alloc", ROLE_ALLOC, 2, 0, 0},
	{"memalign", ROLE_ALLOC, 2, 0, 0},
	{"valloc", ROLE_ALLOC, 1, 0, 0},
	{"pvalloc", ROLE_ALLOC, 1, 0, 0},
	{"free", ROLE_FREE, 0, 0, 1},
	{"cfree", ROLE_FREE, 0, 0, 1},
	{"vfree", ROLE_FREE, 0, 0, 1},
	{"free_sized", ROLE_FREE, 0, 0, 1},
	{"free_aligned_sized", ROLE_FREE, 0, 0, 1},
	/* Its second names. */
	{"__libc_malloc", ROLE_ALLOC, 1, 0, 0},
	{"__libc_calloc", ROLE_ALLOC, 2, 1, 0},
	{"__libc_realloc", ROLE_REALLOC, 2, 0, 1},
	{"__libc_reallocarray", ROLE_REALLOC, 3, 2, 1},
	{"__libc_memalign", ROLE_ALLOC, 2, 0, 0},
	{"__libc_valloc", ROLE_ALLOC, 1, 0, 0},
	{"__libc_pvalloc", ROLE_ALLOC, 1, 0, 0},
	{"__libc_free", ROLE_FREE, 0, 0, 1},
	{"__libc_cfree", ROLE_FREE, 0, 0, 1},
	{"__posix_memalign", ROLE_ALLOC_OUT, 3, 0, 1},
	/* jemalloc. Not xallocx(): it answers with a size. */
	{"mallocx", ROLE_ALLOC, 1, 0, 0},
	{"rallocx", ROLE_REALLOC, 2, 0, 1},
	{"dallocx", ROLE_FREE, 0, 0, 1},
	{"sdallocx", ROLE_FREE, 0, 0, 1},
	{"je_malloc", ROLE_ALLOC, 1, 0, 0},
	{"je_calloc", ROLE_ALLOC, 2, 1, 0},
	{"je_realloc", ROLE_REALLOC, 2, 0, 1},
	{"je_posix_memalign", ROLE_ALLOC_OUT, 3, 0, 1},
	{"je_aligned_alloc", ROLE_ALLOC, 2, 0, 0},
	{"je_memalign", ROLE_ALLOC, 2, 0, 0},
	{"je_valloc", ROLE_ALLOC, 1, 0, 0},
	{"je_pvalloc", ROLE_ALLOC, 1, 0, 0},
	{"je_free", ROLE_FREE, 0, 0, 1},
	{"je_free_sized", ROLE_FREE, 0, 0, 1},
	{"je_free_aligned_sized", ROLE_FREE, 0, 0, 1},
	{"je_mallocx", ROLE_ALLOC, 1, 0, 0},
	{"je_rallocx", ROLE_REALLOC, 2, 0, 1},
	{"je_dallocx", ROLE_FREE, 0, 0, 1},
	{"je_sdallocx", ROLE_FREE, 0, 0, 1},
	/* gperftools. */
	{"tc_malloc", ROLE_ALLOC, 1, 0, 0},
	{"tc_calloc", ROLE_ALLOC, 2, 1, 0},
	{"tc_realloc", ROLE_REALLOC, 2, 0, 1},
	{"tc_posix_memalign", ROLE_ALLOC_OUT, 3, 0, 1},
	{"tc_memalign", ROLE_ALLOC, 2, 0, 0},
	{"tc_valloc", ROLE_ALLOC, 1, 0, 0},
	{"tc_pvalloc", ROLE_ALLOC, 1, 0, 0},
	{"tc_free", ROLE_FREE, 0, 0, 1},
	{"tc_cfree", ROLE_FREE, 0, 0, 1},
	{"tc_free_sized", ROLE_FREE, 0, 0, 1},
	{"tc_malloc_skip_new_handler", ROLE_ALLOC, 1, 0, 0},
	/* mimalloc. Not its heaps: mi_heap_destroy() frees blocks that it does not name. */
	{"mi_malloc", ROLE_ALLOC, 1, 0, 0},
	{"mi_calloc", ROLE_ALLOC, 2, 1, 0},
	{"mi_realloc", ROLE_REALLOC, 2, 0, 1},
	{"mi_reallocarray", ROLE_REALLOC, 3, 2, 1},
	{"mi_reallocf", ROLE_REALLOC, 2, 0, 1},
	{"mi_posix_memalign", ROLE_ALLOC_OUT, 3, 0, 1},
	{"mi_aligned_alloc", ROLE_ALLOC, 2, 0, 0},
	{"mi_memalign", ROLE_ALLOC, 2, 0, 0},
	{"mi_valloc", ROLE_ALLOC, 1, 0, 0},
	{"mi_pvalloc", ROLE_ALLOC, 1, 0, 0},
	{"mi_free", ROLE_FREE, 0, 0, 1},
	{"mi_cfree", ROLE_FREE, 0, 0, 1},
	{"mi_zalloc", ROLE_ALLOC, 1, 0, 0},
	{"mi_malloc_small", ROLE_ALLOC, 1, 0, 0},
	{"mi_zalloc_small", ROLE_ALLOC, 1, 0, 0},
	{"mi_mallocn", ROLE_ALLOC, 2, 1, 0},
	{"mi_reallocn", ROLE_REALLOC, 3, 2, 1},
	{"mi_rezalloc", ROLE_REALLOC, 2, 0, 1},
	{"mi_recalloc", ROLE_REALLOC, 3, 2, 1},
	{"mi_malloc_aligned", ROLE_ALLOC, 1, 0, 0},
	{"mi_malloc_aligned_at", ROLE_ALLOC, 1, 0, 0},
	{"mi_zalloc_aligned", ROLE_ALLOC, 1, 0, 0},
	{"mi_zalloc_aligned_at", ROLE_ALLOC, 1, 0, 0},
	{"mi_calloc_aligned", ROLE_ALLOC, 2, 1, 0},
	{"mi_calloc_aligned_at", ROLE_ALLOC, 2, 1, 0},
	{"mi_realloc_aligned", ROLE_REALLOC, 2, 0, 1},
	{"mi_realloc_aligned_at", ROLE_REALLOC, 2, 0, 1},
	{"mi_rezalloc_aligned", ROLE_REALLOC, 2, 0, 1},
	{"mi_rezalloc_aligned_at", ROLE_REALLOC, 2, 0, 1},
	{"mi_recalloc_aligned", ROLE_REALLOC, 3, 2, 1},
	{"mi_recalloc_aligned_at", ROLE_REALLOC, 3, 2, 1},
	{"mi_new", ROLE_ALLOC, 1, 0, 0},
	{"mi_new_nothrow", ROLE_ALLOC, 1, 0, 0},
	{"mi_new_aligned", ROLE_ALLOC, 1, 0, 0},
	{"mi_new_aligned_nothrow", ROLE_ALLOC, 1, 0, 0},
	{"mi_new_n", ROLE_ALLOC, 2, 1, 0},
	{"mi_new_realloc", ROLE_REALLOC, 2, 0, 1},
	{"mi_new_reallocn", ROLE_REALLOC, 3, 2, 1},
	{"mi_free_size", ROLE_FREE, 0, 0, 1},
	{"mi_free_size_aligned", ROLE_FREE, 0, 0, 1},
	{"mi_free_aligned", ROLE_FREE, 0, 0, 1},
	/* operator new and new[]. */
	{"_Znwm", ROLE_ALLOC, 1, 0, 0},
	{"_ZnwmRKSt9nothrow_t", ROLE_ALLOC, 1, 0, 0},
	{"_ZnwmSt11align_val_t", ROLE_ALLOC, 1, 0, 0},
	{"_ZnwmSt11align_val_tRKSt9nothrow_t", ROLE_ALLOC, 1, 0, 0},
	{"_Znam", ROLE_ALLOC, 1, 0, 0},
	{"_ZnamRKSt9nothrow_t", ROLE_ALLOC, 1, 0, 0},
	{"_ZnamSt11align_val_t", ROLE_ALLOC, 1, 0, 0},
	{"_ZnamSt11align_val_tRKSt9nothrow_t", ROLE_ALLOC, 1, 0, 0},
	{"_Znwm12__hot_cold_t", ROLE_ALLOC, 1, 0, 0},
	{"_ZnwmRKSt9nothrow_t12__hot_cold_t", ROLE_ALLOC, 1, 0, 0},
	{"_ZnwmSt11align_val_t12__hot_cold_t", ROLE_ALLOC, 1, 0, 0},
	{"_ZnwmSt11align_val_tRKSt9nothrow_t12__hot_cold_t", ROLE_ALLOC, 1, 0, 0},
	{"_Znam12__hot_cold_t", ROLE_ALLOC, 1, 0, 0},
	{"_ZnamRKSt9nothrow_t12__hot_cold_t", ROLE_ALLOC, 1, 0, 0},
	{"_ZnamSt11align_val_t12__hot_cold_t", ROLE_ALLOC, 1, 0, 0},
	{"_ZnamSt11align_val_tRKSt9nothrow_t12__hot_cold_t", ROLE_ALLOC, 1, 0, 0},
	/* operator delete and delete[]. */
	{"_ZdlPv", ROLE_FREE, 0, 0, 1},
	{"_ZdlPvm", ROLE_FREE, 0, 0, 1},
	{"_ZdlPvRKSt9nothrow_t", ROLE_FREE, 0, 0, 1},
	{"_ZdlPvSt11align_val_t", ROLE_FREE, 0, 0, 1},
	{"_ZdlPvmSt11align_val_t", ROLE_FREE, 0, 0, 1},
	{"_ZdlPvSt11align_val_tRKSt9nothrow_t", ROLE_FREE, 0, 0, 1},
	{"_ZdaPv", ROLE_FREE, 0, 0, 1},
	{"_ZdaPvm", ROLE_FREE, 0, 0, 1},
	{"_ZdaPvRKSt9nothrow_t", ROLE_FREE, 0, 0, 1},
	{"_ZdaPvSt11align_val_t", ROLE_FREE, 0, 0, 1},
	{"_ZdaPvmSt11align_val_t", ROLE_FREE, 0, 0, 1},
	{"_ZdaPvSt11align_val_tRKSt9nothrow_t", ROLE_FREE, 0, 0, 1},
};

/*
 * mallocx() and malloc_stats_print() are jemalloc's (the C library's is malloc_stats()). gperftools and mimalloc export
 * __libc_malloc() as well: it marks nobody, and the C libraries come last. The last two of glibc's and musl's are seen
 * in the symbol tables of statically linked programs.
 */
static const char *const jemalloc_marker[] = {"mallocx", "je_mallocx", "malloc_stats_print",
					      "je_malloc_stats_print", NULL};
static const char *const tcmalloc_marker[] = {"tc_malloc", "TCMallocInternalMalloc",
					      "MallocExtension_Internal_GetNumericProperty", NULL};
static const char *const mimalloc_marker[] = {"mi_malloc", "mi_version", NULL};
static const char *const glibc_marker[] = {"gnu_get_libc_version", "__libc_freeres", "_int_malloc",
					   NULL};
static const char *const musl_marker[] = {"__dls3", "_dlstart", "__libc_malloc_impl", NULL};
static const char *const no_marker[] = {NULL};

static const struct allocator_family families[] = {
	{"jemalloc", jemalloc_marker, true}, {"tcmalloc", tcmalloc_marker, true},
	{"mimalloc", mimalloc_marker, true}, {"glibc", glibc_marker, false},
	{"musl", musl_marker, false},
};

/* An object with its own malloc and its own operators has most likely its own way from one to the other. */
static const struct allocator_family unknown_family = {"unknown", no_marker, true};

const struct allocator_family *allocator_family_of(bool (*exported)(const char *symbol, void *arg),
						   void *arg)
{
	size_t i;
	const char *const *marker;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		for (marker = families[i].marker; *marker; marker++) {
			if (exported(*marker, arg))
				return &families[i];
		}
	}
	return &unknown_family;
}

const struct allocator_function *allocator_functions(size_t *nr)
{
	*nr = ARRAY_SIZE(functions);
	return functions;
}

bool allocator_function_throws(const struct allocator_function *function)
{
	static const char *const prefix[] = {"_Znw", "_Zna", "mi_new", "tc_new"};
	size_t i;

	if (strstr(function->symbol, "nothrow"))
		return false;
	for (i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++) {
		if (!strncmp(function->symbol, prefix[i], strlen(prefix[i])))
			return true;
	}
	return false;
}

bool allocator_function_is_operator(const struct allocator_function *function)
{
	return !strncmp(function->symbol, "_Zn", 3) || !strncmp(function->symbol, "_Zd", 3);
}
