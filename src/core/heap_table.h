/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hash table under core/heap: entries of 32 bytes in segments that never move, chained from an
 * index that grows by one bucket at a time. Only heap.c includes this.
 *
 * Entries have numbers from 1 on. A link is the place that holds the number of an entry: the head
 * of a chain, or the entry before it.
 */
#ifndef SEEP_CORE_HEAP_TABLE_H
#define SEEP_CORE_HEAP_TABLE_H

#include "heap.h"

/*
 * 256 and 64 KiB: what is allocated and not yet used stays below 4 bytes a block from 100,000
 * blocks on.
 */
#define SEGMENT_ENTRIES 8192u
#define FIRST_ENTRIES 64u /* the first segment doubles, and moves, from here to that */
#define ENTRY_SIZE_MAX ((UINT64_C(1) << 55) - 1)

enum entry_kind {
	ENTRY_FREE = 0, /* on the free list */
	ENTRY_LIVE = 1,
	ENTRY_MARK_FREED = 2, /* its free was here, its allocation was not */
	ENTRY_MARK_GONE = 3,  /* declared gone by a resync */
	ENTRY_MARK_OVER = 4,  /* gone, and its free has come as well: nothing brings it back */
	ENTRY_RECOVERED = 5,  /* live, but its own allocation event may still come */
};

struct entry {
	uint64_t addr;
	uint64_t birth_ns;
	uint64_t size_bytes : 55; /* of a mark that is gone or over: when it was made */
	uint64_t kind : 3;	  /* enum entry_kind */
	uint64_t seen : 6;	  /* the resync that saw it last, 0: none */
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
	uint32_t room; /* for so many entries, number 0 included */
	uint32_t room_tags;
	uint16_t *tag;	 /* by number; NULL while all of them are 0 */
	uint32_t **head; /* like segment; 0: empty bucket */
	size_t nr_head_segments, cap_head_segments;
	uint64_t room_heads;
	uint64_t nr_heads;  /* buckets in use: round + those split in this round */
	uint64_t round;	    /* a power of two */
	uint32_t used;	    /* entry numbers given out so far; number 0 is none */
	uint32_t free_list; /* those given back */
	size_t nr;
};

static inline struct entry *table_entry(const struct table *table, uint32_t number)
{
	return &table->segment[number / SEGMENT_ENTRIES][number % SEGMENT_ENTRIES];
}

static inline uint16_t table_tag(const struct table *table, uint32_t number)
{
	return table->tag ? table->tag[number] : 0;
}

/* The link to the entry; NULL: not there. */
uint32_t *table_find(const struct table *table, uint64_t addr, uint64_t birth_ns);
/* Adds an entry that is not there. 0 or -ENOMEM. */
int table_insert(struct table *table, const struct heap_block *block, enum entry_kind kind);
void table_remove(struct table *table, uint32_t *link);
void table_release(struct table *table);
size_t table_memory_bytes(const struct table *table);

#endif
