/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocations that fail on demand, and what is allocated.
 *
 * Link with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc. With --wrap=free as well the bytes are
 * accounted: then allocfail_bytes() and allocfail_peak() mean something. Only calls in the linked
 * objects are seen; what a shared library allocates for itself (strdup(), open_memstream()) is not.
 *
 *	for (long nth = 1;; nth++) {
 *		allocfail_set(nth);
 *		int error = thing_do(thing);
 *		bool failed = allocfail_hit();
 *		allocfail_set(0);
 *		if (!failed)
 *			break;		// it needs fewer than nth allocations
 *		... error must be -ENOMEM and thing unchanged ...
 *	}
 */
#ifndef SEEP_TEST_ALLOCFAIL_H
#define SEEP_TEST_ALLOCFAIL_H

#include <stdbool.h>

/* The n-th allocation from now fails, once; 0: none. The count starts again. */
void allocfail_set(long nth);
/*
 * Allocations since allocfail_set(), the failed one too. A realloc() counts, also one that shrinks.
 */
long allocfail_count(void);
/* Whether the failure of the last allocfail_set() has come about. */
bool allocfail_hit(void);

/* Whether free() is wrapped. */
bool allocfail_accounts(void);
/* Bytes allocated and not freed; only differences are of use. */
long allocfail_bytes(void);
/* The most there were since allocfail_peak_reset(); while realloc() copies, both blocks count. */
long allocfail_peak(void);
void allocfail_peak_reset(void);

#endif
