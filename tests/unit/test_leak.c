/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verdicts from facts; what makes the facts is tested in test_summary.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "leak.h"

/* One block of 1000 bytes each second of a minute, nothing freed. */
static struct leak_facts steady_leak(void)
{
	return (struct leak_facts){
		.window_s = 60,
		.trend = {.per_s = 1000,
			  .ci = {990, 1010},
			  .first_third = 1000,
			  .last_third = 1000,
			  .rising_share = 1,
			  .usable = true},
		.live_bytes = 60000,
		.live_objects = 60,
		.alloc_objects = 60,
		.survivor_epochs = UINT32_MAX,
		.live_old = 60,
		.oldest_age_s = 59,
		.recent_growth_objects = 20,
	};
}

static struct leak_facts flat(void)
{
	struct leak_facts facts = steady_leak();

	facts.trend = (struct trend){.ci = {-3, 5}, .rising_share = 0.5, .usable = true};
	facts.recent_growth_objects = 0;
	return facts;
}

static struct leak_verdict judge(const struct leak_facts *facts)
{
	struct leak_verdict verdict;

	leak_judge(facts, &verdict);
	assert_true(verdict.probability >= 0 && verdict.probability <= 1);
	assert_true(strlen(verdict.evidence) > 0);
	assert_true(strlen(verdict.evidence) < sizeof(verdict.evidence) - 1);
	return verdict;
}

static void assert_says(const struct leak_verdict *verdict, const char *what)
{
	if (!strstr(verdict->evidence, what))
		fail_msg("'%s' does not say '%s'", verdict->evidence, what);
}

static void test_leak(void **state)
{
	struct leak_facts facts = steady_leak();
	struct leak_verdict verdict = judge(&facts);

	(void)state;
	assert_int_equal(verdict.verdict, VERDICT_LEAKING);
	assert_true(verdict.probability > 0.95);
	assert_says(&verdict, "32 of 32 epochs, none of its blocks");
	facts.free_objects = 3;
	facts.alloc_objects = 63;
	facts.usual_lifetime_s = 1;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_LEAKING);
	assert_says(&verdict, " 3 of its blocks");
}

/* Fewer blocks than epochs: as many survivors as there can be are proof enough. */
static void test_slow_leak(void **state)
{
	struct leak_facts facts = steady_leak();
	struct leak_verdict verdict;

	(void)state;
	facts.alloc_objects = facts.live_objects = facts.live_old = 16;
	facts.survivor_epochs = 0x55555555;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_LEAKING);
	assert_says(&verdict, "16 of 16 epochs");
	assert_true(verdict.probability > 0.9);
}

static void test_short_window(void **state)
{
	struct leak_facts facts = steady_leak();
	struct leak_verdict verdict;

	(void)state;
	facts.trend = (struct trend){.per_s = 1000, .ci = {-INFINITY, INFINITY}};
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_UNKNOWN);
	assert_true(verdict.probability == 0);
	assert_says(&verdict, "too short");
}

static void test_filling_cache(void **state)
{
	struct leak_facts facts = steady_leak();
	struct leak_verdict verdict;

	(void)state;
	facts.trend.first_third = 1700;
	facts.trend.last_third = 850;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_SATURATING);
	assert_says(&verdict, "fell to 50%");
	assert_true(verdict.probability < 0.21);
	facts.trend.last_third = -100;
	verdict = judge(&facts);
	assert_says(&verdict, "fell to 0%");
	facts.trend.last_third = 851;
	assert_int_equal(judge(&facts).verdict, VERDICT_LEAKING);
}

/* A full cache, seen from just after the attach: grows as fast as old entries go that we never saw come. */
static void test_cache_at_turnover(void **state)
{
	struct leak_facts facts = steady_leak();
	struct leak_verdict verdict;

	(void)state;
	facts.recent_unknown_frees = 11;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_GROWING);
	assert_says(&verdict, "older than the attach");
	facts.recent_unknown_frees = 10;
	assert_int_equal(judge(&facts).verdict, VERDICT_LEAKING);
}

/* As many samples of a steady leak as the wanted number; 20 of them are of the last third, of 640 blocks. */
static struct leak_facts sampled_leak(void)
{
	struct leak_facts facts = steady_leak();

	facts.sampled = true;
	facts.recent_growth_objects = 640;
	facts.recent_unknown_error = 640 / sqrt(20);
	return facts;
}

static void test_sampled_leak(void **state)
{
	struct leak_facts facts = sampled_leak();
	struct leak_verdict verdict = judge(&facts);

	(void)state;
	assert_int_equal(verdict.verdict, VERDICT_LEAKING);
	assert_says(&verdict, "none of its samples ever freed");
	/* chance leaves epochs empty: 20 samples reach 15 of 32 */
	facts.live_objects = facts.alloc_objects = facts.live_old = 20;
	facts.survivor_epochs = 0x55555554;
	assert_int_equal(judge(&facts).verdict, VERDICT_LEAKING);
	facts.survivor_epochs = 0x51000001;
	assert_int_equal(judge(&facts).verdict, VERDICT_GROWING);
	facts.sampled = false;
	facts.survivor_epochs = 0x55555554;
	assert_int_equal(judge(&facts).verdict, VERDICT_LEAKING);
}

static void test_too_few_samples(void **state)
{
	struct leak_facts facts = sampled_leak();
	struct leak_verdict verdict;

	(void)state;
	facts.live_objects = facts.alloc_objects = facts.live_old = LEAK_MIN_SAMPLES - 1;
	facts.survivor_epochs = 0x40100001;
	facts.recent_unknown_error = 1;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_GROWING);
	assert_says(&verdict, "too few samples");
}

/* Noise alone neither makes nor hides a leak: half of the growth is 2 standard errors from none and from all of it. */
static void test_sampled_cache_at_turnover(void **state)
{
	struct leak_facts facts = sampled_leak();
	struct leak_verdict verdict;

	(void)state;
	facts.recent_unknown_error = 160;
	facts.recent_unknown_frees = 640;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_GROWING);
	assert_says(&verdict, "older than the attach");
	facts.recent_unknown_frees = 320;
	assert_int_equal(judge(&facts).verdict, VERDICT_GROWING);
	facts.recent_unknown_frees = 319;
	assert_int_equal(judge(&facts).verdict, VERDICT_LEAKING);
	facts.recent_unknown_frees = -300;
	assert_int_equal(judge(&facts).verdict, VERDICT_LEAKING);
	/* so few samples that it could be either */
	facts.recent_unknown_frees = 0;
	facts.recent_unknown_error = 330;
	assert_int_equal(judge(&facts).verdict, VERDICT_GROWING);
	/* so many that half of it is seen to be explained */
	facts.recent_unknown_error = 1;
	facts.recent_unknown_frees = 323;
	assert_int_equal(judge(&facts).verdict, VERDICT_GROWING);
	facts.recent_unknown_frees = 321;
	assert_int_equal(judge(&facts).verdict, VERDICT_LEAKING);
}

/* What an earlier window knew of, this one does not. */
static void test_gone_with_its_window(void **state)
{
	struct leak_facts facts = flat();
	struct leak_verdict verdict;

	(void)state;
	facts.unwatched = true;
	facts.live_objects = facts.live_bytes = facts.live_old = 0;
	facts.survivor_epochs = 0;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_HELD);
	assert_says(&verdict, "following stopped");
	facts.trend.usable = false;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_UNKNOWN);
	assert_says(&verdict, "too short a time");
}

static void test_losses(void **state)
{
	struct leak_facts facts = steady_leak();
	struct leak_verdict verdict;

	(void)state;
	facts.losses = true;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_GROWING);
	assert_says(&verdict, "lost events");
}

static void test_bursts(void **state)
{
	struct leak_facts facts = steady_leak();
	struct leak_verdict verdict;

	(void)state;
	facts.trend.rising_share = 0.55;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_GROWING);
	assert_says(&verdict, "not steadily");
}

static void test_most_is_freed_in_time(void **state)
{
	struct leak_facts facts = steady_leak();
	struct leak_verdict verdict;

	(void)state;
	facts.alloc_objects = 10007;
	facts.free_objects = 9947;
	facts.survivor_epochs = 0xffff0001;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_GROWING);
	assert_says(&verdict, "not in every part of the window");
}

/* Sessions of ten minutes, of which we have seen one minute. */
static void test_long_lifetimes(void **state)
{
	struct leak_facts facts = steady_leak();
	struct leak_verdict verdict;

	(void)state;
	facts.free_objects = 7;
	facts.usual_lifetime_s = 34.4;
	facts.live_old = 0;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_GROWING);
	assert_says(&verdict, "usually live 34.4 s");
	assert_true(verdict.probability < 0.5);
}

static void test_startup_table(void **state)
{
	struct leak_facts facts = flat();
	struct leak_verdict verdict;

	(void)state;
	facts.survivor_epochs = 0x3f;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_STARTUP);
	assert_says(&verdict, "59 s ago within 19%");
	facts.survivor_epochs = 0x7f;
	assert_int_equal(judge(&facts).verdict, VERDICT_HELD);
	/* two moments far apart are not one */
	facts.survivor_epochs = 0x80000001;
	assert_int_equal(judge(&facts).verdict, VERDICT_HELD);
	facts.survivor_epochs = 0x80000000;
	assert_int_equal(judge(&facts).verdict, VERDICT_STARTUP);
}

static void test_churn(void **state)
{
	struct leak_facts facts = flat();
	struct leak_verdict verdict;

	(void)state;
	facts.alloc_objects = 1000;
	facts.free_objects = 500;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_CHURN);
	assert_says(&verdict, "50% of what it allocates");
	facts.free_objects = 499;
	assert_int_equal(judge(&facts).verdict, VERDICT_HELD);
	facts.free_objects = 1000;
	facts.live_objects = facts.live_bytes = 0;
	facts.survivor_epochs = 0;
	assert_int_equal(judge(&facts).verdict, VERDICT_CHURN);
}

static void test_gone_with_its_process(void **state)
{
	struct leak_facts facts = flat();
	struct leak_verdict verdict;

	(void)state;
	facts.live_objects = facts.live_bytes = facts.live_old = 0;
	facts.survivor_epochs = 0;
	verdict = judge(&facts);
	assert_int_equal(verdict.verdict, VERDICT_HELD);
	assert_says(&verdict, "until its process called exec or exited");
}

static void test_shrinking(void **state)
{
	struct leak_facts facts = steady_leak();

	(void)state;
	facts.trend.per_s = -1000;
	facts.trend.ci[0] = -1010;
	facts.trend.ci[1] = -990;
	assert_int_equal(judge(&facts).verdict, VERDICT_HELD);
	assert_true(judge(&facts).probability == 0);
}

/* A perfect line has an interval of no width. */
static void test_perfect_line(void **state)
{
	struct leak_facts facts = steady_leak();

	(void)state;
	facts.trend.ci[0] = facts.trend.ci[1] = 1000;
	assert_int_equal(judge(&facts).verdict, VERDICT_LEAKING);
	assert_true(judge(&facts).probability > 0.95);
	facts.trend.per_s = facts.trend.ci[0] = facts.trend.ci[1] = 0;
	assert_int_equal(judge(&facts).verdict, VERDICT_HELD);
}

static void test_nothing_at_all(void **state)
{
	struct leak_facts facts = {.trend.usable = true};

	(void)state;
	assert_int_equal(judge(&facts).verdict, VERDICT_HELD);
}

static struct report_site site_of(enum verdict verdict, double growth, double probability,
				  uint64_t live)
{
	return (struct report_site){.verdict = verdict,
				    .growth_bytes_per_s = growth,
				    .probability = probability,
				    .live_bytes = live,
				    .alloc_bytes = live};
}

static void test_rank(void **state)
{
	const struct report_site ranked[] = {
		site_of(VERDICT_LEAKING, 100, 0.9, 5), site_of(VERDICT_LEAKING, 70, 0.99, 9),
		site_of(VERDICT_GROWING, 1e9, 0.9, 1), site_of(VERDICT_SATURATING, 1e9, 0.2, 1),
		site_of(VERDICT_HELD, -5, 0.5, 1000),  site_of(VERDICT_CHURN, 0, 0, 999),
		site_of(VERDICT_HELD, 0, 0, 0),
	};
	const size_t nr = sizeof(ranked) / sizeof(ranked[0]);
	struct report_site more = ranked[nr - 1];

	(void)state;
	for (size_t i = 0; i < nr; i++) {
		for (size_t j = 0; j < nr; j++) {
			int order = leak_compare(&ranked[i], &ranked[j]);

			assert_true(i < j ? order < 0 : i > j ? order > 0 : order == 0);
		}
	}
	more.alloc_bytes = 1;
	assert_true(leak_compare(&more, &ranked[nr - 1]) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leak),
		cmocka_unit_test(test_slow_leak),
		cmocka_unit_test(test_short_window),
		cmocka_unit_test(test_filling_cache),
		cmocka_unit_test(test_cache_at_turnover),
		cmocka_unit_test(test_sampled_leak),
		cmocka_unit_test(test_too_few_samples),
		cmocka_unit_test(test_sampled_cache_at_turnover),
		cmocka_unit_test(test_gone_with_its_window),
		cmocka_unit_test(test_losses),
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_most_is_freed_in_time),
		cmocka_unit_test(test_long_lifetimes),
		cmocka_unit_test(test_startup_table),
		cmocka_unit_test(test_churn),
		cmocka_unit_test(test_gone_with_its_process),
		cmocka_unit_test(test_shrinking),
		cmocka_unit_test(test_perfect_line),
		cmocka_unit_test(test_nothing_at_all),
		cmocka_unit_test(test_rank),
	};

	return cmocka_run_group_tests_name("leak", tests, NULL, NULL);
}
