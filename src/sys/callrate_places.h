/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is to be counted, from what was found: the places of allocators' probes in processes.
 *
 *	struct callrate_places places = {0};
 *	error = callrate_add(&places, tgid, &found[i], false);
 *	error = callrate_count(places.item, places.nr, &options, NULL, &rate);
 *	callrate_places_release(&places);
 */
#ifndef SEEP_SYS_CALLRATE_PLACES_H
#define SEEP_SYS_CALLRATE_PLACES_H

#include "callrate.h"
#include "discover.h"

/* Zeroed is empty. */
struct callrate_places {
	struct callrate_place *item;
	size_t nr, cap;
};

/*
 * The sites of an object in a process; 0: in all of them. found's kernel path is borrowed. throwing: also those that are
 * left out because they may end in an exception. 0 or -ENOMEM.
 */
int callrate_add(struct callrate_places *places, pid_t tgid, const struct discover_found *found,
		 bool throwing);
void callrate_places_release(struct callrate_places *places);

#endif
