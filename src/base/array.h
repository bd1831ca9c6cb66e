/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Growing typed arrays: a pointer, a number used and a capacity, kept by the caller.
 *
 *	struct thing *item; size_t nr, cap;
 *	if (ARRAY_GROW(&item, &cap, nr + 1))
 *		return -ENOMEM;
 *	item[nr++] = ...;
 *
 * A zeroed triple is empty. Growth is by half; new room is not zeroed. On failure nothing has
 * changed. The caller frees with free().
 */
#ifndef SEEP_BASE_ARRAY_H
#define SEEP_BASE_ARRAY_H

#include <stddef.h>

#define ARRAY_GROW(item, cap, need) array_grow((void **)(item), (cap), (need), sizeof(**(item)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Makes room for need elements. 0 or -ENOMEM, also when the size would overflow. */
int array_grow(void **item, size_t *cap, size_t need, size_t elem_bytes);

#endif
