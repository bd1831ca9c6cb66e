/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocations and frees are many. They go by queues in arrays that both sides have mapped: the kernel's ring buffers
 * take two calls and a lock for each event. All other events go by those.
 *
 * Who writes takes the place of the number `head`, and says last which event lies there: slot.number, from 1 on. Who
 * reads waits for that, and says by `tail` how far it has come. The limit leaves some places free for those who have
 * looked at the tail and not taken a place yet.
 *
 * A queue's slots lie in segments. It begins small, as queue[index]; a large one can be put in its place, as
 * queue[index + config.nr_queues].
 */
#ifndef SEEP_EVENT_QUEUE_H
#define SEEP_EVENT_QUEUE_H

#include "event.h"

#define SEEP_MAX_QUEUES 64 /* one for each group of CPUs */
#define SEEP_QUEUE_SEGMENT_BITS 11
#define SEEP_QUEUE_SEGMENT_SLOTS (1 << SEEP_QUEUE_SEGMENT_BITS)
#define SEEP_QUEUE_MAX_SEGMENTS 65536

struct event_slot {
	__u64 number;
	union {
		struct event_head head;
		struct event_alloc alloc;
		struct event_free free;
	};
	__u64 zero;
};

struct event_queue {
	__u64 head;
	__u64 tick, now_ns; /* clock.bpf.h */
	__u32 first_segment;
	__u32 mask;  /* slots, less one; a power of two less one */
	__u32 limit; /* events that may wait; 0: none is taken */
	__u32 index;
	__u64 zero[3];
	__u64 tail; /* of the reader's, in a cache line of its own */
	__u64 zeros[7];
};

_Static_assert(sizeof(struct event_slot) == 64, "event_slot");
_Static_assert(sizeof(struct event_queue) == 128, "event_queue");

#endif
