/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "codes.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "proc.h"

#define MAX_KEPT ((size_t)2 * PROC_MAX_MAPPINGS)

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

/* Adds the parts of an old mapping that no new one covers; *next: the first new one that may matter. */
static int add_uncovered(struct code_list *out, struct code old, const struct code_list *now,
			 size_t *next)
{
	struct code part;
	size_t i;
	int error;

	while (*next < now->nr && now->item[*next].end <= old.start)
		(*next)++;
	for (i = *next; i < now->nr && now->item[i].start < old.end; i++) {
		part = old;
		part.end = now->item[i].start;
		error = part.start < part.end ? code_list_add(out, &part) : 0;
		if (error)
			return error;
		old.file_offset += now->item[i].end - old.start;
		old.start = now->item[i].end;
	}
	return old.start < old.end ? code_list_add(out, &old) : 0;
}

static int compare_codes(const void *left, const void *right)
{
	const struct code *a = left, *b = right;

	return (a->start > b->start) - (a->start < b->start);
}

int code_list_keep(struct code_list *now, const struct code_list *before)
{
	struct code_list kept = {0};
	size_t next = 0;
	int error = 0;

	for (size_t i = 0; i < before->nr && !error; i++)
		error = add_uncovered(&kept, before->item[i], now, &next);
	if (!error && kept.nr && kept.nr + now->nr <= MAX_KEPT) {
		error = ARRAY_GROW(&now->item, &now->cap, now->nr + kept.nr);
		if (!error) {
			memcpy(now->item + now->nr, kept.item, kept.nr * sizeof(*kept.item));
			now->nr += kept.nr;
			qsort(now->item, now->nr, sizeof(*now->item), compare_codes);
		}
	}
	free(kept.item);
	return error;
}
