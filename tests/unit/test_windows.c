/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bins of windows, what was left in them, and what is made of it; programs are simulated in test_windowed.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "windows.h"

#define S 1000000000ull

static const struct weight one = {.objects = 1, .bytes = 100};

/* Window i: from i s on, for a tenth of it. */
static void add_window(struct windows *w, struct left *left, uint64_t i, uint64_t samples)
{
	struct left_sum sum = {.samples = samples, .objects = samples, .bytes = 100 * samples};

	if (windows_is_full(w)) {
		windows_merge(w);
		left_merge(left);
	}
	windows_add(w, i * S, i * S + S / 10);
	if (samples)
		left_add(w, left, &sum);
}

static uint64_t all_blocks(const struct windows *w)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < WINDOWS_BINS; i++)
		sum += w->bin[i].blocks;
	return sum;
}

static void test_bins(void **state)
{
	struct windows w = {.nr = 0};
	struct left left = {0};
	unsigned int i, windows;

	(void)state;
	assert_int_equal(windows_nr_bins(&w), 0);
	for (i = 0; i < 1000; i++) {
		add_window(&w, &left, i, i % 3);
		assert_in_range(windows_nr_bins(&w), i < WINDOWS_BINS ? i + 1 : WINDOWS_BINS / 2,
				WINDOWS_BINS);
	}
	assert_int_equal(w.nr, 1000);
	assert_int_equal(w.shift, 6);
	assert_int_equal(left_total(&left).samples, 999);
	assert_int_equal(all_blocks(&w), 999);
	for (i = 0, windows = 0; i < WINDOWS_BINS; i++)
		windows += left.bin[i].windows;
	assert_int_equal(windows, 666);
	assert_int_equal(w.bin[1].start_ns, 64 * S);
	assert_int_equal(w.bin[1].watched_ns, 64 * (S / 10));
}

static void test_gone(void **state)
{
	struct windows w = {.nr = 0};
	struct left left = {0};

	(void)state;
	for (unsigned int i = 1; i <= 6; i++)
		add_window(&w, &left, i, 2);
	/* of before any, of the first, of a gap, and of the last */
	assert_false(left_gone(&w, &left, S - 1, one));
	assert_true(left_gone(&w, &left, S, one));
	assert_true(left_gone(&w, &left, S + S / 20, one));
	assert_true(left_gone(&w, &left, 99 * S, one));
	/* more than there were */
	assert_false(left_gone(&w, &left, S, one));
	assert_int_equal(left.bin[0].gone.samples, 2);
	assert_int_equal(left.bin[5].gone.samples, 1);
	assert_int_equal(left_remaining(&left).samples, 9);
	assert_int_equal(left_remaining(&left).bytes, 900);
	assert_int_equal(all_blocks(&w), 9);
	assert_int_equal(left_survivors(&left), 0x3e);
	assert_true(left_kept(&left) <= 0); /* 0.0625 is little */
	/* and what does not go on going is kept */
	assert_true(left_gone(&w, &left, 3 * S, one));
	assert_true(left_gone(&w, &left, 4 * S, one));
	assert_true(fabs(left_kept(&left) - 0.5) < 1e-9);
}

static void test_told_late(void **state)
{
	struct windows w = {.nr = 0};
	struct left left = {0};

	(void)state;
	add_window(&w, &left, 1, 1);
	add_window(&w, &left, 2, 1);
	assert_true(left_correct(&w, &left, S + 1, one, 1));
	assert_int_equal(left.bin[0].left.samples, 2);
	assert_true(left_gone(&w, &left, S + 1, one));
	assert_true(left_correct(&w, &left, S + 1, one, -1));
	assert_int_equal(left.bin[0].left.samples, 1);
	/* all that there was is gone */
	assert_false(left_correct(&w, &left, S + 1, one, -1));
	assert_false(left_correct(&w, &left, 1, one, 1));
	assert_int_equal(all_blocks(&w), 1);
}

static void test_too_many(void **state)
{
	struct windows w = {.nr = 0};
	struct left left = {0};
	unsigned int excess;

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		add_window(&w, &left, i, WINDOWS_MAX_BLOCKS / 4);
	assert_int_equal(windows_excess(&w), 0);
	add_window(&w, &left, 4, 1);
	excess = windows_excess(&w);
	assert_int_equal(excess, 3);
	windows_drop(&w, excess);
	left_drop(&left, excess);
	assert_int_equal(w.given_up, WINDOWS_MAX_BLOCKS / 4 * 3);
	assert_int_equal(w.nr, 2);
	assert_int_equal(w.since_ns, 3 * S);
	assert_false(left_gone(&w, &left, 3 * S - 1, one));
	assert_true(left_gone(&w, &left, 3 * S, one));
	assert_int_equal(left_remaining(&left).samples, WINDOWS_MAX_BLOCKS / 4);
	/* one window alone may be too much */
	add_window(&w, &left, 5, 2 * WINDOWS_MAX_BLOCKS);
	assert_int_equal(windows_excess(&w), 3);
	windows_drop(&w, 3);
	left_drop(&left, 3);
	assert_int_equal(w.nr, 0);
	assert_int_equal(w.since_ns, 5 * S + S / 10);
	assert_int_equal(left_total(&left).samples, 0);
	assert_int_equal(all_blocks(&w), 0);
	add_window(&w, &left, 6, 1);
	assert_true(left_gone(&w, &left, 6 * S, one));
}

static void test_too_many_in_merged_bins(void **state)
{
	struct windows w = {.nr = 0};
	struct left left = {0};
	unsigned int i;

	(void)state;
	for (i = 0; i < 3 * WINDOWS_BINS; i++)
		add_window(&w, &left, i, 10000);
	assert_int_equal(w.shift, 2);
	assert_int_equal(windows_nr_bins(&w), 12);
	i = windows_excess(&w);
	assert_int_equal(i, 9); /* of 40,000 each */
	windows_drop(&w, i);
	left_drop(&left, i);
	assert_int_equal(w.nr, 12);
	assert_int_equal(windows_nr_bins(&w), 3);
	assert_int_equal(w.since_ns, 36 * S);
	add_window(&w, &left, 48, 7);
	assert_int_equal(left.bin[3].left.samples, 7);
	assert_int_equal(w.bin[3].start_ns, 48 * S);
}

/* A tenth of the time is watched, so of what has been freed since a tenth is expected to be seen. */
static void test_expected(void **state)
{
	struct windows w = {.nr = 0};
	struct left left = {0};
	double expected;
	unsigned int i;

	(void)state;
	for (i = 0; i < 10; i++)
		add_window(&w, &left, i, 0);
	assert_true(windows_expected(&w, &left, 10 * S, 0) == 0);
	for (; i < 1000; i++)
		add_window(&w, &left, i, 10);
	expected = windows_expected(&w, &left, 1000 * S, 0);
	assert_in_range(expected, 9900 * 0.085, 9900 * 0.115);
	/* by then it had seen half of the windows */
	expected = windows_expected(&w, &left, 500 * S, 0);
	assert_in_range(expected, 400, 600);
	/* and all is seen in a window that goes on */
	expected = windows_expected(&w, &left, 100000 * S, 99000 * S);
	assert_in_range(expected, 9700, 9900);
}

static void test_trend(void **state)
{
	struct windows w = {.nr = 0};
	struct left left = {0};
	struct trend trend;
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++)
		add_window(&w, &left, i, 10);
	windows_trend(&w, &left, 1, &trend);
	assert_false(trend.usable);
	for (; i < 40; i++)
		add_window(&w, &left, i, 9 + i % 3);
	windows_trend(&w, &left, 1, &trend);
	assert_true(trend.usable);
	assert_true(fabs(trend.per_s - 10000) < 200);
	assert_true(trend.ci[0] > 9000 && trend.ci[0] < trend.per_s && trend.ci[1] < 11000);
	assert_true(trend.last_third > 0.9 * trend.first_third);
	windows_trend(&w, &left, 0, &trend);
	assert_true(trend.usable && trend.ci[0] <= 0 && trend.ci[1] >= 0);
	/* much at once is no growth */
	memset(&left, 0, sizeof(left));
	memset(&w, 0, sizeof(w));
	windows_add(&w, 0, 60 * S);
	left_add(&w, &left, &(struct left_sum){.samples = 1000, .objects = 1000, .bytes = 100000});
	for (i = 0; i < 12; i++)
		add_window(&w, &left, 60 + i, 0);
	windows_trend(&w, &left, 1, &trend);
	assert_true(trend.usable && trend.ci[0] <= 0);
}

static void test_net(void **state)
{
	struct windows w = {.nr = 0};
	struct windows_net net = {.counted = 0};
	double variance;
	unsigned int i;

	(void)state;
	assert_true(net_gain(&w, &net, &variance) == 0 && variance == 0);
	for (i = 1; i <= 40; i++) {
		if (windows_is_full(&w)) {
			windows_merge(&w);
			net_merge(&net);
		}
		windows_add(&w, i * S, i * S + S / 10);
		net_add(&w, &net, 7.0 * i);
	}
	assert_true(fabs(net_gain(&w, &net, &variance) - 280) < 1e-9);
	assert_true(variance < 1e-6);
	windows_drop(&w, 2);
	net_drop(&net, 2);
	assert_true(fabs(net_gain(&w, &net, &variance) - 224) < 1e-9);
	windows_add(&w, 41 * S, 41 * S + S / 10);
	net_add(&w, &net, 7.0 * 40 + 107);
	assert_true(fabs(net_gain(&w, &net, &variance) - 331) < 1e-9);
	assert_true(variance > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bins),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_told_late),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_too_many_in_merged_bins),
		cmocka_unit_test(test_expected),
		cmocka_unit_test(test_trend),
		cmocka_unit_test(test_net),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
