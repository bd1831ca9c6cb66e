/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading what programs send, by ring buffers and by queues. */
#ifndef SEEP_SYS_RING_H
#define SEEP_SYS_RING_H

#include <stddef.h>
#include <stdint.h>

#include "loader.h"

struct ring_set;

/*
 * Rings and queues begin small; one that is found a quarter full is exchanged for one of full size.
 *
 * What is read goes to take(); a negative return stops the reading. take's record is valid only until it returns.
 */
int ring_set_new(struct loader *loader, int (*take)(const void *record, size_t nr, void *arg),
		 void *arg, struct ring_set **out);
void ring_set_free(struct ring_set *set);

/* A descriptor that becomes readable when a program wakes its reader. */
int ring_set_fd(const struct ring_set *set);

/* Reads what is there, each ring and queue at most once around: the number of records, or the negative return of take(). */
long ring_set_drain(struct ring_set *set);

#endif
