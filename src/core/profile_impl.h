/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files behind core/profile.h share: records in (profile*.c), report out (summary*.c).
 * Nobody else includes it.
 */
#ifndef SEEP_CORE_PROFILE_IMPL_H
#define SEEP_CORE_PROFILE_IMPL_H

#include "image.h"
#include "profile.h"
#include "sites.h"
#include "strings.h"
#include "usage.h"
#include "weights.h"

/* By then every event of an earlier time has been read. */
#define PROFILE_GRACE_NS (3ull * 1000000000)

/* A process over all its images: one slot of the kernel's, until that is given to another. */
struct target {
	uint32_t slot;
	uint32_t tgid;
	uint64_t start_ticks; /* 0: not known */
	const char *comm, *exe, *cgroup;
	struct image *newest; /* all older ones have ended */
	uint64_t counter[STAT_NR];
	uint64_t cpu_first_ns, cpu_last_ns;
	bool cpu_known;
	/* Over time: blocks freed that we did not know, and the exact change of the number of blocks. */
	struct series unknown_frees, net_blocks;
	struct target_windows *windows; /* NULL: none is over */
};

struct target_windows {
	struct windows_net net;
	uint64_t lost_events; /* by the end of the first one */
};

struct stack {
	uint32_t proc;
	uint16_t flags;
	uint16_t nr;
	bool named; /* every frame has a name */
	uint64_t frame[];
};

struct probe {
	const char *object, *function, *instruction, *link;
	uint64_t offset;
	uint32_t cost_ns, flags;
};

struct profile {
	struct strings strings;
	struct map64 stacks;  /* id to struct stack * */
	struct map64 images;  /* proc to struct image * */
	struct image **image; /* in order of first sight */
	size_t nr_images, cap_images;
	struct image *last_image; /* that an event was of */
	struct map64 targets;	  /* slot to the last struct target * in it */
	struct target **target;
	size_t nr_targets, cap_targets;
	struct sites sites;
	struct weights weights;
	struct record_step *step; /* that changed something */
	size_t nr_steps, cap_steps;
	bool unwatched;		  /* no allocation is followed */
	uint64_t unwatched_ns;	  /* since then, or when that began last */
	uint64_t watch_ns;	  /* when the window of now began, or the last one */
	uint64_t watched_ns;	  /* length of all windows before it */
	uint64_t nr_windows;	  /* that are over */
	struct windows windows;	  /* likewise; what was left in them is with the sites */
	bool faults_only;	  /* the step of now follows page faults */
	uint64_t faults_since_ns; /* and does so since then */
	uint64_t faults_ns;	  /* length of all such steps before it */
	struct usages faults;	  /* sum: minor, major */
	struct usages mappings;	  /* sum: bytes ever mapped */
	struct event_vm *vm;	  /* not applied yet: they must be, in time order */
	size_t nr_vm, cap_vm;
	size_t nr_vm_new; /* of them, those that map something */
	struct probe *probe;
	size_t nr_probes, cap_probes;
	struct record_run run;
	struct record_overhead overhead; /* the last one; no CPU time: there was none */
	bool started, ended;
	uint16_t end_flags;
	uint64_t last_ns; /* of the last tick or end */
	uint64_t nr_events;
	uint64_t resyncs;
	uint64_t vm_lost; /* ranges that did not fit */
	uint64_t bytes;	  /* of stacks and names */
};

struct image *profile_image(const struct profile *profile, uint32_t proc);	  /* NULL: none */
struct target *profile_target(const struct profile *profile, uint32_t proc);	  /* NULL: none */
const struct stack *profile_stack(const struct profile *profile, uint32_t stack); /* NULL: none */

/*
 * Finds or adds. NULL: no memory. A newer image ends the older ones of its process, also when its
 * EVENT_EXEC was lost; one that is older than another has ended before it is first seen.
 */
struct image *profile_add_image(struct profile *profile, uint32_t proc);
struct target *profile_add_target(struct profile *profile, uint32_t proc);
/* The process in the slot has ended: what comes there next is another. */
void profile_leave_slot(struct profile *profile, uint32_t proc);

/* The address to look up for frame i, with its origin: a return address leads behind the call, an exact one does not. */
uint64_t stack_lookup_address(const struct stack *stack, uint32_t i);

/* Records that record_check() has accepted, by what they tell of. 0, -EBADMSG or -ENOMEM each. */

/* profile_blocks.c: processes and their blocks */
int feed_proc(struct profile *profile, const struct event_proc *event);
int feed_alloc(struct profile *profile, const struct event_alloc *event);
int feed_free(struct profile *profile, const struct event_free *event);
int feed_sampling(struct profile *profile, const struct record_sampling *record);
int feed_step(struct profile *profile, const struct record_step *record);
int feed_unwatched(struct profile *profile, uint64_t time_ns);
/* Frees born before then whose allocation has not come never see it: its event was lost. */
void expire_marks(struct profile *profile, uint64_t before_ns);

/* Exact whatever is sampled: calls that returned a block, less blocks freed. */
double target_net_blocks(const struct target *target);

/* From the start of the run, in s; 0 before it. */
double profile_window_s(const struct profile *profile, uint64_t time_ns);
/* How long page faults have been followed, in s. */
double profile_faults_s(const struct profile *profile);

/* profile_vm.c: mappings and page faults */
int feed_vm(struct profile *profile, const struct event_vm *event);
int feed_fault(struct profile *profile, const struct event_fault *event);
/* The events before then, in the order of their times. */
int apply_vm(struct profile *profile, uint64_t before_ns);

/* profile_names.c: what things are called */
int feed_target(struct profile *profile, const struct record_target *record, size_t nr);
int feed_mapping(struct profile *profile, const struct record_mapping *record, size_t nr);
int feed_stack(struct profile *profile, const struct record_stack *record);
int feed_symbol(struct profile *profile, const struct record_symbol *record, size_t nr);
int feed_probe(struct profile *profile, const struct record_probe *record, size_t nr);

#endif
