/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Page faults in a run of leaks, while the governor has nothing else followed: from records to the report. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "out.h"
#include "stream.h"

#define HEAP 0x55d000000000ull

static const struct report_options everything = {.allocator_frames = true};

static struct profile *new_profile(struct stream *s)
{
	struct profile *profile = profile_new();

	assert_non_null(profile);
	*s = stream_to(profile);
	assert_int_equal(stream_run(s, RUN_LEAKS), 0);
	assert_int_equal(stream_target(s, STREAM_PROC, STREAM_TGID, "server"), 0);
	assert_int_equal(stream_named_stack(s, 1, "touch work main"), 0);
	assert_int_equal(stream_named_stack(s, 2, "load main"), 0);
	return profile;
}

static int step(struct stream *s, uint32_t mode, uint64_t time_ns)
{
	return stream_step(
		s,
		&(struct record_step){
			.mode = mode, .why = STEP_ROOM, .period_bytes = 1, .duty_permille = 1000},
		time_ns);
}

static struct report report_of(struct profile *profile)
{
	struct report report;

	assert_int_equal(profile_report(profile, &everything, &report), 0);
	return report;
}

static void add_faults(struct stream *s, uint64_t nr, uint32_t stack, uint16_t flags)
{
	for (uint64_t i = 0; i < nr; i++)
		assert_int_equal(stream_fault(s, HEAP + i * 4096, stack, flags), 0);
}

static void map_heap(struct stream *s)
{
	assert_int_equal(
		stream_mapping(s,
			       &(struct record_mapping){.head.flags = MAPPING_FIRST | MAPPING_WRITE,
							.start = HEAP,
							.end = HEAP + (1 << 30)},
			       "[heap]"),
		0);
}

static void check_seconds(double s, double expected)
{
	assert_true(s > expected - 1e-6 && s < expected + 1e-6);
}

static double faults_s(struct profile *profile)
{
	struct report report = report_of(profile);
	double seconds = report.faults_s;

	report_release(&report);
	return seconds;
}

static void test_time_base(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);

	(void)state;
	assert_int_equal(step(&s, STEP_EXACT, 0), 0);
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, STREAM_S), 0);
	check_seconds(faults_s(profile), 0);
	assert_int_equal(step(&s, STEP_FAULTS, 2 * STREAM_S), 0);
	/* before the next tick no time has passed */
	check_seconds(faults_s(profile), 0);
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 5 * STREAM_S), 0);
	check_seconds(faults_s(profile), 3);
	/* the same step again is the same stretch */
	assert_int_equal(step(&s, STEP_FAULTS, 6 * STREAM_S), 0);
	assert_int_equal(step(&s, STEP_DETACHED, 7 * STREAM_S), 0);
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 9 * STREAM_S), 0);
	check_seconds(faults_s(profile), 5);
	assert_int_equal(step(&s, STEP_FAULTS, 10 * STREAM_S), 0);
	/* clocks that go backwards take nothing off */
	assert_int_equal(step(&s, STEP_EXACT, 9 * STREAM_S), 0);
	check_seconds(faults_s(profile), 5);
	assert_int_equal(step(&s, STEP_FAULTS, 11 * STREAM_S), 0);
	assert_int_equal(stream_mark(&s, RECORD_END, 0, 13 * STREAM_S), 0);
	check_seconds(faults_s(profile), 7);
	profile_free(profile);
}

static void test_sites(void **state)
{
	const uint64_t counter[STAT_NR] = {[STAT_MINOR_FAULTS] = 50, [STAT_MAJOR_FAULTS] = 7};
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;

	(void)state;
	assert_int_equal(stream_alloc(&s, HEAP, 1, 100, 1), 0);
	assert_int_equal(step(&s, STEP_FAULTS, STREAM_S), 0);
	map_heap(&s);
	add_faults(&s, 30, 1, 0);
	add_faults(&s, 6, 2, FAULT_MAJOR);
	add_faults(&s, 3, SEEP_STACK_UNKNOWN, 0);
	assert_int_equal(stream_counters(&s, STREAM_PROC, counter), 0);
	assert_int_equal(stream_mark(&s, RECORD_END, 0, 3 * STREAM_S), 0);
	report = report_of(profile);
	assert_int_equal(report.nr_faults, 3);
	assert_int_equal(report.nr_faults_all, 3);
	assert_int_equal(report.fault[0].minor, 30);
	assert_true(report.fault[0].minor_per_s > 14.99 && report.fault[0].minor_per_s < 15.01);
	assert_string_equal(report.fault[0].kind, "heap");
	assert_string_equal(report.fault[0].frame[0].function, "touch");
	assert_int_equal(report.fault[1].major, 6);
	assert_true(report.fault[1].major_per_s > 2.99 && report.fault[1].major_per_s < 3.01);
	/* the kernel's count, whatever events were lost */
	assert_int_equal(report.minor_total, 50);
	assert_int_equal(report.major_total, 7);
	/* and none of it in what is said of allocations */
	assert_int_equal(report.nr_sites, 1);
	assert_int_equal(report.balance.stacks, 1);
	assert_int_equal(report.balance.stacks_unknown, 0);
	assert_int_equal(report.balance.allocs, 1);
	report_release(&report);
	assert_int_equal(profile_report(profile, &(struct report_options){.top = 1}, &report), 0);
	assert_int_equal(report.nr_faults, 1);
	assert_int_equal(report.nr_faults_all, 3);
	report_release(&report);
	profile_free(profile);
}

/* Mappings come when the step begins, or not at all. */
static void test_kind_without_mappings(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;

	(void)state;
	assert_int_equal(step(&s, STEP_FAULTS, STREAM_S), 0);
	add_faults(&s, 5, 1, 0);
	map_heap(&s);
	add_faults(&s, 7, 1, 0);
	report = report_of(profile);
	assert_int_equal(report.nr_faults, 2);
	assert_string_equal(report.fault[0].kind, "heap");
	assert_int_equal(report.fault[0].minor, 7);
	assert_string_equal(report.fault[1].kind, "unknown");
	assert_int_equal(report.fault[1].minor, 5);
	report_release(&report);
	profile_free(profile);
}

static void count_wanted(uint32_t proc, uint64_t address, void *arg)
{
	assert_int_equal(proc, STREAM_PROC);
	assert_true(address == 0x1000 || address == 0x2fff);
	++*(int *)arg;
}

static void test_names_of_fault_stacks_are_wanted(void **state)
{
	const uint64_t frame[] = {0x1000, 0x3000};
	struct stream s;
	struct profile *profile = new_profile(&s);
	int nr = 0;

	(void)state;
	assert_int_equal(step(&s, STEP_FAULTS, STREAM_S), 0);
	assert_int_equal(stream_fault(&s, HEAP, 9, 0), 0);
	assert_false(profile_knows_stack(profile, 9));
	assert_int_equal(stream_stack(&s, 9, STACK_PRECISE_PC, frame, 2), 0);
	profile_unnamed(profile, count_wanted, &nr);
	assert_int_equal(nr, 2);
	profile_free(profile);
}

static void check_text(struct profile *profile, enum out_format format, const char *has,
		       const char *lacks)
{
	struct report report = report_of(profile);
	struct strbuf out = {0};

	assert_int_equal(out_report(&report, format, &out), 0);
	if (has)
		assert_non_null(strstr(out.text, has));
	assert_null(strstr(out.text, lacks));
	strbuf_release(&out);
	report_release(&report);
}

static void test_formats(void **state)
{
	const uint64_t counter[STAT_NR] = {[STAT_MINOR_FAULTS] = 11};
	struct stream s;
	struct profile *profile = new_profile(&s);

	(void)state;
	check_text(profile, OUT_TEXT, "balance", "page faults");
	check_text(profile, OUT_JSON, "\"faults\":null", "minor_per_s");
	assert_int_equal(stream_alloc(&s, HEAP, 1, 100, 2), 0);
	assert_int_equal(step(&s, STEP_FAULTS, STREAM_S), 0);
	add_faults(&s, 11, 1, 0);
	assert_int_equal(stream_counters(&s, STREAM_PROC, counter), 0);
	assert_int_equal(stream_mark(&s, RECORD_END, 0, 23 * STREAM_S), 0);
	check_text(profile, OUT_TEXT,
		   "\npage faults while allocations were not followed, 22.0 s\n"
		   "    0.50 minor/s, 0 major/s; 11 minor and 0 major faults in all\n"
		   "    0.50 minor/s, 0 major/s, 100.0 % of all, unknown\n"
		   "      touch",
		   " more (-f json)");
	check_text(profile, OUT_JSON,
		   "\"faults\":{\"watched_s\":22.0,\"minor\":11,\"major\":0,\"sites_total\":1,"
		   "\"sites\":[{\"pid\":4711,",
		   "\"faults\":null");
	check_text(profile, OUT_FOLDED, "main;load ", "touch");
	profile_free(profile);
}

static void test_no_memory(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;
	long nth;
	int err;

	(void)state;
	assert_int_equal(step(&s, STEP_FAULTS, STREAM_S), 0);
	add_faults(&s, 5, 1, 0);
	add_faults(&s, 3, 2, 0);
	for (nth = 1;; nth++) {
		allocfail_set(nth);
		err = profile_report(profile, &everything, &report);
		if (!allocfail_hit())
			break;
		assert_int_equal(err, -ENOMEM);
	}
	allocfail_set(0);
	assert_int_equal(err, 0);
	assert_true(nth > 5);
	assert_int_equal(report.nr_faults, 2);
	report_release(&report);
	profile_free(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_base),
		cmocka_unit_test(test_sites),
		cmocka_unit_test(test_kind_without_mappings),
		cmocka_unit_test(test_names_of_fault_stacks_are_wanted),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
