/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rows of unwind tables in the kernel's shards: where there is room, who uses them, and which go when there is none.
 *
 * A table lies in one piece where it can, and else in several, cut between rows: each begins with a row at its very first
 * pc, and holds up to the next. Tables that nobody uses stay until room is wanted; those unused for longest go first.
 *
 * One owner, one thread. The kernel may read all the while: rows are given back when no published mapping has them.
 */
#ifndef SEEP_SYS_TABLES_H
#define SEEP_SYS_TABLES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "cfi.h"
#include "proc.h"
#include "unwind.h"
#include "unwinder.h"
#include "unwinder_extents.h"

struct table_piece {
	uint32_t pc;	 /* of its first row; of the first piece 0 */
	uint32_t at, nr; /* rows */
	uint16_t shard;
};

/* Zeroed has no rows. Not to be moved. */
struct table {
	struct table_piece *piece; /* by pc */
	size_t nr_pieces;
	uint64_t rows;
	struct cfi_table layout; /* segments and base, no rows */
	uint32_t uses;
	TAILQ_ENTRY(table) unused; /* when it has rows and no uses */
};

TAILQ_HEAD(table_queue, table);

struct tables {
	const struct unwinder_maps *maps;
	struct unwind_row **shard;
	struct extents *room; /* by shard */
	uint32_t nr_shards, max_shards;
	struct table_queue unused; /* longest unused first */
	uint64_t rows, unused_rows;
	uint64_t nr_tables, evicted;
	uint64_t releases; /* grows when rows become free, or free to take */
};

/* maps stays the caller's. At least one shard, whatever max_bytes. 0 or -ENOMEM. */
int tables_init(struct tables *tables, const struct unwinder_maps *maps, uint64_t max_bytes);
/* Tables must be gone. Shards are the kernel's. */
void tables_release(struct tables *tables);

/* Copies rows to where there is room; table has none yet. -ENOSPC: there is no room; -ENOMEM. */
int tables_fill(struct tables *tables, struct table *table, const struct cfi_table *cfi);
/* Gives its rows back: nobody uses it. */
void tables_drop(struct tables *tables, struct table *table);

void tables_use(struct tables *tables, struct table *table);
void tables_unuse(struct tables *tables, struct table *table);

/* How many rows there would be room for, had every unused table gone. Pieces too small to use count. */
uint64_t tables_available(const struct tables *tables);
/* How many tables_fill() takes. */
uint64_t tables_rows_of(const struct cfi_table *cfi);

struct mapping_list {
	struct unwind_mapping *item;
	size_t nr, cap;
};

/* 0 or -ENOMEM. */
int mapping_list_add(struct mapping_list *list, const struct unwind_mapping *mapping);

/*
 * Appends what the kernel is to know of a mapping of the table's file, as one mapping for each piece of the table. -ENOENT:
 * the file has no segment there; -ENOMEM.
 */
int tables_map(const struct tables *tables, const struct table *table,
	       const struct proc_mapping *mapping, struct mapping_list *list);

#endif
