/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Windows in the stream of records: what was left, and what of it was seen gone. Verdicts are tested in test_windowed.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "stream.h"
#include "windows.h"

#define ADDR 0x7f0000001000ull

struct run {
	struct profile *profile;
	struct stream s;
};

static void watch(struct run *r, uint64_t time_ns)
{
	struct record_step step = {.mode = STEP_WINDOWS,
				   .why = STEP_OVER_TARGET,
				   .period_bytes = 1,
				   .duty_permille = 100};

	assert_int_equal(stream_step(&r->s, &step, time_ns), 0);
}

static void unwatch(struct run *r, uint64_t time_ns)
{
	assert_int_equal(stream_mark(&r->s, RECORD_UNWATCHED, 0, time_ns), 0);
}

static void gone(struct run *r, uint64_t addr, uint64_t birth_ns, uint64_t time_ns)
{
	struct heap_block block = stream_block(addr, birth_ns, 100, 7);

	assert_int_equal(stream_free(&r->s, &block, time_ns, FREE_UNWATCHED), 0);
}

static bool looks_after(const struct run *r, uint64_t birth_ns)
{
	return profile_looks_after(r->profile, STREAM_PROC, STREAM_START_NS + birth_ns);
}

/* Window i, from i s on, leaves three blocks. */
static void begin(struct run *r, uint64_t nr_windows)
{
	r->profile = profile_new();
	r->s = stream_to(r->profile);
	assert_int_equal(stream_run(&r->s, RUN_LEAKS), 0);
	assert_int_equal(stream_target(&r->s, STREAM_PROC, STREAM_TGID, "server"), 0);
	(void)stream_named_stack(&r->s, 7, "leak main");
	unwatch(r, 0);
	for (uint64_t i = 1; i <= nr_windows; i++) {
		watch(r, i * STREAM_S);
		for (uint64_t j = 0; j < 3; j++)
			assert_int_equal(stream_alloc(&r->s, ADDR + 64 * i + 16 * j,
						      i * STREAM_S + 1 + j, 100, 7),
					 0);
		unwatch(r, i * STREAM_S + STREAM_S / 10);
		assert_int_equal(stream_mark(&r->s, RECORD_TICK, 0, i * STREAM_S + STREAM_S / 2),
				 0);
	}
}

static struct report report_of(const struct run *r)
{
	static const struct report_options options = {.top = 0};
	const struct report_balance *b;
	struct report report;

	assert_int_equal(profile_report(r->profile, &options, &report), 0);
	b = &report.balance;
	assert_int_equal(b->allocs, b->frees + b->live + b->released + b->lost_allocs);
	return report;
}

static void assert_presumed(const struct run *r, uint64_t presumed, uint64_t left)
{
	struct report report = report_of(r);

	assert_int_equal(report.nr_sites, 1);
	assert_int_equal(report.site[0].presumed_objects, presumed);
	assert_int_equal(report.site[0].presumed_bytes, 100 * presumed);
	assert_int_equal(report.site[0].left_objects, left);
	report_release(&report);
}

/* No sum knows of it but the one of what is left. */
static void test_seen_gone(void **state)
{
	struct run r;
	struct report report;

	(void)state;
	begin(&r, 3);
	assert_presumed(&r, 9, 3);
	watch(&r, 4 * STREAM_S);
	gone(&r, ADDR + 64, STREAM_S + 1, 4 * STREAM_S + 1);
	gone(&r, ADDR + 128, 2 * STREAM_S + 1, 4 * STREAM_S + 2);
	assert_presumed(&r, 7, 0);
	report = report_of(&r);
	assert_int_equal(report.balance.allocs, 9);
	assert_int_equal(report.balance.frees, 0);
	assert_int_equal(report.balance.released, 9);
	assert_int_equal(report.site[0].free_objects, 0);
	report_release(&report);
	profile_free(r.profile);
}

/* What a forged capture may have. */
static void test_forged(void **state)
{
	struct run r;
	struct report report;

	(void)state;
	begin(&r, 2);
	watch(&r, 3 * STREAM_S);
	assert_int_equal(stream_alloc(&r.s, ADDR, 3 * STREAM_S + 1, 100, 7), 0);
	/* a block of now, one of before any window, and more of one than there were */
	gone(&r, ADDR, 3 * STREAM_S + 1, 3 * STREAM_S + 2);
	gone(&r, ADDR, 1, 3 * STREAM_S + 2);
	for (int i = 0; i < 10; i++)
		gone(&r, ADDR, STREAM_S + 1, 3 * STREAM_S + 2);
	report = report_of(&r);
	assert_int_equal(report.balance.live, 1);
	report_release(&report);
	assert_presumed(&r, 2, 0);
	/* an end before its beginning: what was live then is not looked after */
	unwatch(&r, STREAM_S);
	assert_presumed(&r, 2, 1);
	profile_free(r.profile);
}

static void test_told_late(void **state)
{
	struct heap_block block = stream_block(ADDR + 64, STREAM_S + 1, 100, 7);
	struct run r;

	(void)state;
	begin(&r, 1);
	assert_int_equal(stream_alloc(&r.s, ADDR, STREAM_S + 5, 100, 7), 0);
	assert_presumed(&r, 4, 4);
	assert_int_equal(stream_free(&r.s, &block, STREAM_S + 9, 0), 0);
	assert_presumed(&r, 3, 3);
	/* neither counts in the next window */
	watch(&r, 2 * STREAM_S);
	unwatch(&r, 2 * STREAM_S + STREAM_S / 10);
	assert_presumed(&r, 3, 0);
	profile_free(r.profile);
}

static void test_exec_and_exit(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 2);
	assert_int_equal(stream_proc(&r.s, EVENT_EXEC, SEEP_PROC(1, 2), "other"), 0);
	assert_presumed(&r, 0, 3);
	gone(&r, ADDR + 64, STREAM_S + 1, 3 * STREAM_S);
	assert_presumed(&r, 0, 3);
	assert_int_equal(profile_nr_forgotten(r.profile), 6);
	assert_false(looks_after(&r, STREAM_S + 1));
	profile_free(r.profile);
	begin(&r, 2);
	assert_true(looks_after(&r, STREAM_S + 1));
	gone(&r, ADDR + 64, STREAM_S + 1, 3 * STREAM_S);
	assert_int_equal(stream_proc(&r.s, EVENT_EXIT, STREAM_PROC, "server"), 0);
	assert_presumed(&r, 5, 3);
	assert_int_equal(profile_nr_forgotten(r.profile), 5);
	assert_false(looks_after(&r, STREAM_S + 1));
	/* told late: it is over all the same */
	gone(&r, ADDR + 64, STREAM_S + 2, 3 * STREAM_S);
	assert_presumed(&r, 5, 3);
	profile_free(r.profile);
}

static void test_too_many(void **state)
{
	struct run r;
	struct report report;
	uint64_t before;

	(void)state;
	begin(&r, 2);
	before = profile_memory_bytes(r.profile);
	assert_true(before > sizeof(struct left));
	assert_int_equal(profile_nr_forgotten(r.profile), 0);
	watch(&r, 3 * STREAM_S);
	for (uint64_t i = 0; i < WINDOWS_MAX_BLOCKS; i++)
		assert_int_equal(stream_alloc(&r.s, ADDR + 16 * i, 3 * STREAM_S + 1 + i, 100, 7),
				 0);
	unwatch(&r, 4 * STREAM_S);
	assert_int_equal(profile_nr_forgotten(r.profile), WINDOWS_MAX_BLOCKS + 6);
	assert_false(looks_after(&r, 4 * STREAM_S - 1));
	assert_true(looks_after(&r, 4 * STREAM_S));
	report = report_of(&r);
	assert_int_equal(report.nr_losses, 1);
	assert_string_equal(report.loss[0].name, "left_given_up");
	assert_int_equal(report.loss[0].count, WINDOWS_MAX_BLOCKS + 6);
	assert_true(report.complete);
	report_release(&report);
	assert_presumed(&r, 0, WINDOWS_MAX_BLOCKS);
	/* those of later windows are looked after again */
	watch(&r, 5 * STREAM_S);
	assert_int_equal(stream_alloc(&r.s, ADDR, 5 * STREAM_S + 1, 100, 7), 0);
	unwatch(&r, 6 * STREAM_S);
	assert_presumed(&r, 1, 1);
	assert_true(profile_memory_bytes(r.profile) < before + 4096);
	profile_free(r.profile);
}

/* So many windows that bins are merged: nothing gets lost. */
static void test_many_windows(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 500);
	assert_presumed(&r, 1500, 3);
	watch(&r, 501 * STREAM_S);
	for (uint64_t i = 1; i <= 500; i++)
		gone(&r, ADDR + 64 * i, i * STREAM_S + 1, 501 * STREAM_S + i);
	assert_presumed(&r, 1000, 0);
	profile_free(r.profile);
}

static void test_no_memory(void **state)
{
	struct run r;
	struct report report;
	int err;

	(void)state;
	for (long nth = 1; nth < 8; nth++) {
		begin(&r, 0);
		watch(&r, STREAM_S);
		assert_int_equal(stream_alloc(&r.s, ADDR, STREAM_S + 1, 100, 7), 0);
		allocfail_set(nth);
		err = stream_mark(&r.s, RECORD_UNWATCHED, 0, 2 * STREAM_S);
		assert_int_equal(err, allocfail_hit() ? -ENOMEM : 0);
		allocfail_set(0);
		report = report_of(&r);
		assert_int_equal(report.balance.released, 1);
		assert_in_range(report.site[0].presumed_objects, err ? 0 : 1, 1);
		report_release(&report);
		profile_free(r.profile);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seen_gone), cmocka_unit_test(test_forged),
		cmocka_unit_test(test_told_late), cmocka_unit_test(test_exec_and_exit),
		cmocka_unit_test(test_too_many),  cmocka_unit_test(test_many_windows),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
