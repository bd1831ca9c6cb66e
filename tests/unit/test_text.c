/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "golden.h"
#include "names.h"
#include "out.h"
#include "sample_report.h"
#include "text.h"

/* What must hold for every text that goes to a terminal. */
static void check_fit_for_terminal(const char *text)
{
	const char *line = text;

	while (*line) {
		size_t nr = strcspn(line, "\n");
		char copy[1024];
		size_t i;

		assert_in_range(nr, 0, sizeof(copy) - 1);
		memcpy(copy, line, nr);
		copy[nr] = '\0';
		if (names_columns(copy) > 80)
			fail_msg("more than 80 columns: '%s'", copy);
		for (i = 0; i < nr; i++)
			assert_true((unsigned char)copy[i] >= ' ' && copy[i] != 0x7f);
		assert_true(!nr || copy[nr - 1] != ' ');
		line += nr + (line[nr] == '\n');
	}
}

static void check_golden(const struct report *report, const char *name)
{
	struct strbuf out = {0};

	assert_int_equal(out_report(report, OUT_TEXT, &out), 0);
	check_fit_for_terminal(out.text);
	golden_check(name, out.text, out.nr);
	strbuf_release(&out);
}

static void test_leaks(void **state)
{
	(void)state;
	check_golden(sample_leaks(), "leaks.txt");
}

static void test_interval(void **state)
{
	(void)state;
	check_golden(sample_interval(), "interval.txt");
}

static void test_nothing(void **state)
{
	(void)state;
	check_golden(sample_nothing(), "nothing.txt");
}

static void test_several_targets(void **state)
{
	(void)state;
	check_golden(sample_several(), "several.txt");
}

static void test_many_targets_by_comm(void **state)
{
	(void)state;
	check_golden(sample_mixed(), "mixed.txt");
}

static void test_faults(void **state)
{
	(void)state;
	check_golden(sample_faults(), "faults.txt");
}

static void test_faults_of_several_targets(void **state)
{
	(void)state;
	check_golden(sample_faults_several(), "faults-several.txt");
}

static char *text_of(const struct report *report, struct strbuf *out)
{
	strbuf_clear(out);
	assert_int_equal(out_text(report, out), 0);
	check_fit_for_terminal(out->text);
	return out->text;
}

static void test_balance_that_does_not_sum_is_said(void **state)
{
	struct report report = *sample_leaks();
	struct strbuf out = {0};

	(void)state;
	assert_null(strstr(text_of(&report, &out), "DOES NOT"));
	report.balance.frees -= 7;
	assert_non_null(strstr(text_of(&report, &out), "off by 7)"));
	report.balance.frees += 18;
	assert_non_null(strstr(text_of(&report, &out), "off by -11)"));
	strbuf_release(&out);
}

static void test_basis_is_told_truly(void **state)
{
	struct report report = *sample_leaks();
	struct strbuf out = {0};

	(void)state;
	assert_non_null(strstr(text_of(&report, &out), "balance, a lower bound\n"));
	report.balance.lost_allocs = 0;
	assert_non_null(strstr(text_of(&report, &out), "balance, exact\n"));
	report.complete = false;
	assert_non_null(strstr(text_of(&report, &out), "balance, incomplete\n"));
	report.sample_bytes = 512 * 1024;
	report.basis = BASIS_SAMPLED;
	assert_non_null(
		strstr(text_of(&report, &out), "balance, sampled, 1 in 512.0 KiB, incomplete\n"));
	report.complete = true;
	assert_non_null(strstr(text_of(&report, &out), "balance, sampled, 1 in 512.0 KiB\n"));
	strbuf_release(&out);
}

/* Two numbers that differ, and what each of them is of. */
static void test_overhead_of_little(void **state)
{
	struct report report = *sample_leaks();
	struct strbuf out = {0};

	(void)state;
	report.limited_pct = 0.25;
	report.measured_pct = 16.5;
	assert_non_null(
		strstr(text_of(&report, &out),
		       "\noverhead, of a fifth of a CPU: 3.1 % predicted, 0.2 % measured; "
		       "the target uses\n    less than that, and of what it uses it is 16.5 "
		       "%\n"));
	report = *sample_several();
	report.limited_pct = 0.25;
	assert_non_null(strstr(text_of(&report, &out),
			       "\noverhead, of a fifth of a CPU: 0.2 % measured; the targets use "
			       "less than that,\n"));
	report.limited_pct = 0;
	assert_non_null(strstr(text_of(&report, &out),
			       "\noverhead, of the target's CPU time: 0.5 % measured\n"));
	strbuf_release(&out);
}

static void test_faults_only_where_there_were_any(void **state)
{
	struct report report = *sample_mixed();
	struct strbuf out = {0};

	(void)state;
	assert_non_null(strstr(text_of(&report, &out), "\npage faults while "));
	report.nr_faults = report.nr_faults_all = 0;
	/* counted, but every event was lost */
	assert_non_null(strstr(text_of(&report, &out), "\npage faults while "));
	assert_null(strstr(out.text, " of all, "));
	report.minor_total = report.major_total = 0;
	assert_null(strstr(text_of(&report, &out), "page faults while "));
	strbuf_release(&out);
}

static void test_leaking_sites_beyond_top_are_hinted_at(void **state)
{
	struct report report = *sample_leaks();
	struct strbuf out = {0};

	(void)state;
	assert_non_null(strstr(text_of(&report, &out), "\n1 site LEAKING, "));
	report.nr_sites = 1;
	assert_non_null(strstr(text_of(&report, &out), "\nat least 1 site LEAKING, "));
	strbuf_release(&out);
}

static void test_extreme_numbers_fit(void **state)
{
	struct report report = *sample_leaks();
	struct report_site site = *report.site;
	struct strbuf out = {0};

	(void)state;
	memset(&report.balance, 0xff, sizeof(report.balance));
	report.balance.frees_unknown_hidden = report.balance.exact_known = true;
	report.duration_s = 1e300;
	report.wall_time_s = UINT64_MAX;
	site.live_bytes = site.live_objects = site.alloc_objects = UINT64_MAX;
	site.growth_bytes_per_s = 1e300;
	site.growth_ci[0] = -1e300;
	site.growth_ci[1] = NAN;
	site.oldest_age_s = INFINITY;
	report.site = &site;
	report.nr_sites = 1;
	(void)text_of(&report, &out);
	report = *sample_mixed();
	report.faults_s = 0;
	report.minor_total = UINT64_MAX;
	(void)text_of(&report, &out);
	report = *sample_faults();
	report.duration_s = report.faults_s = 0;
	report.minor_total = UINT64_MAX;
	(void)text_of(&report, &out);
	strbuf_release(&out);
}

static void test_no_memory(void **state)
{
	const struct report *reports[] = {sample_leaks(), sample_several(), sample_mixed(),
					  sample_faults()};
	size_t i;
	long nth;

	(void)state;
	for (i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
		for (nth = 1;; nth++) {
			struct strbuf out = {0};
			int err;

			allocfail_set(nth);
			err = out_text(reports[i], &out);
			strbuf_release(&out);
			if (!allocfail_hit())
				break;
			assert_int_equal(err, -ENOMEM);
		}
		allocfail_set(0);
		assert_in_range(nth, 4, 100000);
	}
}

static void check_cut(const char *text, size_t columns, const char *expected)
{
	struct strbuf out = {0};

	names_add_cut(&out, text, columns);
	assert_string_equal(out.text, expected);
	strbuf_release(&out);
}

static void test_names_are_cut_in_the_middle(void **state)
{
	(void)state;
	check_cut("abcdefghij", 10, "abcdefghij");
	check_cut("abcdefghijk", 10, "abcd...ijk");
	check_cut("abcdefghij", 4, "a...");
	check_cut("abcdefghij", 3, "abc");
	check_cut("abcdefghij", 0, "");
	/* characters, not bytes */
	check_cut("\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xa4", 5, "\xc3\xbc...\xc3\xa4");
}

static void check_clean(const char *text, const char *expected)
{
	struct strbuf out = {0};

	strbuf_puts(&out, "");
	names_add_clean(&out, text);
	assert_string_equal(out.text, expected);
	strbuf_release(&out);
}

#define BAD "\xef\xbf\xbd"

static void test_names_are_cleaned(void **state)
{
	(void)state;
	check_clean("", "");
	check_clean("plain", "plain");
	check_clean("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	check_clean("a\x01\x1f\x7f\nb", "a" BAD BAD BAD BAD "b");
	check_clean("\xc2\x9b"
		    "2J",
		    BAD "2J");
	/* overlong, surrogate, beyond the last plane, cut short, stray */
	check_clean("\xc0\xaf", BAD BAD);
	check_clean("\xe0\x80\xaf", BAD BAD BAD);
	check_clean("\xed\xa0\x80", BAD BAD BAD);
	check_clean("\xf4\x90\x80\x80", BAD BAD BAD BAD);
	check_clean("\xf0\x9f\x98", BAD BAD BAD);
	check_clean("\xe2\x82", BAD BAD);
	check_clean("x\x80y\xffz\xc3", "x" BAD "y" BAD "z" BAD);
}

static void test_rates(void **state)
{
	(void)state;
	assert_string_equal(text_per_s(0).text, "0");
	assert_string_equal(text_per_s(0.2).text, "0.20");
	assert_string_equal(text_per_s(9.999).text, "10.0");
	assert_string_equal(text_per_s(999.96).text, "1,000");
	assert_string_equal(text_per_s(NAN).text, "?");
	assert_string_equal(text_per_s(INFINITY).text, "?");
	assert_string_equal(text_per_s(-1).text, "?");
	assert_string_equal(text_bytes_per_hour(0).text, "0 B");
	assert_string_equal(text_bytes_per_hour(-0.0001).text, "0 B");
	assert_string_equal(text_bytes_per_hour(-1).text, "-3.5 KiB");
	assert_string_equal(text_bytes_per_hour(1048576.0 / 3600).text, "1.0 MiB");
	assert_string_equal(text_bytes_per_hour(NAN).text, "?");
	assert_string_equal(text_bytes_per_hour(-INFINITY).text, "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaks),
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_several_targets),
		cmocka_unit_test(test_many_targets_by_comm),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_faults_of_several_targets),
		cmocka_unit_test(test_balance_that_does_not_sum_is_said),
		cmocka_unit_test(test_basis_is_told_truly),
		cmocka_unit_test(test_overhead_of_little),
		cmocka_unit_test(test_faults_only_where_there_were_any),
		cmocka_unit_test(test_leaking_sites_beyond_top_are_hinted_at),
		cmocka_unit_test(test_extreme_numbers_fit),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_names_are_cut_in_the_middle),
		cmocka_unit_test(test_names_are_cleaned),
		cmocka_unit_test(test_rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
