// SPDX-License-Identifier: GPL-2.0-or-later
/* What is followed changes: sampling periods, steps of the governor, windows. */
#include <errno.h>
#include <stdlib.h>

#include "array.h"
#include "profile_impl.h"

#define OTHER_DUTY UINT64_C(2)

int feed_sampling(struct profile *p, const struct record_sampling *r)
{
	return weights_set(&p->weights, r->tag, r->period_bytes);
}

/* How much of the time windows take is an estimate, and a little different each time. */
static bool is_other_duty(uint32_t a, uint32_t b)
{
	return a > OTHER_DUTY * b || b > OTHER_DUTY * a;
}

static bool is_news(const struct profile *p, const struct record_step *r)
{
	const struct record_step *last = p->nr_steps ? &p->step[p->nr_steps - 1] : NULL;

	return !last || last->mode != r->mode || last->period_bytes != r->period_bytes ||
	       is_other_duty(last->duty_permille, r->duty_permille);
}

static void watch(struct profile *p, uint64_t time_ns)
{
	size_t i;

	p->unwatched = false;
	p->watch_ns = time_ns;
	for (i = 0; i < p->nr_images; i++)
		image_watch(p->image[i]);
	for (i = 0; i < p->nr_targets; i++)
		p->target[i]->unknown_frees = p->target[i]->net_blocks = (struct series){0};
	sites_restart(&p->sites);
}

static void merge_windows(struct profile *p)
{
	size_t i;

	windows_merge(&p->windows);
	for (i = 0; i < p->sites.nr; i++) {
		if (p->sites.item[i]->left)
			left_merge(p->sites.item[i]->left);
	}
	for (i = 0; i < p->nr_targets; i++) {
		if (p->target[i]->windows)
			net_merge(&p->target[i]->windows->net);
	}
}

static void drop_windows(struct profile *p, unsigned int nr_bins)
{
	size_t i;

	windows_drop(&p->windows, nr_bins);
	for (i = 0; i < p->sites.nr; i++) {
		if (p->sites.item[i]->left)
			left_drop(p->sites.item[i]->left, nr_bins);
	}
	for (i = 0; i < p->nr_targets; i++) {
		if (p->target[i]->windows)
			net_drop(&p->target[i]->windows->net, nr_bins);
	}
}

static int add_net(const struct profile *p, struct target *target)
{
	if (!target->windows) {
		target->windows = calloc(1, sizeof(*target->windows));
		if (!target->windows)
			return -ENOMEM;
		target->windows->lost_events = target->counter[STAT_LOST_EVENTS];
	}
	net_add(&p->windows, &target->windows->net, target_net_blocks(target));
	return 0;
}

/* All that is live is left, and looked after from now on if there is a window that it is of. */
static int leave_image(struct image *image, struct windows *windows, uint64_t time_ns)
{
	struct site *site;
	int err = 0;

	for (site = image->sites; site; site = site->next) {
		if (site_leave(site, windows))
			err = -ENOMEM;
	}
	return image_unwatch(image, time_ns) ? -ENOMEM : err;
}

static int add_window(struct profile *p, uint64_t time_ns)
{
	size_t i;
	int err = 0;

	if (windows_is_full(&p->windows))
		merge_windows(p);
	windows_add(&p->windows, p->watch_ns, time_ns);
	for (i = 0; i < p->nr_targets; i++) {
		if (add_net(p, p->target[i]))
			err = -ENOMEM;
	}
	return err;
}

int feed_unwatched(struct profile *p, uint64_t time_ns)
{
	bool is_window = time_ns > p->watch_ns;
	unsigned int excess;
	size_t i;
	int err = 0;

	if (p->unwatched)
		return 0;
	p->unwatched = true;
	p->unwatched_ns = time_ns;
	p->nr_windows++;
	if (is_window) {
		p->watched_ns += time_ns - p->watch_ns;
		err = add_window(p, time_ns);
	}
	for (i = 0; i < p->nr_images; i++) {
		if (!p->image[i]->ended &&
		    leave_image(p->image[i], is_window ? &p->windows : NULL, time_ns))
			err = -ENOMEM;
	}
	excess = windows_excess(&p->windows);
	if (excess)
		drop_windows(p, excess);
	return err;
}

static void follow_faults(struct profile *p, const struct record_step *r)
{
	bool faults_only = r->mode == STEP_FAULTS;
	uint64_t now_ns = r->head.time_ns;

	if (faults_only && !p->faults_only)
		p->faults_since_ns = now_ns;
	if (!faults_only && p->faults_only && now_ns > p->faults_since_ns)
		p->faults_ns += now_ns - p->faults_since_ns;
	p->faults_only = faults_only;
}

double profile_faults_s(const struct profile *p)
{
	uint64_t ns = p->faults_ns;

	if (p->run.mode == RUN_FAULTS)
		return profile_window_s(p, p->last_ns);
	if (p->faults_only && p->last_ns > p->faults_since_ns)
		ns += p->last_ns - p->faults_since_ns;
	return (double)ns / 1e9;
}

/* The next window of the same kind is no step. */
int feed_step(struct profile *p, const struct record_step *r)
{
	bool follows = r->mode != STEP_FAULTS && r->mode != STEP_DETACHED;

	if (is_news(p, r)) {
		if (ARRAY_GROW(&p->step, &p->cap_steps, p->nr_steps + 1))
			return -ENOMEM;
		p->step[p->nr_steps++] = *r;
	}
	follow_faults(p, r);
	if (!follows)
		return feed_unwatched(p, r->head.time_ns);
	if (p->unwatched)
		watch(p, r->head.time_ns);
	return 0;
}
