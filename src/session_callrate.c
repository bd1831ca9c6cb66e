// SPDX-License-Identifier: GPL-2.0-or-later
/* How often targets call their allocators, counted for a moment while they are not followed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "callrate_places.h"
#include "log.h"
#include "session_impl.h"

#define MAX_COUNTED 8 /* processes; with --all it is every one that maps a file of so many: */
#define MAX_LOOKED_AT 64

/* Where calls are counted: in some processes, or with --all in every one, each file once. */
struct counting {
	struct callrate_places places;
	struct discover_found **found; /* of each process, which the places refer to */
	size_t *nr_found;
	size_t nr, cap, cap_found;
};

static bool has_object(const struct counting *c, const struct discover_object *object)
{
	size_t i, j;

	for (i = 0; i < c->nr; i++) {
		for (j = 0; j < c->nr_found[i]; j++) {
			if (c->found[i][j].object == object)
				return true;
		}
	}
	return false;
}

static int add_places(const struct session *s, struct counting *c, pid_t tgid,
		      const struct discover_found *found, size_t nr)
{
	size_t i;
	int err = 0;

	for (i = 0; i < nr && !err; i++) {
		if (!s->cli->all)
			err = callrate_add(&c->places, tgid, &found[i], s->cli->throwing_new);
		else if (!has_object(c, found[i].object))
			err = callrate_add(&c->places, 0, &found[i], s->cli->throwing_new);
	}
	return err;
}

static int add_found(const struct session *s, struct counting *c, pid_t tgid,
		     struct discover_found *found, size_t nr)
{
	size_t before = c->places.nr;
	int err = add_places(s, c, tgid, found, nr);

	if (c->places.nr == before) { /* nothing new in it */
		free(found);
		return err;
	}
	if (ARRAY_GROW(&c->found, &c->cap, c->nr + 1) ||
	    ARRAY_GROW(&c->nr_found, &c->cap_found, c->nr + 1)) {
		free(found);
		return -ENOMEM;
	}
	c->found[c->nr] = found;
	c->nr_found[c->nr++] = nr;
	return err;
}

/* Of a process whose calls will be trapped. */
static int add_process(struct session *s, struct counting *c, const struct session_target *t)
{
	struct discover_found *found = NULL;
	size_t nr = 0, searched = 0;
	struct proc_maps maps;
	int err;

	proc_maps_init(&maps);
	err = proc_maps_read(&maps, t->tgid);
	if (!err && !session_usdt_is_brought(s, t, &maps))
		err = discover_process(&s->discover, t->tgid, &maps, &found, &nr, &searched);
	proc_maps_release(&maps);
	return err || !found ? err : add_found(s, c, t->tgid, found, nr);
}

/* What is found in some is often found in all. */
static int find_places(struct session *s, struct counting *c)
{
	size_t most = s->cli->all ? MAX_LOOKED_AT : MAX_COUNTED, i;
	int err = 0;

	for (i = 0; i < s->nr_targets && i < most && err != -ENOMEM; i++)
		err = add_process(s, c, s->target[i]);
	if (err == -ENOMEM)
		return err;
	return c->places.nr ? 0 : -ENOENT;
}

static void counting_release(struct counting *c)
{
	callrate_places_release(&c->places);
	while (c->nr)
		free(c->found[--c->nr]);
	free(c->found);
	free(c->nr_found);
}

static uint32_t trap_ns(const struct session *s, bool emulated)
{
	return calibration_ns(&s->cost, ATTACH_MULTI, emulated, false);
}

int session_count_calls(struct session *s, struct callrate *out)
{
	struct callrate_options options = {.emulated_ns = trap_ns(s, true),
					   .stepped_ns = trap_ns(s, false)};
	struct counting counting = {0};
	int err = find_places(s, &counting);

	if (!err)
		err = callrate_count(counting.places.item, counting.places.nr, &options, NULL, out);
	if (err)
		log_verbose("cannot count how often allocators are called: %s", strerror(-err));
	counting_release(&counting);
	return err;
}
