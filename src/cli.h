/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line: one table of options drives parsing, checking and --help, for all commands.
 *
 * Wrong use prints one line on stderr (what, why, and "try 'seep CMD --help'") and means exit status 2.
 */
#ifndef SEEP_CLI_H
#define SEEP_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "allocator_spec.h"
#include "out.h"

#define EXIT_COMPLETE 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_INCOMPLETE 3

enum cli_command {
	CMD_LEAKS = 1,
	CMD_FAULTS,
	CMD_RECORD,
	CMD_REPORT,
	CMD_DOCTOR,
};

#define CLI_MAX_PIDS 1024
#define CLI_MAX_DEBUG_DIRS 8
#define SAMPLE_AUTO 0
#define CLI_MAX_ALLOCATORS 64

struct cli_options {
	enum cli_command command;
	pid_t pid[CLI_MAX_PIDS]; /* distinct */
	size_t nr_pids;
	char **argv;	    /* after "--", NULL-terminated, or NULL */
	bool all;	    /* every process */
	const char *cgroup; /* NULL: none */
	const char *comm;   /* NULL: none */
	bool follow; /* children of targets are targets: so with a command or a cgroup unless no_follow */
	bool no_follow;	      /* nobody becomes a target later */
	uint64_t duration_ns; /* 0: until Ctrl-C or the target's end */
	uint64_t interval_ns; /* 0: one report, at the end */
	size_t top;	      /* 0: all ("--top all"); default 10 in text, all in other formats */
	enum out_format format;
	enum report_by by;
	const char *output;  /* -o; NULL: stdout */
	const char *capture; /* leaks, faults: --capture FILE as well; record: its -o */
	const char *input;   /* report: the capture file */
	uint64_t min_age_ns;
	bool allocator_frames;
	struct cli_allocator {
		const char *text; /* --allocator: a definition; --allocator-file: a name */
		bool is_file;
	} allocator[CLI_MAX_ALLOCATORS]; /* in their order */
	size_t nr_allocators;
	bool list_allocators; /* and do nothing else */
	bool throwing_new;    /* probe operator new also where an exception would not survive it */
	int link;     /* enum attach_kind of loader.h, the best to use; 0: the kernel's best */
	bool no_usdt; /* trap calls also where a program brings heap probes along */
	bool record_faults;	   /* record --faults */
	uint64_t sample_bytes;	   /* mean distance of samples; 1: every allocation; SAMPLE_AUTO */
	double max_overhead;	   /* share of the targets' CPU time; 0: unlimited */
	double max_cpu;		   /* CPUs that seep itself may use; 0: unlimited */
	uint64_t max_memory_bytes; /* that seep itself may use; 0: unlimited */
	bool force;		   /* go on where the predicted cost says not to */
	int verbose;		   /* 0, 1, 2 */
	int ready_fd;		   /* -1: none */
	uint64_t ring_bytes; /* that each ring may grow to; a power of two of at least a page */
	uint64_t max_blocks; /* of the kernel's block map */
	uint64_t max_stacks;
	uint64_t unwind_bytes; /* of unwind tables */
	bool check_stacks;     /* walk in full even where the stack is known */
	bool no_demangle;
	bool debuginfod;
	const char *debug_dir[CLI_MAX_DEBUG_DIRS];
	size_t nr_debug_dirs;
	const char *sysroot; /* NULL: none */
};

/* 0: go on, *options is set; 1: --help or --version was printed, exit 0; -EINVAL: one line was printed, exit EXIT_USAGE. */
int cli_parse(int argc, char **argv, struct cli_options *options);

/*
 * The allocators that the user has described, in *out: cli_parse() has checked them, but a file may have changed since.
 * 0, -ENOMEM, or -EINVAL: one line was printed.
 */
int cli_load_allocators(const struct cli_options *options, struct allocator_spec *out);

/* "leaks --pid", one line for each command and long option: what a test compares the manual with. */
void cli_print_options(FILE *out);

#endif
