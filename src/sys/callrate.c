/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "callrate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "array.h"
#include "closer.h"
#include "cputime.h"
#include "fd.h"
#include "uprobe_link.h"
#include "uprobe_program.h"

#define NS_PER_MS UINT64_C(1000000)
#define MAX_NS (50 * NS_PER_MS)
#define LIMIT_NS (20 * NS_PER_MS)
#define MAX_PROCESSES 8
#define LOOK_NS NS_PER_MS /* how often it is looked at what has been counted */
#define EMULATED_NS 700	  /* guesses, of a guest */
#define STEPPED_NS 20000

struct counting {
	const struct callrate_place *place;
	size_t nr;
	struct callrate_options options;
	int map_fd, prog_fd;
	const volatile uint64_t *counter; /* of each place */
	int *link;
	size_t nr_links, cap_links;
	pid_t *tgid;
	size_t nr_tgids, cap_tgids;
	bool machine; /* every process */
	struct cputimes times;
	uint64_t *before; /* the counters when all links were set */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static bool is_same_file(const struct callrate_place *a, const struct callrate_place *b)
{
	return a->tgid == b->tgid && strcmp(a->path, b->path) == 0;
}

/* 0, or 1: enough processes. */
static int note_process(struct counting *c, pid_t tgid)
{
	if (!tgid) {
		c->machine = true;
		return 0;
	}
	if (c->nr_tgids && c->tgid[c->nr_tgids - 1] == tgid)
		return 0;
	if (c->nr_tgids == c->options.max_processes)
		return 1;
	if (ARRAY_GROW(&c->tgid, &c->cap_tgids, c->nr_tgids + 1))
		return -ENOMEM;
	c->tgid[c->nr_tgids++] = tgid;
	return 0;
}

/* A link at nr places of one file; their numbers are the cookies. */
static int link_file(struct counting *c, size_t first, size_t nr)
{
	uint64_t *offset = calloc(2 * nr, sizeof(*offset)), *cookie = offset + nr;
	struct uprobe_places places = {.path = c->place[first].path,
				       .offset = offset,
				       .cookie = cookie,
				       .nr = nr,
				       .tgid = c->place[first].tgid};
	int fd = -ENOMEM;
	size_t i;

	if (!offset || ARRAY_GROW(&c->link, &c->cap_links, c->nr_links + 1))
		goto out;
	for (i = 0; i < nr; i++) {
		offset[i] = c->place[first + i].offset;
		cookie[i] = first + i;
	}
	fd = uprobe_link(c->prog_fd, UPROBE_LINK_ENTRY, &places);
	if (fd >= 0)
		c->link[c->nr_links++] = fd;
out:
	free(offset);
	return fd < 0 ? fd : 0;
}

static int link_all(struct counting *c)
{
	int err, gone = -ESRCH;
	size_t first, end;

	for (first = 0; first < c->nr; first = end) {
		for (end = first + 1;
		     end < c->nr && is_same_file(&c->place[first], &c->place[end]);)
			end++;
		err = note_process(c, c->place[first].tgid);
		if (!err)
			err = link_file(c, first, end - first);
		if (err == -ESRCH || err == -ENOENT) { /* the others count */
			gone = err;
			continue;
		}
		if (err < 0)
			return err;
		if (err) {
			c->nr = first;
			break;
		}
	}
	return c->nr_links ? 0 : gone;
}

static uint64_t hits_at(const struct counting *c, size_t i)
{
	return c->counter[i] - c->before[i];
}

static uint64_t spent_ns(const struct counting *c)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < c->nr; i++)
		sum += c->counter[i] *
		       (c->place[i].emulated ? c->options.emulated_ns : c->options.stepped_ns);
	return sum;
}

static uint64_t cpu_since(struct counting *c, uint64_t wall_ns)
{
	uint64_t ns = 0;

	if (c->machine)
		return cputime_machine(wall_ns);
	/* without memory it would be the wrong number that is known: 0 */
	(void)cputimes_since(&c->times, c->tgid, c->nr_tgids, 0, &ns);
	return ns;
}

/* Waits for the end, and says when it was. */
static uint64_t wait_for_end(const struct counting *c, uint64_t start_ns)
{
	const struct timespec pause = {.tv_nsec = LOOK_NS};
	uint64_t now = start_ns;

	while (now - start_ns < c->options.max_ns && spent_ns(c) < c->options.limit_ns) {
		(void)nanosleep(&pause, NULL); /* a signal does no harm */
		now = now_ns();
	}
	return now;
}

static void sum_up(const struct counting *c, uint64_t *hits, struct callrate *out)
{
	uint64_t stepped[2] = {0}, all[2] = {0}, nr;
	size_t i;

	for (i = 0; i < c->nr; i++) {
		nr = hits_at(c, i);
		all[c->place[i].frees] += nr;
		if (!c->place[i].emulated)
			stepped[c->place[i].frees] += nr;
		if (hits)
			hits[i] = nr;
	}
	out->count.calls = all[0];
	out->count.frees = all[1];
	out->stepped_calls = all[0] ? (double)stepped[0] / (double)all[0] : 0;
	out->stepped_frees = all[1] ? (double)stepped[1] / (double)all[1] : 0;
	out->nr_places = c->nr;
	out->nr_processes = c->nr_tgids;
}

static int count(struct counting *c, uint64_t *hits, struct callrate *out)
{
	struct callrate rate = {0};
	uint64_t start_ns, end_ns, spent_before;
	size_t i;
	int err = link_all(c);

	if (err)
		return err;
	(void)cpu_since(c, 0);
	for (i = 0; i < c->nr; i++)
		c->before[i] = c->counter[i];
	spent_before = spent_ns(c);
	start_ns = now_ns();
	end_ns = wait_for_end(c, start_ns);
	rate.count.counted_ns = end_ns - start_ns;
	rate.count.cpu_ns = cpu_since(c, rate.count.counted_ns);
	rate.count.spent_ns = spent_ns(c) - spent_before;
	sum_up(c, hits, &rate);
	*out = rate;
	return 0;
}

static int prepare(struct counting *c)
{
	c->before = calloc(c->nr, sizeof(*c->before));
	if (!c->before)
		return -ENOMEM;
	c->map_fd = uprobe_counter_map((uint32_t)c->nr, &c->counter);
	if (c->map_fd < 0)
		return c->map_fd;
	c->prog_fd =
		uprobe_program_counter(uprobe_link_attach_type(UPROBE_LINK_ENTRY), c->map_fd, 0);
	return c->prog_fd < 0 ? c->prog_fd : 0;
}

int callrate_count(const struct callrate_place *place, size_t nr,
		   const struct callrate_options *options, uint64_t *hits, struct callrate *out)
{
	struct counting c = {.place = place,
			     .nr = nr < CALLRATE_MAX_PLACES ? nr : CALLRATE_MAX_PLACES,
			     .options = *options,
			     .map_fd = -1,
			     .prog_fd = -1};
	size_t counters = c.nr;
	int err;

	if (!nr)
		return -EINVAL;
	if (!c.options.emulated_ns)
		c.options.emulated_ns = EMULATED_NS;
	if (!c.options.stepped_ns)
		c.options.stepped_ns = STEPPED_NS;
	if (!c.options.max_ns)
		c.options.max_ns = MAX_NS;
	if (!c.options.limit_ns)
		c.options.limit_ns = LIMIT_NS;
	if (!c.options.max_processes)
		c.options.max_processes = MAX_PROCESSES;
	if (hits)
		memset(hits, 0, nr * sizeof(*hits));
	err = prepare(&c);
	if (!err)
		err = count(&c, hits, out);
	closer_close(c.link, c.nr_links);
	fd_close(&c.prog_fd);
	fd_close(&c.map_fd);
	uprobe_counter_unmap(c.counter, (uint32_t)counters);
	cputimes_release(&c.times);
	free(c.before);
	free(c.link);
	free(c.tgid);
	return err == -EINVAL ? -ENOTSUP : err;
}
