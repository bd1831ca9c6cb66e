// SPDX-License-Identifier: GPL-2.0-or-later
#include "summary.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "frames.h"
#include "leak.h"
#include "summary_owners.h"

/* Sites whose believed frames are the same: one line of the report. */
struct group {
	struct frames_view view;
	uint32_t proc; /* of the first */
	uint32_t nr_processes;
	uint64_t alloc_objects, alloc_bytes, free_objects;
	uint64_t alloc_samples, free_samples, sampled_samples;
	struct variance alloc_variance;
	uint64_t heaviest;
	uint64_t partial_objects, too_deep_objects; /* of alloc_objects */
	uint64_t lifetime[SITE_LIFETIMES];
	struct series *series;		    /* allocated */
	struct holding holding[HOLDING_NR]; /* at least min-age old */
	uint64_t live_old;		    /* samples */
	uint64_t oldest_birth_ns;
	double recent_variance; /* of objects born in the last third of the window and not freed */
	double usual_lifetime_s;
	uint32_t survivor_epochs;
	struct trend trend;
	double recent_growth_objects;
	struct report_site site;
};

struct groups {
	struct profile *p;
	const struct report_options *options;
	struct group *item;
	size_t nr, cap;
	struct map64 by_hash;
	struct map64 members; /* (group, process) */
	struct owners owners;
	/* While a heap is walked: */
	const struct image *image;
	enum holding_kind kind;
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
		walk_heap(g, g->image->heap, HOLDING_LIVE);
		walk_heap(g, g->image->held, HOLDING_HELD);
		walk_heap(g, g->image->left, HOLDING_LEFT);
	}
	return 0;
}

/* --- groups to sites of the report --- */

/* One of several processes has no end of its own. */
static uint64_t group_end_ns(const struct groups *g, const struct group *group)
{
	return summary_end_ns(g->p, g->options->by == BY_PROCESS ? group->view.image : NULL);
}

static struct holding group_holds(const struct group *group)
{
	struct holding sum = group->holding[HOLDING_LIVE];
	unsigned int i;

	for (i = HOLDING_HELD; i < HOLDING_NR; i++) {
		sum.objects += group->holding[i].objects;
		sum.bytes += group->holding[i].bytes;
		sum.samples += group->holding[i].samples;
	}
	return sum;
}

static bool is_sampled(const struct groups *g, const struct group *group)
{
	return group->sampled_samples || summary_unseen_bytes(g->p) > 0;
}

/* How it grows; what growing sites have gained is counted with their owner. */
static void group_trend(struct groups *g, struct group *group)
{
	struct owner *owner = owners_of(&g->owners, group->view.image);
	struct holding holds = group_holds(group);
	uint64_t end_ns = group_end_ns(g, group), start_ns = summary_start_ns(g->p, end_ns);
	double window_s = end_ns > start_ns ? (double)(end_ns - start_ns) / 1e9 : 0;
	double mean = holds.objects ? (double)holds.bytes / (double)holds.objects : 0;

	if (group->series && is_sampled(g, group))
		series_trend_sampled(group->series, &group->trend);
	else if (group->series)
		series_trend(group->series, &group->trend);
	if (mean > 0)
		group->recent_growth_objects = group->trend.last_third * window_s / 3 / mean;
	if (!group->trend.usable || group->trend.ci[0] <= 0 || group->recent_growth_objects <= 0)
		return;
	owner->grown_objects += group->recent_growth_objects;
	owner->grown_variance += group->recent_variance;
}

/* leak.h says what this is when blocks are sampled. */
static void set_unknown_frees(const struct groups *g, const struct group *group,
			      struct leak_facts *facts)
{
	const struct owner *owner = owners_of(&g->owners, group->view.image);

	facts->recent_unknown_frees = owner->unknown_frees;
	if (!facts->sampled)
		return;
	facts->recent_unknown_error = sqrt(owner->grown_variance);
	if (owner->net_known)
		facts->recent_unknown_frees = owner->grown_objects - owner->net_blocks;
	else if (owner->alloc_samples)
		/* samples that the program took itself: so are those of their frees */
		facts->recent_unknown_frees *=
			(double)owner->out.alloc_objects / (double)owner->alloc_samples;
}

static void group_judge(const struct groups *g, struct group *group)
{
	struct report_site *site = &group->site;
	struct holding holds = group_holds(group);
	uint64_t end_ns = group_end_ns(g, group), start_ns = summary_start_ns(g->p, end_ns);
	struct leak_verdict verdict;
	struct leak_facts facts = {
		.window_s = end_ns > start_ns ? (double)(end_ns - start_ns) / 1e9 : 0,
		.trend = group->trend,
		.live_bytes = holds.bytes,
		.live_objects = holds.samples,
		.alloc_objects = group->alloc_samples,
		.free_objects = group->free_samples,
		.survivor_epochs = group->survivor_epochs,
		.usual_lifetime_s = group->usual_lifetime_s,
		.live_old = group->live_old,
		.oldest_age_s = site->oldest_age_s,
		.recent_growth_objects = group->recent_growth_objects,
		.losses = g->p->end_flags & END_NO_RESYNC,
		.sampled = is_sampled(g, group),
		.unwatched = g->p->nr_windows,
	};

	set_unknown_frees(g, group, &facts);
	leak_judge(&facts, &verdict);
	site->verdict = verdict.verdict;
	site->probability = verdict.probability;
	memcpy(site->evidence, verdict.evidence, sizeof(site->evidence));
	site->growth_bytes_per_s = facts.trend.per_s;
	site->growth_ci[0] = facts.trend.usable ? facts.trend.ci[0] : -INFINITY;
	site->growth_ci[1] = facts.trend.usable ? facts.trend.ci[1] : INFINITY;
}

static void set_intervals(const struct groups *g, struct group *group)
{
	const struct holding *h = group->holding;
	struct report_site *site = &group->site;
	double unseen = summary_unseen_bytes(g->p), objects = (double)group->heaviest, by_mean;

	if (unseen > 0 && group->alloc_bytes) {
		by_mean = unseen * (double)group->alloc_objects / (double)group->alloc_bytes;
		objects = fmax(objects, by_mean);
	}
	site->live_ci = summary_interval(site->live_bytes, h[HOLDING_LIVE].variance.bytes, unseen,
					 h[HOLDING_LIVE].seen_bytes);
	site->live_objects_ci =
		summary_interval(site->live_objects, h[HOLDING_LIVE].variance.objects, objects,
				 h[HOLDING_LIVE].samples);
	site->held_ci = summary_interval(site->held_bytes, h[HOLDING_HELD].variance.bytes, unseen,
					 h[HOLDING_HELD].seen_bytes);
	site->held_objects_ci =
		summary_interval(site->held_objects, h[HOLDING_HELD].variance.objects, objects,
				 h[HOLDING_HELD].samples);
	site->left_ci = summary_interval(site->left_bytes, h[HOLDING_LEFT].variance.bytes, unseen,
					 h[HOLDING_LEFT].seen_bytes);
	site->left_objects_ci =
		summary_interval(site->left_objects, h[HOLDING_LEFT].variance.objects, objects,
				 h[HOLDING_LEFT].samples);
	site->alloc_ci =
		summary_interval(site->alloc_bytes, group->alloc_variance.bytes, unseen, 0);
	site->alloc_objects_ci = summary_interval(
		site->alloc_objects, group->alloc_variance.objects, objects, site->alloc_samples);
}

static enum report_basis site_basis(const struct group *group, enum report_basis basis)
{
	bool all_sampled = group->sampled_samples == group->alloc_samples;

	return basis == BASIS_MIXED && all_sampled ? BASIS_SAMPLED : basis;
}

static void group_report(struct groups *g, struct group *group, enum report_basis basis)
{
	const struct image *image = group->view.image;
	struct report_site *site = &group->site;
	uint64_t end_ns = group_end_ns(g, group);

	site->basis = site_basis(group, basis);
	site->tgid = image->tgid;
	site->comm = image->comm;
	site->group = group->view.owner ? group->view.owner : "";
	site->nr_processes = group->nr_processes;
	site->live_bytes = group->holding[HOLDING_LIVE].bytes;
	site->live_objects = group->holding[HOLDING_LIVE].objects;
	site->held_bytes = group->holding[HOLDING_HELD].bytes;
	site->held_objects = group->holding[HOLDING_HELD].objects;
	site->left_bytes = group->holding[HOLDING_LEFT].bytes;
	site->left_objects = group->holding[HOLDING_LEFT].objects;
	site->alloc_bytes = group->alloc_bytes;
	site->alloc_objects = group->alloc_objects;
	site->free_objects = group->free_objects;
	site->live_samples = group_holds(group).samples;
	site->alloc_samples = group->alloc_samples;
	site->stack_partial = group->view.partial;
	if (group->oldest_birth_ns < end_ns)
		site->oldest_age_s = (double)(end_ns - group->oldest_birth_ns) / 1e9;
	set_intervals(g, group);
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
		out->left_bytes += g->item[i].site.left_bytes;
		out->left_objects += g->item[i].site.left_objects;
	}
}

int summary_leaks(struct profile *p, const struct report_options *options, struct report *out)
{
	struct groups g = {.p = p, .options = options};
	struct report_site *site;
	size_t i, nr;
	int err;

	err = owners_make(&g.owners, p, options->by);
	if (!err)
		err = group_all(&g);
	if (!err)
		err = owners_report(&g.owners, out);
	if (err)
		goto out;
	for (i = 0; i < g.nr; i++)
		group_trend(&g, &g.item[i]);
	for (i = 0; i < g.nr; i++) {
		group_report(&g, &g.item[i], out->basis);
		group_judge(&g, &g.item[i]);
	}
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
