/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes the mappings of processes where the kernel reads them, by the rules of unwind.h.
 *
 * Publishing belongs to one thread, withdrawing to another: what was read before a slot was withdrawn is never published
 * after it.
 */
#ifndef SEEP_SYS_UNWINDER_PUBLISH_H
#define SEEP_SYS_UNWINDER_PUBLISH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "tables.h"
#include "unwinder.h"
#include "unwinder_extents.h"

struct publisher {
	const struct unwinder_maps *maps;
	struct extents pool;  /* the publishing thread's */
	pthread_mutex_t lock; /* of epoch, and of generation, first and nr of all slots */
	uint32_t *epoch;      /* by slot: how often it was withdrawn */
};

/* What a slot has in the kernel; the publishing thread's. */
struct publication {
	uint32_t slot;
	uint32_t epoch;	     /* of what is published */
	uint32_t first;	     /* in the pool */
	uint32_t generation; /* as we know it */
	struct mapping_list
		list;	   /* a copy: the kernel may have made some of them MAPPING_GONE since */
	uint64_t left_out; /* for want of room in the pool */
};

/* maps stays the caller's. 0 or -ENOMEM; publisher_release() is due in either case. */
int publisher_init(struct publisher *publisher, const struct unwinder_maps *maps);
void publisher_release(struct publisher *publisher);

/* Empties a slot, and returns its new epoch. Any thread. */
uint32_t publisher_withdraw(struct publisher *publisher, uint32_t slot);

/*
 * Publishes a list if it differs from what the kernel has, and takes it over then. 1: published; 0: nothing differs, or
 * there is still no room; -ECANCELED: withdrawn since the publication's epoch; -ENOMEM. Without room in the pool the slot
 * is left empty.
 */
int publisher_put(struct publisher *publisher, struct publication *publication,
		  struct mapping_list *list);
/* Whether the kernel has changed something since it was published, or since this was asked last. */
bool publisher_is_touched(const struct publisher *publisher, struct publication *publication);
/* Whether the kernel has struck out all of it at once, as it does at an exec. */
bool publisher_is_emptied(const struct publisher *publisher, const struct publication *publication);
/* For a slot that was withdrawn: gives the place in the pool back. */
void publisher_drop(struct publisher *publisher, struct publication *publication);

#endif
