/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "golden.h"
#include "out.h"
#include "record.h"
#include "sample_report.h"

static void check_golden(const struct report *report, const char *name)
{
	struct strbuf out = {0};

	assert_int_equal(out_report(report, OUT_FOLDED, &out), 0);
	golden_check(name, out.text, out.nr);
	strbuf_release(&out);
}

static void test_leaks(void **state)
{
	(void)state;
	check_golden(sample_leaks(), "leaks.folded");
}

static void test_several_targets(void **state)
{
	(void)state;
	check_golden(sample_several(), "several.folded");
}

static void test_many_targets_by_comm(void **state)
{
	(void)state;
	check_golden(sample_mixed(), "mixed.folded");
}

static void test_faults(void **state)
{
	(void)state;
	check_golden(sample_faults(), "faults.folded");
}

static void test_nothing_is_no_line(void **state)
{
	struct strbuf out = {0};

	(void)state;
	assert_int_equal(out_folded(sample_nothing(), &out), 0);
	assert_int_equal(out.nr, 0);
	strbuf_release(&out);
}

/* What a site of two frames looks like. */
static void check_site(struct report_site *site, const char *expected)
{
	struct report report = {.mode = RUN_LEAKS, .site = site, .nr_sites = 1};
	struct strbuf out = {0};

	assert_int_equal(out_folded(&report, &out), 0);
	assert_string_equal(out.text, expected);
	strbuf_release(&out);
}

static void test_names(void **state)
{
	struct report_frame frame[] = {
		{"leaf;;with;semicolons;", "m", "", 0, 1, 1, true},
		{"root", "m", "", 0, 2, 2, false},
	};
	struct report_site site = {.live_bytes = 7, .frame = frame, .nr_frames = 2};

	(void)state;
	check_site(&site, "root;leafwithsemicolons_[i] 7\n");
	frame[0] = (struct report_frame){";;", "", "", 0, 1, 1, false};
	site.stack_partial = true;
	check_site(&site, "[partial];root;[unknown] 7\n");
	frame[0] = (struct report_frame){"", "/a/b/libx.so", "", 0, 1, 0x1f, false};
	check_site(&site, "[partial];root;libx.so+0x1f 7\n");
	site.nr_frames = 0;
	site.stack_partial = false;
	check_site(&site, "[unknown] 7\n");
}

static void test_same_stacks_are_one_line(void **state)
{
	struct report_frame a = {"a", "", "", 0, 1, 1, false};
	struct report_frame also_a = {"a", "other", "file.c", 7, 2, 2, false};
	struct report_frame b = {"b", "", "", 0, 3, 3, false};
	struct report_site site[] = {
		{.live_bytes = 11, .frame = &b, .nr_frames = 1},
		{.live_bytes = 5, .frame = &a, .nr_frames = 1},
		{.live_bytes = 0, .frame = &b, .nr_frames = 1},
		{.live_bytes = UINT64_C(1) << 40, .frame = &also_a, .nr_frames = 1},
	};
	struct report report = {.mode = RUN_LEAKS, .site = site, .nr_sites = 4};
	struct strbuf out = {0};

	(void)state;
	assert_int_equal(out_folded(&report, &out), 0);
	assert_string_equal(out.text, "a 1099511627781\nb 11\n");
	strbuf_release(&out);
}

static void test_no_memory(void **state)
{
	long nth;

	(void)state;
	for (nth = 1;; nth++) {
		struct strbuf out = {0};
		int err;

		allocfail_set(nth);
		err = out_folded(sample_several(), &out);
		strbuf_release(&out);
		if (!allocfail_hit())
			break;
		assert_int_equal(err, -ENOMEM);
	}
	allocfail_set(0);
	assert_in_range(nth, 4, 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaks),
		cmocka_unit_test(test_several_targets),
		cmocka_unit_test(test_many_targets_by_comm),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_nothing_is_no_line),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_same_stacks_are_one_line),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
