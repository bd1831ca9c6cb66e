/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwinder.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "unwinder_code.h"
#include "unwinder_files.h"
#include "unwinder_publish.h"

/* Mappings may change while they are read. What a process that keeps changing them has done last, a later look finds. */
#define MAX_LOOKS 5
#define NS_PER_S 1000000000u
/* A process that keeps asking has one part in so many of the time. */
#define LOOK_SHARE 10
#define MAX_PAUSE_NS 1000000000u
/* Files are read even if there are always processes to look at. */
#define LOOKS_BEFORE_FILE 16
/* How long tables that are ready wait for others, to be published together. */
#define ROUND_NS 20000000u
/* Publishing takes at most one part in so many of the time. */
#define ROUND_SHARE 5
/* What takes longer to read than others should wait: some 100,000 rows. */
#define LARGE_BYTES (8u << 20)

struct request {
	pid_t tgid; /* 0: forgotten, look at nothing */
	uint32_t epoch;
	bool is_queued;
};

struct process {
	pid_t tgid;
	struct publication publication;
	struct code code; /* of what is published, without its mappings: the files are held */
	uint64_t due_ns;  /* not to be looked at on request before */
};

struct unwinder {
	struct unwinder_options options;
	struct unwinder_maps maps;
	pthread_t thread;
	bool is_started;
	struct publisher publisher;

	pthread_mutex_t lock; /* of the next six */
	pthread_cond_t asked, idle;
	struct request *request; /* by slot */
	uint32_t *queue;	 /* a ring of slots, each at most once */
	uint32_t head, nr_queued;
	bool stop;
	struct unwinder_stats stats; /* pending: without what is queued */

	/* the thread's */
	struct files files;
	struct process *process; /* by slot */
	uint32_t nr_processes;	 /* slots beyond were never used */
	uint64_t left_out;	 /* of all processes */
	unsigned int looks;	 /* since a file was read */
	bool has_news;		 /* files were read since the last round of publishing */
	uint64_t round_due_ns;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* there is no machine without it */
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* --- the thread ----------------------------------------------------------------------------------------------- */

/* The new code takes the old one's place, also when it is published as before: its files are held for that. */
static void keep_code(struct unwinder *u, struct process *process, struct code *code)
{
	u->left_out -= process->code.left_out;
	u->left_out += code->left_out;
	code_release(&u->files, &process->code);
	process->code = *code;
	free(process->code.mappings.item);
	process->code.mappings = (struct mapping_list){0};
}

static int publish(struct unwinder *u, struct process *process, struct code *code)
{
	int changed;

	u->left_out -= process->publication.left_out;
	changed = publisher_put(&u->publisher, &process->publication, &code->mappings);
	u->left_out += process->publication.left_out;
	if (changed < 0)
		code_release(&u->files, code);
	else
		keep_code(u, process, code);
	return changed;
}

/*
 * After publishing, once more: what was mapped meanwhile is nobody else's to tell. When the process has gone, or memory
 * is short, what is published stays.
 */
static void look(struct unwinder *u, struct process *process)
{
	struct code code;
	bool is_touched;
	int changed;

	for (unsigned int i = 0; i < MAX_LOOKS; i++) {
		changed = code_read(&u->files, process->tgid, &code);
		if (changed >= 0)
			changed = publish(u, process, &code);
		if (changed == -ESRCH)
			process->code.is_pending = false;
		is_touched = publisher_is_touched(&u->publisher, &process->publication);
		if (changed < 0 || (!changed && !is_touched))
			return;
	}
}

static void drop_process(struct unwinder *u, struct process *process)
{
	u->left_out -= process->publication.left_out + process->code.left_out;
	publisher_drop(&u->publisher, &process->publication);
	code_release(&u->files, &process->code);
	process->tgid = 0;
	process->due_ns = 0;
}

static void serve(struct unwinder *u, uint32_t slot, const struct request *request)
{
	struct process *process = &u->process[slot];
	uint64_t start_ns = now_ns(), pause_ns;

	if (slot >= u->nr_processes)
		u->nr_processes = slot + 1;
	if (process->publication.epoch != request->epoch) {
		drop_process(u, process);
		process->publication.epoch = request->epoch;
	}
	process->publication.slot = slot;
	process->tgid = request->tgid;
	if (!process->tgid)
		return;
	look(u, process);
	pause_ns = (now_ns() - start_ns) * (LOOK_SHARE - 1);
	process->due_ns = now_ns() + (pause_ns < MAX_PAUSE_NS ? pause_ns : MAX_PAUSE_NS);
}

/* Looks at all that wait for files again. */
static void publish_news(struct unwinder *u)
{
	uint64_t start_ns = now_ns(), pause_ns;

	for (uint32_t slot = 0; slot < u->nr_processes; slot++) {
		if (u->process[slot].code.is_pending)
			look(u, &u->process[slot]);
	}
	pause_ns = (now_ns() - start_ns) * (ROUND_SHARE - 1);
	u->round_due_ns = now_ns() + (pause_ns < ROUND_NS ? ROUND_NS : pause_ns);
	u->has_news = false;
}

static bool has_work(const struct unwinder *u)
{
	return u->files.nr_wanted || u->has_news;
}

/* One file, or a round of publishing when it is time for one. */
static void work(struct unwinder *u)
{
	uint64_t bytes = 0;
	bool has_next = files_peek(&u->files, &bytes);

	u->looks = 0;
	if (u->has_news && (!has_next || bytes >= LARGE_BYTES || now_ns() >= u->round_due_ns)) {
		publish_news(u);
		return;
	}
	if (!u->has_news && u->round_due_ns < now_ns() + ROUND_NS)
		u->round_due_ns = now_ns() + ROUND_NS;
	u->has_news = true;
	files_read_next(&u->files);
}

/*
 * Under the lock. The first in the queue that may be looked at now; false: there is none, at *due_ns there will be.
 */
static bool take_request(struct unwinder *u, uint32_t *slot, struct request *request,
			 uint64_t *due_ns)
{
	uint64_t now = now_ns(), slot_due_ns;

	*due_ns = UINT64_MAX;
	if (has_work(u) && u->looks >= LOOKS_BEFORE_FILE)
		return false;
	for (uint32_t nr = u->nr_queued; nr; nr--) {
		*slot = u->queue[u->head];
		*request = u->request[*slot];
		u->head = (u->head + 1) % u->maps.nr_slots;
		slot_due_ns = u->process[*slot].due_ns;
		if (slot_due_ns <= now || request->epoch != u->process[*slot].publication.epoch) {
			u->request[*slot].is_queued = false;
			u->nr_queued--;
			u->looks++;
			return true;
		}
		u->queue[(u->head + u->nr_queued - 1) % u->maps.nr_slots] = *slot;
		if (slot_due_ns < *due_ns)
			*due_ns = slot_due_ns;
	}
	return false;
}

/* Under the lock. */
static void note_stats(struct unwinder *u, bool is_idle)
{
	const struct tables *tables = &u->files.tables;

	u->stats = (struct unwinder_stats){
		.files = tables->nr_tables,
		.files_none = u->files.nr_objects[OBJECT_NONE],
		.files_bad = u->files.nr_objects[OBJECT_BAD],
		.files_no_room = u->files.nr_objects[OBJECT_NO_ROOM],
		.rows = tables->rows,
		.bytes =
			(uint64_t)tables->nr_shards * UNWIND_SHARD_ROWS * sizeof(struct unwind_row),
		.evicted = tables->evicted,
		.build_ns = u->files.build_ns,
		.pending = is_idle ? 0 : u->files.nr_wanted + 1,
		.mappings_left_out = u->left_out,
	};
}

static struct timespec time_of(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
				 .tv_nsec = (long)(ns % NS_PER_S)};
}

/* Under the lock. */
static void wait_for_requests(struct unwinder *u, uint64_t due_ns)
{
	struct timespec due = time_of(due_ns);

	note_stats(u, true);
	(void)pthread_cond_broadcast(&u->idle);
	if (u->nr_queued)
		(void)pthread_cond_timedwait(&u->asked, &u->lock, &due);
	else
		(void)pthread_cond_wait(&u->asked, &u->lock);
}

static void *run(void *arg)
{
	struct unwinder *u = arg;
	struct request request;
	uint64_t due_ns;
	uint32_t slot;
	bool has_request;

	if (u->options.on_start)
		u->options.on_start(u->options.arg);
	(void)pthread_mutex_lock(&u->lock);
	while (!u->stop) {
		has_request = take_request(u, &slot, &request, &due_ns);
		if (!has_request && !has_work(u)) {
			wait_for_requests(u, due_ns);
			continue;
		}
		note_stats(u, false);
		(void)pthread_mutex_unlock(&u->lock);
		if (has_request)
			serve(u, slot, &request);
		else
			work(u);
		(void)pthread_mutex_lock(&u->lock);
	}
	(void)pthread_mutex_unlock(&u->lock);
	return NULL;
}

/* --- its life ------------------------------------------------------------------------------------------------- */

static int make_arrays(struct unwinder *u)
{
	size_t nr = (size_t)u->maps.nr_slots + 1; /* never of no bytes, which may give NULL */

	u->request = calloc(nr, sizeof(u->request[0]));
	u->queue = calloc(nr, sizeof(u->queue[0]));
	u->process = calloc(nr, sizeof(u->process[0]));
	if (!u->request || !u->queue || !u->process)
		return -ENOMEM;
	return 0;
}

static void init_locks(struct unwinder *u)
{
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&u->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&u->asked, &attr);
	(void)pthread_cond_init(&u->idle, &attr);
	(void)pthread_condattr_destroy(&attr);
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
	init_locks(u);
	error = publisher_init(&u->publisher, &u->maps);
	if (!error)
		error = files_init(&u->files, &u->maps, options->max_bytes);
	if (!error)
		error = make_arrays(u);
	if (!error) {
		error = -pthread_create(&u->thread, NULL, run, u);
		u->is_started = !error;
	}
	if (error)
		unwinder_free(u);
	else
		*out = u;
	return error;
}

static void stop(struct unwinder *u)
{
	if (!u->is_started)
		return;
	(void)pthread_mutex_lock(&u->lock);
	u->stop = true;
	(void)pthread_cond_signal(&u->asked);
	(void)pthread_mutex_unlock(&u->lock);
	(void)pthread_join(u->thread, NULL);
}

void unwinder_free(struct unwinder *u)
{
	if (!u)
		return;
	stop(u);
	for (uint32_t slot = 0; slot < u->nr_processes; slot++)
		drop_process(u, &u->process[slot]);
	files_release(&u->files);
	publisher_release(&u->publisher);
	free(u->process);
	free(u->queue);
	free(u->request);
	(void)pthread_cond_destroy(&u->asked);
	(void)pthread_cond_destroy(&u->idle);
	(void)pthread_mutex_destroy(&u->lock);
	free(u);
}

/* --- the caller's side ---------------------------------------------------------------------------------------- */

/* Under the lock. */
static void queue_slot(struct unwinder *u, uint32_t slot)
{
	if (u->request[slot].is_queued)
		return;
	u->request[slot].is_queued = true;
	u->queue[(u->head + u->nr_queued++) % u->maps.nr_slots] = slot;
	(void)pthread_cond_signal(&u->asked);
}

/* Under the lock. */
static void withdraw(struct unwinder *u, uint32_t slot)
{
	u->request[slot].tgid = 0;
	u->request[slot].epoch = publisher_withdraw(&u->publisher, slot);
	queue_slot(u, slot);
}

int unwinder_look(struct unwinder *u, uint32_t slot, pid_t tgid)
{
	if (slot >= u->maps.nr_slots || tgid <= 0)
		return -EINVAL;
	(void)pthread_mutex_lock(&u->lock);
	if (u->request[slot].tgid && u->request[slot].tgid != tgid)
		withdraw(u, slot);
	u->request[slot].tgid = tgid;
	queue_slot(u, slot);
	(void)pthread_mutex_unlock(&u->lock);
	return 0;
}

void unwinder_forget(struct unwinder *u, uint32_t slot)
{
	if (slot >= u->maps.nr_slots)
		return;
	(void)pthread_mutex_lock(&u->lock);
	if (u->request[slot].tgid)
		withdraw(u, slot);
	(void)pthread_mutex_unlock(&u->lock);
}

void unwinder_stats(struct unwinder *u, struct unwinder_stats *out)
{
	(void)pthread_mutex_lock(&u->lock);
	*out = u->stats;
	out->pending += u->nr_queued;
	(void)pthread_mutex_unlock(&u->lock);
}

bool unwinder_wait(struct unwinder *u, unsigned int ms)
{
	struct timespec until = time_of(now_ns() + (uint64_t)ms * 1000000u);
	bool is_done;
	int error = 0;

	(void)pthread_mutex_lock(&u->lock);
	while (!error && (u->nr_queued || u->stats.pending))
		error = pthread_cond_timedwait(&u->idle, &u->lock, &until);
	is_done = !u->nr_queued && !u->stats.pending;
	(void)pthread_mutex_unlock(&u->lock);
	return is_done;
}
