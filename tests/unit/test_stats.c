/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hash.h"
#include "stats.h"

#define MB 1e6

static void assert_near(double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%.9g is not %.9g +- %.3g", value, expected, tolerance);
}

/* 0..1, the same in each run. */
static double noise(uint64_t seed, uint64_t i)
{
	return (double)(hash_pair(seed, i) >> 11) / 0x1p53;
}

/* --- the series --- */

static void test_series_keeps_all_while_they_fit(void **state)
{
	struct series series = {.nr = 0};

	(void)state;
	for (int i = 0; i < SERIES_POINTS; i++)
		series_add(&series, i * 0.5, i * 7);
	assert_int_equal(series.nr, SERIES_POINTS);
	assert_int_equal(series.stride, 1);
	for (int i = 0; i < SERIES_POINTS; i++) {
		assert_near(series.time_s[i], i * 0.5, 0);
		assert_near(series.level[i], i * 7, 0);
	}
}

static void test_series_at_equal_strides_for_any_length(void **state)
{
	struct series series = {.nr = 0};

	(void)state;
	for (uint32_t i = 0; i < 10007; i++) {
		series_add(&series, i, (double)i * 7);
		assert_in_range(series.nr, i < SERIES_POINTS ? i + 1 : SERIES_POINTS / 2,
				SERIES_POINTS);
		for (uint32_t k = 0; k < series.nr; k++) {
			assert_near(series.time_s[k], k * series.stride, 0);
			assert_near(series.level[k], k * series.stride * 7.0, 0);
		}
		assert_true(i - (series.nr - 1) * series.stride < series.stride);
	}
	assert_int_equal(series.stride, 256);
}

static void test_series_ignores_time_that_stands_still(void **state)
{
	struct series series = {.nr = 0};

	(void)state;
	series_add(&series, 1, 3);
	series_add(&series, 1, 5);
	series_add(&series, 0.5, 7);
	series_add(&series, 1 + 1e-12, 11);
	assert_int_equal(series.nr, 1);
	assert_near(series.level[0], 3, 0);
	series_add(&series, 2, 13);
	assert_int_equal(series.nr, 2);
}

/* --- the trend --- */

static void test_too_few_points(void **state)
{
	struct series series = {.nr = 0};
	struct trend trend;

	(void)state;
	for (int i = 0; i < 5; i++) {
		series_trend(&series, &trend);
		assert_false(trend.usable);
		assert_true(trend.ci[0] == -INFINITY && trend.ci[1] == INFINITY);
		assert_near(trend.per_s, i < 3 ? 0 : 7, 1e-9);
		series_add(&series, i, i * 7);
	}
	series_trend(&series, &trend);
	assert_true(trend.usable);
	assert_near(trend.per_s, 7, 1e-9);
	assert_near(trend.ci[0], 7, 1e-9);
	assert_near(trend.ci[1], 7, 1e-9);
}

static void test_exact_line(void **state)
{
	static const double per_s[] = {13, -13, 1e12, 1e-6};

	(void)state;
	for (uint32_t nr = 5; nr < 307; nr++) {
		for (int i = 0; i < 4; i++) {
			struct series series = {.nr = 0};
			struct trend trend;
			double near = fabs(per_s[i]) * 1e-6;

			/* ticks need not be equally far apart */
			for (uint32_t k = 0; k < nr; k++) {
				double time_s = k * 2 + k % 3 * 0.5;

				series_add(&series, time_s, 1009 + per_s[i] * time_s);
			}
			series_trend(&series, &trend);
			assert_true(trend.usable);
			near = near > 1e-9 ? near : 1e-9;
			assert_near(trend.per_s, per_s[i], near);
			assert_near(trend.ci[0], per_s[i], near);
			assert_near(trend.ci[1], per_s[i], near);
			assert_near(trend.first_third, per_s[i], near);
			assert_near(trend.last_third, per_s[i], near);
			assert_near(trend.rising_share, per_s[i] > 0, 0);
		}
	}
}

static void test_perfectly_steady(void **state)
{
	struct series series = {.nr = 0};
	struct trend trend;

	(void)state;
	for (int i = 0; i < 101; i++)
		series_add(&series, i * 0.1, 12345678);
	series_trend(&series, &trend);
	assert_true(trend.usable);
	assert_true(trend.per_s == 0 && trend.ci[0] == 0 && trend.ci[1] == 0);
	assert_true(trend.rising_share == 0);
}

/* The interval is on the safe side: of 1009 steady levels, hardly one may seem to grow. */
static void test_steady_noise(void **state)
{
	int wrong = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 1009; seed++) {
		struct series series = {.nr = 0};
		struct trend trend;
		uint64_t nr = 7 + seed % 200;

		for (uint64_t i = 0; i < nr; i++)
			series_add(&series, (double)i, 100 * MB + 20 * MB * noise(seed, i));
		series_trend(&series, &trend);
		assert_true(trend.usable);
		wrong += trend.ci[0] > 0 || trend.ci[1] < 0;
	}
	assert_in_range(wrong, 0, 10);
}

static void test_single_step(void **state)
{
	(void)state;
	for (uint32_t nr = 5; nr < 101; nr++) {
		for (uint32_t at = 1; at < nr; at++) {
			struct series series = {.nr = 0};
			struct trend trend;

			for (uint32_t i = 0; i < nr; i++)
				series_add(&series, i, i < at ? 1 * MB : 100 * MB);
			series_trend(&series, &trend);
			assert_true(trend.usable);
			assert_true(trend.ci[0] <= 0 && trend.ci[1] >= 0);
			assert_true(trend.rising_share <= 0.67);
		}
	}
}

/* A cache that fills: 1 - e^-t/4 over 20 s. */
static void test_saturating(void **state)
{
	struct series series = {.nr = 0};
	struct trend trend;

	(void)state;
	for (int i = 0; i <= 100; i++)
		series_add(&series, i * 0.2, 50 * MB * (1 - exp(-i * 0.2 / 4)));
	series_trend(&series, &trend);
	assert_true(trend.usable);
	assert_true(trend.per_s > 0);
	assert_true(trend.last_third < 0.15 * trend.first_third);
	assert_near(trend.rising_share, 1, 0);
}

/* 1 MB each 100 ms for 10 s, seen at ticks that know nothing of that. */
static void test_leak_in_steps(void **state)
{
	static const double tick_s[] = {0.05, 0.1, 0.13, 0.2, 0.25, 0.5, 0.97, 1, 2};

	(void)state;
	for (size_t i = 0; i < sizeof(tick_s) / sizeof(tick_s[0]); i++) {
		struct series series = {.nr = 0};
		struct trend trend;

		for (int k = 0; k * tick_s[i] <= 10; k++) {
			double time_s = k * tick_s[i];

			series_add(&series, time_s, floor(time_s / 0.1) * MB);
		}
		series_trend(&series, &trend);
		assert_true(trend.usable);
		assert_near(trend.per_s, 10 * MB, 0.3 * MB);
		assert_true(trend.ci[0] > 9 * MB && trend.ci[1] < 11 * MB);
		assert_near(trend.first_third, 10 * MB, 1 * MB);
		assert_near(trend.last_third, 10 * MB, 1 * MB);
		assert_near(trend.rising_share, 1, 0);
	}
}

/* The same leak under churn as large as what it leaks in 2 s. */
static void test_leak_under_noise(void **state)
{
	int found = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 101; seed++) {
		struct series series = {.nr = 0};
		struct trend trend;

		for (uint64_t i = 0; i <= 300; i++)
			series_add(&series, (double)i * 0.1,
				   (double)i * MB + 20 * MB * noise(seed, i));
		series_trend(&series, &trend);
		assert_near(trend.per_s, 10 * MB, 1 * MB);
		found += trend.ci[0] > 0 && trend.ci[1] > 10 * MB;
	}
	assert_in_range(found, 97, 101);
}

/* Of processes that come and go, at whatever strides. */
static void test_sum_of_series(void **state)
{
	struct series sum = {.nr = 0}, late = {.nr = 0}, ended = {.nr = 0};

	(void)state;
	for (int i = 0; i < 10; i++) {
		series_add(&sum, i, 100);
		if (i >= 3)
			series_add(&late, i, 10);
		if (i % 2 == 0 && i <= 6)
			series_add(&ended, i, 1);
	}
	series_add_series(&sum, &late, false);
	assert_true(sum.level[2] == 100 && sum.level[3] == 110 && sum.level[9] == 110);
	series_add_series(&sum, &ended, true);
	/* between its points it has the level of the one before, behind its end none */
	assert_true(sum.level[0] == 101 && sum.level[1] == 101 && sum.level[5] == 111);
	assert_true(sum.level[6] == 111 && sum.level[7] == 110 && sum.level[9] == 110);
	series_add_series(&sum, &ended, false);
	assert_true(sum.level[6] == 112 && sum.level[9] == 111);
	series_add_series(&ended, &(struct series){.nr = 0}, true);
	assert_true(ended.level[3] == 1);
}

static void test_trend_of_samples_is_wider(void **state)
{
	struct series series = {.nr = 0};
	struct trend exact, sampled;

	(void)state;
	series_add(&series, 0, 0);
	series_trend_sampled(&series, &sampled);
	assert_true(!sampled.usable && isinf(sampled.ci[0]) && isinf(sampled.ci[1]));
	for (int i = 1; i < 20; i++)
		series_add(&series, i, i * 10 + i % 3);
	series_trend(&series, &exact);
	series_trend_sampled(&series, &sampled);
	assert_true(fabs(sampled.per_s - exact.per_s) < 1e-12);
	assert_true(fabs((sampled.ci[1] - sampled.ci[0]) / (exact.ci[1] - exact.ci[0]) -
			 sqrt(1.5)) < 1e-9);
}

static void test_student(void **state)
{
	static const struct {
		unsigned int degrees;
		double quantile;
	} example[] = {
		{1, 12.7062}, {2, 4.3027},   {5, 2.5706},	{10, 2.2281},
		{15, 2.1314}, {16, 2.1199},  {20, 2.0860},	{30, 2.0423},
		{60, 2.0003}, {120, 1.9799}, {1000000, 1.9600},
	};

	(void)state;
	assert_true(stats_t95(0) == INFINITY);
	for (size_t i = 0; i < sizeof(example) / sizeof(example[0]); i++)
		assert_near(stats_t95(example[i].degrees), example[i].quantile, 0.0001);
	for (unsigned int i = 1; i < 1009; i++)
		assert_true(stats_t95(i) < stats_t95(i - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_series_keeps_all_while_they_fit),
		cmocka_unit_test(test_series_at_equal_strides_for_any_length),
		cmocka_unit_test(test_series_ignores_time_that_stands_still),
		cmocka_unit_test(test_too_few_points),
		cmocka_unit_test(test_exact_line),
		cmocka_unit_test(test_perfectly_steady),
		cmocka_unit_test(test_steady_noise),
		cmocka_unit_test(test_single_step),
		cmocka_unit_test(test_saturating),
		cmocka_unit_test(test_leak_in_steps),
		cmocka_unit_test(test_leak_under_noise),
		cmocka_unit_test(test_sum_of_series),
		cmocka_unit_test(test_trend_of_samples_is_wider),
		cmocka_unit_test(test_student),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
