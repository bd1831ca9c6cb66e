// SPDX-License-Identifier: GPL-2.0-or-later
#include "image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

/* What the kernel keeps free below the stack at least; nothing else is mapped there. */
#define GROWTH_BYTES (1ull << 27)

struct image *image_new(uint32_t proc, const struct weights *weights)
{
	struct image *image = calloc(1, sizeof(*image));

	if (!image)
		return NULL;
	image->weights = weights;
	image->proc = proc;
	image->comm = image->exe = image->cgroup = "";
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
	heap_free(image->left);
	vm_free(image->vm);
	free(image->mapping);
	free(image);
}

/* What is live has gone, and so have the allocations that marks wait for. */
static void release_live(struct image *image)
{
	image->released += image->live - image->marks;
	image->live = image->marks = 0;
	image->live_bytes = 0;
	image->samples.released += (int64_t)heap_nr_live(image->heap) - image->samples.marks;
	image->samples.marks = 0;
}

void image_end(struct image *image)
{
	if (image->ended)
		return;
	image->ended = true;
	release_live(image);
	heap_clear(image->heap);
	vm_clear(image->vm);
}

/* Releases what is live, and keeps it apart. */
static int set_apart(struct image *image, struct heap **apart)
{
	struct heap *empty = heap_new();

	release_live(image);
	if (!empty) {
		heap_clear(image->heap);
		return -ENOMEM;
	}
	heap_free(*apart);
	*apart = image->heap;
	image->heap = empty;
	return 0;
}

int image_exit(struct image *image, uint64_t time_ns)
{
	int err = 0;

	if (!image->ended) {
		image->end_ns = time_ns;
		err = set_apart(image, &image->held);
	}
	image->ended = true;
	vm_clear(image->vm);
	return err;
}

int image_unwatch(struct image *image, uint64_t time_ns)
{
	if (image->ended)
		return 0;
	image->window_ns = time_ns;
	return set_apart(image, &image->left);
}

void image_watch(struct image *image)
{
	heap_free(image->left);
	image->left = NULL;
}

/* Where the block would be kept now that it is over; NULL: nowhere. */
static struct heap *heap_apart(const struct image *image, uint64_t birth_ns)
{
	return birth_ns < image->window_ns ? image->left : image->held;
}

static int alloc_when_over(struct image *image, struct heap_block *block, uint16_t flags,
			   struct weight *weight)
{
	struct heap *apart = heap_apart(image, block->birth_ns);

	if (flags & ALLOC_RESTORED)
		return HEAP_DUPLICATE;
	*weight = weights_of(image->weights, block);
	image->allocs += (int64_t)weight->objects;
	image->alloc_bytes += weight->bytes;
	image->released += (int64_t)weight->objects;
	image->samples.allocs++;
	image->samples.released++;
	if (apart && heap_add(apart, block) < 0)
		return -ENOMEM;
	return HEAP_DONE;
}

/* Its free, by resync, was none. More cannot come back than was freed: what a forgery has more is new. */
static void revive(struct image *image, int64_t objects)
{
	int64_t freed = image->frees - image->taken_back;
	int64_t back = freed < objects ? freed : objects;

	if (back < 0)
		back = 0;
	image->frees -= back;
	image->frees_by_resync -= back;
	image->allocs += objects - back;
}

int image_alloc(struct image *image, struct heap_block *block, uint16_t flags,
		struct weight *weight)
{
	int outcome;

	if (image_is_over(image, block->birth_ns))
		return alloc_when_over(image, block, flags, weight);
	if (flags & ALLOC_RESTORED)
		outcome = heap_restore(image->heap, block);
	else if (flags & ALLOC_RECOVERED)
		outcome = heap_add_recovered(image->heap, block);
	else
		outcome = heap_add(image->heap, block);
	if (outcome < 0 || outcome == HEAP_DUPLICATE)
		return outcome;
	*weight = weights_of(image->weights, block);
	if (outcome != HEAP_CANCELLED) {
		image->live += (int64_t)weight->objects;
		image->live_bytes += weight->bytes;
	}
	if (outcome == HEAP_REVIVED) {
		revive(image, (int64_t)weight->objects);
		return outcome;
	}
	image->allocs += (int64_t)weight->objects;
	image->alloc_bytes += weight->bytes;
	image->samples.allocs++;
	if (outcome == HEAP_CANCELLED) {
		image->marks -= (int64_t)weight->objects;
		image->samples.marks--;
	}
	return outcome;
}

void image_mark_lost(struct image *image, const struct weight *weight)
{
	image->marks -= (int64_t)weight->objects;
	image->allocs += (int64_t)weight->objects;
	image->alloc_bytes += weight->bytes;
	image->samples.marks--;
	image->samples.allocs++;
}

static void count_free(struct image *image, int64_t objects, uint16_t flags)
{
	image->frees += objects;
	/* It left the block map without having been freed: lost, by the kernel's counter. */
	image->taken_back += flags & FREE_LOST ? objects : 0;
	image->missed_frees += flags & FREE_REPLACED ? objects : 0;
}

static int free_when_over(struct image *image, struct heap_block *block, uint16_t flags,
			  uint64_t time_ns, struct weight *weight)
{
	struct heap *apart = heap_apart(image, block->birth_ns);

	/* Ends that nobody watched are not those of this window. */
	if (block->birth_ns < image->window_ns && time_ns >= image->window_ns)
		return HEAP_DUPLICATE;
	*weight = weights_of(image->weights, block);
	count_free(image, (int64_t)weight->objects, flags);
	image->released -= (int64_t)weight->objects;
	image->samples.released--;
	if (apart && heap_remove(apart, block, time_ns) < 0)
		return -ENOMEM;
	return HEAP_DONE;
}

int image_free_block(struct image *image, struct heap_block *block, uint16_t flags,
		     uint64_t time_ns, struct weight *weight)
{
	int outcome;

	if (image_is_over(image, block->birth_ns))
		return free_when_over(image, block, flags, time_ns, weight);
	if (flags & FREE_RESYNC)
		outcome = heap_remove_by_resync(image->heap, block, time_ns);
	else
		outcome = heap_remove(image->heap, block, time_ns);
	if (outcome < 0 || outcome == HEAP_DUPLICATE)
		return outcome;
	*weight = weights_of(image->weights, block);
	count_free(image, (int64_t)weight->objects, flags);
	image->frees_by_resync += flags & FREE_RESYNC ? (int64_t)weight->objects : 0;
	if (outcome == HEAP_MARKED) {
		image->marks += (int64_t)weight->objects;
		image->samples.marks++;
	} else {
		image->live -= (int64_t)weight->objects;
		image->live_bytes -= weight->bytes;
	}
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
