/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbolize.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "codes.h"
#include "hash.h"
#include "modules.h"
#include "origin.h"
#include "perfmap.h"
#include "rootdir.h"
#include "strpool.h"
#include "unwind.h"

#define DELETED " (deleted)"
/* Shares of max_bytes that the texts and the tables of perfmap.h may take. */
#define TEXT_SHARE 2
#define PERFMAP_SHARE 4
/* Files that nobody has are looked for when there may be so many that it pays. */
#define SWEEP_MIN_MODULES 64

struct process {
	uint32_t key;
	bool is_known; /* root and jit have been looked at */
	struct codes codes;
	struct rootdir *root; /* NULL: ours */
	struct perfmap *jit;  /* NULL: it had gone by then */
};

struct symbolizer {
	struct strpool pool;
	const char *empty;
	uint64_t max_bytes;
	struct module_options options;
	struct modules *modules;
	size_t swept_modules; /* how many were left by the last sweep */
	size_t nr_removed;    /* processes since then */
	struct process *process;
	size_t nr_processes, cap_processes;
	struct map64 process_by_key;
	size_t perfmap_bytes; /* of all processes */
	struct strbuf name;
};

static int open_places(const struct symbolizer_options *options, struct debugfile_places *out)
{
	int error = 0;

	out->dir = options->debug_dir;
	out->nr_dirs = options->nr_debug_dirs;
	if (options->sysroot)
		error = rootdir_open(options->sysroot, &out->sysroot);
	if (!error && options->debuginfod)
		error = debuginfod_new(&out->server);
	return error;
}

static uint64_t max_bytes_of(const struct symbolizer_options *options)
{
	uint64_t bytes = options->max_bytes ?: SYMBOLIZER_MAX_BYTES;

	return bytes < SYMBOLIZER_MIN_BYTES ? SYMBOLIZER_MIN_BYTES : bytes;
}

int symbolizer_new(const struct symbolizer_options *options, struct symbolizer **out)
{
	static const struct symbolizer_options defaults;
	struct symbolizer *sym = calloc(1, sizeof(*sym));
	int error;

	if (!sym)
		return -ENOMEM;
	options = options ?: &defaults;
	sym->max_bytes = max_bytes_of(options);
	sym->pool.max_bytes = sym->max_bytes / TEXT_SHARE;
	sym->empty = strpool_add(&sym->pool, "", 0);
	sym->options.pool = &sym->pool;
	sym->options.no_demangle = options->no_demangle;
	sym->options.max_bytes = sym->max_bytes;
	error = sym->empty ? open_places(options, &sym->options.places) : -ENOMEM;
	if (!error)
		error = modules_new(&sym->options, &sym->modules);
	if (error)
		symbolizer_free(sym);
	else
		*out = sym;
	return error;
}

static void release_process(struct symbolizer *sym, struct process *process)
{
	codes_release(&process->codes);
	if (process->jit)
		sym->perfmap_bytes -= perfmap_bytes(process->jit);
	perfmap_free(process->jit);
	rootdir_put(process->root);
}

void symbolizer_free(struct symbolizer *sym)
{
	if (!sym)
		return;
	for (size_t i = 0; i < sym->nr_processes; i++)
		release_process(sym, &sym->process[i]);
	free(sym->process);
	map64_release(&sym->process_by_key);
	modules_free(sym->modules);
	debuginfod_free(sym->options.places.server);
	rootdir_put(sym->options.places.sysroot);
	strbuf_release(&sym->name);
	strpool_release(&sym->pool);
	free(sym);
}

void symbolizer_cancel(struct symbolizer *sym)
{
	if (sym->options.places.server)
		debuginfod_cancel(sym->options.places.server);
}

uint64_t symbolizer_bytes(const struct symbolizer *sym)
{
	return modules_bytes(sym->modules) + sym->pool.bytes + sym->perfmap_bytes;
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

/* What a mapping that is still there was before; NULL: it is another. */
static const struct code *known_code(const struct code_list *before, const struct code *code)
{
	const struct code *old = code_list_find(before, code->start);

	if (!old || old->inode != code->inode || old->dev_major != code->dev_major ||
	    old->dev_minor != code->dev_minor || old->name != code->name)
		return NULL;
	/* the same place of the same file, though perhaps cut or grown since */
	if (code->start - old->start != code->file_offset - old->file_offset)
		return NULL;
	/* what is no ELF file may grow */
	if (code->origin != ORIGIN_UNKNOWN && old->origin != ORIGIN_NO_FILE &&
	    code->origin != old->origin)
		return NULL;
	return old->module ? old : NULL;
}

struct reading {
	struct symbolizer *sym;
	pid_t tgid;
	struct rootdir *root;
	const struct code_list *before;
	bool is_gone;
};

static int open_module(struct reading *reading, const struct proc_mapping *mapping,
		       const char *name, struct shared_module **out)
{
	struct modules *modules = reading->sym->modules;

	if (mapping->inode)
		return modules_open(modules, reading->tgid, mapping, name, reading->root, out);
	if (!strcmp(mapping->path, "[vdso]"))
		return modules_open_vdso(modules, mapping, out);
	return 0;
}

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
	const struct code *known;
	int error = 0;

	code.name = name_mapping(reading->sym, mapping);
	if (!code.name)
		return -ENOMEM;
	code.origin = origin_of_mapping(reading->tgid, mapping);
	known = known_code(reading->before, &code);
	if (known) {
		code.module = known->module;
		code.origin = known->origin;
	} else {
		error = open_module(reading, mapping, code.name, &code.module);
		if (mapping->inode && code.module && !modules_is_elf(code.module))
			code.origin = ORIGIN_NO_FILE;
	}
	if (error == -ESRCH)
		reading->is_gone = true;
	else if (error)
		return error;
	return code_list_add(out, &code);
}

static struct process *find_process(const struct symbolizer *sym, uint32_t key)
{
	uint64_t at;

	return map64_get(&sym->process_by_key, key, &at) ? &sym->process[at] : NULL;
}

static int process_of_key(struct symbolizer *sym, uint32_t key, struct process **out)
{
	uint64_t at = sym->nr_processes;
	int error;

	*out = find_process(sym, key);
	if (*out)
		return 0;
	error = ARRAY_GROW(&sym->process, &sym->cap_processes, sym->nr_processes + 1);
	if (!error)
		error = map64_put(&sym->process_by_key, key, at);
	if (error)
		return error;
	sym->process[sym->nr_processes++] = (struct process){.key = key};
	*out = &sym->process[at];
	return 0;
}

/* The processes of a container share one descriptor. */
static struct rootdir *share_root(const struct symbolizer *sym, struct rootdir *root)
{
	struct rootdir *other;

	for (size_t i = 0; root && i < sym->nr_processes; i++) {
		other = sym->process[i].root;
		if (other && rootdir_is_same(other, root)) {
			rootdir_put(root);
			return rootdir_get(other);
		}
	}
	return root;
}

/* What is only to be had while it lives. A process that has gone is as one without: its maps may still tell names. */
static int get_to_know(struct symbolizer *sym, pid_t tgid, struct process *process)
{
	struct rootdir *root = NULL;
	int error = process->is_known ? 0 : rootdir_open_process(tgid, &root);

	if (process->is_known || error)
		return error == -ENOMEM ? error : 0;
	root = share_root(sym, root);
	rootdir_put(process->root); /* that of its parent, until now */
	process->root = NULL;
	error = perfmap_new(tgid, root, &process->jit);
	if (error == -ENOMEM) {
		rootdir_put(root);
		return error;
	}
	if (process->jit)
		sym->perfmap_bytes += perfmap_bytes(process->jit);
	process->root = root;
	process->is_known = true;
	return 0;
}

static void mark(const struct code_list *codes)
{
	for (size_t i = 0; i < codes->nr; i++) {
		if (codes->item[i].module)
			modules_mark(codes->item[i].module);
	}
}

static void sweep(struct symbolizer *sym)
{
	for (size_t i = 0; i < sym->nr_processes; i++) {
		mark(&sym->process[i].codes.now);
		mark(&sym->process[i].codes.past);
	}
	modules_sweep(sym->modules);
	sym->swept_modules = modules_count(sym->modules);
	sym->nr_removed = 0;
}

/* A sweep looks at all processes: this keeps its cost in proportion to what has changed. */
static void sweep_if_worth_it(struct symbolizer *sym)
{
	if (modules_count(sym->modules) > 2 * sym->swept_modules + SWEEP_MIN_MODULES ||
	    sym->nr_removed > sym->nr_processes / 4)
		sweep(sym);
}

/* While it is there. */
static void hold_perfmap(struct symbolizer *sym, struct process *process)
{
	if (!process->jit)
		return;
	sym->perfmap_bytes -= perfmap_bytes(process->jit);
	perfmap_open(process->jit);
	sym->perfmap_bytes += perfmap_bytes(process->jit);
}

int symbolizer_add_process(struct symbolizer *sym, uint32_t key, pid_t tgid,
			   const struct proc_maps *maps)
{
	struct reading reading = {.sym = sym, .tgid = tgid};
	struct code_list now = {0};
	struct process *process;
	int error = process_of_key(sym, key, &process);

	if (!error)
		error = get_to_know(sym, tgid, process);
	if (error)
		return error;
	reading.before = &process->codes.now;
	reading.root = process->root;
	for (size_t i = 0; i < maps->nr && !error; i++) {
		if (maps->item[i].exec)
			error = read_mapping(&reading, &maps->item[i], &now);
	}
	if (!error)
		error = codes_replace(&process->codes, &now);
	if (error) {
		code_list_release(&now);
		return error;
	}
	hold_perfmap(sym, process);
	sweep_if_worth_it(sym);
	return reading.is_gone ? -ESRCH : 0;
}

int symbolizer_copy_process(struct symbolizer *sym, uint32_t key, uint32_t from)
{
	struct process *process;
	int error;

	if (find_process(sym, key) || !find_process(sym, from))
		return 0;
	error = process_of_key(sym, key, &process);
	if (error)
		return error;
	process->root = rootdir_get(find_process(sym, from)->root);
	return codes_copy(&process->codes, &find_process(sym, from)->codes);
}

void symbolizer_remove_process(struct symbolizer *sym, uint32_t key)
{
	struct process *process = find_process(sym, key), *last;

	if (!process)
		return;
	release_process(sym, process);
	last = &sym->process[--sym->nr_processes];
	if (process != last) {
		*process = *last;
		/* replacing does not fail */
		(void)map64_put(&sym->process_by_key, process->key,
				(uint64_t)(process - sym->process));
	}
	(void)map64_remove(&sym->process_by_key, key);
	sym->nr_removed++;
	sweep_if_worth_it(sym);
}

static int unnamed_frame(const struct symbolizer *sym, const struct code *code, uint64_t address,
			 struct symbol_frame *frame)
{
	uint64_t offset = address;

	if (code->inode || code->name[0])
		offset = address - code->start + code->file_offset;
	*frame = (struct symbol_frame){
		.function = sym->empty,
		.module = code->name,
		.file = sym->empty,
		.offset = offset,
	};
	return 1;
}

/* Memory that has a file only in name: what perf takes for anonymous, too. */
static bool is_anonymous(const struct code *code)
{
	static const char *const prefix[] = {"/memfd:", "/dev/zero", "/anon_hugepage", "/SYSV"};

	if (!code->inode && !code->name[0])
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(prefix); i++) {
		if (!strncmp(code->name, prefix[i], strlen(prefix[i])))
			return true;
	}
	return false;
}

/* The table of one process may take all of the share, but not those of many. */
static void trim_perfmaps(struct symbolizer *sym, const struct perfmap *but)
{
	struct perfmap *jit;

	if (sym->perfmap_bytes <= sym->max_bytes / PERFMAP_SHARE)
		return;
	for (size_t i = 0; i < sym->nr_processes; i++) {
		jit = sym->process[i].jit;
		if (!jit || jit == but)
			continue;
		sym->perfmap_bytes -= perfmap_bytes(jit);
		perfmap_forget(jit);
		sym->perfmap_bytes += perfmap_bytes(jit);
	}
}

/* 1: it has a name; 0: it has none; -ENOMEM. */
static int name_compiled(struct symbolizer *sym, const struct process *process, uint64_t address,
			 struct symbol_frame *frame)
{
	const char *path = perfmap_path(process->jit);
	int found;

	sym->perfmap_bytes -= perfmap_bytes(process->jit);
	found = perfmap_find(process->jit, address, &sym->name);
	sym->perfmap_bytes += perfmap_bytes(process->jit);
	trim_perfmaps(sym, process->jit);
	if (found != 1)
		return found;
	*frame = (struct symbol_frame){
		.function = strpool_add(&sym->pool, sym->name.text, sym->name.nr),
		.module = strpool_add(&sym->pool, path, strlen(path)),
		.file = sym->empty,
		.offset = address,
	};
	return frame->function && frame->module ? 1 : -ENOMEM;
}

static int name_in_module(struct symbolizer *sym, const struct code *code, uint64_t address,
			  struct symbol_frame *frame)
{
	int nr = modules_lookup(sym->modules, code->module,
				address - code->start + code->file_offset, frame);
	uint64_t others = sym->pool.bytes + sym->perfmap_bytes;

	for (int i = 0; i < nr; i++)
		frame[i].module = code->name;
	modules_trim(sym->modules, others < sym->max_bytes ? sym->max_bytes - others : 0);
	return nr;
}

int symbolizer_lookup(struct symbolizer *sym, uint32_t key, uint64_t address,
		      struct symbol_frame *frame)
{
	const struct process *process = find_process(sym, key);
	const struct code *code;
	uint16_t origin = SEEP_FRAME_ORIGIN(address);
	int nr;

	address &= SEEP_FRAME_ADDRESS;
	nr = process ? codes_find(&process->codes, address, origin, &code) : -ENOENT;
	if (nr)
		return nr == -ENOENT ? 0 : nr;
	if (process->jit && is_anonymous(code)) {
		nr = name_compiled(sym, process, address, frame);
		if (nr)
			return nr;
	}
	if (!code->module)
		return unnamed_frame(sym, code, address, frame);
	return name_in_module(sym, code, address, frame);
}
