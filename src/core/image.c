// SPDX-License-Identifier: GPL-2.0-or-later
#include "image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

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

int image_alloc(struct image *image, const struct heap_block *block)
{
	int outcome;

	if (image->ended) {
		image->allocs++;
		image->alloc_bytes += block->size_bytes;
		image->released++;
		return HEAP_CANCELLED;
	}
	outcome = heap_add(image->heap, block);
	if (outcome < 0 || outcome == HEAP_DUPLICATE)
		return outcome;
	image->allocs++;
	image->alloc_bytes += block->size_bytes;
	if (outcome == HEAP_CANCELLED)
		image->marks--;
	return outcome;
}

/* A block that left the block map without having been freed: lost, by the kernel's counter. */
static int image_take_back(struct image *image, const struct heap_block *block)
{
	int outcome = heap_remove(image->heap, block);

	if (outcome == HEAP_MARKED)
		image->marks++;
	if (outcome == HEAP_DONE || outcome == HEAP_MARKED) {
		image->frees++;
		image->taken_back++;
	}
	return outcome;
}

int image_free_block(struct image *image, const struct heap_block *block, uint16_t flags)
{
	int outcome;

	if (image->ended) {
		image->frees++;
		image->released--;
		return HEAP_DONE;
	}
	if (flags & FREE_LOST)
		return image_take_back(image, block);
	if (flags & FREE_RESYNC)
		outcome = heap_remove_by_resync(image->heap, block->addr, block->birth_ns);
	else
		outcome = heap_remove(image->heap, block);
	if (outcome < 0 || outcome == HEAP_DUPLICATE)
		return outcome;
	image->frees++;
	if (outcome == HEAP_MARKED)
		image->marks++;
	if (flags & FREE_RESYNC)
		image->frees_by_resync++;
	if (flags & FREE_REPLACED)
		image->missed_frees++;
	return outcome;
}

const struct name *image_name(const struct image *image, uint64_t address)
{
	uint64_t value;

	if (!map64_get(&image->names, address, &value))
		return NULL;
	return (const struct name *)(uintptr_t)value;
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
	if (low == image->nr_mappings || address < image->mapping[low].start)
		return NULL;
	return &image->mapping[low];
}

const char *image_kind_of(const struct image *image, uint64_t address)
{
	const struct image_mapping *m = mapping_find(image, address);

	if (!m)
		return "unknown";
	if (!strcmp(m->path, "[heap]"))
		return "heap";
	if (!strncmp(m->path, "[stack", 6))
		return "stack";
	if (!strncmp(m->path, "/dev/shm/", 9) || !strncmp(m->path, "/dev/zero", 9) ||
	    !strncmp(m->path, "/memfd:", 7) || !strncmp(m->path, "/SYSV", 5))
		return "shmem";
	if (m->flags & MAPPING_FILE)
		return "file";
	if (!m->path[0] || !strncmp(m->path, "[anon", 5))
		return "anon";
	return "special";
}
