/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State that BPF programs share: configuration, what is kept of a thread, and the maps.
 *
 * Maps and variables are weak and the same in every object: the linker (bpftool gen object) makes
 * one of each.
 */
#ifndef SEEP_MAPS_BPF_H
#define SEEP_MAPS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "event.h"
#include "unwind.h"

#define MAX_CALLS                                                                                  \
	4 /* allocator calls under way at once in a thread: more than one only on other stacks */
#define NEST_BYTES (1 << 18) /* further down the same stack than this, no allocator calls itself */
#define PAGE_BYTES 4096

/* Native tests change the configuration as they go. */
#ifdef SEEP_NATIVE_BPF
#define SEEP_RODATA volatile
#else
#define SEEP_RODATA const volatile
#endif

/* Set before load, constant afterwards: the verifier drops what they rule out. */
SEEP_RODATA struct seep_config config __weak = {
	.max_frames = 64,
	.nr_rings = 2,
	.nr_queues = 2,
	.wakeup_bytes = 256 * 1024,
	.wakeup_events = 4096,
	.task_storage = 1,
	.task_pt_regs = 1,
	.fault_period = 1,
	.block_table = 1,
	.stack_hash_mask = ~0U,
	.memo = 1,
	.check_stacks = 1,
	.casts = 1,
	.multi_links = 1,
};

/* Written by userspace while programs run. */
volatile __u32 armed __weak = 0;	      /* until 1, programs do nothing */
volatile __u32 targets_generation __weak = 0; /* grows when a slot is given or taken */

/*
 * Which allocations are followed: 0 is all of them, else SEEP_SIZED(mean bytes between two samples, tag). The period is
 * below 2^32. Written by userspace at any time.
 */
volatile __u64 sampling __weak = 0;

/*
 * While 0, allocators are not followed: their probes are about to go, gone, or not all there yet. watched_since is when
 * that ended: calls begun before are over, and blocks born before may be gone.
 */
volatile __u32 watching __weak = 1;
volatile __u64 watched_since __weak = 0;

/* Sets of the block table but one, now and at first. Written by userspace when the shards are there. */
volatile __u32 block_mask __weak = 0;
volatile __u32 block_mask_first __weak = 0;

/* Blocks in the hash behind the table, ever: while 0, nobody looks there. */
volatile __u64 blocks_in_hash __weak = 0;

/* Read by userspace: events lost since the start, so that a resync need not wait for counters. */
volatile __u64 lost_events __weak = 0;

/* Read by userspace: thread group leaders of targets that ended before their other threads, maybe as all do. */
volatile __u32 leaders_gone __weak = 0;

/* An outermost allocator call under way: what its return needs to know. */
struct call {
	__u64 sp;		/* where the return address is; 0: unused */
	__u64 sized;		/* what is asked for; SEEP_SIZED() */
	__u64 ptr;		/* realloc: the old block; posix_memalign: the out-pointer */
	struct block_value old; /* realloc: the old block as it was taken from the block map */
	__u32 stack;
	__u16 role;
	__u8 has_old;	/* 0, 1, or OLD_FREED */
	__u8 is_passed; /* only its old block matters: the new one is not sampled */
};

/*
 * The outermost call that was not sampled, of a function that may call others: its return is not trapped, so nobody
 * says when it has ended. It has not as long as its return address is where it was; if it is, it may have.
 */
struct passed_call {
	__u64 sp;
	__u64 return_address;
	__u32 probe;
	__u32 zero;
};

/* A system call under way. */
struct vm_call {
	__u64 arg[4];
	__u32 stack;
	__u32 kind; /* enum event_kind; 0: none, or inside an allocator call */
};

/*
 * State of one thread: a thread runs one of our programs at a time, so nothing here needs a lock or
 * a guard against nesting on a preemptible kernel.
 */
struct thread {
	__u64 owner; /* of a place in thread_cache: who has it, as bpf_get_current_pid_tgid() says; 0: nobody */
	__u32 slot;
	__u32 generation; /* of targets_generation when slot was looked up */
	__u32 events;	  /* sent by ring buffers */
	__u32 nr_calls;
	__u64 sample_gap; /* bytes up to the next sample; drawn for the period of sample_tag */
	__u32 sample_tag;
	__u32 number; /* see call_number() */
	struct passed_call passed;
	__u64 watched_since; /* as it was when calls were last noted here */
	__u64 last_freed;    /* operator delete ends in free(): the same block is not freed twice */
	__u64 stack_top; /* the highest word that a walk has read: there is memory up to there */
	__u64 window_end; /* what the last stack that was complete needed of it, to read it at once */
	__u16 memo_asked, memo_known; /* of late; a thread whose stacks are never known again... */
	__u32 memo_rest;	      /* ... does without for so many walks */
	__u32 zero;
	struct call call[MAX_CALLS];
	struct vm_call vm;
};

/*
 * Most threads have their state here, at a place given by their number: one look into an array, where task storage
 * takes a call. Who finds the place taken goes to task storage.
 */
#define THREAD_CACHE_PLACES 512

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, THREAD_CACHE_PLACES);
	__type(key, __u32);
	__type(value, struct thread);
} thread_cache SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps") __weak;

/* Before 5.11 there is no task storage: state by tid, and a zeroed value to copy from. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct thread);
} threads_by_tid SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct thread);
} thread_zero SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4 << 20);
	__type(key, struct block_key);
	__type(value, struct block_value);
} blocks SEC(".maps") __weak;

/* libbpf 1.1 wants the sizes of an inner map in numbers. */
struct block_shard {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SEEP_BLOCK_SHARD_SETS);
	__uint(key_size, 4);
	__uint(value_size, 256);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SEEP_BLOCK_MAX_SHARDS);
	__type(key, __u32);
	__array(values, struct block_shard);
} block_shards SEC(".maps") __weak;

#define STACK_TABLE(name, frames)                                                                  \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                                                   \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                              \
		__uint(max_entries, 65536);                                                        \
		__type(key, __u32);                                                                \
		__type(value, __u64[1 + (frames)]);                                                \
	} name SEC(".maps") __weak

STACK_TABLE(stacks_0, SEEP_STACK_FRAMES_0);
STACK_TABLE(stacks_1, SEEP_STACK_FRAMES_1);
STACK_TABLE(stacks_2, SEEP_STACK_FRAMES_2);
STACK_TABLE(stacks_3, SEEP_STACK_FRAMES_3);

/* tgid to slot, and slot to process. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} targets SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 128);
	__type(key, __u32);
	__type(value, struct slot_value);
} slots SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 128);
	__type(key, __u32);
	__type(value, struct seep_counters);
} counters SEC(".maps") __weak;

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SEEP_MAX_RINGS);
	__type(key, __u32);
	__array(values, struct ring);
} rings SEC(".maps") __weak;

#endif
