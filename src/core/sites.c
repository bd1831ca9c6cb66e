// SPDX-License-Identifier: GPL-2.0-or-later
#include "sites.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "array.h"

void sites_release(struct sites *sites)
{
	size_t i;

	for (i = 0; i < sites->nr; i++) {
		free(sites->item[i]->series);
		free(sites->item[i]->left);
		free(sites->item[i]);
	}
	free(sites->item);
	map64_release(&sites->by_key);
	*sites = (struct sites){0};
}

static struct site **recent_place(const struct sites *sites, uint64_t key)
{
	return (struct site **)&sites->recent[(key * HASH_ODD_1) >> 56];
}

struct site *sites_find(const struct sites *sites, uint32_t proc, uint32_t stack)
{
	uint64_t key = (uint64_t)proc << 32 | stack, value;

	return map64_get(&sites->by_key, key, &value) ? (struct site *)(uintptr_t)value : NULL;
}

static struct site *site_new(struct sites *sites, struct site **list, uint32_t proc, uint32_t stack)
{
	struct site *site;

	if (ARRAY_GROW(&sites->item, &sites->cap, sites->nr + 1))
		return NULL;
	site = calloc(1, sizeof(*site));
	if (!site)
		return NULL;
	if (map64_put(&sites->by_key, (uint64_t)proc << 32 | stack, (uintptr_t)site)) {
		free(site);
		return NULL;
	}
	site->proc = proc;
	site->stack = stack;
	site->next = *list;
	*list = site;
	sites->item[sites->nr++] = site;
	return site;
}

struct site *sites_get(struct sites *sites, struct site **list, uint32_t proc, uint32_t stack)
{
	struct site **recent = recent_place(sites, (uint64_t)proc << 32 | stack);
	struct site *site = *recent;

	if (site && site->proc == proc && site->stack == stack)
		return site;
	site = sites_find(sites, proc, stack);
	if (!site)
		site = site_new(sites, list, proc, stack);
	if (site)
		*recent = site;
	return site;
}

int64_t site_live_bytes(const struct site *site)
{
	return (int64_t)(site->alloc_bytes - site->free_bytes - site->released_bytes);
}

int64_t site_live_objects(const struct site *site)
{
	return (int64_t)(site->alloc_objects - site->free_objects - site->released_objects);
}

void site_add_alloc(struct site *site, struct weight weight)
{
	site->alloc_samples++;
	site->alloc_objects += weight.objects;
	site->alloc_bytes += weight.bytes;
}

void site_add_variance(struct site *site, struct weight weight, struct variance variance)
{
	site->alloc_variance.objects += variance.objects;
	site->alloc_variance.bytes += variance.bytes;
	site->sampled_samples++;
	if (weight.objects > site->heaviest)
		site->heaviest = weight.objects;
}

static void lifetime_add(uint32_t *lifetime, uint64_t age_ns)
{
	unsigned int log = age_ns ? 63 - (unsigned int)__builtin_clzll(age_ns) : 0, i;

	if (lifetime[log] == UINT32_MAX) {
		for (i = 0; i < SITE_LIFETIMES; i++)
			lifetime[i] /= 2;
	}
	lifetime[log]++;
}

void site_add_free(struct site *site, struct weight weight, uint64_t age_ns)
{
	site->free_samples++;
	site->free_objects += weight.objects;
	site->free_bytes += weight.bytes;
	lifetime_add(site->lifetime, age_ns);
}

void site_undo_free(struct site *site, struct weight weight)
{
	site->free_samples--;
	site->free_objects -= weight.objects;
	site->free_bytes -= weight.bytes;
}

void site_add_released(struct site *site, int sign, struct weight weight)
{
	site->released_objects += (uint64_t)sign * weight.objects;
	site->released_bytes += (uint64_t)sign * weight.bytes;
}

void site_release(struct site *site)
{
	site->released_objects += (uint64_t)site_live_objects(site);
	site->released_bytes += (uint64_t)site_live_bytes(site);
}

void site_exit(struct site *site)
{
	site->gone_bytes = site->released_bytes;
	site_release(site);
	site->held = true;
}

int site_leave(struct site *site, struct windows *windows)
{
	uint64_t samples = site->alloc_samples - site->free_samples - site->past_samples;
	struct left_sum sum = {.samples = samples,
			       .objects = (uint64_t)site_live_objects(site),
			       .bytes = (uint64_t)site_live_bytes(site)};

	site->past_samples += samples;
	site_release(site);
	/* a free may have been read before its allocation */
	if (!windows || (int64_t)sum.samples <= 0 || (int64_t)sum.objects <= 0)
		return 0;
	if (!site->left)
		site->left = calloc(1, sizeof(*site->left));
	if (!site->left)
		return -ENOMEM;
	left_add(windows, site->left, &sum);
	return 0;
}

void site_leave_late(struct site *site, struct windows *windows, uint64_t birth_ns,
		     struct weight weight, int sign)
{
	site->past_samples += (uint64_t)sign;
	if (site->left)
		(void)left_correct(windows, site->left, birth_ns, weight, sign);
}

void site_end_left(struct site *site, struct windows *windows, bool is_kept)
{
	if (site->left)
		left_end(windows, site->left);
	if (is_kept)
		return;
	free(site->left);
	site->left = NULL;
}

/* What a process had when it exited counts on, to the first tick after: by then its last events are read. */
static int site_tick(const struct sites *sites, struct site *site, double time_s)
{
	int64_t level = site_live_bytes(site);

	if (site->held)
		level = (int64_t)(site->alloc_bytes - site->free_bytes - site->gone_bytes);
	if (!site->series && level) {
		site->series = malloc(sizeof(*site->series));
		if (!site->series)
			return -ENOMEM;
		*site->series = sites->empty;
	}
	if (site->series)
		series_add(site->series, time_s, (double)level);
	site->ended = site->held;
	site->end_s = (float)time_s;
	return 0;
}

int sites_tick(struct sites *sites, double time_s)
{
	int err = 0;
	size_t i;

	for (i = 0; i < sites->nr; i++) {
		if (!sites->item[i]->ended && site_tick(sites, sites->item[i], time_s))
			err = -ENOMEM;
	}
	series_add(&sites->empty, time_s, 0);
	return err;
}

void sites_restart(struct sites *sites)
{
	size_t i;

	for (i = 0; i < sites->nr; i++) {
		if (sites->item[i]->ended)
			continue;
		free(sites->item[i]->series);
		sites->item[i]->series = NULL;
	}
	sites->empty = (struct series){0};
}

void sites_series(const struct sites *sites, const struct site *site, struct series *out)
{
	*out = site->series ? *site->series : sites->empty;
	while (!site->series && site->ended && out->nr && out->time_s[out->nr - 1] > site->end_s)
		out->nr--;
}

double lifetime_quantile(const uint64_t *lifetime, double share)
{
	uint64_t total = 0, sum = 0;
	unsigned int i;

	for (i = 0; i < SITE_LIFETIMES; i++)
		total += lifetime[i];
	if (!total)
		return 0;
	for (i = 0; i < SITE_LIFETIMES - 1; i++) {
		sum += lifetime[i];
		if ((double)sum >= share * (double)total)
			break;
	}
	return ldexp(1, (int)i + 1) / 1e9;
}
