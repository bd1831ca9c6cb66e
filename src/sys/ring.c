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

struct ring_set {
	struct ring_buffer *ring[SEEP_MAX_RINGS];
	uint32_t nr;
	int epoll;
	int (*take)(const void *record, size_t nr, void *arg);
	void *arg;
	long turn;
	int error;
};

static int on_record(void *ctx, void *data, size_t nr)
{
	struct ring_set *set = ctx;

	set->error = set->take(data, nr, set->arg);
	if (set->error < 0)
		return set->error;
	return ++set->turn < TURN_RECORDS ? 0 : -EAGAIN;
}

int ring_set_new(const struct loader *loader, int (*take)(const void *record, size_t nr, void *arg),
		 void *arg, struct ring_set **out)
{
	struct ring_set *set = calloc(1, sizeof(*set));
	struct epoll_event event = {.events = EPOLLIN};
	uint32_t i;
	int err = 0;

	if (!set)
		return -ENOMEM;
	set->take = take;
	set->arg = arg;
	set->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (set->epoll < 0)
		err = -errno;
	for (i = 0; i < loader_nr_rings(loader) && !err; i++) {
		set->ring[i] = ring_buffer__new(loader_ring_fd(loader, i), on_record, set, NULL);
		if (!set->ring[i]) {
			err = -errno;
			break;
		}
		set->nr++;
		if (epoll_ctl(set->epoll, EPOLL_CTL_ADD, ring_buffer__epoll_fd(set->ring[i]),
			      &event))
			err = -errno;
	}
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

long ring_set_drain(struct ring_set *set)
{
	long total = 0;
	uint32_t i;

	for (i = 0; i < set->nr; i++) {
		set->turn = 0;
		set->error = 0;
		(void)ring_buffer__consume(set->ring[i]);
		if (set->error < 0)
			return set->error;
		total += set->turn;
	}
	return total;
}
