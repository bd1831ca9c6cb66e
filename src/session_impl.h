/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of a session share; see session.h. Nobody else includes it. */
#ifndef SEEP_SESSION_IMPL_H
#define SEEP_SESSION_IMPL_H

#include "calibrate.h"
#include "callrate.h"
#include "capture.h"
#include "hash.h"
#include "hazard.h"
#include "kernel.h"
#include "loader.h"
#include "namer.h"
#include "proc.h"
#include "profile.h"
#include "ring.h"
#include "session.h"
#include "session_links.h"
#include "session_targets.h"
#include "spawn.h"
#include "unwinder.h"
#include "watch.h"

#define TICK_NS 100000000ull
#define GUARD_TICKS 4 /* that the guard has in one of the others */

struct session {
	const struct session_options *options;
	const struct cli_options *cli;
	struct kernel_features features;
	struct loader *loader;
	struct attach attach;
	struct allocator_spec allocators; /* that the user has described */
	struct session_usdt *usdt;	  /* session_usdt.c; NULL: nothing yet */
	struct discover discover;
	struct namer *namer;
	char *debug_dir[CLI_MAX_DEBUG_DIRS]; /* absolute */
	size_t nr_debug_dirs;
	struct unwinder *unwinder;
	struct watch *watch; /* NULL: nobody tells of new code */
	struct ring_set *rings;
	struct profile *profile;
	struct capture_writer *capture;
	struct calibrator *calibrator;
	struct calibration cost;
	struct hazard_kernel hazards;
	struct spawn spawn;
	struct session_target **target;
	size_t nr_targets, cap_targets;
	struct session_slot *slot;    /* by number, up to loader_max_targets() */
	struct map64 by_tgid;	      /* to struct session_target * */
	size_t nr_ever;		      /* targets there have been */
	struct process_cgroup cgroup; /* fd -1: none */
	uint32_t *dead;		      /* a ring: the last MAX_DEAD incarnations that have ended */
	size_t nr_dead;
	size_t nr_dead_named; /* nr_dead when names were last asked for */
	size_t next_counted;  /* of target: whose turn it is to have its counters read */
	uint64_t next_sync_ns, swept_ns;
	uint64_t lost_synced;	 /* loader_lost_events() when targets were last compared */
	uint32_t missing_synced; /* loader_slots_missing(), likewise */
	bool sweep_due;
	struct session_probe *probe; /* index is the probe's number */
	size_t nr_probes, cap_probes;
	size_t nr_probes_told; /* of those, in the stream */
	struct session_link *link;
	size_t nr_links, cap_links;
	struct session_object *object;
	size_t nr_objects, cap_objects;
	int epoll, timer, signals;
	struct session_guard *guard; /* session_guard.c; NULL: page faults are what is followed */
	bool has_cost;
	bool is_unwatched;	   /* no probes at allocators */
	uint64_t watched_ns;	   /* since then, if that was ever interrupted */
	uint64_t nr_forgotten;	   /* session_left.c: blocks, when it last took some out */
	uint64_t counted[STAT_NR]; /* sums over all targets that ever were */
	bool armed, stopping, interrupted, target_lost, leader_gone, resync_failed, refused_some;
	uint32_t leaders_gone;	  /* loader_leaders_gone(), and since when it is that */
	uint64_t leaders_gone_ns; /* 0: it has been seen to */
	uint64_t start_ns, next_report_ns;
	bool report_due;
	uint64_t report_due_ns, wanted_ns;
	uint64_t lost_seen; /* loader_lost_events() at the last resync */
	uint64_t next_resync_ns;
	uint64_t life_ns; /* when it was last heard of a process that starts */
	unsigned int ticks;
	int feed_error;
};

uint64_t session_now_ns(void);

/* session_load.c: errors have been logged */

int session_check_machine(struct session *s);
int session_load(struct session *s);

/* session_feed.c: records in */

/* To the profile and the capture; errors are kept in feed_error and returned. */
int session_feed(struct session *s, const void *record, size_t nr);
/* From the rings: ring_set_new()'s take(). */
int session_take(const void *record, size_t nr, void *arg);
int session_feed_run(struct session *s);
int session_feed_target(struct session *s, const struct session_target *t);
int session_feed_mappings(struct session *s, const struct session_target *t);
int session_feed_probes(struct session *s);
/* Of some targets; at_end: of all. */
int session_feed_counters(struct session *s, bool at_end);
int session_feed_counters_of(struct session *s, struct session_target *t);
/* The counters of some targets, for the guard; they do not go to the stream. */
int session_count(struct session *s);
int session_feed_exit(struct session *s, const struct session_target *t);
/* The blocks of an address space that is no more take up room in the kernel's map. */
void session_forget_blocks(struct session *s, uint32_t proc);
/* When nothing is followed: takes what is not looked after out of the block map, if that is much. 0 or negative errno. */
int session_forget_left(struct session *s);
/* A record with strings at its end, padded to a multiple of 8. One that would be too long is left out. */
int session_feed_strings(struct session *s, const void *fixed, size_t nr, const char *const *text,
			 size_t nr_text);
int session_feed_head(struct session *s, uint16_t kind, uint16_t flags, uint64_t time_ns);
/* Asks for names that are missing, and takes those that are there. */
int session_feed_names(struct session *s);
/* Reads the block map again. */
int session_resync(struct session *s);

/* session_end.c: what is said, and the end */

void session_say_ready(const struct session *s);
void session_show_progress(struct session *s);
int session_emit(struct session *s);
/* Disarms, reads what is left, names it and closes the capture. */
int session_finish(struct session *s);
void session_say_command_runs_on(struct session *s);

/* session_attach.c: probes */

int session_attach_targets(struct session *s);
/* A target that is gone by now was lost before anything could be seen of it. */
void session_check_early_ends(struct session *s);
/* Looks again at what targets map whose mappings may have changed: code ranges, names, allocators, new probes. */
int session_refresh_stale(struct session *s);

/* session_allocators.c: what the user has described */

int session_use_allocators(struct session *s);
/* Once all targets have been searched: what was found nowhere, and cannot come later, is an error that has been printed. */
int session_check_allocators(const struct session *s);

/* session_callrate.c: how often targets call their allocators */

/* Those that will be trapped. 0; -ENOENT: there are none; or another negative errno, which has been said. */
int session_count_calls(struct session *s, struct callrate *out);

/* session_guard.c: how much is followed */

/* Before the attach: what it will cost. -ECANCELED: too much, and that has been said. */
int session_guard_begin(struct session *s);
/* When the stream has begun, before anything is armed. */
int session_guard_arm(struct session *s);
/* Whether any stack is walked at present. */
bool session_walks_stacks(const struct session *s);
/* After session_count(), or when counters have been fed. */
int session_guard_tick(struct session *s);
/* Between two of the ticks of the session. */
int session_guard_tick_early(struct session *s);
/* What was spent, and of how much. */
int session_guard_feed(struct session *s);
void session_guard_release(struct session *s);

/* session_code.c: unwind tables */

int session_start_unwinder(struct session *s);
/* New code of targets is then told by s->watch; if that fails, everything goes on without it. */
int session_watch_code(struct session *s);
/* Tables are made while stacks are walked. */
void session_pause_unwinder(struct session *s);
/* Before they are walked again: tables for who is there now. */
void session_catch_up(struct session *s);
/* Makes its tables, soon. */
void session_look_at_code(struct session *s, const struct session_target *t);
void session_note_mappings(struct session *s);
/* The same, and gives its tables a little time. */
void session_take_mappings(struct session *s);
/* Targets whose stacks have led to places we know nothing of are looked at again. */
void session_check_unknown_code(struct session *s);

/* A signal to end: the first one is for the report, and a second one ends seep at once. False: there was none. */
bool session_take_signal(struct session *s);

/* session_leader.c: what the kernel ties to a process by its thread group leader */

/* Looks for leaders that have ended while their process goes on; at_end: without waiting for it to follow. */
void session_check_leaders(struct session *s, bool at_end);
void session_say_tables(struct session *s);

/* session_names.c: where names come from */

/* Directories of the command line must be there. */
int session_check_debug_dirs(struct session *s);
void session_release_debug_dirs(struct session *s);
int session_start_namer(struct session *s);
/* Which files have no names for what the report shows, and how to get them. */
void session_say_nameless(const struct session *s, const struct report *report);

/* session_hazard.c */

/* Says which target return probes would kill on this kernel, or that they may kill others; 0: none. Warns of debuggers. */
int session_check_hazards(struct session *s);
/* Whether probes in this one do it no harm, who may have come since; if not, that is said, once. */
bool session_may_probe(struct session *s, struct session_target *t);
/* Whether a file may be probed in all processes that map it: they might be of any kind. */
bool session_may_probe_all(struct session *s);

#endif
