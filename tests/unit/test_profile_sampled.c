/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs in which not every block is followed, or not all the time: from records to the report. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "hash.h"
#include "out.h"
#include "stream.h"

#define ADDR 0x7f0000001000ull
#define KIB 1024ull

static const struct report_options everything = {.allocator_frames = true};

static struct profile *new_profile(struct stream *s)
{
	struct profile *profile = profile_new();

	assert_non_null(profile);
	*s = stream_to(profile);
	assert_int_equal(stream_run(s, RUN_LEAKS), 0);
	assert_int_equal(stream_target(s, STREAM_PROC, STREAM_TGID, "server"), 0);
	return profile;
}

static void check_sum(const struct report_balance *b)
{
	assert_int_equal(b->allocs, b->frees + b->live + b->released + b->lost_allocs);
}

static struct report report_of(struct profile *profile)
{
	struct report report;

	assert_int_equal(profile_report(profile, &everything, &report), 0);
	check_sum(&report.balance);
	for (size_t i = 0; i < report.nr_targets; i++)
		check_sum(&report.target[i].balance);
	return report;
}

static int step(struct stream *s, uint32_t mode, uint64_t period, uint64_t time_ns)
{
	return stream_step(
		s,
		&(struct record_step){.mode = mode,
				      .why = STEP_ROOM,
				      .period_bytes = period,
				      .duty_permille = mode == STEP_WINDOWS ? 500 : 1000},
		time_ns);
}

/* --- anything ----------------------------------------------------------------------------------- */

/* Any values in well-formed records, forged weights and windows among them: no crash, and the sum holds. */
static void test_any_values(void **state)
{
	static const size_t bytes[] = {0, 40, 48, 64, 64, 64, 64, 32, 40, 40, 40};
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;
	int err;

	(void)state;
	for (uint32_t tag = 1; tag < 1000; tag++)
		assert_int_equal(stream_sampling(&s, tag, 1 + (hash_u64(tag) >> tag % 64)), 0);
	for (uint64_t i = 0; i < 20011; i++) {
		uint64_t record[8];
		struct event_head *head = (struct event_head *)record;

		for (uint64_t j = 0; j < 8; j++)
			record[j] = hash_pair(i, j) >> (hash_pair(j, i) % 64);
		head->kind = (uint16_t)(1 + hash_u64(i) % 10);
		head->proc &= 0x00030003;
		err = profile_feed(profile, record, bytes[head->kind]);
		/* a tag may be one of those without a meaning */
		assert_true(!err || (head->kind <= EVENT_FREE && err == -EBADMSG));
		if (i % 2011 == 7)
			assert_int_equal(stream_mark(&s, RECORD_UNWATCHED, 0, i * STREAM_S), 0);
		if (i % 2011 == 1007)
			assert_int_equal(step(&s, STEP_WINDOWS, i, i * STREAM_S), 0);
		if (i % 1009 == 0) {
			assert_int_equal(stream_mark(&s, RECORD_TICK, 0, i * STREAM_S), 0);
			report = report_of(profile);
			report_release(&report);
		}
	}
	assert_int_equal(stream_mark(&s, RECORD_END, 0, UINT64_MAX / 2), 0);
	report = report_of(profile);
	report_release(&report);
	profile_free(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
