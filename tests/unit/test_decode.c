/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "decode.h"
#include "stream.h"

#define MAX_RECORDS 64

/* One good record of each kind and shape. */
struct samples {
	struct {
		void *bytes;
		size_t nr;
	} item[MAX_RECORDS];
	size_t nr;
};

static int keep(void *arg, const void *record, size_t nr)
{
	struct samples *samples = arg;
	void *copy = malloc(nr);

	assert_non_null(copy);
	assert_true(samples->nr < MAX_RECORDS);
	memcpy(copy, record, nr);
	samples->item[samples->nr].bytes = copy;
	samples->item[samples->nr++].nr = nr;
	return 0;
}

static void make_names(struct stream *s)
{
	static const uint64_t frame[SEEP_MAX_FRAMES] = {0x1000};

	assert_int_equal(stream_target(s, STREAM_PROC, 7, "x"), 0);
	assert_int_equal(stream_stack(s, 1, 0, frame, 0), 0);
	assert_int_equal(stream_stack(s, 2, 0, frame, SEEP_MAX_FRAMES), 0);
	assert_int_equal(stream_symbol(s, STREAM_PROC, 1, ""), 0);
	assert_int_equal(stream_symbol(s, STREAM_PROC, 1, "^a|b|c|1 d|e|f|2 g"), 0);
	assert_int_equal(
		stream_mapping(s, &(struct record_mapping){.start = 4096, .end = 8192}, "[heap]"),
		0);
	assert_int_equal(stream_probe(s, "malloc", 7, PROBE_RETURN), 0);
}

static void make_samples(struct samples *samples)
{
	struct stream s = {.take = keep, .arg = samples};
	struct heap_block block = stream_block(1, 2, 3, 4);

	*samples = (struct samples){.nr = 0};
	assert_int_equal(stream_run(&s, RUN_LEAKS), 0);
	make_names(&s);
	assert_int_equal(stream_alloc(&s, 1, 2, 3, 4), 0);
	assert_int_equal(stream_free(&s, &block, 9, 0), 0);
	for (uint16_t kind = EVENT_MMAP; kind <= EVENT_BRK; kind++)
		assert_int_equal(stream_vm(&s, kind, 1, &(struct event_vm){.addr = 1}), 0);
	assert_int_equal(stream_fault(&s, 1, 2, FAULT_MAJOR), 0);
	for (uint16_t kind = EVENT_EXEC; kind <= EVENT_FORK; kind++)
		assert_int_equal(stream_proc(&s, kind, STREAM_PROC, "y"), 0);
	assert_int_equal(stream_counter(&s, STREAM_PROC, STAT_ALLOCS, 7), 0);
	assert_int_equal(stream_cpu_time(&s, STREAM_PROC, 7), 0);
	assert_int_equal(stream_overhead(&s, 5, 7), 0);
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 7), 0);
	assert_int_equal(stream_mark(&s, RECORD_RESYNC, 0, 7), 0);
	assert_int_equal(stream_mark(&s, RECORD_UNWATCHED, 0, 7), 0);
	assert_int_equal(stream_sampling(&s, 1, 4096), 0);
	assert_int_equal(stream_step(&s,
				     &(struct record_step){.mode = STEP_WINDOWS,
							   .why = STEP_OVER_TARGET,
							   .period_bytes = 4096,
							   .duty_permille = 20},
				     7),
			 0);
	assert_int_equal(stream_mark(&s, RECORD_END, 0, 7), 0);
}

static void free_samples(struct samples *samples)
{
	for (size_t i = 0; i < samples->nr; i++)
		free(samples->item[i].bytes);
}

/* A copy of exactly nr bytes, so that a read behind it is seen. */
static int check_exact(const void *record, size_t nr)
{
	void *copy = malloc(nr ? nr : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, record, nr);
	err = record_check(copy, nr);
	free(copy);
	return err;
}

static void test_good_ones(void **state)
{
	bool seen[RECORD_KIND_NR] = {false};
	struct samples samples;

	(void)state;
	make_samples(&samples);
	for (size_t i = 0; i < samples.nr; i++) {
		seen[((struct event_head *)samples.item[i].bytes)->kind] = true;
		assert_int_equal(check_exact(samples.item[i].bytes, samples.item[i].nr), 0);
	}
	free_samples(&samples);
	for (unsigned int kind = 1; kind < RECORD_KIND_NR; kind++)
		assert_true(seen[kind] == (kind < EVENT_KIND_NR || kind >= RECORD_RUN));
}

/* Other versions of the kernel side have other numbers of counters. */
static bool may_end_at(const void *record, size_t nr)
{
	return nr >= sizeof(struct event_head) + 22 * 8 && nr % 8 == 0 &&
	       ((const struct event_head *)record)->kind == RECORD_COUNTERS;
}

static void test_every_truncation(void **state)
{
	struct samples samples;

	(void)state;
	make_samples(&samples);
	for (size_t i = 0; i < samples.nr; i++) {
		for (size_t nr = 0; nr < samples.item[i].nr; nr++)
			assert_int_equal(check_exact(samples.item[i].bytes, nr),
					 may_end_at(samples.item[i].bytes, nr) ? 0 : -EBADMSG);
	}
	free_samples(&samples);
}

static bool has_text(uint16_t kind)
{
	return kind == RECORD_TARGET || kind == RECORD_MAPPING || kind == RECORD_SYMBOL ||
	       kind == RECORD_PROBE;
}

/* Eight bytes too many: padding behind strings, else a record of some other shape. */
static void test_too_long(void **state)
{
	struct samples samples;

	(void)state;
	make_samples(&samples);
	for (size_t i = 0; i < samples.nr; i++) {
		size_t nr = samples.item[i].nr;
		char *copy = calloc(1, nr + 8);
		uint16_t kind = ((struct event_head *)samples.item[i].bytes)->kind;

		assert_non_null(copy);
		memcpy(copy, samples.item[i].bytes, nr);
		assert_int_equal(record_check(copy, nr + 8),
				 has_text(kind) || kind == RECORD_COUNTERS ? 0 : -EBADMSG);
		assert_int_equal(record_check(copy, nr + 4), -EBADMSG);
		free(copy);
	}
	free_samples(&samples);
}

static void test_unterminated_strings(void **state)
{
	struct samples samples;

	(void)state;
	make_samples(&samples);
	for (size_t i = 0; i < samples.nr; i++) {
		const struct record_symbol *symbol = samples.item[i].bytes;
		char *bytes = samples.item[i].bytes;
		size_t nr = samples.item[i].nr;

		if (!has_text(symbol->head.kind) ||
		    (symbol->head.kind == RECORD_SYMBOL && !symbol->nr))
			continue;
		while (nr && !bytes[nr - 1])
			bytes[--nr] = 'x';
		assert_int_equal(check_exact(bytes, samples.item[i].nr), -EBADMSG);
	}
	free_samples(&samples);
}

static void test_unknown_kinds(void **state)
{
	uint64_t record[64] = {0};
	struct event_head *head = (struct event_head *)record;

	(void)state;
	for (unsigned int kind = 0; kind <= UINT16_MAX; kind++) {
		if ((kind && kind < EVENT_KIND_NR) || (kind >= RECORD_RUN && kind < RECORD_KIND_NR))
			continue;
		head->kind = (uint16_t)kind;
		for (size_t nr = 16; nr <= sizeof(record); nr += 8)
			assert_int_equal(record_check(record, nr), -EBADMSG);
	}
}

static void test_counts(void **state)
{
	static const uint32_t wrong[] = {SEEP_MAX_FRAMES + 1, 0xffff,	  0x10000,
					 0x1fffffff,	      0x20000000, 0x80000000,
					 UINT32_MAX - 2,      UINT32_MAX};
	static uint64_t record[RECORD_MAX_BYTES / 8];
	struct record_stack *stack = (struct record_stack *)record;
	struct record_symbol *symbol = (struct record_symbol *)record;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		memset(record, 0, 64);
		stack->head.kind = RECORD_STACK;
		stack->stack = 5;
		stack->nr = wrong[i];
		for (size_t nr = sizeof(*stack); nr <= sizeof(record); nr += 4096)
			assert_int_equal(record_check(record, nr), -EBADMSG);
		memset(record, 0, 64);
		symbol->head.kind = RECORD_SYMBOL;
		symbol->nr = wrong[i];
		for (size_t nr = sizeof(*symbol); nr <= sizeof(record); nr += 4096)
			assert_int_equal(record_check(record, nr), -EBADMSG);
	}
	symbol->nr = RECORD_MAX_SYMBOL_FRAMES;
	assert_int_equal(record_check(record, sizeof(record)), 0);
}

static void test_values(void **state)
{
	struct record_run run = {
		.head.kind = RECORD_RUN, .mode = RUN_FAULTS, .fault_period = 1, .sample_bytes = 1};
	struct record_mapping mapping[2] = {{.head.kind = RECORD_MAPPING, .start = 1, .end = 2}};
	struct record_stack stack = {.head.kind = RECORD_STACK, .stack = 1};

	(void)state;
	assert_int_equal(record_check(&run, sizeof(run)), 0);
	run.mode = 3;
	assert_int_equal(record_check(&run, sizeof(run)), -EBADMSG);
	run.mode = RUN_LEAKS;
	run.fault_period = 0;
	assert_int_equal(record_check(&run, sizeof(run)), -EBADMSG);
	run.fault_period = 1;
	run.sample_bytes = 0;
	assert_int_equal(record_check(&run, sizeof(run)), -EBADMSG);
	assert_int_equal(record_check(mapping, sizeof(mapping[0]) + 8), 0);
	mapping[0].end = 1;
	assert_int_equal(record_check(mapping, sizeof(mapping[0]) + 8), -EBADMSG);
	assert_int_equal(record_check(&stack, sizeof(stack)), 0);
	stack.stack = SEEP_STACK_UNKNOWN;
	assert_int_equal(record_check(&stack, sizeof(stack)), -EBADMSG);
}

static void test_strings_one_by_one(void **state)
{
	static const char text[] = "one\0\0three";
	struct record_strings strings = {.at = text, .end = text + sizeof(text)};
	size_t nr = 99;

	(void)state;
	assert_string_equal(record_next_string(&strings, &nr), "one");
	assert_int_equal(nr, 3);
	assert_string_equal(record_next_string(&strings, &nr), "");
	assert_int_equal(nr, 0);
	assert_string_equal(record_next_string(&strings, &nr), "three");
	assert_null(record_next_string(&strings, &nr));
	assert_int_equal(nr, 5);
	strings = (struct record_strings){.at = text, .end = text + 3};
	assert_null(record_next_string(&strings, &nr));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_ones),     cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_too_long),      cmocka_unit_test(test_unterminated_strings),
		cmocka_unit_test(test_unknown_kinds), cmocka_unit_test(test_counts),
		cmocka_unit_test(test_values),	      cmocka_unit_test(test_strings_one_by_one),
	};

	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
