/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The captures that tests/golden/replay.sh replays: written here record by record, and compared
 * byte for byte with the stored files, so that neither can the format change nor a capture of
 * today become unreadable without being noticed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "capture.h"
#include "fd.h"
#include "golden.h"
#include "stream.h"

#define ADDR UINT64_C(0x55d000001000)
#define SECONDS 30

enum site {
	SITE_LEAK = 1,
	SITE_CACHE = 2,
	SITE_CHURN = 3,
	SITE_TABLE = 4,
	SITE_BUFFER = 5,
	SITE_POOL = 6,
};

static int into_capture(void *arg, const void *record, size_t nr)
{
	return capture_write(arg, record, nr);
}

/* Everything about a run but its events. */
static void write_head(struct stream *s, uint32_t mode)
{
	static const struct record_mapping mapping[] = {
		{.head.flags = MAPPING_FIRST | MAPPING_EXEC | MAPPING_FILE,
		 .start = 0x400000,
		 .end = 0x600000},
		{.head.flags = MAPPING_WRITE, .start = 0x55d000000000, .end = 0x55d000100000},
	};

	assert_int_equal(stream_run(s, mode), 0);
	assert_int_equal(stream_target(s, STREAM_PROC, STREAM_TGID, "server"), 0);
	assert_int_equal(stream_mapping(s, &mapping[0], "/usr/bin/server"), 0);
	assert_int_equal(stream_mapping(s, &mapping[1], "[heap]"), 0);
	assert_int_equal(stream_probe(s, "malloc", 671, PROBE_EMULATED | PROBE_RETURN), 0);
	assert_int_equal(stream_probe(s, "free", 702, PROBE_EMULATED), 0);
	assert_int_equal(stream_named_stack(s, SITE_LEAK, "malloc session_new handle main"), 0);
	assert_int_equal(stream_named_stack(s, SITE_CACHE, "malloc cache_put handle main"), 0);
	assert_int_equal(stream_named_stack(s, SITE_CHURN, "malloc parse handle main"), 0);
	assert_int_equal(stream_named_stack(s, SITE_TABLE, "malloc load_table main"), 0);
	assert_int_equal(stream_named_stack(s, SITE_BUFFER, "realloc buffer_grow handle main"), 0);
	assert_int_equal(stream_named_stack(s, SITE_POOL, "mmap pool_new main"), 0);
}

/* Allocates at a site and frees, after so long, the block at the same address. */
static void write_block(struct stream *s, enum site site, uint64_t time_ns, uint64_t life_ns)
{
	const uint64_t bytes = 100 + 7 * (uint64_t)site;
	const uint64_t addr = ADDR + time_ns / 1000 % 0x10000 * 16;
	struct heap_block block = stream_block(addr, time_ns, bytes, site);

	assert_int_equal(stream_alloc(s, addr, time_ns, bytes, site), 0);
	if (life_ns)
		assert_int_equal(stream_free(s, &block, time_ns + life_ns, 0), 0);
}

static void write_second(struct stream *s, uint64_t second)
{
	const uint64_t start = second * STREAM_S;

	for (uint64_t i = 0; i < 5; i++) {
		write_block(s, SITE_LEAK, start + 1000 + i * 17000, 0);
		write_block(s, SITE_CHURN, start + 2000 + i * 17000, 1009);
		/* its free is told of before it is: the events of two rings */
		write_block(s, SITE_CACHE, start + 3000 + i * 17000, 2 * STREAM_S);
		if (second == 0)
			write_block(s, SITE_TABLE, start + 4000 + i * 17000, 0);
	}
	/* a buffer that is resized in place each second; the last one stays */
	write_block(s, SITE_BUFFER, start + 5000, second + 1 < SECONDS ? STREAM_S : 0);
	assert_int_equal(stream_cpu_time(s, STREAM_PROC, 4 * STREAM_S + second * 100000000), 0);
	assert_int_equal(stream_mark(s, RECORD_TICK, 0, start + STREAM_S), 0);
}

static void write_leaks(struct stream *s)
{
	const uint64_t counter[STAT_NR] = {
		[STAT_ALLOCS] = 485,	   [STAT_FREES] = 329,	    [STAT_FAILED_ALLOCS] = 3,
		[STAT_FREES_UNKNOWN] = 11, [STAT_ENTRY_HITS] = 489, [STAT_RETURN_HITS] = 489,
		[STAT_FREE_HITS] = 340,	   [STAT_STALE_CALLS] = 1};

	write_head(s, RUN_LEAKS);
	assert_int_equal(stream_vm(s, EVENT_MMAP, 7,
				   &(struct event_vm){.addr = 0x7f0000000000,
						      .length = 0x800000,
						      .stack = SITE_POOL}),
			 0);
	for (uint64_t second = 0; second < SECONDS; second++)
		write_second(s, second);
	assert_int_equal(stream_counters(s, STREAM_PROC, counter), 0);
	assert_int_equal(stream_mark(s, RECORD_END, 0, SECONDS * STREAM_S), 0);
}

static void write_faults(struct stream *s)
{
	const uint64_t counter[STAT_NR] = {[STAT_MINOR_FAULTS] = 103, [STAT_MAJOR_FAULTS] = 7};

	write_head(s, RUN_FAULTS);
	for (uint64_t i = 0; i < 103; i++)
		assert_int_equal(stream_fault(s, 0x55d000000000 + i * 4096,
					      i % 3 ? SITE_LEAK : SITE_CACHE, 0),
				 0);
	for (uint64_t i = 0; i < 7; i++)
		assert_int_equal(stream_fault(s, 0x400000 + i * 4096, SITE_TABLE, FAULT_MAJOR), 0);
	assert_int_equal(stream_mark(s, RECORD_TICK, 0, 5 * STREAM_S), 0);
	assert_int_equal(stream_counters(s, STREAM_PROC, counter), 0);
	assert_int_equal(stream_mark(s, RECORD_END, 0, 10 * STREAM_S), 0);
}

/* Lost events, an exec, and the end of the process. */
static void write_losses(struct stream *s)
{
	const uint64_t counter[STAT_NR] = {[STAT_ALLOCS] = 15,
					   [STAT_FREES] = 5,
					   [STAT_LOST_EVENTS] = 13,
					   [STAT_LOST_ALLOCS] = 1};
	struct heap_block block = stream_block(ADDR, 1, 100, SITE_LEAK);

	write_head(s, RUN_LEAKS);
	for (uint64_t i = 0; i < 10; i++)
		write_block(s, SITE_LEAK, i * 1000000, i % 3 ? 0 : 500);
	assert_int_equal(stream_alloc(s, ADDR, 1, 100, SITE_LEAK), 0);
	assert_int_equal(stream_free(s, &block, 5000, FREE_RESYNC), 0);
	assert_int_equal(stream_mark(s, RECORD_RESYNC, 0, 5000), 0);
	assert_int_equal(stream_mark(s, RECORD_TICK, 0, STREAM_S), 0);
	assert_int_equal(stream_proc(s, EVENT_EXEC, STREAM_PROC + 0x10000, "second"), 0);
	assert_int_equal(stream_proc(s, EVENT_EXIT, STREAM_PROC + 0x10000, "second"), 0);
	assert_int_equal(stream_counters(s, STREAM_PROC, counter), 0);
	assert_int_equal(stream_mark(s, RECORD_END, END_INTERRUPTED, 2 * STREAM_S), 0);
}

/* Exact, then page faults alone, then exact again; and what all of it has cost. */
static void write_steps(struct stream *s)
{
	const uint64_t counter[STAT_NR] = {
		[STAT_ALLOCS] = 325,	[STAT_FREES] = 219,	  [STAT_ENTRY_HITS] = 325,
		[STAT_FREE_HITS] = 219, [STAT_MINOR_FAULTS] = 41, [STAT_MAJOR_FAULTS] = 3};
	struct record_step step = {.mode = STEP_EXACT,
				   .why = STEP_START,
				   .period_bytes = 1,
				   .duty_permille = 1000,
				   .overhead_ppm = 31416};

	write_head(s, RUN_LEAKS);
	assert_int_equal(stream_step(s, &step, 0), 0);
	for (uint64_t second = 0; second < 10; second++)
		write_second(s, second);
	step.mode = STEP_FAULTS;
	step.why = STEP_OVER_TARGET;
	step.overhead_ppm = 71000;
	assert_int_equal(stream_step(s, &step, 10 * STREAM_S), 0);
	for (uint64_t i = 0; i < 41; i++)
		assert_int_equal(stream_fault(s, 0x55d000000000 + i * 4096,
					      i % 3 ? SITE_LEAK : SITE_CACHE, 0),
				 0);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(stream_fault(s, 0x7fd000000000, SITE_TABLE, FAULT_MAJOR), 0);
	assert_int_equal(stream_mark(s, RECORD_TICK, 0, 15 * STREAM_S), 0);
	step.mode = STEP_EXACT;
	step.why = STEP_ROOM;
	step.overhead_ppm = 0;
	assert_int_equal(stream_step(s, &step, 20 * STREAM_S), 0);
	for (uint64_t second = 20; second < SECONDS; second++)
		write_second(s, second);
	assert_int_equal(stream_counters(s, STREAM_PROC, counter), 0);
	assert_int_equal(stream_overhead(s, 7 * STREAM_S, 127 * STREAM_S), 0);
	assert_int_equal(stream_mark(s, RECORD_END, 0, SECONDS * STREAM_S), 0);
}

static void check_capture(const char *name, void (*write)(struct stream *s))
{
	int fd = memfd_create("capture", MFD_CLOEXEC), copy = dup(fd);
	struct capture_writer *writer;
	struct stream s;
	char path[32], *bytes;
	size_t nr;

	assert_true(fd >= 0 && copy >= 0);
	assert_int_equal(capture_writer_new(fd, &writer), 0);
	s = (struct stream){.take = into_capture, .arg = writer};
	write(&s);
	assert_int_equal(capture_writer_close(writer), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", copy);
	assert_int_equal(fd_read_file(path, &bytes, &nr, 1 << 24), 0);
	golden_check(name, bytes, nr);
	free(bytes);
	assert_int_equal(close(copy), 0);
}

static void test_leaks(void **state)
{
	(void)state;
	check_capture("replay-leaks.seepcap", write_leaks);
}

static void test_faults(void **state)
{
	(void)state;
	check_capture("replay-faults.seepcap", write_faults);
}

static void test_steps(void **state)
{
	(void)state;
	check_capture("replay-steps.seepcap", write_steps);
}

static void test_losses(void **state)
{
	(void)state;
	check_capture("replay-losses.seepcap", write_losses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaks),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_losses),
		cmocka_unit_test(test_steps),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
