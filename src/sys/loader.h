/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The BPF programs and their maps, loaded: the only place that knows their skeleton.
 *
 * Programs do nothing until loader_arm(). Functions return 0 or a negative errno unless said
 * otherwise. One owner, one thread.
 */
#ifndef SEEP_SYS_LOADER_H
#define SEEP_SYS_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"
#include "kernel.h"
#include "queue_reader.h"
#include "unwinder.h"
#include "usdt_spec.h"

struct loader;

/* How a uprobe is tied to its program: attach.h. */
enum attach_kind {
	ATTACH_PERF = 1,
	ATTACH_MULTI = 2,
	ATTACH_SESSION = 3,
};

enum loader_program {
	PROGRAM_ALLOC_ENTER,
	PROGRAM_ALLOC_RETURN,
	PROGRAM_ALLOC_SESSION, /* both at once */
	PROGRAM_FREE_ENTER,
	PROGRAM_USDT_ALLOC,
	PROGRAM_USDT_FREE,
	PROGRAM_FLOOR, /* empty; of a perf event, whatever the others are tied by */
	PROGRAM_FLOOR_MULTI,
	PROGRAM_FLOOR_SESSION, /* which traps the return as well */
	PROGRAM_FLOOR_SKIP,    /* ... and which does not */
	PROGRAM_STACK,	       /* stacks alone: to measure */
	PROGRAM_DIRECT_LOOK,   /* finds the direct map, before all others run */
	PROGRAM_MMAP_ENTER,
	PROGRAM_MMAP_EXIT,
	PROGRAM_MUNMAP_ENTER,
	PROGRAM_MUNMAP_EXIT,
	PROGRAM_MREMAP_ENTER,
	PROGRAM_MREMAP_EXIT,
	PROGRAM_BRK_ENTER,
	PROGRAM_BRK_EXIT,
	PROGRAM_FAULT_MINOR,
	PROGRAM_FAULT_MAJOR,
	PROGRAM_FORK,
	PROGRAM_EXEC,
	PROGRAM_EXIT,
	PROGRAM_CODE_MUNMAP,
	PROGRAM_CODE_MMAP,
	PROGRAM_CODE_MREMAP,
	PROGRAM_VM_LOCK, /* in place of all those at mmap and so on; or, where mappings are of no interest, */
	PROGRAM_CODE_LOCK,
	PROGRAM_NR,
};

/* Who becomes a target by himself, from his first instruction on. Zeroed: nobody. */
struct loader_follow {
	bool children; /* of targets */
	bool all;
	bool cgroup;	  /* who is in cgroup_fd's, or below */
	int cgroup_fd;	  /* a directory of version 2 */
	const char *comm; /* who is called so; NULL: none */
};

/* How programs come to see mmap, munmap, mremap and brk. */
enum loader_calls {
	CALLS_UNSEEN,
	CALLS_BY_TRACEPOINTS, /* of system calls: each call of each process is slower for it */
	CALLS_BY_LOCK,	      /* where the lock of the address space is taken: bpf/lock.bpf.c */
	CALLS_BY_TRAMPOLINES, /* at the functions of the kernel's */
};

struct loader_options {
	bool allocations;  /* load what follows allocators and mappings */
	bool faults;	   /* load what follows page faults */
	uint32_t nr_rings; /* 0: one for each CPU, at most 8 */
	uint64_t
		ring_bytes; /* that one ring, or queue, may grow to; a power of two of a page or more */
	uint32_t max_blocks, max_targets;
	uint32_t max_stacks; /* of up to 23 frames; fewer that are deeper */
	uint32_t max_frames;
	uint32_t max_mappings; /* executable ones, of all targets */
	struct loader_follow follow;
	bool measuring;	       /* load PROGRAM_STACK as well, and the empty ones */
	enum attach_kind link; /* no better than that; 0: the best that the kernel has */
	bool check_stacks;     /* see struct seep_config: slow, for tests */
};

/* Opens, configures and loads. -EPERM, -ENOMEM, -E2BIG, ... from the kernel. */
int loader_new(const struct loader_options *options, const struct kernel_features *features,
	       struct loader **out);
void loader_free(struct loader *loader);

/* Allocating calls' stacks are compared where the kernel has them: bpf/direct.bpf.h. */
bool loader_has_direct_map(const struct loader *loader);
enum loader_calls loader_calls(const struct loader *loader);
/* How often the kernel did not run one, as it was under way on that CPU already; asked for at the end. */
uint64_t loader_calls_missed(const struct loader *loader);

/* What a kernel has, no better than best; 0: the best. */
enum attach_kind loader_choose_kind(enum attach_kind best, const struct kernel_features *features);
/* What uprobes are to be tied by: programs are loaded for one kind alone. */
enum attach_kind loader_attach_kind(const struct loader *loader);
int loader_program_fd(const struct loader *loader, enum loader_program program);
uint32_t loader_nr_rings(const struct loader *loader);
int loader_ring_fd(const struct loader *loader, uint32_t ring);
uint64_t loader_ring_bytes(const struct loader *loader, uint32_t ring);
/*
 * A ring or queue of which more than one of so many parts was filled between two looks is to be exchanged for a larger one:
 * one day more will be filled than there is. The reader is woken well before that.
 */
#define LOADER_GROW_SHARE 4
#define LOADER_WAKEUP_SHARE (2 * LOADER_GROW_SHARE)
/*
 * Programs write to a new ring, as large as it may be, from now on: *old_fd is the one that they have left, and the caller's to
 * read out and close. 0; -ENOSPC: it is that large; or what the kernel says. Waits some 20 ms for programs to
 * leave the old one, so that it is done once and not in steps.
 */
int loader_grow_ring(struct loader *loader, uint32_t ring, int *old_fd);

/*
 * Queues of allocations and frees, as many as loader_nr_queues(). Some are not there until they are needed: then
 * loader_queue() is false. loader_grow_queue() begins to put a larger one, as large as a ring may be, in the place of one
 * of the first half; nothing happens where it is that large, or where there is no memory.
 */
uint32_t loader_nr_queues(const struct loader *loader);
bool loader_queue(const struct loader *loader, uint32_t queue, struct queue_reader *out);
void loader_grow_queue(struct loader *loader, uint32_t queue);

/* All programs start, or stop, at this moment. */
void loader_arm(struct loader *loader, bool armed);

/* From now on: which allocations are followed. See `sampling` in bpf/maps.bpf.h; tag SEEP_TAG_EXACT: all of them. */
#define LOADER_MAX_PERIOD UINT32_MAX
void loader_set_sampling(struct loader *loader, uint64_t period_bytes, uint32_t tag);
/* The process in a slot tells of its allocations by probes of its own, or does not: see SLOT_TELLS. */
void loader_set_tells(struct loader *loader, uint32_t slot, bool tells);
/* No mapping of the process in a slot is known, or some may be: see SLOT_UNMAPPED. */
void loader_set_unmapped(struct loader *loader, uint32_t slot, bool unmapped);
/* Allocators are followed from that time on, which is now; or, with 0, they are not any more. Blocks born before are not
 * known then. At first they are. */
void loader_watch(struct loader *loader, uint64_t since_ns);

/*
 * Slots (1..loader_max_targets()), loader_targets.c. All are in use at first. A free one is put aside with the `proc` that
 * the next process in it will bear, for whoever needs one first: loader_take_slot(), or a program, when a process becomes
 * a target by itself. 0: there is none.
 */
uint32_t loader_max_targets(const struct loader *loader);
void loader_give_slot(struct loader *loader, uint32_t proc);
uint32_t loader_take_slot(struct loader *loader);
/* Of who is in it, or was last. */
uint32_t loader_proc_of_slot(const struct loader *loader, uint32_t slot);
/* The process with this tgid becomes a target. -EEXIST: it is one. */
int loader_set_target(struct loader *loader, uint32_t proc, uint32_t tgid);
/* It is none any more, if it still is, and the counters of the slot are zero: before it is given to another. */
void loader_drop_target(struct loader *loader, uint32_t slot, uint32_t tgid);
/* SEEP_SLOT_NONE: it is no target. */
uint32_t loader_slot_of(const struct loader *loader, uint32_t tgid);
/* Calls visit() for every target; stops and returns its value when that is not 0. */
int loader_walk_targets(const struct loader *loader,
			int (*visit)(uint32_t tgid, uint32_t slot, void *arg), void *arg);
/* How many processes were not followed for want of a slot. */
uint32_t loader_slots_missing(const struct loader *loader);

/* What the probes with this cookie say of their arguments: 1..USDT_MAX_SPECS - 1. -ENOSPC for other numbers. */
int loader_set_usdt(const struct loader *loader, uint32_t number, const struct usdt_spec *spec);

/* Where unwind tables go; valid as long as the loader. */
void loader_unwinder_maps(struct loader *loader, struct unwinder_maps *out);
/* Grows when a stack of the slot's process leads to where no code is known to be. */
uint32_t loader_unknown_code(const struct loader *loader, uint32_t slot);

/* Grows when a target's thread group leader ends while other threads of it have not, yet. */
uint32_t loader_leaders_gone(const struct loader *loader);

/* Sums over the CPUs. */
int loader_counters(const struct loader *loader, uint32_t slot, uint64_t value[STAT_NR]);
/* Events that found no room, since the start: one read of memory. */
uint64_t loader_lost_events(const struct loader *loader);
/* Adds to them what a reader has missed. */
void loader_count_lost(const struct loader *loader, uint64_t nr);

/* The frames of a stack id; -ENOENT. */
int loader_stack(const struct loader *loader, uint32_t stack, struct stack_value *out);

/*
 * The block table begins small. Call it from time to time: makes it four times as large when many blocks have found no
 * room in it, up to what max_blocks needs. 0 or a negative errno: it stays as it is, and works.
 */
int loader_grow_blocks(struct loader *loader);

/* The block map. Calls visit() for every block; those that come or go meanwhile may be missed, a block that stays is
 * seen at least once. */
int loader_walk_blocks(const struct loader *loader,
		       int (*visit)(const struct block_key *key, const struct block_value *value,
				    void *arg),
		       void *arg);
/* 1: there, with this birth; 0: not. */
int loader_has_block(const struct loader *loader, const struct block_key *key, uint64_t birth_ns);
void loader_forget_block(struct loader *loader, const struct block_key *key);

#endif
