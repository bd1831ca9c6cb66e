// SPDX-License-Identifier: GPL-2.0-or-later
#include "image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

/* What the kernel keeps free below the stack at least; nothing else is mapped there. */
#define GROWTH_BYTES (1ull << 27)

struct image *image_new(uint32_t proc)
{
	struct image *image = calloc(1, sizeof(*image));

	if (!image)
		return NULL;
	image->proc = proc;
	image->comm = image->exe = "";
	image->heap = heap_new();
	image->vm = vm_new();
	if (!image->heap || !image->vm) {
		image_free(image);
		return NULL;
	}
	return image;
}

void image_free(struct image *image)
{
	uint64_t key, value;
	size_t pos = 0;

	if (!image)
		return;
	while (map64_next(&image->names, &pos, &key, &value))
		free((struct name *)(uintptr_t)value);
	map64_release(&image->names);
	heap_free(image->heap);
	heap_free(image->held);
	vm_free(image->vm);
	free(image->mapping);
	free(image);
}

void image_end(struct image *image)
{
	if (image->ended)
		return;
	image->ended = true;
	image->released += (int64_t)heap_nr_live(image->heap) - image->marks;
	image->marks = 0;
	heap_clear(image->heap);
	vm_clear(image->vm);
}

int image_exit(struct image *image, uint64_t time_ns)
{
	struct heap *empty = heap_new();

	if (empty && !image->ended) {
		image->released += (int64_t)heap_nr_live(image->heap) - image->marks;
		image->marks = 0;
		image->held = image->heap;
		image->heap = empty;
		image->end_ns = time_ns;
		empty = NULL;
	} else if (!empty) {
		image_end(image);
		return -ENOMEM;
	}
	heap_free(empty);
	image->ended = true;
	vm_clear(image->vm);
	return 0;
}

static int alloc_after_end(struct image *image, const struct heap_block *block, uint16_t flags)
{
	if (flags & ALLOC_RESTORED)
		return HEAP_DUPLICATE;
	image->allocs++;
	image->alloc_bytes += block->size_bytes;
	image->released++;
	if (image->held && heap_add(image->held, block) < 0)
		return -ENOMEM;
	return HEAP_DONE;
}

int image_alloc(struct image *image, const struct heap_block *block, uint16_t flags)
{
	int outcome;

	if (image->ended)
		return alloc_after_end(image, block, flags);
	if (flags & ALLOC_RESTORED)
		outcome = heap_restore(image->heap, block);
	else if (flags & ALLOC_RECOVERED)
		outcome = heap_add_recovered(image->heap, block);
	else
		outcome = heap_add(image->heap, block);
	if (outcome < 0 || outcome == HEAP_DUPLICATE)
		return outcome;
	if (outcome == HEAP_REVIVED) {
		image->frees--;
		image->frees_by_resync--;
		return outcome;
	}
	image->allocs++;
	image->alloc_bytes += block->size_bytes;
	if (outcome == HEAP_CANCELLED)
		image->marks--;
	return outcome;
}

static int free_after_end(struct image *image, const struct heap_block *block, uint16_t flags,
			  uint64_t time_ns)
{
	image->frees++;
	image->released--;
	image->taken_back += !!(flags & FREE_LOST);
	image->missed_frees += !!(flags & FREE_REPLACED);
	if (image->held && heap_remove(image->held, block, time_ns) < 0)
		return -ENOMEM;
	return HEAP_DONE;
}

int image_free_block(struct image *image, const struct heap_block *block, uint16_t flags,
		     uint64_t time_ns)
{
	int outcome;

	if (image->ended)
		return free_after_end(image, block, flags, time_ns);
	if (flags & FREE_RESYNC)
		outcome = heap_remove_by_resync(image->heap, block->addr, block->birth_ns, time_ns);
	else
		outcome = heap_remove(image->heap, block, time_ns);
	if (outcome < 0 || outcome == HEAP_DUPLICATE)
		return outcome;
	image->frees++;
	image->marks += outcome == HEAP_MARKED;
	/* It left the block map without having been freed: lost, by the kernel's counter. */
	image->taken_back += !!(flags & FREE_LOST);
	image->frees_by_resync += !!(flags & FREE_RESYNC);
	image->missed_frees += !!(flags & FREE_REPLACED);
	return outcome;
}

const struct name *image_name(const struct image *image, uint64_t address)
{
	uint64_t value;

	if (!map64_get(&image->names, address, &value))
		return NULL;
	return (const struct name *)(uintptr_t)value;
}

void name_hash(struct name *name)
{
	const struct name_frame *f = name->frame;
	uint64_t hash = name->nr;

	name->hash = 0;
	for (; f < name->frame + name->nr; f++) {
		if (!f->function[0])
			return;
		hash = hash_bytes(f->function, strlen(f->function), hash);
		hash = hash_bytes(f->module, strlen(f->module), hash);
		hash = hash_bytes(f->file, strlen(f->file), hash);
		hash = hash_pair(hash, (uint64_t)f->line << 1 | f->inlined);
	}
	name->hash = hash;
}

bool name_equal(const struct name *a, const struct name *b)
{
	const struct name_frame *x, *y;
	uint32_t i;

	if (!a || !b || !a->hash || a->hash != b->hash || a->nr != b->nr)
		return false;
	for (i = 0; i < a->nr; i++) {
		x = &a->frame[i];
		y = &b->frame[i];
		/* the profile keeps each text once */
		if (x->function != y->function || x->module != y->module || x->file != y->file ||
		    x->line != y->line || x->inlined != y->inlined)
			return false;
	}
	return true;
}

size_t name_bytes(uint32_t nr)
{
	return sizeof(struct name) + nr * sizeof(struct name_frame);
}

int image_set_name(struct image *image, uint64_t address, struct name *name)
{
	uint64_t old = 0;
	int err;

	(void)map64_get(&image->names, address, &old);
	err = map64_put(&image->names, address, (uintptr_t)name);
	if (!err)
		free((struct name *)(uintptr_t)old);
	return err;
}

static bool is_heap(const struct image_mapping *m)
{
	return !strcmp(m->path, "[heap]");
}

static bool is_stack(const struct image_mapping *m)
{
	return !strncmp(m->path, "[stack", 6);
}

/* Also in the gap into which the stack (down) or the heap (up) has grown since the mappings were read. */
static const struct image_mapping *mapping_find(const struct image *image, uint64_t address)
{
	size_t low = 0, high = image->nr_mappings, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (image->mapping[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < image->nr_mappings && address >= image->mapping[low].start)
		return &image->mapping[low];
	if (low < image->nr_mappings && is_stack(&image->mapping[low]) &&
	    image->mapping[low].start - address < GROWTH_BYTES)
		return &image->mapping[low];
	if (low && is_heap(&image->mapping[low - 1]) &&
	    address - image->mapping[low - 1].end < GROWTH_BYTES)
		return &image->mapping[low - 1];
	return NULL;
}

const char *image_kind_of(const struct image *image, uint64_t address)
{
	const struct image_mapping *m = mapping_find(image, address);

	if (!m)
		return "unknown";
	if (is_heap(m))
		return "heap";
	if (is_stack(m))
		return "stack";
	if (!strncmp(m->path, "/dev/shm/", 9) || !strncmp(m->path, "/dev/zero", 9) ||
	    !strncmp(m->path, "/memfd:", 7) || !strncmp(m->path, "/SYSV", 5))
		return "shmem";
	if (!strncmp(m->path, "[anon_shmem", 11))
		return "shmem";
	if (m->flags & MAPPING_FILE)
		return "file";
	if (!m->path[0] || !strncmp(m->path, "[anon", 5))
		return "anon";
	return "special";
}
