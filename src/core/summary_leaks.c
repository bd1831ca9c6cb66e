// SPDX-License-Identifier: GPL-2.0-or-later
#include "summary.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "frames.h"
#include "leak.h"
#include "profile_impl.h"

/* Sites whose believed frames are the same: one line of the report. */
struct group {
	struct frames_view view;
	uint32_t proc;
	uint64_t alloc_objects, alloc_bytes, free_objects;
	uint64_t partial_objects, too_deep_objects; /* of alloc_objects */
	uint64_t lifetime[SITE_LIFETIMES];
	struct series *series;		   /* allocated; NULL before the first tick */
	uint64_t live_objects, live_bytes; /* at least min-age old */
	uint64_t live_old;
	uint64_t oldest_birth_ns;
	double usual_lifetime_s;
	uint32_t survivor_epochs;
	struct report_site site;
};

struct groups {
	struct profile *p;
	const struct report_options *options;
	struct group *item;
	size_t nr, cap;
	struct map64 by_hash;
	/* While a heap is walked: */
	const struct image *image;
	const struct site *last; /* neighbours often come from one site */
};

static void groups_release(struct groups *g)
{
	size_t i;

	for (i = 0; i < g->nr; i++) {
		free(g->item[i].series);
		free(g->item[i].site.frame);
	}
	free(g->item);
	map64_release(&g->by_hash);
}

static int group_find(struct groups *g, uint32_t proc, const struct frames_view *view,
		      size_t *index)
{
	uint64_t key, value;

	key = frames_hash(view);
	/* Neighbouring keys for different stacks with the same hash. */
	for (; map64_get(&g->by_hash, key, &value); key++) {
		if (g->item[value].proc == proc && frames_equal(&g->item[value].view, view)) {
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

static int series_sum(struct series **sum, const struct series *series)
{
	uint32_t i;

	if (!series)
		return 0;
	if (!*sum) {
		*sum = malloc(sizeof(**sum));
		if (!*sum)
			return -ENOMEM;
		**sum = *series;
		return 0;
	}
	/* All series of a profile take their points at the same ticks. */
	for (i = 0; i < (*sum)->nr && i < series->nr; i++)
		(*sum)->level[i] += series->level[i];
	return 0;
}

static int group_add(struct groups *g, struct site *site)
{
	struct frames_view view;
	struct group *group;
	unsigned int i;
	int err;

	frames_view(g->p, site->proc, site->stack, &view);
	err = group_find(g, site->proc, &view, &site->group);
	if (err)
		return err;
	group = &g->item[site->group];
	group->alloc_objects += site->alloc_objects;
	group->partial_objects += view.partial ? site->alloc_objects : 0;
	group->too_deep_objects += view.too_deep ? site->alloc_objects : 0;
	group->alloc_bytes += site->alloc_bytes;
	group->free_objects += site->free_objects;
	for (i = 0; i < SITE_LIFETIMES; i++)
		group->lifetime[i] += site->lifetime[i];
	return series_sum(&group->series, site->series);
}

/* When its blocks were last looked at: now, or at its exit. */
static uint64_t image_time(const struct profile *p, const struct image *image)
{
	return image && image->held && image->end_ns < p->last_ns ? image->end_ns : p->last_ns;
}

static unsigned int epoch_of(const struct profile *p, uint64_t end_ns, uint64_t time_ns)
{
	uint64_t start = p->run.head.time_ns, length = end_ns > start ? end_ns - start : 0;
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
	uint64_t end_ns = image_time(g->p, g->image);
	uint64_t age_ns = end_ns > block->birth_ns ? end_ns - block->birth_ns : 0;
	struct group *group;

	if (!g->last || g->last->stack != block->stack)
		g->last = sites_find(&g->p->sites, g->image->proc, block->stack);
	if (!g->last)
		return 0;
	group = &g->item[g->last->group];
	group->survivor_epochs |= 1u << epoch_of(g->p, end_ns, block->birth_ns);
	if (group->usual_lifetime_s <= 0 || (double)age_ns / 1e9 > 2 * group->usual_lifetime_s)
		group->live_old++;
	if (age_ns < g->options->min_age_ns)
		return 0;
	group->live_objects++;
	group->live_bytes += block->size_bytes;
	if (block->birth_ns < group->oldest_birth_ns)
		group->oldest_birth_ns = block->birth_ns;
	return 0;
}

static int group_all(struct groups *g)
{
	size_t i;
	int err;

	for (i = 0; i < g->p->sites.nr; i++) {
		err = group_add(g, g->p->sites.item[i]);
		if (err)
			return err;
	}
	for (i = 0; i < g->nr; i++)
		g->item[i].usual_lifetime_s = lifetime_quantile(g->item[i].lifetime, 0.95);
	for (i = 0; i < g->p->nr_images; i++) {
		g->image = g->p->image[i];
		g->last = NULL;
		(void)heap_walk(g->image->held ? g->image->held : g->image->heap, group_block, g);
	}
	return 0;
}

static double recent_unknown_frees(const struct profile *p, uint32_t proc, double window_s)
{
	const struct target *t = profile_target(p, proc);
	struct trend trend;

	if (!t)
		return 0;
	series_trend(&t->unknown_frees, &trend);
	return trend.usable && trend.last_third > 0 ? trend.last_third * window_s / 3 : 0;
}

static void group_judge(const struct groups *g, struct group *group)
{
	double window_s =
		profile_window_s(g->p, image_time(g->p, profile_image(g->p, group->proc)));
	double mean;
	struct report_site *site = &group->site;
	struct leak_verdict verdict;
	struct leak_facts facts = {
		.window_s = window_s,
		.live_bytes = group->live_bytes,
		.live_objects = group->live_objects,
		.alloc_objects = group->alloc_objects,
		.free_objects = group->free_objects,
		.survivor_epochs = group->survivor_epochs,
		.usual_lifetime_s = group->usual_lifetime_s,
		.live_old = group->live_old,
		.oldest_age_s = site->oldest_age_s,
		.recent_unknown_frees = recent_unknown_frees(g->p, group->proc, window_s),
		.losses = g->p->end_flags & END_NO_RESYNC,
	};

	if (group->series)
		series_trend(group->series, &facts.trend);
	mean = group->live_objects ? (double)group->live_bytes / (double)group->live_objects : 0;
	if (mean > 0)
		facts.recent_growth_objects = facts.trend.last_third * window_s / 3 / mean;
	leak_judge(&facts, &verdict);
	site->verdict = verdict.verdict;
	site->probability = verdict.probability;
	memcpy(site->evidence, verdict.evidence, sizeof(site->evidence));
	site->growth_bytes_per_s = facts.trend.per_s;
	site->growth_ci[0] = facts.trend.usable ? facts.trend.ci[0] : -INFINITY;
	site->growth_ci[1] = facts.trend.usable ? facts.trend.ci[1] : INFINITY;
}

static void group_report(const struct groups *g, struct group *group)
{
	const struct image *image = profile_image(g->p, group->proc);
	struct report_site *site = &group->site;

	site->tgid = image ? image->tgid : 0;
	site->comm = image ? image->comm : "";
	if (image && image->held) {
		site->held_bytes = group->live_bytes;
		site->held_objects = group->live_objects;
	} else {
		site->live_bytes = group->live_bytes;
		site->live_objects = group->live_objects;
	}
	site->alloc_bytes = group->alloc_bytes;
	site->alloc_objects = group->alloc_objects;
	site->free_objects = group->free_objects;
	site->stack_partial = group->view.partial;
	if (group->oldest_birth_ns < image_time(g->p, image))
		site->oldest_age_s =
			(double)(image_time(g->p, image) - group->oldest_birth_ns) / 1e9;
	group_judge(g, group);
}

static int group_compare(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	int order = leak_compare(&x->site, &y->site);
	uint64_t hash_x, hash_y;

	if (order)
		return order;
	/* Ties must not depend on the order of arrival, which differs between rings. */
	hash_x = frames_hash(&x->view);
	hash_y = frames_hash(&y->view);
	return hash_x < hash_y ? -1 : hash_x > hash_y;
}

static void count_stacks(const struct groups *g, struct report *out)
{
	size_t i;

	for (i = 0; i < g->nr; i++) {
		if (!g->item[i].view.stack) {
			out->balance.stacks_unknown += g->item[i].alloc_objects;
			continue;
		}
		out->balance.stacks++;
		out->balance.stacks_partial += g->item[i].view.partial;
		out->balance.allocs_partial += g->item[i].partial_objects;
		out->balance.allocs_too_deep += g->item[i].too_deep_objects;
	}
}

static void count_held(const struct groups *g, struct report *out)
{
	size_t i;

	for (i = 0; i < g->nr; i++) {
		out->held_bytes += g->item[i].site.held_bytes;
		out->held_objects += g->item[i].site.held_objects;
	}
}

int summary_leaks(struct profile *p, const struct report_options *options, struct report *out)
{
	struct groups g = {.p = p, .options = options};
	struct report_site *site;
	size_t i, nr;
	int err;

	err = group_all(&g);
	if (err)
		goto out;
	for (i = 0; i < g.nr; i++)
		group_report(&g, &g.item[i]);
	if (g.nr)
		qsort(g.item, g.nr, sizeof(*g.item), group_compare);
	count_stacks(&g, out);
	count_held(&g, out);
	out->nr_sites_all = g.nr;
	nr = options->top && options->top < g.nr ? options->top : g.nr;
	err = -ENOMEM;
	out->site = calloc(nr + 1, sizeof(*out->site));
	if (!out->site)
		goto out;
	for (i = 0; i < nr; i++) {
		site = &out->site[i];
		*site = g.item[i].site;
		err = frames_expand(&g.item[i].view, options->allocator_frames, &site->frame,
				    &site->nr_frames);
		if (err)
			goto out;
		out->nr_sites++;
	}
	err = 0;
out:
	groups_release(&g);
	return err;
}
