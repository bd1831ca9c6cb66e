/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A slot is used by one process after the other: each keeps its own numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "array.h"
#include "profile.h"
#include "report.h"
#include "stream.h"

#define FIRST SEEP_PROC(3, 0)
#define FIRST_EXEC SEEP_PROC(3, 1)
#define SECOND SEEP_PROC(3, 2)

struct fixture {
	struct profile *profile;
	struct stream stream;
	struct report report;
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){.profile = profile_new()};
	assert_non_null(f.profile);
	f.stream = stream_to(f.profile);
	assert_int_equal(stream_run(&f.stream, RUN_LEAKS), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	report_release(&f->report);
	profile_free(f->profile);
	return 0;
}

static void alloc(struct fixture *f, uint32_t proc, uint64_t addr, uint64_t birth)
{
	struct event_alloc event = {
		.head = {.kind = EVENT_ALLOC, .proc = proc, .time_ns = STREAM_START_NS + birth},
		.addr = addr,
		.sized = 16};

	assert_int_equal(profile_feed(f->profile, &event, sizeof(event)), 0);
}

static const struct report_target *reported(struct fixture *f, uint32_t tgid)
{
	const struct report_options options = {0};
	const struct report_target *found = NULL;
	size_t i;

	report_release(&f->report);
	assert_int_equal(profile_report(f->profile, &options, &f->report), 0);
	for (i = 0; i < f->report.nr_targets; i++) {
		if (f->report.target[i].tgid != tgid)
			continue;
		assert_null(found);
		found = &f->report.target[i];
	}
	assert_non_null(found);
	return found;
}

static void check(struct fixture *f, uint32_t tgid, uint64_t allocs, uint64_t released)
{
	const struct report_balance *b = &reported(f, tgid)->balance;

	assert_int_equal(b->allocs, allocs);
	assert_int_equal(b->released, released);
	assert_int_equal(b->allocs, b->frees + b->live + b->released + b->lost_allocs);
}

/* The first process execs and exits; the second has its slot, and the same addresses. */
static void test_one_after_the_other(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(stream_target(&f->stream, FIRST, 100, "first"), 0);
	alloc(f, FIRST, 0x1000, 1);
	assert_int_equal(stream_target(&f->stream, FIRST_EXEC, 100, "first"), 0);
	alloc(f, FIRST_EXEC, 0x1000, 2);
	alloc(f, FIRST_EXEC, 0x2000, 3);
	assert_int_equal(stream_counter(&f->stream, FIRST, STAT_FREES_UNKNOWN, 7), 0);
	assert_int_equal(stream_proc(&f->stream, EVENT_EXIT, FIRST_EXEC, "first"), 0);
	assert_int_equal(stream_target(&f->stream, SECOND, 200, "second"), 0);
	alloc(f, SECOND, 0x1000, 4);
	assert_int_equal(stream_counter(&f->stream, SECOND, STAT_FREES_UNKNOWN, 11), 0);
	check(f, 100, 3, 3);
	check(f, 200, 1, 0);
	assert_int_equal(f->report.nr_targets, 2);
	assert_int_equal(f->report.balance.allocs, 4);
	assert_int_equal(reported(f, 100)->balance.frees_unknown, 7);
	assert_int_equal(reported(f, 200)->balance.frees_unknown, 11);
	assert_true(reported(f, 100)->exited);
	assert_false(reported(f, 200)->exited);
}

/* What is late on its way is still the first one's. */
static void test_late_events(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(stream_target(&f->stream, FIRST, 100, "first"), 0);
	assert_int_equal(stream_proc(&f->stream, EVENT_EXIT, FIRST, "first"), 0);
	assert_int_equal(stream_target(&f->stream, SECOND, 200, "second"), 0);
	alloc(f, FIRST, 0x1000, 1);
	alloc(f, SECOND, 0x2000, 2);
	check(f, 100, 1, 1);
	check(f, 200, 1, 0);
}

/* Of a process there may be events before anybody knows who it is. */
static void test_announced(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(stream_target(&f->stream, FIRST, 100, "first"), 0);
	alloc(f, FIRST, 0x1000, 1);
	assert_int_equal(stream_proc(&f->stream, EVENT_EXIT, FIRST, "first"), 0);
	assert_int_equal(stream_target(&f->stream, SECOND, 0, ""), 0);
	alloc(f, SECOND, 0x1000, 2);
	alloc(f, SECOND, 0x2000, 3);
	assert_int_equal(stream_target(&f->stream, SECOND, 200, "second"), 0);
	check(f, 100, 1, 1);
	check(f, 200, 2, 0);
	assert_int_equal(f->report.nr_targets, 2);
	assert_string_equal(reported(f, 200)->comm, "second");
}

/* The same process is told of again and again. */
static void test_same_process(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(stream_target(&f->stream, FIRST, 100, "first"), 0);
	alloc(f, FIRST, 0x1000, 1);
	assert_int_equal(stream_target(&f->stream, FIRST, 100, "renamed"), 0);
	assert_int_equal(stream_target(&f->stream, FIRST_EXEC, 100, "other"), 0);
	alloc(f, FIRST_EXEC, 0x2000, 2);
	check(f, 100, 2, 1);
	assert_int_equal(f->report.nr_targets, 1);
	assert_string_equal(f->report.target[0].comm, "other");
}

/* Who found no slot is missing in the report, which says so. */
static void test_unfollowed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(stream_target(&f->stream, FIRST, 100, "first"), 0);
	(void)reported(f, 100);
	assert_true(f->report.complete);
	assert_int_equal(stream_mark(&f->stream, RECORD_END, END_UNFOLLOWED, STREAM_S), 0);
	(void)reported(f, 100);
	assert_false(f->report.complete);
	assert_non_null(strstr(f->report.incomplete_why, "not followed"));
}

static void test_calls_missed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(stream_target(&f->stream, FIRST, 100, "first"), 0);
	assert_int_equal(stream_mark(&f->stream, RECORD_END, END_CALLS_MISSED, STREAM_S), 0);
	(void)reported(f, 100);
	assert_false(f->report.complete);
	assert_non_null(strstr(f->report.incomplete_why, "mappings may be missing"));
}

#define case_of(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		case_of(test_one_after_the_other), case_of(test_late_events),
		case_of(test_announced),	   case_of(test_same_process),
		case_of(test_unfollowed),	   case_of(test_calls_missed),
	};

	return cmocka_run_group_tests_name("profile_slots", tests, NULL, NULL);
}
