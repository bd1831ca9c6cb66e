/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbolize.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "array.h"
#include "fd.h"
#include "hash.h"
#include "module.h"
#include "strpool.h"

#define DELETED " (deleted)"
#define MAX_KEPT_MAPPINGS ((size_t)2 * PROC_MAX_MAPPINGS)

/* A file, as the mappings of any process tell it, and how long it was when it was opened. */
struct file_id {
	uint64_t inode;
	uint64_t size;
	uint32_t dev_major, dev_minor;
};

struct known_file {
	struct file_id id;
	struct module *module;
};

struct code {
	uint64_t start, end;
	uint64_t file_offset;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	const char *name;
	struct module *module; /* NULL: no file, or not to be had */
};

struct code_list {
	struct code *item; /* sorted by start */
	size_t nr, cap;
};

struct process {
	struct code_list codes;
};

struct symbolizer {
	struct strpool pool;
	const char *empty;
	struct known_file *file;
	size_t nr_files, cap_files;
	struct map64 file_by_id;    /* hash of the id to the last such file */
	struct map64 file_by_inode; /* likewise without the size */
	struct process *process;
	size_t nr_processes, cap_processes;
	struct map64 process_by_key;
};

int symbolizer_new(struct symbolizer **out)
{
	struct symbolizer *sym = calloc(1, sizeof(*sym));

	if (!sym)
		return -ENOMEM;
	sym->empty = strpool_add(&sym->pool, "", 0);
	if (!sym->empty) {
		symbolizer_free(sym);
		return -ENOMEM;
	}
	*out = sym;
	return 0;
}

void symbolizer_free(struct symbolizer *sym)
{
	if (!sym)
		return;
	for (size_t i = 0; i < sym->nr_files; i++)
		module_free(sym->file[i].module);
	free(sym->file);
	map64_release(&sym->file_by_id);
	map64_release(&sym->file_by_inode);
	for (size_t i = 0; i < sym->nr_processes; i++)
		free(sym->process[i].codes.item);
	free(sym->process);
	map64_release(&sym->process_by_key);
	strpool_release(&sym->pool);
	free(sym);
}

static uint64_t hash_id(const struct file_id *id, bool with_size)
{
	uint64_t device = (uint64_t)id->dev_major << 32 | id->dev_minor;

	return hash_pair(hash_pair(device, id->inode), with_size ? id->size : 0);
}

static struct module *find_file(const struct symbolizer *sym, const struct file_id *id,
				bool with_size)
{
	const struct known_file *file;
	uint64_t at;

	if (!map64_get(with_size ? &sym->file_by_id : &sym->file_by_inode, hash_id(id, with_size),
		       &at))
		return NULL;
	file = &sym->file[at];
	if (file->id.inode != id->inode || file->id.dev_major != id->dev_major ||
	    file->id.dev_minor != id->dev_minor || (with_size && file->id.size != id->size))
		return NULL;
	return file->module;
}

/* Takes over fd. */
static int add_file(struct symbolizer *sym, const struct file_id *id, int fd, const char *path,
		    struct module **out)
{
	struct module *module;
	int error = module_new(fd, path, &sym->pool, &module);

	if (error)
		return error;
	error = ARRAY_GROW(&sym->file, &sym->cap_files, sym->nr_files + 1);
	if (error) {
		module_free(module);
		return error;
	}
	sym->file[sym->nr_files++] = (struct known_file){.id = *id, .module = module};
	*out = module;
	error = map64_put(&sym->file_by_id, hash_id(id, true), sym->nr_files - 1);
	if (!error)
		error = map64_put(&sym->file_by_inode, hash_id(id, false), sym->nr_files - 1);
	return error;
}

/* *out stays NULL where there is no file, or none that we may read. */
static int open_module(struct symbolizer *sym, pid_t tgid, const struct proc_mapping *mapping,
		       const char *path, struct module **out)
{
	struct file_id id = {
		.inode = mapping->inode,
		.dev_major = mapping->dev_major,
		.dev_minor = mapping->dev_minor,
	};
	struct stat st;
	int fd = proc_open_mapping(tgid, mapping);

	if (fd < 0) {
		*out = find_file(sym, &id, false);
		return fd == -ESRCH || fd == -ENOMEM ? fd : 0;
	}
	if (fstat(fd, &st)) {
		fd_close(&fd);
		return 0;
	}
	id.size = (uint64_t)st.st_size;
	*out = find_file(sym, &id, true);
	if (!*out)
		return add_file(sym, &id, fd, path, out);
	fd_close(&fd);
	return 0;
}

static bool ends_with(const char *text, size_t nr, const char *end)
{
	size_t end_nr = strlen(end);

	return nr >= end_nr && !memcmp(text + nr - end_nr, end, end_nr);
}

static const char *name_mapping(struct symbolizer *sym, const struct proc_mapping *mapping)
{
	static const char *const special[] = {"[vdso]", "[vsyscall]", "[uprobes]"};
	size_t nr = strlen(mapping->path);

	if (mapping->inode) {
		if (ends_with(mapping->path, nr, DELETED))
			nr -= strlen(DELETED);
		return strpool_add(&sym->pool, mapping->path, nr);
	}
	for (size_t i = 0; i < ARRAY_SIZE(special); i++) {
		if (!strcmp(mapping->path, special[i]))
			return strpool_add(&sym->pool, mapping->path, nr);
	}
	return sym->empty;
}

static const struct code *find_code(const struct code_list *codes, uint64_t address)
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

static int add_code(struct code_list *codes, const struct code *code)
{
	int error = ARRAY_GROW(&codes->item, &codes->cap, codes->nr + 1);

	if (!error)
		codes->item[codes->nr++] = *code;
	return error;
}

/* What a mapping that is still there led to before. */
static struct module *known_module(const struct code_list *before, const struct code *code)
{
	const struct code *old = find_code(before, code->start);

	if (!old || old->inode != code->inode || old->dev_major != code->dev_major ||
	    old->dev_minor != code->dev_minor || old->name != code->name)
		return NULL;
	/* the same place of the same file, though perhaps cut or grown since */
	if (code->start - old->start != code->file_offset - old->file_offset)
		return NULL;
	return old->module;
}

struct reading {
	struct symbolizer *sym;
	pid_t tgid;
	const struct code_list *before;
	bool is_gone;
};

static int read_mapping(struct reading *reading, const struct proc_mapping *mapping,
			struct code_list *out)
{
	struct code code = {
		.start = mapping->start,
		.end = mapping->end,
		.file_offset = mapping->file_offset,
		.inode = mapping->inode,
		.dev_major = mapping->dev_major,
		.dev_minor = mapping->dev_minor,
	};
	int error = 0;

	code.name = name_mapping(reading->sym, mapping);
	if (!code.name)
		return -ENOMEM;
	code.module = known_module(reading->before, &code);
	if (mapping->inode && !code.module)
		error = open_module(reading->sym, reading->tgid, mapping, code.name, &code.module);
	if (error == -ESRCH)
		reading->is_gone = true;
	else if (error)
		return error;
	return add_code(out, &code);
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
		error = part.start < part.end ? add_code(out, &part) : 0;
		if (error)
			return error;
		old.file_offset += now->item[i].end - old.start;
		old.start = now->item[i].end;
	}
	return old.start < old.end ? add_code(out, &old) : 0;
}

static int compare_codes(const void *left, const void *right)
{
	const struct code *a = left, *b = right;

	return (a->start > b->start) - (a->start < b->start);
}

/* now, and what before has beside it; a process that loads and unloads for ever is not remembered for ever. */
static int merge_codes(const struct code_list *before, struct code_list *now)
{
	struct code_list kept = {0};
	size_t next = 0;
	int error = 0;

	for (size_t i = 0; i < before->nr && !error; i++)
		error = add_uncovered(&kept, before->item[i], now, &next);
	if (!error && kept.nr && kept.nr + now->nr <= MAX_KEPT_MAPPINGS) {
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

static int process_of_key(struct symbolizer *sym, uint32_t key, struct process **out)
{
	uint64_t at = sym->nr_processes;
	int error;

	if (!map64_get(&sym->process_by_key, key, &at)) {
		error = ARRAY_GROW(&sym->process, &sym->cap_processes, sym->nr_processes + 1);
		if (!error)
			error = map64_put(&sym->process_by_key, key, at);
		if (error)
			return error;
		sym->process[sym->nr_processes++] = (struct process){0};
	}
	*out = &sym->process[at];
	return 0;
}

int symbolizer_add_process(struct symbolizer *sym, uint32_t key, pid_t tgid,
			   const struct proc_maps *maps)
{
	struct reading reading = {.sym = sym, .tgid = tgid};
	struct code_list now = {0};
	struct process *process;
	int error = process_of_key(sym, key, &process);

	if (error)
		return error;
	reading.before = &process->codes;
	for (size_t i = 0; i < maps->nr && !error; i++) {
		if (maps->item[i].exec)
			error = read_mapping(&reading, &maps->item[i], &now);
	}
	if (!error)
		error = merge_codes(&process->codes, &now);
	if (error) {
		free(now.item);
		return error;
	}
	free(process->codes.item);
	process->codes = now;
	return reading.is_gone ? -ESRCH : 0;
}

static int unnamed_frame(const struct symbolizer *sym, const struct code *code, uint64_t address,
			 struct symbol_frame *frame)
{
	uint64_t offset = address;

	if (code->name[0])
		offset = address - code->start + code->file_offset;
	*frame = (struct symbol_frame){
		.function = sym->empty,
		.module = code->name,
		.file = sym->empty,
		.offset = offset,
	};
	return 1;
}

int symbolizer_lookup(struct symbolizer *sym, uint32_t key, uint64_t address,
		      struct symbol_frame *frame)
{
	const struct code *code;
	uint64_t at;
	int nr;

	if (!map64_get(&sym->process_by_key, key, &at))
		return 0;
	code = find_code(&sym->process[at].codes, address);
	if (!code)
		return 0;
	if (!code->module)
		return unnamed_frame(sym, code, address, frame);
	nr = module_lookup(code->module, address - code->start + code->file_offset, frame);
	for (int i = 0; i < nr; i++)
		frame[i].module = code->name;
	return nr;
}
