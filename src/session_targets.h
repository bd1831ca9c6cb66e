/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The targets of a session: who they are, and how they come and go. Nobody else includes it. */
#ifndef SEEP_SESSION_TARGETS_H
#define SEEP_SESSION_TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"
#include "hash.h"
#include "proc.h"
#include "processes.h"

#define MAX_DEAD 4096

struct session;

/* A process that is followed, or was until a moment ago. */
struct session_target {
	uint32_t slot, proc;
	uint32_t first_proc; /* its first incarnation */
	size_t at;	     /* in session.target */
	pid_t tgid;	     /* 0: not known yet */
	int pidfd;	     /* -1: its end is told by the kernel's programs alone */
	struct proc_info info;
	char *exe, *cgroup; /* NULL: not known */
	char *program;	    /* of the last exec that the kernel has told of; NULL */
	struct proc_maps maps;
	struct proc_maps told; /* what the kernel has told of it, where targets come and go */
	uint64_t maps_hash;
	bool gone, exit_seen;
	bool is_checked, is_refused; /* session_may_probe() */
	bool is_counted;	     /* as a child, among the processes of its parent's objects */
	uint64_t gone_ns;	     /* when that was noticed; 0: not yet */
	bool stale;		     /* what it maps has changed, or may have */
	uint32_t unknown_code;	     /* loader_unknown_code() when it was last looked at */
	uint64_t refreshed_ns, refresh_took_ns;
	uint64_t burst_ns, burst_took_ns; /* looks since then, and what they took in all */
	uint64_t doubted_ns;		  /* when names were last asked for that would not do */
	bool in_doubt;			  /* look again, even if the mappings are the same */
	uint64_t counted[STAT_NR];	  /* as last read */
	uint64_t exec_ns;		  /* its image is as old as that; 0: older than the run */
};

struct session_slot {
	struct session_target *target; /* NULL: nobody that we know of */
	uint32_t next_proc;	       /* that of who comes next, or came last */
};

/* session_targets.c: the table of targets */

/* Who is in a slot, if he has borne this `proc`, or will; NULL. */
struct session_target *session_target_of(struct session *s, uint32_t proc);
struct session_target *session_target_of_tgid(struct session *s, pid_t tgid);
/* A new one, without a slot. NULL: no memory. */
struct session_target *session_add_target(struct session *s, pid_t tgid);
/* Gives slots to those that have none. 0, -ENOSPC or -ENOMEM. */
int session_init_slots(struct session *s);
int session_give_slot(struct session *s, struct session_target *t);
/* Who has come into a slot by himself: his tgid is not known yet. */
struct session_target *session_add_born(struct session *s, uint32_t proc);
int session_set_tgid(struct session *s, struct session_target *t, pid_t tgid);
void session_set_gone(struct session_target *t);
/* The process is no target any more, and its slot another's: all has been read of it. */
void session_remove_target(struct session *s, struct session_target *t);
void session_release_targets(struct session *s);
/* Whether targets come and go by themselves. */
bool session_is_open(const struct session *s);
/* Whether files are probed in all that map them from the start, targets or not. */
bool session_is_for_all(const struct session *s);
/* Names of that incarnation are wanted no more when many others have ended since. */
void session_bury(struct session *s, uint32_t proc);

/* session_find.c: who is meant by the command line */

int session_open_cgroup(struct session *s);
int session_find_targets(struct session *s);
/* Those who came while the others were attached to, or whom nothing told of. */
int session_find_others(struct session *s);

/* session_follow.c: processes that come and go */

/* Its program, and its control group if that will be shown, as far as they can be read. */
void session_read_texts(const struct session *s, struct session_target *t);
/* The kernel has told what its image is. */
void session_note_program(struct session *s, struct session_target *t, const char *path);
void session_on_fork(struct session *s, const struct event_proc *e);
void session_on_exec(struct session *s, const struct event_proc *e);
void session_on_exit(struct session *s, const struct event_proc *e);
/* Names for those that were over before they could be looked at. */
void session_settle_targets(struct session *s);
/* Lets go of those that have ended, looks for those that nothing told of; each tick. */
int session_check_targets(struct session *s);

#endif
