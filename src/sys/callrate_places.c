/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "callrate_places.h"

#include <errno.h>
#include <stdlib.h>

#include "array.h"

int callrate_add(struct callrate_places *places, pid_t tgid, const struct discover_found *found,
		 bool throwing)
{
	const struct discover_object *object = found->object;
	const struct discover_site *site;
	size_t i;

	if (ARRAY_GROW(&places->item, &places->cap, places->nr + object->nr_sites))
		return -ENOMEM;
	for (i = 0; i < object->nr_sites; i++) {
		site = &object->site[i];
		if (!throwing && allocator_function_throws(site->function))
			continue;
		places->item[places->nr++] =
			(struct callrate_place){.tgid = tgid,
						.path = found->kernel_path,
						.offset = site->file_offset,
						.frees = site->function->role == ROLE_FREE,
						.emulated = site->placement.emulated};
	}
	return 0;
}

void callrate_places_release(struct callrate_places *places)
{
	free(places->item);
	*places = (struct callrate_places){0};
}
