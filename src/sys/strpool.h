/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strings kept once each: equal texts give the same pointer, which lives as long as the pool. Zeroed is empty, and without
 * a bound.
 */
#ifndef SEEP_SYS_STRPOOL_H
#define SEEP_SYS_STRPOOL_H

#include <stddef.h>

#include "hash.h"

struct strpool {
	char **text;
	size_t nr, cap;
	struct map64 by_hash; /* to the place in text */
	size_t bytes;	      /* that all of it takes, about */
	size_t max_bytes;     /* 0: any number; once reached, new texts come back as "" */
};

void strpool_release(struct strpool *pool);
/* The first nr bytes of text, without a NUL in them. NULL: out of memory. */
const char *strpool_add(struct strpool *pool, const char *text, size_t nr);

#endif
