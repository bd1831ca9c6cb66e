/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What following has cost the targets, as a report tells it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stream.h"

static struct profile *new_profile(struct stream *s)
{
	struct profile *profile = profile_new();

	assert_non_null(profile);
	*s = stream_to(profile);
	assert_int_equal(stream_run(s, RUN_LEAKS), 0);
	assert_int_equal(stream_target(s, STREAM_PROC, STREAM_TGID, "server"), 0);
	return profile;
}

struct overhead {
	double predicted_pct, measured_pct, limited_pct;
};

static struct overhead overhead_of(struct profile *profile)
{
	struct report_options options = {.top = 0};
	struct overhead overhead;
	struct report report;

	assert_int_equal(profile_report(profile, &options, &report), 0);
	overhead.predicted_pct = report.predicted_pct;
	overhead.measured_pct = report.measured_pct;
	overhead.limited_pct = report.limited_pct;
	report_release(&report);
	return overhead;
}

static void check_pct(double pct, double expected)
{
	assert_true(pct > expected - 0.001 && pct < expected + 0.001);
}

/* A second of CPU time, from some moment on. */
static void use_a_second(struct stream *s)
{
	assert_int_equal(stream_cpu_time(s, STREAM_PROC, 7 * STREAM_S), 0);
	assert_int_equal(stream_cpu_time(s, STREAM_PROC, 8 * STREAM_S), 0);
}

static void count(struct stream *s, uint64_t entries, uint64_t frees, uint64_t usdts)
{
	const uint64_t counter[STAT_NR] = {
		[STAT_ENTRY_HITS] = entries, [STAT_FREE_HITS] = frees, [STAT_USDT_HITS] = usdts};

	assert_int_equal(stream_counters(s, STREAM_PROC, counter), 0);
}

static void test_measured_by_the_governor(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);

	(void)state;
	use_a_second(&s);
	assert_int_equal(stream_probe(&s, "free", 500, 0), 0);
	count(&s, 0, 1000000, 0);
	check_pct(overhead_of(profile).measured_pct, 100);
	assert_int_equal(stream_overhead(&s, 1, 2), 0);
	check_pct(overhead_of(profile).measured_pct, 100);
	/* the last one counts, and what the hits would say does not */
	assert_int_equal(stream_overhead(&s, 20, 420), 0);
	check_pct(overhead_of(profile).measured_pct, 5);
	profile_free(profile);
}

/* More than all cannot be, but clocks differ. */
static void test_spent_more_than_there_was(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);

	(void)state;
	assert_int_equal(stream_overhead(&s, 7, 7), 0);
	check_pct(overhead_of(profile).measured_pct, 100);
	assert_int_equal(stream_overhead(&s, 21, 7), 0);
	check_pct(overhead_of(profile).measured_pct, 300);
	/* before they have run at all nothing is known */
	assert_int_equal(stream_overhead(&s, 21, 0), 0);
	assert_true(overhead_of(profile).measured_pct < 0);
	assert_int_equal(stream_overhead(&s, UINT64_MAX, 1), 0);
	assert_true(overhead_of(profile).measured_pct > 1e20);
	profile_free(profile);
}

/* In 10 s a target has to use 2 s for a share to be of what it uses. */
static void test_of_little(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);

	(void)state;
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 10 * STREAM_S), 0);
	check_pct(overhead_of(profile).limited_pct, 0);
	assert_int_equal(stream_overhead(&s, STREAM_S / 50, STREAM_S / 10), 0);
	check_pct(overhead_of(profile).measured_pct, 25);
	check_pct(overhead_of(profile).limited_pct, 1);
	assert_int_equal(stream_overhead(&s, STREAM_S / 50, 2 * STREAM_S - 1), 0);
	check_pct(overhead_of(profile).limited_pct, 1);
	assert_int_equal(stream_overhead(&s, STREAM_S / 50, 2 * STREAM_S), 0);
	check_pct(overhead_of(profile).limited_pct, 0);
	profile_free(profile);
}

static void test_probes_of_programs_count(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);

	(void)state;
	use_a_second(&s);
	assert_int_equal(stream_probe(&s, "otel_memory:alloc", 1000, PROBE_EMULATED), 0);
	assert_int_equal(stream_probe(&s, "otel_memory:free", 700, PROBE_EMULATED), 0);
	count(&s, 0, 0, 100000);
	check_pct(overhead_of(profile).measured_pct, 100 * 0.07 / 0.93);
	/* hits of which nobody knows what they cost */
	count(&s, 1, 0, 100000);
	assert_true(overhead_of(profile).measured_pct < 0);
	assert_int_equal(stream_probe(&s, "malloc", 2000, PROBE_EMULATED | PROBE_RETURN), 0);
	count(&s, 100000, 100000, 100000);
	check_pct(overhead_of(profile).measured_pct, 100 * 0.34 / 0.66);
	profile_free(profile);
}

static void test_not_measured(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);

	(void)state;
	use_a_second(&s);
	assert_true(overhead_of(profile).measured_pct < 0);
	assert_int_equal(stream_probe(&s, "free", 0, 0), 0);
	count(&s, 0, 7, 0);
	assert_true(overhead_of(profile).measured_pct < 0);
	assert_true(overhead_of(profile).predicted_pct < 0);
	profile_free(profile);
}

static void test_predicted(void **state)
{
	struct record_step step = {.mode = STEP_EXACT,
				   .why = STEP_START,
				   .period_bytes = 1,
				   .duty_permille = 1000,
				   .overhead_ppm = 31416};
	struct stream s;
	struct profile *profile = new_profile(&s);

	(void)state;
	assert_int_equal(stream_step(&s, &step, 0), 0);
	step.mode = STEP_SAMPLED;
	step.why = STEP_OVER_TARGET;
	step.overhead_ppm = 71000;
	assert_int_equal(stream_step(&s, &step, STREAM_S), 0);
	check_pct(overhead_of(profile).predicted_pct, 3.1416);
	profile_free(profile);
}

static void test_not_predicted(void **state)
{
	struct record_step step = {
		.mode = STEP_EXACT, .why = STEP_START, .period_bytes = 1, .duty_permille = 1000};
	struct stream s;
	struct profile *profile = new_profile(&s);

	(void)state;
	assert_int_equal(stream_step(&s, &step, 0), 0);
	/* a later one is no prediction of the whole */
	step.mode = STEP_DETACHED;
	step.overhead_ppm = 71000;
	assert_int_equal(stream_step(&s, &step, STREAM_S), 0);
	assert_true(overhead_of(profile).predicted_pct < 0);
	profile_free(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_measured_by_the_governor),
		cmocka_unit_test(test_spent_more_than_there_was),
		cmocka_unit_test(test_of_little),
		cmocka_unit_test(test_probes_of_programs_count),
		cmocka_unit_test(test_not_measured),
		cmocka_unit_test(test_predicted),
		cmocka_unit_test(test_not_predicted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
