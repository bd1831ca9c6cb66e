/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "module.h"

#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "debugfile.h"
#include "debuginfo.h"
#include "debugsections.h"
#include "demangle.h"
#include "fd.h"
#include "symtab.h"

/* Larger programs are mapped rather than copied: what their debug sections take is then the kernel's to drop. */
#define MODULE_MAX_COPIED_BYTES ((off_t)256 << 20)
#define MODULE_MAX_CACHED 1000000

struct answer {
	int nr;
	struct symbol_frame frame[];
};

struct module {
	int fd; /* until it is loaded */
	bool is_loaded;
	const char *path;
	struct strpool *pool;
	const char *empty;
	struct elf_file *image; /* NULL: no ELF file that we can read */
	struct debugfile debug, common;
	Dwarf *dwarf, *common_dwarf;
	struct debuginfo *info; /* NULL: none */
	struct symtab symbols;
	struct strbuf scratch;
	struct map64 cache; /* file offset to struct answer * */
};

int module_new(int fd, const char *path, struct strpool *pool, struct module **out)
{
	struct module *module = calloc(1, sizeof(*module));

	if (!module) {
		fd_close(&fd);
		return -ENOMEM;
	}
	module->fd = fd;
	module->path = path;
	module->pool = pool;
	module->empty = strpool_add(pool, "", 0);
	if (!module->empty) {
		module_free(module);
		return -ENOMEM;
	}
	*out = module;
	return 0;
}

static void unload(struct module *module)
{
	debuginfo_free(module->info);
	module->info = NULL;
	symtab_release(&module->symbols);
	(void)dwarf_end(module->dwarf);
	(void)dwarf_end(module->common_dwarf);
	module->dwarf = module->common_dwarf = NULL;
	debugfile_release(&module->debug);
	debugfile_release(&module->common);
	elf_close(module->image);
	module->image = NULL;
}

void module_free(struct module *module)
{
	uint64_t answer;
	size_t pos = 0;

	if (!module)
		return;
	while (map64_next(&module->cache, &pos, NULL, &answer))
		free((void *)(uintptr_t)answer);
	map64_release(&module->cache);
	unload(module);
	strbuf_release(&module->scratch);
	fd_close(&module->fd);
	free(module);
}

/*
 * libdw would open the common file by itself, whatever is at the path that the file gives. So it is set beforehand, and
 * debug information that lacks it is not used.
 */
static int set_common(struct module *module, const char *path)
{
	int error = debugfile_find_common(module->dwarf, path, &module->common);

	if (error)
		return error == -ENODATA ? 0 : error;
	module->common_dwarf = debugsections_open(module->common.elf);
	if (!module->common_dwarf)
		return -ENOENT;
	dwarf_setalt(module->dwarf, module->common_dwarf);
	return 0;
}

/* Other types of file are relocated when they are loaded: their addresses mean nothing here. */
static bool is_linked(const struct elf_file *elf)
{
	return elf->type == ET_EXEC || elf->type == ET_DYN;
}

static int load_dwarf(struct module *module, struct elf_file *elf, const char *path)
{
	int error;

	if (!is_linked(elf))
		return -ENOENT;
	module->dwarf = debugsections_open(elf);
	if (!module->dwarf)
		return -ENOENT;
	error = set_common(module, path);
	if (!error)
		error = debuginfo_new(module->dwarf, module->image, &module->info);
	if (error) {
		(void)dwarf_end(module->dwarf);
		(void)dwarf_end(module->common_dwarf);
		module->dwarf = module->common_dwarf = NULL;
		debugfile_release(&module->common);
	}
	return error;
}

static int load_names(struct module *module)
{
	int error = load_dwarf(module, module->image, module->path);

	if (error == -ENOENT) {
		error = debugfile_find(module->image, module->path, &module->debug);
		if (!error)
			error = load_dwarf(module, module->debug.elf, module->debug.path);
	}
	if (error && error != -ENOENT)
		return error;
	error = symtab_add(&module->symbols, module->image, SHT_SYMTAB, module->image);
	if (!error)
		error = symtab_add(&module->symbols, module->image, SHT_DYNSYM, module->image);
	if (!error && module->debug.elf)
		error = symtab_add(&module->symbols, module->debug.elf, SHT_SYMTAB, module->image);
	if (!error)
		symtab_sort(&module->symbols);
	return error;
}

/* Out of memory is the only failure; then the next lookup tries again. */
static int load(struct module *module)
{
	struct stat st;
	int error, fd;

	if (module->is_loaded)
		return 0;
	fd = fcntl(module->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0 || fstat(fd, &st)) {
		fd_close(&fd);
		return 0; /* no descriptors left: perhaps later */
	}
	error = elf_open_as(fd, st.st_size > MODULE_MAX_COPIED_BYTES ? ELF_C_READ_MMAP : ELF_C_READ,
			    &module->image);
	if (!error)
		error = load_names(module);
	if (error == -ENOMEM) {
		unload(module);
		return error;
	}
	module->is_loaded = true;
	fd_close(&module->fd);
	return 0;
}

static const char *intern(struct module *module, const char *text)
{
	return text && text[0] ? strpool_add(module->pool, text, strlen(text)) : module->empty;
}

static const char *intern_demangled(struct module *module, const char *symbol)
{
	demangle(symbol, &module->scratch);
	if (strbuf_error(&module->scratch))
		return NULL;
	return intern(module, module->scratch.text);
}

static const char *intern_symbol(struct module *module, const char *symbol)
{
	const char *bare = strpool_add(module->pool, symbol, symtab_bare_length(symbol));

	return bare ? intern_demangled(module, bare) : NULL;
}

/*
 * A library's own name for a function that others know by another, as "__libc_malloc" for malloc(): its debug
 * information knows the former only.
 */
static bool is_inside_name(const struct debug_frame *frame, uint64_t entry, const char *symbol,
			   uint64_t start)
{
	return !frame->is_mangled && frame->name[0] == '_' && start == entry &&
	       symtab_underscores(symbol) < symtab_underscores(frame->name);
}

/* The function of the outermost frame, which is a real one and may have a symbol. */
static const char *real_function(struct module *module, uint64_t address,
				 const struct debug_frame *frame, uint64_t entry)
{
	uint64_t start = 0;
	const char *symbol = symtab_find(&module->symbols, address, &start);

	if (symbol && (!frame->name || is_inside_name(frame, entry, symbol, start)))
		return intern_symbol(module, symbol);
	if (frame->is_mangled)
		return intern_demangled(module, frame->name);
	return intern(module, frame->name);
}

static const char *inlined_function(struct module *module, const struct debug_frame *frame)
{
	if (frame->is_mangled)
		return intern_demangled(module, frame->name);
	return intern(module, frame->name);
}

static int name_frames(struct module *module, uint64_t address, struct symbol_frame *out)
{
	struct debug_frame frame[SYMBOLIZE_MAX_FRAMES] = {0};
	uint64_t entry = 0;
	int nr = 0;

	if (module->info)
		nr = debuginfo_lookup(module->info, address, frame, SYMBOLIZE_MAX_FRAMES, &entry);
	if (nr < 0)
		return nr;
	if (!nr)
		nr = 1;
	for (int i = 0; i < nr; i++) {
		bool is_last = i == nr - 1;

		out[i] = (struct symbol_frame){
			.function = is_last ? real_function(module, address, &frame[i], entry)
					    : inlined_function(module, &frame[i]),
			.module = module->empty,
			.file = intern(module, frame[i].file),
			.line = frame[i].line,
			.offset = address,
			.inlined = !is_last,
		};
		if (!out[i].function || !out[i].file)
			return -ENOMEM;
	}
	return nr;
}

/* Where no segment says what is there, the offset in the file is all there is to tell. */
static int resolve(struct module *module, uint64_t file_offset, struct symbol_frame *out)
{
	uint64_t address;

	if (module->image && elf_offset_to_address(module->image, file_offset, &address))
		return name_frames(module, address, out);
	*out = (struct symbol_frame){
		.function = module->empty,
		.module = module->empty,
		.file = module->empty,
		.offset = file_offset,
	};
	return 1;
}

/* Failing to keep it costs time only. */
static void keep(struct module *module, uint64_t file_offset, const struct symbol_frame *frame,
		 int nr)
{
	size_t bytes = (size_t)nr * sizeof(*frame);
	struct answer *answer;

	if (module->cache.nr >= MODULE_MAX_CACHED)
		return;
	answer = malloc(sizeof(*answer) + bytes);
	if (!answer)
		return;
	answer->nr = nr;
	memcpy(answer->frame, frame, bytes);
	if (map64_put(&module->cache, file_offset, (uintptr_t)answer))
		free(answer);
}

int module_lookup(struct module *module, uint64_t file_offset, struct symbol_frame *frame)
{
	const struct answer *answer;
	uint64_t kept;
	int nr = load(module);

	if (nr)
		return nr;
	if (map64_get(&module->cache, file_offset, &kept)) {
		answer = (const struct answer *)(uintptr_t)kept;
		memcpy(frame, answer->frame, (size_t)answer->nr * sizeof(*frame));
		return answer->nr;
	}
	nr = resolve(module, file_offset, frame);
	if (nr > 0 && module->is_loaded)
		keep(module, file_offset, frame, nr);
	return nr;
}
