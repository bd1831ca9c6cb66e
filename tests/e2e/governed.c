// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocates little or all the time, as it is told; and a heap of many sizes, of which something is kept. The last two are
 * known to the byte.
 */
#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "target.h"

#define SMALL 40009
#define MIDDLE 4001
#define LARGE 211
#define SMALL_BYTES 193
#define MIDDLE_BYTES 7919
#define LARGE_BYTES 262147

/* Of so many pairs of a busy program, one block leaks, and some of a full cache are replaced. */
#define LEAK_EVERY 256
#define LEAK_BYTES 1031
#define CACHE_EVERY 16
#define CACHE_BYTES 331
#define CACHE_BLOCKS 32768

static volatile int is_busy, is_over;
static pthread_t worker;
static void *volatile last;

static void pause_ns(long ns)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* Some hundred pairs a second, which are cheap on any machine; or pairs alone. */
SITE static void work_once(void)
{
	last = malloc(64);
	free(last);
}

SITE static void *work(void *arg)
{
	(void)arg;
	while (!is_over) {
		work_once();
		if (!is_busy)
			pause_ns(3000000);
	}
	return NULL;
}

static long governed_begin(void)
{
	REQUIRE(!pthread_create(&worker, NULL, work, NULL));
	return 0;
}

static long governed_busy(void)
{
	is_busy = 1;
	return 0;
}

static long governed_quiet(void)
{
	is_busy = 0;
	return 0;
}

SITE static void leak_once(void)
{
	last = malloc(LEAK_BYTES);
}

SITE static void cache_once(void **place)
{
	free(*place);
	*place = malloc(CACHE_BYTES);
}

SITE static void *leak_work(void *arg)
{
	static void *cache[CACHE_BLOCKS];
	unsigned long i;

	(void)arg;
	for (i = 0; i < CACHE_BLOCKS; i++)
		cache_once(&cache[i]);
	for (i = 0; !is_over; i++) {
		work_once();
		if (i % LEAK_EVERY == 0)
			leak_once();
		if (i % CACHE_EVERY == 0)
			cache_once(&cache[i / CACHE_EVERY % CACHE_BLOCKS]);
	}
	return NULL;
}

static long governed_leak(void)
{
	REQUIRE(!pthread_create(&worker, NULL, leak_work, NULL));
	return 0;
}

static long governed_end(void)
{
	is_over = 1;
	REQUIRE(!pthread_join(worker, NULL));
	return 0;
}

/* Every second one is freed. */
static void allocate(long nr, size_t bytes, void *(*get)(size_t))
{
	void *block;
	long i;

	for (i = 0; i < nr; i++) {
		block = get(bytes);
		REQUIRE(block);
		if (i % 2)
			free(block);
		else
			last = block;
	}
}

SITE static void *heap_small(size_t bytes)
{
	return malloc(bytes);
}

/* calloc() calls nothing that has a probe; realloc(NULL) does. */
SITE static void *heap_middle(size_t bytes)
{
	return realloc(NULL, bytes);
}

SITE static void *heap_large(size_t bytes)
{
	return calloc(bytes, 1);
}

static long governed_heap(void)
{
	allocate(SMALL, SMALL_BYTES, heap_small);
	allocate(MIDDLE, MIDDLE_BYTES, heap_middle);
	allocate(LARGE, LARGE_BYTES, heap_large);
	return 0;
}

static const struct work works[] = {
	{"governed_begin", governed_begin},
	{"governed_busy", governed_busy},
	{"governed_quiet", governed_quiet},
	{"governed_end", governed_end},
	{"governed_heap", governed_heap},
	{"governed_leak", governed_leak},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return target_serve(works, argc, argv);
}
