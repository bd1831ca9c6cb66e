/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The queues that allocations and frees go by: see event_queue.h. */
#ifndef SEEP_QUEUE_BPF_H
#define SEEP_QUEUE_BPF_H

#include "common.bpf.h"
#include "event_queue.h"

#define WAKEUP_EVERY 64 /* events of a queue it is seen how many wait */

/* Bit i: in the place of queue i there is the larger one. Written by userspace. */
volatile __u64 queues_grown __weak = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * SEEP_MAX_QUEUES);
	__type(key, __u32);
	__type(value, struct event_queue);
} queues SEC(".maps") __weak;

/* Sizes in numbers here, too. */
struct queue_segment {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SEEP_QUEUE_SEGMENT_SLOTS);
	__uint(key_size, 4);
	__uint(value_size, 64);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SEEP_QUEUE_MAX_SEGMENTS);
	__type(key, __u32);
	__array(values, struct queue_segment);
} queue_segments SEC(".maps") __weak;

/* That of this CPU. NULL: never. */
static __always_inline struct event_queue *queue_here(void)
{
	__u32 index = bpf_get_smp_processor_id() & (config.nr_queues - 1);

	if (queues_grown >> index & 1)
		index += config.nr_queues;
	return bpf_map_lookup_elem(&queues, &index);
}

/* Wakes the reader, who waits at the ring buffer, by a record that is none. */
__weak __noinline int queue_wake(void)
{
	void *ring = current_ring(), *record;

	record = ring ? bpf_ringbuf_reserve(ring, sizeof(__u64), 0) : NULL;
	if (!record)
		return -1; /* a ring that is full has woken him */
	bpf_ringbuf_discard(record, BPF_RB_FORCE_WAKEUP);
	return 0;
}

/* A place for an event, to be given to slot_send(). NULL: there is none. */
static __always_inline struct event_slot *slot_take(struct event_queue *q, __u64 *number)
{
	__u64 waiting = *(volatile __u64 *)&q->head - *(volatile __u64 *)&q->tail;
	__u32 place, segment;
	void *slots;

	if (waiting >= q->limit)
		return NULL;
	*number = __sync_fetch_and_add(&q->head, 1) + 1;
	if (!(*number % WAKEUP_EVERY) && waiting >= config.wakeup_events)
		(void)queue_wake();
	place = (*number - 1) & q->mask;
	segment = q->first_segment + (place >> SEEP_QUEUE_SEGMENT_BITS);
	slots = bpf_map_lookup_elem(&queue_segments, &segment);
	if (!slots)
		return NULL; /* never: a limit is set when they are there */
	place &= SEEP_QUEUE_SEGMENT_SLOTS - 1;
	return bpf_map_lookup_elem(slots, &place);
}

static __always_inline void slot_send(struct event_slot *slot, __u64 number)
{
#if defined(__TARGET_ARCH_x86)
	barrier();
	*(volatile __u64 *)&slot->number = number;
#else
	__sync_lock_test_and_set(&slot->number, number); /* in order with what was written before */
#endif
}

#endif
