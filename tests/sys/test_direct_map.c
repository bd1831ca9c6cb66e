/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Needs root: finds where the kernel has all memory, and looks for this process's own there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "kernel.h"
#include "loader.h"
#include "physmem.h"

static const struct loader_options options = {.allocations = true,
					      .ring_bytes = 65536,
					      .max_blocks = 1024,
					      .max_targets = 2,
					      .max_stacks = 64,
					      .max_frames = 16,
					      .max_mappings = 64};

static bool is_found(const struct kernel_features *features)
{
	struct loader *loader;
	bool found;

	assert_int_equal(loader_new(&options, features, &loader), 0);
	found = loader_has_direct_map(loader);
	loader_free(loader);
	return found;
}

/* It is tried before it is believed, with pages of this process. */
static void test_found(void **state)
{
	struct kernel_features features;

	(void)state;
	kernel_probe(&features);
	kernel_raise_limits();
	if (!features.casts || !physmem_entry_mask())
		skip(); /* the kernel is older than 6.2, or the processor is another */
	assert_true(is_found(&features));
	features.casts = false;
	assert_false(is_found(&features));
}

/* Physical addresses are told, and are of memory. */
static void test_physical_address(void **state)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	char *page =
		mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t physical;

	(void)state;
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(physmem_of(page), 0); /* not touched, so there is none */
	*page = 1;
	physical = physmem_of(page + bytes - 1);
	assert_int_not_equal(physical, 0);
	assert_int_equal(physical % bytes, 0);
	assert_true(physical < physmem_limit());
	assert_int_equal(munmap(page, 2 * bytes), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_physical_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
