/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a queue of allocations and frees: bpf/event_queue.h. One reader. */
#ifndef SEEP_SYS_QUEUE_READER_H
#define SEEP_SYS_QUEUE_READER_H

#include <stddef.h>
#include <stdint.h>

#include "event_queue.h"

/* In memory that programs write to; the reader's part is state->tail. Borrowed. */
struct queue_reader {
	struct event_queue *state;
	struct event_slot *const *segment; /* its first */
};

/*
 * Reads what is there, at most once around. What is read goes to take(); a negative return stops the reading and is
 * returned, else the number of events. take's record is valid until it returns. *overwritten grows by the number of
 * events whose place was written to anew before they were read: only possible if SPARE_SLOTS (loader_queues.c)
 * programs were interrupted at the same instruction.
 */
long queue_read(const struct queue_reader *queue,
		int (*take)(const void *record, size_t nr, void *arg), void *arg,
		uint64_t *overwritten);

/* How many events fit. */
uint32_t queue_slots(const struct queue_reader *queue);

#endif
