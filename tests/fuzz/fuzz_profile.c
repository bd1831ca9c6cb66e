/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any records into a profile, then every report of it. Input: for each record one byte of length in words of 8 bytes
 * (0: a record of 16 bytes that says how much time passes, as a tick), then its bytes; short ones are filled with zeros.
 * The balance must sum at the end, whatever came.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "profile.h"

#define MAX_RECORD 2048

static uint64_t last_ns;

static void start(struct profile *profile, uint32_t mode)
{
	struct record_run run = {.head = {.kind = RECORD_RUN, .time_ns = 1000},
				 .mode = mode,
				 .fault_period = 1,
				 .sample_bytes = 1};
	struct record_sampling sampling = {.head = {.kind = RECORD_SAMPLING}, .tag = 1};

	last_ns = run.head.time_ns;
	if (profile_feed(profile, &run, sizeof(run)))
		abort();
	/* From exact blocks' neighbours to weights that no sum should hold. */
	for (; sampling.tag < 64; sampling.tag++) {
		sampling.period_bytes = 1ull << (sampling.tag - 1);
		if (profile_feed(profile, &sampling, sizeof(sampling)))
			abort();
	}
}

static void tick(struct profile *profile, uint8_t how_long)
{
	struct event_head head = {.kind = RECORD_TICK};

	last_ns += (uint64_t)how_long << 28;
	head.time_ns = last_ns;
	(void)profile_feed(profile, &head, sizeof(head));
}

static void ignore(uint32_t proc, uint64_t address, void *arg)
{
	(void)proc;
	(void)address;
	(void)arg;
}

static void check_report(struct profile *profile, const struct report_options *options)
{
	const struct report_balance *sum;
	struct strbuf text = {0};
	struct report report;

	if (profile_report(profile, options, &report))
		return;
	sum = &report.balance;
	if (sum->allocs != sum->frees + sum->live + sum->released + sum->lost_allocs)
		abort();
	for (size_t i = 0; i < report.nr_targets; i++) {
		const struct report_balance *b = &report.target[i].balance;

		if (b->allocs != b->frees + b->live + b->released + b->lost_allocs)
			abort();
	}
	for (enum out_format format = OUT_TEXT; format <= OUT_FOLDED; format++) {
		strbuf_clear(&text);
		(void)out_report(&report, format, &text);
	}
	strbuf_release(&text);
	report_release(&report);
}

static size_t take(struct profile *profile, const uint8_t *data, size_t nr)
{
	size_t length = (size_t)data[0] * 8, there;
	uint64_t record[MAX_RECORD / 8];

	data++;
	nr--;
	if (!length) {
		if (nr)
			tick(profile, data[0]);
		return nr ? 2 : 1;
	}
	there = length < nr ? length : nr;
	memset(record, 0, length);
	memcpy(record, data, there);
	(void)profile_feed(profile, record, length);
	return 1 + there;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nr)
{
	static const struct report_options options[] = {
		{.allocator_frames = true},
		{.top = 3, .min_age_ns = 1000000000, .by = BY_COMM},
	};
	struct profile *profile = profile_new();
	size_t at;

	if (!profile)
		abort();
	start(profile, nr && data[0] & 1 ? RUN_FAULTS : RUN_LEAKS);
	for (at = 1; at < nr;)
		at += take(profile, data + at, nr - at);
	profile_unnamed(profile, ignore, NULL);
	check_report(profile, &options[0]);
	check_report(profile, &options[1]);
	profile_free(profile);
	return 0;
}
