/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract between the BPF programs and userspace, and the head of every record on disk.
 *
 * Shared by bpf/ (compiled for the BPF target, and natively for tests) and src/. Everything that crosses the ring or
 * the disk has an explicit number that is never reused; 0 is always invalid. All integers are little endian, all
 * structs are naturally aligned without holes, and each size is asserted.
 *
 * Units: addresses and sizes in bytes; times in ns of CLOCK_MONOTONIC (which stands still during suspend, as the
 * target does). Those of allocations and frees may be late by some ticks of the kernel's, 1 to 10 ms each: see
 * clock.bpf.h. A free may even seem to come before its allocation.
 *
 * Identity of a process. `proc` is SEEP_PROC(slot, incarnation): the slot is given out when a process becomes a target;
 * the incarnation grows by one on each exec, because exec voids every block of the old image, and when the slot is given
 * to another process. A child of vfork() shares its parent's address space and bears its parent's `proc`.
 *
 * Identity of a block. An address is reused; (proc, addr, birth_ns) is not. A free repeats the birth, the size and the
 * stack of the block that it ends, so that userspace may see the two in any order and need not look anything up.
 */
#ifndef SEEP_EVENT_H
#define SEEP_EVENT_H

#ifndef __bpf__
#ifndef SEEP_NATIVE_BPF
#include <stdint.h>
typedef uint8_t __u8;
typedef uint16_t __u16;
typedef uint32_t __u32;
#include <linux/types.h>
#endif
#endif

#define SEEP_MAX_FRAMES 247  /* frames of one stack: compilers recurse deeper than 127 */
#define SEEP_MAX_RINGS 64    /* ring buffers: one for each group of CPUs */
#define SEEP_COMM_LEN 16     /* TASK_COMM_LEN */
#define SEEP_STACK_UNKNOWN 0 /* no stack could be kept: the bytes are counted all the same */
#define SEEP_WALK_LEVELS 4   /* walks of stacks under way at once on one CPU */
#define SEEP_SLOT_NONE 0     /* slot 0: what cannot be put down to a process */

#define SEEP_PROC(slot, incarnation) (((__u32)(incarnation) << 16) | (__u32)(slot))
#define SEEP_PROC_SLOT(proc) ((proc)&0xffff)
#define SEEP_PROC_INCARNATION(proc) ((proc) >> 16)

enum event_kind {
	EVENT_INVALID = 0,
	EVENT_ALLOC = 1,  /* struct event_alloc: a call returned a block */
	EVENT_FREE = 2,	  /* struct event_free: a block that we knew has ended */
	EVENT_MMAP = 3,	  /* struct event_vm: outside every allocator call */
	EVENT_MUNMAP = 4, /* struct event_vm */
	EVENT_MREMAP = 5, /* struct event_vm */
	EVENT_BRK = 6,	  /* struct event_vm */
	EVENT_FAULT = 7,  /* struct event_fault */
	EVENT_EXEC = 8,	  /* struct event_proc: `proc` is the new incarnation */
	EVENT_EXIT = 9,	  /* struct event_proc: the last thread has gone */
	EVENT_FORK = 10,  /* struct event_proc: tgid is the child's; see enum fork_flags */
	EVENT_KIND_NR = 11,
	/* 256 and above are made in userspace: src/core/record.h */
};

/* First in everything on the ring and on disk. */
struct event_head {
	__u16 kind;    /* enum event_kind or enum record_kind */
	__u16 flags;   /* by kind */
	__u32 proc;    /* SEEP_PROC() */
	__u64 time_ns; /* of the event; for an allocation this is its birth */
};

enum alloc_flags {
	ALLOC_REALLOC = 1 << 0,	  /* the new half of a realloc */
	ALLOC_RESTORED = 1 << 1,  /* a realloc failed: the old block lives on, with its old birth */
	ALLOC_RECOVERED = 1 << 2, /* userspace: read from the block map after a loss */
};

/*
 * A size as it was asked for, and above it a tag: what a block stands for when not every block is followed.
 *
 * SEEP_TAG_EXACT: itself. Up to SEEP_TAG_PERIOD_MAX: the number of a sampling period (RECORD_SAMPLING of core/record.h):
 * with a mean of T bytes between samples a block of s bytes was taken with p = 1 - exp(-max(s, 1) / T), so it stands
 * for 1 / p blocks and s / p bytes. From SEEP_TAG_GIVEN on: whoever sampled it said for how many bytes it stands; the
 * tag is that weight over the size, a number from 1 on with 5 bits of exponent and 10 of mantissa.
 */
#define SEEP_SIZE_BITS 48
#define SEEP_SIZE_MAX ((1ULL << SEEP_SIZE_BITS) - 1)
#define SEEP_SIZED(size, tag) ((size) | (__u64)(tag) << SEEP_SIZE_BITS)
#define SEEP_SIZE(sized) ((sized)&SEEP_SIZE_MAX)
#define SEEP_TAG(sized) ((__u32)((sized) >> SEEP_SIZE_BITS))
#define SEEP_TAG_EXACT 0
#define SEEP_TAG_PERIOD_MAX 0x7fff
#define SEEP_TAG_GIVEN 0x8000
#define SEEP_TAG_EXPONENT(tag) ((tag) >> 10 & 0x1f)
#define SEEP_TAG_MANTISSA(tag) ((tag)&0x3ff) /* the weight is (1 + mantissa / 1024) << exponent */

struct event_alloc {
	struct event_head head;
	__u64 addr;
	__u64 sized; /* SEEP_SIZED() */
	__u32 stack; /* id of the allocating stack, or SEEP_STACK_UNKNOWN */
	__u32 tid;
};

enum free_flags {
	FREE_REALLOC = 1 << 0,	/* the old half of a realloc */
	FREE_REPLACED = 1 << 1, /* the address was handed out again: its free was missed */
	FREE_LOST =
		1 << 3, /* a failed realloc could not put it back: counts as lost, not as freed */
	FREE_RESYNC = 1 << 2, /* userspace: no longer in the block map after a loss */
	FREE_UNWATCHED =
		1
		<< 4, /* of a block of a window that is over: freed at this time, or at any since then */
};

struct event_free {
	struct event_head head;
	__u64 addr;
	__u64 birth_ns;
	__u64 sized; /* SEEP_SIZED() */
	__u32 stack; /* of the allocation */
	__u32 tid;
};

/* mmap, munmap, mremap, brk: successful calls only, sent at their return. */
struct event_vm {
	struct event_head head;
	__u64 addr;	/* start of the new mapping; munmap: of the hole; brk: the new break */
	__u64 length;	/* of the same, rounded up to pages; brk: 0 */
	__u64 old_addr; /* mremap: what moved; brk: the old break */
	__u64 old_length;
	__u32 stack;
	__u32 map_flags; /* MAP_* of mmap, MREMAP_* of mremap */
	__u32 prot;	 /* PROT_* of mmap */
	__u32 tid;
};

enum fault_flags {
	FAULT_MAJOR = 1 << 0,
};

struct event_fault {
	struct event_head head;
	__u64 addr;
	__u32 stack; /* its frame 0 is the faulting instruction, not a return address */
	__u32 tid;
};

enum fork_flags {
	FORK_FOLLOWED = 1 << 0, /* `proc` is the child's own: it is a target from its start on */
	FORK_SHARED = 1 << 1, /* the child runs in its parent's memory, and counts as its parent */
			      /* with neither, `proc` is the parent's: the child is not followed */
};

struct event_proc {
	struct event_head head;
	__u32 tgid;
	__u32 parent_tgid; /* fork; exec: the id of the thread that called it */
	char comm[SEEP_COMM_LEN];
};

/*
 * Counters, by slot, per CPU. Every path in BPF that gives up bumps exactly one of those from STAT_LOST_EVENTS on, at
 * one place, so that each loss reaches the report by name.
 */
enum seep_stat {
	STAT_ALLOCS = 0, /* calls that returned a block */
	/* 1 was STAT_ALLOC_BYTES */
	STAT_FREES = 2, /* ends of blocks that we knew */
	/* 3 was STAT_FREE_BYTES */
	STAT_FAILED_ALLOCS = 4, /* calls that returned no block */
	STAT_FREES_UNKNOWN = 5, /* blocks older than the attach, or not ours */
	STAT_ENTRY_HITS = 6,	/* runs of allocating entry probes, nested ones too */
	STAT_RETURN_HITS = 7,	/* runs of return probes */
	STAT_FREE_HITS = 8,	/* runs of freeing probes */
	STAT_MINOR_FAULTS = 9,
	STAT_MAJOR_FAULTS = 10,
	STAT_LOST_EVENTS = 11,	      /* the ring was full */
	STAT_LOST_ALLOCS = 12,	      /* the block map was full: seen but not kept */
	STAT_MISSED_FREES = 13,	      /* an address came back without having been freed */
	STAT_STALE_CALLS = 14,	      /* an allocator call left by longjmp or an exception */
	STAT_CALLS_TOO_DEEP = 15,     /* more calls at once in one thread than we keep */
	STAT_NO_THREAD_STATE = 16,    /* no memory for a thread's state */
	STAT_OUT_POINTER_FAULTS = 17, /* posix_memalign's result could not be read */
	STAT_STACKS_FULL = 18,	      /* the stack table was full: stack unknown */
	STAT_STACK_COLLISIONS = 19,   /* other stacks with the same hash: stack unknown */
	STAT_STACKS_EMPTY = 20,	      /* not even the caller could be read: stack unknown */
	STAT_NO_REGS = 21,	      /* user registers not available: stack unknown */
	STAT_STACKS_BUSY = 22,	      /* too many walks under way on this CPU: stack unknown */
	/* Stacks that are cut, each by one of these: */
	STAT_CUT_NO_MAPPING = 23,    /* at an address in no executable mapping that we know */
	STAT_CUT_PENDING = 24,	     /* where a table was still being made */
	STAT_CUT_NO_TABLE = 25,	     /* in code without a table that has no frame pointer either */
	STAT_CUT_UNSUPPORTED = 26,   /* at a rule that tables do not hold */
	STAT_CUT_UNREADABLE = 27,    /* where the stack could not be read */
	STAT_CUT_BAD_FRAME = 28,     /* where a frame would lie below the one it called */
	STAT_CUT_CHANGED = 29,	     /* mappings changed during the walk */
	STAT_CUT_TRAMPOLINE = 30,    /* at a return probe that cannot be seen through */
	STAT_CUT_DEPTH = 31,	     /* after max_frames */
	STAT_STACKS_BY_POINTER = 32, /* information: frame pointers were followed in part */
	STAT_MEMO_HITS = 33,	     /* checking only: stacks that were known again */
	STAT_MEMO_WRONG = 34,	     /* checking only: of those, not what a full walk found */
	/* Exact, also when not every block is followed: */
	STAT_CALLS = 35,      /* outermost allocator calls, whatever became of them */
	STAT_CALL_BYTES = 36, /* what they asked for */
	STAT_FOREIGN_HITS =
		37, /* of slot 0: probes hit by who is no target, or while nothing is followed */
	STAT_SAMPLES_NESTED =
		38,	     /* information: samples not taken, the call being part of another */
	STAT_USDT_HITS = 39, /* runs of programs on probes that a program brings along */
	STAT_MAPPINGS =
		40, /* calls of mmap, mremap and brk outside allocators, that may be told of */
	STAT_UNMAPPINGS = 41, /* calls of munmap, likewise */
	STAT_NR = 42,
};

struct seep_counters {
	__u64 value[STAT_NR];
};

/* Set once before load. Defaults are such that the verifier sees every branch. */
struct seep_config {
	__u32 max_frames;      /* 1..SEEP_MAX_FRAMES */
	__u32 nr_rings;	       /* 1..SEEP_MAX_RINGS; ring of a CPU: cpu % nr_rings */
	__u32 nr_queues;       /* likewise, of event_queue.h; a power of two */
	__u32 wakeup_bytes;    /* wake the reader when this much is waiting in a ring, */
	__u32 wakeup_events;   /* or so many events in a queue */
	__u32 task_storage;    /* thread state in task storage, else in a hash by tid */
	__u32 task_pt_regs;    /* bpf_task_pt_regs() is there (5.15) */
	__u32 fault_period;    /* a fault event stands for this many faults */
	__u32 block_table;     /* there is one, in front of the hash */
	__u32 stack_hash_mask; /* all ones; tests narrow it to force collisions */
	__u32 memo;	       /* 1; tests do without, to have each stack walked */
	__u32 check_stacks;    /* walk in full on every hit of the memo, and compare */
	__u32 casts;	       /* bpf_rdonly_cast() is there (6.2), and task_storage */
	__u32 multi_links;     /* uprobes of allocators are in links of many */
};

/* Where the kernel has all of the machine's memory mapped, and how page tables lead there. See direct.bpf.h. */
struct seep_direct_map {
	__u64 base;   /* the address of physical address 0; 0: not known */
	__u64 limit;  /* behind the last physical address of memory */
	__u64 mask;   /* the bits of an entry that are a physical address */
	__u32 levels; /* of page tables: 4 or 5 */
	__u32 zero;
};

/* What the program that finds it out is asked for. */
enum direct_look {
	DIRECT_TABLES = 0, /* where the kernel has the topmost page table of the current process */
	DIRECT_KERNEL_WORD = 1, /* the word at an address of the kernel's; 0: there is none */
	DIRECT_USER_WORD = 2, /* the word at an address of the process, by way of its page tables */
};

/* Who becomes a target by himself. Set once before load, likewise. */
struct seep_follow {
	__u32 is_on;	   /* 0: nobody; the rest does not matter then */
	__u32 children;	   /* whom a target forks */
	__u32 all;	   /* every process */
	__u32 self_tgid;   /* but never this one, nor its children */
	__u32 cgroup;	   /* who is in the cgroup (version 2) of the map, or below it */
	__u32 slots_mask;  /* places in the ring of free slots, less one */
	__u32 stages_mask; /* for mappings of children, less one; 0: there are none */
	__u32 stage_first;
	char comm[SEEP_COMM_LEN]; /* who is called so; empty: nobody */
};

/*
 * What a probe's cookie says: the role of the function, and in which register each argument is at the probed
 * instruction. A register is its DWARF number + 1 (x86-64: 1 rax, 2 rdx, 3 rcx, 4 rbx, 5 rsi, 6 rdi, ...), 0 is "no
 * such argument".
 */
enum probe_role {
	ROLE_INVALID = 0,
	ROLE_ALLOC = 1,	    /* returns the block; size = size [* count] */
	ROLE_REALLOC = 2,   /* resizes ptr; returns the block */
	ROLE_FREE = 3,	    /* frees ptr */
	ROLE_ALLOC_OUT = 4, /* stores the block through out, returns 0 on success: posix_memalign */
	ROLE_RESIZE =
		5, /* resizes ptr where it is, or not; returns its size from then on: xallocx */
};

#define COOKIE_ROLE(c) ((__u32)((c)&0xf))
#define COOKIE_IS_LEAF(c) ((__u32)((c) >> 4 & 1)) /* it calls no other function that has a probe */
#define COOKIE_SIZE_REG(c) ((__u32)(((c) >> 8) & 0x1f))
#define COOKIE_COUNT_REG(c) ((__u32)(((c) >> 16) & 0x1f))
#define COOKIE_PTR_REG(c) ((__u32)(((c) >> 24) & 0x1f)) /* the block, or the out-pointer */
#define COOKIE_SP_WORDS(c)                                                                         \
	((__u32)(((c) >> 32) &                                                                     \
		 0xff)) /* words pushed since entry: the return address is at sp + 8 * this */
#define COOKIE_PROBE(c) ((__u32)(((c) >> 40) & 0xffff)) /* index of the probe, for reports */
#define SEEP_COOKIE_LEAF (1ULL << 4)
#define SEEP_COOKIE(role, size_reg, count_reg, ptr_reg, sp_words, probe)                           \
	((__u64)(role) | (__u64)(size_reg) << 8 | (__u64)(count_reg) << 16 |                       \
	 (__u64)(ptr_reg) << 24 | (__u64)(sp_words) << 32 | (__u64)(probe) << 40)

/* Key and value of the block map, the truth about what is live. */
struct block_key {
	__u64 addr;
	__u32 proc;
	__u32 zero;
};

struct block_value {
	__u64 sized; /* SEEP_SIZED() */
	__u64 birth_ns;
	__u32 stack;
	__u32 proc; /* as in the key */
};

/*
 * The block map is a table of sets in front of a hash. A block lives in its set, found by its hash,
 * and never moves: taking and giving back a place is one atomic operation. A block that finds its
 * set full goes to the hash, which grows on demand and is several times slower.
 *
 * The table lies in shards and grows by a factor of four: from then on blocks go where the larger table has them, and
 * those that lie where a smaller one had them are looked for there, the smallest last.
 */
#define SEEP_BLOCK_WAYS 8
#define SEEP_BLOCK_SHARD_BITS 12 /* of sets: 1 MiB */
#define SEEP_BLOCK_SHARD_SETS (1 << SEEP_BLOCK_SHARD_BITS)
#define SEEP_BLOCK_GROWTH_BITS 2
#define SEEP_BLOCK_LEVELS 8
#define SEEP_BLOCK_MAX_SHARDS 8192
#define SEEP_BLOCK_TAKEN 1 /* as an address: somebody is writing here */

struct block_set {
	__u64 addr[SEEP_BLOCK_WAYS]; /* one cache line; 0: free */
	struct block_value block[SEEP_BLOCK_WAYS];
};

/* The set of a block, the same in BPF and in userspace. */
#define SEEP_BLOCK_HASH(addr, proc)                                                                \
	((__u32)((((addr) >> 4) ^ ((__u64)(proc) << 40)) * 0x9e3779b97f4a7c15ULL >> 32))

enum stack_flags {
	STACK_PARTIAL = 1 << 0,	   /* the walk stopped before the outermost frame */
	STACK_TRUNCATED = 1 << 1,  /* deeper than max_frames */
	STACK_PRECISE_PC = 1 << 2, /* frame 0 is an instruction, not a return address */
	STACK_LEAF_GUESS =
		1
		<< 3, /* frame 1 is the word at the stack pointer: drop it if it is no code address */
};

/*
 * A frame is an address, and above it what no user address has bits for: whether it is an instruction, not a return
 * address (in a frame further out, interrupted by a signal), and which code lay there (unwind.h), since other code may come.
 */
#define SEEP_FRAME_EXACT (1ULL << 63)
#define SEEP_FRAME_ADDRESS 0xffffffffffffULL
#define SEEP_FRAME_ORIGIN(frame) ((__u16)((frame) >> 48 & 0x7fff))
#define SEEP_FRAME_OF(address, origin) (((address)&SEEP_FRAME_ADDRESS) | (__u64)(origin) << 48)

/*
 * The stack tables, each with room for stacks of so many frames: a stack lies in the first that it fits in, with what
 * the kernel adds (56 bytes, and the key) in 256, 512, 1024 or 2048 bytes. The key is the stack's id: the table's
 * number, and below it the hash of the stack, or a following number when that is taken by another stack, told apart by
 * comparing every frame.
 */
#define SEEP_STACK_TABLES 4
#define SEEP_STACK_FRAMES_0 23
#define SEEP_STACK_FRAMES_1 55
#define SEEP_STACK_FRAMES_2 119
#define SEEP_STACK_FRAMES_3 SEEP_MAX_FRAMES
#define SEEP_STACK_NUMBER 0x3fffffff /* of a stack in its table; never 0 */
#define SEEP_STACK_ID(table, number) ((__u32)(table) << 30 | ((number)&SEEP_STACK_NUMBER))
#define SEEP_STACK_TABLE(id) ((id) >> 30)

/* As it is in the last table; the others' values end sooner. */
struct stack_value {
	__u32 proc;
	__u16 nr;
	__u16 flags;		      /* enum stack_flags */
	__u64 frame[SEEP_MAX_FRAMES]; /* innermost first */
};

enum slot_flags {
	/* it tells of its allocations by probes of its own: its calls are not followed; until it execs */
	SLOT_TELLS = 1 << 0,
	/* no mapping is known of it: what it unmaps while nothing is followed is no news */
	SLOT_UNMAPPED = 1 << 1,
};

/* What a target's slot holds. */
struct slot_value {
	__u32 proc;  /* SEEP_PROC(), the incarnation kept by the exec program */
	__u32 flags; /* enum slot_flags */
};

_Static_assert(sizeof(struct event_head) == 16, "event_head");
_Static_assert(sizeof(struct event_alloc) == 40, "event_alloc");
_Static_assert(sizeof(struct event_free) == 48, "event_free");
_Static_assert(sizeof(struct event_vm) == 64, "event_vm");
_Static_assert(sizeof(struct event_fault) == 32, "event_fault");
_Static_assert(sizeof(struct event_proc) == 40, "event_proc");
_Static_assert(sizeof(struct block_key) == 16, "block_key");
_Static_assert(sizeof(struct block_set) == 256, "block_set");
_Static_assert(sizeof(struct block_value) == 24, "block_value");
_Static_assert(sizeof(struct stack_value) == 8 + 8 * SEEP_MAX_FRAMES, "stack_value");
_Static_assert(sizeof(struct seep_config) == 56, "seep_config");
_Static_assert(sizeof(struct seep_follow) == 48, "seep_follow");

#endif
