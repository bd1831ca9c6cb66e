/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a pc to its row: searches against a plain linear one, and the cache. */
#include "native_begin.h"

#include "alloc.bpf.c"

#include "native.h"
#include "library.h"

#define MAX_ROWS 5003
#define OUTSIDE ROW_MADE(ROW_OUTSIDE)
#define NO_ROW ROW_MADE(ROW_NONE)

static __u64 seed;

static __u32 random_below(__u32 n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (__u32)(seed >> 33) % n;
}

/* A row that no other has, as the walk sees it. */
static __u32 row_value(const struct unwind_row *row)
{
	return (__u32)(__u16)row->fp << 16 | row->cfa;
}

/* Of an instruction, from the tables. */
static __u32 row_at_pc(__u64 pc)
{
	const struct unwind_process *p = process_of(SLOT);
	struct walk *w = walk_at(0);

	w->slot = SLOT;
	w->proc = PROC;
	w->generation = p->generation;
	w->first_mapping = p->first;
	w->nr_mappings = p->nr;
	w->pc = pc;
	w->is_exact = 1;
	w->return_slot = 0;
	return row_find(0);
}

/* Rows at random distances, the first at the start of the library, as the last rows of the shard if `at_end`. */
static void rows_make(__u32 nr, bool at_end)
{
	struct unwind_mapping *m = library();
	__u32 offset = 0;

	m->row_lo = at_end ? UNWIND_SHARD_ROWS - nr : SHARD_ROW;
	m->row_hi = m->row_lo + nr;
	for (__u32 i = 0; i < nr; i++) {
		*row_at(m->row_lo + i) =
			(struct unwind_row){.pc = m->pc + offset,
					    .cfa = ROW_CFA(ROW_SP, random_below(16384)),
					    .fp = (__s16)(i + 1)};
		offset += 1 + random_below(LIBRARY_BYTES / MAX_ROWS - 1);
	}
	mappings_changed();
}

static __u32 linear_row(__u64 pc)
{
	const struct unwind_mapping *m = library();
	__u32 found = NO_ROW;

	if (pc < m->start || pc >= m->end)
		return OUTSIDE;
	for (__u32 i = m->row_lo; i < m->row_hi; i++) {
		if (row_at(i)->pc - m->pc <= pc - m->start)
			found = row_value(row_at(i));
	}
	return found;
}

static __u64 pc_of_row(__u32 index)
{
	return library()->start + (row_at(index)->pc - library()->pc);
}

/* Each row's first byte, and the bytes on both sides of it. */
static void assert_boundaries(void)
{
	const struct unwind_mapping *m = library();

	for (__u32 i = m->row_lo; i < m->row_hi; i++) {
		__u32 value = row_value(row_at(i));

		assert_int_equal(row_at_pc(pc_of_row(i)), value);
		assert_int_equal(row_at_pc((i + 1 < m->row_hi ? pc_of_row(i + 1) : m->end) - 1),
				 value);
	}
	assert_int_equal(row_at_pc(m->start - 1), OUTSIDE);
	assert_int_equal(row_at_pc(m->end), OUTSIDE);
}

static void test_boundaries(void **state)
{
	static const __u32 nr[] = {1, 2, 3, 4, 5, 63, 64, 65, 127};

	(void)state;
	seed = 7;
	for (size_t i = 0; i < sizeof(nr) / sizeof(nr[0]); i++) {
		rows_make(nr[i], false);
		assert_boundaries();
		rows_make(nr[i], true);
		assert_boundaries();
	}
}

static void test_random_tables(void **state)
{
	(void)state;
	seed = 11;
	for (unsigned int round = 0; round < 101; round++) {
		rows_make(1 + random_below(99), round & 1);
		for (unsigned int i = 0; i < 97; i++) {
			__u64 pc = LIBRARY + random_below(LIBRARY_BYTES / MAX_ROWS * 100);

			assert_int_equal(row_at_pc(pc), linear_row(pc));
		}
	}
}

static void test_large_table(void **state)
{
	(void)state;
	seed = 13;
	rows_make(MAX_ROWS, false);
	for (unsigned int i = 0; i < 307; i++) {
		__u64 pc = LIBRARY + random_below(LIBRARY_BYTES);

		assert_int_equal(row_at_pc(pc), linear_row(pc));
	}
}

/* One mapping of several of a file: its first row may begin before it. */
static void test_part_of_a_file(void **state)
{
	struct unwind_mapping *m = library();

	(void)state;
	(void)function_of_words(1);
	(void)function_of_words(2);
	m->pc += FUNCTION_BYTES / 2;
	assert_int_equal(row_at_pc(m->start), ROW_CFA(ROW_SP, 1));
	assert_int_equal(row_at_pc(m->start + FUNCTION_BYTES / 2 - 1), ROW_CFA(ROW_SP, 1));
	assert_int_equal(row_at_pc(m->start + FUNCTION_BYTES / 2), ROW_CFA(ROW_SP, 2));
}

/* --- mappings --- */

/* Mappings of one row each, at random distances and sometimes side by side. */
static void mappings_make(__u32 first, __u32 nr)
{
	struct unwind_process *p = process_of(SLOT);
	__u64 start = 0x100000;

	*p = (struct unwind_process){.generation = p->generation + 2, .first = first};
	for (__u32 i = 0; i < nr; i++) {
		__u64 end = start + (1 + random_below(9)) * 4096;

		*row_at(SHARD_ROW + i) =
			(struct unwind_row){.pc = i, .cfa = ROW_CFA(ROW_SP, i), .fp = (__s16)-i};
		mapping_add(SLOT, first + i,
			    &(struct unwind_mapping){.start = start,
						     .end = end,
						     .pc = i,
						     .row_lo = SHARD_ROW + i,
						     .row_hi = SHARD_ROW + i + 1,
						     .shard = SHARD,
						     .kind = MAPPING_TABLE});
		start = end + random_below(3) * 4096;
	}
}

static __u32 linear_mapping(__u64 pc)
{
	const struct unwind_process *p = process_of(SLOT);

	for (__u32 i = p->first; i < p->first + p->nr; i++) {
		const struct unwind_mapping *m = mapping_at(i);

		if (pc >= m->start && pc < m->end)
			return row_value(row_at(m->row_lo));
	}
	return OUTSIDE;
}

static void assert_mappings(void)
{
	const struct unwind_process *p = process_of(SLOT);

	for (__u32 i = p->first; i < p->first + p->nr; i++) {
		const struct unwind_mapping *m = mapping_at(i);
		const __u64 pc[] = {m->start - 1, m->start, m->start + 1,
				    m->end - 1,	  m->end,   m->end + 1};

		for (size_t j = 0; j < sizeof(pc) / sizeof(pc[0]); j++)
			assert_int_equal(row_at_pc(pc[j]), linear_mapping(pc[j]));
	}
}

/* Those before and behind are other processes', with mappings that would do as well. */
static void test_mappings(void **state)
{
	(void)state;
	seed = 17;
	fake_map_limit(&unwind_mappings, 128);
	for (__u32 i = 0; i < 128; i++)
		*mapping_at(i) =
			(struct unwind_mapping){.start = 0, .end = ~0ull, .kind = MAPPING_CODE};
	for (__u32 nr = 1; nr <= 64; nr++) {
		mappings_make(nr % 2 ? 3 : 128 - nr, nr);
		assert_mappings();
	}
}

static void test_random_mappings(void **state)
{
	__u32 outside = 0;

	(void)state;
	seed = 19;
	for (unsigned int round = 0; round < 103; round++) {
		mappings_make(random_below(5), 1 + random_below(59));
		for (unsigned int i = 0; i < 97; i++) {
			__u64 pc = 0xff000 + random_below(50 * 5 * 4096);
			__u32 row = row_at_pc(pc);

			assert_int_equal(row, linear_mapping(pc));
			outside += row == OUTSIDE;
		}
	}
	assert_int_equal(process_of(SLOT)->unknown > 0, outside > 0);
}

static void test_as_many_mappings_as_may_be(void **state)
{
	const struct unwind_process *p = process_of(SLOT);

	(void)state;
	seed = 23;
	fake_map_limit(&unwind_mappings, UNWIND_MAX_PROCESS_MAPPINGS + 7);
	mappings_make(7, UNWIND_MAX_PROCESS_MAPPINGS);
	for (__u32 i = p->first; i < p->first + p->nr; i++) {
		const struct unwind_mapping *m = mapping_at(i);
		__u32 row = row_value(row_at(m->row_lo));

		assert_int_equal(row_at_pc(m->start), row);
		assert_int_equal(row_at_pc(m->end - 1), row);
	}
}

/* A return address right behind a mapping's last call belongs to it, and one at its start does not. */
static void test_return_addresses_at_the_edges(void **state)
{
	__u64 f = function_of_words(1), outermost = outermost_add();
	struct unwind_mapping *m = library();

	(void)state;
	m->end = outermost - FUNCTION_CALL + FUNCTION_BYTES;
	words_put(SP, WORDS(f, m->end, f, f));
	assert_frames(capture(0, SP, JUNK), 0, WORDS(f, m->end));
	assert_int_equal(nr_failures(), 0);
	words_put(SP, WORDS(f, m->end + 1, f, f));
	assert_frames(capture(0, SP, JUNK), STACK_PARTIAL, WORDS(f, m->end + 1));
	words_put(SP, WORDS(f, m->start, f, f));
	assert_frames(capture(0, SP, JUNK), STACK_PARTIAL, WORDS(f, m->start));
	assert_failures(STAT_CUT_NO_MAPPING, 2);
	/* instructions */
	words_put(SP, WORDS(outermost));
	assert_frames(capture(m->start, SP, JUNK), STACK_PRECISE_PC, WORDS(m->start, outermost));
	assert_frames(capture(m->end, SP, JUNK), STACK_PRECISE_PC | STACK_PARTIAL, WORDS(m->end));
	assert_failures(STAT_CUT_NO_MAPPING, 3);
}

/* --- the cache --- */

/* Where the library's rows are looked for no more. */
static void tables_break(void)
{
	library()->row_hi = library()->row_lo;
}

static void test_cache(void **state)
{
	__u64 f = function_of_words(2), outermost = outermost_add();

	(void)state;
	words_put(SP, WORDS(f, JUNK, outermost));
	assert_frames(capture(0, SP, 0), 0, WORDS(f, outermost));
	tables_break();
	/* elsewhere, where the memo has nothing */
	words_put(SP - 64, WORDS(f, JUNK, outermost));
	assert_frames(capture(0, SP - 64, 0), 0, WORDS(f, outermost));
	assert_frames(capture_anew(0, SP - 64, 0), 0, WORDS(f));
	mappings_changed();
	assert_frames(capture(0, SP - 64, 0), 0, WORDS(f));
}

/* The same addresses in another process are other code. */
static void test_cache_of_two_processes(void **state)
{
	__u64 f = function_of_words(2), outermost = outermost_add();

	(void)state;
	target_add(OTHER_TGID, OTHER_SLOT);
	code_add(OTHER_SLOT, LIBRARY_INDEX + 1, LIBRARY, LIBRARY_BYTES);
	process_of(OTHER_SLOT)->generation = process_of(SLOT)->generation;
	for (__u64 sp = SP; sp < SP + 5 * 64; sp += 64) {
		words_put(sp, WORDS(f, JUNK, outermost));
		run_as(&machine.main);
		assert_frames(capture(0, sp, 0), 0, WORDS(f, outermost));
		run_as(&machine.other);
		assert_frames(capture(0, sp, 0), 0, WORDS(f));
	}
}

/* An exec's new image is as well another process, were it even for its mappings. */
static void test_cache_of_two_incarnations(void **state)
{
	__u64 f = function_of_words(2), outermost = outermost_add();
	const __u32 slot = SLOT;

	(void)state;
	words_put(SP, WORDS(f, JUNK, outermost));
	assert_frames(capture(0, SP, 0), 0, WORDS(f, outermost));
	tables_break();
	((struct slot_value *)fake_map_value(&slots, &slot, 0))->proc = SEEP_PROC(SLOT, 2);
	assert_frames(capture(0, SP, 0), 0, WORDS(f));
}

/* Two programs have written it at once: any word may be the other's. */
static void test_torn_entry(void **state)
{
	__u64 f = function_of_words(2), g = function_of_words(3), outermost = outermost_add();
	struct row_cached *c, was;
	struct walk *w = walk_at(0);

	(void)state;
	config.memo = 0;
	words_put(SP, WORDS(f, JUNK, g, JUNK, JUNK, outermost));
	assert_frames(capture(0, SP, 0), 0, WORDS(f, g, outermost));
	tables_break();
	c = row_cache_at(f - 1);
	was = *c;
	assert_int_equal(c->row, ROW_CFA(ROW_SP, 2));
	c->row = ROW_CFA(ROW_SP, 5);
	assert_frames(capture(0, SP, 0), 0, WORDS(f));
	*c = was;
	c->check++;
	assert_frames(capture(0, SP, 0), 0, WORDS(f));
	/* the other's row with its check, but our pc */
	*c = *row_cache_at(g - 1);
	c->pc = f - 1;
	assert_frames(capture(0, SP, 0), 0, WORDS(f));
	/* our check of an older generation */
	*c = was;
	w->generation = was.generation - 2;
	row_to_cache(w, f - 1, ROW_CFA(ROW_SP, 5));
	c->generation = was.generation;
	assert_frames(capture(0, SP, 0), 0, WORDS(f));
}

/* What is not known yet, or nowhere, may be known the next moment without anybody saying so here. */
static void test_not_in_the_cache(void **state)
{
	__u64 f = function_of_words(1);

	(void)state;
	library()->kind = MAPPING_PENDING;
	words_put(SP, WORDS(f, f));
	assert_frames(capture(0, SP, 0), STACK_PARTIAL, WORDS(f));
	assert_int_equal(row_cache_at(f - 1)->pc, 0);
	library()->kind = MAPPING_GONE;
	mappings_changed();
	assert_frames(capture(0, SP, 0), STACK_PARTIAL, WORDS(f));
	assert_int_equal(row_cache_at(f - 1)->pc, 0);
}

#define ORIGIN 1009
#define MARKED(address) SEEP_FRAME_OF(address, ORIGIN)

/* By the search, from the cache, by the usual steps and by the others: a frame says whose code it is. */
static void test_origin(void **state)
{
	__u64 f = function_of_words(2), by_fp = function_add(ROW_CFA(ROW_FP, 2), ROW_FP_SAME);
	__u64 outermost = outermost_add();

	(void)state;
	config.memo = 0;
	library()->origin = ORIGIN;
	words_put(SP, WORDS(f, JUNK, by_fp, JUNK, JUNK, f, JUNK, outermost));
	for (unsigned int i = 0; i < 3; i++) {
		assert_frames(capture(0, SP, SP + 8 * 4), 0,
			      WORDS(MARKED(f), MARKED(by_fp), MARKED(f), MARKED(outermost)));
		config.check_stacks = i == 1; /* without the cache */
	}
	/* behind the edge of the library, and of an instruction */
	code_add(SLOT, LIBRARY_INDEX + 1, library()->end, 4096);
	mappings_changed();
	assert_int_equal(row_at_pc(library()->end), ROW_MADE(ROW_CODE));
	assert_int_equal(walk_at(0)->origin, 0);
	assert_int_not_equal(row_at_pc(library()->end - 1), OUTSIDE);
	assert_int_equal(walk_at(0)->origin, MARKED(0));
	assert_int_equal(row_at_pc(library()->start - 1), OUTSIDE);
	assert_int_equal(walk_at(0)->origin, 0);
}

/* The same addresses, and other code. */
static void test_origins_tell_stacks_apart(void **state)
{
	__u64 f = function_of_words(2), outermost = outermost_add();
	__u32 before, after;

	(void)state;
	words_put(SP, WORDS(f, JUNK, outermost));
	before = capture(0, SP, 0);
	library()->origin = ORIGIN;
	mappings_changed();
	after = capture(0, SP, 0);
	assert_int_not_equal(before, after);
	assert_frames(before, 0, WORDS(f, outermost));
	assert_frames(after, 0, WORDS(MARKED(f), MARKED(outermost)));
	library()->origin = 0;
	mappings_changed();
	assert_int_equal(capture(0, SP, 0), before);
}

/* What is met where a file's code has gone is not that file's. */
static void test_origin_of_what_has_gone(void **state)
{
	__u64 f = function_of_words(2);

	(void)state;
	words_put(SP, WORDS(f, JUNK, f));
	library()->kind = MAPPING_GONE;
	library()->origin = ORIGIN;
	mappings_changed();
	assert_frames(capture(0, SP, 0), STACK_PARTIAL, WORDS(SEEP_FRAME_OF(f, ORIGIN_CHANGED)));
	library()->origin = ORIGIN_NO_FILE;
	mappings_changed();
	assert_frames(capture(0, SP, 0), STACK_PARTIAL, WORDS(f));
	library()->kind = MAPPING_PENDING;
	library()->origin = ORIGIN;
	mappings_changed();
	assert_frames(capture(0, SP, 0), STACK_PARTIAL, WORDS(MARKED(f)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		library_test(test_boundaries),
		library_test(test_random_tables),
		library_test(test_large_table),
		library_test(test_part_of_a_file),
		library_test(test_mappings),
		library_test(test_random_mappings),
		library_test(test_as_many_mappings_as_may_be),
		library_test(test_return_addresses_at_the_edges),
		library_test(test_cache),
		library_test(test_cache_of_two_processes),
		library_test(test_cache_of_two_incarnations),
		library_test(test_torn_entry),
		library_test(test_not_in_the_cache),
		library_test(test_origin),
		library_test(test_origins_tell_stacks_apart),
		library_test(test_origin_of_what_has_gone),
	};

	return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
