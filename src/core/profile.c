// SPDX-License-Identifier: GPL-2.0-or-later
#include "profile_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

#define MARK_GRACE_NS (3ull * 1000000000) /* by then every event of an earlier time has been read */

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
	for (i = 0; i < p->nr_targets; i++)
		free(p->target[i]);
	free(p->target);
	sites_release(&p->sites);
	free(p->fault);
	map64_release(&p->fault_index);
	free(p->probe);
	strings_release(&p->strings);
	free(p);
}

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
	size_t i;

	for (i = 0; i < p->nr_targets; i++) {
		if (p->target[i]->slot == SEEP_PROC_SLOT(proc))
			return p->target[i];
	}
	return NULL;
}

static struct image *image_get(struct profile *p, uint32_t proc)
{
	struct image *image = profile_image(p, proc);

	if (image)
		return image;
	if (ARRAY_GROW(&p->image, &p->cap_images, p->nr_images + 1))
		return NULL;
	image = image_new(proc);
	if (!image)
		return NULL;
	if (map64_put(&p->images, proc, (uintptr_t)image)) {
		image_free(image);
		return NULL;
	}
	p->image[p->nr_images++] = image;
	return image;
}

static struct target *target_get(struct profile *p, uint32_t proc)
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
	target->comm = target->exe = "";
	p->target[p->nr_targets++] = target;
	return target;
}

/* Takes the next of the strings packed at the end of a record; false when it is not terminated. */
static bool next_string(struct profile *p, const char **at, const char *end, const char **out)
{
	size_t nr = strnlen(*at, (size_t)(end - *at));

	if (*at + nr >= end)
		return false;
	*out = strings_keep(&p->strings, *at, nr);
	*at += nr + 1;
	return true;
}

/* What has come after it, kept in the profile's order, until the image is told of by name. */
static int feed_target(struct profile *p, const struct record_target *r, size_t nr)
{
	const char *at = r->strings, *end = (const char *)r + nr, *comm, *exe;
	struct target *target;
	struct image *image;

	if (!next_string(p, &at, end, &comm) || !next_string(p, &at, end, &exe))
		return -EBADMSG;
	target = target_get(p, r->head.proc);
	image = image_get(p, r->head.proc);
	if (!target || !image || !comm || !exe)
		return -ENOMEM;
	target->tgid = image->tgid = r->tgid;
	target->comm = image->comm = comm;
	target->exe = image->exe = exe;
	return 0;
}

static void release_sites(struct profile *p, uint32_t proc)
{
	size_t i;

	for (i = 0; i < p->sites.nr; i++) {
		if (p->sites.item[i]->proc == proc)
			site_release(p->sites.item[i]);
	}
}

static void end_image(struct profile *p, struct image *image)
{
	if (image->ended)
		return;
	image_end(image);
	release_sites(p, image->proc);
}

static int feed_proc(struct profile *p, const struct event_proc *e)
{
	struct image *image;
	struct target *target;
	size_t i;

	if (e->head.kind == EVENT_FORK)
		return 0;
	target = target_get(p, e->head.proc);
	image = image_get(p, e->head.proc);
	if (!image || !target)
		return -ENOMEM;
	if (e->head.kind == EVENT_EXIT) {
		end_image(p, image);
		target->exited = true;
		return 0;
	}
	image->comm = target->comm =
		strings_keep(&p->strings, e->comm, strnlen(e->comm, sizeof(e->comm)));
	if (!image->comm) {
		image->comm = target->comm = "";
		return -ENOMEM;
	}
	image->tgid = target->tgid = e->tgid;
	for (i = 0; i < p->nr_images; i++) {
		if (SEEP_PROC_SLOT(p->image[i]->proc) == SEEP_PROC_SLOT(e->head.proc) &&
		    p->image[i]->proc < e->head.proc)
			end_image(p, p->image[i]);
	}
	return 0;
}

static int feed_alloc(struct profile *p, const struct event_alloc *e)
{
	struct heap_block block = {.addr = e->addr,
				   .birth_ns = e->head.time_ns,
				   .size_bytes = e->size_bytes,
				   .stack = e->stack};
	struct image *image = image_get(p, e->head.proc);
	struct site *site = sites_get(&p->sites, e->head.proc, e->stack);
	int outcome;

	if (!image || !site)
		return -ENOMEM;
	p->nr_events++;
	outcome = image_alloc(image, &block);
	if (outcome < 0)
		return outcome;
	if (outcome == HEAP_DUPLICATE)
		return 0;
	site_add_alloc(site, e->size_bytes);
	if (image->ended) {
		site->released_objects++;
		site->released_bytes += (int64_t)e->size_bytes;
	}
	return 0;
}

static int feed_free(struct profile *p, const struct event_free *e)
{
	struct heap_block block = {.addr = e->addr,
				   .birth_ns = e->birth_ns,
				   .size_bytes = e->size_bytes,
				   .stack = e->stack};
	uint64_t age_ns = e->head.time_ns > e->birth_ns ? e->head.time_ns - e->birth_ns : 0;
	struct image *image = image_get(p, e->head.proc);
	struct site *site = sites_get(&p->sites, e->head.proc, e->stack);
	int outcome;

	if (!image || !site)
		return -ENOMEM;
	p->nr_events++;
	outcome = image_free_block(image, &block, e->head.flags);
	if (outcome < 0)
		return outcome;
	if (outcome == HEAP_DUPLICATE)
		return 0;
	site_add_free(site, e->size_bytes, age_ns);
	if (image->ended) {
		site->released_objects--;
		site->released_bytes -= (int64_t)e->size_bytes;
	}
	return 0;
}

static int feed_vm(struct profile *p, const struct event_vm *e)
{
	struct image *image = image_get(p, e->head.proc);
	struct vm_range range = {.start = e->addr,
				 .end = e->addr + e->length,
				 .birth_ns = e->head.time_ns,
				 .stack = e->stack,
				 .kind = VM_MMAP};
	int err = 0;

	if (!image)
		return -ENOMEM;
	p->nr_events++;
	if (image->ended)
		return 0;
	if (e->head.kind == EVENT_MMAP)
		err = vm_map(image->vm, &range);
	else if (e->head.kind == EVENT_MUNMAP)
		err = vm_unmap(image->vm, e->addr, e->addr + e->length);
	else if (e->head.kind == EVENT_MREMAP)
		err = vm_remap(image->vm, e->old_addr, e->old_length, e->addr, e->length,
			       !!(e->map_flags & 4 /* MREMAP_DONTUNMAP */));
	else if (e->old_addr)
		err = vm_brk(image->vm, e->old_addr, e->addr, e->stack, e->head.time_ns);
	if (err == -E2BIG)
		p->vm_lost++;
	return err == -ENOMEM ? err : 0;
}

static int feed_fault(struct profile *p, const struct event_fault *e)
{
	struct image *image = image_get(p, e->head.proc);
	struct fault_site *site;
	const char *kind;
	uint64_t key, index;

	if (!image)
		return -ENOMEM;
	p->nr_events++;
	kind = image_kind_of(image, e->addr);
	key = hash_u64((uint64_t)e->head.proc << 32 | e->stack) ^ hash_bytes(kind, strlen(kind), 1);
	for (; map64_get(&p->fault_index, key, &index); key++) {
		site = &p->fault[index];
		if (site->proc == e->head.proc && site->stack == e->stack &&
		    !strcmp(site->kind, kind))
			break;
	}
	if (!map64_get(&p->fault_index, key, &index)) {
		if (ARRAY_GROW(&p->fault, &p->cap_faults, p->nr_faults + 1) ||
		    map64_put(&p->fault_index, key, p->nr_faults))
			return -ENOMEM;
		index = p->nr_faults++;
		p->fault[index] =
			(struct fault_site){.proc = e->head.proc, .stack = e->stack, .kind = kind};
	}
	site = &p->fault[index];
	if (e->head.flags & FAULT_MAJOR)
		site->major += p->run.fault_period;
	else
		site->minor += p->run.fault_period;
	return 0;
}

static int feed_mapping(struct profile *p, const struct record_mapping *r, size_t nr)
{
	const char *at = r->strings, *path;
	struct image *image = image_get(p, r->head.proc);

	if (!next_string(p, &at, (const char *)r + nr, &path))
		return -EBADMSG;
	if (!image || !path)
		return -ENOMEM;
	if (r->head.flags & MAPPING_FIRST)
		image->nr_mappings = 0;
	if (r->end <= r->start ||
	    (image->nr_mappings && image->mapping[image->nr_mappings - 1].end > r->start))
		return -EBADMSG;
	if (ARRAY_GROW(&image->mapping, &image->cap_mappings, image->nr_mappings + 1))
		return -ENOMEM;
	image->mapping[image->nr_mappings++] = (struct image_mapping){
		.start = r->start, .end = r->end, .path = path, .flags = r->head.flags};
	return 0;
}

static int feed_stack(struct profile *p, const struct record_stack *r, size_t nr)
{
	struct stack *stack;
	size_t bytes;

	if (r->nr > SEEP_MAX_FRAMES || nr != sizeof(*r) + 8 * (size_t)r->nr)
		return -EBADMSG;
	if (map64_get(&p->stacks, r->stack, NULL))
		return 0;
	bytes = sizeof(*stack) + 8 * (size_t)r->nr;
	stack = malloc(bytes);
	if (!stack)
		return -ENOMEM;
	stack->proc = r->head.proc;
	stack->flags = r->head.flags;
	stack->nr = (uint16_t)r->nr;
	memcpy(stack->frame, r->frame, 8 * (size_t)r->nr);
	if (map64_put(&p->stacks, r->stack, (uintptr_t)stack)) {
		free(stack);
		return -ENOMEM;
	}
	p->bytes += bytes;
	return 0;
}

static int name_fill(struct profile *p, const struct record_symbol *r, const char *end,
		     struct name *name)
{
	const char *at = (const char *)&r->frame[r->nr];
	struct name_frame *f;
	uint32_t i;

	for (i = 0; i < r->nr; i++) {
		f = &name->frame[i];
		f->line = r->frame[i].line;
		f->offset = r->frame[i].offset;
		f->inlined = r->frame[i].flags & SYMBOL_INLINED;
		if (!next_string(p, &at, end, &f->function) ||
		    !next_string(p, &at, end, &f->module) || !next_string(p, &at, end, &f->file))
			return -EBADMSG;
		if (!f->function || !f->module || !f->file)
			return -ENOMEM;
	}
	name->nr = r->nr;
	return 0;
}

static int feed_symbol(struct profile *p, const struct record_symbol *r, size_t nr)
{
	struct image *image = image_get(p, r->head.proc);
	struct name *name;
	int err;

	if (r->nr > 64 || nr < sizeof(*r) + r->nr * sizeof(r->frame[0]))
		return -EBADMSG;
	name = calloc(1, sizeof(*name) + r->nr * sizeof(name->frame[0]));
	if (!image || !name) {
		free(name);
		return -ENOMEM;
	}
	err = name_fill(p, r, (const char *)r + nr, name);
	if (!err)
		err = image_set_name(image, r->address, name);
	if (err)
		free(name);
	else
		p->bytes += sizeof(*name) + r->nr * sizeof(name->frame[0]);
	return err;
}

static double window_s(const struct profile *p, uint64_t time_ns)
{
	return time_ns > p->run.head.time_ns ? (double)(time_ns - p->run.head.time_ns) / 1e9 : 0;
}

struct mark_context {
	struct profile *p;
	struct image *image;
};

static void mark_lost(const struct heap_block *block, void *arg)
{
	struct mark_context *c = arg;
	struct site *site = sites_get(&c->p->sites, c->image->proc, block->stack);

	c->image->marks--;
	c->image->allocs++;
	c->image->alloc_bytes += block->size_bytes;
	if (site)
		site_add_alloc(site, block->size_bytes);
}

/* Frees whose allocation has not come by now never see it: its event was lost. */
static void expire_marks(struct profile *p, uint64_t before_ns)
{
	struct mark_context c = {.p = p};
	size_t i;

	for (i = 0; i < p->nr_images; i++) {
		c.image = p->image[i];
		if (heap_nr_marks(c.image->heap))
			heap_expire(c.image->heap, before_ns, mark_lost, &c);
	}
}

static int feed_tick(struct profile *p, const struct event_head *head)
{
	double time_s = window_s(p, head->time_ns);
	struct target *t;
	size_t i;

	if (head->time_ns < p->last_ns)
		return -EBADMSG;
	p->last_ns = head->time_ns;
	if (head->kind == RECORD_END) {
		p->ended = true;
		p->end_flags = head->flags;
		expire_marks(p, UINT64_MAX);
	} else if (head->time_ns > MARK_GRACE_NS) {
		expire_marks(p, head->time_ns - MARK_GRACE_NS);
	}
	for (i = 0; i < p->nr_targets; i++) {
		t = p->target[i];
		series_add(&t->unknown_frees, time_s, (double)t->counter[STAT_FREES_UNKNOWN]);
	}
	return sites_tick(&p->sites, time_s);
}

static int feed_counters(struct profile *p, const struct record_counters *r)
{
	struct target *target = target_get(p, r->head.proc);

	if (!target)
		return -ENOMEM;
	memcpy(target->counter, r->value, sizeof(target->counter));
	return 0;
}

static int feed_cpu_time(struct profile *p, const struct record_cpu_time *r)
{
	struct target *target = target_get(p, r->head.proc);

	if (!target)
		return -ENOMEM;
	if (!target->cpu_first_ns)
		target->cpu_first_ns = r->cpu_ns;
	target->cpu_last_ns = r->cpu_ns;
	return 0;
}

static int feed_probe(struct profile *p, const struct record_probe *r, size_t nr)
{
	const char *at = r->strings, *end = (const char *)r + nr;
	struct probe probe = {.offset = r->offset, .cost_ns = r->cost_ns, .flags = r->flags};

	if (!next_string(p, &at, end, &probe.object) ||
	    !next_string(p, &at, end, &probe.function) ||
	    !next_string(p, &at, end, &probe.instruction) || !next_string(p, &at, end, &probe.link))
		return -EBADMSG;
	if (!probe.object || !probe.function || !probe.instruction || !probe.link ||
	    ARRAY_GROW(&p->probe, &p->cap_probes, p->nr_probes + 1))
		return -ENOMEM;
	p->probe[p->nr_probes++] = probe;
	return 0;
}

static int feed_run(struct profile *p, const struct record_run *r)
{
	if (p->started || !r->fault_period || !r->sample_bytes ||
	    (r->mode != RUN_LEAKS && r->mode != RUN_FAULTS))
		return -EBADMSG;
	p->started = true;
	p->run = *r;
	p->last_ns = r->head.time_ns;
	return 0;
}

/* Exact sizes of records without a variable part, least sizes of the others; 0: no such kind. */
static size_t record_bytes(uint16_t kind, bool *exact)
{
	*exact = true;
	switch (kind) {
	case EVENT_ALLOC:
		return sizeof(struct event_alloc);
	case EVENT_FREE:
		return sizeof(struct event_free);
	case EVENT_MMAP:
	case EVENT_MUNMAP:
	case EVENT_MREMAP:
	case EVENT_BRK:
		return sizeof(struct event_vm);
	case EVENT_FAULT:
		return sizeof(struct event_fault);
	case EVENT_EXEC:
	case EVENT_EXIT:
	case EVENT_FORK:
		return sizeof(struct event_proc);
	case RECORD_RUN:
		return sizeof(struct record_run);
	case RECORD_TICK:
	case RECORD_RESYNC:
		return sizeof(struct event_head);
	case RECORD_COUNTERS:
		return sizeof(struct record_counters);
	case RECORD_CPU_TIME:
		return sizeof(struct record_cpu_time);
	case RECORD_END:
		return sizeof(struct record_end);
	}
	*exact = false;
	switch (kind) {
	case RECORD_TARGET:
		return sizeof(struct record_target);
	case RECORD_MAPPING:
		return sizeof(struct record_mapping);
	case RECORD_STACK:
		return sizeof(struct record_stack);
	case RECORD_SYMBOL:
		return sizeof(struct record_symbol);
	case RECORD_PROBE:
		return sizeof(struct record_probe);
	}
	return 0;
}

static int feed_known(struct profile *p, const void *record, size_t nr)
{
	const struct event_head *head = record;

	switch (head->kind) {
	case EVENT_ALLOC:
		return feed_alloc(p, record);
	case EVENT_FREE:
		return feed_free(p, record);
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
		return feed_stack(p, record, nr);
	case RECORD_SYMBOL:
		return feed_symbol(p, record, nr);
	case RECORD_TICK:
	case RECORD_END:
		return feed_tick(p, head);
	case RECORD_RESYNC:
		p->resyncs++;
		return 0;
	case RECORD_COUNTERS:
		return feed_counters(p, record);
	case RECORD_PROBE:
		return feed_probe(p, record, nr);
	case RECORD_CPU_TIME:
		return feed_cpu_time(p, record);
	}
	return -EBADMSG;
}

int profile_feed(struct profile *p, const void *record, size_t nr)
{
	const struct event_head *head = record;
	size_t least;
	bool exact;

	if (nr < sizeof(*head) || nr > RECORD_MAX_BYTES)
		return -EBADMSG;
	least = record_bytes(head->kind, &exact);
	if (!least || nr < least || (exact && nr != least) || p->ended ||
	    p->started == (head->kind == RECORD_RUN))
		return -EBADMSG;
	return feed_known(p, record, nr);
}

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

uint64_t stack_lookup_address(const struct stack *stack, uint32_t i)
{
	if (i == 0 && stack->flags & STACK_PRECISE_PC)
		return stack->frame[0];
	return stack->frame[i] - 1;
}

void profile_unnamed(struct profile *p, void (*want)(uint32_t proc, uint64_t address, void *arg),
		     void *arg)
{
	const struct stack *stack;
	uint64_t key, value, address;
	struct image *image;
	size_t pos = 0;
	uint32_t i;

	while (map64_next(&p->stacks, &pos, &key, &value)) {
		stack = (const struct stack *)(uintptr_t)value;
		image = profile_image(p, stack->proc);
		if (!image)
			continue;
		for (i = 0; i < stack->nr; i++) {
			address = stack_lookup_address(stack, i);
			if (!map64_get(&image->names, address, NULL))
				want(stack->proc, address, arg);
		}
	}
}

uint64_t profile_live_bytes(const struct profile *p)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < p->nr_images; i++)
		sum += heap_live_bytes(p->image[i]->heap);
	return sum;
}

uint64_t profile_nr_live(const struct profile *p)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < p->nr_images; i++)
		sum += heap_nr_live(p->image[i]->heap);
	return sum;
}

uint64_t profile_nr_events(const struct profile *p)
{
	return p->nr_events;
}

uint64_t profile_memory_bytes(const struct profile *p)
{
	uint64_t sum = p->bytes + p->strings.bytes;
	size_t i;

	for (i = 0; i < p->nr_images; i++)
		sum += heap_memory_bytes(p->image[i]->heap);
	for (i = 0; i < p->sites.nr; i++)
		sum += sizeof(struct site) + (p->sites.item[i]->series ? sizeof(struct series) : 0);
	return sum;
}
