/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "sites.h"

static void test_found_again(void **state)
{
	struct sites sites = {0};
	struct site *list = NULL, *other = NULL, *first;

	(void)state;
	assert_null(sites_find(&sites, 1, 7));
	first = sites_get(&sites, &list, 1, 7);
	assert_non_null(first);
	/* the same stack of another process, and more stacks than are remembered as recent */
	assert_ptr_not_equal(sites_get(&sites, &other, 2, 7), first);
	for (uint32_t i = 8; i < 5003; i++)
		assert_non_null(sites_get(&sites, &list, 1, i));
	assert_ptr_equal(sites_get(&sites, &list, 1, 7), first);
	assert_ptr_equal(sites_find(&sites, 1, 7), first);
	assert_int_equal(sites.nr, 4997);
	assert_ptr_equal(other->next, NULL);
	sites_release(&sites);
	assert_null(sites_find(&sites, 1, 7));
	sites_release(&sites);
}

static void test_sums(void **state)
{
	struct sites sites = {0};
	struct site *list = NULL, *site = sites_get(&sites, &list, 1, 7);

	(void)state;
	site_add_free(site, weight_exact(13), 5);
	assert_int_equal(site_live_bytes(site), -13);
	assert_int_equal(site_live_objects(site), -1);
	site_add_alloc(site, weight_exact(13));
	site_add_alloc(site, weight_exact(101));
	assert_int_equal(site_live_bytes(site), 101);
	site_undo_free(site, weight_exact(13));
	assert_int_equal(site_live_bytes(site), 114);
	site_release(site);
	assert_int_equal(site_live_bytes(site), 0);
	assert_int_equal(site->released_objects, 2);
	site_add_free(site, weight_exact(101), 3);
	site_add_released(site, -1, weight_exact(101));
	assert_int_equal(site_live_bytes(site), 0);
	assert_int_equal(site_live_objects(site), 0);
	assert_int_equal(site->released_bytes, 13);
	sites_release(&sites);
}

/* What an untrusted capture may hold. */
static void test_sums_wrap(void **state)
{
	struct sites sites = {0};
	struct site *list = NULL, *site = sites_get(&sites, &list, 1, 7);

	(void)state;
	for (int i = 0; i < 5; i++)
		site_add_alloc(site, weight_exact(UINT64_MAX / 2));
	site_release(site);
	for (int i = 0; i < 5; i++) {
		site_add_free(site, weight_exact(UINT64_MAX / 2), UINT64_MAX);
		site_add_released(site, -1, weight_exact(UINT64_MAX / 2));
	}
	assert_int_equal(site_live_bytes(site), 0);
	assert_int_equal(site->lifetime[63], 5);
	sites_release(&sites);
}

static void test_lifetimes(void **state)
{
	uint64_t lifetime[SITE_LIFETIMES] = {0};

	(void)state;
	assert_true(lifetime_quantile(lifetime, 0.95) == 0);
	lifetime[29] = 95; /* 0.5 to 1.07 s */
	lifetime[33] = 5;
	assert_true(fabs(lifetime_quantile(lifetime, 0.95) - ldexp(1, 30) / 1e9) < 1e-12);
	lifetime[33] = 6;
	assert_true(fabs(lifetime_quantile(lifetime, 0.95) - ldexp(1, 34) / 1e9) < 1e-12);
	memset(lifetime, 0, sizeof(lifetime));
	lifetime[0] = 1;
	assert_true(lifetime_quantile(lifetime, 0.95) > 0);
	memset(lifetime, 0, sizeof(lifetime));
	lifetime[63] = 1;
	assert_true(fabs(lifetime_quantile(lifetime, 1) - ldexp(1, 64) / 1e9) < 1);
}

/* After four billion frees of one lifetime the shares are still right. */
static void test_lifetimes_do_not_wrap(void **state)
{
	struct sites sites = {0};
	struct site *list = NULL, *site = sites_get(&sites, &list, 1, 7);

	(void)state;
	site->lifetime[3] = UINT32_MAX;
	site->lifetime[20] = 1000;
	site_add_free(site, weight_exact(1), 8);
	assert_int_equal(site->lifetime[3], UINT32_MAX / 2 + 1);
	assert_int_equal(site->lifetime[20], 500);
	site_add_free(site, weight_exact(1), 0);
	assert_int_equal(site->lifetime[0], 1);
	sites_release(&sites);
}

static void test_ticks(void **state)
{
	struct sites sites = {0};
	struct site *list = NULL, *early = sites_get(&sites, &list, 1, 7), *late;

	(void)state;
	site_add_alloc(early, weight_exact(7));
	assert_int_equal(sites_tick(&sites, 1), 0);
	assert_int_equal(sites_tick(&sites, 2), 0);
	late = sites_get(&sites, &list, 1, 8);
	site_add_alloc(late, weight_exact(11));
	assert_int_equal(sites_tick(&sites, 3), 0);
	/* one that came late had nothing at the ticks before */
	assert_int_equal(late->series->nr, 3);
	assert_memory_equal(late->series->time_s, early->series->time_s, 3 * sizeof(float));
	assert_true(late->series->level[1] == 0 && late->series->level[2] == 11);
	sites_release(&sites);
}

/* Sites that held nothing at any tick, and those that are over, keep what they need only. */
static void test_series_only_where_there_is_a_level(void **state)
{
	struct sites sites = {0};
	struct site *list = NULL, *idle = sites_get(&sites, &list, 1, 7), *gone, *busy;
	struct series series;

	(void)state;
	gone = sites_get(&sites, &list, 1, 8);
	busy = sites_get(&sites, &list, 1, 9);
	site_add_alloc(busy, weight_exact(3));
	assert_int_equal(sites_tick(&sites, 1), 0);
	site_exit(gone);
	assert_int_equal(sites_tick(&sites, 2), 0);
	assert_int_equal(sites_tick(&sites, 3), 0);
	assert_true(!idle->series && !gone->series && busy->series);
	sites_series(&sites, idle, &series);
	assert_true(series.nr == 3 && series.level[2] == 0);
	sites_series(&sites, gone, &series);
	assert_int_equal(series.nr, 2);
	sites_series(&sites, busy, &series);
	assert_true(series.nr == 3 && series.level[0] == 3);
	/* in the next window nothing is known of the one before */
	sites_restart(&sites);
	sites_series(&sites, busy, &series);
	assert_int_equal(series.nr, 0);
	assert_int_equal(sites_tick(&sites, 9), 0);
	sites_series(&sites, busy, &series);
	assert_true(series.nr == 1 && series.level[0] == 3);
	sites_release(&sites);
}

/* What a process held goes on to the first tick after its exit; what was released before is not part of it. */
static void test_level_at_exit(void **state)
{
	struct sites sites = {0};
	struct site *list = NULL, *site = sites_get(&sites, &list, 1, 7);

	(void)state;
	site_add_alloc(site, weight_exact(100));
	site_release(site);
	site_add_alloc(site, weight_exact(7));
	site_exit(site);
	assert_int_equal(site_live_bytes(site), 0);
	assert_int_equal(sites_tick(&sites, 1), 0);
	assert_true(site->ended && site->series->level[0] == 7);
	assert_int_equal(sites_tick(&sites, 2), 0);
	assert_int_equal(site->series->nr, 1);
	sites_release(&sites);
}

static void test_no_memory(void **state)
{
	struct sites sites = {0};
	struct site *list = NULL, *site = NULL;
	long nth;

	(void)state;
	for (nth = 1; !site; nth++) {
		allocfail_set(nth);
		site = sites_get(&sites, &list, 1, 7);
		allocfail_set(0);
		assert_true(site || (!list && !sites.nr));
	}
	assert_true(nth > 3);
	site_add_alloc(site, weight_exact(5));
	allocfail_set(1);
	assert_int_equal(sites_tick(&sites, 1), -ENOMEM);
	allocfail_set(0);
	assert_null(site->series);
	assert_int_equal(sites_tick(&sites, 2), 0);
	assert_int_equal(site->series->nr, 2);
	sites_release(&sites);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found_again),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_sums_wrap),
		cmocka_unit_test(test_lifetimes),
		cmocka_unit_test(test_lifetimes_do_not_wrap),
		cmocka_unit_test(test_ticks),
		cmocka_unit_test(test_series_only_where_there_is_a_level),
		cmocka_unit_test(test_level_at_exit),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("sites", tests, NULL, NULL);
}
