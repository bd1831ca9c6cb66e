// SPDX-License-Identifier: GPL-2.0-or-later
#include "queue_reader.h"

#include <stdbool.h>

#define TAIL_EVERY 256 /* events: then writers are told of the room */

uint32_t queue_slots(const struct queue_reader *q)
{
	return q->state->mask + 1;
}

static const struct event_slot *slot_at(const struct queue_reader *q, uint64_t number)
{
	uint32_t place = (uint32_t)(number - 1) & q->state->mask;

	return &q->segment[place >> SEEP_QUEUE_SEGMENT_BITS]
			  [place & (SEEP_QUEUE_SEGMENT_SLOTS - 1)];
}

static uint64_t number_of(const struct event_slot *slot)
{
	return __atomic_load_n(&slot->number, __ATOMIC_ACQUIRE);
}

/* Copies the event if it is still the same one then. */
static bool slot_read(const struct event_slot *slot, uint64_t number, struct event_slot *out)
{
	*out = *slot;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return number_of(slot) == number;
}

static size_t record_bytes(const struct event_slot *slot)
{
	return slot->head.kind == EVENT_ALLOC ? sizeof(slot->alloc) : sizeof(slot->free);
}

static void tell_tail(const struct queue_reader *q, uint64_t tail)
{
	__atomic_store_n(&q->state->tail, tail, __ATOMIC_RELEASE);
}

long queue_read(const struct queue_reader *q, int (*take)(const void *record, size_t nr, void *arg),
		void *arg, uint64_t *overwritten)
{
	uint64_t tail = q->state->tail, number;
	const struct event_slot *slot;
	struct event_slot event;
	long nr = 0;
	int err = 0;

	for (; nr <= q->state->mask && !err; nr++, tail++) {
		slot = slot_at(q, tail + 1);
		number = number_of(slot);
		/* Numbers wrap after 2^64 events: not in our time. */
		if (number <= tail)
			break;
		if (number == tail + 1 && slot_read(slot, number, &event))
			err = take(&event.head, record_bytes(&event), arg);
		else
			(*overwritten)++;
		if (!(tail % TAIL_EVERY))
			tell_tail(q, tail);
	}
	if (nr)
		tell_tail(q, tail);
	return err < 0 ? err : nr;
}
