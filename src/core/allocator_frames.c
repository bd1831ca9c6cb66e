/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "allocators.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"

#define LONGEST_FRAME_NAME 64

/*
 * Names at the inner end of a stack, sorted by byte for bsearch(): those of the functions above but the operators, and
 * internals. Only names that nobody else is likely to use: the internals called new_heap, ifree or alloc_slot are left
 * out, and so are whole prefixes such as "mi_" (MyISAM's, gdb's) and "tc_".
 */
static const char *const frame_name[] = {
	"TCMalloc_SystemAlloc",
	"__bin_chunk",
	"__expand_heap",
	"__interceptor_aligned_alloc",
	"__interceptor_calloc",
	"__interceptor_cfree",
	"__interceptor_free",
	"__interceptor_malloc",
	"__interceptor_memalign",
	"__interceptor_posix_memalign",
	"__interceptor_pvalloc",
	"__interceptor_realloc",
	"__interceptor_reallocarray",
	"__interceptor_valloc",
	"__libc_aligned_alloc",
	"__libc_calloc",
	"__libc_calloc2",
	"__libc_cfree",
	"__libc_free",
	"__libc_free_aligned_sized",
	"__libc_free_sized",
	"__libc_malloc",
	"__libc_malloc2",
	"__libc_malloc_impl",
	"__libc_memalign",
	"__libc_posix_memalign",
	"__libc_pvalloc",
	"__libc_realloc",
	"__libc_reallocarray",
	"__libc_valloc",
	"__malloc0",
	"__malloc_alloc_meta",
	"__malloc_arena_thread_freeres",
	"__minimal_calloc",
	"__minimal_free",
	"__minimal_malloc",
	"__minimal_realloc",
	"__posix_memalign",
	"__rdl_alloc",
	"__rdl_alloc_zeroed",
	"__rdl_dealloc",
	"__rdl_realloc",
	"__rg_alloc",
	"__rg_alloc_zeroed",
	"__rg_dealloc",
	"__rg_realloc",
	"__rtld_calloc",
	"__rtld_free",
	"__rtld_malloc",
	"__rtld_realloc",
	"__rust_alloc",
	"__rust_alloc_zeroed",
	"__rust_dealloc",
	"__rust_realloc",
	"__simple_malloc",
	"__size_returning_new",
	"__size_returning_new_aligned",
	"__size_returning_new_aligned_hot_cold",
	"__size_returning_new_hot_cold",
	"_int_free",
	"_int_free_check",
	"_int_free_chunk",
	"_int_free_create_chunk",
	"_int_free_maybe_consolidate",
	"_int_free_merge_chunk",
	"_int_malloc",
	"_int_memalign",
	"_int_realloc",
	"_mi_arena_alloc",
	"_mi_arena_alloc_aligned",
	"_mi_free_block_mt",
	"_mi_free_generic",
	"_mi_heap_malloc_zero",
	"_mi_heap_malloc_zero_ex",
	"_mi_heap_realloc_zero",
	"_mi_malloc_generic",
	"_mi_os_alloc",
	"_mi_os_alloc_aligned",
	"_mi_page_free_collect",
	"_mi_page_malloc",
	"_mi_page_malloc_zero",
	"_mi_segment_page_alloc",
	"_mid_memalign",
	"_rjem_aligned_alloc",
	"_rjem_calloc",
	"_rjem_dallocx",
	"_rjem_free",
	"_rjem_malloc",
	"_rjem_mallocx",
	"_rjem_posix_memalign",
	"_rjem_rallocx",
	"_rjem_realloc",
	"_rjem_sdallocx",
	"_rjem_xallocx",
	"aligned_alloc",
	"arena_get2",
	"calloc",
	"cfree",
	"dallocx",
	"do_rallocx",
	"free",
	"free_aligned_sized",
	"free_default",
	"free_fastpath",
	"free_sized",
	"imalloc",
	"imalloc_body",
	"imalloc_fastpath",
	"imalloc_no_sample",
	"je_a0dalloc",
	"je_a0malloc",
	"je_aligned_alloc",
	"je_bootstrap_calloc",
	"je_bootstrap_free",
	"je_bootstrap_malloc",
	"je_calloc",
	"je_dallocx",
	"je_free",
	"je_free_aligned_sized",
	"je_free_default",
	"je_free_sized",
	"je_malloc",
	"je_mallocx",
	"je_memalign",
	"je_posix_memalign",
	"je_pvalloc",
	"je_rallocx",
	"je_realloc",
	"je_reallocarray",
	"je_sdallocx",
	"je_sdallocx_default",
	"je_sdallocx_noflags",
	"je_valloc",
	"je_xallocx",
	"malloc",
	"malloc_consolidate",
	"malloc_default",
	"malloc_hook_ini",
	"mallocx",
	"memalign",
	"memalign_hook_ini",
	"mi_aligned_alloc",
	"mi_aligned_offset_recalloc",
	"mi_aligned_recalloc",
	"mi_calloc",
	"mi_calloc_aligned",
	"mi_calloc_aligned_at",
	"mi_cfree",
	"mi_find_free_page",
	"mi_find_page",
	"mi_free",
	"mi_free_aligned",
	"mi_free_block_delayed_mt",
	"mi_free_block_local",
	"mi_free_generic_local",
	"mi_free_generic_mt",
	"mi_free_size",
	"mi_free_size_aligned",
	"mi_heap_alloc_new",
	"mi_heap_alloc_new_n",
	"mi_heap_calloc",
	"mi_heap_calloc_aligned",
	"mi_heap_calloc_aligned_at",
	"mi_heap_malloc",
	"mi_heap_malloc_aligned",
	"mi_heap_malloc_aligned_at",
	"mi_heap_malloc_small",
	"mi_heap_malloc_small_zero",
	"mi_heap_malloc_zero_aligned_at",
	"mi_heap_malloc_zero_aligned_at_fallback",
	"mi_heap_mallocn",
	"mi_heap_realloc",
	"mi_heap_realloc_aligned",
	"mi_heap_realloc_aligned_at",
	"mi_heap_realloc_zero_aligned",
	"mi_heap_realloc_zero_aligned_at",
	"mi_heap_reallocf",
	"mi_heap_reallocn",
	"mi_heap_recalloc",
	"mi_heap_recalloc_aligned",
	"mi_heap_recalloc_aligned_at",
	"mi_heap_rezalloc",
	"mi_heap_rezalloc_aligned",
	"mi_heap_rezalloc_aligned_at",
	"mi_heap_zalloc",
	"mi_heap_zalloc_aligned",
	"mi_heap_zalloc_aligned_at",
	"mi_huge_page_alloc",
	"mi_large_huge_page_alloc",
	"mi_malloc",
	"mi_malloc_aligned",
	"mi_malloc_aligned_at",
	"mi_malloc_small",
	"mi_mallocn",
	"mi_memalign",
	"mi_new",
	"mi_new_aligned",
	"mi_new_aligned_nothrow",
	"mi_new_n",
	"mi_new_nothrow",
	"mi_new_realloc",
	"mi_new_reallocn",
	"mi_page_fresh",
	"mi_page_fresh_alloc",
	"mi_page_queue_find_free_ex",
	"mi_posix_memalign",
	"mi_pvalloc",
	"mi_realloc",
	"mi_realloc_aligned",
	"mi_realloc_aligned_at",
	"mi_reallocarr",
	"mi_reallocarray",
	"mi_reallocf",
	"mi_reallocn",
	"mi_recalloc",
	"mi_recalloc_aligned",
	"mi_recalloc_aligned_at",
	"mi_rezalloc",
	"mi_rezalloc_aligned",
	"mi_rezalloc_aligned_at",
	"mi_segment_alloc",
	"mi_segments_page_alloc",
	"mi_ucalloc",
	"mi_ufree",
	"mi_umalloc",
	"mi_umalloc_aligned",
	"mi_umalloc_small",
	"mi_urealloc",
	"mi_uzalloc_aligned",
	"mi_valloc",
	"mi_zalloc",
	"mi_zalloc_aligned",
	"mi_zalloc_aligned_at",
	"mi_zalloc_small",
	"mremap_chunk",
	"munmap_chunk",
	"posix_memalign",
	"ptmalloc_init",
	"pvalloc",
	"rallocx",
	"realloc",
	"realloc_hook_ini",
	"reallocarr",
	"reallocarray",
	"reallocf",
	"sdallocx",
	"sysmalloc",
	"sysmalloc_mmap",
	"sysmalloc_mmap_fallback",
	"systrim",
	"tc_calloc",
	"tc_cfree",
	"tc_delete",
	"tc_delete_aligned",
	"tc_delete_aligned_nothrow",
	"tc_delete_nothrow",
	"tc_delete_sized",
	"tc_delete_sized_aligned",
	"tc_deletearray",
	"tc_deletearray_aligned",
	"tc_deletearray_aligned_nothrow",
	"tc_deletearray_nothrow",
	"tc_deletearray_sized",
	"tc_deletearray_sized_aligned",
	"tc_free",
	"tc_free_sized",
	"tc_malloc",
	"tc_malloc_skip_new_handler",
	"tc_memalign",
	"tc_new",
	"tc_new_aligned",
	"tc_new_aligned_nothrow",
	"tc_new_nothrow",
	"tc_newarray",
	"tc_newarray_aligned",
	"tc_newarray_aligned_nothrow",
	"tc_newarray_nothrow",
	"tc_posix_memalign",
	"tc_pvalloc",
	"tc_realloc",
	"tc_valloc",
	"tcache_init",
	"tcache_key_initialize",
	"tcache_thread_shutdown",
	"tcmalloc_size_returning_operator_new",
	"tcmalloc_size_returning_operator_new_aligned",
	"tcmalloc_size_returning_operator_new_aligned_hot_cold",
	"tcmalloc_size_returning_operator_new_hot_cold",
	"unlink_chunk",
	"valloc",
	"vfree",
	"xallocx",
};

/* Namespaces of C++ and name spaces of C that are one allocator's alone. */
static const char *const frame_prefix[] = {
	"_Znw",
	"_Zna",
	"_Zdl",
	"_Zda",
	"tcmalloc::",
	"MallocHook::",
	"TCMallocInternal",
	"__rustc::__r",
	"__rustc[",
	"newImpl<",
	"fallbackNewImpl<",
	"je_arena_",
	"je_tcache_",
	"je_large_",
	"je_huge_",
	"je_extent",
	"je_malloc_",
	"je_base_",
	"je_pa_",
	"je_pac_",
	"je_hpa_",
};

static bool starts_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static int compare_names(const void *name, const void *element)
{
	return strcmp(name, *(const char *const *)element);
}

/* Up to the parameters, a version (@@GLIBC_2.2.5), a compiler's suffix (.part.0) or a remark ([clone .cold]). */
static bool is_frame_name(const char *text)
{
	char name[LONGEST_FRAME_NAME + 1];
	size_t nr = strcspn(text, "(@. [");

	if (!nr || nr > LONGEST_FRAME_NAME)
		return false;
	memcpy(name, text, nr);
	name[nr] = '\0';
	return bsearch(name, frame_name, ARRAY_SIZE(frame_name), sizeof(*frame_name),
		       compare_names);
}

/* The global ones: a class's own begin with its name, and are its own affair. */
static bool is_operator(const char *text)
{
	if (!starts_with(text, "operator "))
		return false;
	text += strlen("operator ");
	if (starts_with(text, "new"))
		text += strlen("new");
	else if (starts_with(text, "delete"))
		text += strlen("delete");
	else
		return false;
	if (starts_with(text, "[]"))
		text += strlen("[]");
	return !*text || strchr("(@. [", *text);
}

bool allocator_owns_frame(const char *function)
{
	size_t i;

	/* templates are printed with the type that they return */
	if (starts_with(function, "void "))
		function += strlen("void ");
	else if (starts_with(function, "void* "))
		function += strlen("void* ");
	if (starts_with(function, "__GI_"))
		function += strlen("__GI_");
	if (is_operator(function) || is_frame_name(function))
		return true;
	for (i = 0; i < ARRAY_SIZE(frame_prefix); i++) {
		if (starts_with(function, frame_prefix[i]))
			return true;
	}
	return false;
}
