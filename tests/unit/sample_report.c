/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sample_report.h"

#include <math.h>
#include <stdio.h>

#include "array.h"
#include "record.h"

#define SERVER "/usr/local/bin/leaky-server"
#define SOURCE "/home/dev/src/leaky-server/"

static struct report_frame leak_stack[] = {
	{"leak_session", SERVER, SOURCE "session.c", 41, 0x55d0c0de1240, 0x1240, true},
	{"handle_request", SERVER, SOURCE "server.c", 97, 0x55d0c0de1240, 0x1240, false},
	{"main", SERVER, SOURCE "server.c", 142, 0x55d0c0de10c9, 0x10c9, false},
	{"__libc_start_call_main", "/usr/lib/x86_64-linux-gnu/libc.so.6", "", 0, 0x7f3a5a2261ca,
	 0x261ca, false},
};

static struct report_frame cache_stack[] = {
	{"std::vector<std::pair<std::__cxx11::basic_string<char>, session_entry>, "
	 "arena_allocator<session_entry> >::_M_realloc_insert",
	 SERVER, "/usr/include/c++/12/bits/vector.tcc", 440, 0x55d0c0de2000, 0x2000, false},
	{"", "/opt/plugins/libcache.so.1", "", 0, 0x7f3a5b000f42, 0xf42, false},
	{"", "", "", 0, 0x7f3a00001234, 0, false},
};

static struct report_frame evil_stack[] = {
	{"semi;colon\nnew\x1b[2Jline", "/tmp/\xff\xfe bad.so", "b\xc3.c", 7, 0xdead, 0xad, false},
	{"gr\xc3\xbc\xc3\x9f\x65\x3c\xe6\x97\xa5\xe6\x9c\xac\x3e", "[vdso]", "", 0, 0xbeef, 0xef,
	 false},
};

static struct report_frame deep_stack[31];

static void fill_deep_stack(void)
{
	static char name[ARRAY_SIZE(deep_stack)][16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(deep_stack); i++) {
		(void)snprintf(name[i], sizeof(name[i]), "descend_%zu", i);
		deep_stack[i] = (struct report_frame){
			name[i],    SERVER, "deep.c", (uint32_t)(100 + i), 0x55d0c0de3000 + i,
			0x3000 + i, false};
	}
}

#define STACK(frames) .frame = (frames), .nr_frames = ARRAY_SIZE(frames)

static struct report_site leak_sites[] = {
	{.verdict = VERDICT_LEAKING,
	 .probability = 0.9973,
	 .evidence = "grows in 11 of 11 segments, survivors in every generation, nothing freed",
	 .tgid = 4711,
	 .comm = "leaky-server",
	 .live_bytes = 1236763,
	 .live_objects = 1237,
	 .alloc_bytes = 1236763,
	 .alloc_objects = 1237,
	 .free_objects = 0,
	 .growth_bytes_per_s = 20612.7166,
	 .growth_ci = {20480.5, 20744.9},
	 .oldest_age_s = 59.813,
	 STACK(leak_stack)},
	{.verdict = VERDICT_GROWING,
	 .probability = 0.61,
	 .evidence = "grows, but 97 of 337 objects were freed",
	 .tgid = 4711,
	 .comm = "leaky-server",
	 .live_bytes = 15360,
	 .live_objects = 240,
	 .alloc_bytes = 21568,
	 .alloc_objects = 337,
	 .free_objects = 97,
	 .growth_bytes_per_s = 256.25,
	 .growth_ci = {12.5, 500},
	 .oldest_age_s = 3671.5,
	 .stack_partial = true,
	 STACK(cache_stack)},
	{.verdict = VERDICT_SATURATING,
	 .probability = 0.04,
	 .evidence = "the last third grows 0.1 times as fast as the first",
	 .tgid = 4711,
	 .comm = "leaky-server",
	 .live_bytes = 16777216,
	 .live_objects = 4099,
	 .alloc_bytes = 16777216,
	 .alloc_objects = 4099,
	 .free_objects = 0,
	 .growth_bytes_per_s = 1000,
	 .growth_ci = {-250, 2250},
	 .oldest_age_s = 58,
	 STACK(deep_stack)},
	{.verdict = VERDICT_HELD,
	 .tgid = 4711,
	 .comm = "leaky-server",
	 .evidence = "kept, no growth",
	 .live_bytes = 1,
	 .live_objects = 1,
	 .alloc_bytes = 1,
	 .alloc_objects = 1,
	 .oldest_age_s = 59.9,
	 STACK(evil_stack)},
	{.verdict = VERDICT_CHURN,
	 .probability = 0.001,
	 .tgid = 4711,
	 .comm = "leaky-server",
	 .evidence = "a line of evidence that is so long that it does not fit into the eighty "
		     "columns of a terminal and therefore has to be broken at a space",
	 .live_bytes = 0,
	 .live_objects = 0,
	 .alloc_bytes = 1000003,
	 .alloc_objects = 10007,
	 .free_objects = 10007,
	 .growth_bytes_per_s = -3.25,
	 .growth_ci = {-5, -1.5},
	 STACK(leak_stack)},
	{.verdict = VERDICT_UNKNOWN,
	 .tgid = 4711,
	 .comm = "leaky-server",
	 .evidence = "",
	 .live_bytes = 4096,
	 .live_objects = 1,
	 .alloc_bytes = 4096,
	 .alloc_objects = 1,
	 .growth_ci = {-INFINITY, INFINITY},
	 .oldest_age_s = 0.25},
};

static struct report_mapping_site mappings[] = {
	{.kind = "mmap",
	 .tgid = 4711,
	 .live_bytes = 8392704,
	 .live_mappings = 1,
	 .mapped_bytes = 25178112,
	 STACK(leak_stack)},
	{.kind = "brk",
	 .tgid = 4711,
	 .live_bytes = 135168,
	 .live_mappings = 2,
	 .mapped_bytes = 135168,
	 .stack_partial = true,
	 STACK(cache_stack)},
};

static struct report_probe probes[] = {
	{"/usr/lib/x86_64-linux-gnu/libc.so.6", "malloc", "push r12", "perf", 0x98800, 671, true,
	 true},
	{"/usr/lib/x86_64-linux-gnu/libc.so.6", "free", "push rbp", "perf", 0x98da9, 702, true,
	 false},
	{"/usr/lib/x86_64-linux-gnu/libc.so.6", "memalign", "test rdi, rdi", "perf", 0x99f10, 0,
	 false, true},
};

static struct report_target server[] = {
	{.tgid = 4711, .comm = "leaky-server", .exe = SERVER},
};

#define LEAKS_BALANCE                                                                              \
	{                                                                                          \
		.allocs = 15683, .frees = 10104, .live = 5578, .released = 0, .lost_allocs = 1,    \
		.failed_allocs = 3, .frees_unknown = 41, .live_bytes = 18033436,                   \
		.allocated_bytes = 19039644                                                        \
	}

static const struct report leaks = {
	.mode = RUN_LEAKS,
	.wall_time_s = 1784689445,
	.duration_s = 60.000012,
	.sample_bytes = 1,
	.fault_period = 1,
	.final = true,
	.complete = true,
	.target = server,
	.nr_targets = 1,
	.balance = LEAKS_BALANCE,
	.probe = probes,
	.nr_probes = ARRAY_SIZE(probes),
	.predicted_pct = 3.14159,
	.measured_pct = 2.9,
	.site = leak_sites,
	.nr_sites = ARRAY_SIZE(leak_sites),
	.nr_sites_all = 57,
	.mapping = mappings,
	.nr_mappings = ARRAY_SIZE(mappings),
};

const struct report *sample_leaks(void)
{
	fill_deep_stack();
	return &leaks;
}

const struct report *sample_interval(void)
{
	static struct report report;

	report = leaks;
	report.final = false;
	report.duration_s = 10;
	report.nr_sites = 1;
	report.nr_sites_all = 1;
	report.nr_mappings = 0;
	report.balance.lost_allocs = 0;
	report.balance.allocs--;
	return &report;
}

const struct report *sample_nothing(void)
{
	static struct report report;

	report = (struct report){.mode = RUN_LEAKS,
				 .duration_s = 5,
				 .sample_bytes = 1,
				 .fault_period = 1,
				 .final = true,
				 .complete = true,
				 .target = server,
				 .nr_targets = 1,
				 .predicted_pct = -1,
				 .measured_pct = -1};
	return &report;
}

static struct report_target two_targets[] = {
	{.tgid = 101,
	 .comm = "a;b\x1b[1m \xff",
	 .exe = "/srv/a/path/that/is/so/long/that/it/does/not/fit/into/eighty/columns/by/itself/"
		"leaky-server (deleted)",
	 .exited = true,
	 .balance = {.allocs = 1009, .frees = 1000, .live = 7, .released = 2}},
	{.tgid = 4194301, .comm = "worker", .exe = "", .balance = {.allocs = 13, .live = 13}},
};

static struct report_site several_sites[] = {
	{.verdict = VERDICT_UNKNOWN,
	 .tgid = 101,
	 .comm = "a;b\x1b[1m \xff",
	 .evidence = "too short",
	 .live_bytes = 700,
	 .live_objects = 7,
	 .alloc_bytes = 100900,
	 .alloc_objects = 1009,
	 .free_objects = 1000,
	 .growth_ci = {-INFINITY, INFINITY},
	 .oldest_age_s = 1,
	 STACK(leak_stack)},
	{.verdict = VERDICT_UNKNOWN,
	 .tgid = 4194301,
	 .comm = "worker",
	 .evidence = "too short",
	 .live_bytes = 1300,
	 .live_objects = 13,
	 .alloc_bytes = 1300,
	 .alloc_objects = 13,
	 .growth_ci = {-INFINITY, INFINITY},
	 .oldest_age_s = 1,
	 STACK(leak_stack)},
	{.verdict = VERDICT_UNKNOWN,
	 .tgid = 4194301,
	 .comm = "worker",
	 .evidence = "too short",
	 .live_bytes = 17,
	 .live_objects = 1,
	 .alloc_bytes = 17,
	 .alloc_objects = 1,
	 .growth_ci = {-INFINITY, INFINITY},
	 .oldest_age_s = 1,
	 STACK(leak_stack)},
};

static struct report_loss losses[] = {
	{"stale_calls", 3},
	{"stacks_full", 1234567},
	{"something_new", 5},
};

const struct report *sample_several(void)
{
	static struct report report;

	report = (struct report){
		.mode = RUN_LEAKS,
		.wall_time_s = 1784689445,
		.duration_s = 2.5,
		.sample_bytes = 524288,
		.fault_period = 1,
		.final = true,
		.incomplete_why = "events were lost and the block map could not be read again: "
				  "live bytes may be too high",
		.target = two_targets,
		.nr_targets = ARRAY_SIZE(two_targets),
		.balance = {.allocs = 1022,
			    .frees = 1000,
			    .live = 20,
			    .released = 2,
			    .frees_by_resync = 11,
			    .missed_frees = 2,
			    .lost_events = 1009,
			    .resyncs = 1,
			    .stacks_partial = 17,
			    .stacks_unknown = 19,
			    .live_bytes = 2017,
			    .allocated_bytes = 102217},
		.loss = losses,
		.nr_losses = ARRAY_SIZE(losses),
		.predicted_pct = -1,
		.measured_pct = 0.5,
		.site = several_sites,
		.nr_sites = ARRAY_SIZE(several_sites),
		.nr_sites_all = ARRAY_SIZE(several_sites),
	};
	return &report;
}

static struct report_fault_site fault_sites[] = {
	{.tgid = 4711,
	 .comm = "leaky-server",
	 .kind = "heap",
	 .minor = 10007,
	 .minor_per_s = 2001.4,
	 STACK(leak_stack)},
	{.tgid = 4711,
	 .comm = "leaky-server",
	 .kind = "file",
	 .minor = 31,
	 .major = 5,
	 .minor_per_s = 6.2,
	 .major_per_s = 1,
	 .stack_partial = true,
	 STACK(cache_stack)},
	{.tgid = 4711, .comm = "leaky-server", .kind = "unknown", .minor = 1, .minor_per_s = 0.2},
};

const struct report *sample_faults(void)
{
	static struct report report;

	report = (struct report){
		.mode = RUN_FAULTS,
		.wall_time_s = 1784689445,
		.duration_s = 5,
		.sample_bytes = 1,
		.fault_period = 1,
		.final = true,
		.complete = true,
		.target = server,
		.nr_targets = 1,
		.predicted_pct = -1,
		.measured_pct = -1,
		.fault = fault_sites,
		.nr_faults = ARRAY_SIZE(fault_sites),
		.nr_faults_all = ARRAY_SIZE(fault_sites),
		.minor_total = 10041,
		.major_total = 5,
		.kind = {{"heap", 10007, 0}, {"file", 31, 5}, {"unknown", 1, 0}},
		.nr_kinds = 3,
		.balance = {.lost_events = 2},
	};
	return &report;
}

const struct report *sample_faults_several(void)
{
	static struct report report;

	report = *sample_faults();
	report.final = false;
	report.fault_period = 100;
	report.target = two_targets;
	report.nr_targets = ARRAY_SIZE(two_targets);
	report.nr_faults_all = 11;
	return &report;
}
