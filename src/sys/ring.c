// SPDX-License-Identifier: GPL-2.0-or-later
#include "ring.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "fd.h"

/* Records of one ring at a time: a target that writes as fast as we read must not keep us from the other rings. */
#define TURN_RECORDS 65536

#define HEAD_BYTES 8 /* of the kernel's, before each record */

struct ring_set {
	struct loader *loader;
	struct ring_buffer *ring[SEEP_MAX_RINGS];
	uint32_t nr;
	int epoll;
	int (*take)(const void *record, size_t nr, void *arg);
	void *arg;
	long turn;
	uint64_t turn_bytes;
	int error;
};

static int on_record(void *ctx, void *data, size_t nr)
{
	struct ring_set *set = ctx;

	set->turn_bytes += HEAD_BYTES + nr;
	set->error = set->take(data, nr, set->arg);
	if (set->error < 0)
		return set->error;
	return ++set->turn < TURN_RECORDS ? 0 : -EAGAIN;
}

static int open_ring(struct ring_set *set, uint32_t i, struct ring_buffer **out)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct ring_buffer *ring =
		ring_buffer__new(loader_ring_fd(set->loader, i), on_record, set, NULL);
	int err;

	if (!ring)
		return -errno;
	if (epoll_ctl(set->epoll, EPOLL_CTL_ADD, ring_buffer__epoll_fd(ring), &event)) {
		err = -errno;
		ring_buffer__free(ring);
		return err;
	}
	*out = ring;
	return 0;
}

int ring_set_new(struct loader *loader, int (*take)(const void *record, size_t nr, void *arg),
		 void *arg, struct ring_set **out)
{
	struct ring_set *set = calloc(1, sizeof(*set));
	int err = 0;

	if (!set)
		return -ENOMEM;
	set->loader = loader;
	set->take = take;
	set->arg = arg;
	set->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (set->epoll < 0)
		err = -errno;
	for (; set->nr < loader_nr_rings(loader) && !err; set->nr += !err)
		err = open_ring(set, set->nr, &set->ring[set->nr]);
	if (err)
		ring_set_free(set);
	else
		*out = set;
	return err;
}

void ring_set_free(struct ring_set *set)
{
	uint32_t i;

	if (!set)
		return;
	for (i = 0; i < set->nr; i++)
		ring_buffer__free(set->ring[i]);
	fd_close(&set->epoll);
	free(set);
}

int ring_set_fd(const struct ring_set *set)
{
	return set->epoll;
}

/* 0, or the negative return of take(). */
static int drain_ring(struct ring_set *set, struct ring_buffer *ring)
{
	set->turn = 0;
	set->turn_bytes = 0;
	set->error = 0;
	(void)ring_buffer__consume(ring);
	return set->error < 0 ? set->error : 0;
}

/* A larger one in its place. Nobody writes to the old one any more: it is read to its end. */
static int exchange(struct ring_set *set, uint32_t i, long *total)
{
	struct ring_buffer *old = set->ring[i];
	int old_fd, err = loader_grow_ring(set->loader, i, &old_fd);

	if (err)
		return 0; /* as large as it may be, or no memory */
	do {
		err = drain_ring(set, old);
		*total += set->turn;
	} while (!err && set->turn);
	if (!err)
		err = open_ring(set, i, &set->ring[i]);
	if (set->ring[i] != old)
		ring_buffer__free(old);
	fd_close(&old_fd);
	return err;
}

/* The number of events, or the negative return of take(). */
static long drain_queues(struct ring_set *set)
{
	uint32_t all = loader_nr_queues(set->loader), i;
	uint64_t overwritten = 0;
	long total = 0, nr = 0;
	struct queue_reader queue;

	for (i = 0; i < all && nr >= 0; i++) {
		if (!loader_queue(set->loader, i, &queue))
			continue;
		nr = queue_read(&queue, set->take, set->arg, &overwritten);
		total += nr;
		if (i < all / 2 && nr > queue_slots(&queue) / LOADER_GROW_SHARE)
			loader_grow_queue(set->loader, i);
	}
	if (overwritten)
		loader_count_lost(set->loader, overwritten);
	return nr < 0 ? nr : total;
}

static long drain_rings(struct ring_set *set)
{
	long total = 0;
	uint32_t i;
	int err = 0;

	for (i = 0; i < set->nr && !err; i++) {
		err = drain_ring(set, set->ring[i]);
		total += set->turn;
		if (!err && set->turn_bytes > loader_ring_bytes(set->loader, i) / LOADER_GROW_SHARE)
			err = exchange(set, i, &total);
	}
	return err ? err : total;
}

/* Whoever is told of the end of a process has been told of all its blocks: so queues come again after the rings. */
long ring_set_drain(struct ring_set *set)
{
	long before = drain_queues(set), rings = 0, after = 0;

	if (before >= 0)
		rings = drain_rings(set);
	if (before >= 0 && rings >= 0)
		after = drain_queues(set);
	if (before < 0 || rings < 0 || after < 0)
		return before < 0 ? before : rings < 0 ? rings : after;
	return before + rings + after;
}
