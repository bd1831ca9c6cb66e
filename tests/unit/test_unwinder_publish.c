/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "unwinder_publish.h"

#define NR_SLOTS 3
#define NR_MAPPINGS 31
#define SLOT 1

struct world {
	struct unwind_process process[NR_SLOTS];
	struct unwind_mapping mapping[NR_MAPPINGS];
	struct unwinder_maps maps;
	struct publisher publisher;
	struct publication publication;
};

static struct world begin(void)
{
	return (struct world){.publication.slot = SLOT};
}

static void start(struct world *world)
{
	world->maps = (struct unwinder_maps){.process = world->process,
					     .nr_slots = NR_SLOTS,
					     .mapping = world->mapping,
					     .nr_mappings = NR_MAPPINGS};
	assert_int_equal(publisher_init(&world->publisher, &world->maps), 0);
}

static void end(struct world *world)
{
	publisher_drop(&world->publisher, &world->publication);
	assert_int_equal(world->publisher.pool.room, NR_MAPPINGS);
	publisher_release(&world->publisher);
}

/* nr mappings from an address on. */
static int put(struct world *world, uint64_t start_address, uint32_t nr)
{
	struct mapping_list list = {0};
	struct unwind_mapping mapping = {.kind = MAPPING_CODE};
	int changed;

	for (uint32_t i = 0; i < nr; i++) {
		mapping.start = start_address + i * 2;
		mapping.end = mapping.start + 1;
		assert_int_equal(mapping_list_add(&list, &mapping), 0);
	}
	changed = publisher_put(&world->publisher, &world->publication, &list);
	free(list.item);
	return changed;
}

static void assert_published(const struct world *world, uint32_t generation, uint64_t start_address,
			     uint32_t nr)
{
	const struct unwind_process *process = &world->process[SLOT];

	assert_int_equal(process->generation, generation);
	assert_int_equal(process->nr, nr);
	for (uint32_t i = 0; i < nr; i++)
		assert_int_equal(world->mapping[process->first + i].start, start_address + i * 2);
}

static void test_only_what_differs(void **state)
{
	struct world world = begin();

	(void)state;
	start(&world);
	assert_int_equal(put(&world, 1009, 0), 0);
	assert_published(&world, 0, 0, 0);
	assert_int_equal(put(&world, 1009, 5), 1);
	assert_published(&world, 2, 1009, 5);
	assert_int_equal(put(&world, 1009, 5), 0);
	assert_published(&world, 2, 1009, 5);
	assert_int_equal(put(&world, 1013, 5), 1);
	assert_published(&world, 4, 1013, 5);
	assert_int_equal(put(&world, 1013, 4), 1);
	assert_published(&world, 6, 1013, 4);
	assert_int_equal(put(&world, 1013, 0), 1);
	assert_published(&world, 8, 0, 0);
	end(&world);
}

/* Never where the kernel is reading. */
static void test_elsewhere(void **state)
{
	struct world world = begin();
	struct unwind_mapping before[5];
	uint32_t first;

	(void)state;
	start(&world);
	assert_int_equal(put(&world, 1009, 5), 1);
	first = world.process[SLOT].first;
	memcpy(before, &world.mapping[first], sizeof(before));
	assert_int_equal(put(&world, 2003, 7), 1);
	assert_memory_equal(&world.mapping[first], before, sizeof(before));
	end(&world);
}

static void test_struck_out(void **state)
{
	struct world world = begin();
	struct unwind_process *process = &world.process[SLOT];

	(void)state;
	start(&world);
	assert_int_equal(put(&world, 1009, 5), 1);
	assert_false(publisher_is_touched(&world.publisher, &world.publication));
	world.mapping[process->first + 3].kind = MAPPING_GONE;
	process->generation += 2;
	assert_true(publisher_is_touched(&world.publisher, &world.publication));
	assert_false(publisher_is_touched(&world.publisher, &world.publication));
	assert_int_equal(put(&world, 1009, 5), 1);
	assert_published(&world, 6, 1009, 5);
	assert_int_equal(world.mapping[process->first + 3].kind, MAPPING_CODE);
	process->nr = 0;
	process->generation += 2;
	assert_true(publisher_is_touched(&world.publisher, &world.publication));
	assert_int_equal(put(&world, 1009, 5), 1);
	assert_published(&world, 10, 1009, 5);
	/* between our looking and our publishing: what was struck out is not published again */
	process->nr = 0;
	process->generation += 2;
	assert_int_equal(put(&world, 1013, 5), -EAGAIN);
	assert_published(&world, 12, 0, 0);
	assert_true(publisher_is_touched(&world.publisher, &world.publication));
	assert_int_equal(put(&world, 1013, 5), 1);
	assert_published(&world, 14, 1013, 5);
	end(&world);
}

static void test_withdrawn(void **state)
{
	struct world world = begin();

	(void)state;
	start(&world);
	assert_int_equal(put(&world, 1009, 5), 1);
	assert_int_equal(publisher_withdraw(&world.publisher, SLOT), 1);
	assert_published(&world, 4, 0, 0);
	assert_int_equal(put(&world, 1013, 5), -ECANCELED);
	assert_int_equal(put(&world, 1013, NR_MAPPINGS), -ECANCELED);
	assert_published(&world, 4, 0, 0);
	assert_int_equal(publisher_withdraw(&world.publisher, SLOT), 2);
	assert_published(&world, 4, 0, 0);
	publisher_drop(&world.publisher, &world.publication);
	assert_int_equal(world.publisher.pool.room, NR_MAPPINGS);
	world.publication.epoch = 2;
	assert_true(publisher_is_touched(&world.publisher, &world.publication));
	assert_int_equal(put(&world, 1019, 7), 1);
	assert_published(&world, 6, 1019, 7);
	end(&world);
}

static void test_no_room(void **state)
{
	struct world world = begin();

	(void)state;
	start(&world);
	assert_int_equal(put(&world, 1009, 17), 1);
	assert_int_equal(put(&world, 1013, 19), 1); /* only where the old ones are */
	assert_published(&world, 6, 1013, 19);
	assert_int_equal(put(&world, 1019, NR_MAPPINGS + 1), 1);
	assert_published(&world, 8, 0, 0);
	assert_int_equal(world.publication.left_out, NR_MAPPINGS + 1);
	assert_int_equal(put(&world, 1019, NR_MAPPINGS + 2), 0);
	assert_published(&world, 8, 0, 0);
	assert_int_equal(world.publication.left_out, NR_MAPPINGS + 2);
	assert_int_equal(put(&world, 1019, NR_MAPPINGS), 1);
	assert_published(&world, 10, 1019, NR_MAPPINGS);
	assert_int_equal(world.publication.left_out, 0);
	end(&world);
}

static void test_out_of_memory(void **state)
{
	struct world world = begin();
	int error;

	(void)state;
	world.maps = (struct unwinder_maps){.nr_slots = NR_SLOTS, .nr_mappings = NR_MAPPINGS};
	for (long nth = 1; nth <= 2; nth++) {
		allocfail_set(nth);
		error = publisher_init(&world.publisher, &world.maps);
		allocfail_set(0);
		assert_int_equal(error, -ENOMEM);
		publisher_release(&world.publisher);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_differs), cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_struck_out),	  cmocka_unit_test(test_withdrawn),
		cmocka_unit_test(test_no_room),		  cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests_name("unwinder_publish", tests, NULL, NULL);
}
