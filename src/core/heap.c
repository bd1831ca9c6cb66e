/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "heap.h"

#include <errno.h>
#include <stdlib.h>

#include "heap_table.h"

/* Units of 1 us for when a mark was made, in its size's place: enough for 1,000 years of uptime. */
#define MADE_SHIFT 10
#define SEEN_MAX 63

struct heap {
	struct table live;
	struct table marks; /* apart, so that the few can be walked without the many */
	uint64_t live_bytes;
	unsigned int seen; /* number of the last resync, 1..SEEN_MAX, around; 0: none yet */
};

static struct heap_block entry_block(const struct table *table, uint32_t number)
{
	const struct entry *entry = table_entry(table, number);

	return (struct heap_block){
		.addr = entry->addr,
		.birth_ns = entry->birth_ns,
		.size_bytes = entry->size_bytes,
		.stack = entry->stack,
		.tag = table_tag(table, number),
	};
}

/* What it stands for is what the first of its events said: also in a forgery, what was put on is taken off. */
static void set_weight(struct heap_block *block, const struct table *table, uint32_t number)
{
	block->size_bytes = table_entry(table, number)->size_bytes;
	block->tag = table_tag(table, number);
}

struct heap *heap_new(void)
{
	return calloc(1, sizeof(struct heap));
}

void heap_free(struct heap *heap)
{
	if (!heap)
		return;
	heap_clear(heap);
	free(heap);
}

void heap_clear(struct heap *heap)
{
	table_release(&heap->live);
	table_release(&heap->marks);
	heap->live_bytes = 0;
}

static int heap_insert_live(struct heap *heap, const struct heap_block *block, enum entry_kind kind)
{
	int error = table_insert(&heap->live, block, kind);

	if (error)
		return error;
	heap->live_bytes += block->size_bytes < ENTRY_SIZE_MAX ? block->size_bytes : ENTRY_SIZE_MAX;
	return HEAP_DONE;
}

int heap_add(struct heap *heap, struct heap_block *block)
{
	uint32_t *link = table_find(&heap->live, block->addr, block->birth_ns);

	if (link) {
		table_entry(&heap->live, *link)->kind = ENTRY_LIVE;
		return HEAP_DUPLICATE;
	}
	link = table_find(&heap->marks, block->addr, block->birth_ns);
	if (!link)
		return heap_insert_live(heap, block, ENTRY_LIVE);
	if (table_entry(&heap->marks, *link)->kind != ENTRY_MARK_FREED)
		return HEAP_DUPLICATE;
	set_weight(block, &heap->marks, *link);
	table_remove(&heap->marks, link);
	return HEAP_CANCELLED;
}

int heap_restore(struct heap *heap, const struct heap_block *block)
{
	uint32_t *mark = table_find(&heap->marks, block->addr, block->birth_ns);
	int error;

	if (!mark || table_entry(&heap->marks, *mark)->kind != ENTRY_MARK_GONE)
		return HEAP_DUPLICATE;
	error = heap_insert_live(heap, block, ENTRY_RECOVERED);
	if (error)
		return error;
	table_remove(&heap->marks, mark);
	return HEAP_REVIVED;
}

int heap_add_recovered(struct heap *heap, struct heap_block *block)
{
	if (table_find(&heap->live, block->addr, block->birth_ns))
		return HEAP_DUPLICATE;
	if (table_find(&heap->marks, block->addr, block->birth_ns))
		return heap_restore(heap, block);
	return heap_insert_live(heap, block, ENTRY_RECOVERED);
}

static void heap_end(struct heap *heap, uint32_t *live)
{
	heap->live_bytes -= table_entry(&heap->live, *live)->size_bytes;
	table_remove(&heap->live, live);
}

/* A mark that swallows what comes late of a block that has been counted to its end. */
static int heap_mark_over(struct heap *heap, const struct heap_block *block, enum entry_kind kind,
			  uint64_t time_ns)
{
	struct heap_block mark = *block;

	mark.size_bytes = time_ns >> MADE_SHIFT;
	mark.tag = 0;
	return table_insert(&heap->marks, &mark, kind);
}

int heap_remove(struct heap *heap, struct heap_block *block, uint64_t time_ns)
{
	uint32_t *live = table_find(&heap->live, block->addr, block->birth_ns);
	uint32_t *mark;
	int error = 0;

	if (live) {
		if (table_entry(&heap->live, *live)->kind == ENTRY_RECOVERED)
			error = heap_mark_over(heap, block, ENTRY_MARK_OVER, time_ns);
		if (error)
			return error;
		set_weight(block, &heap->live, *live);
		heap_end(heap, live);
		return HEAP_DONE;
	}
	mark = table_find(&heap->marks, block->addr, block->birth_ns);
	if (mark) {
		if (table_entry(&heap->marks, *mark)->kind == ENTRY_MARK_GONE)
			table_entry(&heap->marks, *mark)->kind = ENTRY_MARK_OVER;
		return HEAP_DUPLICATE;
	}
	error = table_insert(&heap->marks, block, ENTRY_MARK_FREED);
	return error ? error : HEAP_MARKED;
}

int heap_remove_by_resync(struct heap *heap, struct heap_block *block, uint64_t time_ns)
{
	uint32_t *live = table_find(&heap->live, block->addr, block->birth_ns);
	struct heap_block mark;
	int error;

	if (!live)
		return HEAP_DUPLICATE;
	mark = entry_block(&heap->live, *live);
	error = heap_mark_over(heap, &mark, ENTRY_MARK_GONE, time_ns);
	if (error)
		return error;
	set_weight(block, &heap->live, *live);
	heap_end(heap, live);
	return HEAP_DONE;
}

static bool mark_expires(const struct entry *mark, uint64_t before_ns)
{
	if (mark->kind == ENTRY_MARK_FREED)
		return mark->birth_ns < before_ns;
	return mark->kind != ENTRY_FREE && mark->size_bytes < before_ns >> MADE_SHIFT;
}

void heap_expire(struct heap *heap, uint64_t before_ns,
		 void (*lost)(const struct heap_block *block, void *arg), void *arg)
{
	struct table *marks = &heap->marks;

	for (uint32_t number = 1; marks->nr && number <= marks->used; number++) {
		const struct entry *entry = table_entry(marks, number);
		struct heap_block block = entry_block(marks, number);
		bool is_lost = entry->kind == ENTRY_MARK_FREED;

		if (!mark_expires(entry, before_ns))
			continue;
		table_remove(marks, table_find(marks, block.addr, block.birth_ns));
		if (is_lost && lost)
			lost(&block, arg);
	}
	if (!marks->nr)
		table_release(marks);
}

size_t heap_nr_live(const struct heap *heap)
{
	return heap->live.nr;
}

size_t heap_nr_marks(const struct heap *heap)
{
	return heap->marks.nr;
}

uint64_t heap_live_bytes(const struct heap *heap)
{
	return heap->live_bytes;
}

size_t heap_memory_bytes(const struct heap *heap)
{
	return sizeof(*heap) + table_memory_bytes(&heap->live) + table_memory_bytes(&heap->marks);
}

bool heap_has(const struct heap *heap, uint64_t addr, uint64_t birth_ns)
{
	return table_find(&heap->live, addr, birth_ns) != NULL;
}

struct walk {
	int (*visit)(const struct heap_block *block, void *arg);
	void *arg;
	bool unseen; /* only those not seen and born before before_ns */
	uint64_t before_ns;
};

static int live_walk(const struct heap *heap, const struct walk *walk)
{
	const struct table *live = &heap->live;
	int stop = 0;

	for (uint32_t number = 1; live->nr && number <= live->used && !stop; number++) {
		const struct entry *entry = table_entry(live, number);
		struct heap_block block = entry_block(live, number);

		if (entry->kind == ENTRY_FREE)
			continue;
		if (walk->unseen &&
		    (entry->seen == heap->seen || entry->birth_ns >= walk->before_ns))
			continue;
		stop = walk->visit(&block, walk->arg);
	}
	return stop;
}

int heap_walk(const struct heap *heap, int (*visit)(const struct heap_block *block, void *arg),
	      void *arg)
{
	return live_walk(heap, &(struct walk){.visit = visit, .arg = arg});
}

void heap_resync_begin(struct heap *heap)
{
	if (heap->seen == SEEN_MAX) {
		/* the numbers start again: what was seen 63 resyncs ago must not count */
		for (uint32_t number = 1; number <= heap->live.used; number++)
			table_entry(&heap->live, number)->seen = 0;
		heap->seen = 0;
	}
	heap->seen++;
}

bool heap_mark_seen(struct heap *heap, uint64_t addr, uint64_t birth_ns)
{
	const uint32_t *live = table_find(&heap->live, addr, birth_ns);

	if (!live)
		return false;
	table_entry(&heap->live, *live)->seen = heap->seen & SEEN_MAX;
	return true;
}

int heap_walk_unseen(const struct heap *heap, uint64_t before_ns,
		     int (*visit)(const struct heap_block *block, void *arg), void *arg)
{
	return live_walk(
		heap,
		&(struct walk){.visit = visit, .arg = arg, .unseen = true, .before_ns = before_ns});
}
