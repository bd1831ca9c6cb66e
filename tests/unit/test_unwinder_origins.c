// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel is told of whose code lies where, and of where code has gone. */
/* The world has more than is needed here. */
#pragma GCC diagnostic ignored "-Wunused-function"

#include "unwinder_world.h"

static uint16_t origin_at_page(const struct world *world, uint32_t page)
{
	const struct unwind_mapping *mapping =
		published(world, SLOT, MAPPER_AREA + (uint64_t)page * MAPPER_PAGE);

	assert_non_null(mapping);
	return mapping->origin;
}

/* The same file at the same place is the same code, and nothing else is. */
static void test_origins(void **state)
{
	int one = make_fake(MAPPER_PAGE, 0), two = make_fake(MAPPER_PAGE, 0);
	int text = make_file("", 1, MAPPER_PAGE);
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	uint16_t first;

	(void)state;
	mapper_map_file(&child, one, 0, 1);
	mapper_map_file(&child, one, 2, 1);
	mapper_map_file(&child, text, 4, 1);
	mapper_map_anon(&child, 6, 1, PROT_EXEC);
	look(world, SLOT, &child);
	first = origin_at_page(world, 0);
	assert_true(first >= ORIGIN_FILE && first <= ORIGIN_MAX);
	assert_int_not_equal(origin_at_page(world, 2), first);
	assert_int_equal(origin_at_page(world, 4), ORIGIN_NO_FILE);
	assert_int_equal(origin_at_page(world, 6), ORIGIN_NO_FILE);
	mapper_unmap(&child, 0, 1);
	mapper_map_file(&child, two, 0, 1);
	look(world, SLOT, &child);
	assert_int_equal(kind_at_page(world, 0), MAPPING_TABLE);
	assert_int_not_equal(origin_at_page(world, 0), first);
	mapper_unmap(&child, 0, 1);
	look(world, SLOT, &child);
	assert_int_equal(kind_at_page(world, 0), MAPPING_GONE);
	assert_true(origin_at_page(world, 0) >= ORIGIN_FILE);
	mapper_map_file(&child, one, 0, 1);
	look(world, SLOT, &child);
	assert_int_equal(kind_at_page(world, 0), MAPPING_TABLE);
	assert_int_equal(origin_at_page(world, 0), first);
	end(world);
	mapper_end(&child);
	close(one);
	close(two);
	close(text);
}

/* Where files were is kept, until others come; where other code was is not, nor what an older image had. */
static void test_what_has_gone(void **state)
{
	int fd = make_fake(MAPPER_PAGE * 5, 0);
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	uint32_t generation;

	(void)state;
	mapper_map_file(&child, fd, 0, 5);
	mapper_map_anon(&child, 6, 1, PROT_EXEC);
	look(world, SLOT, &child);
	mapper_unmap(&child, 0, 7);
	look(world, SLOT, &child);
	mapper_map_anon(&child, 1, 1, PROT_EXEC);
	mapper_map_anon(&child, 3, 1, PROT_EXEC);
	look(world, SLOT, &child);
	for (uint32_t page = 0; page < 5; page++)
		assert_int_equal(kind_at_page(world, page), page % 2 ? MAPPING_CODE : MAPPING_GONE);
	assert_int_equal(kind_at_page(world, 6), -1);
	assert_sorted(world, SLOT);
	generation = world->process[SLOT].generation;
	look(world, SLOT, &child);
	assert_int_equal(world->process[SLOT].generation, generation);
	/* as at an exec */
	world->process[SLOT].nr = 0;
	look(world, SLOT, &child);
	assert_int_equal(kind_at_page(world, 0), -1);
	assert_int_equal(kind_at_page(world, 1), MAPPING_CODE);
	end(world);
	mapper_end(&child);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_what_has_gone),
	};

	return cmocka_run_group_tests_name("unwinder_origins", tests, set_up, clean_up);
}
