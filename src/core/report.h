/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a report says, before anybody decides how it looks: made by core/profile, printed by out/.
 *
 * A report owns nothing but its arrays: every string in it is borrowed from the profile that made it, and lives until
 * that profile is fed again or freed. No string is NULL: what is not known is "". Sites are ranked, the most urgent first.
 */
#ifndef SEEP_CORE_REPORT_H
#define SEEP_CORE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verdict {
	VERDICT_LEAKING =
		1, /* grows steadily, survivors in every generation, nothing explains it */
	VERDICT_GROWING = 2,	/* grows, but the evidence for a leak is not complete */
	VERDICT_SATURATING = 3, /* grew, and grows less and less: a cache that fills */
	VERDICT_STARTUP = 4,	/* allocated at one time, kept since */
	VERDICT_CHURN = 5,	/* allocates and frees, no growth */
	VERDICT_HELD = 6,	/* kept, no growth */
	VERDICT_UNKNOWN = 7,	/* too short a window to say */
};

/* "LEAKING" and so on; "?" for VERDICT_UNKNOWN. Static. */
const char *verdict_name(enum verdict verdict);

struct report_frame {
	const char *function; /* "" when there is no name: print module+0xoffset */
	const char *module;   /* base name or path of the file; "" when in no file */
	const char *file;     /* source file, "" when not known */
	uint32_t line;	      /* 0 when not known */
	uint64_t address;     /* in the process, as walked */
	uint64_t offset;      /* in the module's file */
	bool inlined;
};

struct report_site {
	enum verdict verdict;
	double probability; /* that it leaks, 0..1 */
	char evidence[160]; /* one line, for people */
	uint32_t tgid;
	const char *comm;
	uint64_t live_bytes; /* allocated since the attach, not freed, and at least min-age old */
	uint64_t live_objects;
	uint64_t held_bytes; /* instead of live, when the process has exited: never freed */
	uint64_t held_objects;
	uint64_t alloc_bytes;
	uint64_t alloc_objects;
	uint64_t free_objects; /* of alloc_objects */
	double growth_bytes_per_s;
	double growth_ci[2];	    /* 95 % */
	double oldest_age_s;	    /* of a live block; 0 when there is none */
	bool stack_partial;	    /* the outer end is missing */
	struct report_frame *frame; /* innermost first; frame[0] is the caller of the allocator */
	size_t nr_frames;
};

/* Address space taken outside the allocator. */
struct report_mapping_site {
	const char *kind; /* "mmap", "brk" */
	uint32_t tgid;
	uint64_t live_bytes;
	uint64_t live_mappings;
	uint64_t mapped_bytes; /* ever */
	struct report_frame *frame;
	size_t nr_frames;
	bool stack_partial;
};

struct report_fault_site {
	uint32_t tgid;
	const char *comm;
	const char *kind; /* "heap", "anon", "file", "stack", "shmem", "special", "unknown" */
	uint64_t minor;
	uint64_t major;
	double minor_per_s;
	double major_per_s;
	struct report_frame *frame;
	size_t nr_frames;
	bool stack_partial;
};

/* allocs = frees + live + released + lost_allocs, always. The rest stands outside the sum. */
struct report_balance {
	uint64_t allocs;
	uint64_t frees;
	uint64_t live;
	uint64_t released; /* gone with exec or exit */
	uint64_t lost_allocs;
	uint64_t frees_by_resync; /* of frees */
	uint64_t missed_frees;	  /* of frees: seen only when the address came back */
	uint64_t failed_allocs;
	uint64_t frees_unknown;
	uint64_t lost_events;
	uint64_t resyncs;
	uint64_t stacks;	  /* different ones, as they are shown */
	uint64_t stacks_partial;  /* of them */
	uint64_t stacks_unknown;  /* allocations or faults without any */
	uint64_t allocs_partial;  /* of allocs: those that have one of stacks_partial */
	uint64_t allocs_too_deep; /* of allocs_partial: more frames than are kept */
	uint64_t live_bytes;
	uint64_t allocated_bytes;
};

/* A loss that has no line of its own in the balance, by name; only those that happened. */
struct report_loss {
	const char *name; /* as in JSON: "stale_calls" */
	uint64_t count;
};

struct report_target {
	uint32_t tgid;
	const char *comm;
	const char *exe;
	bool exited;
	struct report_balance balance; /* leaks only */
};

struct report_probe {
	const char *object;
	const char *function;
	const char *instruction;
	const char *link; /* "session", "multi", "perf" */
	uint64_t offset;
	uint32_t cost_ns; /* 0: not measured */
	bool emulated;
	bool with_return;
};

struct report_fault_kind {
	const char *kind;
	uint64_t minor;
	uint64_t major;
};

/* mode tells which of the arrays are filled: RUN_LEAKS or RUN_FAULTS of core/record.h. */
struct report {
	uint32_t mode;
	uint64_t wall_time_s;
	double duration_s;
	uint64_t sample_bytes; /* 1: exact */
	uint32_t fault_period; /* 1: exact */
	bool final;	       /* not an interval report */
	bool complete;	       /* false: exit status 3, and incomplete_why says why */
	char incomplete_why[200];
	struct report_target *target;
	size_t nr_targets;
	struct report_balance balance; /* all targets */
	struct report_loss *loss;
	size_t nr_losses;
	struct report_probe *probe;
	size_t nr_probes;
	double predicted_pct; /* of the target's CPU time; negative: not predicted */
	double measured_pct;  /* negative: not known */
	struct report_site *site;
	size_t nr_sites;     /* in the array, at most --top */
	size_t nr_sites_all; /* in all */
	struct report_mapping_site *mapping;
	size_t nr_mappings;
	struct report_fault_site *fault;
	size_t nr_faults;
	size_t nr_faults_all;
	uint64_t held_bytes; /* sum over all sites */
	uint64_t held_objects;
	uint64_t minor_total; /* from the kernel's counters: exact also when events were lost */
	uint64_t major_total;
	struct report_fault_kind kind[8];
	size_t nr_kinds;
};

/* Frees what the report owns, not the report; a zeroed one is fine. */
void report_release(struct report *report);

#endif
