// SPDX-License-Identifier: GPL-2.0-or-later
#include "namer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "array.h"
#include "demangle.h"
#include "event.h"
#include "hash.h"

/* The demangler's is the most that anything takes of it. */
#define STACK_BYTES (((size_t)2 << 20) + DEMANGLE_STACK_BYTES)

struct request {
	uint32_t key;
	uint64_t address;
};

struct answer {
	struct request request;
	bool is_stale;
	size_t nr;
	struct symbol_frame frame[];
};

/* What a process had mapped that is over. */
struct told {
	pid_t tgid;
	struct proc_maps maps;
};

struct namer {
	struct symbolizer *symbolizer; /* the thread's, or under `busy` */
	pthread_t thread;
	pthread_mutex_t busy; /* held while the symbolizer works */
	struct map64 told;    /* under `busy`: of a key to its struct told */
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t asked, answered;
	struct request *request; /* a queue: head..nr */
	size_t head, nr, cap;
	struct answer **answer;
	size_t nr_answers, cap_answers;
	size_t pending;
	struct map64 wanted; /* hash of request: asked, not yet collected; the caller's alone */
	bool stop;
	bool started;
};

/* There is code, and that is all that is known of it. */
static int unnamed(uint64_t address, struct symbol_frame *frame)
{
	*frame = (struct symbol_frame){
		.function = "", .module = "", .file = "", .offset = address & SEEP_FRAME_ADDRESS};
	return 1;
}

static struct told *told_of(const struct namer *n, uint32_t key)
{
	uint64_t at;

	return map64_get(&n->told, key, &at) ? (struct told *)(uintptr_t)at : NULL;
}

static void forget_told(struct namer *n, uint32_t key, struct told *told)
{
	(void)map64_remove(&n->told, key);
	proc_maps_release(&told->maps);
	free(told);
}

/* Under `busy`: now it matters. */
static void add_told(struct namer *n, uint32_t key)
{
	struct told *told = told_of(n, key);

	if (!told)
		return;
	/* what cannot be added stays without names */
	(void)symbolizer_add_process(n->symbolizer, key, told->tgid, &told->maps);
	forget_told(n, key, told);
}

static struct answer *resolve(struct namer *n, const struct request *request)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct answer *answer;
	bool is_stale;
	int nr;

	pthread_mutex_lock(&n->busy);
	add_told(n, request->key);
	nr = symbolizer_lookup(n->symbolizer, request->key, request->address, frame);
	pthread_mutex_unlock(&n->busy);
	is_stale = nr == -ESTALE;
	if (is_stale)
		nr = unnamed(request->address, frame);
	if (nr < 0)
		nr = 0;
	answer = malloc(sizeof(*answer) + (size_t)nr * sizeof(frame[0]));
	if (!answer)
		return NULL;
	answer->request = *request;
	answer->is_stale = is_stale;
	answer->nr = (size_t)nr;
	memcpy(answer->frame, frame, (size_t)nr * sizeof(frame[0]));
	return answer;
}

static void *run(void *arg)
{
	struct namer *n = arg;
	struct request request;
	struct answer *answer;

	pthread_mutex_lock(&n->lock);
	while (!n->stop) {
		if (n->head == n->nr) {
			n->head = n->nr = 0;
			pthread_cond_wait(&n->asked, &n->lock);
			continue;
		}
		request = n->request[n->head++];
		pthread_mutex_unlock(&n->lock);
		answer = resolve(n, &request);
		pthread_mutex_lock(&n->lock);
		if (!answer || ARRAY_GROW(&n->answer, &n->cap_answers, n->nr_answers + 1)) {
			free(answer); /* stays without a name */
			n->pending--;
		} else {
			n->answer[n->nr_answers++] = answer;
		}
		pthread_cond_signal(&n->answered);
	}
	pthread_mutex_unlock(&n->lock);
	return NULL;
}

static int start(struct namer *n)
{
	pthread_attr_t attr;
	int err = -pthread_attr_init(&attr);

	if (err)
		return err;
	err = -pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (!err)
		err = -pthread_create(&n->thread, &attr, run, n);
	n->started = !err;
	(void)pthread_attr_destroy(&attr);
	return err;
}

int namer_new(const struct symbolizer_options *options, struct namer **out)
{
	struct namer *n = calloc(1, sizeof(*n));
	pthread_condattr_t attr;
	int err;

	if (!n)
		return -ENOMEM;
	(void)pthread_mutex_init(&n->busy, NULL);
	(void)pthread_mutex_init(&n->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&n->asked, NULL);
	(void)pthread_cond_init(&n->answered, &attr);
	(void)pthread_condattr_destroy(&attr);
	err = symbolizer_new(options, &n->symbolizer);
	if (!err)
		err = start(n);
	if (err)
		namer_free(n);
	else
		*out = n;
	return err;
}

static void free_all_told(struct namer *n)
{
	uint64_t key, at;
	size_t i = 0;

	while (map64_next(&n->told, &i, &key, &at)) {
		proc_maps_release(&((struct told *)(uintptr_t)at)->maps);
		free((struct told *)(uintptr_t)at);
	}
	map64_release(&n->told);
}

void namer_free(struct namer *n)
{
	size_t i;

	if (!n)
		return;
	if (n->started) {
		symbolizer_cancel(n->symbolizer);
		pthread_mutex_lock(&n->lock);
		n->stop = true;
		pthread_cond_signal(&n->asked);
		pthread_mutex_unlock(&n->lock);
		(void)pthread_join(n->thread, NULL);
	}
	for (i = 0; i < n->nr_answers; i++)
		free(n->answer[i]);
	free(n->answer);
	free(n->request);
	map64_release(&n->wanted);
	free_all_told(n);
	symbolizer_free(n->symbolizer);
	pthread_cond_destroy(&n->asked);
	pthread_cond_destroy(&n->answered);
	pthread_mutex_destroy(&n->busy);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

int namer_add_process(struct namer *n, uint32_t key, pid_t tgid, const struct proc_maps *maps)
{
	int err;

	pthread_mutex_lock(&n->busy);
	add_told(n, key);
	err = symbolizer_add_process(n->symbolizer, key, tgid, maps);
	pthread_mutex_unlock(&n->busy);
	return err;
}

int namer_tell_process(struct namer *n, uint32_t key, pid_t tgid, struct proc_maps *maps)
{
	struct told *told = malloc(sizeof(*told));
	int err = -ENOMEM;

	if (!told)
		return err;
	pthread_mutex_lock(&n->busy);
	add_told(n, key);
	err = map64_put(&n->told, key, (uintptr_t)told);
	if (!err) {
		*told = (struct told){.tgid = tgid, .maps = *maps};
		proc_maps_init(maps);
	} else {
		free(told);
	}
	pthread_mutex_unlock(&n->busy);
	return err;
}

int namer_copy_process(struct namer *n, uint32_t key, uint32_t from)
{
	int err;

	pthread_mutex_lock(&n->busy);
	add_told(n, from);
	err = symbolizer_copy_process(n->symbolizer, key, from);
	pthread_mutex_unlock(&n->busy);
	return err;
}

void namer_remove_process(struct namer *n, uint32_t key)
{
	struct told *told;

	pthread_mutex_lock(&n->busy);
	told = told_of(n, key);
	if (told)
		forget_told(n, key, told);
	symbolizer_remove_process(n->symbolizer, key);
	pthread_mutex_unlock(&n->busy);
}

static uint64_t request_hash(uint32_t key, uint64_t address)
{
	return hash_u64(address ^ hash_u64(key));
}

int namer_want(struct namer *n, uint32_t key, uint64_t address)
{
	uint64_t hash = request_hash(key, address);
	int err;

	if (map64_get(&n->wanted, hash, NULL))
		return 0;
	err = map64_put(&n->wanted, hash, 1);
	if (err)
		return err;
	pthread_mutex_lock(&n->lock);
	err = ARRAY_GROW(&n->request, &n->cap, n->nr + 1);
	if (!err) {
		n->request[n->nr++] = (struct request){.key = key, .address = address};
		n->pending++;
		pthread_cond_signal(&n->asked);
	}
	pthread_mutex_unlock(&n->lock);
	if (err)
		(void)map64_remove(&n->wanted, hash);
	return err;
}

int namer_collect(struct namer *n, int (*take)(const struct namer_answer *answer, void *arg),
		  void *arg)
{
	struct namer_answer out;
	struct answer **ready;
	size_t nr, i;
	int err = 0;

	pthread_mutex_lock(&n->lock);
	ready = n->answer;
	nr = n->nr_answers;
	n->answer = NULL;
	n->nr_answers = n->cap_answers = 0;
	n->pending -= nr;
	pthread_mutex_unlock(&n->lock);
	for (i = 0; i < nr; i++) {
		out = (struct namer_answer){.key = ready[i]->request.key,
					    .address = ready[i]->request.address,
					    .is_stale = ready[i]->is_stale,
					    .nr = ready[i]->nr,
					    .frame = ready[i]->frame};
		(void)map64_remove(&n->wanted, request_hash(out.key, out.address));
		if (!err)
			err = take(&out, arg);
		free(ready[i]);
	}
	free(ready);
	return err;
}

size_t namer_pending(struct namer *n)
{
	size_t pending;

	pthread_mutex_lock(&n->lock);
	pending = n->pending;
	pthread_mutex_unlock(&n->lock);
	return pending;
}

void namer_wait(struct namer *n, unsigned int ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&n->lock);
	if (!n->nr_answers && n->pending)
		(void)pthread_cond_timedwait(&n->answered, &n->lock, &until);
	pthread_mutex_unlock(&n->lock);
}
