// SPDX-License-Identifier: GPL-2.0-or-later
#include "summary.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "leak.h"
#include "summary_groups.h"

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

/* By what it left at the ends of windows. False: by that nothing can be said, or less. */
static bool group_judge_windows(const struct groups *g, struct group *group,
				struct leak_verdict *verdict)
{
	const struct owner *owner = owners_of(&g->owners, group->view.image);
	struct leak_windows facts;

	if (!group_windows_facts(&group->windows, &owner->windows, g->p, &facts))
		return false;
	leak_judge_windows(&facts, verdict);
	group->trend = facts.trend;
	group->site.growth_of_windows = true;
	return true;
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
	if (!group_judge_windows(g, group, &verdict))
		leak_judge(&facts, &verdict);
	site->verdict = verdict.verdict;
	site->probability = verdict.probability;
	memcpy(site->evidence, verdict.evidence, sizeof(site->evidence));
	site->growth_bytes_per_s = group->trend.per_s;
	site->growth_ci[0] = group->trend.usable ? group->trend.ci[0] : -INFINITY;
	site->growth_ci[1] = group->trend.usable ? group->trend.ci[1] : INFINITY;
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
	if (group->windows.left) {
		site->presumed_bytes = left_remaining(group->windows.left).bytes;
		site->presumed_objects = left_remaining(group->windows.left).objects;
	}
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
		err = groups_make(&g);
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
