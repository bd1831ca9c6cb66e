/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "module.h"

#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "debuginfo.h"
#include "debugsections.h"
#include "demangle.h"
#include "fd.h"
#include "log.h"
#include "minidebug.h"
#include "plt.h"
#include "symtab.h"

/* Larger programs are mapped rather than copied: what their debug sections take is then the kernel's to drop. */
#define MODULE_MAX_COPIED_BYTES ((off_t)256 << 20)
#define MODULE_MAX_CACHED 1000000
/* What libelf and the rest take for any file. */
#define MODULE_LOADED_BYTES 16384
#define MODULE_MAX_STUB_BYTES ((size_t)16 << 20)

struct answer {
	int nr;
	struct symbol_frame frame[];
};

struct module {
	struct stat when_opened;
	int fd;
	bool is_loaded;
	bool has_no_room;
	bool is_refused; /* its debug information: it is not tried again */
	const struct module_options *options;
	const char *path;
	struct rootdir *root;
	const char *empty;
	struct debugfile image; /* elf NULL: none that we can read; path and root are not its own */
	struct debugfile debug, common;
	struct elf_file *mini;
	Dwarf *dwarf, *common_dwarf;
	struct debuginfo *info; /* NULL: none */
	struct symtab symbols;
	struct strpool stubs; /* names of the PLT's, which nobody may ever ask for */
	struct strbuf scratch;
	struct map64 cache; /* file offset to struct answer * */
	size_t cache_bytes;
	uint64_t loaded_bytes; /* all but what follows, info and cache */
	uint64_t dwarf_bytes;  /* sections */
};

int module_new(int fd, const char *path, struct rootdir *root, const struct module_options *options,
	       struct module **out)
{
	struct module *module = calloc(1, sizeof(*module));

	if (!module) {
		fd_close(&fd);
		return -ENOMEM;
	}
	module->fd = fd;
	(void)fstat(fd, &module->when_opened); /* zeroed, it fits no file */
	module->path = path;
	module->root = rootdir_get(root);
	module->options = options;
	module->stubs.max_bytes = MODULE_MAX_STUB_BYTES;
	module->empty = strpool_add(options->pool, "", 0);
	if (!module->empty) {
		module_free(module);
		return -ENOMEM;
	}
	*out = module;
	return 0;
}

static void drop_debuginfo(struct module *module)
{
	debuginfo_free(module->info);
	module->info = NULL;
	(void)dwarf_end(module->dwarf);
	(void)dwarf_end(module->common_dwarf);
	module->dwarf = module->common_dwarf = NULL;
	debugfile_release(&module->common);
	module->dwarf_bytes = 0;
}

static void forget_answers(struct module *module)
{
	uint64_t answer;
	size_t pos = 0;

	while (map64_next(&module->cache, &pos, NULL, &answer))
		free((void *)(uintptr_t)answer);
	map64_release(&module->cache);
	module->cache_bytes = 0;
}

void module_unload(struct module *module)
{
	forget_answers(module);
	drop_debuginfo(module);
	symtab_release(&module->symbols);
	strpool_release(&module->stubs);
	module->stubs.max_bytes = MODULE_MAX_STUB_BYTES;
	debugfile_release(&module->debug);
	elf_close(module->mini);
	module->mini = NULL;
	debugfile_release(&module->image);
	module->loaded_bytes = 0;
	module->is_loaded = false;
}

void module_free(struct module *module)
{
	if (!module)
		return;
	module_unload(module);
	strbuf_release(&module->scratch);
	rootdir_put(module->root);
	fd_close(&module->fd);
	free(module);
}

size_t module_bytes(const struct module *module)
{
	size_t bytes = sizeof(*module) + module->loaded_bytes + module->dwarf_bytes +
		       module->cache_bytes + module->cache.cap * sizeof(*module->cache.slot);

	return module->info ? bytes + debuginfo_bytes(module->info) : bytes;
}

/* Of symbol and string tables, which libelf copies from files that are not mapped. */
static uint64_t table_bytes(const struct elf_file *elf)
{
	Elf_Scn *scn = NULL;
	uint64_t bytes = 0;
	GElf_Shdr shdr;

	while ((scn = elf_nextscn(elf->handle, scn)) && bytes < elf->file_bytes) {
		if (gelf_getshdr(scn, &shdr) && shdr.sh_size <= elf->file_bytes &&
		    (shdr.sh_type == SHT_SYMTAB || shdr.sh_type == SHT_DYNSYM ||
		     shdr.sh_type == SHT_STRTAB))
			bytes += shdr.sh_size;
	}
	return bytes;
}

static int open_dwarf(struct module *module, const struct debugfile *file, Dwarf **out)
{
	uint64_t bytes, taken = module->loaded_bytes + module->dwarf_bytes;
	uint64_t max = module->options->max_bytes;
	int error;

	error = debugsections_open(file->elf, file->is_copied, taken < max ? max - taken : 0, out,
				   &bytes);
	if (!error)
		module->dwarf_bytes += bytes;
	return error;
}

/*
 * libdw would open the common file by itself, whatever is at the path that the file gives. So it is set beforehand, and
 * debug information that lacks it is not used.
 */
static int set_common(struct module *module, const struct debugfile *file)
{
	int error = debugfile_find_common(&module->options->places, module->dwarf, file,
					  module->root, &module->common);

	if (error)
		return error == -ENODATA ? 0 : error;
	error = open_dwarf(module, &module->common, &module->common_dwarf);
	if (!error)
		dwarf_setalt(module->dwarf, module->common_dwarf);
	return error;
}

/* Other types of file are relocated when they are loaded: their addresses mean nothing here. */
static bool is_linked(const struct elf_file *elf)
{
	return elf->type == ET_EXEC || elf->type == ET_DYN;
}

static void refuse_debuginfo(struct module *module, int error)
{
	drop_debuginfo(module);
	module->is_refused = true;
	log_warn(
		"the debug information of '%s' takes too %s: names come from its symbol table only",
		module->path, error == -EFBIG ? "much memory" : "long to read");
}

static int load_dwarf(struct module *module, const struct debugfile *file)
{
	int error;

	if (!is_linked(file->elf) || module->is_refused)
		return -ENOENT;
	error = open_dwarf(module, file, &module->dwarf);
	if (!error)
		error = set_common(module, file);
	if (!error)
		error = debuginfo_new(module->dwarf, module->image.elf, &module->info);
	if (!error)
		return 0;
	if (error == -EFBIG || error == -ETIMEDOUT)
		refuse_debuginfo(module, error);
	else
		drop_debuginfo(module);
	return error == -ENOMEM ? error : -ENOENT;
}

static int load_debuginfo(struct module *module)
{
	int error = load_dwarf(module, &module->image);

	if (error != -ENOENT)
		return error;
	error = debugfile_find(&module->options->places, module->image.elf, module->path,
			       module->root, &module->debug);
	if (!error)
		error = load_dwarf(module, &module->debug);
	return error == -ENOENT ? 0 : error;
}

static int add_mini(struct module *module)
{
	size_t nr = 0;
	int error = minidebug_open(module->image.elf, &module->mini);

	if (error)
		return error == -ENOENT ? 0 : error;
	module->loaded_bytes += module->mini->file_bytes + table_bytes(module->mini);
	return symtab_add(&module->symbols, module->mini, SHT_SYMTAB, module->image.elf, &nr);
}

static int load_symbols(struct module *module)
{
	struct elf_file *image = module->image.elf, *debug = module->debug.elf;
	struct symtab *symbols = &module->symbols;
	size_t nr = 0, nr_dynamic = 0;
	int error;

	error = symtab_add(symbols, image, SHT_SYMTAB, image, &nr);
	if (!error && debug)
		error = symtab_add(symbols, debug, SHT_SYMTAB, image, &nr);
	if (!error && !nr)
		error = add_mini(module);
	if (!error)
		error = symtab_add(symbols, image, SHT_DYNSYM, image, &nr_dynamic);
	if (!error)
		error = plt_add(symbols, image, &module->stubs);
	if (!error)
		error = symtab_lay_out(symbols);
	return error;
}

/* It would be unloaded after each lookup, and read again at the next. */
static void refuse_symbols(struct module *module)
{
	module_unload(module);
	if (!module->has_no_room)
		log_warn("the symbols of '%s' take too much memory: no names", module->path);
	module->has_no_room = true;
}

static int load_names(struct module *module)
{
	int error;

	module->loaded_bytes = MODULE_LOADED_BYTES;
	if (module->image.is_copied)
		module->loaded_bytes += table_bytes(module->image.elf);
	error = load_debuginfo(module);
	if (!error && module->debug.elf && module->debug.is_copied)
		module->loaded_bytes += table_bytes(module->debug.elf);
	if (!error)
		error = load_symbols(module);
	module->loaded_bytes += symtab_bytes(&module->symbols) + module->stubs.bytes;
	if (!error && module_bytes(module) > module->options->max_bytes)
		refuse_symbols(module);
	return error;
}

/* Takes over fd. */
static int open_image(struct module *module, int fd, bool is_copied)
{
	struct debugfile *image = &module->image;

	image->root = module->root;
	image->is_copied = is_copied;
	image->path = strdup(module->path);
	if (!image->path) {
		fd_close(&fd);
		return -ENOMEM;
	}
	return elf_open_as(fd, is_copied ? ELF_C_READ : ELF_C_READ_MMAP, &image->elf);
}

/* What it says now, it does not say of the code that is running. */
static bool is_rewritten(const struct module *module, const struct stat *now)
{
	const struct stat *then = &module->when_opened;

	return then->st_size != now->st_size || then->st_mtim.tv_sec != now->st_mtim.tv_sec ||
	       then->st_mtim.tv_nsec != now->st_mtim.tv_nsec;
}

/* Out of memory is the only failure; then the next lookup tries again. */
static int load(struct module *module)
{
	bool is_copied;
	struct stat st;
	int error, fd;

	module->is_loaded |= module->has_no_room;
	if (module->is_loaded)
		return 0;
	fd = fcntl(module->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0 || fstat(fd, &st)) {
		fd_close(&fd);
		return 0; /* no descriptors left: perhaps later */
	}
	if (is_rewritten(module, &st)) {
		log_warn("'%s' was rewritten while it was mapped: no names from it", module->path);
		fd_close(&fd);
		module->is_loaded = true;
		return 0;
	}
	/* who can cut it short could end us, were it mapped */
	is_copied = st.st_size <= MODULE_MAX_COPIED_BYTES || st.st_uid ||
		    st.st_mode & (S_IWGRP | S_IWOTH);
	error = open_image(module, fd, is_copied);
	if (!error)
		error = load_names(module);
	if (error == -ENOMEM) {
		module_unload(module);
		return error;
	}
	module->is_loaded = true;
	return 0;
}

static const char *intern(struct module *module, const char *text)
{
	return text && text[0] ? strpool_add(module->options->pool, text, strlen(text))
			       : module->empty;
}

static const char *intern_demangled(struct module *module, const char *symbol)
{
	if (module->options->no_demangle)
		return intern(module, symbol);
	demangle(symbol, &module->scratch);
	if (strbuf_error(&module->scratch))
		return NULL;
	return intern(module, module->scratch.text);
}

static const char *intern_symbol(struct module *module, const char *symbol)
{
	const char *bare = strpool_add(module->options->pool, symbol, symtab_bare_length(symbol));

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

/* DWARF without linkage names has "put" where the symbol has "_ZN5cache3putEi". */
static bool says_more(const struct debug_frame *frame, uint64_t entry, const char *symbol,
		      uint64_t start)
{
	return !frame->is_mangled && start == entry && symbol[0] == '_' &&
	       (symbol[1] == 'Z' || symbol[1] == 'R');
}

/* The function of the outermost frame, which is a real one and may have a symbol. */
static const char *real_function(struct module *module, uint64_t address,
				 const struct debug_frame *frame, uint64_t entry)
{
	uint64_t start = 0;
	const char *symbol = symtab_find(&module->symbols, address, &start);

	if (symbol && (!frame->name || is_inside_name(frame, entry, symbol, start) ||
		       says_more(frame, entry, symbol, start)))
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
	if (nr == -ETIMEDOUT) {
		refuse_debuginfo(module, nr);
		memset(frame, 0, sizeof(frame));
		entry = 0;
	} else if (nr < 0) {
		return nr;
	}
	if (nr <= 0)
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

	if (module->image.elf && elf_offset_to_address(module->image.elf, file_offset, &address))
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
	else
		module->cache_bytes += sizeof(*answer) + bytes;
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
