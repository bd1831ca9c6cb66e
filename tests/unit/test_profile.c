/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records in: what they do to the balance, in whatever order they come. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "hash.h"
#include "out.h"
#include "stream.h"

#define ADDR UINT64_C(0x7f0000001000)
#define MAX_EVENTS 4096

static const struct report_options everything = {.allocator_frames = true};

static struct profile *new_profile(struct stream *s, uint32_t mode)
{
	struct profile *profile = profile_new();

	assert_non_null(profile);
	*s = stream_to(profile);
	assert_int_equal(stream_run(s, mode), 0);
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

static struct report_balance balance_of(struct profile *profile)
{
	struct report report = report_of(profile);
	struct report_balance balance = report.balance;

	report_release(&report);
	return balance;
}

/* All that a report says. */
static char *text_of(struct profile *profile)
{
	struct report report = report_of(profile);
	struct strbuf out = {0};

	assert_int_equal(out_report(&report, OUT_JSON, &out), 0);
	report_release(&report);
	return out.text;
}

/* --- the same events in other orders --- */

struct event {
	size_t nr;
	union {
		struct event_head head;
		struct event_alloc alloc;
		struct event_free free;
		struct event_proc proc;
	};
};

struct events {
	struct event item[MAX_EVENTS];
	size_t nr;
	uint64_t allocs, frees, live, live_bytes; /* by the model */
};

static struct event *new_event(struct events *events, uint16_t kind, uint32_t proc,
			       uint64_t time_ns)
{
	struct event *event = &events->item[events->nr++];

	assert_true(events->nr <= MAX_EVENTS);
	memset(event, 0, sizeof(*event));
	event->head.kind = kind;
	event->head.proc = proc;
	event->head.time_ns = STREAM_START_NS + time_ns;
	return event;
}

static void add_alloc(struct events *events, uint32_t proc, uint64_t addr, uint64_t birth)
{
	struct event *event = new_event(events, EVENT_ALLOC, proc, birth);

	event->nr = sizeof(event->alloc);
	event->alloc.addr = addr;
	event->alloc.sized = 1 + birth % 97;
	event->alloc.stack = 1 + (uint32_t)(addr >> 4) % 5;
	events->allocs++;
	events->live++;
	events->live_bytes += event->alloc.sized;
}

static void add_free(struct events *events, uint32_t proc, uint64_t addr, uint64_t birth,
		     uint16_t flags)
{
	struct event *event = new_event(events, EVENT_FREE, proc, birth + 1 + birth % 13);

	event->nr = sizeof(event->free);
	event->head.flags = flags;
	event->free.addr = addr;
	event->free.birth_ns = STREAM_START_NS + birth;
	event->free.sized = 1 + birth % 97;
	event->free.stack = 1 + (uint32_t)(addr >> 4) % 5;
	events->frees++;
	events->live--;
	events->live_bytes -= event->free.sized;
}

/* Says again what an allocation said: a failed realloc put its old block back. */
static void add_restored(struct events *events, const struct event *alloc)
{
	struct event *event = &events->item[events->nr++];

	assert_true(events->nr <= MAX_EVENTS);
	*event = *alloc;
	event->head.flags = ALLOC_RESTORED;
}

static void add_proc(struct events *events, uint16_t kind, uint32_t proc)
{
	struct event *event = new_event(events, kind, proc, 5000);

	event->nr = sizeof(event->proc);
	event->proc.tgid = STREAM_TGID;
	memcpy(event->proc.comm, "second", 7);
}

/* Blocks that come and go at few addresses, with every flag that events from the kernel bear. */
static void add_life(struct events *events, uint32_t proc, uint64_t seed, size_t nr)
{
	uint64_t live[7] = {0}, random, birth;

	for (size_t i = 0; i < nr; i++) {
		random = hash_pair(seed, i);
		birth = 10 + i * 17;
		if (live[random % 7])
			add_free(events, proc, ADDR + random % 7 * 16, live[random % 7],
				 random & 256 ? FREE_REPLACED : 0);
		live[random % 7] = random & 512 ? birth : 0;
		if (!live[random % 7])
			continue;
		add_alloc(events, proc, ADDR + random % 7 * 16, birth);
		if (random & 1024)
			add_restored(events, &events->item[events->nr - 1]);
	}
}

static void shuffle(struct events *events, uint64_t seed)
{
	for (size_t i = events->nr; i > 1; i--) {
		size_t j = hash_pair(seed, i) % i;
		struct event event = events->item[i - 1];

		events->item[i - 1] = events->item[j];
		events->item[j] = event;
	}
}

static char *report_of_events(const struct events *events, struct report_balance *balance)
{
	struct stream s;
	struct profile *profile = new_profile(&s, RUN_LEAKS);
	char *text;

	for (size_t i = 0; i < events->nr; i++)
		assert_int_equal(profile_feed(profile, &events->item[i].head, events->item[i].nr),
				 0);
	(void)balance_of(profile); /* sums up in the middle of things too */
	for (uint64_t t = 1; t <= 7; t++)
		assert_int_equal(stream_mark(&s, RECORD_TICK, 0, t * STREAM_S), 0);
	assert_int_equal(stream_mark(&s, RECORD_END, 0, 8 * STREAM_S), 0);
	*balance = balance_of(profile);
	text = text_of(profile);
	profile_free(profile);
	return text;
}

static void check_all_orders(struct events *events, int rounds, struct report_balance *balance)
{
	char *expected = report_of_events(events, balance), *text;

	for (int i = 1; i <= rounds; i++) {
		shuffle(events, (uint64_t)i);
		text = report_of_events(events, balance);
		assert_string_equal(text, expected);
		free(text);
	}
	free(expected);
}

static void test_any_order(void **state)
{
	static struct events events;
	struct report_balance b;

	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		events = (struct events){.nr = 0};
		add_life(&events, STREAM_PROC, seed, 997);
		check_all_orders(&events, 11, &b);
		assert_int_equal(b.allocs, events.allocs);
		assert_int_equal(b.frees, events.frees);
		assert_int_equal(b.live, events.live);
		assert_int_equal(b.live_bytes, events.live_bytes);
		assert_int_equal(b.released, 0);
		assert_true(b.missed_frees > 50);
	}
}

/* Every one of the 720 orders of a few. */
static void permute(struct events *events, size_t from, const char *expected)
{
	struct report_balance b;
	char *text;

	if (from == events->nr) {
		text = report_of_events(events, &b);
		assert_string_equal(text, expected);
		free(text);
		return;
	}
	for (size_t i = from; i < events->nr; i++) {
		struct event first = events->item[i];

		events->item[i] = events->item[from];
		events->item[from] = first;
		permute(events, from + 1, expected);
		events->item[from] = events->item[i];
		events->item[i] = first;
	}
}

static void test_every_order_of_six(void **state)
{
	static struct events events;
	struct report_balance b;
	char *expected;

	(void)state;
	events = (struct events){.nr = 0};
	add_alloc(&events, STREAM_PROC, ADDR, 11);
	add_restored(&events, &events.item[0]);
	add_free(&events, STREAM_PROC, ADDR, 11, 0);
	add_alloc(&events, STREAM_PROC, ADDR, 31);
	add_proc(&events, EVENT_EXEC, STREAM_PROC + 0x10000);
	add_alloc(&events, STREAM_PROC + 0x10000, ADDR, 41);
	expected = report_of_events(&events, &b);
	assert_int_equal(b.allocs, 3);
	assert_int_equal(b.frees, 1);
	assert_int_equal(b.released, 1);
	assert_int_equal(b.live, 1);
	permute(&events, 0, expected);
	free(expected);
}

/* Three images of one process, whose events arrive mixed. */
static void test_exec_and_exit_in_any_order(void **state)
{
	static struct events events;
	struct report_balance b;
	uint64_t live_at_exec;

	(void)state;
	events = (struct events){.nr = 0};
	add_life(&events, STREAM_PROC, 1, 503);
	add_life(&events, STREAM_PROC + 0x10000, 2, 503);
	live_at_exec = events.live;
	add_proc(&events, EVENT_EXEC, STREAM_PROC + 0x10000);
	add_proc(&events, EVENT_EXEC, STREAM_PROC + 0x20000);
	add_life(&events, STREAM_PROC + 0x20000, 3, 503);
	check_all_orders(&events, 23, &b);
	assert_int_equal(b.allocs, events.allocs);
	assert_int_equal(b.frees, events.frees);
	assert_int_equal(b.released, live_at_exec);
	assert_int_equal(b.live, events.live - live_at_exec);
	add_proc(&events, EVENT_EXIT, STREAM_PROC + 0x20000);
	check_all_orders(&events, 23, &b);
	assert_int_equal(b.allocs, events.allocs);
	assert_int_equal(b.released, events.live);
	assert_int_equal(b.live, 0);
}

/* Ring full at the moment of the exec: its event is lost, but what follows bears a new incarnation. */
static void test_exec_event_lost(void **state)
{
	static struct events events;
	struct report_balance b;

	(void)state;
	events = (struct events){.nr = 0};
	add_life(&events, STREAM_PROC, 1, 101);
	b.live = events.live;
	add_alloc(&events, STREAM_PROC + 0x10000, ADDR, 7);
	check_all_orders(&events, 7, &b);
	assert_int_equal(b.live, 1);
	assert_int_equal(b.released, events.live - 1);
}

static void test_two_processes_with_equal_addresses(void **state)
{
	static struct events events;
	struct report_balance b;

	(void)state;
	events = (struct events){.nr = 0};
	add_life(&events, STREAM_PROC, 1, 499);
	add_life(&events, SEEP_PROC(2, 1), 1, 499);
	check_all_orders(&events, 7, &b);
	assert_int_equal(b.allocs, events.allocs);
	assert_int_equal(b.live, events.live);
	assert_int_equal(b.live % 2, 0);
}

/* --- losses --- */

static void test_marks_expire(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s, RUN_LEAKS);
	struct heap_block block = stream_block(ADDR, 5, 13, 7), late = block;
	struct report_balance b;

	(void)state;
	assert_int_equal(stream_free(&s, &block, 9, 0), 0);
	b = balance_of(profile);
	assert_int_equal(b.allocs, 1);
	assert_int_equal(b.frees, 1);
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 3 * STREAM_S), 0);
	/* not yet: its allocation may be on another ring */
	assert_int_equal(stream_alloc(&s, ADDR, 5, 13, 7), 0);
	assert_int_equal(balance_of(profile).live, 0);
	late.addr += 16;
	assert_int_equal(stream_free(&s, &late, 9, 0), 0);
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 4 * STREAM_S), 0);
	b = balance_of(profile);
	assert_int_equal(b.allocs, 2);
	assert_int_equal(b.frees, 2);
	assert_int_equal(b.live, 0);
	assert_int_equal(b.allocated_bytes, 26);
	profile_free(profile);
}

static int feed_flagged_alloc(struct profile *profile, uint64_t birth, uint16_t flags)
{
	struct event_alloc e = {.head = {.kind = EVENT_ALLOC,
					 .flags = flags,
					 .proc = STREAM_PROC,
					 .time_ns = STREAM_START_NS + birth},
				.addr = ADDR,
				.sized = 13,
				.stack = 7};

	return profile_feed(profile, &e, sizeof(e));
}

/* What a resync reads from the block map, and the block's own events after it in any order. */
static void test_recovered_blocks(void **state)
{
	struct heap_block block = stream_block(ADDR, 5, 13, 7);

	(void)state;
	for (int order = 0; order < 4; order++) {
		struct stream s;
		struct profile *profile = new_profile(&s, RUN_LEAKS);
		struct report_balance b;

		assert_int_equal(feed_flagged_alloc(profile, 5, ALLOC_RECOVERED), 0);
		assert_int_equal(balance_of(profile).live, 1);
		if (order & 1)
			assert_int_equal(feed_flagged_alloc(profile, 5, 0), 0);
		assert_int_equal(stream_free(&s, &block, 9, 0), 0);
		if (order & 2)
			assert_int_equal(feed_flagged_alloc(profile, 5, 0), 0);
		if (order == 3) {
			/* the same event twice from the ring cannot be: nobody allows for that */
			profile_free(profile);
			continue;
		}
		assert_int_equal(stream_mark(&s, RECORD_END, 0, STREAM_S), 0);
		b = balance_of(profile);
		assert_int_equal(b.allocs, 1);
		assert_int_equal(b.frees, 1);
		assert_int_equal(b.live, 0);
		profile_free(profile);
	}
}

static void test_resync(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s, RUN_LEAKS);
	struct heap_block block = stream_block(ADDR, 5, 13, 7);
	struct report_balance b;

	(void)state;
	assert_int_equal(stream_alloc(&s, ADDR, 5, 13, 7), 0);
	assert_int_equal(stream_free(&s, &block, 9, FREE_RESYNC), 0);
	assert_int_equal(stream_mark(&s, RECORD_RESYNC, 0, 10), 0);
	b = balance_of(profile);
	assert_int_equal(b.frees, 1);
	assert_int_equal(b.frees_by_resync, 1);
	assert_int_equal(b.resyncs, 1);
	/* its event was only late */
	assert_int_equal(stream_free(&s, &block, 8, 0), 0);
	assert_int_equal(stream_free(&s, &block, 9, FREE_RESYNC), 0);
	b = balance_of(profile);
	assert_int_equal(b.allocs, 1);
	assert_int_equal(b.frees, 1);
	profile_free(profile);
}

/* A resync looks while a realloc has its old block out of the block map; then the realloc fails. */
static void test_resync_during_a_failing_realloc(void **state)
{
	struct heap_block block = stream_block(ADDR, 5, 13, 7);

	(void)state;
	for (int again = 0; again < 2; again++) {
		struct stream s;
		struct profile *profile = new_profile(&s, RUN_LEAKS);
		struct report report;

		assert_int_equal(stream_alloc(&s, ADDR, 5, 13, 7), 0);
		assert_int_equal(stream_free(&s, &block, 9, FREE_RESYNC), 0);
		/* told by the realloc itself, or, when that is lost, by the next resync */
		assert_int_equal(
			feed_flagged_alloc(profile, 5, again ? ALLOC_RECOVERED : ALLOC_RESTORED),
			0);
		report = report_of(profile);
		assert_int_equal(report.balance.allocs, 1);
		assert_int_equal(report.balance.live, 1);
		assert_int_equal(report.balance.frees_by_resync, 0);
		assert_int_equal(report.site[0].free_objects, 0);
		assert_int_equal(report.site[0].live_bytes, 13);
		report_release(&report);
		profile_free(profile);
	}
}

/* A failed realloc could not put its block back: it counts as lost, before an exec or after it. */
static void test_lost_by_a_failed_realloc(void **state)
{
	struct heap_block block = stream_block(ADDR, 5, 13, 7);

	(void)state;
	for (int after = 0; after < 2; after++) {
		struct stream s;
		struct profile *profile = new_profile(&s, RUN_LEAKS);
		struct report report;

		assert_int_equal(stream_alloc(&s, ADDR, 5, 13, 7), 0);
		if (after)
			assert_int_equal(stream_proc(&s, EVENT_EXEC, STREAM_PROC + 0x10000, "next"),
					 0);
		assert_int_equal(stream_free(&s, &block, 5, FREE_LOST), 0);
		assert_int_equal(stream_counter(&s, STREAM_PROC, STAT_LOST_ALLOCS, 1), 0);
		report = report_of(profile);
		assert_int_equal(report.balance.allocs, 1);
		assert_int_equal(report.balance.lost_allocs, 1);
		assert_int_equal(report.balance.frees, 0);
		assert_int_equal(report.site[0].free_objects, 0);
		assert_int_equal(report.site[0].live_objects, 0);
		assert_false(report.complete);
		report_release(&report);
		profile_free(profile);
	}
}

/* The block was declared gone, its process ends, and then its own free comes: the sum holds. */
static void test_duplicate_after_the_end(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s, RUN_LEAKS);
	struct heap_block block = stream_block(ADDR, 5, 13, 7);

	(void)state;
	assert_int_equal(stream_alloc(&s, ADDR, 5, 13, 7), 0);
	assert_int_equal(stream_free(&s, &block, 9, FREE_RESYNC), 0);
	assert_int_equal(stream_proc(&s, EVENT_EXIT, STREAM_PROC, "server"), 0);
	assert_int_equal(stream_free(&s, &block, 9, 0), 0);
	assert_int_equal(balance_of(profile).live, 0);
	profile_free(profile);
}

/* Blocks that came and went while events were being lost are in the kernel's counters alone. */
static void test_pairs_that_nobody_saw(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s, RUN_LEAKS);
	uint64_t counter[STAT_NR] = {[STAT_ALLOCS] = 103,
				     [STAT_LOST_EVENTS] = 7,
				     [STAT_LOST_ALLOCS] = 2,
				     [STAT_FAILED_ALLOCS] = 3,
				     [STAT_FREES_UNKNOWN] = 5};
	struct report_balance b;

	(void)state;
	assert_int_equal(stream_alloc(&s, ADDR, 5, 13, 7), 0);
	assert_int_equal(stream_counters(&s, STREAM_PROC, counter), 0);
	b = balance_of(profile);
	assert_int_equal(b.allocs, 3);
	assert_int_equal(stream_mark(&s, RECORD_END, 0, STREAM_S), 0);
	b = balance_of(profile);
	assert_int_equal(b.allocs, 103);
	assert_int_equal(b.live, 1);
	assert_int_equal(b.lost_allocs, 2);
	assert_int_equal(b.frees, 100);
	assert_int_equal(b.frees_by_resync, 100);
	assert_int_equal(b.lost_events, 7);
	assert_int_equal(b.failed_allocs, 3);
	assert_int_equal(b.frees_unknown, 5);
	profile_free(profile);
}

/* --- what is refused --- */

static void test_start_and_end(void **state)
{
	struct profile *profile = profile_new();
	struct stream s = stream_to(profile);

	(void)state;
	assert_int_equal(stream_alloc(&s, ADDR, 5, 13, 7), -EBADMSG);
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 1), -EBADMSG);
	assert_false(profile_is_started(profile));
	assert_int_equal(stream_run(&s, RUN_LEAKS), 0);
	assert_true(profile_is_started(profile));
	assert_int_equal(stream_run(&s, RUN_LEAKS), -EBADMSG);
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 2 * STREAM_S), 0);
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, STREAM_S), -EBADMSG);
	assert_int_equal(stream_mark(&s, RECORD_END, 0, STREAM_S), -EBADMSG);
	assert_int_equal(stream_mark(&s, RECORD_END, 0, 2 * STREAM_S), 0);
	assert_int_equal(stream_alloc(&s, ADDR, 5, 13, 7), -EBADMSG);
	assert_int_equal(stream_free(&s, &(struct heap_block){.addr = 1}, 2, 0), -EBADMSG);
	assert_int_equal(stream_mark(&s, RECORD_END, 0, 2 * STREAM_S), -EBADMSG);
	assert_int_equal(profile_nr_live(profile), 0);
	profile_free(profile);
	profile_free(NULL);
}

/* A record that is refused changes nothing: neither the report nor the memory. */
static void test_refused_changes_nothing(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s, RUN_LEAKS);
	uint64_t record[32] = {0};
	struct event_head *head = (struct event_head *)record;
	char *before, *after;
	uint64_t memory;

	(void)state;
	assert_int_equal(
		stream_mapping(&s, &(struct record_mapping){.start = 4096, .end = 8192}, "[heap]"),
		0);
	assert_int_equal(stream_alloc(&s, ADDR, 5, 13, 7), 0);
	before = text_of(profile);
	memory = profile_memory_bytes(profile);
	/* unordered, of a process that nobody knows, of any kind and length */
	assert_int_equal(
		stream_mapping(&s, &(struct record_mapping){.start = 1, .end = 4096 + 1}, "new"),
		-EBADMSG);
	for (unsigned int kind = 0; kind < RECORD_KIND_NR + 3; kind++) {
		memset(record, 0xff, sizeof(record));
		head->kind = (uint16_t)kind;
		head->proc = SEEP_PROC(9, 9);
		for (size_t nr = 0; nr < 16; nr += 4)
			assert_int_equal(profile_feed(profile, record, nr), -EBADMSG);
		if (kind && kind < EVENT_KIND_NR)
			continue;
		if (kind == RECORD_TICK || kind == RECORD_RESYNC || kind == RECORD_END ||
		    kind == RECORD_UNWATCHED || kind == RECORD_COUNTERS ||
		    kind == RECORD_CPU_TIME || kind == RECORD_OVERHEAD)
			continue;
		for (size_t nr = 16; nr <= sizeof(record); nr += 8)
			assert_int_equal(profile_feed(profile, record, nr), -EBADMSG);
	}
	after = text_of(profile);
	assert_string_equal(after, before);
	assert_int_equal(profile_memory_bytes(profile), memory);
	free(before);
	free(after);
	profile_free(profile);
}

/* --- no memory --- */

static int feed_scene(struct stream *s)
{
	struct heap_block block = stream_block(ADDR, 5, 13, 7);
	struct event_vm map = {.addr = 1 << 20, .length = 1 << 13, .stack = 7};

	(void)stream_target(s, STREAM_PROC, STREAM_TGID, "server");
	(void)stream_mapping(s, &(struct record_mapping){.start = 4096, .end = 8192}, "/lib/x.so");
	(void)stream_named_stack(s, 7, "leak handle main");
	(void)stream_probe(s, "malloc", 7, PROBE_RETURN);
	(void)stream_alloc(s, ADDR, 5, 13, 7);
	(void)stream_alloc(s, ADDR + 16, 6, 17, 7);
	(void)stream_free(s, &block, 9, 0);
	block.addr += 32;
	(void)stream_free(s, &block, 9, 0);
	block.addr -= 16;
	block.birth_ns++;
	(void)stream_free(s, &block, 9, FREE_RESYNC);
	(void)stream_vm(s, EVENT_MMAP, 7, &map);
	(void)stream_fault(s, 5000, 7, FAULT_MAJOR);
	(void)stream_counter(s, STREAM_PROC, STAT_STALE_CALLS, 3);
	(void)stream_mark(s, RECORD_TICK, 0, STREAM_S);
	(void)stream_proc(s, EVENT_EXEC, STREAM_PROC + 0x10000, "next");
	(void)stream_alloc(s, ADDR, 50, 13, 8);
	(void)stream_mark(s, RECORD_TICK, 0, 5 * STREAM_S);
	return stream_mark(s, RECORD_END, 0, 9 * STREAM_S);
}

static int only_no_memory(void *arg, const void *record, size_t nr)
{
	int err = profile_feed(arg, record, nr);

	assert_true(err == 0 || err == -ENOMEM);
	return err;
}

static void test_no_memory_for_records(void **state)
{
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		struct profile *profile = profile_new();
		struct stream s = {.take = only_no_memory, .arg = profile};

		assert_int_equal(stream_run(&s, RUN_LEAKS), 0);
		allocfail_set(nth);
		(void)feed_scene(&s);
		failed = allocfail_hit();
		allocfail_set(0);
		(void)balance_of(profile);
		profile_free(profile);
		assert_true(nth < 1000);
	}
	allocfail_set(1);
	assert_null(profile_new());
	allocfail_set(0);
}

static void test_no_memory_for_a_report(void **state)
{
	(void)state;
	for (uint32_t mode = RUN_LEAKS; mode <= RUN_FAULTS; mode++) {
		struct stream s;
		struct profile *profile = new_profile(&s, mode);
		struct report report = {.mode = 99};
		int err = -ENOMEM;

		assert_int_equal(feed_scene(&s), 0);
		for (long nth = 1; err; nth++) {
			allocfail_set(nth);
			err = profile_report(profile, &everything, &report);
			allocfail_set(0);
			assert_true(!err || (err == -ENOMEM && report.mode == 99));
		}
		assert_int_equal(report.mode, mode);
		report_release(&report);
		profile_free(profile);
	}
}

/* --- mappings and faults --- */

static void test_mappings_in_any_order(void **state)
{
	static const struct event_vm map = {.addr = 0x10000, .length = 0x4000, .stack = 7};
	static const struct event_vm hole = {.addr = 0x11000, .length = 0x1000};
	static const struct event_vm again = {.addr = 0x11000, .length = 0x1000, .stack = 8};

	(void)state;
	for (int order = 0; order < 6; order++) {
		struct stream s;
		struct profile *profile = new_profile(&s, RUN_LEAKS);
		struct report report;

		assert_false(stream_named_stack(&s, 7, "f main") || stream_named_stack(&s, 8, "g"));
		assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 25), 0);
		for (int i = 0; i < 3; i++) {
			int which = (order < 3 ? order + i : order - i + 3) % 3;

			if (which == 0)
				assert_int_equal(stream_vm(&s, EVENT_MMAP, 10, &map), 0);
			else if (which == 1)
				assert_int_equal(stream_vm(&s, EVENT_MUNMAP, 20, &hole), 0);
			else
				assert_int_equal(stream_vm(&s, EVENT_MMAP, 30, &again), 0);
		}
		assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 40), 0);
		report = report_of(profile);
		assert_int_equal(report.nr_mappings, 1);
		assert_int_equal(report.mapping[0].live_bytes, 0x3000);
		assert_int_equal(report.mapping[0].live_mappings, 2);
		assert_int_equal(report.mapping[0].mapped_bytes, 0x4000);
		report_release(&report);
		assert_int_equal(stream_mark(&s, RECORD_END, 0, 41), 0);
		report = report_of(profile);
		assert_int_equal(report.nr_mappings, 2);
		assert_int_equal(report.mapping[1].live_bytes, 0x1000);
		report_release(&report);
		profile_free(profile);
	}
}

/* What was told of and is not counted yet may have mapped something; what has gone has not. */
static void test_whether_there_are_mappings(void **state)
{
	static const struct event_vm map = {.addr = 0x10000, .length = 0x4000, .stack = 7};
	struct stream s;
	struct profile *profile = new_profile(&s, RUN_LEAKS);

	(void)state;
	assert_false(profile_has_mappings(profile, STREAM_PROC));
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 5), 0);
	assert_int_equal(stream_vm(&s, EVENT_MUNMAP, 10, &map), 0);
	assert_false(profile_has_mappings(profile, STREAM_PROC));
	assert_int_equal(stream_vm(&s, EVENT_MMAP, 20, &map), 0);
	assert_true(profile_has_mappings(profile, STREAM_PROC));
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 25), 0);
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 30), 0);
	assert_true(profile_has_mappings(profile, STREAM_PROC));
	assert_false(profile_has_mappings(profile, STREAM_PROC + 1));
	assert_int_equal(stream_vm(&s, EVENT_MUNMAP, 35, &map), 0);
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 40), 0);
	assert_int_equal(stream_mark(&s, RECORD_TICK, 0, 45), 0);
	assert_false(profile_has_mappings(profile, STREAM_PROC));
	profile_free(profile);
}

static void test_remap_and_brk(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s, RUN_LEAKS);
	struct report report;

	(void)state;
	assert_int_equal(
		stream_vm(&s, EVENT_MMAP, 1,
			  &(struct event_vm){.addr = 0x10000, .length = 0x2000, .stack = 7}),
		0);
	assert_int_equal(stream_vm(&s, EVENT_MREMAP, 2,
				   &(struct event_vm){.addr = 0x80000,
						      .length = 0x5000,
						      .old_addr = 0x10000,
						      .old_length = 0x2000,
						      .stack = 7}),
			 0);
	/* not moved: only asked where it is */
	assert_int_equal(
		stream_vm(&s, EVENT_BRK, 3, &(struct event_vm){.addr = 0x5000, .stack = 7}), 0);
	assert_int_equal(
		stream_vm(&s, EVENT_BRK, 4,
			  &(struct event_vm){.addr = 0x9000, .old_addr = 0x5000, .stack = 7}),
		0);
	assert_int_equal(
		stream_vm(&s, EVENT_BRK, 5,
			  &(struct event_vm){.addr = 0x6000, .old_addr = 0x9000, .stack = 7}),
		0);
	assert_int_equal(stream_mark(&s, RECORD_END, 0, 6), 0);
	report = report_of(profile);
	assert_int_equal(report.nr_mappings, 2);
	assert_string_equal(report.mapping[0].kind, "mmap");
	assert_int_equal(report.mapping[0].live_bytes, 0x5000);
	assert_int_equal(report.mapping[0].mapped_bytes, 0x5000);
	assert_string_equal(report.mapping[1].kind, "brk");
	assert_int_equal(report.mapping[1].live_bytes, 0x1000);
	assert_int_equal(report.mapping[1].mapped_bytes, 0x4000);
	report_release(&report);
	profile_free(profile);
}

static void test_mappings_go_with_an_exec(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s, RUN_LEAKS);
	struct report report;

	(void)state;
	assert_int_equal(
		stream_vm(&s, EVENT_MMAP, 1, &(struct event_vm){.addr = 0x10000, .length = 0x2000}),
		0);
	assert_int_equal(stream_proc(&s, EVENT_EXEC, STREAM_PROC + 0x10000, "next"), 0);
	assert_int_equal(stream_mark(&s, RECORD_END, 0, 6), 0);
	report = report_of(profile);
	assert_int_equal(report.nr_mappings, 0);
	assert_string_equal(report.target[0].comm, "next");
	assert_false(report.target[0].exited);
	report_release(&report);
	profile_free(profile);
}

struct place {
	uint64_t start;
	uint16_t flags;
	const char *path, *kind;
};

static void test_kinds_of_faults(void **state)
{
	static const struct place place[] = {
		{0x1000, MAPPING_FILE | MAPPING_EXEC, "/usr/bin/server", "file"},
		{0x3000, MAPPING_WRITE, "[heap]", "heap"},
		{0x5000, MAPPING_WRITE, "", "anon"},
		{0x7000, MAPPING_WRITE, "[anon:cache]", "anon"},
		{0x9000, MAPPING_FILE, "/dev/shm/pool", "shmem"},
		{0xb000, MAPPING_FILE, "/memfd:x (deleted)", "shmem"},
		{0xd000, MAPPING_SHARED, "[anon_shmem:x]", "shmem"},
		{0xf000, MAPPING_WRITE, "[stack]", "stack"},
		{0x11000, 0, "[vdso]", "special"},
	};
	struct stream s;
	struct profile *profile = new_profile(&s, RUN_FAULTS);
	struct report report;
	const size_t nr = sizeof(place) / sizeof(place[0]);

	(void)state;
	/* the second snapshot replaces the first */
	for (size_t i = 0; i < 2 * nr; i++) {
		struct record_mapping r = {.head.flags = place[i % nr].flags |
							 (i % nr ? 0 : MAPPING_FIRST),
					   .start = place[i % nr].start,
					   .end = place[i % nr].start + 0x1000};

		assert_int_equal(stream_mapping(&s, &r, place[i % nr].path), 0);
	}
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(stream_fault(&s, place[i].start, (uint32_t)i + 1, 0), 0);
		assert_int_equal(
			stream_fault(&s, place[i].start + 0xfff, (uint32_t)i + 1, FAULT_MAJOR), 0);
		assert_int_equal(stream_fault(&s, place[i].start + 0x1000, 99, 0), 0);
	}
	assert_int_equal(stream_mark(&s, RECORD_END, 0, STREAM_S), 0);
	report = report_of(profile);
	assert_int_equal(report.nr_kinds, 7);
	for (size_t i = 0; i < report.nr_kinds; i++) {
		uint64_t expected = 0;

		for (size_t j = 0; j < nr; j++)
			expected += !strcmp(place[j].kind, report.kind[i].kind);
		assert_int_equal(report.kind[i].major, expected);
		/* the heap and the stack have grown into the gaps beside them */
		if (!strcmp(report.kind[i].kind, "heap") || !strcmp(report.kind[i].kind, "stack"))
			expected++;
		assert_int_equal(report.kind[i].minor, expected ? expected : nr - 2);
	}
	report_release(&report);
	profile_free(profile);
}

/* --- the rest --- */

struct wanted {
	uint64_t address[16];
	size_t nr;
};

static void want(uint32_t proc, uint64_t address, void *arg)
{
	struct wanted *wanted = arg;

	assert_int_equal(proc, STREAM_PROC);
	assert_true(wanted->nr < 16);
	wanted->address[wanted->nr++] = address;
}

static void test_unnamed(void **state)
{
	static const uint64_t frame[] = {0x1000, 0x2000, 0x3000};
	struct stream s;
	struct profile *profile = new_profile(&s, RUN_LEAKS);
	struct wanted wanted = {.nr = 0};

	(void)state;
	assert_true(profile_knows_stack(profile, SEEP_STACK_UNKNOWN));
	assert_false(profile_knows_stack(profile, 5));
	assert_int_equal(stream_stack(&s, 5, STACK_PRECISE_PC, frame, 3), 0);
	assert_true(profile_knows_stack(profile, 5));
	profile_unnamed(profile, want, &wanted);
	assert_int_equal(wanted.nr, 3);
	assert_int_equal(wanted.address[0], 0x1000);
	assert_int_equal(wanted.address[1], 0x1fff);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x1fff, "f|m"), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x2fff, ""), 0);
	wanted.nr = 0;
	profile_unnamed(profile, want, &wanted);
	assert_int_equal(wanted.nr, 1);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x1000, "f|m"), 0);
	profile_unnamed(profile, want, &wanted);
	assert_int_equal(wanted.nr, 1);
	profile_free(profile);
}

static void test_overhead(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s, RUN_LEAKS);
	uint64_t counter[STAT_NR] = {[STAT_ENTRY_HITS] = 1000, [STAT_FREE_HITS] = 500};
	struct report report = report_of(profile);

	(void)state;
	assert_true(report.measured_pct < 0);
	report_release(&report);
	assert_int_equal(stream_probe(&s, "malloc", 1000, PROBE_RETURN | PROBE_EMULATED), 0);
	assert_int_equal(stream_probe(&s, "memalign", 9000, PROBE_RETURN), 0);
	assert_int_equal(stream_probe(&s, "free", 2000, PROBE_EMULATED), 0);
	assert_int_equal(stream_counters(&s, STREAM_PROC, counter), 0);
	/* a process that we start has used no time at all at first */
	assert_int_equal(stream_cpu_time(&s, STREAM_PROC, 0), 0);
	assert_int_equal(stream_cpu_time(&s, STREAM_PROC, 22000000), 0);
	report = report_of(profile);
	assert_true(report.measured_pct > 9.99 && report.measured_pct < 10.01);
	assert_int_equal(report.nr_probes, 3);
	assert_true(report.probe[0].emulated && report.probe[0].with_return);
	assert_false(report.probe[1].emulated || report.probe[2].with_return);
	report_release(&report);
	profile_free(profile);
}

static void test_losses_and_completeness(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s, RUN_LEAKS);
	uint64_t counter[STAT_NR] = {[STAT_STALE_CALLS] = 3};
	struct report report;

	(void)state;
	assert_int_equal(stream_counters(&s, STREAM_PROC, counter), 0);
	report = report_of(profile);
	assert_true(report.complete);
	assert_int_equal(report.nr_losses, 1);
	assert_string_equal(report.loss[0].name, "stale_calls");
	assert_int_equal(report.loss[0].count, 3);
	report_release(&report);
	counter[STAT_NO_THREAD_STATE] = 5;
	assert_int_equal(stream_counters(&s, STREAM_PROC, counter), 0);
	assert_int_equal(stream_mark(&s, RECORD_END, END_INTERRUPTED, 5), 0);
	report = report_of(profile);
	assert_false(report.complete);
	assert_string_equal(report.incomplete_why, "no_thread_state");
	assert_true(report.final);
	report_release(&report);
	profile_free(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_every_order_of_six),
		cmocka_unit_test(test_exec_and_exit_in_any_order),
		cmocka_unit_test(test_exec_event_lost),
		cmocka_unit_test(test_two_processes_with_equal_addresses),
		cmocka_unit_test(test_marks_expire),
		cmocka_unit_test(test_recovered_blocks),
		cmocka_unit_test(test_resync),
		cmocka_unit_test(test_resync_during_a_failing_realloc),
		cmocka_unit_test(test_lost_by_a_failed_realloc),
		cmocka_unit_test(test_duplicate_after_the_end),
		cmocka_unit_test(test_pairs_that_nobody_saw),
		cmocka_unit_test(test_start_and_end),
		cmocka_unit_test(test_refused_changes_nothing),
		cmocka_unit_test(test_no_memory_for_records),
		cmocka_unit_test(test_no_memory_for_a_report),
		cmocka_unit_test(test_mappings_in_any_order),
		cmocka_unit_test(test_whether_there_are_mappings),
		cmocka_unit_test(test_remap_and_brk),
		cmocka_unit_test(test_mappings_go_with_an_exec),
		cmocka_unit_test(test_kinds_of_faults),
		cmocka_unit_test(test_unnamed),
		cmocka_unit_test(test_overhead),
		cmocka_unit_test(test_losses_and_completeness),
	};

	return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
