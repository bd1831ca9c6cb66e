// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A shared object to be loaded late: two of them are made, as like as can be but for names and frames, so that one
 * often takes the address of the other. FIRST or SECOND says which.
 */
#include <stddef.h>

#include "stacks.h"
#include "target.h"

#ifdef SECOND
#define NAME(name) name##_second
#define BYTES 488
#else
#define NAME(name) name##_first
#define BYTES 24
#endif

static void *volatile plugin_kept;

SITE void NAME(plugin_inner)(void *(*callback)(size_t), int nr)
{
	int i;
	ROOM(BYTES);

	for (i = 0; i < nr; i++)
		plugin_kept = callback(167);
}

SITE void NAME(plugin_outer)(void *(*callback)(size_t), int nr)
{
	ROOM(2 * BYTES);

	NAME(plugin_inner)(callback, nr);
}

__attribute__((visibility("default"))) void plugin_run(void *(*callback)(size_t), int nr)
{
	NAME(plugin_outer)(callback, nr);
}
