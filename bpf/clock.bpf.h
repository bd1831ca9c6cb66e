/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The time of allocations and frees.
 *
 * A look at the clock costs as much as all else that is done for a free: in a guest some 45 ns. So it is looked at once
 * in a tick of the kernel's, on each CPU, and the counter of ticks is one word of memory. Times are late by less than a
 * tick then, or by a few where the CPU that counts ticks is held up.
 *
 * Births tell blocks apart that had the same address, so no two may be equal: those of one queue follow each other in
 * steps of the number of queues, and modulo that number each queue has its own. A step is far shorter than an event
 * takes, so that they do not run ahead of the clock.
 */
#ifndef SEEP_CLOCK_BPF_H
#define SEEP_CLOCK_BPF_H

#include "event_queue.h"
#include "maps.bpf.h"

static __always_inline void clock_read(struct event_queue *q, __u64 tick)
{
	__u64 old = *(volatile __u64 *)&q->now_ns;
	__u64 now = (bpf_ktime_get_ns() & ~(__u64)(config.nr_queues - 1)) | q->index;

	/* Not when a program that has interrupted us was here meanwhile. */
	if (now > old)
		__sync_val_compare_and_swap(&q->now_ns, old, now);
	q->tick = tick;
}

/* Not before allocators were followed: what is born earlier may be gone. */
static __always_inline void clock_advance(struct event_queue *q)
{
	__u64 tick = bpf_jiffies64();

	if (q->tick != tick || q->now_ns < watched_since)
		clock_read(q, tick);
}

static __always_inline __u64 clock_now(struct event_queue *q)
{
	clock_advance(q);
	return *(volatile __u64 *)&q->now_ns;
}

static __always_inline __u64 clock_birth(struct event_queue *q)
{
	clock_advance(q);
	return __sync_fetch_and_add(&q->now_ns, config.nr_queues) + config.nr_queues;
}

#endif
