/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwinder_code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "origin.h"

#define MAX_GONE 1024 /* places kept of one process */

struct reading {
	struct files *files;
	pid_t tgid;
	const struct code *known;
	struct code code;
};

static bool is_vdso(const struct proc_mapping *mapping)
{
	return !mapping->inode && !strcmp(mapping->path, "[vdso]");
}

/* Code of the kernel's that no function of the process is in. */
static bool is_trampoline(const struct proc_mapping *mapping)
{
	return !mapping->inode &&
	       (!strcmp(mapping->path, "[uprobes]") || !strcmp(mapping->path, "[vsyscall]"));
}

static int add_plain(struct code *code, const struct proc_mapping *mapping, enum mapping_kind kind)
{
	const struct unwind_mapping plain = {
		.start = mapping->start,
		.end = mapping->end,
		.kind = (uint16_t)kind,
		.origin = kind == MAPPING_CODE ? ORIGIN_NO_FILE : ORIGIN_UNKNOWN,
	};
	struct unwind_mapping *last;

	last = code->mappings.nr ? &code->mappings.item[code->mappings.nr - 1] : NULL;
	if (kind == MAPPING_CODE && last && last->kind == kind && last->end == plain.start) {
		last->end = plain.end;
		return 0;
	}
	return mapping_list_add(&code->mappings, &plain);
}

static bool is_same(const struct code_file *file, const struct proc_mapping *mapping)
{
	return file->start == mapping->start && file->end == mapping->end &&
	       file->file_offset == mapping->file_offset && file->inode == mapping->inode &&
	       file->dev_major == mapping->dev_major && file->dev_minor == mapping->dev_minor;
}

static struct file *find_known(const struct code *known, const struct proc_mapping *mapping)
{
	size_t low = 0, high = known ? known->nr_files : 0, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (known->file[middle].start < mapping->start)
			low = middle + 1;
		else
			high = middle;
	}
	return known && low < known->nr_files && is_same(&known->file[low], mapping)
		       ? known->file[low].file
		       : NULL;
}

/* Only as many files as may be published are looked at: opening each one takes time. */
static int add_file(struct reading *r, const struct proc_mapping *mapping, struct file **out)
{
	struct code *code = &r->code;
	struct file *file = find_known(r->known, mapping);
	int error;

	if (code->nr_files == UNWIND_MAX_PROCESS_MAPPINGS)
		return -E2BIG;
	error = ARRAY_GROW(&code->file, &code->cap_files, code->nr_files + 1);
	if (error)
		return error;
	if (file)
		error = files_get_again(r->files, r->tgid, mapping, file);
	else
		error = files_get(r->files, r->tgid, mapping, &file);
	if (error)
		return error;
	code->file[code->nr_files++] = (struct code_file){.file = file,
							  .start = mapping->start,
							  .end = mapping->end,
							  .file_offset = mapping->file_offset,
							  .inode = mapping->inode,
							  .dev_major = mapping->dev_major,
							  .dev_minor = mapping->dev_minor};
	*out = file;
	return 0;
}

static int add_object(struct code *code, const struct files *files, const struct object *object,
		      const struct proc_mapping *mapping)
{
	int error;

	switch (object->state) {
	case OBJECT_READY:
		error = tables_map(&files->tables, &object->table, mapping, &code->mappings);
		return error == -ENOENT ? add_plain(code, mapping, MAPPING_NO_TABLE) : error;
	case OBJECT_WANTED:
		code->is_pending = true;
		return add_plain(code, mapping, MAPPING_PENDING);
	case OBJECT_CODE:
		return add_plain(code, mapping, MAPPING_CODE);
	default:
		return add_plain(code, mapping, MAPPING_NO_TABLE);
	}
}

static uint16_t origin_of(const struct file *file, const struct proc_mapping *mapping)
{
	const struct file_key *key = &file->key;
	const struct origin_file origin = {.dev = key->dev,
					   .inode = key->inode,
					   .bytes = key->bytes,
					   .mtime_ns = key->mtime_ns};

	if (key->kind == FILE_VDSO || file->object->state == OBJECT_CODE)
		return ORIGIN_NO_FILE;
	return origin_of_file(&origin, mapping->start - mapping->file_offset);
}

/* One mapping of a file may be several here. */
static int add_of_file(struct code *code, const struct files *files, const struct file *file,
		       const struct proc_mapping *mapping)
{
	size_t i = code->mappings.nr;
	int error = add_object(code, files, file->object, mapping);

	for (; i < code->mappings.nr; i++)
		code->mappings.item[i].origin = origin_of(file, mapping);
	return error;
}

static int add_mapping(struct reading *r, const struct proc_mapping *mapping)
{
	struct code *code = &r->code;
	struct file *file = NULL;
	int error;

	if (is_trampoline(mapping))
		return 0;
	if (!mapping->inode && !is_vdso(mapping))
		return add_plain(code, mapping, MAPPING_CODE);
	error = add_file(r, mapping, &file);
	switch (error) {
	case 0:
		return add_of_file(code, r->files, file, mapping);
	case -ENOMEM:
		return error;
	case -E2BIG:
		code->left_out++;
		return 0;
	case -ENOTSUP: /* /dev/zero and such */
		return add_plain(code, mapping, MAPPING_CODE);
	default: /* unmapped meanwhile, or out of our reach */
		return add_plain(code, mapping, MAPPING_NO_TABLE);
	}
}

static int compare_starts(const void *a, const void *b)
{
	const struct unwind_mapping *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Files first, then what is large. */
static int compare_worth(const void *a, const void *b)
{
	const struct unwind_mapping *x = a, *y = b;
	bool x_is_code = x->kind == MAPPING_CODE, y_is_code = y->kind == MAPPING_CODE;
	uint64_t x_bytes = x->end - x->start, y_bytes = y->end - y->start;

	if (x_is_code != y_is_code)
		return x_is_code ? 1 : -1;
	if (x_is_code && x_bytes != y_bytes)
		return x_bytes > y_bytes ? -1 : 1;
	return compare_starts(a, b);
}

static void leave_out_least(struct code *code)
{
	struct mapping_list *list = &code->mappings;

	if (list->nr <= UNWIND_MAX_PROCESS_MAPPINGS)
		return;
	code->left_out += list->nr - UNWIND_MAX_PROCESS_MAPPINGS;
	qsort(list->item, list->nr, sizeof(list->item[0]), compare_worth);
	list->nr = UNWIND_MAX_PROCESS_MAPPINGS;
	qsort(list->item, list->nr, sizeof(list->item[0]), compare_starts);
}

int code_read(struct files *files, pid_t tgid, const struct code *known, struct code *out)
{
	struct reading reading = {.files = files, .tgid = tgid, .known = known};
	struct proc_maps maps;
	int error;

	proc_maps_init(&maps);
	error = proc_maps_read_code(&maps, tgid);
	if (!error && !maps.nr) /* a zombie */
		error = -ESRCH;
	for (size_t i = 0; i < maps.nr && !error; i++)
		error = add_mapping(&reading, &maps.item[i]);
	proc_maps_release(&maps);
	if (error) {
		code_release(files, &reading.code);
		return error;
	}
	leave_out_least(&reading.code);
	*out = reading.code;
	return 0;
}

static int add_gone_part(struct mapping_list *gone, const struct unwind_mapping *old,
			 uint64_t start, uint64_t end)
{
	const struct unwind_mapping part = {
		.start = start, .end = end, .kind = MAPPING_GONE, .origin = old->origin};
	struct unwind_mapping *last = gone->nr ? &gone->item[gone->nr - 1] : NULL;

	if (start >= end || gone->nr == MAX_GONE)
		return 0;
	if (last && last->end == start) {
		last->end = end;
		return 0;
	}
	return mapping_list_add(gone, &part);
}

/* *next: the first mapping of today that may matter. */
static int add_gone(struct mapping_list *gone, const struct unwind_mapping *old,
		    const struct mapping_list *now, size_t *next)
{
	const struct unwind_mapping *mapping;
	uint64_t start = old->start;
	int error = 0;

	while (*next < now->nr && now->item[*next].end <= start)
		(*next)++;
	for (size_t i = *next; i < now->nr && now->item[i].start < old->end && !error; i++) {
		mapping = &now->item[i];
		error = add_gone_part(gone, old, start, mapping->start);
		start = mapping->end;
	}
	return error ? error : add_gone_part(gone, old, start, old->end);
}

int code_keep_gone(struct code *code, const struct mapping_list *before)
{
	struct mapping_list *list = &code->mappings, gone = {0};
	size_t next = 0;
	int error = 0;

	for (size_t i = 0; i < before->nr && !error; i++) {
		if (before->item[i].origin >= ORIGIN_FILE)
			error = add_gone(&gone, &before->item[i], list, &next);
	}
	for (size_t i = 0; i < gone.nr && !error && list->nr < UNWIND_MAX_PROCESS_MAPPINGS; i++)
		error = mapping_list_add(list, &gone.item[i]);
	if (gone.nr)
		qsort(list->item, list->nr, sizeof(list->item[0]), compare_starts);
	free(gone.item);
	return error;
}

void code_release(struct files *files, struct code *code)
{
	for (size_t i = 0; i < code->nr_files; i++)
		files_put(files, code->file[i].file);
	free(code->file);
	free(code->mappings.item);
	*code = (struct code){0};
}
