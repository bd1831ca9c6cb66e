/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwinder_code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

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
		.start = mapping->start, .end = mapping->end, .kind = (uint16_t)kind};
	struct unwind_mapping *last;

	last = code->mappings.nr ? &code->mappings.item[code->mappings.nr - 1] : NULL;
	if (kind == MAPPING_CODE && last && last->kind == kind && last->end == plain.start) {
		last->end = plain.end;
		return 0;
	}
	return mapping_list_add(&code->mappings, &plain);
}

/* Only as many files as may be published are looked at: opening each one takes time. */
static int add_file(struct code *code, struct files *files, pid_t tgid,
		    const struct proc_mapping *mapping, struct file **out)
{
	int error;

	if (code->nr_files == UNWIND_MAX_PROCESS_MAPPINGS)
		return -E2BIG;
	error = ARRAY_GROW(&code->file, &code->cap_files, code->nr_files + 1);
	if (!error)
		error = files_get(files, tgid, mapping, out);
	if (!error)
		code->file[code->nr_files++] = *out;
	return error;
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

static int add_mapping(struct code *code, struct files *files, pid_t tgid,
		       const struct proc_mapping *mapping)
{
	struct file *file = NULL;
	int error;

	if (!mapping->exec || is_trampoline(mapping))
		return 0;
	if (!mapping->inode && !is_vdso(mapping))
		return add_plain(code, mapping, MAPPING_CODE);
	error = add_file(code, files, tgid, mapping, &file);
	switch (error) {
	case 0:
		return add_object(code, files, file->object, mapping);
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

int code_read(struct files *files, pid_t tgid, struct code *out)
{
	struct code code = {0};
	struct proc_maps maps;
	int error;

	proc_maps_init(&maps);
	error = proc_maps_read(&maps, tgid);
	if (!error && !maps.nr) /* a zombie */
		error = -ESRCH;
	for (size_t i = 0; i < maps.nr && !error; i++)
		error = add_mapping(&code, files, tgid, &maps.item[i]);
	proc_maps_release(&maps);
	if (error) {
		code_release(files, &code);
		return error;
	}
	leave_out_least(&code);
	*out = code;
	return 0;
}

void code_release(struct files *files, struct code *code)
{
	for (size_t i = 0; i < code->nr_files; i++)
		files_put(files, code->file[i]);
	free(code->file);
	free(code->mappings.item);
	*code = (struct code){0};
}
