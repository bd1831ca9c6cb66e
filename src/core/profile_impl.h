/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What core/profile.c (records in) and core/summary.c (report out) share. Nobody else includes it. */
#ifndef SEEP_CORE_PROFILE_IMPL_H
#define SEEP_CORE_PROFILE_IMPL_H

#include "image.h"
#include "profile.h"
#include "sites.h"
#include "strings.h"

#define UNKNOWN_FREES_POINTS SERIES_POINTS

/* A process over all its images: one slot of the kernel's. */
struct target {
	uint32_t slot;
	uint32_t tgid;
	const char *comm, *exe;
	bool exited;
	uint64_t counter[STAT_NR];
	uint64_t cpu_first_ns, cpu_last_ns;
	struct series unknown_frees; /* of counter[STAT_FREES_UNKNOWN] over time */
};

struct stack {
	uint32_t proc;
	uint16_t flags;
	uint16_t nr;
	uint64_t frame[];
};

struct fault_site {
	uint32_t proc, stack;
	const char *kind; /* static */
	uint64_t minor, major;
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
	struct target **target;
	size_t nr_targets, cap_targets;
	struct sites sites;
	struct fault_site *fault;
	size_t nr_faults, cap_faults;
	struct map64 fault_index; /* hash of (proc, stack, kind) to index + 1 */
	struct probe *probe;
	size_t nr_probes, cap_probes;
	struct record_run run;
	bool started, ended;
	uint16_t end_flags;
	uint64_t last_ns; /* of the last tick or end */
	uint64_t nr_events;
	uint64_t resyncs;
	uint64_t vm_lost; /* ranges that did not fit */
	uint64_t bytes;	  /* of stacks and names */
};

struct image *profile_image(const struct profile *profile, uint32_t proc); /* NULL: none */
struct target *profile_target(const struct profile *profile,
			      uint32_t proc); /* by its slot; NULL: none */
const struct stack *profile_stack(const struct profile *profile, uint32_t stack); /* NULL: none */

/* The address to look up for frame i: a return address leads behind the call. */
uint64_t stack_lookup_address(const struct stack *stack, uint32_t i);

#endif
