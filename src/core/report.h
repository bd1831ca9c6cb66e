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

/* What the numbers of a report, or of a site, are. */
enum report_basis {
	BASIS_EXACT = 0,   /* every block was followed */
	BASIS_SAMPLED = 1, /* estimates from samples, with intervals */
	BASIS_WINDOWS = 2, /* of the time in which anything was followed */
	BASIS_MIXED = 3,   /* first one, then another */
};

/* "exact", "sampled", "windows", "mixed". Static. */
const char *basis_name(enum report_basis basis);

/* Whose stacks are one site if their frames are the same. */
enum report_by {
	BY_PROCESS = 0,
	BY_COMM = 1,
	BY_CGROUP = 2,
};

/* "process", "comm", "cgroup". Static. The other way: 0, or -EINVAL and *by is as it was. */
const char *report_by_name(enum report_by by);
int report_by_parse(const char *text, enum report_by *by);

/* 95 %; of what is exact, both are the number. */
struct report_interval {
	uint64_t low, high;
};

#define REPORT_FEW_SAMPLES 4 /* sites with fewer are marked */

struct report_site {
	enum verdict verdict;
	double probability; /* that it leaks, 0..1 */
	char evidence[160]; /* one line, for people */
	enum report_basis basis;
	uint32_t tgid; /* the one, or the first, of its processes */
	const char *comm;
	const char *group; /* comm or cgroup of its processes; "" when there is one by BY_PROCESS */
	uint32_t nr_processes; /* that have it */
	/* Allocated since the attach, not freed, and at least min-age old. */
	uint64_t live_bytes, live_objects;
	/* Instead of live, when the process has exited: never freed. */
	uint64_t held_bytes, held_objects;
	/* Instead of live, while nothing is followed: live when that began. */
	uint64_t left_bytes, left_objects;
	/* Live at the end of any window that is over, left ones too, and not seen freed since: nobody knows. */
	uint64_t presumed_bytes, presumed_objects;
	uint64_t alloc_bytes, alloc_objects;
	uint64_t free_objects;	/* of alloc_objects */
	uint64_t live_samples;	/* blocks seen, that live_objects, held and left stand for */
	uint64_t alloc_samples; /* likewise alloc_objects */
	struct report_interval live_ci, held_ci, left_ci, alloc_ci; /* of bytes */
	struct report_interval live_objects_ci, held_objects_ci, left_objects_ci, alloc_objects_ci;
	double growth_bytes_per_s;
	double growth_ci[2]; /* 95 % */
	bool growth_of_windows; /* while watched, in all windows that are over; else of the last stretch */
	double oldest_age_s;	    /* of a live block; 0 when there is none */
	bool stack_partial;	    /* the outer end is missing */
	struct report_frame *frame; /* innermost first; frame[0] is the caller of the allocator */
	size_t nr_frames;
};

/* Address space taken outside the allocator. */
struct report_mapping_site {
	const char *kind; /* "mmap", "brk" */
	uint32_t tgid;
	const char *group; /* as in struct report_site */
	bool is_several;   /* of several processes, tgid being the first */
	uint64_t live_bytes, live_mappings;
	uint64_t mapped_bytes; /* ever */
	bool stack_partial;
	struct report_frame *frame;
	size_t nr_frames;
};

struct report_fault_site {
	uint32_t tgid;
	const char *comm;
	const char *group; /* as in struct report_site */
	bool is_several;   /* of several processes, tgid being the first */
	const char *kind;  /* "heap", "anon", "file", "stack", "shmem", "special", "unknown" */
	uint64_t minor, major;
	double minor_per_s, major_per_s;
	struct report_frame *frame;
	size_t nr_frames;
	bool stack_partial;
};

/*
 * allocs = frees + live + released + lost_allocs, always: of blocks, or when they are sampled, of what they stand for.
 * The rest stands outside the sum.
 */
struct report_balance {
	uint64_t allocs, frees, live;
	uint64_t released; /* gone with exec or exit, or live when following stopped */
	uint64_t lost_allocs;
	uint64_t frees_by_resync; /* of frees */
	uint64_t missed_frees;	  /* of frees: seen only when the address came back */
	uint64_t failed_allocs;
	uint64_t frees_unknown;	   /* when sampled, at least so many */
	bool frees_unknown_hidden; /* they cannot be told from the noise of the estimate */
	uint64_t lost_events, resyncs;
	uint64_t stacks;	  /* different ones, as they are shown */
	uint64_t stacks_partial;  /* of them */
	uint64_t stacks_unknown;  /* allocations or faults without any */
	uint64_t allocs_partial;  /* of allocs: those that have one of stacks_partial */
	uint64_t allocs_too_deep; /* of allocs_partial: more frames than are kept */
	uint64_t live_bytes, allocated_bytes;
	uint64_t samples, live_samples; /* blocks seen, that allocs and live stand for */
	struct report_interval allocs_ci, live_ci, live_bytes_ci, allocated_bytes_ci;
	/* Counted while anything was followed, whatever was sampled of it: */
	bool exact_known;
	uint64_t exact_calls, exact_bytes; /* calls that allocate, and what they asked for */
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

/* What the governor has done. */
struct report_step {
	double at_s;
	uint32_t mode, why; /* enum step_mode, enum step_why of core/record.h */
	uint64_t period_bytes;
	double duty_pct;
	double overhead_pct; /* measured before */
};

/* "exact", "sampled", "windows", "faults", "detached"; "start", "target", "cpu", "memory", "room". Static. */
const char *step_mode_name(uint32_t mode);
const char *step_why_name(uint32_t why);

/* A process, or all processes of a comm or cgroup. */
struct report_group {
	const char *name;			/* comm or cgroup */
	uint32_t tgid, nr_processes, nr_exited; /* the first one; how many; of them */
	uint64_t live_bytes, live_objects;	/* of any age */
	uint64_t held_bytes, held_objects, left_bytes, left_objects;
	uint64_t alloc_bytes, alloc_objects;
	struct report_interval live_ci, alloc_ci; /* of bytes; live: held and left ones too */
	double growth_bytes_per_s;
	double growth_ci[2];
};

struct report_probe {
	const char *object;
	const char *function;
	const char *instruction;
	const char *link; /* "session", "multi", "perf" */
	uint64_t offset;
	uint32_t cost_ns; /* 0: not measured */
	bool emulated, with_return;
};

struct report_fault_kind {
	const char *kind;
	uint64_t minor, major;
};

/* mode tells which of the arrays are filled: RUN_LEAKS or RUN_FAULTS of core/record.h. The former has faults too, if for
 * a time nothing else was followed. */
struct report {
	uint32_t mode;
	uint64_t wall_time_s;
	double duration_s;
	double faults_s;       /* of the duration: page faults were followed */
	uint64_t sample_bytes; /* 1: exact */
	enum report_basis basis;
	char basis_note[160];  /* what the numbers are, for people; "" when exact */
	double watched_s;      /* of the duration: allocations were followed */
	double last_watched_s; /* when following stopped; negative: it goes on */
	double live_since_s;   /* older blocks do not count as live; 0: since the attach */
	struct report_step *step;
	size_t nr_steps;
	enum report_by by;
	struct report_group *group; /* by growth, then by what they hold; leaks only */
	size_t nr_groups;
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
	/*
	 * Of the targets' CPU time; predicted and limited of GOVERNOR_LEAST_CPUS where that is more, as --max-overhead
	 * counts.
	 */
	double predicted_pct; /* negative: not predicted */
	double measured_pct;  /* negative: not known */
	double limited_pct; /* measured; 0: the targets use more than the least, see measured_pct */
	struct report_site *site;
	size_t nr_sites, nr_sites_all; /* in the array, at most --top, and in all */
	struct report_mapping_site *mapping;
	size_t nr_mappings, nr_mappings_all;
	struct report_fault_site *fault;
	size_t nr_faults, nr_faults_all;
	uint64_t held_bytes, held_objects, left_bytes, left_objects; /* sums over all sites */
	uint64_t minor_total, major_total; /* by the kernel's counters, whatever events were lost */
	struct report_fault_kind kind[8];
	size_t nr_kinds;
};

/* Frees what the report owns, not the report; a zeroed one is fine. */
void report_release(struct report *report);

#endif
