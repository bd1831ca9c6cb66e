/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records that userspace adds to the stream of ring events.
 *
 * A live session and a replay feed the same stream of records to the same core: the ring events of bpf/event.h, and
 * the records below, which tell what only the live machine knows (who the target is, what its frames are called, what
 * time it is). Whatever a report shows must come from this stream: that is why a capture replayed without root gives
 * the same report.
 *
 * Every record starts with struct event_head, has a length that is a multiple of 8, and is at most RECORD_MAX_BYTES
 * long. Numbers are never reused. Strings are NUL-terminated and packed one after the other at the end.
 */
#ifndef SEEP_CORE_RECORD_H
#define SEEP_CORE_RECORD_H

#include <stddef.h>

#include "event.h"

#define RECORD_MAX_BYTES (256 * 1024)

enum record_kind {
	RECORD_RUN = 256,     /* struct record_run, first in the stream, once */
	RECORD_TARGET = 257,  /* struct record_target: a process, or its new incarnation */
	RECORD_MAPPING = 258, /* struct record_mapping: one line of /proc/PID/maps */
	RECORD_STACK = 259,   /* struct record_stack: the frames of a stack id */
	RECORD_SYMBOL = 260,  /* struct record_symbol: what an address is called */
	RECORD_TICK = 261, /* struct event_head alone: the time series take a sample at time_ns */
	RECORD_COUNTERS =
		262, /* struct record_counters: the kernel's counters of one slot, absolute */
	RECORD_PROBE = 263,    /* struct record_probe */
	RECORD_CPU_TIME = 264, /* struct record_cpu_time: of a target, absolute */
	RECORD_END = 265,      /* struct record_end, last in the stream */
	RECORD_RESYNC =
		266, /* struct event_head alone: the block map has been read again at time_ns */
	RECORD_SAMPLING = 267, /* struct record_sampling: what a tag of event.h means */
	RECORD_STEP = 268,     /* struct record_step: from now on less, or more, is followed */
	RECORD_UNWATCHED =
		269, /* struct event_head alone: no free is seen between now and the next step; what is live is
				   released */
	RECORD_OVERHEAD = 270, /* struct record_overhead */
	RECORD_KIND_NR = 271,
};

enum run_mode {
	RUN_LEAKS = 1,
	RUN_FAULTS = 2,
};

struct record_run {
	struct event_head head; /* time_ns: when the probes were armed */
	__u32 mode;		/* enum run_mode */
	__u32 fault_period;
	__u64 wall_time_s;  /* CLOCK_REALTIME at the same moment */
	__u64 sample_bytes; /* 1: every allocation */
};

struct record_target {
	struct event_head head; /* proc: its identity from now on */
	__u32 tgid;
	__u32 zero;
	__u64 start_ticks; /* field 22 of /proc/PID/stat: with the tgid, who it really is */
	char strings[];	   /* comm, executable, and since 1.1 its cgroup, "/a/b" */
};

/* The period of blocks with this tag (event.h). Comes before the first of them. */
struct record_sampling {
	struct event_head head;
	__u32 tag; /* 1..SEEP_TAG_PERIOD_MAX */
	__u32 zero;
	__u64 period_bytes; /* mean distance of samples, at least 1 */
};

enum step_mode {
	STEP_EXACT = 1,	   /* every allocation */
	STEP_SAMPLED = 2,  /* by bytes: period_bytes */
	STEP_WINDOWS = 3,  /* sampled, and only duty_permille of the time */
	STEP_FAULTS = 4,   /* no allocations, only page faults */
	STEP_DETACHED = 5, /* nothing */
};

enum step_why {
	STEP_START = 1,	      /* the first one */
	STEP_OVER_TARGET = 2, /* probes cost the targets more than --max-overhead */
	STEP_OVER_CPU = 3,    /* seep itself uses more than --max-cpu */
	STEP_OVER_MEMORY = 4, /* seep itself uses more than --max-memory */
	STEP_ROOM = 5,	      /* there is room for more */
};

/* What the governor has decided; holds from time_ns on. */
struct record_step {
	struct event_head head;
	__u32 mode;	     /* enum step_mode */
	__u32 why;	     /* enum step_why */
	__u64 period_bytes;  /* 1: every allocation */
	__u32 duty_permille; /* 1000: always */
	__u32 overhead_ppm;  /* measured before it, of the targets' CPU time, in millionths;
				STEP_START: predicted, 0 when it is not */
};

/* Both since the start, as measured; the last one counts. */
struct record_overhead {
	struct event_head head;
	__u64 spent_ns; /* what following has cost the targets, a part of the next */
	__u64 cpu_ns;	/* their CPU time */
};

enum mapping_flags {
	MAPPING_EXEC = 1 << 0,
	MAPPING_WRITE = 1 << 1,
	MAPPING_SHARED = 1 << 2,
	MAPPING_FILE = 1 << 3,	/* has an inode; otherwise anonymous or special, told by its name */
	MAPPING_FIRST = 1 << 4, /* of a new snapshot: forget the one before; sorted from here on */
};

struct record_mapping {
	struct event_head head; /* flags: enum mapping_flags */
	__u64 start;
	__u64 end;
	__u64 file_offset;
	char strings[]; /* path, or "[heap]", "[stack]", "" */
};

struct record_stack {
	struct event_head head; /* flags: enum stack_flags */
	__u32 stack;
	__u32 nr;
	__u64 frame[]; /* innermost first */
};

enum symbol_frame_flags {
	SYMBOL_INLINED = 1 << 0,    /* inlined into the next frame of the same record */
	SYMBOL_UNRESOLVED = 1 << 1, /* function is empty: only the module is known */
};

struct record_symbol_frame {
	__u32 line; /* 0: not known */
	__u32 flags;
	__u64 offset; /* of the address in its module's file, for module+0x... */
};

/*
 * The names of one address of one process. `address` is the one that was looked up: for a return address, the byte
 * before it; above it is the origin, as in a frame (event.h). A nr of 0 says that the address lies in no executable mapping, which ends a stack.
 */
struct record_symbol {
	struct event_head head;
	__u64 address;
	__u32 nr;
	__u32 zero;
	struct record_symbol_frame frame[]; /* innermost first */
					    /* then for each frame: function, module, file */
};

/* In captures of other versions there are fewer or more values: what is missing is 0, what is more is ignored. */
#define RECORD_MIN_COUNTERS 22

struct record_counters {
	struct event_head head; /* proc: only the slot counts */
	__u64 value[STAT_NR];
};

struct record_probe {
	struct event_head head;
	__u64 offset;	/* in the file */
	__u32 cost_ns;	/* of one hit, with an empty program; 0: not measured */
	__u32 flags;	/* enum probe_flags */
	char strings[]; /* object path, function, instruction, link */
};

enum probe_flags {
	PROBE_EMULATED = 1 << 0, /* one trap; otherwise single-stepped: two */
	PROBE_RETURN = 1 << 1,	 /* with a return probe */
};

struct record_cpu_time {
	struct event_head head;
	__u64 cpu_ns; /* user and system time of the whole process */
};

enum end_flags {
	END_TARGET_LOST = 1 << 0, /* the target went away while probes were being attached */
	END_INTERRUPTED = 1 << 1, /* by the user, before the duration was over */
	END_NO_RESYNC = 1 << 2,	  /* events were lost and the block map could not be read again */
	END_LEADER_GONE = 1 << 3, /* a target's thread group leader ended, and the probes with it */
	END_UNFOLLOWED = 1 << 4,  /* not all could be followed: too many at once, or refused */
	END_CALLS_MISSED = 1 << 5, /* the kernel passed programs over at system calls */
};

struct record_end {
	struct event_head head; /* flags: enum end_flags; time_ns: when the probes were disarmed */
};

_Static_assert(sizeof(struct record_run) == 40, "record_run");
_Static_assert(sizeof(struct record_target) == 32, "record_target");
_Static_assert(sizeof(struct record_sampling) == 32, "record_sampling");
_Static_assert(sizeof(struct record_step) == 40, "record_step");
_Static_assert(sizeof(struct record_overhead) == 32, "record_overhead");
_Static_assert(sizeof(struct record_mapping) == 40, "record_mapping");
_Static_assert(sizeof(struct record_stack) == 24, "record_stack");
_Static_assert(sizeof(struct record_symbol_frame) == 16, "record_symbol_frame");
_Static_assert(sizeof(struct record_symbol) == 32, "record_symbol");
_Static_assert(sizeof(struct record_probe) == 32, "record_probe");
_Static_assert(sizeof(struct record_cpu_time) == 24, "record_cpu_time");

#endif
