// SPDX-License-Identifier: GPL-2.0-or-later
#include "summary_windows.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define REUSED 3 /* times what frees would show: addresses came back */
#define LARGER 6 /* classes: blocks of other sites may be smaller by that, to tell of these */

void owner_windows_count(struct owner_windows *owner, const struct profile *p,
			 const struct target *target)
{
	const struct target_windows *t = target->windows;
	double variance;

	owner->net_known |= target->counter[STAT_CALLS] > 0;
	if (!t)
		return;
	owner->net += net_gain(&p->windows, &t->net, &variance);
	owner->net_variance += variance;
	if (target->counter[STAT_LOST_EVENTS] > t->lost_events)
		owner->missed += target->counter[STAT_LOST_EVENTS] - t->lost_events;
}

void group_windows_release(struct group_windows *group)
{
	free(group->left);
	group->left = NULL;
}

int group_windows_add(struct group_windows *group, const struct profile *p, const struct site *site)
{
	const struct image *image = profile_image(p, site->proc);
	uint64_t end_ns = image->exited ? image->end_ns : p->last_ns, watching_ns = 0;
	uint64_t samples;

	group->alloc += site->alloc_samples;
	group->free += site->free_samples;
	if (!site->left)
		return 0;
	if (!group->left)
		group->left = calloc(1, sizeof(*group->left));
	if (!group->left)
		return -ENOMEM;
	left_add_left(group->left, site->left);
	if (!p->unwatched && end_ns > p->watch_ns)
		watching_ns = end_ns - p->watch_ns;
	group->expected += windows_expected(&p->windows, site->left, end_ns, watching_ns);
	group->sampled |= site->sampled_samples > 0;
	samples = left_total(site->left).samples;
	if (site->sampled_samples && site->alloc_samples)
		group->objects_variance += site->alloc_variance.objects * (double)samples /
					   (double)site->alloc_samples;
	return 0;
}

/* Of what it left, in the mean. */
static unsigned int size_class(const struct left *left)
{
	struct left_sum all = left_total(left);
	uint64_t mean = all.objects ? all.bytes / all.objects : 0;

	return mean ? 63 - (unsigned int)__builtin_clzll(mean) : 0;
}

static double kept_objects(const struct group_windows *group)
{
	return group->kept * (double)left_total(group->left).objects;
}

/* If that is most of what it left, or far more than frees alone can have shown: what it tells of others. */
static uint64_t seen_gone(const struct group_windows *group)
{
	uint64_t left = left_total(group->left).samples;
	uint64_t gone = left - left_remaining(group->left).samples;

	return 2 * gone >= left || (double)gone >= REUSED * group->expected ? gone : 0;
}

void group_windows_finish(struct group_windows *group, struct owner_windows *owner)
{
	if (!group->left)
		return;
	group->kept = left_kept(group->left);
	owner->seen_gone[size_class(group->left)] += seen_gone(group);
	owner->kept_objects += kept_objects(group);
	owner->kept_variance += group->kept * group->objects_variance;
	owner->remaining_objects += (double)left_remaining(group->left).objects;
}

static void set_others(const struct group_windows *group, const struct owner_windows *owner,
		       struct leak_windows *out)
{
	unsigned int class = size_class(group->left), i;

	for (i = class > LARGER ? class - LARGER : 0; i < SIZE_CLASSES; i++)
		out->others_gone += owner->seen_gone[i];
	out->others_gone -= seen_gone(group);
}

static void set_windows(const struct left *left, const struct windows *w, struct leak_windows *out)
{
	unsigned int nr = windows_nr_bins(w), i;
	double busy_ns = 0, quiet_ns = 0;

	out->nr_bins = nr;
	out->survivor_bins = left_survivors(left);
	for (i = 0; i < nr; i++) {
		out->windows += left->bin[i].windows;
		if (!out->of_windows && left->bin[i].windows)
			out->of_windows = w->nr - (i << w->shift);
		*(left->bin[i].windows ? &busy_ns : &quiet_ns) += (double)w->bin[i].watched_ns;
	}
	out->quiet_left = busy_ns > 0 ? (double)out->left * quiet_ns / busy_ns : 0;
}

static void set_unknown_frees(const struct group_windows *group, const struct owner_windows *owner,
			      struct leak_windows *out)
{
	out->grown_objects = kept_objects(group);
	out->unknown_frees = owner->kept_objects - owner->net;
	out->unknown_error = sqrt(owner->kept_variance + owner->net_variance);
	out->unknown_most = out->sampled ? INFINITY : owner->remaining_objects - owner->net;
	if (owner->net_known)
		return;
	/* who samples himself tells of his samples alone */
	out->unknown_frees = out->unknown_most = INFINITY;
}

static uint64_t watched_ns(const struct windows *w)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < windows_nr_bins(w); i++)
		sum += w->bin[i].watched_ns;
	return sum;
}

bool group_windows_facts(const struct group_windows *group, const struct owner_windows *owner,
			 const struct profile *p, struct leak_windows *out)
{
	const struct windows *w = &p->windows;
	struct leak_windows facts = {.alloc = group->alloc, .free = group->free};

	if (!p->unwatched && p->last_ns > p->watch_ns && p->last_ns - p->watch_ns > watched_ns(w))
		return false;
	if (windows_nr_bins(w) < WINDOWS_MIN_BINS || (!group->left && 2 * facts.free < facts.alloc))
		return false;
	facts.trend.usable = true;
	if (!group->left) {
		*out = facts;
		return true;
	}
	facts.left = left_total(group->left).samples;
	facts.gone = facts.left - left_remaining(group->left).samples;
	windows_trend(w, group->left, group->kept, &facts.trend);
	if (!facts.left || !facts.trend.usable)
		return false;
	facts.kept = group->kept;
	facts.missed = owner->missed;
	facts.expected = group->expected;
	facts.sampled = group->sampled;
	facts.losses = p->end_flags & END_NO_RESYNC;
	set_others(group, owner, &facts);
	set_windows(group->left, w, &facts);
	set_unknown_frees(group, owner, &facts);
	*out = facts;
	return true;
}
