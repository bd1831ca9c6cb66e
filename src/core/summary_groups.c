// SPDX-License-Identifier: GPL-2.0-or-later
#include "summary_groups.h"

#include <errno.h>
#include <stdlib.h>

#include "array.h"

void groups_release(struct groups *g)
{
	size_t i;

	for (i = 0; i < g->nr; i++) {
		free(g->item[i].series);
		group_windows_release(&g->item[i].windows);
		free(g->item[i].site.frame);
	}
	free(g->item);
	map64_release(&g->by_hash);
	map64_release(&g->members);
	owners_release(&g->owners);
}

/* --- sites to groups --- */

static bool is_of_group(const struct groups *g, const struct group *group, uint32_t proc,
			const struct frames_view *view)
{
	if (g->options->by == BY_PROCESS && group->proc != proc)
		return false;
	return frames_equal(&group->view, view);
}

static int group_find(struct groups *g, uint32_t proc, const struct frames_view *view,
		      size_t *index)
{
	uint64_t key, value;

	key = frames_hash(view);
	/* Neighbouring keys for different stacks with the same hash. */
	for (; map64_get(&g->by_hash, key, &value); key++) {
		if (is_of_group(g, &g->item[value], proc, view)) {
			g->item[value].view.partial |= view->partial;
			*index = value;
			return 0;
		}
	}
	if (ARRAY_GROW(&g->item, &g->cap, g->nr + 1) || map64_put(&g->by_hash, key, g->nr))
		return -ENOMEM;
	g->item[g->nr] = (struct group){.view = *view, .proc = proc, .oldest_birth_ns = UINT64_MAX};
	*index = g->nr++;
	return 0;
}

static int add_member(struct groups *g, size_t index, uint32_t proc)
{
	uint64_t key = (uint64_t)index << 16 | SEEP_PROC_SLOT(proc);

	if (map64_get(&g->members, key, NULL))
		return 0;
	g->item[index].nr_processes++;
	return map64_put(&g->members, key, 1);
}

static int series_sum(struct groups *g, struct group *group, const struct site *site)
{
	bool is_first = !group->series;
	struct series series;
	uint32_t i;

	if (is_first) {
		group->series = malloc(sizeof(*group->series));
		if (!group->series)
			return -ENOMEM;
		*group->series = g->p->sites.empty;
	}
	if (g->options->by != BY_PROCESS) {
		if (site->series)
			series_add_series(group->series, site->series, site->ended);
		return 0;
	}
	/* All series of an image have their points at the same ticks, and end together. */
	sites_series(&g->p->sites, site, &series);
	if (is_first)
		*group->series = series;
	for (i = 0; !is_first && i < group->series->nr && i < series.nr; i++)
		group->series->level[i] += series.level[i];
	return 0;
}

static void group_sum(struct group *group, const struct site *site, const struct frames_view *view)
{
	unsigned int i;

	group->alloc_objects += site->alloc_objects;
	group->partial_objects += view->partial ? site->alloc_objects : 0;
	group->too_deep_objects += view->too_deep ? site->alloc_objects : 0;
	group->alloc_bytes += site->alloc_bytes;
	group->free_objects += site->free_objects;
	group->alloc_samples += site->alloc_samples;
	group->free_samples += site->free_samples;
	group->sampled_samples += site->sampled_samples;
	group->alloc_variance.objects += site->alloc_variance.objects;
	group->alloc_variance.bytes += site->alloc_variance.bytes;
	if (site->heaviest > group->heaviest)
		group->heaviest = site->heaviest;
	for (i = 0; i < SITE_LIFETIMES; i++)
		group->lifetime[i] += site->lifetime[i];
}

static int group_add(struct groups *g, struct site *site)
{
	struct frames_view view;
	int err;

	frames_view(g->p, site->proc, site->stack, g->options->by, &view);
	err = group_find(g, site->proc, &view, &site->group);
	if (!err)
		err = add_member(g, site->group, site->proc);
	if (err)
		return err;
	group_sum(&g->item[site->group], site, &view);
	err = owners_add_site(&g->owners, site);
	if (!err)
		err = group_windows_add(&g->item[site->group].windows, g->p, site);
	return err ? err : series_sum(g, &g->item[site->group], site);
}

/* --- blocks to groups --- */

static unsigned int epoch_of(const struct profile *p, uint64_t end_ns, uint64_t time_ns)
{
	uint64_t start = summary_start_ns(p, end_ns);
	uint64_t length = end_ns > start ? end_ns - start : 0;
	unsigned int epoch;

	if (time_ns <= start || !length)
		return 0;
	if (time_ns >= end_ns)
		return LEAK_EPOCHS - 1;
	epoch = (unsigned int)((double)(time_ns - start) / (double)length * LEAK_EPOCHS);
	return epoch < LEAK_EPOCHS ? epoch : LEAK_EPOCHS - 1;
}

static int group_block(const struct heap_block *block, void *arg)
{
	struct groups *g = arg;
	uint64_t end_ns = summary_end_ns(g->p, g->image);
	uint64_t age_ns = end_ns > block->birth_ns ? end_ns - block->birth_ns : 0;
	struct group *group;
	unsigned int epoch;

	holding_add(&owners_of(&g->owners, g->image)->holding[g->kind], &g->p->weights, block);
	if (!g->last || g->last->stack != block->stack)
		g->last = sites_find(&g->p->sites, g->image->proc, block->stack);
	if (!g->last)
		return 0;
	group = &g->item[g->last->group];
	epoch = epoch_of(g->p, end_ns, block->birth_ns);
	group->survivor_epochs |= 1u << epoch;
	if (block->tag && epoch >= LEAK_EPOCHS * 2 / 3)
		group->recent_variance += weights_variance(&g->p->weights, block).objects;
	if (group->usual_lifetime_s <= 0 || (double)age_ns / 1e9 > 2 * group->usual_lifetime_s)
		group->live_old++;
	if (age_ns < g->options->min_age_ns)
		return 0;
	holding_add(&group->holding[g->kind], &g->p->weights, block);
	if (block->birth_ns < group->oldest_birth_ns)
		group->oldest_birth_ns = block->birth_ns;
	return 0;
}

static void walk_heap(struct groups *g, const struct heap *heap, enum holding_kind kind)
{
	g->last = NULL;
	g->kind = kind;
	if (heap)
		(void)heap_walk(heap, group_block, g);
}

int groups_make(struct groups *g)
{
	size_t i;
	int err;

	for (i = 0; i < g->p->sites.nr; i++) {
		err = group_add(g, g->p->sites.item[i]);
		if (err)
			return err;
	}
	for (i = 0; i < g->nr; i++) {
		g->item[i].usual_lifetime_s = lifetime_quantile(g->item[i].lifetime, 0.95);
		group_windows_finish(&g->item[i].windows,
				     &owners_of(&g->owners, g->item[i].view.image)->windows);
	}
	for (i = 0; i < g->p->nr_images; i++) {
		g->image = g->p->image[i];
		walk_heap(g, g->image->heap, HOLDING_LIVE);
		walk_heap(g, g->image->held, HOLDING_HELD);
		walk_heap(g, g->image->left, HOLDING_LEFT);
	}
	return 0;
}
