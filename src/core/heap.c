/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "heap.h"

#include <errno.h>
#include <stdlib.h>

#include "array.h"
#include "hash.h"

/*
 * 256 and 64 KiB: what is allocated and not yet used stays below 4 bytes a block from 100,000
 * blocks on.
 */
#define SEGMENT_ENTRIES 8192u
#define SEGMENT_HEADS 16384u
#define HEADS_PER_ENTRY 2
#define MAX_HEADS (UINT64_C(1) << 32)

#define BIRTH_SHIFT 17 /* 131 us */

#define SIZE_MAX_BYTES ((UINT64_C(1) << 56) - 1)
#define SEEN_MAX 63

enum entry_kind {
	ENTRY_FREE = 0, /* on the free list */
	ENTRY_LIVE = 1,
	ENTRY_MARK_FREED = 2, /* its free was here, its allocation was not */
	ENTRY_MARK_GONE = 3,  /* declared gone by a resync */
};

struct entry {
	uint64_t addr;
	uint64_t birth_ns;
	uint64_t size_bytes : 56;
	uint64_t kind : 2; /* enum entry_kind */
	uint64_t seen : 6; /* the resync that saw it last, 0: none */
	uint32_t stack;
	uint32_t next; /* number of the next entry of the chain or the free list, 0: none */
};

_Static_assert(sizeof(struct entry) == 32, "entry");

/*
 * A chained hash table of entries. Bucket numbers are the low bits of the hash: those of the round
 * that is being split, one more bit for the buckets that have been split already.
 */
struct table {
	struct entry **segment; /* entry n is segment[n / SEGMENT_ENTRIES][n % SEGMENT_ENTRIES] */
	size_t nr_segments, cap_segments;
	uint32_t **head; /* likewise; 0: empty bucket */
	size_t nr_head_segments, cap_head_segments;
	uint64_t nr_heads;  /* buckets in use: round + those split in this round */
	uint64_t round;	    /* a power of two */
	uint32_t used;	    /* entry numbers given out so far; number 0 is none */
	uint32_t free_list; /* those given back */
	size_t nr;
};

struct heap {
	struct table live;
	struct table marks; /* apart, so that the few can be walked without the many */
	uint64_t live_bytes;
	unsigned int seen; /* number of the last resync, 1..SEEN_MAX, around; 0: none yet */
};

/* --- the table --- */

static struct entry *table_entry(const struct table *table, uint32_t number)
{
	return &table->segment[number / SEGMENT_ENTRIES][number % SEGMENT_ENTRIES];
}

static uint32_t *table_head(const struct table *table, uint64_t bucket)
{
	return &table->head[bucket / SEGMENT_HEADS][bucket % SEGMENT_HEADS];
}

/*
 * The birth counts, or the many entries of an address that is reused all the time while events get
 * lost would share one chain; but coarsely, so that an address freed and handed out again at once
 * finds its bucket in the cache.
 */
static uint64_t entry_hash(uint64_t addr, uint64_t birth_ns)
{
	return hash_pair(addr, birth_ns >> BIRTH_SHIFT);
}

/* Where the chain of this hash starts. */
static uint32_t *table_bucket(const struct table *table, uint64_t hash)
{
	uint64_t bucket = hash & (2 * table->round - 1);

	if (bucket >= table->nr_heads)
		bucket &= table->round - 1;
	return table_head(table, bucket);
}

/* The link that holds the number of the entry; NULL: not there. */
static uint32_t *table_find(const struct table *table, uint64_t addr, uint64_t birth_ns)
{
	struct entry *entry;
	uint32_t *link;

	if (!table->nr)
		return NULL;
	link = table_bucket(table, entry_hash(addr, birth_ns));
	while (*link) {
		entry = table_entry(table, *link);
		if (entry->addr == addr && entry->birth_ns == birth_ns)
			return link;
		link = &entry->next;
	}
	return NULL;
}

static int table_add_heads(struct table *table)
{
	size_t need = table->nr_head_segments + 1;
	uint32_t *heads;

	if (ARRAY_GROW(&table->head, &table->cap_head_segments, need))
		return -ENOMEM;
	heads = calloc(SEGMENT_HEADS, sizeof(*heads));
	if (!heads)
		return -ENOMEM;
	table->head[table->nr_head_segments++] = heads;
	if (!table->round)
		table->round = table->nr_heads = SEGMENT_HEADS;
	return 0;
}

static int table_add_entries(struct table *table)
{
	size_t need = table->nr_segments + 1;
	struct entry *entries;

	if (ARRAY_GROW(&table->segment, &table->cap_segments, need))
		return -ENOMEM;
	entries = malloc(SEGMENT_ENTRIES * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	table->segment[table->nr_segments++] = entries;
	return 0;
}

/* Moves half of the next bucket of the round to a new bucket at the end. */
static void table_split(struct table *table)
{
	uint64_t new_bucket = table->nr_heads;
	uint32_t *link = table_head(table, new_bucket - table->round);
	uint32_t *new_link = table_head(table, new_bucket);
	struct entry *entry;

	while (*link) {
		entry = table_entry(table, *link);
		if (!(entry_hash(entry->addr, entry->birth_ns) & table->round)) {
			link = &entry->next;
			continue;
		}
		*new_link = *link;
		*link = entry->next;
		entry->next = 0;
		new_link = &entry->next;
	}
	table->nr_heads++;
	if (table->nr_heads == 2 * table->round)
		table->round *= 2;
}

static void table_widen(struct table *table)
{
	while (table->nr_heads < table->nr * HEADS_PER_ENTRY && table->nr_heads < MAX_HEADS) {
		/*
		 * no memory for a better index is no error: chains get longer, and the next
		 * addition tries again
		 */
		if (table->nr_heads == table->nr_head_segments * SEGMENT_HEADS &&
		    table_add_heads(table))
			return;
		table_split(table);
	}
}

/* Number of an entry that is not in use, or 0: no memory. */
static uint32_t table_take(struct table *table)
{
	uint32_t number = table->free_list;

	if (number) {
		table->free_list = table_entry(table, number)->next;
		return number;
	}
	if (table->used == UINT32_MAX)
		return 0;
	number = table->used + 1;
	if (number / SEGMENT_ENTRIES >= table->nr_segments && table_add_entries(table))
		return 0;
	table->used = number;
	return number;
}

static int table_insert(struct table *table, const struct heap_block *block, enum entry_kind kind)
{
	uint64_t size_bytes = block->size_bytes;
	struct entry *entry;
	uint32_t *bucket;
	uint32_t number;

	if (!table->round && table_add_heads(table))
		return -ENOMEM;
	number = table_take(table);
	if (!number)
		return -ENOMEM;
	bucket = table_bucket(table, entry_hash(block->addr, block->birth_ns));
	entry = table_entry(table, number);
	*entry = (struct entry){
		.addr = block->addr,
		.birth_ns = block->birth_ns,
		.size_bytes = size_bytes < SIZE_MAX_BYTES ? size_bytes : SIZE_MAX_BYTES,
		.kind = kind,
		.stack = block->stack,
		.next = *bucket,
	};
	*bucket = number;
	table->nr++;
	table_widen(table);
	return 0;
}

static void table_remove(struct table *table, uint32_t *link)
{
	uint32_t number = *link;
	struct entry *entry = table_entry(table, number);

	*link = entry->next;
	entry->kind = ENTRY_FREE;
	entry->next = table->free_list;
	table->free_list = number;
	table->nr--;
}

static void table_release(struct table *table)
{
	for (size_t i = 0; i < table->nr_segments; i++)
		free(table->segment[i]);
	for (size_t i = 0; i < table->nr_head_segments; i++)
		free(table->head[i]);
	free(table->segment);
	free(table->head);
	*table = (struct table){0};
}

static size_t table_memory_bytes(const struct table *table)
{
	return table->nr_segments * SEGMENT_ENTRIES * sizeof(struct entry) +
	       table->nr_head_segments * SEGMENT_HEADS * sizeof(uint32_t) +
	       table->cap_segments * sizeof(*table->segment) +
	       table->cap_head_segments * sizeof(*table->head);
}

static struct heap_block entry_block(const struct entry *entry)
{
	return (struct heap_block){
		.addr = entry->addr,
		.birth_ns = entry->birth_ns,
		.size_bytes = entry->size_bytes,
		.stack = entry->stack,
	};
}

/* --- the heap --- */

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

int heap_add(struct heap *heap, const struct heap_block *block)
{
	uint32_t *mark;
	int error;

	if (table_find(&heap->live, block->addr, block->birth_ns))
		return HEAP_DUPLICATE;
	mark = table_find(&heap->marks, block->addr, block->birth_ns);
	if (mark) {
		if (table_entry(&heap->marks, *mark)->kind == ENTRY_MARK_GONE)
			return HEAP_DUPLICATE;
		table_remove(&heap->marks, mark);
		return HEAP_CANCELLED;
	}
	error = table_insert(&heap->live, block, ENTRY_LIVE);
	if (error)
		return error;
	heap->live_bytes += block->size_bytes < SIZE_MAX_BYTES ? block->size_bytes : SIZE_MAX_BYTES;
	return HEAP_DONE;
}

static void heap_end(struct heap *heap, uint32_t *live)
{
	heap->live_bytes -= table_entry(&heap->live, *live)->size_bytes;
	table_remove(&heap->live, live);
}

int heap_remove(struct heap *heap, const struct heap_block *block)
{
	uint32_t *live = table_find(&heap->live, block->addr, block->birth_ns);
	int error;

	if (live) {
		heap_end(heap, live);
		return HEAP_DONE;
	}
	if (table_find(&heap->marks, block->addr, block->birth_ns))
		return HEAP_DUPLICATE;
	error = table_insert(&heap->marks, block, ENTRY_MARK_FREED);
	return error ? error : HEAP_MARKED;
}

int heap_remove_by_resync(struct heap *heap, uint64_t addr, uint64_t birth_ns)
{
	uint32_t *live = table_find(&heap->live, addr, birth_ns);
	struct heap_block block;
	int error;

	if (!live)
		return HEAP_DUPLICATE;
	block = entry_block(table_entry(&heap->live, *live));
	error = table_insert(&heap->marks, &block, ENTRY_MARK_GONE);
	if (error)
		return error;
	heap_end(heap, live);
	return HEAP_DONE;
}

void heap_expire(struct heap *heap, uint64_t birth_ns,
		 void (*lost)(const struct heap_block *block, void *arg), void *arg)
{
	struct table *marks = &heap->marks;

	for (uint32_t number = 1; marks->nr && number <= marks->used; number++) {
		const struct entry *entry = table_entry(marks, number);
		struct heap_block block = entry_block(entry);
		bool is_lost = entry->kind == ENTRY_MARK_FREED;

		if (entry->kind == ENTRY_FREE || entry->birth_ns >= birth_ns)
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

int heap_walk(const struct heap *heap, int (*visit)(const struct heap_block *block, void *arg),
	      void *arg)
{
	const struct table *live = &heap->live;

	for (uint32_t number = 1; live->nr && number <= live->used; number++) {
		const struct entry *entry = table_entry(live, number);
		struct heap_block block = entry_block(entry);
		int stop;

		if (entry->kind == ENTRY_FREE)
			continue;
		stop = visit(&block, arg);
		if (stop)
			return stop;
	}
	return 0;
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
	const struct table *live = &heap->live;

	for (uint32_t number = 1; live->nr && number <= live->used; number++) {
		const struct entry *entry = table_entry(live, number);
		struct heap_block block = entry_block(entry);
		int stop;

		if (entry->kind == ENTRY_FREE || entry->seen == heap->seen ||
		    entry->birth_ns >= before_ns)
			continue;
		stop = visit(&block, arg);
		if (stop)
			return stop;
	}
	return 0;
}
