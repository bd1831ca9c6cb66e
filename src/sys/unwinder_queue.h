/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the unwinder's thread is asked for: slots to be looked at, each in the queue at most once, and files to be read
 * ahead. First come, first served. It has no lock.
 */
#ifndef SEEP_SYS_UNWINDER_QUEUE_H
#define SEEP_SYS_UNWINDER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct request {
	pid_t tgid; /* 0: forgotten, look at nothing */
	uint32_t epoch;
	bool is_queued;
	uint64_t asked_ns; /* when it was first asked for since it was last looked at */
};

struct queued_path;
STAILQ_HEAD(queued_paths, queued_path);

struct queue {
	struct request *request; /* by slot */
	uint32_t nr_slots;
	uint32_t *slot; /* a ring */
	uint32_t head, nr;
	struct queued_paths paths;
};

/* 0 or -ENOMEM; queue_release() is due in either case. Not to be moved. */
int queue_init(struct queue *queue, uint32_t nr_slots);
void queue_release(struct queue *queue);

/* False: it is in the queue already. */
bool queue_push(struct queue *queue, uint32_t slot);
bool queue_pop(struct queue *queue, uint32_t *slot);

/* The path is copied. 0 or -ENOMEM. */
int queue_push_path(struct queue *queue, const char *path);
/* The caller frees it; NULL: there is none. */
char *queue_pop_path(struct queue *queue);
bool queue_has_path(const struct queue *queue);

#endif
