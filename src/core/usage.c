// SPDX-License-Identifier: GPL-2.0-or-later
#include "usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

void usages_release(struct usages *u)
{
	free(u->item);
	map64_release(&u->index);
	*u = (struct usages){0};
}

/* Its key, or the one where it belongs: neighbouring keys are for others with the same hash. */
static struct usage *lookup(const struct usages *u, const struct usage *what, uint64_t *key)
{
	struct usage *usage;
	uint64_t i;

	*key = hash_bytes(what->kind, strlen(what->kind), (uint64_t)what->proc << 32 | what->stack);
	for (; map64_get(&u->index, *key, &i); ++*key) {
		usage = &u->item[i];
		if (usage->proc == what->proc && usage->stack == what->stack &&
		    !strcmp(usage->kind, what->kind))
			return usage;
	}
	return NULL;
}

struct usage *usages_find(const struct usages *u, uint32_t proc, uint32_t stack, const char *kind)
{
	struct usage what = {.proc = proc, .stack = stack, .kind = kind};
	uint64_t key;

	return lookup(u, &what, &key);
}

struct usage *usages_get(struct usages *u, uint32_t proc, uint32_t stack, const char *kind)
{
	struct usage what = {.proc = proc, .stack = stack, .kind = kind};
	struct usage *usage;
	uint64_t key;

	usage = lookup(u, &what, &key);
	if (usage)
		return usage;
	if (ARRAY_GROW(&u->item, &u->cap, u->nr + 1) || map64_put(&u->index, key, u->nr))
		return NULL;
	u->item[u->nr] = what;
	return &u->item[u->nr++];
}

void usage_groups_release(struct usage_groups *g)
{
	free(g->item);
	map64_release(&g->index);
	*g = (struct usage_groups){0};
}

static int group_add(struct usage_groups *g, const struct profile *profile, enum report_by by,
		     const struct usage *usage)
{
	struct frames_view view;
	struct usage_group *group;
	uint64_t key, i;
	size_t k;

	frames_view(profile, usage->proc, usage->stack, by, &view);
	key = hash_bytes(usage->kind, strlen(usage->kind), frames_hash(&view));
	for (; map64_get(&g->index, key, &i); key++) {
		group = &g->item[i];
		if ((by != BY_PROCESS || group->proc == usage->proc) &&
		    !strcmp(group->kind, usage->kind) && frames_equal(&group->view, &view))
			break;
	}
	if (!map64_get(&g->index, key, &i)) {
		if (ARRAY_GROW(&g->item, &g->cap, g->nr + 1) || map64_put(&g->index, key, g->nr))
			return -ENOMEM;
		i = g->nr++;
		g->item[i] = (struct usage_group){
			.view = view, .proc = usage->proc, .kind = usage->kind};
	}
	group = &g->item[i];
	group->view.partial |= view.partial;
	group->is_several |= SEEP_PROC_SLOT(group->proc) != SEEP_PROC_SLOT(usage->proc);
	for (k = 0; k < ARRAY_SIZE(group->sum); k++)
		group->sum[k] += usage->sum[k];
	return 0;
}

int usage_groups_add(struct usage_groups *g, const struct profile *profile, enum report_by by,
		     const struct usages *usages)
{
	size_t i;
	int err = 0;

	for (i = 0; i < usages->nr && !err; i++)
		err = group_add(g, profile, by, &usages->item[i]);
	return err;
}
