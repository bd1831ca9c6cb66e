// SPDX-License-Identifier: GPL-2.0-or-later
/* The queues of allocations and frees: see bpf/event_queue.h. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loader_impl.h"
#include "seep.skel.h"

#define SLOT_BYTES sizeof(struct event_slot)
#define SEGMENT_BYTES (SLOT_BYTES * SEEP_QUEUE_SEGMENT_SLOTS)
#define FIRST_BYTES (2u << 20) /* of all together, if one of them then has a segment */
#define SPARE_SLOTS 512

static uint32_t queues_for(int nr_cpus)
{
	uint32_t nr = 1;

	while (nr < (uint32_t)nr_cpus && nr < SEEP_MAX_QUEUES)
		nr *= 2;
	return nr;
}

/* Powers of two. A queue of less than a segment is for who asks for tiny ones. */
static uint32_t first_slots(const struct loader *l)
{
	uint64_t bytes = SEGMENT_BYTES;

	while (2 * bytes * l->nr_queues <= FIRST_BYTES)
		bytes *= 2;
	if (bytes > l->max_ring_bytes)
		bytes = l->max_ring_bytes;
	return (uint32_t)(bytes / SLOT_BYTES);
}

static uint32_t segments_for(uint32_t slots)
{
	return (slots + SEEP_QUEUE_SEGMENT_SLOTS - 1) >> SEEP_QUEUE_SEGMENT_BITS;
}

int loader_configure_queues(struct loader *l, const struct loader_options *options)
{
	struct seep_config *config = (struct seep_config *)&l->skel->rodata->config;
	uint32_t first, large;

	l->nr_queues = queues_for(l->nr_cpus);
	config->nr_queues = l->nr_queues;
	if (options->allocations) {
		l->first_slots = first_slots(l);
		l->max_slots = (uint32_t)(l->max_ring_bytes / SLOT_BYTES);
		while (segments_for(l->max_slots) >
		       SEEP_QUEUE_MAX_SEGMENTS / l->nr_queues - segments_for(l->first_slots))
			l->max_slots /= 2;
	}
	config->wakeup_events = l->first_slots / LOADER_WAKEUP_SHARE;
	first = segments_for(l->first_slots);
	large = l->max_slots > l->first_slots ? segments_for(l->max_slots) : 0;
	l->nr_segments = l->nr_queues * (first + large);
	return bpf_map__set_max_entries(l->skel->maps.queue_segments,
					l->nr_segments ? l->nr_segments : 1);
}

static struct loader_arrays segments_of(const struct loader *l)
{
	return (struct loader_arrays){.outer_fd = bpf_map__fd(l->skel->maps.queue_segments),
				      .name = "seep_events",
				      .value_bytes = SLOT_BYTES,
				      .nr_values = SEEP_QUEUE_SEGMENT_SLOTS,
				      .at = (void **)l->segment};
}

/* The limit comes last: with it, programs begin to write there. */
static void open_queue(const struct loader *l, uint32_t queue, uint32_t first_segment,
		       uint32_t slots)
{
	struct event_queue *q = &l->queues[queue];
	uint32_t spare = slots / 4 < SPARE_SLOTS ? slots / 4 : SPARE_SLOTS;

	q->first_segment = first_segment;
	q->mask = slots - 1;
	q->index = queue & (l->nr_queues - 1);
	__atomic_store_n(&q->limit, slots - spare, __ATOMIC_SEQ_CST);
}

int loader_make_queues(struct loader *l)
{
	uint32_t each = segments_for(l->first_slots), i;
	struct loader_arrays segments;
	int err;

	l->queues_bytes = 2 * SEEP_MAX_QUEUES * sizeof(*l->queues);
	l->queues = mmap(NULL, l->queues_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			 bpf_map__fd(l->skel->maps.queues), 0);
	if (l->queues == MAP_FAILED) {
		l->queues = NULL;
		return -errno;
	}
	l->segment = calloc((size_t)l->nr_segments + 1, sizeof(*l->segment));
	if (!l->segment)
		return -ENOMEM;
	if (!l->first_slots)
		return 0;
	segments = segments_of(l);
	err = loader_add_arrays(&segments, 0, l->nr_queues * each);
	for (i = 0; i < l->nr_queues && !err; i++)
		open_queue(l, i, i * each, l->first_slots);
	return err;
}

static void *grow(void *arg)
{
	struct loader *l = arg;
	uint32_t large = segments_for(l->max_slots), queue = l->growing_queue;
	uint32_t first = l->nr_queues * segments_for(l->first_slots) + queue * large;
	const struct loader_arrays segments = segments_of(l);

	l->queue_error = loader_add_arrays(&segments, first, large);
	if (!l->queue_error) {
		open_queue(l, l->nr_queues + queue, first, l->max_slots);
		__atomic_or_fetch(&l->skel->bss->queues_grown, 1ull << queue, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&l->queue_has_grown, true, __ATOMIC_RELEASE);
	return NULL;
}

static void grow_end(struct loader *l)
{
	(void)pthread_join(l->queue_grower, NULL);
	l->queue_is_growing = l->queue_has_grown = false;
	if (l->queue_error) /* not again and again */
		l->max_slots = l->first_slots;
}

/* In a thread, since it takes some 20 ms in which queues would not be read. */
void loader_grow_queue(struct loader *l, uint32_t queue)
{
	if (l->queue_is_growing && __atomic_load_n(&l->queue_has_grown, __ATOMIC_ACQUIRE))
		grow_end(l);
	if (l->queue_is_growing || queue >= l->nr_queues || l->max_slots <= l->first_slots ||
	    l->skel->bss->queues_grown >> queue & 1)
		return;
	l->growing_queue = queue;
	l->queue_is_growing = !pthread_create(&l->queue_grower, NULL, grow, l);
}

uint32_t loader_nr_queues(const struct loader *l)
{
	return l->first_slots ? 2 * l->nr_queues : 0;
}

bool loader_queue(const struct loader *l, uint32_t queue, struct queue_reader *out)
{
	struct event_queue *q = &l->queues[queue];

	if (!__atomic_load_n(&q->limit, __ATOMIC_ACQUIRE))
		return false;
	*out = (struct queue_reader){.state = q, .segment = &l->segment[q->first_segment]};
	return true;
}

void loader_count_lost(const struct loader *l, uint64_t nr)
{
	__atomic_add_fetch(&l->skel->bss->lost_events, nr, __ATOMIC_SEQ_CST);
}

void loader_unmap_queues(struct loader *l)
{
	struct loader_arrays segments;

	if (l->queue_is_growing)
		grow_end(l);
	if (l->segment) {
		segments = segments_of(l);
		loader_unmap_arrays(&segments, l->nr_segments);
	}
	free(l->segment);
	if (l->queues)
		(void)munmap(l->queues, l->queues_bytes);
}
