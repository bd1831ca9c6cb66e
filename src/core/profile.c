// SPDX-License-Identifier: GPL-2.0-or-later
#include "profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "decode.h"
#include "profile_impl.h"

struct profile *profile_new(void)
{
	return calloc(1, sizeof(struct profile));
}

void profile_free(struct profile *p)
{
	uint64_t key, value;
	size_t i, pos = 0;

	if (!p)
		return;
	while (map64_next(&p->stacks, &pos, &key, &value))
		free((struct stack *)(uintptr_t)value);
	map64_release(&p->stacks);
	for (i = 0; i < p->nr_images; i++)
		image_free(p->image[i]);
	free(p->image);
	map64_release(&p->images);
	for (i = 0; i < p->nr_targets; i++) {
		free(p->target[i]->windows);
		free(p->target[i]);
	}
	free(p->target);
	map64_release(&p->targets);
	sites_release(&p->sites);
	weights_release(&p->weights);
	free(p->step);
	usages_release(&p->faults);
	usages_release(&p->mappings);
	free(p->vm);
	free(p->probe);
	strings_release(&p->strings);
	free(p);
}

/* --- what there is --- */

struct image *profile_image(const struct profile *p, uint32_t proc)
{
	uint64_t value;

	return map64_get(&p->images, proc, &value) ? (struct image *)(uintptr_t)value : NULL;
}

const struct stack *profile_stack(const struct profile *p, uint32_t stack)
{
	uint64_t value;

	return map64_get(&p->stacks, stack, &value) ? (struct stack *)(uintptr_t)value : NULL;
}

struct target *profile_target(const struct profile *p, uint32_t proc)
{
	const struct image *image = profile_image(p, proc);
	uint64_t value;

	if (image)
		return image->target;
	if (!map64_get(&p->targets, SEEP_PROC_SLOT(proc), &value))
		return NULL;
	return (struct target *)(uintptr_t)value;
}

struct target *profile_add_target(struct profile *p, uint32_t proc)
{
	struct target *target = profile_target(p, proc);

	if (target)
		return target;
	if (ARRAY_GROW(&p->target, &p->cap_targets, p->nr_targets + 1))
		return NULL;
	target = calloc(1, sizeof(*target));
	if (!target)
		return NULL;
	target->slot = SEEP_PROC_SLOT(proc);
	target->comm = target->exe = target->cgroup = "";
	if (map64_put(&p->targets, target->slot, (uintptr_t)target)) {
		free(target);
		return NULL;
	}
	p->target[p->nr_targets++] = target;
	return target;
}

void profile_leave_slot(struct profile *p, uint32_t proc)
{
	(void)map64_remove(&p->targets, SEEP_PROC_SLOT(proc));
}

uint64_t stack_lookup_address(const struct stack *stack, uint32_t i)
{
	if (i == 0 && stack->flags & STACK_PRECISE_PC)
		return stack->frame[0];
	if (stack->frame[i] & SEEP_FRAME_EXACT)
		return stack->frame[i] & ~SEEP_FRAME_EXACT;
	return stack->frame[i] - 1;
}

/* --- records in --- */

static int feed_run(struct profile *p, const struct record_run *r)
{
	p->started = true;
	p->run = *r;
	p->last_ns = p->watch_ns = r->head.time_ns;
	return 0;
}

double profile_window_s(const struct profile *p, uint64_t time_ns)
{
	uint64_t start_ns = p->run.head.time_ns;

	return time_ns > start_ns ? (double)(time_ns - start_ns) / 1e9 : 0;
}

double target_net_blocks(const struct target *target)
{
	const uint64_t *counter = target->counter;

	return (double)counter[STAT_CALLS] - (double)counter[STAT_FAILED_ALLOCS] -
	       (double)counter[STAT_FREES] - (double)counter[STAT_FREES_UNKNOWN];
}

static int feed_tick(struct profile *p, const struct event_head *head)
{
	bool is_end = head->kind == RECORD_END;
	uint64_t grace = head->time_ns < PROFILE_GRACE_NS ? head->time_ns : PROFILE_GRACE_NS;
	uint64_t before_ns = is_end ? UINT64_MAX : head->time_ns - grace;
	/* The rings have been emptied since the tick before. */
	uint64_t read_ns = is_end ? UINT64_MAX : p->last_ns;
	double time_s = profile_window_s(p, head->time_ns);
	struct target *t;
	size_t i;
	int err, tick_err;

	if (head->time_ns < p->last_ns)
		return -EBADMSG;
	p->last_ns = head->time_ns;
	if (is_end) {
		p->ended = true;
		p->end_flags = head->flags;
	}
	expire_marks(p, before_ns);
	err = apply_vm(p, read_ns);
	if (p->unwatched)
		return err;
	for (i = 0; i < p->nr_targets; i++) {
		t = p->target[i];
		series_add(&t->unknown_frees, time_s, (double)t->counter[STAT_FREES_UNKNOWN]);
		series_add(&t->net_blocks, time_s, target_net_blocks(t));
	}
	tick_err = sites_tick(&p->sites, time_s);
	return err ? err : tick_err;
}

static int feed_counters(struct profile *p, const struct record_counters *r, size_t nr)
{
	size_t bytes = nr - offsetof(struct record_counters, value);
	struct target *target = profile_add_target(p, r->head.proc);

	if (!target)
		return -ENOMEM;
	if (bytes > sizeof(target->counter))
		bytes = sizeof(target->counter);
	memcpy(target->counter, r->value, bytes);
	return 0;
}

static int feed_cpu_time(struct profile *p, const struct record_cpu_time *r)
{
	struct target *target = profile_add_target(p, r->head.proc);

	if (!target)
		return -ENOMEM;
	if (!target->cpu_known || r->cpu_ns < target->cpu_first_ns)
		target->cpu_first_ns = r->cpu_ns;
	target->cpu_known = true;
	target->cpu_last_ns = r->cpu_ns;
	return 0;
}

static int feed_record(struct profile *p, const void *record, size_t nr)
{
	const struct event_head *head = record;

	switch (head->kind) {
	case EVENT_MMAP:
	case EVENT_MUNMAP:
	case EVENT_MREMAP:
	case EVENT_BRK:
		return feed_vm(p, record);
	case EVENT_FAULT:
		return feed_fault(p, record);
	case EVENT_EXEC:
	case EVENT_EXIT:
	case EVENT_FORK:
		return feed_proc(p, record);
	case RECORD_RUN:
		return feed_run(p, record);
	case RECORD_TARGET:
		return feed_target(p, record, nr);
	case RECORD_MAPPING:
		return feed_mapping(p, record, nr);
	case RECORD_STACK:
		return feed_stack(p, record);
	case RECORD_SYMBOL:
		return feed_symbol(p, record, nr);
	case RECORD_TICK:
	case RECORD_END:
		return feed_tick(p, head);
	case RECORD_RESYNC:
		p->resyncs++;
		return 0;
	case RECORD_SAMPLING:
		return feed_sampling(p, record);
	case RECORD_STEP:
		return feed_step(p, record);
	case RECORD_UNWATCHED:
		return feed_unwatched(p, head->time_ns);
	case RECORD_COUNTERS:
		return feed_counters(p, record, nr);
	case RECORD_PROBE:
		return feed_probe(p, record, nr);
	case RECORD_CPU_TIME:
		return feed_cpu_time(p, record);
	case RECORD_OVERHEAD:
		p->overhead = *(const struct record_overhead *)record;
		return 0;
	}
	return -EBADMSG;
}

int profile_feed(struct profile *p, const void *record, size_t nr)
{
	const struct event_head *head = record;

	/* The two that come by the million. */
	if (nr == sizeof(struct event_free) && head->kind == EVENT_FREE && p->started && !p->ended)
		return feed_free(p, record);
	if (nr == sizeof(struct event_alloc) && head->kind == EVENT_ALLOC && p->started &&
	    !p->ended)
		return feed_alloc(p, record);
	if (record_check(record, nr) || p->ended || p->started == (head->kind == RECORD_RUN))
		return -EBADMSG;
	return feed_record(p, record, nr);
}

/* --- what is known so far --- */

bool profile_is_started(const struct profile *p)
{
	return p->started;
}

struct heap *profile_heap(struct profile *p, uint32_t proc)
{
	struct image *image = profile_image(p, proc);

	return image && !image->ended ? image->heap : NULL;
}

bool profile_knows_stack(const struct profile *p, uint32_t stack)
{
	return stack == SEEP_STACK_UNKNOWN || map64_get(&p->stacks, stack, NULL);
}

static bool stack_unnamed(const struct stack *stack, const struct image *image,
			  void (*want)(uint32_t proc, uint64_t address, void *arg), void *arg)
{
	bool named = true;
	uint64_t address;
	uint32_t i;

	for (i = 0; i < stack->nr; i++) {
		address = stack_lookup_address(stack, i);
		if (image_name(image, address))
			continue;
		named = false;
		want(stack->proc, address, arg);
	}
	return !named;
}

void profile_unnamed(struct profile *p, void (*want)(uint32_t proc, uint64_t address, void *arg),
		     void *arg)
{
	const struct image *image;
	struct stack *stack;
	uint64_t key, value;
	size_t pos = 0;

	while (map64_next(&p->stacks, &pos, &key, &value)) {
		stack = (struct stack *)(uintptr_t)value;
		if (stack->named)
			continue;
		image = profile_image(p, stack->proc);
		if (image)
			stack->named = !stack_unnamed(stack, image, want, arg);
	}
}

uint64_t profile_live_bytes(const struct profile *p)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < p->nr_images; i++)
		sum += p->image[i]->live_bytes;
	return sum;
}

uint64_t profile_nr_live(const struct profile *p)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < p->nr_images; i++)
		sum += (uint64_t)p->image[i]->live;
	return sum;
}

bool profile_looks_after(const struct profile *p, uint32_t proc, uint64_t birth_ns)
{
	const struct image *image = profile_image(p, proc);

	return image && !image->ended && birth_ns >= p->windows.since_ns;
}

uint64_t profile_nr_forgotten(const struct profile *p)
{
	return p->windows.given_up + p->windows.dead;
}

uint64_t profile_nr_events(const struct profile *p)
{
	return p->nr_events;
}

static uint64_t image_memory_bytes(const struct image *image)
{
	uint64_t sum = sizeof(*image) + heap_memory_bytes(image->heap);

	sum += image->held ? heap_memory_bytes(image->held) : 0;
	sum += image->left ? heap_memory_bytes(image->left) : 0;
	return sum + image->cap_mappings * sizeof(*image->mapping) +
	       image->names.cap * sizeof(*image->names.slot);
}

uint64_t profile_memory_bytes(const struct profile *p)
{
	uint64_t sum = p->bytes + p->strings.bytes + p->nr_targets * sizeof(struct target);
	const struct site *site;
	size_t i;

	for (i = 0; i < p->nr_targets; i++)
		sum += p->target[i]->windows ? sizeof(struct target_windows) : 0;
	for (i = 0; i < p->nr_images; i++)
		sum += image_memory_bytes(p->image[i]);
	for (i = 0; i < p->sites.nr; i++) {
		site = p->sites.item[i];
		sum += sizeof(*site) + (site->series ? sizeof(struct series) : 0);
		sum += site->left ? sizeof(struct left) : 0;
	}
	return sum;
}
