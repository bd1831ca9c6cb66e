// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes and their blocks. */
#include <errno.h>
#include <string.h>

#include "array.h"
#include "profile_impl.h"

static void end_image(struct profile *p, struct image *image)
{
	struct site *site;

	if (image->ended)
		return;
	image_end(image);
	for (site = image->sites; site; site = site->next) {
		site_release(site);
		site_end_left(site, &p->windows, false);
	}
}

static int exit_image(struct profile *p, struct image *image, uint64_t time_ns)
{
	struct site *site;

	image->exited = true;
	if (image->ended)
		return 0;
	for (site = image->sites; site; site = site->next) {
		site_exit(site);
		site_end_left(site, &p->windows, true);
	}
	return image_exit(image, time_ns);
}

static struct image *image_add(struct profile *p, struct target *target, uint32_t proc)
{
	struct image *image = image_new(proc, &p->weights);

	if (!image)
		return NULL;
	if (map64_put(&p->images, proc, (uintptr_t)image)) {
		image_free(image);
		return NULL;
	}
	image->number = p->nr_images;
	p->image[p->nr_images++] = image;
	image->target = target;
	image->window_ns = p->unwatched_ns;
	image->tgid = target->tgid;
	image->comm = target->comm;
	image->exe = target->exe;
	image->cgroup = target->cgroup;
	return image;
}

/* Puts the image into its target's list, the newest first, and ends all but that one. */
static void image_link(struct profile *p, struct target *target, struct image *image)
{
	struct image *newest = target->newest;

	if (newest && newest->proc > image->proc) {
		image->older = newest->older;
		newest->older = image;
		end_image(p, image);
		return;
	}
	image->older = newest;
	target->newest = image;
	if (newest)
		end_image(p, newest);
}

struct image *profile_add_image(struct profile *p, uint32_t proc)
{
	struct target *target;
	struct image *image = p->last_image;

	if (image && image->proc == proc)
		return image;
	image = profile_image(p, proc);
	if (!image) {
		target = profile_add_target(p, proc);
		if (!target || ARRAY_GROW(&p->image, &p->cap_images, p->nr_images + 1))
			return NULL;
		image = image_add(p, target, proc);
		if (!image)
			return NULL;
		image_link(p, target, image);
	}
	p->last_image = image;
	return image;
}

int feed_proc(struct profile *p, const struct event_proc *e)
{
	const char *comm;
	struct target *target;
	struct image *image;

	if (e->head.kind == EVENT_FORK)
		return 0;
	comm = strings_keep(&p->strings, e->comm, strnlen(e->comm, sizeof(e->comm)));
	image = comm ? profile_add_image(p, e->head.proc) : NULL;
	if (!image)
		return -ENOMEM;
	target = profile_target(p, e->head.proc);
	if (e->head.kind == EVENT_EXIT)
		return exit_image(p, image, e->head.time_ns);
	image->comm = comm;
	image->tgid = e->tgid;
	if (target->newest == image) {
		target->comm = comm;
		target->tgid = e->tgid;
	}
	return 0;
}

/* One that is first seen after its process has exited is held as well. */
static struct site *event_site(struct profile *p, struct image *image, uint32_t stack)
{
	struct site *site = sites_get(&p->sites, &image->sites, image->proc, stack);

	if (site && image->held)
		site->held = true;
	return site;
}

static struct heap_block event_block(uint64_t addr, uint64_t birth_ns, uint64_t sized,
				     uint32_t stack)
{
	return (struct heap_block){.addr = addr,
				   .birth_ns = birth_ns,
				   .size_bytes = SEEP_SIZE(sized),
				   .stack = stack,
				   .tag = (uint16_t)SEEP_TAG(sized)};
}

static bool is_known(const struct profile *p, uint16_t tag)
{
	return !tag || weights_know(&p->weights, tag);
}

static void site_count(struct profile *p, struct site *site, const struct heap_block *block,
		       struct weight weight)
{
	site_add_alloc(site, weight);
	if (!block->tag)
		return;
	weights_note(&p->weights, block, weight.bytes);
	site_add_variance(site, weight, weights_variance(&p->weights, block));
}

int feed_alloc(struct profile *p, const struct event_alloc *e)
{
	struct heap_block block = event_block(e->addr, e->head.time_ns, e->sized, e->stack);
	struct weight weight;
	struct image *image;
	struct site *site;
	int outcome;

	if (!is_known(p, block.tag))
		return -EBADMSG;
	image = profile_add_image(p, e->head.proc);
	site = image ? event_site(p, image, e->stack) : NULL;
	if (!site)
		return -ENOMEM;
	outcome = image_alloc(image, &block, e->head.flags, &weight);
	if (outcome < 0)
		return outcome;
	p->nr_events++;
	if (outcome == HEAP_DUPLICATE)
		return 0;
	if (outcome == HEAP_REVIVED) {
		site_undo_free(site, weight);
		return 0;
	}
	site_count(p, site, &block, weight);
	if (image_is_over(image, block.birth_ns)) {
		site_add_released(site, 1, weight);
		if (block.birth_ns < image->window_ns && !image->ended)
			site_leave_late(site, &p->windows, block.birth_ns, weight, 1);
	}
	return 0;
}

/* Of a window that is over, and so no free of any that is counted. */
static void block_seen_gone(struct profile *p, const struct image *image, struct site *site,
			    const struct heap_block *block)
{
	p->nr_events++;
	if (site->left && !image->ended)
		(void)left_gone(&p->windows, site->left, block->birth_ns,
				weights_of(&p->weights, block));
}

int feed_free(struct profile *p, const struct event_free *e)
{
	struct heap_block block = event_block(e->addr, e->birth_ns, e->sized, e->stack);
	uint64_t age_ns = e->head.time_ns > e->birth_ns ? e->head.time_ns - e->birth_ns : 0;
	struct weight weight;
	struct image *image;
	struct site *site;
	int outcome;

	if (!is_known(p, block.tag))
		return -EBADMSG;
	image = profile_add_image(p, e->head.proc);
	site = image ? event_site(p, image, e->stack) : NULL;
	if (!site)
		return -ENOMEM;
	if (e->head.flags & FREE_UNWATCHED) {
		block_seen_gone(p, image, site, &block);
		return 0;
	}
	outcome = image_free_block(image, &block, e->head.flags, e->head.time_ns, &weight);
	if (outcome < 0)
		return outcome;
	p->nr_events++;
	if (outcome == HEAP_DUPLICATE)
		return 0;
	/* What was lost has not been freed. */
	if (e->head.flags & FREE_LOST)
		site_add_released(site, 1, weight);
	else
		site_add_free(site, weight, age_ns);
	if (image_is_over(image, block.birth_ns)) {
		site_add_released(site, -1, weight);
		if (block.birth_ns < image->window_ns && !image->ended)
			site_leave_late(site, &p->windows, block.birth_ns, weight, -1);
	}
	return 0;
}

struct mark_context {
	struct profile *p;
	struct image *image;
};

static void mark_lost(const struct heap_block *block, void *arg)
{
	struct mark_context *c = arg;
	struct site *site = sites_find(&c->p->sites, c->image->proc, block->stack);
	struct weight weight = weights_of(&c->p->weights, block);

	image_mark_lost(c->image, &weight);
	if (site)
		site_count(c->p, site, block, weight);
}

void expire_marks(struct profile *p, uint64_t before_ns)
{
	struct mark_context c = {.p = p};
	size_t i;

	for (i = 0; i < p->nr_images; i++) {
		c.image = p->image[i];
		if (heap_nr_marks(c.image->heap))
			heap_expire(c.image->heap, before_ns, mark_lost, &c);
	}
}
