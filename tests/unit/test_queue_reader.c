// SPDX-License-Identifier: GPL-2.0-or-later
/* Queues of events, read while they are written: what bpf/queue.bpf.h does is done here by a thread. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "queue_reader.h"

#define SLOTS (2 * SEEP_QUEUE_SEGMENT_SLOTS)
#define MANY 300000

struct world {
	struct event_queue state;
	struct event_slot *segment[2];
	struct queue_reader queue;
	uint64_t next; /* that is to be read */
	uint64_t nr, stop_at;
	uint64_t overwritten;
};

static struct world *world_of(void **state)
{
	return *state;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->segment[0] = calloc(SEEP_QUEUE_SEGMENT_SLOTS, sizeof(struct event_slot));
	w->segment[1] = calloc(SEEP_QUEUE_SEGMENT_SLOTS, sizeof(struct event_slot));
	assert_true(w->segment[0] && w->segment[1]);
	w->state = (struct event_queue){.mask = SLOTS - 1, .limit = SLOTS - 16};
	w->queue = (struct queue_reader){.state = &w->state, .segment = w->segment};
	w->stop_at = UINT64_MAX;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = world_of(state);

	free(w->segment[0]);
	free(w->segment[1]);
	free(w);
	return 0;
}

static struct event_slot *slot_at(struct world *w, uint64_t number)
{
	uint64_t place = (number - 1) & w->state.mask;

	return &w->segment[place >> SEEP_QUEUE_SEGMENT_BITS]
			  [place & (SEEP_QUEUE_SEGMENT_SLOTS - 1)];
}

static uint64_t take_place(struct world *w)
{
	return __atomic_add_fetch(&w->state.head, 1, __ATOMIC_SEQ_CST);
}

/* Every third is an allocation. */
static void fill(struct world *w, uint64_t number)
{
	struct event_slot *slot = slot_at(w, number);

	if (number % 3) {
		slot->free = (struct event_free){.head = {.kind = EVENT_FREE},
						 .addr = number,
						 .birth_ns = ~number,
						 .sized = number * 7};
	} else {
		slot->alloc = (struct event_alloc){
			.head = {.kind = EVENT_ALLOC}, .addr = number, .sized = number * 7};
	}
	__atomic_store_n(&slot->number, number, __ATOMIC_RELEASE);
}

static bool is_full(const struct world *w)
{
	return w->state.head - __atomic_load_n(&w->state.tail, __ATOMIC_ACQUIRE) >= w->state.limit;
}

static void put(struct world *w, size_t nr)
{
	while (nr--)
		fill(w, take_place(w));
}

static int take(const void *record, size_t nr, void *arg)
{
	const struct event_free *freed = record;
	const struct event_alloc *alloc = record;
	struct world *w = arg;
	uint64_t number = w->next++;

	if (w->nr == w->stop_at)
		return -ENOMEM;
	w->nr++;
	if (number % 3) {
		assert_int_equal(nr, sizeof(*freed));
		assert_int_equal(freed->head.kind, EVENT_FREE);
		assert_int_equal(freed->addr, number);
		assert_true(freed->birth_ns == ~number);
		assert_int_equal(freed->sized, number * 7);
	} else {
		assert_int_equal(nr, sizeof(*alloc));
		assert_int_equal(alloc->head.kind, EVENT_ALLOC);
		assert_int_equal(alloc->addr, number);
		assert_int_equal(alloc->sized, number * 7);
	}
	return 0;
}

static long read_all(struct world *w)
{
	if (!w->next)
		w->next = 1;
	return queue_read(&w->queue, take, w, &w->overwritten);
}

static void test_empty(void **state)
{
	struct world *w = world_of(state);

	assert_int_equal(queue_slots(&w->queue), SLOTS);
	assert_int_equal(read_all(w), 0);
	assert_int_equal(w->state.tail, 0);
}

static void test_around_and_around(void **state)
{
	struct world *w = world_of(state);
	size_t nr, total = 0;

	for (nr = 1; total < 10 * SLOTS; nr = nr * 5 % (SLOTS - 16) + 1) {
		put(w, nr);
		assert_int_equal(read_all(w), nr);
		assert_int_equal(read_all(w), 0);
		total += nr;
		assert_int_equal(w->state.tail, total);
	}
	assert_int_equal(w->nr, total);
	assert_int_equal(w->overwritten, 0);
}

/* A place that was taken and not written yet: what comes after it waits. */
static void test_hole(void **state)
{
	struct world *w = world_of(state);
	uint64_t late;

	put(w, 3);
	late = take_place(w);
	put(w, 3);
	assert_int_equal(read_all(w), 3);
	assert_int_equal(read_all(w), 0);
	fill(w, late);
	assert_int_equal(read_all(w), 4);
	/* a lap later, when something older lies there */
	put(w, SLOTS - 20);
	assert_int_equal(read_all(w), SLOTS - 20);
	late = take_place(w);
	put(w, 100);
	assert_int_equal(read_all(w), 0);
	fill(w, late);
	assert_int_equal(read_all(w), 101);
}

static void test_refused(void **state)
{
	struct world *w = world_of(state);

	w->stop_at = 5;
	put(w, 10);
	assert_int_equal(read_all(w), -ENOMEM);
	assert_int_equal(w->nr, 5);
	w->stop_at = UINT64_MAX;
	assert_int_equal(read_all(w), 4);
}

/* Writers that went past the limit: what they wrote over is counted, and the rest is read. */
static void test_overwritten(void **state)
{
	struct world *w = world_of(state);

	put(w, SLOTS + 5);
	w->next = 6;
	assert_int_equal(read_all(w), SLOTS);
	assert_int_equal(w->overwritten, 5);
	assert_int_equal(read_all(w), 5);
	assert_int_equal(w->overwritten, 5);
	assert_int_equal(w->nr, SLOTS);
}

static void *write_many(void *arg)
{
	struct world *w = arg;
	size_t nr;

	for (nr = 0; nr < MANY;) {
		if (is_full(w)) {
			sched_yield();
			continue;
		}
		put(w, 1);
		nr++;
	}
	return NULL;
}

static void test_read_while_written(void **state)
{
	struct world *w = world_of(state);
	pthread_t writer;
	long nr = 0;

	assert_int_equal(pthread_create(&writer, NULL, write_many, w), 0);
	while (w->nr < MANY && nr >= 0) {
		nr = read_all(w);
		if (!nr)
			sched_yield();
	}
	assert_int_equal(pthread_join(writer, NULL), 0);
	assert_int_equal(w->nr, MANY);
	assert_int_equal(w->overwritten, 0);
}

#define world_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_empty),	      world_test(test_around_and_around),
		world_test(test_hole),	      world_test(test_refused),
		world_test(test_overwritten), world_test(test_read_while_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
