/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

#define SHARD_BYTES ((uint64_t)UNWIND_SHARD_ROWS * sizeof(struct unwind_row))
/* Each piece costs every process that maps the file a mapping. */
#define MIN_CUT_ROWS 4096u
#define PC_END ((uint64_t)1 << 32)

int tables_init(struct tables *tables, const struct unwinder_maps *maps, uint64_t max_bytes)
{
	uint64_t max_shards = max_bytes / SHARD_BYTES;

	if (!max_shards)
		max_shards = 1;
	if (max_shards > maps->max_shards)
		max_shards = maps->max_shards;
	if (max_shards > UNWIND_MAX_SHARDS)
		max_shards = UNWIND_MAX_SHARDS;
	*tables = (struct tables){.maps = maps, .max_shards = (uint32_t)max_shards};
	TAILQ_INIT(&tables->unused);
	tables->shard = calloc(max_shards + 1, sizeof(tables->shard[0]));
	tables->room = calloc(max_shards + 1, sizeof(tables->room[0]));
	if (tables->shard && tables->room)
		return 0;
	tables_release(tables);
	return -ENOMEM;
}

void tables_release(struct tables *tables)
{
	for (uint32_t i = 0; i < tables->nr_shards; i++)
		extents_release(&tables->room[i]);
	free(tables->room);
	free(tables->shard);
	tables->room = NULL;
	tables->shard = NULL;
	tables->nr_shards = tables->max_shards = 0;
}

static bool has_rows(const struct table *table)
{
	return table->nr_pieces > 0;
}

/* --- uses ----------------------------------------------------------------------------------------------------- */

static void add_unused(struct tables *tables, struct table *table)
{
	TAILQ_INSERT_TAIL(&tables->unused, table, unused);
	tables->unused_rows += table->rows;
	tables->releases++;
}

static void remove_unused(struct tables *tables, struct table *table)
{
	TAILQ_REMOVE(&tables->unused, table, unused);
	tables->unused_rows -= table->rows;
}

void tables_use(struct tables *tables, struct table *table)
{
	if (!table->uses++ && has_rows(table))
		remove_unused(tables, table);
}

void tables_unuse(struct tables *tables, struct table *table)
{
	if (!--table->uses && has_rows(table))
		add_unused(tables, table);
}

/* --- room ----------------------------------------------------------------------------------------------------- */

static int make_shard(struct tables *tables)
{
	uint32_t i = tables->nr_shards;
	int error;

	if (i == tables->max_shards)
		return -ENOSPC;
	error = extents_init(&tables->room[i], UNWIND_SHARD_ROWS);
	if (error)
		return error;
	tables->shard[i] = tables->maps->new_shard(tables->maps->arg, i);
	if (!tables->shard[i]) {
		extents_release(&tables->room[i]);
		/* what the kernel refuses now it would refuse each time, and asking takes long */
		tables->max_shards = i;
		return -ENOSPC;
	}
	tables->nr_shards++;
	return 0;
}

static void give_rows(struct tables *tables, struct table *table)
{
	const struct table_piece *piece;

	for (size_t i = 0; i < table->nr_pieces; i++) {
		piece = &table->piece[i];
		extents_give(&tables->room[piece->shard], piece->at, piece->nr);
	}
	free(table->piece);
	free(table->layout.segment);
	table->piece = NULL;
	table->nr_pieces = 0;
	table->layout = (struct cfi_table){0};
}

void tables_drop(struct tables *tables, struct table *table)
{
	if (!has_rows(table))
		return;
	remove_unused(tables, table);
	give_rows(tables, table);
	tables->rows -= table->rows;
	table->rows = 0;
	tables->nr_tables--;
	tables->releases++;
}

static bool evict(struct tables *tables)
{
	struct table *table = TAILQ_FIRST(&tables->unused);

	if (!table)
		return false;
	tables_drop(tables, table);
	tables->evicted++;
	return true;
}

uint64_t tables_available(const struct tables *tables)
{
	uint64_t rows = tables->unused_rows;

	for (uint32_t i = 0; i < tables->nr_shards; i++)
		rows += tables->room[i].room;
	return rows + (uint64_t)(tables->max_shards - tables->nr_shards) * UNWIND_SHARD_ROWS;
}

/* Where nr rows fit with the least left; nr_shards: nowhere. */
static uint32_t tightest_shard(const struct tables *tables, uint32_t nr)
{
	uint32_t best = tables->nr_shards, best_room = 0, room;

	for (uint32_t i = 0; i < tables->nr_shards; i++) {
		room = tables->room[i].room < nr ? 0 : extents_fit(&tables->room[i], nr);
		if (room && (!best_room || room < best_room)) {
			best = i;
			best_room = room;
		}
	}
	return best;
}

/* The shard that has the longest free run, and how long that is. */
static uint32_t roomiest_shard(const struct tables *tables, uint32_t *rows)
{
	uint32_t best = 0, longest;

	*rows = 0;
	for (uint32_t i = 0; i < tables->nr_shards; i++) {
		longest = extents_longest(&tables->room[i]);
		if (longest > *rows) {
			best = i;
			*rows = longest;
		}
	}
	return best;
}

/*
 * Room for up to nr rows side by side. A new shard rather than a cut, a cut rather than the loss of a table.
 */
static int take_room(struct tables *tables, uint32_t nr, struct table_piece *piece)
{
	uint32_t shard, rows;
	int error;

	for (;;) {
		rows = nr;
		shard = tightest_shard(tables, nr);
		if (shard < tables->nr_shards)
			break;
		error = make_shard(tables);
		if (!error)
			continue;
		if (error != -ENOSPC)
			return error;
		shard = roomiest_shard(tables, &rows);
		if (rows >= MIN_CUT_ROWS)
			break;
		if (!evict(tables))
			return -ENOSPC;
	}
	piece->shard = (uint16_t)shard;
	piece->nr = rows;
	return extents_take(&tables->room[shard], rows, &piece->at);
}

/* --- filling -------------------------------------------------------------------------------------------------- */

/* One more in front, so that there is a row at or before each pc. */
static bool wants_first_row(const struct cfi_table *cfi)
{
	return cfi->nr && cfi->row[0].pc;
}

uint64_t tables_rows_of(const struct cfi_table *cfi)
{
	return (uint64_t)cfi->nr + wants_first_row(cfi);
}

static int copy_layout(struct table *table, const struct cfi_table *cfi)
{
	size_t bytes = cfi->nr_segments * sizeof(cfi->segment[0]);

	table->layout.segment = malloc(bytes ? bytes : 1);
	if (!table->layout.segment)
		return -ENOMEM;
	if (bytes)
		memcpy(table->layout.segment, cfi->segment, bytes);
	table->layout.nr_segments = cfi->nr_segments;
	table->layout.base = cfi->base;
	return 0;
}

static int take_pieces(struct tables *tables, struct table *table, uint64_t rows)
{
	size_t cap = 0;
	uint32_t want;
	int error;

	for (; rows; rows -= table->piece[table->nr_pieces++].nr) {
		error = ARRAY_GROW(&table->piece, &cap, table->nr_pieces + 1);
		if (error)
			return error;
		want = rows < UNWIND_SHARD_ROWS ? (uint32_t)rows : UNWIND_SHARD_ROWS;
		error = take_room(tables, want, &table->piece[table->nr_pieces]);
		if (error)
			return error;
	}
	return 0;
}

static void copy_rows(const struct tables *tables, struct table *table, const struct cfi_table *cfi)
{
	const struct unwind_row none = {.pc = 0, .cfa = ROW_CFA(ROW_SPECIAL, ROW_NONE)};
	const struct unwind_row *from = cfi->row;
	struct table_piece *piece;
	struct unwind_row *to;
	uint32_t nr;

	for (size_t i = 0; i < table->nr_pieces; i++) {
		piece = &table->piece[i];
		to = tables->shard[piece->shard] + piece->at;
		nr = piece->nr;
		piece->pc = i ? from->pc : 0;
		if (!i && wants_first_row(cfi)) {
			*to++ = none;
			nr--;
		}
		memcpy(to, from, nr * sizeof(*to));
		from += nr;
	}
}

int tables_fill(struct tables *tables, struct table *table, const struct cfi_table *cfi)
{
	uint64_t rows = tables_rows_of(cfi);
	int error;

	/* else all that is unused would be evicted in vain */
	if (!rows || rows > tables_available(tables))
		return -ENOSPC;
	error = copy_layout(table, cfi);
	if (!error)
		error = take_pieces(tables, table, rows);
	if (error) {
		give_rows(tables, table);
		return error;
	}
	copy_rows(tables, table, cfi);
	table->rows = rows;
	tables->rows += rows;
	tables->nr_tables++;
	if (!table->uses)
		add_unused(tables, table);
	return 0;
}

/* --- mappings ------------------------------------------------------------------------------------------------- */

int mapping_list_add(struct mapping_list *list, const struct unwind_mapping *mapping)
{
	if (ARRAY_GROW(&list->item, &list->cap, list->nr + 1))
		return -ENOMEM;
	list->item[list->nr++] = *mapping;
	return 0;
}

/* The first row of a piece that is at or behind pc; the piece's end: none. */
static uint32_t first_row_from(const struct tables *tables, const struct table_piece *piece,
			       uint64_t pc)
{
	const struct unwind_row *row = tables->shard[piece->shard];
	uint32_t low = piece->at, high = piece->at + piece->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (row[middle].pc < pc)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static size_t piece_of(const struct table *table, uint64_t pc)
{
	size_t low = 0, high = table->nr_pieces, middle;

	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (table->piece[middle].pc <= pc)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Rows count from 0 to 4 GiB: what a mapping has behind that has none. */
static int add_rest(const struct unwind_mapping *rest, struct mapping_list *list)
{
	struct unwind_mapping none = {
		.start = rest->start, .end = rest->end, .kind = MAPPING_NO_TABLE};

	return mapping_list_add(list, &none);
}

int tables_map(const struct tables *tables, const struct table *table,
	       const struct proc_mapping *mapping, struct mapping_list *list)
{
	struct unwind_mapping part = {.start = mapping->start, .kind = MAPPING_TABLE};
	const struct table_piece *piece;
	uint64_t pc, piece_end;
	int error = cfi_pc_of_offset(&table->layout, mapping->file_offset, &part.pc);

	if (error)
		return error;
	pc = part.pc;
	for (size_t i = piece_of(table, pc); part.start < mapping->end; i++) {
		part.end = mapping->end;
		if (pc == PC_END)
			return add_rest(&part, list);
		piece = &table->piece[i];
		piece_end = i + 1 < table->nr_pieces ? piece[1].pc : PC_END;
		if (part.end - part.start > piece_end - pc)
			part.end = part.start + (piece_end - pc);
		part.pc = (uint32_t)pc;
		pc += part.end - part.start;
		part.shard = piece->shard;
		part.row_lo = first_row_from(tables, piece, (uint64_t)part.pc + 1) - 1;
		part.row_hi = first_row_from(tables, piece, pc);
		error = mapping_list_add(list, &part);
		if (error)
			return error;
		part.start = part.end;
	}
	return 0;
}
