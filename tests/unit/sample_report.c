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

/* Of what is exact, an interval is the number, and a sample is a block. */
static struct report_interval is(uint64_t n)
{
	return (struct report_interval){n, n};
}

static void fill_balance(struct report_balance *b)
{
	b->samples = b->allocs;
	b->live_samples = b->live;
	b->allocs_ci = is(b->allocs);
	b->live_ci = is(b->live);
	b->live_bytes_ci = is(b->live_bytes);
	b->allocated_bytes_ci = is(b->allocated_bytes);
}

static void fill_exact(struct report *report)
{
	size_t i;

	report->watched_s = report->duration_s;
	report->last_watched_s = -1;
	fill_balance(&report->balance);
	for (i = 0; i < report->nr_targets; i++)
		fill_balance(&report->target[i].balance);
	for (i = 0; i < report->nr_sites; i++) {
		struct report_site *site = &report->site[i];

		site->group = "";
		site->nr_processes = 1;
		site->live_samples = site->live_objects + site->held_objects;
		site->alloc_samples = site->alloc_objects;
		site->live_ci = is(site->live_bytes);
		site->live_objects_ci = is(site->live_objects);
		site->held_ci = is(site->held_bytes);
		site->held_objects_ci = is(site->held_objects);
		site->alloc_ci = is(site->alloc_bytes);
		site->alloc_objects_ci = is(site->alloc_objects);
	}
}

static struct report leaks = {
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
	.nr_mappings_all = ARRAY_SIZE(mappings) + 1011,
};

const struct report *sample_leaks(void)
{
	fill_deep_stack();
	fill_exact(&leaks);
	return &leaks;
}

const struct report *sample_interval(void)
{
	static struct report report;

	report = *sample_leaks();
	report.final = false;
	report.duration_s = 10;
	report.nr_sites = 1;
	report.nr_sites_all = 1;
	report.nr_mappings = report.nr_mappings_all = 0;
	report.balance.lost_allocs = 0;
	report.balance.allocs--;
	fill_exact(&report);
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
	fill_exact(&report);
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

/* What samples of 1 in 16 would leave of it. */
static void fill_sampled(struct report *report)
{
	size_t i;

	fill_exact(report);
	report->balance.allocs_ci = (struct report_interval){900, 1150};
	report->balance.live_ci = (struct report_interval){5, 50};
	report->balance.live_bytes_ci = (struct report_interval){400, 5000};
	report->balance.allocated_bytes_ci = (struct report_interval){90000, 115000};
	report->balance.frees_unknown = 31;
	report->balance.live_samples = 2;
	for (i = 0; i < report->nr_sites; i++) {
		report->site[i].basis = BASIS_SAMPLED;
		report->site[i].live_samples = 7 - 3 * i;
		report->site[i].live_ci.low /= 2;
		report->site[i].live_ci.high = report->site[i].live_ci.high * 7 / 4;
		report->site[i].live_objects_ci.high *= 2;
		report->site[i].alloc_objects_ci.high *= 2;
	}
}

const struct report *sample_several(void)
{
	static struct report report;

	report = (struct report){
		.mode = RUN_LEAKS,
		.wall_time_s = 1784689445,
		.duration_s = 2.5,
		.sample_bytes = 524288,
		.basis = BASIS_SAMPLED,
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
	fill_sampled(&report);
	return &report;
}

static struct report_step steps[] = {
	{.mode = STEP_EXACT, .why = STEP_START, .period_bytes = 1, .duty_pct = 100},
	{.at_s = 12.3,
	 .mode = STEP_SAMPLED,
	 .why = STEP_OVER_TARGET,
	 .period_bytes = 524288,
	 .duty_pct = 100,
	 .overhead_pct = 7.1},
	{.at_s = 20,
	 .mode = STEP_WINDOWS,
	 .why = STEP_OVER_CPU,
	 .period_bytes = 4194304,
	 .duty_pct = 12.5},
	{.at_s = 31.25, .mode = STEP_FAULTS, .why = STEP_OVER_MEMORY, .period_bytes = 1},
	{.at_s = 33,
	 .mode = STEP_DETACHED,
	 .why = STEP_OVER_TARGET,
	 .period_bytes = 1,
	 .overhead_pct = 0.25},
	{.at_s = 40.5,
	 .mode = STEP_SAMPLED,
	 .why = STEP_ROOM,
	 .period_bytes = 524288,
	 .duty_pct = 100},
};

static struct report_group comms[12];

static void fill_comms(void)
{
	static char name[12][16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(comms); i++) {
		snprintf(name[i], sizeof(name[i]), "cc%zu", i);
		comms[i] = (struct report_group){.name = name[i],
						 .tgid = 100 + (uint32_t)i,
						 .nr_processes = i ? 1 : 3,
						 .nr_exited = i == 2,
						 .live_bytes = 1u << (24 - i),
						 .live_objects = 1009,
						 .alloc_bytes = 1u << 26,
						 .alloc_objects = 10007,
						 .live_ci = {1u << (23 - i), 1u << (25 - i)},
						 .alloc_ci = {1u << 25, 1u << 27},
						 .growth_bytes_per_s = 31.5,
						 .growth_ci = {i ? -INFINITY : 1, INFINITY}};
	}
	comms[0].growth_ci[1] = 64;
	comms[1].name = "";
}

static struct report_site comm_sites[] = {
	{.verdict = VERDICT_LEAKING,
	 .probability = 0.97,
	 .basis = BASIS_MIXED,
	 .tgid = 100,
	 .comm = "cc0",
	 .group = "cc0",
	 .nr_processes = 3,
	 .evidence = "left live in 41 of 43 windows, none of its 1,317 samples seen freed since, "
		     "where 4,001 of others' were",
	 .left_bytes = 2097152,
	 .left_objects = 2003,
	 .presumed_bytes = 8650752,
	 .presumed_objects = 8513,
	 .growth_of_windows = true,
	 .left_ci = {1887436, 2348810},
	 .left_objects_ci = {1790, 2250},
	 .held_bytes = 65536,
	 .held_objects = 61,
	 .held_ci = {1024, 524288},
	 .held_objects_ci = {1, 512},
	 .alloc_bytes = 2162688,
	 .alloc_objects = 2064,
	 .alloc_ci = {1900000, 2400000},
	 .alloc_objects_ci = {1800, 2300},
	 .live_samples = 317,
	 .alloc_samples = 317,
	 .growth_bytes_per_s = 64,
	 .growth_ci = {50, 78},
	 .oldest_age_s = 60,
	 STACK(leak_stack)},
	{.verdict = VERDICT_UNKNOWN,
	 .basis = BASIS_SAMPLED,
	 .tgid = 101,
	 .comm = "",
	 .group = "",
	 .nr_processes = 1,
	 .evidence = "followed for too short a time to tell",
	 .left_bytes = 524288,
	 .left_objects = 8192,
	 .left_ci = {64, 2900000},
	 .left_objects_ci = {1, 45000},
	 .live_ci = {0, 1934000},
	 .alloc_bytes = 524288,
	 .alloc_objects = 8192,
	 .alloc_ci = {64, 2900000},
	 .alloc_objects_ci = {1, 45000},
	 .live_samples = 1,
	 .alloc_samples = 1,
	 .growth_ci = {-INFINITY, INFINITY},
	 .oldest_age_s = 3,
	 STACK(cache_stack)},
};

static struct report_mapping_site comm_mappings[] = {
	{.kind = "mmap",
	 .tgid = 100,
	 .group = "cc0",
	 .is_several = true,
	 .live_bytes = 8192,
	 .live_mappings = 2,
	 .mapped_bytes = 8192,
	 STACK(leak_stack)},
};

/* One more than text shows. */
static struct report_fault_site comm_faults[] = {
	{.tgid = 100,
	 .comm = "cc0",
	 .group = "cc0",
	 .is_several = true,
	 .kind = "heap",
	 .minor = 31013,
	 .minor_per_s = 17721.7,
	 STACK(leak_stack)},
	{.tgid = 101,
	 .comm = "",
	 .group = "",
	 .kind = "file",
	 .minor = 17011,
	 .major = 29,
	 .minor_per_s = 9720.57,
	 .major_per_s = 16.57,
	 .stack_partial = true,
	 STACK(cache_stack)},
	{.tgid = 102, .comm = "cc0", .group = "cc0", .kind = "unknown", .minor = 11003},
	{.tgid = 103, .comm = "cc3", .group = "cc3", .kind = "anon", .minor = 1009},
	{.tgid = 104, .comm = "cc4", .group = "cc4", .kind = "stack", .minor = 7},
	{.tgid = 105, .comm = "cc5", .group = "cc5", .kind = "shmem", .minor = 5},
};

const struct report *sample_mixed(void)
{
	static struct report_target targets[14];
	static struct report report;
	size_t i;

	fill_comms();
	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		targets[i] = (struct report_target){.tgid = 100 + (uint32_t)i,
						    .comm = "cc0",
						    .exe = "/usr/bin/cc",
						    .balance = {.allocs = 7, .live = 7}};
		fill_balance(&targets[i].balance);
	}
	report = (struct report){
		.mode = RUN_LEAKS,
		.duration_s = 60,
		.sample_bytes = 1,
		.fault_period = 1,
		.basis = BASIS_MIXED,
		.basis_note =
			"exact until 12.3 s, then followed for 23.1 of 60.0 s: live is of the last "
			"stretch, totals are of all of them and not scaled up",
		.watched_s = 23.1,
		.last_watched_s = 59.5,
		.step = steps,
		.nr_steps = ARRAY_SIZE(steps),
		.by = BY_COMM,
		.group = comms,
		.nr_groups = ARRAY_SIZE(comms),
		.final = true,
		.complete = true,
		.target = targets,
		.nr_targets = ARRAY_SIZE(targets),
		.balance = {.allocs = 10256,
			    .frees = 0,
			    .released = 10256,
			    .failed_allocs = 3,
			    .frees_unknown_hidden = true,
			    .allocated_bytes = 2686976,
			    .samples = 318,
			    .allocs_ci = {9000, 55000},
			    .live_ci = {0, 5000},
			    .live_bytes_ci = {0, 1934000},
			    .allocated_bytes_ci = {1900000, 4000000},
			    .exact_known = true,
			    .exact_calls = 10007,
			    .exact_bytes = 2700001},
		.predicted_pct = 4.2,
		.measured_pct = 4.9,
		.site = comm_sites,
		.nr_sites = ARRAY_SIZE(comm_sites),
		.nr_sites_all = ARRAY_SIZE(comm_sites),
		.mapping = comm_mappings,
		.nr_mappings = ARRAY_SIZE(comm_mappings),
		.nr_mappings_all = ARRAY_SIZE(comm_mappings),
		.faults_s = 1.75,
		.fault = comm_faults,
		.nr_faults = ARRAY_SIZE(comm_faults),
		.nr_faults_all = 1013,
		.minor_total = 70007,
		.major_total = 31,
		.held_bytes = 65536,
		.held_objects = 61,
		.left_bytes = 2621440,
		.left_objects = 10195,
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
		.faults_s = 5,
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
