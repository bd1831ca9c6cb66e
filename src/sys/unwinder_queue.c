/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwinder_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct queued_path {
	STAILQ_ENTRY(queued_path) next;
	char *path;
};

int queue_init(struct queue *queue, uint32_t nr_slots)
{
	size_t nr = (size_t)nr_slots + 1; /* never of no bytes, which may give NULL */

	*queue = (struct queue){.nr_slots = nr_slots};
	STAILQ_INIT(&queue->paths);
	queue->request = calloc(nr, sizeof(queue->request[0]));
	queue->slot = calloc(nr, sizeof(queue->slot[0]));
	return queue->request && queue->slot ? 0 : -ENOMEM;
}

void queue_release(struct queue *queue)
{
	char *path;

	while ((path = queue_pop_path(queue)))
		free(path);
	free(queue->request);
	free(queue->slot);
	queue->request = NULL;
	queue->slot = NULL;
}

bool queue_push(struct queue *queue, uint32_t slot)
{
	if (queue->request[slot].is_queued)
		return false;
	queue->request[slot].is_queued = true;
	queue->slot[(queue->head + queue->nr++) % queue->nr_slots] = slot;
	return true;
}

bool queue_pop(struct queue *queue, uint32_t *slot)
{
	if (!queue->nr)
		return false;
	*slot = queue->slot[queue->head];
	queue->request[*slot].is_queued = false;
	queue->head = (queue->head + 1) % queue->nr_slots;
	queue->nr--;
	return true;
}

int queue_push_path(struct queue *queue, const char *path)
{
	struct queued_path *item = malloc(sizeof(*item));

	if (!item)
		return -ENOMEM;
	item->path = strdup(path);
	if (!item->path) {
		free(item);
		return -ENOMEM;
	}
	STAILQ_INSERT_TAIL(&queue->paths, item, next);
	return 0;
}

char *queue_pop_path(struct queue *queue)
{
	struct queued_path *item = STAILQ_FIRST(&queue->paths);
	char *path = NULL;

	if (item) {
		STAILQ_REMOVE_HEAD(&queue->paths, next);
		path = item->path;
		free(item);
	}
	return path;
}

bool queue_has_path(const struct queue *queue)
{
	return !STAILQ_EMPTY(&queue->paths);
}
