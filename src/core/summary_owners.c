// SPDX-License-Identifier: GPL-2.0-or-later
#include "summary_owners.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "frames.h"

/* --- times --- */

uint64_t summary_end_ns(const struct profile *p, const struct image *image)
{
	uint64_t end_ns = p->last_ns;

	if (p->unwatched && p->unwatched_ns < end_ns)
		end_ns = p->unwatched_ns;
	return image && image->held && image->end_ns < end_ns ? image->end_ns : end_ns;
}

/* What ended before the window of now was in another one, which is not known any more. */
uint64_t summary_start_ns(const struct profile *p, uint64_t end_ns)
{
	return p->watch_ns < end_ns ? p->watch_ns : p->run.head.time_ns;
}

static double window_s(const struct profile *p, uint64_t end_ns)
{
	uint64_t start_ns = summary_start_ns(p, end_ns);

	return end_ns > start_ns ? (double)(end_ns - start_ns) / 1e9 : 0;
}

static double recent_change(const struct profile *p, const struct series *series, uint64_t end_ns)
{
	struct trend trend;

	series_trend(series, &trend);
	return trend.usable ? trend.last_third * window_s(p, end_ns) / 3 : 0;
}

double summary_recent(const struct profile *p, const struct series *series, uint64_t end_ns)
{
	double change = recent_change(p, series, end_ns);

	return change > 0 ? change : 0;
}

/* --- who there is --- */

void owners_release(struct owners *o)
{
	size_t i;

	for (i = 0; i < o->nr; i++)
		free(o->item[i].series);
	free(o->item);
	free(o->of_image);
	map64_release(&o->by_key);
	map64_release(&o->members);
}

static int owner_find(struct owners *o, const struct image *image, size_t *index)
{
	const char *name = frames_owner(image, o->by);
	/* the profile keeps each text once */
	uint64_t key = name ? (uintptr_t)name : SEEP_PROC_SLOT(image->proc), value;

	if (map64_get(&o->by_key, key, &value)) {
		*index = value;
		return 0;
	}
	if (ARRAY_GROW(&o->item, &o->cap, o->nr + 1) || map64_put(&o->by_key, key, o->nr))
		return -ENOMEM;
	o->item[o->nr] = (struct owner){.out = {.name = name ? name : ""}};
	*index = o->nr++;
	return 0;
}

static int add_member(struct owners *o, size_t index, const struct image *image)
{
	const struct target *target = profile_target(o->profile, image->proc);
	uint64_t key = (uint64_t)index << 16 | SEEP_PROC_SLOT(image->proc);
	struct owner *owner = &o->item[index];

	if (map64_get(&o->members, key, NULL))
		return 0;
	if (map64_put(&o->members, key, 1))
		return -ENOMEM;
	if (!owner->out.nr_processes) {
		owner->out.tgid = target->tgid;
		owner->out.name = owner->out.name[0] ? owner->out.name : target->comm;
	}
	owner->out.nr_processes++;
	owner->out.nr_exited += target->newest->exited;
	return 0;
}

/* Of a process, what belongs to the owner of its newest image. */
static void add_counters(struct owners *o, const struct target *target, size_t index)
{
	struct owner *owner = &o->item[index];
	uint64_t end_ns = summary_end_ns(o->profile, target->newest);

	owner->unknown_frees += summary_recent(o->profile, &target->unknown_frees, end_ns);
	owner->net_blocks += recent_change(o->profile, &target->net_blocks, end_ns);
	owner->net_known |= target->counter[STAT_CALLS] > 0;
	owner_windows_count(&owner->windows, o->profile, target);
}

int owners_make(struct owners *o, const struct profile *p, enum report_by by)
{
	const struct target *target;
	size_t i, index;
	int err = 0;

	*o = (struct owners){.profile = p, .by = by};
	o->of_image = calloc(p->nr_images + 1, sizeof(*o->of_image));
	if (!o->of_image)
		return -ENOMEM;
	for (i = 0; i < p->nr_images && !err; i++) {
		err = owner_find(o, p->image[i], &index);
		if (!err)
			err = add_member(o, index, p->image[i]);
		if (err)
			break;
		o->of_image[p->image[i]->number] = index;
		target = profile_target(p, p->image[i]->proc);
		if (target->newest == p->image[i])
			add_counters(o, target, index);
	}
	return err;
}

struct owner *owners_of(const struct owners *o, const struct image *image)
{
	return &o->item[o->of_image[image->number]];
}

/* --- what they hold --- */

void holding_add(struct holding *h, const struct weights *weights, const struct heap_block *block)
{
	struct weight weight = weights_of(weights, block);
	struct variance variance;

	h->objects += weight.objects;
	h->bytes += weight.bytes;
	h->samples++;
	h->seen_bytes += block->size_bytes;
	if (!block->tag)
		return;
	variance = weights_variance(weights, block);
	h->variance.objects += variance.objects;
	h->variance.bytes += variance.bytes;
}

int owners_add_site(struct owners *o, const struct site *site)
{
	const struct image *image = profile_image(o->profile, site->proc);
	struct owner *owner = owners_of(o, image);

	owner->out.alloc_objects += site->alloc_objects;
	owner->out.alloc_bytes += site->alloc_bytes;
	owner->alloc_samples += site->alloc_samples;
	owner->alloc_variance.objects += site->alloc_variance.objects;
	owner->alloc_variance.bytes += site->alloc_variance.bytes;
	if (!site->series)
		return 0;
	if (!owner->series) {
		owner->series = malloc(sizeof(*owner->series));
		if (!owner->series)
			return -ENOMEM;
		*owner->series = o->profile->sites.empty;
	}
	series_add_series(owner->series, site->series, site->ended);
	return 0;
}

/* A process that has exited grows until then. */
static void cut_at_exit(const struct owners *o, struct owner *owner)
{
	uint32_t nr = owner->series->nr;

	if (o->by != BY_PROCESS || !owner->out.nr_exited)
		return;
	while (nr && owner->series->level[nr - 1] <= 0)
		nr--;
	owner->series->nr = nr;
}

static void owner_finish(const struct owners *o, struct owner *owner)
{
	struct report_group *out = &owner->out;
	const struct holding *h = owner->holding;
	double unseen = summary_unseen_bytes(o->profile);
	struct trend trend;

	if (owner->series)
		cut_at_exit(o, owner);
	if (owner->series && unseen > 0)
		series_trend_sampled(owner->series, &trend);
	else
		series_trend(owner->series ? owner->series : &o->profile->sites.empty, &trend);
	out->growth_bytes_per_s = trend.per_s;
	out->growth_ci[0] = trend.ci[0];
	out->growth_ci[1] = trend.ci[1];
	out->live_bytes = h[HOLDING_LIVE].bytes;
	out->live_objects = h[HOLDING_LIVE].objects;
	out->held_bytes = h[HOLDING_HELD].bytes;
	out->held_objects = h[HOLDING_HELD].objects;
	out->left_bytes = h[HOLDING_LEFT].bytes;
	out->left_objects = h[HOLDING_LEFT].objects;
	out->live_ci =
		summary_interval(out->live_bytes + out->held_bytes + out->left_bytes,
				 h[HOLDING_LIVE].variance.bytes + h[HOLDING_HELD].variance.bytes +
					 h[HOLDING_LEFT].variance.bytes,
				 unseen,
				 h[HOLDING_LIVE].seen_bytes + h[HOLDING_HELD].seen_bytes +
					 h[HOLDING_LEFT].seen_bytes);
	out->alloc_ci = summary_interval(out->alloc_bytes, owner->alloc_variance.bytes, unseen, 0);
}

static double certain_growth(const struct report_group *group)
{
	return isfinite(group->growth_ci[0]) ? fmax(0, group->growth_ci[0]) : 0;
}

/* A total order, so that a report does not depend on the order of arrival. */
static int group_compare(const void *a, const void *b)
{
	const struct report_group *x = a, *y = b;
	double growth_x = certain_growth(x), growth_y = certain_growth(y);
	uint64_t bytes_x = x->live_bytes + x->held_bytes + x->left_bytes;
	uint64_t bytes_y = y->live_bytes + y->held_bytes + y->left_bytes;
	int order;

	if (growth_x > growth_y || growth_x < growth_y)
		return growth_x > growth_y ? -1 : 1;
	if (bytes_x != bytes_y)
		return bytes_x > bytes_y ? -1 : 1;
	if (x->alloc_bytes != y->alloc_bytes)
		return x->alloc_bytes > y->alloc_bytes ? -1 : 1;
	order = strcmp(x->name, y->name);
	if (order)
		return order;
	return x->tgid < y->tgid ? -1 : x->tgid > y->tgid;
}

int owners_report(struct owners *o, struct report *out)
{
	size_t i;

	out->group = calloc(o->nr + 1, sizeof(*out->group));
	if (!out->group)
		return -ENOMEM;
	for (i = 0; i < o->nr; i++) {
		owner_finish(o, &o->item[i]);
		out->group[out->nr_groups++] = o->item[i].out;
	}
	qsort(out->group, out->nr_groups, sizeof(*out->group), group_compare);
	return 0;
}
