/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwinder.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fd.h"
#include "unwinder_clock.h"
#include "unwinder_processes.h"
#include "unwinder_queue.h"

/* Files are read even if there are always processes to look at. */
#define LOOKS_BEFORE_FILE 16
/* So often it is looked what the watch has to tell, where that does not wake. */
#define NEWS_EVERY_NS 10000000u

struct unwinder {
	struct unwinder_options options;
	struct unwinder_maps maps;
	pthread_t thread;
	bool is_started;
	int wake; /* an eventfd: the queue has grown, or stop is set */

	pthread_mutex_t lock; /* of the next six */
	pthread_cond_t idle;
	struct queue queue;
	uint32_t nr_asked; /* slots beyond were never asked for */
	bool stop, is_paused;
	struct unwinder_stats stats; /* pending: without what is queued */

	/* the thread's */
	struct watch *watch; /* NULL: nobody tells of new code */
	struct processes processes;
	unsigned int looks; /* since a file was read */
};

/* --- the thread ----------------------------------------------------------------------------------------------- */

/* Under the lock. False: it is in the queue already. */
static bool enqueue(struct unwinder *u, uint32_t slot)
{
	if (!queue_push(&u->queue, slot))
		return false;
	u->queue.request[slot].asked_ns = clock_now_ns();
	return true;
}

/*
 * Under the lock. The first in the queue that may be looked at now; false: there is none, at *due_ns there will be.
 */
static bool take_request(struct unwinder *u, uint32_t *slot, struct request *request,
			 uint64_t *due_ns)
{
	uint64_t now = clock_now_ns(), slot_due_ns;

	*due_ns = UINT64_MAX;
	if (u->is_paused)
		return false;
	if (processes_have_work(&u->processes) && u->looks >= LOOKS_BEFORE_FILE)
		return false;
	for (uint32_t nr = u->queue.nr; nr && queue_pop(&u->queue, slot); nr--) {
		*request = u->queue.request[*slot];
		slot_due_ns = processes_due_ns(&u->processes, *slot, request->epoch);
		if (slot_due_ns < request->asked_ns + u->options.settle_ns)
			slot_due_ns = request->asked_ns + u->options.settle_ns;
		if (slot_due_ns <= now) {
			u->looks++;
			return true;
		}
		(void)queue_push(&u->queue, *slot); /* it has just been taken out */
		if (slot_due_ns < *due_ns)
			*due_ns = slot_due_ns;
	}
	return false;
}

/* Under the lock. */
static void note_stats(struct unwinder *u, bool is_idle)
{
	const struct files *files = &u->processes.files;
	const struct tables *tables = &files->tables;

	u->stats = (struct unwinder_stats){
		.files = tables->nr_tables,
		.files_none = files->nr_objects[OBJECT_NONE],
		.files_bad = files->nr_objects[OBJECT_BAD],
		.files_no_room = files->nr_objects[OBJECT_NO_ROOM],
		.rows = tables->rows,
		.bytes =
			(uint64_t)tables->nr_shards * UNWIND_SHARD_ROWS * sizeof(struct unwind_row),
		.evicted = tables->evicted,
		.build_ns = files->build_ns,
		.pending = is_idle ? 0 : files->nr_wanted + 1,
		.mappings_left_out = u->processes.left_out,
	};
}

/* Under the lock. */
static int on_mapping(const struct watch_mapping *mapping, void *arg)
{
	struct unwinder *u = arg;

	for (uint32_t slot = 0; slot < u->nr_asked; slot++) {
		if (u->queue.request[slot].tgid == mapping->tgid)
			(void)enqueue(u, slot);
	}
	return 0;
}

/* Under the lock. */
static void take_news(struct unwinder *u)
{
	uint64_t lost = 0;

	if (u->watch)
		(void)watch_take(u->watch, on_mapping, u, &lost); /* on_mapping() never fails */
	for (uint32_t slot = 0; slot < u->nr_asked && lost; slot++) {
		if (u->queue.request[slot].tgid)
			(void)enqueue(u, slot);
	}
}

/* Under the lock, which it lets go of meanwhile. */
static void wait_for_requests(struct unwinder *u, uint64_t due_ns)
{
	struct pollfd poller[2] = {
		{.fd = u->wake, .events = POLLIN},
		{.fd = u->watch ? watch_fd(u->watch) : -1, .events = POLLIN},
	};
	bool looks_for_news = u->options.settle_ns && !u->is_paused;
	uint64_t now = clock_now_ns(), nr;
	struct timespec pause, settle = clock_time_of(u->options.settle_ns);

	if (looks_for_news && due_ns > now + NEWS_EVERY_NS)
		due_ns = now + NEWS_EVERY_NS;
	note_stats(u, true);
	(void)pthread_cond_broadcast(&u->idle);
	(void)pthread_mutex_unlock(&u->lock);
	if (looks_for_news)
		(void)nanosleep(&settle, NULL);
	now = clock_now_ns();
	pause = clock_time_of(due_ns > now ? due_ns - now : 0);
	if (ppoll(poller, 2, due_ns == UINT64_MAX ? NULL : &pause, NULL) > 0 && poller[0].revents)
		(void)!read(u->wake, &nr, sizeof(nr)); /* what it says is in the queue */
	(void)pthread_mutex_lock(&u->lock);
}

static void preload(struct unwinder *u, char *path)
{
	/* what cannot be read is found out again when a process maps it */
	(void)files_preload(&u->processes.files, path);
	free(path);
}

static void work(struct unwinder *u)
{
	u->looks = 0;
	processes_work(&u->processes);
}

static void *run(void *arg)
{
	struct unwinder *u = arg;
	struct request request;
	uint64_t due_ns;
	uint32_t slot;
	char *path;
	bool has_request;

	if (u->options.on_start)
		u->options.on_start(u->options.arg);
	(void)pthread_mutex_lock(&u->lock);
	while (!u->stop) {
		take_news(u);
		path = queue_pop_path(&u->queue);
		has_request = !path && take_request(u, &slot, &request, &due_ns);
		if (!path && !has_request && !processes_have_work(&u->processes)) {
			wait_for_requests(u, due_ns);
			continue;
		}
		note_stats(u, false);
		(void)pthread_mutex_unlock(&u->lock);
		if (path)
			preload(u, path);
		else if (has_request)
			processes_look(&u->processes, slot, request.tgid, request.epoch);
		else
			work(u);
		(void)pthread_mutex_lock(&u->lock);
	}
	(void)pthread_mutex_unlock(&u->lock);
	return NULL;
}

/* --- its life ------------------------------------------------------------------------------------------------- */

static void init_locks(struct unwinder *u)
{
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&u->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&u->idle, &attr);
	(void)pthread_condattr_destroy(&attr);
}

/* What is made can be released, whether all is or not. */
static int make_parts(struct unwinder *u)
{
	int error = processes_init(&u->processes, &u->maps, u->options.max_bytes);

	u->processes.is_brief = u->options.watch && u->options.settle_ns;
	if (!error)
		error = queue_init(&u->queue, u->maps.nr_slots);
	if (error)
		return error;
	u->wake = eventfd(0, EFD_CLOEXEC);
	return u->wake < 0 ? -errno : 0;
}

int unwinder_new(const struct unwinder_options *options, const struct unwinder_maps *maps,
		 struct unwinder **out)
{
	struct unwinder *u = calloc(1, sizeof(*u));
	int error;

	if (!u)
		return -ENOMEM;
	u->options = *options;
	u->maps = *maps;
	u->wake = -1;
	init_locks(u);
	error = make_parts(u);
	if (!error) {
		u->watch = options->watch;
		error = -pthread_create(&u->thread, NULL, run, u);
		u->is_started = !error;
	}
	if (error) {
		u->watch = NULL; /* it stays the caller's */
		unwinder_free(u);
	} else {
		*out = u;
	}
	return error;
}

static void wake(struct unwinder *u)
{
	const uint64_t one = 1;

	(void)!write(u->wake, &one, sizeof(one)); /* fails only when it has been woken long since */
}

static void stop(struct unwinder *u)
{
	if (!u->is_started)
		return;
	(void)pthread_mutex_lock(&u->lock);
	u->stop = true;
	(void)pthread_mutex_unlock(&u->lock);
	wake(u);
	(void)pthread_join(u->thread, NULL);
}

void unwinder_free(struct unwinder *u)
{
	if (!u)
		return;
	stop(u);
	processes_release(&u->processes);
	queue_release(&u->queue);
	watch_free(u->watch);
	fd_close(&u->wake);
	(void)pthread_cond_destroy(&u->idle);
	(void)pthread_mutex_destroy(&u->lock);
	free(u);
}

/* --- the caller's side ---------------------------------------------------------------------------------------- */

/* Under the lock. */
static void ask(struct unwinder *u, uint32_t slot)
{
	if (slot >= u->nr_asked)
		u->nr_asked = slot + 1;
	if (enqueue(u, slot) && !u->is_paused)
		wake(u);
}

/* Under the lock. */
static void withdraw(struct unwinder *u, uint32_t slot)
{
	u->queue.request[slot].tgid = 0;
	u->queue.request[slot].epoch = publisher_withdraw(&u->processes.publisher, slot);
	ask(u, slot);
}

int unwinder_look(struct unwinder *u, uint32_t slot, pid_t tgid)
{
	struct request *request;

	if (slot >= u->maps.nr_slots || tgid <= 0)
		return -EINVAL;
	(void)pthread_mutex_lock(&u->lock);
	request = &u->queue.request[slot];
	if (request->tgid && request->tgid != tgid)
		withdraw(u, slot);
	request->tgid = tgid;
	ask(u, slot);
	(void)pthread_mutex_unlock(&u->lock);
	return 0;
}

void unwinder_forget(struct unwinder *u, uint32_t slot)
{
	if (slot >= u->maps.nr_slots)
		return;
	(void)pthread_mutex_lock(&u->lock);
	if (u->queue.request[slot].tgid)
		withdraw(u, slot);
	(void)pthread_mutex_unlock(&u->lock);
}

void unwinder_pause(struct unwinder *u, bool is_paused)
{
	bool was_paused;

	(void)pthread_mutex_lock(&u->lock);
	was_paused = u->is_paused;
	u->is_paused = is_paused;
	(void)pthread_mutex_unlock(&u->lock);
	if (was_paused && !is_paused)
		wake(u);
}

int unwinder_preload(struct unwinder *u, const char *path)
{
	int error;

	(void)pthread_mutex_lock(&u->lock);
	error = queue_push_path(&u->queue, path);
	(void)pthread_mutex_unlock(&u->lock);
	if (!error)
		wake(u);
	return error;
}

void unwinder_stats(struct unwinder *u, struct unwinder_stats *out)
{
	(void)pthread_mutex_lock(&u->lock);
	*out = u->stats;
	out->pending += u->queue.nr + queue_has_path(&u->queue);
	(void)pthread_mutex_unlock(&u->lock);
}

/* Under the lock. */
static bool has_pending(const struct unwinder *u)
{
	return u->queue.nr || queue_has_path(&u->queue) || u->stats.pending;
}

bool unwinder_wait(struct unwinder *u, unsigned int ms)
{
	struct timespec until = clock_time_of(clock_now_ns() + (uint64_t)ms * 1000000u);
	bool is_done;
	int error = 0;

	(void)pthread_mutex_lock(&u->lock);
	while (!error && has_pending(u))
		error = pthread_cond_timedwait(&u->idle, &u->lock, &until);
	is_done = !has_pending(u);
	(void)pthread_mutex_unlock(&u->lock);
	return is_done;
}
