/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_MIN_CAP 8

int array_grow(void **item, size_t *cap, size_t need, size_t elem_bytes)
{
	size_t new_cap, bytes;
	void *grown;

	if (need <= *cap)
		return 0;
	if (__builtin_add_overflow(*cap, *cap / 2, &new_cap) || new_cap < need)
		new_cap = need;
	if (new_cap < ARRAY_MIN_CAP)
		new_cap = ARRAY_MIN_CAP;
	if (__builtin_mul_overflow(new_cap, elem_bytes, &bytes))
		return -ENOMEM;
	/* the caller's pointer is not a void *: only memcpy() may touch it under strict aliasing */
	memcpy(&grown, item, sizeof(grown));
	grown = realloc(grown, bytes);
	if (!grown)
		return -ENOMEM;
	memcpy(item, &grown, sizeof(grown));
	*cap = new_cap;
	return 0;
}
