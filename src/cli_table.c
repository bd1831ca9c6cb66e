/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli_table.h"

#include <limits.h>

#include "array.h"

#define ON(command) (1u << (command))
#define REPORTS (ON(CMD_LEAKS) | ON(CMD_FAULTS))
#define LIVE (REPORTS | ON(CMD_RECORD))
#define SHOWING (REPORTS | ON(CMD_REPORT))
#define ALL (LIVE | ON(CMD_REPORT) | ON(CMD_DOCTOR))

#define TARGETS "-p PID[,...] | -n NAME | -a | -- CMD..."

#define FIELD(member) offsetof(struct cli_options, member)

#define NS_PER_MS UINT64_C(1000000)
#define MAX_DURATION_NS (UINT64_C(10) * 366 * 24 * 3600 * 1000 * NS_PER_MS)
#define MAX_PID 4194304 /* PID_MAX_LIMIT of 64-bit kernels */

static const struct cli_option options[] = {
	{"pid", 'p', CLI_PIDS, LIVE | ON(CMD_DOCTOR), 0, 1, MAX_PID, "PID[,PID...]",
	 "a process id from 1 to 4194304", "the processes to attach to"},
	{"comm", 'n', CLI_FILE, LIVE, FIELD(comm), 0, 0, "NAME", "a name of a process",
	 "every process of that name, as /proc/PID/comm\nhas it, also one that comes later"},
	{"cgroup", 0, CLI_FILE, LIVE, FIELD(cgroup), 0, 0, "PATH", "a path of a cgroup",
	 "every process in that cgroup or below it, also\none that comes later"},
	{"all", 'a', CLI_FLAG, LIVE, FIELD(all), 0, 0, NULL, NULL,
	 "every process, also one that comes later"},
	{"follow", 0, CLI_FLAG, LIVE, FIELD(follow), 0, 0, NULL, NULL,
	 "follow children of the processes, too; it is\nso with --all, --cgroup and a command"},
	{"no-follow", 0, CLI_FLAG, LIVE, FIELD(no_follow), 0, 0, NULL, NULL,
	 "only the processes that there are at the start"},
	{"duration", 'd', CLI_DURATION, LIVE, FIELD(duration_ns), NS_PER_MS, MAX_DURATION_NS,
	 "TIME", "a duration above zero, such as 200ms, 10s, 3m or 1h",
	 "how long to watch; without it until Ctrl-C or\nthe end of the target"},
	{"interval", 'i', CLI_DURATION, REPORTS, FIELD(interval_ns), 10 * NS_PER_MS,
	 MAX_DURATION_NS, "TIME", "a duration of at least 10ms, such as 200ms, 10s, 3m or 1h",
	 "a report every TIME as well, one after the\nother; JSON has one report a line"},
	{"top", 0, CLI_TOP, SHOWING, 0, 1, 1000000000, "N|all",
	 "a number of sites from 1 on, or 'all'",
	 "show the N most urgent sites; 10 in text,\nall of them in the other formats"},
	{"format", 'f', CLI_FORMAT, SHOWING, 0, 0, 0, "FORMAT",
	 "a format: write text, json or folded",
	 "text (the default), json, or folded: stacks\nfor flame graphs, with live bytes or "
	 "faults"},
	{"json", 0, CLI_JSON, SHOWING, 0, 0, 0, NULL, NULL, "the same as -f json"},
	{"by", 0, CLI_BY, SHOWING, FIELD(by), 0, 0, "WHAT",
	 "what to tell apart: write process, comm or cgroup",
	 "process (the default), or comm or cgroup:\nequal stacks of all its processes are one "
	 "site"},
	{"output", 'o', CLI_FILE, SHOWING, FIELD(output), 0, 0, "FILE", "a file name",
	 "write reports, one after the other, to FILE\ninstead of standard output"},
	{"output", 'o', CLI_FILE, ON(CMD_RECORD), FIELD(capture), 0, 0, "FILE", "a file name",
	 "the capture file to write"},
	{"min-age", 0, CLI_DURATION, ON(CMD_LEAKS) | ON(CMD_REPORT), FIELD(min_age_ns), 0,
	 MAX_DURATION_NS, "TIME", "a duration such as 200ms, 10s, 3m or 1h",
	 "do not count younger blocks as live"},
	{"allocator-frames", 0, CLI_FLAG, ON(CMD_LEAKS) | ON(CMD_REPORT), FIELD(allocator_frames),
	 0, 0, NULL, NULL, "keep the allocator's own frames in stacks"},
	{"allocator", 0, CLI_ALLOCATOR, ON(CMD_LEAKS) | ON(CMD_RECORD) | ON(CMD_DOCTOR), 0, 0, 0,
	 "DEFINITION", "a definition of an allocator",
	 "probe these functions as well, such as\n'pool: alloc=get(size=arg2) "
	 "free=put(ptr=arg2)';\n"
	 "may be repeated; see seep(8)"},
	{"allocator-file", 0, CLI_ALLOCATOR_FILE, ON(CMD_LEAKS) | ON(CMD_RECORD) | ON(CMD_DOCTOR),
	 0, 0, 0, "FILE", "a file name", "the same from FILE, one definition a line"},
	{"list-allocators", 0, CLI_FLAG, ON(CMD_LEAKS), FIELD(list_allocators), 0, 0, NULL, NULL,
	 "print what would be probed, and what each\nprobe costs, and attach to nothing"},
	{"throwing-new", 0, CLI_FLAG, ON(CMD_LEAKS) | ON(CMD_RECORD), FIELD(throwing_new), 0, 0,
	 NULL, NULL,
	 "probe operator new of jemalloc, tcmalloc and\nmimalloc too: a bad_alloc that the "
	 "program\nwould have caught then ends it"},
	{"sample", 0, CLI_SAMPLE, ON(CMD_LEAKS) | ON(CMD_RECORD), FIELD(sample_bytes), 1,
	 UINT64_C(1) << 40, "BYTES|auto", "a number of bytes from 1 to 1T, such as 512K, or 'auto'",
	 "follow one allocation in so many bytes; 1, the\ndefault: all; auto: as many as fit the "
	 "limits"},
	{"max-overhead", 0, CLI_SHARE, ON(CMD_LEAKS) | ON(CMD_RECORD), FIELD(max_overhead), 0, 100,
	 "PCT|off", "a percentage above 0 and up to 100, such as 5%, or 'off'",
	 "the most that probes may cost, of the CPU time\nof the target; 5% without it"},
	{"max-cpu", 0, CLI_SHARE, ON(CMD_LEAKS) | ON(CMD_RECORD), FIELD(max_cpu), 0, 100000,
	 "PCT|off", "a percentage above 0, such as 50%, or 'off'",
	 "the most that seep itself may use, 100% being\none CPU; no limit without it"},
	{"max-memory", 0, CLI_SIZE, ON(CMD_LEAKS) | ON(CMD_RECORD), FIELD(max_memory_bytes),
	 UINT64_C(16) << 20, UINT64_C(1) << 50, "SIZE", "a size of at least 16M, such as 512M",
	 "the most memory that seep itself may use; no\nlimit without it"},
	{"force", 0, CLI_FLAG, ON(CMD_LEAKS) | ON(CMD_RECORD), FIELD(force), 0, 0, NULL, NULL,
	 "go on even if the predicted cost is too high"},
	{"no-usdt", 0, CLI_FLAG, ON(CMD_LEAKS) | ON(CMD_RECORD), FIELD(no_usdt), 0, 0, NULL, NULL,
	 "trap every call also where a program brings\nheap probes of its own along"},
	{"link", 0, CLI_LINK, ON(CMD_LEAKS) | ON(CMD_RECORD), FIELD(link), 0, 0, "KIND",
	 "a kind of link: write perf, multi or session",
	 "tie probes to functions by links of this kind,\nperf, multi or session; without it by "
	 "the best\nthat the kernel has"},
	{"capture", 0, CLI_FILE, REPORTS, FIELD(capture), 0, 0, "FILE", "a file name",
	 "write a capture for 'seep report' as well"},
	{"faults", 0, CLI_FLAG, ON(CMD_RECORD), FIELD(record_faults), 0, 0, NULL, NULL,
	 "record page faults instead of allocations"},
	{"max-blocks", 0, CLI_SIZE, ON(CMD_LEAKS) | ON(CMD_RECORD), FIELD(max_blocks), 1, 1u << 28,
	 "N", "a number of blocks from 1 to 256M, such as 4M",
	 "live blocks that the kernel side can hold;\n4M without it"},
	{"max-stacks", 0, CLI_SIZE, LIVE, FIELD(max_stacks), 1, 1u << 20, "N",
	 "a number of stacks from 1 to 1M, such as 64K",
	 "different stacks that the kernel side can hold,\nfewer of deep ones; 64K without it"},
	{"ring-size", 0, CLI_POWER, LIVE, FIELD(ring_bytes), 4096, 1u << 30, "SIZE",
	 "a power of two from 4K to 1G, such as 8M",
	 "what each ring buffer may grow to, a power of\ntwo; 8M without it"},
	{"unwind-memory", 0, CLI_SIZE, LIVE, FIELD(unwind_bytes), UINT64_C(4) << 20,
	 UINT64_C(4) << 30, "SIZE", "a size from 4M to 4G, such as 256M",
	 "memory for unwind tables, 8 bytes a row;\n128M without it"},
	{"check-stacks", 0, CLI_FLAG, LIVE, FIELD(check_stacks), 0, 0, NULL, NULL,
	 "walk every stack in full and compare it with\nwhat the memo says: slow, for testing"},
	{"debug-dir", 0, CLI_DIRS, LIVE, 0, 0, 0, "DIR", "a directory name",
	 "look for debug files there too, before\n/usr/lib/debug; may be repeated"},
	{"sysroot", 0, CLI_FILE, LIVE, FIELD(sysroot), 0, 0, "DIR", "a directory name",
	 "look for debug files below DIR as well"},
	{"debuginfod", 0, CLI_FLAG, LIVE, FIELD(debuginfod), 0, 0, NULL, NULL,
	 "fetch debug files from $DEBUGINFOD_URLS"},
	{"no-demangle", 0, CLI_FLAG, LIVE, FIELD(no_demangle), 0, 0, NULL, NULL,
	 "names of C++ and Rust as the linker has them"},
	{"ready-fd", 0, CLI_FD, LIVE, FIELD(ready_fd), 0, INT_MAX, "N", "an open file descriptor",
	 "write a newline to descriptor N once every\nprobe is armed"},
	{"verbose", 'v', CLI_VERBOSE, ALL, FIELD(verbose), 0, 0, NULL, NULL,
	 "say more on standard error; twice: debugging"},
	{"help", 'h', CLI_HELP, ALL, 0, 0, 0, NULL, NULL, "print this"},
};

static const struct cli_command_info commands[] = {
	{CMD_LEAKS,
	 "leaks",
	 TARGETS,
	 "report the call stacks that hold and leak memory",
	 "Attaches to running processes, to all of them or those of a cgroup, or starts\n"
	 "CMD, follows every allocation, and reports by call stack what is live and how\n"
	 "it grows, the most urgent first. The report comes at the end of the duration, of\n"
	 "the target, or at Ctrl-C; a second Ctrl-C aborts.",
	 {"seep leaks -p 4711 -d 60s",
	  "seep leaks -p 4711 -d 1h -i 5m --min-age 1m --json -o leaks.jsonl",
	  "seep leaks -d 30s -f folded -o leaks.folded -- ./server --port 8080"}},
	{CMD_FAULTS,
	 "faults",
	 TARGETS,
	 "report page faults, minor and major, by call stack",
	 "Counts the page faults of running processes, or of CMD, by call stack and by the\n"
	 "kind of memory that was touched. Needs no known allocator.",
	 {"seep faults -p 4711 -d 5s", "seep faults -p 4711 -i 1s --top 3",
	  "seep faults -f folded -o faults.folded -- ./batch-job"}},
	{CMD_RECORD,
	 "record",
	 "-o FILE " TARGETS,
	 "record the same into a capture file",
	 "Writes what 'seep leaks' or, with --faults, 'seep faults' sees to a capture\n"
	 "file, with the names of functions, for 'seep report' to read anywhere.",
	 {"seep record -p 4711 -d 10m -o server.seep",
	  "seep record --faults -o faults.seep -- ./batch-job"}},
	{CMD_REPORT,
	 "report",
	 "FILE",
	 "report from a capture file; needs no privileges",
	 "Reads a capture file and prints the report that would have been printed live.",
	 {"seep report server.seep", "seep report server.seep --top all --json",
	  "seep report server.seep -f folded | flamegraph.pl > leaks.svg"}},
	{CMD_DOCTOR,
	 "doctor",
	 "[-p PID[,PID...]]",
	 "say what works on this machine, and what is missing",
	 "Checks kernel and privileges, and says what seep can do here and at what cost;\n"
	 "for a process also which allocators were found and where the probes would go.",
	 {"seep doctor", "seep doctor -p 4711"}},
};

const struct cli_option *cli_option_table(size_t *nr)
{
	*nr = ARRAY_SIZE(options);
	return options;
}

const struct cli_command_info *cli_command_table(size_t *nr)
{
	*nr = ARRAY_SIZE(commands);
	return commands;
}
