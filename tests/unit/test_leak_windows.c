/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verdicts from what was left at the ends of windows; what makes these facts is tested in test_windowed.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "leak_windows.h"

/* 43 windows, of a tenth of the time, each of which leaves some 100 blocks. */
static struct leak_windows steady_leak(void)
{
	return (struct leak_windows){
		.trend = {.per_s = 1000,
			  .ci = {900, 1100},
			  .first_third = 1000,
			  .last_third = 1000,
			  .rising_share = 1,
			  .usable = true},
		.alloc = 4300,
		.left = 4300,
		.kept = 1,
		.others_gone = 5000,
		.expected = 400,
		.windows = 42,
		.of_windows = 43,
		.nr_bins = 11,
		.survivor_bins = 0x7ff,
		.grown_objects = 4300,
	};
}

static struct leak_verdict judge(const struct leak_windows *facts)
{
	struct leak_verdict verdict;

	leak_judge_windows(facts, &verdict);
	assert_true(verdict.probability >= 0 && verdict.probability <= 1);
	assert_true(strlen(verdict.evidence) > 0);
	assert_true(strlen(verdict.evidence) < sizeof(verdict.evidence) - 1);
	return verdict;
}

static void assert_judged(const struct leak_windows *facts, enum verdict verdict, const char *says)
{
	struct leak_verdict got = judge(facts);

	assert_int_equal(got.verdict, verdict);
	if (!strstr(got.evidence, says))
		fail_msg("'%s' does not say '%s'", got.evidence, says);
}

static void test_poisson(void **state)
{
	(void)state;
	assert_true(fabs(leak_poisson_high(0) - 3.69) < 0.05);
	assert_true(fabs(leak_poisson_high(1) - 5.57) < 0.05);
	assert_true(fabs(leak_poisson_high(10) - 18.39) < 0.05);
	assert_true(fabs(leak_poisson_high(100) - 121.6) < 0.2);
}

static void test_leak(void **state)
{
	struct leak_windows facts = steady_leak();

	(void)state;
	assert_judged(&facts, VERDICT_LEAKING,
		      "left live in 42 of 43 windows, none of its 4,300 blocks seen freed since, "
		      "where 5,000 of others' were");
	assert_true(judge(&facts).probability > 0.95);
	facts.gone = 12;
	assert_judged(&facts, VERDICT_LEAKING, "12 of its 4,300 blocks");
	facts.sampled = true;
	assert_judged(&facts, VERDICT_LEAKING, "12 of its 4,300 samples");
}

/* Each of what could explain it is enough for a lesser word. */
static void test_freed_unseen(void **state)
{
	struct leak_windows facts = steady_leak();

	(void)state;
	/* a third of them can have been freed */
	facts.gone = 120;
	assert_judged(&facts, VERDICT_GROWING, "others may have been, unseen");
	assert_true(judge(&facts).probability < 0.75);
	facts.gone = 100;
	assert_judged(&facts, VERDICT_LEAKING, "100 of its");
	/* lost events may have told of some */
	facts.missed = 20;
	assert_judged(&facts, VERDICT_GROWING, "100 of its");
	/* so little was watched that nobody would have seen it */
	facts = steady_leak();
	facts.expected = 11;
	assert_judged(&facts, VERDICT_GROWING, "watch for longer");
	facts.expected = 12;
	assert_int_equal(judge(&facts).verdict, VERDICT_LEAKING);
}

static void test_no_reuse(void **state)
{
	struct leak_windows facts = steady_leak();

	(void)state;
	facts.others_gone = 19;
	assert_judged(&facts, VERDICT_GROWING, "few of other sites' were");
	facts.others_gone = 20;
	assert_int_equal(judge(&facts).verdict, VERDICT_LEAKING);
}

static void test_older_blocks(void **state)
{
	struct leak_windows facts = steady_leak();

	(void)state;
	facts.unknown_frees = facts.unknown_most = 2151;
	assert_judged(&facts, VERDICT_GROWING, "frees of older blocks could explain it");
	/* of exact blocks it is known how many there were at most */
	facts.unknown_most = 2150;
	assert_int_equal(judge(&facts).verdict, VERDICT_LEAKING);
	facts.unknown_most = INFINITY;
	facts.unknown_frees = 0;
	facts.unknown_error = 2150;
	assert_int_equal(judge(&facts).verdict, VERDICT_GROWING);
	facts.unknown_error = 2149;
	assert_int_equal(judge(&facts).verdict, VERDICT_LEAKING);
	/* nobody counted */
	facts.unknown_frees = facts.unknown_most = INFINITY;
	assert_int_equal(judge(&facts).verdict, VERDICT_GROWING);
}

static void test_other_doubts(void **state)
{
	struct leak_windows facts = steady_leak();

	(void)state;
	facts.losses = true;
	assert_judged(&facts, VERDICT_GROWING, "lost events");
	facts = steady_leak();
	facts.survivor_bins = 0x4d5; /* 6 of 11 */
	assert_judged(&facts, VERDICT_GROWING, "not in every part");
	/* it has begun late, and goes on since */
	facts.survivor_bins = 0x7e0;
	assert_int_equal(judge(&facts).verdict, VERDICT_LEAKING);
	facts = steady_leak();
	facts.sampled = true;
	facts.left = 3;
	assert_judged(&facts, VERDICT_GROWING, "too few to tell");
}

static void test_filling_cache(void **state)
{
	struct leak_windows facts = steady_leak();

	(void)state;
	facts.trend.last_third = 500;
	assert_judged(&facts, VERDICT_SATURATING, "fell to 50%");
	assert_true(judge(&facts).probability < 0.21);
	facts.trend.last_third = 501;
	assert_int_equal(judge(&facts).verdict, VERDICT_LEAKING);
}

static void test_churn(void **state)
{
	struct leak_windows facts = steady_leak();

	(void)state;
	/* what has not gone yet is of late */
	facts.gone = 4000;
	facts.kept = 0;
	facts.trend = (struct trend){.usable = true};
	assert_judged(&facts, VERDICT_CHURN,
		      "4,000 of its 4,300 blocks seen freed since, no growth");
	facts = steady_leak();
	facts.gone = 4000;
	facts.kept = 0.11;
	assert_judged(&facts, VERDICT_GROWING, "others may have been, unseen");
	facts = steady_leak();
	facts.trend.ci[0] = -1;
	facts.alloc = 100000;
	facts.free = 95700;
	assert_judged(&facts, VERDICT_CHURN, "96% of what it allocates is freed, no growth");
}

static void test_held(void **state)
{
	struct leak_windows facts = steady_leak();

	(void)state;
	facts.trend.ci[0] = 0;
	assert_judged(&facts, VERDICT_HELD, "no growth that can be told from noise");
	facts.windows = 2;
	facts.survivor_bins = 0x3;
	facts.quiet_left = 4;
	assert_judged(&facts, VERDICT_STARTUP, "2 of 43 windows");
	/* but not if the others were so short that it would have left nothing anyway */
	facts.quiet_left = 3;
	assert_judged(&facts, VERDICT_UNKNOWN, "too short a time");
	facts.kept = 0;
	facts.gone = facts.left;
	assert_judged(&facts, VERDICT_CHURN, "seen freed since");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_poisson),	      cmocka_unit_test(test_leak),
		cmocka_unit_test(test_freed_unseen),  cmocka_unit_test(test_no_reuse),
		cmocka_unit_test(test_older_blocks),  cmocka_unit_test(test_other_doubts),
		cmocka_unit_test(test_filling_cache), cmocka_unit_test(test_churn),
		cmocka_unit_test(test_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
