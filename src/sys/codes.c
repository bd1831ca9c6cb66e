/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "codes.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "proc.h"
#include "unwind.h"

#define MAX_KEPT ((size_t)2 * PROC_MAX_MAPPINGS)

void codes_release(struct codes *codes)
{
	code_list_release(&codes->now);
	code_list_release(&codes->past);
}

void code_list_release(struct code_list *codes)
{
	free(codes->item);
	*codes = (struct code_list){0};
}

const struct code *code_list_find(const struct code_list *codes, uint64_t address)
{
	size_t low = 0, high = codes->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (codes->item[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == codes->nr || codes->item[low].start > address)
		return NULL;
	return &codes->item[low];
}

int code_list_add(struct code_list *codes, const struct code *code)
{
	int error = ARRAY_GROW(&codes->item, &codes->cap, codes->nr + 1);

	if (!error)
		codes->item[codes->nr++] = *code;
	return error;
}

static bool is_same(const struct code *a, const struct code *b)
{
	return a->origin == b->origin && a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && a->name == b->name &&
	       (!a->inode || a->start - a->file_offset == b->start - b->file_offset);
}

static int add_past(struct code_list *past, const struct code *old, const struct code *now)
{
	if (is_same(old, now))
		return 0;
	if (past->nr == CODES_MAX_PAST) {
		past->nr /= 2;
		memmove(past->item, past->item + past->nr, past->nr * sizeof(*past->item));
	}
	return code_list_add(past, old);
}

/* An old mapping: *next is the first new one that may matter. Its parts that no new one covers are kept. */
static int keep(struct code_list *kept, struct code_list *past, struct code old,
		const struct code_list *now, size_t *next)
{
	struct code part;
	size_t i;
	int error;

	while (*next < now->nr && now->item[*next].end <= old.start)
		(*next)++;
	for (i = *next; i < now->nr && now->item[i].start < old.end; i++) {
		error = add_past(past, &old, &now->item[i]);
		part = old;
		part.end = now->item[i].start;
		if (!error && part.start < part.end)
			error = code_list_add(kept, &part);
		if (error)
			return error;
		old.file_offset += now->item[i].end - old.start;
		old.start = now->item[i].end;
	}
	return old.start < old.end ? code_list_add(kept, &old) : 0;
}

static int compare_codes(const void *left, const void *right)
{
	const struct code *a = left, *b = right;

	return (a->start > b->start) - (a->start < b->start);
}

static int add_all(struct code_list *now, const struct code_list *kept)
{
	if (!kept->nr || kept->nr + now->nr > MAX_KEPT)
		return 0;
	if (ARRAY_GROW(&now->item, &now->cap, now->nr + kept->nr))
		return -ENOMEM;
	memcpy(now->item + now->nr, kept->item, kept->nr * sizeof(*kept->item));
	now->nr += kept->nr;
	qsort(now->item, now->nr, sizeof(*now->item), compare_codes);
	return 0;
}

int codes_replace(struct codes *codes, struct code_list *now)
{
	const struct code_list *before = &codes->now;
	struct code_list kept = {0};
	size_t next = 0;
	int error = 0;

	for (size_t i = 0; i < before->nr && !error; i++)
		error = keep(&kept, &codes->past, before->item[i], now, &next);
	if (!error)
		error = add_all(now, &kept);
	code_list_release(&kept);
	if (error)
		return error;
	code_list_release(&codes->now);
	codes->now = *now;
	*now = (struct code_list){0};
	return 0;
}

int codes_copy(struct codes *to, const struct codes *from)
{
	struct code_list now = {0};
	int error = 0;

	for (size_t i = 0; i < from->now.nr && !error; i++)
		error = code_list_add(&now, &from->now.item[i]);
	if (error)
		code_list_release(&now);
	else
		to->now = now;
	return error;
}

static bool has(const struct code *code, uint64_t address)
{
	return address >= code->start && address < code->end;
}

/* The last one of that origin that has gone from there. */
static const struct code *find_past(const struct code_list *past, uint64_t address, uint16_t origin)
{
	for (size_t i = past->nr; i; i--) {
		if (past->item[i - 1].origin == origin && has(&past->item[i - 1], address))
			return &past->item[i - 1];
	}
	return NULL;
}

static bool was_always(const struct code_list *past, uint64_t address, const struct code *code)
{
	for (size_t i = 0; i < past->nr; i++) {
		if (has(&past->item[i], address) && !is_same(&past->item[i], code))
			return false;
	}
	return true;
}

/* A file that we could not look at may be any, if it is the only one. */
static bool may_be(const struct codes *codes, uint64_t address, uint16_t origin,
		   const struct code *code)
{
	if (origin != ORIGIN_UNKNOWN && code->origin != ORIGIN_UNKNOWN)
		return code->origin == origin;
	return was_always(&codes->past, address, code);
}

int codes_find(const struct codes *codes, uint64_t address, uint16_t origin,
	       const struct code **out)
{
	const struct code *found = code_list_find(&codes->now, address);

	if (origin == ORIGIN_CHANGED || (origin == ORIGIN_UNKNOWN && !found))
		return -ENOENT;
	if (!found || !may_be(codes, address, origin, found))
		found = origin == ORIGIN_UNKNOWN ? NULL : find_past(&codes->past, address, origin);
	if (!found)
		return -ESTALE;
	*out = found;
	return 0;
}
