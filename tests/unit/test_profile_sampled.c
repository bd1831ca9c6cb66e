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

/* --- tags --------------------------------------------------------------------------------------- */

static void test_tag_without_meaning(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct heap_block block = stream_block(ADDR, 1, 100, 7);
	struct report report;

	(void)state;
	block.tag = 5;
	assert_int_equal(stream_alloc(&s, ADDR, 1, SEEP_SIZED(100, 5), 7), -EBADMSG);
	assert_int_equal(stream_free(&s, &block, 2, 0), -EBADMSG);
	assert_int_equal(stream_sampling(&s, 5, 64 * KIB), 0);
	assert_int_equal(stream_sampling(&s, 5, 32 * KIB), -EBADMSG);
	assert_int_equal(stream_alloc(&s, ADDR, 1, SEEP_SIZED(100, 5), 7), 0);
	assert_int_equal(stream_free(&s, &block, 2, 0), 0);
	report = report_of(profile);
	assert_int_equal(report.balance.samples, 1);
	assert_true(report.balance.allocs > 600 && report.balance.allocs < 700);
	assert_int_equal(report.balance.live, 0);
	assert_int_equal(report.basis, BASIS_SAMPLED);
	report_release(&report);
	profile_free(profile);
}

/* Zero samples: the truth may be three periods, and the report says so. */
static void test_no_samples(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;

	(void)state;
	assert_int_equal(step(&s, STEP_SAMPLED, 64 * KIB, 0), 0);
	assert_int_equal(stream_mark(&s, RECORD_END, 0, STREAM_S), 0);
	report = report_of(profile);
	assert_int_equal(report.balance.live_bytes_ci.low, 0);
	assert_in_range(report.balance.live_bytes_ci.high, 3 * 64 * KIB, 4 * 64 * KIB);
	assert_true(report.balance.frees_unknown_hidden);
	report_release(&report);
	profile_free(profile);
}

static void test_unknown_frees(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);
	uint64_t counter[STAT_NR] = {
		[STAT_CALLS] = 100, [STAT_CALL_BYTES] = 10000, [STAT_FREES] = 7};
	struct report report;

	(void)state;
	assert_int_equal(stream_sampling(&s, 5, 128), 0);
	for (uint64_t i = 0; i < 54; i++)
		assert_int_equal(stream_alloc(&s, ADDR + 16 * i, i + 1, SEEP_SIZED(100, 5), 7), 0);
	/* frees of blocks that were not sampled, as far as anybody can tell */
	counter[STAT_FREES_UNKNOWN] = 60;
	assert_int_equal(stream_counters(&s, STREAM_PROC, counter), 0);
	report = report_of(profile);
	assert_true(report.balance.exact_known);
	assert_int_equal(report.balance.exact_calls, 100);
	assert_int_equal(report.balance.exact_bytes, 10000);
	report_release(&report);
	/* more frees than there can have been blocks */
	counter[STAT_FREES_UNKNOWN] = 10000;
	assert_int_equal(stream_counters(&s, STREAM_PROC, counter), 0);
	report = report_of(profile);
	assert_false(report.balance.frees_unknown_hidden);
	assert_in_range(report.balance.frees_unknown, 9900, 10000);
	report_release(&report);
	/* and any that a forged capture may have */
	counter[STAT_FREES] = counter[STAT_FREES_UNKNOWN] = UINT64_MAX;
	assert_int_equal(stream_counters(&s, STREAM_PROC, counter), 0);
	report = report_of(profile);
	assert_true(report.balance.frees_unknown == 1ull << 63);
	report_release(&report);
	profile_free(profile);
}

/* A program that samples itself, and says the weight of each block: whatever the steps for others. */
static void test_weights_that_are_given(void **state)
{
	const uint32_t twice = SEEP_TAG_GIVEN | 10 << 10, large = SEEP_TAG_GIVEN | 1 << 10;
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;

	(void)state;
	assert_int_equal(stream_step(&s,
				     &(struct record_step){.mode = STEP_EXACT,
							   .why = STEP_START,
							   .period_bytes = 1,
							   .duty_permille = 1000},
				     0),
			 0);
	for (uint64_t i = 0; i < 7; i++)
		assert_int_equal(stream_alloc(&s, ADDR + 16 * i, i + 1, SEEP_SIZED(64, twice), 7),
				 0);
	assert_int_equal(stream_alloc(&s, ADDR + 4096, 9, SEEP_SIZED(224 * KIB, large), 7), 0);
	report = report_of(profile);
	assert_int_equal(report.basis, BASIS_SAMPLED);
	assert_int_equal(report.site[0].basis, BASIS_SAMPLED);
	/* not what the heaviest of them stands for */
	assert_int_equal(report.sample_bytes, 64 * KIB);
	assert_non_null(strstr(report.basis_note, "one sample in 64.0 KiB on average"));
	report_release(&report);
	/* another whose calls are all followed */
	assert_int_equal(stream_alloc(&s, ADDR + 8192, 10, 100, 8), 0);
	report = report_of(profile);
	assert_int_equal(report.basis, BASIS_MIXED);
	assert_int_equal(report.sample_bytes, 1);
	assert_non_null(strstr(report.basis_note, "one sample in 64.0 KiB or more often"));
	report_release(&report);
	profile_free(profile);
}

/* --- windows ------------------------------------------------------------------------------------ */

static const struct report_site *first_site(const struct report *report)
{
	assert_true(report->nr_sites > 0);
	return &report->site[0];
}

static void test_what_is_left_of_a_window(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct heap_block block = stream_block(ADDR, 1, 100, 7);
	struct report report;
	uint64_t now = 0;

	(void)state;
	assert_int_equal(step(&s, STEP_WINDOWS, 1, 0), 0);
	for (uint64_t i = 0; i < 10; i++) {
		now = (i + 1) * STREAM_S;
		assert_int_equal(stream_alloc(&s, ADDR + 16 * i, now - 1, 100, 7), 0);
		assert_int_equal(stream_mark(&s, RECORD_TICK, 0, now), 0);
	}
	assert_int_equal(stream_mark(&s, RECORD_UNWATCHED, 0, now + 1), 0);
	/* read late: an allocation and a free of before, and frees that nobody should have seen */
	assert_int_equal(stream_alloc(&s, ADDR + 160, now, 100, 7), 0);
	block = stream_block(ADDR, STREAM_S - 1, 100, 7);
	assert_int_equal(stream_free(&s, &block, now, 0), 0);
	block = stream_block(ADDR + 16, 2 * STREAM_S - 1, 100, 7);
	assert_int_equal(stream_free(&s, &block, now + 7, 0), 0);
	for (uint64_t i = 10; i < 30; i++)
		assert_int_equal(stream_mark(&s, RECORD_TICK, 0, (i + 1) * STREAM_S), 0);
	report = report_of(profile);
	assert_int_equal(report.balance.allocs, 11);
	assert_int_equal(report.balance.frees, 1);
	assert_int_equal(report.balance.released, 10);
	assert_int_equal(report.basis, BASIS_WINDOWS);
	assert_true(fabs(report.watched_s - 10) < 1e-6 && fabs(report.last_watched_s - 10) < 1e-6);
	/* what was live then is shown as such; growth is that of the window */
	assert_int_equal(first_site(&report)->live_objects, 0);
	assert_int_equal(first_site(&report)->left_objects, 10);
	assert_int_equal(first_site(&report)->left_bytes, 1000);
	assert_true(fabs(first_site(&report)->growth_bytes_per_s - 100) < 1);
	/* one of its blocks was freed, after 9 s */
	assert_int_equal(first_site(&report)->verdict, VERDICT_GROWING);
	report_release(&report);
	/* the next window knows nothing of it */
	assert_int_equal(step(&s, STEP_WINDOWS, 1, 31 * STREAM_S), 0);
	assert_int_equal(stream_free(&s, &block, 31 * STREAM_S + 1, 0), 0);
	assert_int_equal(stream_alloc(&s, ADDR, 31 * STREAM_S + 2, 100, 7), 0);
	for (uint64_t i = 31; i < 35; i++)
		assert_int_equal(stream_mark(&s, RECORD_TICK, 0, (i + 1) * STREAM_S), 0);
	report = report_of(profile);
	assert_int_equal(report.nr_steps, 1);
	assert_int_equal(report.balance.allocs, 12);
	assert_int_equal(report.balance.frees, 1);
	assert_int_equal(report.balance.live, 1);
	assert_int_equal(first_site(&report)->left_objects, 0);
	assert_int_equal(first_site(&report)->live_objects, 1);
	assert_int_equal(first_site(&report)->verdict, VERDICT_UNKNOWN);
	assert_true(fabs(report.watched_s - 14) < 1e-6 && report.last_watched_s < 0);
	report_release(&report);
	profile_free(profile);
}

static void test_exit_between_windows(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;

	(void)state;
	assert_int_equal(stream_alloc(&s, ADDR, 1, 100, 7), 0);
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, STREAM_S), 0);
	assert_int_equal(step(&s, STEP_FAULTS, 1, STREAM_S + 1), 0);
	assert_int_equal(stream_proc(&s, EVENT_EXIT, STREAM_PROC, "server"), 0);
	assert_int_equal(step(&s, STEP_EXACT, 1, 2 * STREAM_S), 0);
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 3 * STREAM_S), 0);
	report = report_of(profile);
	assert_int_equal(report.balance.released, 1);
	assert_int_equal(report.held_objects, 0);
	assert_int_equal(report.left_objects, 0);
	assert_int_equal(report.basis, BASIS_MIXED);
	assert_int_equal(report.nr_steps, 2);
	assert_true(fabs(report.step[0].at_s - 1) < 1e-6);
	assert_int_equal(report.step[0].mode, STEP_FAULTS);
	report_release(&report);
	profile_free(profile);
}

/* --- by comm and cgroup ------------------------------------------------------------------------- */

/* A process with its cgroup, and one caller of the allocator that lies elsewhere than in the others. */
static void add_process(struct stream *s, uint32_t slot, const char *comm, const char *cgroup)
{
	struct {
		struct record_target r;
		char strings[64];
	} target = {.r = {.head = {.kind = RECORD_TARGET, .proc = SEEP_PROC(slot, 1)},
			  .tgid = 1000 + slot}};
	struct {
		struct record_symbol r;
		struct record_symbol_frame frame;
		char strings[32];
	} symbol = {.r = {.head = {.kind = RECORD_SYMBOL, .proc = SEEP_PROC(slot, 1)},
			  .address = slot * 4096ull + 9,
			  .nr = 1},
		    .frame = {.line = 7, .offset = 0x1009}};
	struct {
		struct record_stack r;
		uint64_t frame[1];
	} stack = {.r = {.head = {.kind = RECORD_STACK, .proc = SEEP_PROC(slot, 1)},
			 .stack = slot,
			 .nr = 1},
		   .frame = {slot * 4096ull + 10}};

	/* the padding of 8 bytes is not a string of its own */
	(void)snprintf(target.strings, sizeof(target.strings), "%s%c/bin/x%c%s", comm, 0, 0,
		       cgroup);
	memcpy(symbol.strings, "main\0/bin/x\0x.c", sizeof("main\0/bin/x\0x.c"));
	assert_int_equal(s->take(s->arg, &target, sizeof(target)), 0);
	assert_int_equal(s->take(s->arg, &symbol, sizeof(symbol)), 0);
	assert_int_equal(s->take(s->arg, &stack, sizeof(stack)), 0);
}

static int alloc_of(struct stream *s, uint32_t slot, uint64_t birth_ns)
{
	struct event_alloc e = {.head = {.kind = EVENT_ALLOC,
					 .proc = SEEP_PROC(slot, 1),
					 .time_ns = STREAM_START_NS + birth_ns},
				.addr = ADDR + 16 * birth_ns,
				.sized = 100,
				.stack = slot};

	return s->take(s->arg, &e, sizeof(e));
}

static struct report report_by(struct profile *profile, enum report_by by)
{
	struct report_options options = {.by = by};
	struct report report;

	assert_int_equal(profile_report(profile, &options, &report), 0);
	return report;
}

/* Each second every process leaks a block; one in three ends before the end. */
static struct profile *many_processes(uint32_t nr)
{
	struct profile *profile = profile_new();
	struct stream s = stream_to(profile);
	struct event_proc ended = {.head = {.kind = EVENT_EXIT}};

	assert_int_equal(stream_run(&s, RUN_LEAKS), 0);
	for (uint32_t i = 1; i <= nr; i++)
		add_process(&s, i, i % 2 ? "odd" : "even", i <= nr / 2 ? "/low" : "/high");
	for (uint64_t tick = 0; tick < 20; tick++) {
		for (uint32_t i = 1; i <= nr; i++) {
			if (i % 3 || tick < 10)
				assert_int_equal(alloc_of(&s, i, tick * STREAM_S + i), 0);
			if (i % 3 || tick != 10)
				continue;
			ended.head.proc = SEEP_PROC(i, 1);
			ended.head.time_ns = STREAM_START_NS + tick * STREAM_S + i;
			assert_int_equal(s.take(s.arg, &ended, sizeof(ended)), 0);
		}
		assert_int_equal(stream_mark(&s, RECORD_TICK, 0, (tick + 1) * STREAM_S), 0);
	}
	return profile;
}

static void test_sites_of_a_comm(void **state)
{
	struct profile *profile = many_processes(12);
	struct report report = report_by(profile, BY_PROCESS);

	(void)state;
	assert_int_equal(report.nr_sites, 12);
	assert_int_equal(report.nr_groups, 12);
	report_release(&report);
	report = report_by(profile, BY_COMM);
	/* the same place of the same file, wherever it lies */
	assert_int_equal(report.nr_sites, 2);
	assert_int_equal(report.nr_groups, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct report_site *site = &report.site[i];
		const struct report_group *group = &report.group[i];

		assert_true(!strcmp(site->group, "odd") || !strcmp(site->group, "even"));
		assert_int_equal(site->nr_processes, 6);
		/* four go on to the end, two had ten blocks when they exited */
		assert_int_equal(site->live_objects, 80);
		assert_int_equal(site->held_objects, 20);
		assert_int_equal(site->alloc_objects, 100);
		assert_int_equal(group->nr_processes, 6);
		assert_int_equal(group->nr_exited, 2);
		assert_int_equal(group->live_bytes, 8000);
		assert_int_equal(group->held_bytes, 2000);
		assert_int_equal(group->alloc_bytes, 10000);
	}
	report_release(&report);
	report = report_by(profile, BY_CGROUP);
	assert_int_equal(report.nr_sites, 2);
	assert_true(!strcmp(report.site[0].group, "/low") ||
		    !strcmp(report.site[0].group, "/high"));
	report_release(&report);
	profile_free(profile);
}

/* What is done for each process, site and block is done once. */
static void test_many_processes(void **state)
{
	struct profile *profile = many_processes(2000);
	struct report report = report_by(profile, BY_COMM);

	(void)state;
	assert_int_equal(report.nr_sites, 2);
	assert_int_equal(report.nr_targets, 2000);
	assert_int_equal(report.balance.allocs, 2000 * 20 - 666 * 10);
	report_release(&report);
	/* heap, image, target, names, site and series of one that does little */
	assert_in_range(profile_memory_bytes(profile), 1, 2000 * 9 * KIB);
	profile_free(profile);
}

static void test_no_memory(void **state)
{
	struct profile *profile = many_processes(3);
	struct report_options options = {.by = BY_COMM};
	struct report report;
	int err;
	long nth;

	(void)state;
	for (nth = 1;; nth++) {
		allocfail_set(nth);
		err = profile_report(profile, &options, &report);
		if (!allocfail_hit())
			break;
		assert_int_equal(err, -ENOMEM);
	}
	allocfail_set(0);
	assert_int_equal(err, 0);
	assert_true(nth > 10);
	report_release(&report);
	profile_free(profile);
}

static void test_no_memory_between_windows(void **state)
{
	(void)state;
	for (long nth = 1; nth < 12; nth++) {
		struct stream s;
		struct profile *profile = new_profile(&s);
		struct report report;
		int err;

		assert_int_equal(stream_alloc(&s, ADDR, 1, 100, 7), 0);
		allocfail_set(nth);
		err = stream_mark(&s, RECORD_UNWATCHED, 0, STREAM_S);
		assert_int_equal(err, allocfail_hit() ? -ENOMEM : 0);
		(void)step(&s, STEP_EXACT, 1, 2 * STREAM_S);
		allocfail_set(0);
		report = report_of(profile);
		assert_int_equal(report.balance.released, 1);
		report_release(&report);
		profile_free(profile);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_values),
		cmocka_unit_test(test_tag_without_meaning),
		cmocka_unit_test(test_no_samples),
		cmocka_unit_test(test_unknown_frees),
		cmocka_unit_test(test_weights_that_are_given),
		cmocka_unit_test(test_what_is_left_of_a_window),
		cmocka_unit_test(test_exit_between_windows),
		cmocka_unit_test(test_sites_of_a_comm),
		cmocka_unit_test(test_many_processes),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_no_memory_between_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
