// SPDX-License-Identifier: GPL-2.0-or-later
/* Mappings and page faults. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "profile_impl.h"

#define VM_MREMAP_DONTUNMAP 4

/*
 * A map of address space is right only when its events come in their order, and those of several
 * rings do not: they wait until all of their time have been read.
 */
int feed_vm(struct profile *p, const struct event_vm *e)
{
	if (!profile_add_image(p, e->head.proc) || ARRAY_GROW(&p->vm, &p->cap_vm, p->nr_vm + 1))
		return -ENOMEM;
	p->nr_events++;
	p->nr_vm_new += e->head.kind != EVENT_MUNMAP;
	p->vm[p->nr_vm++] = *e;
	return 0;
}

static int vm_compare(const void *a, const void *b)
{
	const struct event_vm *x = a, *y = b;

	if (x->head.time_ns != y->head.time_ns)
		return x->head.time_ns < y->head.time_ns ? -1 : 1;
	return memcmp(x, y, sizeof(*x));
}

static int mapped_add(struct profile *p, const struct event_vm *e, const char *kind, uint64_t bytes)
{
	struct usage *usage = usages_get(&p->mappings, e->head.proc, e->stack, kind);

	if (!usage)
		return -ENOMEM;
	usage->sum[0] += bytes;
	return 0;
}

static int apply_map(struct profile *p, struct vm *vm, const struct event_vm *e)
{
	struct vm_range range = {.start = e->addr,
				 .end = e->addr + e->length,
				 .birth_ns = e->head.time_ns,
				 .stack = e->stack,
				 .kind = VM_MMAP};
	int err = vm_map(vm, &range);

	return err ? err : mapped_add(p, e, "mmap", e->length);
}

static int apply_remap(struct profile *p, struct vm *vm, const struct event_vm *e)
{
	int err = vm_remap(vm, e->old_addr, e->old_length, e->addr, e->length,
			   !!(e->map_flags & VM_MREMAP_DONTUNMAP));

	if (err || e->length <= e->old_length)
		return err;
	return mapped_add(p, e, "mmap", e->length - e->old_length);
}

static int apply_brk(struct profile *p, struct vm *vm, const struct event_vm *e)
{
	int err;

	if (!e->old_addr)
		return 0;
	err = vm_brk(vm, e->old_addr, e->addr, e->stack, e->head.time_ns);
	if (err || e->addr <= e->old_addr)
		return err;
	return mapped_add(p, e, "brk", e->addr - e->old_addr);
}

static int apply_event(struct profile *p, const struct event_vm *e)
{
	struct image *image = profile_image(p, e->head.proc);

	if (!image || image->ended)
		return 0;
	switch (e->head.kind) {
	case EVENT_MMAP:
		return apply_map(p, image->vm, e);
	case EVENT_MUNMAP:
		return vm_unmap(image->vm, e->addr, e->addr + e->length);
	case EVENT_MREMAP:
		return apply_remap(p, image->vm, e);
	default:
		return apply_brk(p, image->vm, e);
	}
}

int apply_vm(struct profile *p, uint64_t before_ns)
{
	int err, result = 0;
	size_t i;

	if (!p->nr_vm)
		return 0;
	qsort(p->vm, p->nr_vm, sizeof(*p->vm), vm_compare);
	for (i = 0; i < p->nr_vm && p->vm[i].head.time_ns < before_ns; i++) {
		p->nr_vm_new -= p->vm[i].head.kind != EVENT_MUNMAP;
		err = apply_event(p, &p->vm[i]);
		/* The kernel did it, so that an address range that cannot be is not its, but a forgery's. */
		if (err && err != -EINVAL)
			p->vm_lost++;
		if (err == -ENOMEM)
			result = err;
	}
	p->nr_vm -= i;
	memmove(p->vm, p->vm + i, p->nr_vm * sizeof(*p->vm));
	return result;
}

bool profile_has_mappings(const struct profile *p, uint32_t proc)
{
	const struct image *image = profile_image(p, proc);

	return p->nr_vm_new || (image && !image->ended && vm_nr(image->vm));
}

int feed_fault(struct profile *p, const struct event_fault *e)
{
	struct image *image = profile_add_image(p, e->head.proc);
	struct usage *usage;

	if (!image)
		return -ENOMEM;
	usage = usages_get(&p->faults, e->head.proc, e->stack, image_kind_of(image, e->addr));
	if (!usage)
		return -ENOMEM;
	p->nr_events++;
	usage->sum[!!(e->head.flags & FAULT_MAJOR)] += p->run.fault_period;
	return 0;
}
