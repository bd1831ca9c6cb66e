/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "record.h"
#include "report.h"

static void test_verdicts_have_the_names_of_the_contract(void **state)
{
	(void)state;
	assert_string_equal(verdict_name(VERDICT_LEAKING), "LEAKING");
	assert_string_equal(verdict_name(VERDICT_GROWING), "GROWING");
	assert_string_equal(verdict_name(VERDICT_SATURATING), "SATURATING");
	assert_string_equal(verdict_name(VERDICT_STARTUP), "STARTUP");
	assert_string_equal(verdict_name(VERDICT_CHURN), "CHURN");
	assert_string_equal(verdict_name(VERDICT_HELD), "HELD");
	assert_string_equal(verdict_name(VERDICT_UNKNOWN), "?");
	assert_string_equal(verdict_name((enum verdict)0), "?");
	assert_string_equal(basis_name(BASIS_EXACT), "exact");
	assert_string_equal(basis_name(BASIS_SAMPLED), "sampled");
	assert_string_equal(basis_name(BASIS_WINDOWS), "windows");
	assert_string_equal(basis_name(BASIS_MIXED), "mixed");
	assert_string_equal(step_mode_name(STEP_EXACT), "exact");
	assert_string_equal(step_mode_name(STEP_DETACHED), "detached");
	assert_string_equal(step_mode_name(STEP_DETACHED + 1), "?");
	assert_string_equal(step_why_name(STEP_OVER_TARGET), "target");
	assert_string_equal(step_why_name(STEP_ROOM), "room");
	assert_string_equal(step_why_name(99), "?");
}

static void test_by(void **state)
{
	enum report_by by = BY_COMM;

	(void)state;
	assert_int_equal(report_by_parse("pid", &by), -EINVAL);
	assert_int_equal(by, BY_COMM);
	for (enum report_by i = BY_PROCESS; i <= BY_CGROUP; i++) {
		assert_int_equal(report_by_parse(report_by_name(i), &by), 0);
		assert_int_equal(by, i);
	}
}

/* The leak sanitizer is the judge. */
static void test_release_frees_every_array(void **state)
{
	struct report report = {.nr_sites = 3, .nr_mappings = 2, .nr_faults = 1};

	(void)state;
	report.site = calloc(3, sizeof(*report.site));
	report.mapping = calloc(2, sizeof(*report.mapping));
	report.fault = calloc(1, sizeof(*report.fault));
	report.target = calloc(1, sizeof(*report.target));
	report.loss = calloc(1, sizeof(*report.loss));
	report.probe = calloc(1, sizeof(*report.probe));
	report.site[0].frame = calloc(5, sizeof(struct report_frame));
	report.site[2].frame = calloc(7, sizeof(struct report_frame));
	report.mapping[1].frame = calloc(3, sizeof(struct report_frame));
	report.fault[0].frame = calloc(2, sizeof(struct report_frame));
	report_release(&report);
	assert_null(report.site);
	assert_int_equal(report.nr_sites, 0);
	report_release(&report);
}

static void test_release_takes_what_is_half_built(void **state)
{
	struct report report = {.nr_sites = 3, .nr_mappings = 2, .nr_faults = 1};

	(void)state;
	report_release(&report);
	report_release(&(struct report){0});
	report_release(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by),
		cmocka_unit_test(test_verdicts_have_the_names_of_the_contract),
		cmocka_unit_test(test_release_frees_every_array),
		cmocka_unit_test(test_release_takes_what_is_half_built),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
