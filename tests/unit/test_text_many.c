/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text stays short, however much there is: the first of each kind, and one line for the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "out.h"
#include "stream.h"

#define TARGETS 5000
#define SITES 20000
#define STEPS 3000
#define TOP 20
#define ADDR 0x7f0000001000ull

static int feed(struct stream *s, const void *record, size_t nr)
{
	return s->take(s->arg, record, nr);
}

/* A stack of its own, with a block, a mapping and a page fault. */
static void add_site(struct stream *s, uint32_t i)
{
	const uint32_t proc = SEEP_PROC(1 + i % TARGETS, 1), stack = i + 1;
	const struct {
		struct record_stack r;
		uint64_t frame[2];
	} frames = {.r = {.head = {.kind = RECORD_STACK, .proc = proc}, .stack = stack, .nr = 2},
		    .frame = {0x400000 + 16ull * i, 0x500000}};
	const struct event_alloc alloc = {
		.head = {.kind = EVENT_ALLOC, .proc = proc, .time_ns = STREAM_START_NS + i},
		.addr = ADDR,
		.sized = 100 + i,
		.stack = stack};
	const struct event_vm map = {
		.head = {.kind = EVENT_MMAP, .proc = proc, .time_ns = STREAM_START_NS + i},
		.addr = ADDR + 4096ull * i,
		.length = 4096,
		.stack = stack};
	const struct event_fault fault = {
		.head = {.kind = EVENT_FAULT, .proc = proc, .time_ns = STREAM_START_NS + i},
		.addr = ADDR,
		.stack = stack};

	assert_int_equal(feed(s, &frames, sizeof(frames)), 0);
	assert_int_equal(feed(s, &alloc, sizeof(alloc)), 0);
	assert_int_equal(feed(s, &map, sizeof(map)), 0);
	assert_int_equal(feed(s, &fault, sizeof(fault)), 0);
}

static struct profile *many(void)
{
	struct profile *profile = profile_new();
	struct stream s = stream_to(profile);
	struct record_step step = {
		.mode = STEP_EXACT, .why = STEP_START, .period_bytes = 1, .duty_permille = 1000};
	char comm[16];

	assert_non_null(profile);
	assert_int_equal(stream_run(&s, RUN_LEAKS), 0);
	for (uint32_t i = 0; i < TARGETS; i++) {
		(void)snprintf(comm, sizeof(comm), "worker-%u", i);
		assert_int_equal(stream_target(&s, SEEP_PROC(1 + i, 1), 10000 + i, comm), 0);
	}
	for (uint32_t i = 0; i < SITES; i++)
		add_site(&s, i);
	for (uint64_t i = 0; i < STEPS; i++) {
		step.mode = i % 2 ? STEP_SAMPLED : STEP_EXACT;
		step.period_bytes = i % 2 ? 65536 : 1;
		assert_int_equal(stream_step(&s, &step, i * STREAM_S / STEPS), 0);
		step.why = STEP_ROOM;
	}
	assert_int_equal(stream_mark(&s, RECORD_END, 0, STREAM_S), 0);
	return profile;
}

static size_t count(const char *text, const char *what)
{
	size_t nr = 0;

	for (text = strstr(text, what); text; text = strstr(text + 1, what))
		nr++;
	return nr;
}

static void check_short(struct profile *profile, enum report_by by)
{
	struct report_options options = {.top = TOP, .by = by};
	struct strbuf out = {0};
	struct report report;

	assert_int_equal(profile_report(profile, &options, &report), 0);
	assert_int_equal(report.nr_sites_all, SITES);
	assert_int_equal(report.nr_mappings_all, SITES);
	assert_int_equal(report.nr_faults_all, SITES);
	assert_int_equal(report.nr_groups, TARGETS);
	assert_int_equal(out_text(&report, &out), 0);
	assert_int_equal(count(out.text, "seep leaks: 5,000 processes, "), 1);
	/* targets, groups and balances */
	assert_int_equal(count(out.text, "and 4,990 more"), 3);
	assert_int_equal(count(out.text, "20,000 sites shown (--top)"), 1);
	assert_int_equal(count(out.text, "    and 19,980 more (--top)\n"), 1);
	assert_int_equal(count(out.text, "    and 19,995 more (-f json)\n"), 1);
	assert_int_equal(count(out.text, "... 2,980 more steps (all of them: -f json)\n"), 1);
	assert_int_equal(count(out.text, " mapped in "), TOP);
	assert_int_equal(count(out.text, " minor/s, "), 1 + 5);
	assert_in_range(count(out.text, "\n"), 100, 400);
	assert_in_range(out.nr, 1, 32 * 1024);
	strbuf_release(&out);
	report_release(&report);
}

static void test_many_targets_and_sites(void **state)
{
	struct profile *profile = many();

	(void)state;
	check_short(profile, BY_PROCESS);
	check_short(profile, BY_COMM);
	profile_free(profile);
}

/* As many as fit are all there: a line that says "1 more" would be as long as the one left out. */
static void test_steps_that_fit(void **state)
{
	struct report_step step[22] = {{0}};
	struct report report = {.mode = 1, .last_watched_s = -1, .complete = true, .step = step};
	struct strbuf out = {0};

	(void)state;
	for (size_t i = 0; i < 22; i++)
		step[i].mode = 2;
	report.nr_steps = 21;
	assert_int_equal(out_text(&report, &out), 0);
	assert_int_equal(count(out.text, "\nat 0.0 s: "), 21);
	assert_int_equal(count(out.text, "more steps"), 0);
	strbuf_clear(&out);
	report.nr_steps = 22;
	assert_int_equal(out_text(&report, &out), 0);
	assert_int_equal(count(out.text, "\nat 0.0 s: "), 20);
	assert_int_equal(count(out.text, "... 2 more steps "), 1);
	strbuf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_targets_and_sites),
		cmocka_unit_test(test_steps_that_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
