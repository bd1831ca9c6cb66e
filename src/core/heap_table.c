/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "heap_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "hash.h"

#define SEGMENT_HEADS 16384u
#define FIRST_HEADS 128u
#define HEADS_PER_ENTRY 2
#define MAX_HEADS (UINT64_C(1) << 32)

#define BIRTH_SHIFT 17 /* 131 us */

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
uint32_t *table_find(const struct table *table, uint64_t addr, uint64_t birth_ns)
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

/* The first segment again, twice as large. */
static int table_double_heads(struct table *table)
{
	uint32_t *heads = realloc(table->head[0], 2 * table->room_heads * sizeof(*heads));

	if (!heads)
		return -ENOMEM;
	memset(heads + table->room_heads, 0, table->room_heads * sizeof(*heads));
	table->head[0] = heads;
	table->room_heads *= 2;
	return 0;
}

static int table_add_heads(struct table *table)
{
	size_t need = table->nr_head_segments + 1;
	uint32_t nr = table->nr_head_segments ? SEGMENT_HEADS : FIRST_HEADS;
	uint32_t *heads;

	if (table->room_heads && table->room_heads < SEGMENT_HEADS)
		return table_double_heads(table);
	if (ARRAY_GROW(&table->head, &table->cap_head_segments, need))
		return -ENOMEM;
	heads = calloc(nr, sizeof(*heads));
	if (!heads)
		return -ENOMEM;
	table->head[table->nr_head_segments++] = heads;
	table->room_heads += nr;
	if (!table->round)
		table->round = table->nr_heads = FIRST_HEADS;
	return 0;
}

static int table_double_entries(struct table *table)
{
	struct entry *entries = realloc(table->segment[0], 2 * table->room * sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	table->segment[0] = entries;
	table->room *= 2;
	return 0;
}

static int table_add_entries(struct table *table)
{
	size_t need = table->nr_segments + 1;
	uint32_t nr = table->nr_segments ? SEGMENT_ENTRIES : FIRST_ENTRIES;
	struct entry *entries;

	if (table->room && table->room < SEGMENT_ENTRIES)
		return table_double_entries(table);
	if (nr > UINT32_MAX - table->room ||
	    ARRAY_GROW(&table->segment, &table->cap_segments, need))
		return -ENOMEM;
	entries = malloc(nr * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	table->segment[table->nr_segments++] = entries;
	table->room += nr;
	return 0;
}

/* Room for the tag of every entry, 0 so far. */
static int table_add_tags(struct table *table)
{
	uint16_t *tag = realloc(table->tag, table->room * sizeof(*tag));

	if (!tag)
		return -ENOMEM;
	memset(tag + table->room_tags, 0, (table->room - table->room_tags) * sizeof(*tag));
	table->tag = tag;
	table->room_tags = table->room;
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
		if (table->nr_heads == table->room_heads && table_add_heads(table))
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
	if (number >= table->room && table_add_entries(table))
		return 0;
	table->used = number;
	return number;
}

static void table_give_back(struct table *table, uint32_t number)
{
	struct entry *entry = table_entry(table, number);

	entry->kind = ENTRY_FREE;
	entry->next = table->free_list;
	table->free_list = number;
}

static int table_set_tag(struct table *table, uint32_t number, uint16_t tag)
{
	if (number >= table->room_tags && table_add_tags(table))
		return -ENOMEM;
	table->tag[number] = tag;
	return 0;
}

int table_insert(struct table *table, const struct heap_block *block, enum entry_kind kind)
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
	if ((block->tag || table->tag) && table_set_tag(table, number, block->tag)) {
		table_give_back(table, number);
		return -ENOMEM;
	}
	bucket = table_bucket(table, entry_hash(block->addr, block->birth_ns));
	entry = table_entry(table, number);
	*entry = (struct entry){
		.addr = block->addr,
		.birth_ns = block->birth_ns,
		.size_bytes = size_bytes < ENTRY_SIZE_MAX ? size_bytes : ENTRY_SIZE_MAX,
		.kind = kind,
		.stack = block->stack,
		.next = *bucket,
	};
	*bucket = number;
	table->nr++;
	table_widen(table);
	return 0;
}

void table_remove(struct table *table, uint32_t *link)
{
	uint32_t number = *link;
	struct entry *entry = table_entry(table, number);

	*link = entry->next;
	table_give_back(table, number);
	table->nr--;
}

void table_release(struct table *table)
{
	for (size_t i = 0; i < table->nr_segments; i++)
		free(table->segment[i]);
	for (size_t i = 0; i < table->nr_head_segments; i++)
		free(table->head[i]);
	free(table->segment);
	free(table->head);
	free(table->tag);
	*table = (struct table){0};
}

size_t table_memory_bytes(const struct table *table)
{
	return table->room * sizeof(struct entry) + table->room_heads * sizeof(uint32_t) +
	       table->room_tags * sizeof(*table->tag) +
	       table->cap_segments * sizeof(*table->segment) +
	       table->cap_head_segments * sizeof(*table->head);
}
