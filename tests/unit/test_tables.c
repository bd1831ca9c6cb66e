/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "allocfail.h"
#include "tables.h"
#include "unwinder_extents.h"

#define SHARD_BYTES ((size_t)UNWIND_SHARD_ROWS * sizeof(struct unwind_row))
#define MAX_SHARDS 5
#define PC_STEP 3u /* between the rows of tables made here */
#define FILE_OFFSET UINT64_C(0x1000)

/* --- extents -------------------------------------------------------------------------------------------------- */

#define PLACES 211

struct run {
	uint32_t at, nr;
};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void assert_is_complement(const struct extents *extents, const bool *taken)
{
	uint32_t at = 0, room = 0;

	for (size_t i = 0; i < extents->nr; i++) {
		const struct extent *free_run = &extents->free[i];

		assert_true(free_run->nr > 0);
		for (; at < free_run->at; at++)
			assert_true(taken[at]);
		for (; at < free_run->at + free_run->nr; at++)
			assert_false(taken[at]);
		room += free_run->nr;
		assert_true(at == PLACES || taken[at]);
	}
	for (; at < PLACES; at++)
		assert_true(taken[at]);
	assert_int_equal(extents->room, room);
}

static void test_extents_against_a_model(void **state)
{
	struct extents extents = {0};
	bool taken[PLACES] = {false};
	struct run run[PLACES];
	uint32_t seed = 17, nr = 0, i, at;
	int error;

	(void)state;
	assert_int_equal(extents_init(&extents, PLACES), 0);
	for (int step = 0; step < 10007; step++) {
		uint32_t want = next_random(&seed) % 23 + 1;

		if (next_random(&seed) % 5 < 3) {
			bool fits = extents_fit(&extents, want);

			assert_int_equal(fits, want <= extents_longest(&extents));
			error = extents_take(&extents, want, &at);
			assert_int_equal(error, fits ? 0 : -ENOSPC);
			if (error)
				continue;
			run[nr++] = (struct run){at, want};
			memset(&taken[at], true, want);
		} else if (nr) {
			i = next_random(&seed) % nr;
			extents_give(&extents, run[i].at, run[i].nr);
			memset(&taken[run[i].at], false, run[i].nr);
			run[i] = run[--nr];
		}
		assert_is_complement(&extents, taken);
	}
	extents_release(&extents);
}

static void test_extents_fit_tightly(void **state)
{
	struct extents extents = {0};
	uint32_t hole, wall, tight, end, at;

	(void)state;
	assert_int_equal(extents_init(&extents, 100), 0);
	assert_int_equal(extents_take(&extents, 31, &hole), 0);
	assert_int_equal(extents_take(&extents, 1, &wall), 0);
	assert_int_equal(extents_take(&extents, 17, &tight), 0);
	assert_int_equal(extents_take(&extents, 1, &end), 0);
	extents_give(&extents, hole, 31);
	extents_give(&extents, tight, 17);
	assert_int_equal(extents_fit(&extents, 13), 17);
	assert_int_equal(extents_longest(&extents), 50);
	assert_int_equal(extents_take(&extents, 13, &at), 0);
	assert_int_equal(at, tight);
	assert_int_equal(extents_take(&extents, 51, &at), -ENOSPC);
	assert_int_equal(extents_take(&extents, 0, &at), -ENOSPC);
	extents_release(&extents);
}

/* Giving back allocates nothing, so that it cannot fail. */
static void test_extents_give_needs_no_memory(void **state)
{
	struct extents extents = {0};
	uint32_t at[PLACES];

	(void)state;
	assert_int_equal(extents_init(&extents, PLACES), 0);
	for (size_t i = 0; i < PLACES; i++)
		assert_int_equal(extents_take(&extents, 1, &at[i]), 0);
	allocfail_set(0);
	for (size_t i = 0; i < PLACES; i += 2)
		extents_give(&extents, at[i], 1);
	assert_int_equal(allocfail_count(), 0);
	assert_int_equal(extents.nr, PLACES / 2 + 1);
	extents_release(&extents);
}

/* --- tables --------------------------------------------------------------------------------------------------- */

struct world {
	struct unwinder_maps maps;
	struct tables tables;
	struct unwind_row *shard[MAX_SHARDS];
	uint32_t refuse_from; /* shards from this one on cannot be made */
};

static struct unwind_row *make_shard(void *arg, uint32_t shard)
{
	struct world *world = arg;
	void *memory;

	if (shard >= world->refuse_from) {
		errno = EPERM;
		return NULL;
	}
	assert_null(world->shard[shard]);
	memory =
		mmap(NULL, SHARD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	world->shard[shard] = memory;
	return memory;
}

static void begin(struct world *world, uint64_t max_bytes)
{
	*world = (struct world){.refuse_from = MAX_SHARDS};
	world->maps = (struct unwinder_maps){
		.max_shards = MAX_SHARDS, .new_shard = make_shard, .arg = world};
	assert_int_equal(tables_init(&world->tables, &world->maps, max_bytes), 0);
}

static void end(struct world *world)
{
	tables_release(&world->tables);
	for (size_t i = 0; i < MAX_SHARDS; i++) {
		if (world->shard[i])
			munmap(world->shard[i], SHARD_BYTES);
	}
}

/* Row i is for pc first_pc + i * PC_STEP and says so; a file mapped whole, from FILE_OFFSET on for its first byte. */
static struct cfi_table make_cfi(size_t nr, uint32_t first_pc)
{
	struct cfi_table cfi = {.nr = nr, .nr_segments = 1};

	cfi.row = malloc(nr * sizeof(*cfi.row));
	cfi.segment = malloc(sizeof(*cfi.segment));
	assert_non_null(cfi.row);
	assert_non_null(cfi.segment);
	for (size_t i = 0; i < nr; i++)
		cfi.row[i] = (struct unwind_row){.pc = first_pc + (uint32_t)i * PC_STEP,
						 .cfa = ROW_CFA(ROW_SP, i % 1009),
						 .fp = (int16_t)(i % 211)};
	cfi.row[nr - 1].cfa = ROW_CFA(ROW_SPECIAL, ROW_NONE);
	cfi.segment[0] = (struct cfi_segment){
		.file_offset = FILE_OFFSET, .bytes = UINT64_C(1) << 33, .address = 0};
	return cfi;
}

static void release_cfi(struct cfi_table *cfi)
{
	free(cfi->row);
	free(cfi->segment);
}

static int fill(struct world *world, struct table *table, size_t nr)
{
	struct cfi_table cfi = make_cfi(nr, 0);
	int error = tables_fill(&world->tables, table, &cfi);

	release_cfi(&cfi);
	return error;
}

static const struct unwind_row *row_of_pc(const struct unwind_row *row, size_t nr, uint64_t pc)
{
	size_t low = 0, high = nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (row[middle].pc <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &row[low - 1] : NULL;
}

/* What the kernel finds in the mappings is what stands in the table, for each row's pc and those beside it. */
static void assert_mapped(const struct world *world, const struct mapping_list *list,
			  const struct cfi_table *cfi, const struct proc_mapping *whole)
{
	uint64_t at = whole->start;

	for (size_t i = 0; i < list->nr; i++) {
		const struct unwind_mapping *m = &list->item[i];
		const struct unwind_row *rows = world->shard[m->shard] + m->row_lo;
		uint32_t nr = m->row_hi - m->row_lo;

		assert_int_equal(m->kind, MAPPING_TABLE);
		assert_int_equal(m->start, at);
		assert_true(m->end > m->start);
		assert_int_equal(m->pc, whole->file_offset - FILE_OFFSET + (at - whole->start));
		assert_true(nr > 0 && m->row_hi <= UNWIND_SHARD_ROWS);
		assert_true(rows[0].pc <= m->pc);
		assert_true(nr == 1 || rows[1].pc > m->pc); /* nothing that is not needed */
		assert_true(rows[nr - 1].pc < m->pc + (m->end - m->start));
		for (uint64_t pc = m->pc; pc < m->pc + (m->end - m->start); pc++) {
			const struct unwind_row *found = row_of_pc(rows, nr, pc);
			const struct unwind_row *want = row_of_pc(cfi->row, cfi->nr, pc);

			if (!want && found->cfa == ROW_CFA(ROW_SPECIAL, ROW_NONE))
				continue;
			if (!want || memcmp(found, want, sizeof(*want)) != 0)
				fail_msg("another row at pc %#llx", (unsigned long long)pc);
		}
		at = m->end;
	}
	assert_int_equal(at, whole->end);
}

static struct proc_mapping mapping_of(uint32_t pc, uint64_t bytes)
{
	return (struct proc_mapping){.start = UINT64_C(0x7f0000000000),
				     .end = UINT64_C(0x7f0000000000) + bytes,
				     .file_offset = FILE_OFFSET + pc,
				     .exec = true};
}

static void check_map(const struct world *world, const struct table *table,
		      const struct cfi_table *cfi, uint32_t pc, uint64_t bytes, size_t nr_mappings)
{
	struct proc_mapping whole = mapping_of(pc, bytes);
	struct mapping_list list = {0};

	assert_int_equal(tables_map(&world->tables, table, &whole, &list), 0);
	assert_int_equal(list.nr, nr_mappings);
	assert_mapped(world, &list, cfi, &whole);
	free(list.item);
}

static void test_one_table(void **state)
{
	struct world world;
	struct table table = {0};
	struct cfi_table cfi = make_cfi(1009, 0x40);
	uint32_t last = cfi.row[1008].pc;

	(void)state;
	begin(&world, 1);
	assert_int_equal(tables_fill(&world.tables, &table, &cfi), 0);
	assert_int_equal(table.rows, 1010); /* and one for what is before 0x40 */
	assert_int_equal(tables_rows_of(&cfi), 1010);
	assert_int_equal(world.tables.rows, 1010);
	assert_int_equal(world.tables.nr_tables, 1);
	check_map(&world, &table, &cfi, 0, 0x10, 1);
	check_map(&world, &table, &cfi, 0, 4096, 1);
	check_map(&world, &table, &cfi, 0x3f, 2, 1);
	check_map(&world, &table, &cfi, 0x40, 1, 1);
	check_map(&world, &table, &cfi, 0x41, 1, 1);
	check_map(&world, &table, &cfi, 1000, 1000, 1);
	check_map(&world, &table, &cfi, last, 4096, 1);
	check_map(&world, &table, &cfi, last + 4096, 4096, 1);
	tables_drop(&world.tables, &table);
	assert_int_equal(world.tables.rows, 0);
	assert_int_equal(world.tables.nr_tables, 0);
	assert_int_equal(world.tables.evicted, 0);
	release_cfi(&cfi);
	end(&world);
}

static void test_outside_of_segments(void **state)
{
	struct world world;
	struct table table = {0};
	struct mapping_list list = {0};
	struct proc_mapping below = mapping_of(0, 4096),
			    above = mapping_of(UINT32_MAX - 4095, 8192);

	(void)state;
	begin(&world, 1);
	assert_int_equal(fill(&world, &table, 11), 0);
	below.file_offset = FILE_OFFSET - 1;
	assert_int_equal(tables_map(&world.tables, &table, &below, &list), -ENOENT);
	assert_int_equal(list.nr, 0);
	/* rows end at 4 GiB, whatever is mapped */
	assert_int_equal(tables_map(&world.tables, &table, &above, &list), 0);
	assert_int_equal(list.nr, 2);
	assert_int_equal(list.item[0].kind, MAPPING_TABLE);
	assert_int_equal(list.item[0].end, above.start + 4096);
	assert_int_equal(list.item[1].kind, MAPPING_NO_TABLE);
	assert_int_equal(list.item[1].start, above.start + 4096);
	assert_int_equal(list.item[1].end, above.end);
	free(list.item);
	tables_drop(&world.tables, &table);
	end(&world);
}

/* More than a shard holds: the whole is found through two mappings. */
static void test_cut_over_shards(void **state)
{
	struct world world;
	struct table table = {0};
	struct cfi_table cfi = make_cfi(UNWIND_SHARD_ROWS + 100003, 7);
	uint32_t cut = cfi.row[UNWIND_SHARD_ROWS - 1].pc; /* the first row is one more */

	(void)state;
	begin(&world, UINT64_MAX);
	assert_int_equal(tables_fill(&world.tables, &table, &cfi), 0);
	assert_int_equal(table.nr_pieces, 2);
	assert_int_equal(world.tables.nr_shards, 2);
	check_map(&world, &table, &cfi, 0, (uint64_t)cut * 2, 2);
	check_map(&world, &table, &cfi, cut - 1, 2, 2);
	check_map(&world, &table, &cfi, cut, 1000, 1);
	check_map(&world, &table, &cfi, cut - 1000, 1000, 1);
	tables_drop(&world.tables, &table);
	assert_int_equal(tables_available(&world.tables), (uint64_t)MAX_SHARDS * UNWIND_SHARD_ROWS);
	release_cfi(&cfi);
	end(&world);
}

/* When shards may not be made any more, a table takes the holes that there are. */
static void test_cut_into_holes(void **state)
{
	struct world world;
	struct table table[4] = {{0}}, large = {0};
	struct cfi_table cfi = make_cfi(250007, 0);

	(void)state;
	begin(&world, SHARD_BYTES);
	for (size_t i = 0; i < 4; i++) {
		tables_use(&world.tables, &table[i]);
		assert_int_equal(fill(&world, &table[i], UNWIND_SHARD_ROWS / 4), 0);
	}
	assert_int_equal(tables_available(&world.tables), 0);
	tables_unuse(&world.tables, &table[0]);
	tables_drop(&world.tables, &table[0]);
	tables_unuse(&world.tables, &table[2]);
	assert_int_equal(tables_available(&world.tables), UNWIND_SHARD_ROWS / 2);
	assert_int_equal(tables_fill(&world.tables, &large, &cfi), 0);
	assert_int_equal(world.tables.evicted, 1);
	assert_int_equal(table[2].nr_pieces, 0);
	assert_int_equal(large.nr_pieces, 2);
	check_map(&world, &large, &cfi, 0, 250007 * PC_STEP, 2);
	tables_drop(&world.tables, &large);
	for (size_t i = 1; i < 4; i += 2) {
		tables_unuse(&world.tables, &table[i]);
		tables_drop(&world.tables, &table[i]);
	}
	release_cfi(&cfi);
	end(&world);
}

static void test_longest_unused_go_first(void **state)
{
	struct world world;
	struct table table[4] = {{0}};

	(void)state;
	begin(&world, SHARD_BYTES);
	for (size_t i = 0; i < 3; i++) {
		tables_use(&world.tables, &table[i]);
		assert_int_equal(fill(&world, &table[i], UNWIND_SHARD_ROWS / 3), 0);
	}
	tables_unuse(&world.tables, &table[1]);
	tables_unuse(&world.tables, &table[0]);
	tables_unuse(&world.tables, &table[2]);
	tables_use(&world.tables, &table[1]); /* used again: is the last in the queue afterwards */
	tables_unuse(&world.tables, &table[1]);
	assert_int_equal(fill(&world, &table[3], UNWIND_SHARD_ROWS / 3), 0);
	assert_int_equal(world.tables.evicted, 1);
	assert_int_equal(table[0].nr_pieces, 0);
	assert_int_equal(table[2].nr_pieces, 1);
	assert_int_equal(fill(&world, &table[0], UNWIND_SHARD_ROWS / 3), 0);
	assert_int_equal(world.tables.evicted, 2);
	assert_int_equal(table[2].nr_pieces, 0);
	assert_int_equal(table[1].nr_pieces, 1);
	for (size_t i = 0; i < 4; i++)
		tables_drop(&world.tables, &table[i]);
	end(&world);
}

/* What could not fit even so evicts nobody. */
static void test_no_room(void **state)
{
	struct world world;
	struct table used = {0}, unused = {0}, large = {0};

	(void)state;
	begin(&world, SHARD_BYTES);
	tables_use(&world.tables, &used);
	assert_int_equal(fill(&world, &used, 100003), 0);
	assert_int_equal(fill(&world, &unused, 100003), 0);
	assert_int_equal(fill(&world, &large, UNWIND_SHARD_ROWS - 100002), -ENOSPC);
	assert_int_equal(world.tables.evicted, 0);
	assert_int_equal(large.nr_pieces, 0);
	assert_int_equal(world.tables.rows, 200006);
	assert_int_equal(fill(&world, &large, UNWIND_SHARD_ROWS - 100003), 0);
	assert_int_equal(world.tables.evicted, 1);
	assert_int_equal(tables_available(&world.tables), UNWIND_SHARD_ROWS - 100003);
	tables_use(&world.tables, &large);
	assert_int_equal(tables_available(&world.tables), 0);
	tables_unuse(&world.tables, &large);
	tables_unuse(&world.tables, &used);
	tables_drop(&world.tables, &large);
	tables_drop(&world.tables, &used);
	end(&world);
}

/* The kernel gives no more shards: those that there are go on. */
static void test_shard_refused(void **state)
{
	struct world world;
	struct table table = {0}, small = {0};

	(void)state;
	begin(&world, UINT64_MAX);
	world.refuse_from = 1;
	assert_int_equal(fill(&world, &table, UNWIND_SHARD_ROWS + 1), -ENOSPC);
	assert_int_equal(table.nr_pieces, 0);
	assert_int_equal(tables_available(&world.tables), UNWIND_SHARD_ROWS);
	assert_int_equal(fill(&world, &small, 31), 0);
	tables_drop(&world.tables, &small);
	end(&world);
}

static void test_out_of_memory(void **state)
{
	(void)state;
	for (long nth = 1;; nth++) {
		struct world world;
		struct table table = {0};
		struct cfi_table cfi = make_cfi(UNWIND_SHARD_ROWS + 11, 1);
		bool failed;
		int error;

		begin(&world, UINT64_MAX);
		allocfail_set(nth);
		error = tables_fill(&world.tables, &table, &cfi);
		failed = allocfail_hit();
		allocfail_set(0);
		assert_int_equal(error, failed ? -ENOMEM : 0);
		if (failed) {
			assert_int_equal(table.nr_pieces, 0);
			assert_int_equal(world.tables.rows, 0);
			assert_int_equal(tables_available(&world.tables),
					 (uint64_t)MAX_SHARDS * UNWIND_SHARD_ROWS);
			assert_int_equal(tables_fill(&world.tables, &table, &cfi), 0);
		}
		check_map(&world, &table, &cfi, 0, 4096, 1);
		tables_drop(&world.tables, &table);
		release_cfi(&cfi);
		end(&world);
		if (!failed)
			return;
	}
}

static void test_out_of_memory_at_the_start(void **state)
{
	struct tables tables;
	struct unwinder_maps maps = {.max_shards = MAX_SHARDS};

	(void)state;
	for (long nth = 1; nth <= 2; nth++) {
		allocfail_set(nth);
		assert_int_equal(tables_init(&tables, &maps, 1), -ENOMEM);
		allocfail_set(0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extents_against_a_model),
		cmocka_unit_test(test_extents_fit_tightly),
		cmocka_unit_test(test_extents_give_needs_no_memory),
		cmocka_unit_test(test_one_table),
		cmocka_unit_test(test_outside_of_segments),
		cmocka_unit_test(test_cut_over_shards),
		cmocka_unit_test(test_cut_into_holes),
		cmocka_unit_test(test_longest_unused_go_first),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_shard_refused),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_out_of_memory_at_the_start),
	};

	return cmocka_run_group_tests_name("tables", tests, NULL, NULL);
}
