/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "fd.h"
#include "hash.h"
#include "unwinder_object.h"

#define BUILD_ID_HEX_BYTES 132 /* of 64 bytes; longer ones are not gone by */

/* A file, as the mappings of any process tell it, and how it was when it was opened. */
struct file_id {
	uint64_t inode;
	uint64_t size;
	uint64_t changed_ns;
	uint32_t dev_major, dev_minor;
};

struct known_file {
	struct file_id id;
	struct shared_module *module;
	struct known_file *next; /* of the same module */
};

struct content_id {
	char build_id[BUILD_ID_HEX_BYTES]; /* "": none */
	uint64_t size;
	uid_t uid;
};

struct shared_module {
	struct module *module;
	struct content_id content;
	struct known_file *files;
	size_t bytes;  /* when it was last looked at */
	uint64_t used; /* grows with each lookup in any */
	bool is_elf;
	bool is_marked;
};

struct modules {
	const struct module_options *options;
	struct shared_module **item;
	size_t nr, cap;
	/* hashes to the last such struct known_file *, or struct shared_module * */
	struct map64 by_file, by_inode, by_content;
	struct shared_module *vdso;
	uint64_t vdso_bytes; /* 0: not looked at */
	size_t bytes;
	uint64_t clock;
};

int modules_new(const struct module_options *options, struct modules **out)
{
	struct modules *modules = calloc(1, sizeof(*modules));

	if (!modules)
		return -ENOMEM;
	modules->options = options;
	*out = modules;
	return 0;
}

static void free_module(struct shared_module *module)
{
	struct known_file *next;

	for (struct known_file *file = module->files; file; file = next) {
		next = file->next;
		free(file);
	}
	module_free(module->module);
	free(module);
}

void modules_free(struct modules *modules)
{
	if (!modules)
		return;
	for (size_t i = 0; i < modules->nr; i++)
		free_module(modules->item[i]);
	free(modules->item);
	map64_release(&modules->by_file);
	map64_release(&modules->by_inode);
	map64_release(&modules->by_content);
	free(modules);
}

static uint64_t hash_inode(const struct file_id *id)
{
	return hash_pair((uint64_t)id->dev_major << 32 | id->dev_minor, id->inode);
}

static uint64_t hash_file(const struct file_id *id)
{
	return hash_pair(hash_pair(hash_inode(id), id->size), id->changed_ns);
}

static uint64_t hash_content(const struct content_id *id)
{
	return hash_pair(hash_bytes(id->build_id, strlen(id->build_id), id->uid), id->size);
}

static bool is_same_inode(const struct file_id *a, const struct file_id *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

static struct known_file *known_at(const struct map64 *map, uint64_t hash)
{
	uint64_t at;

	return map64_get(map, hash, &at) ? (struct known_file *)(uintptr_t)at : NULL;
}

static struct shared_module *find_inode(const struct modules *modules, const struct file_id *id)
{
	const struct known_file *file = known_at(&modules->by_inode, hash_inode(id));

	return file && is_same_inode(&file->id, id) ? file->module : NULL;
}

static struct shared_module *find_file(const struct modules *modules, const struct file_id *id)
{
	const struct known_file *file = known_at(&modules->by_file, hash_file(id));

	if (!file || !is_same_inode(&file->id, id) || file->id.size != id->size ||
	    file->id.changed_ns != id->changed_ns)
		return NULL;
	return file->module;
}

static struct shared_module *find_content(const struct modules *modules,
					  const struct content_id *id)
{
	struct shared_module *module;
	uint64_t at;

	if (!id->build_id[0] || !map64_get(&modules->by_content, hash_content(id), &at))
		return NULL;
	module = (struct shared_module *)(uintptr_t)at;
	if (module->content.size != id->size || module->content.uid != id->uid ||
	    strcmp(module->content.build_id, id->build_id) != 0)
		return NULL;
	return module;
}

static int add_known(struct modules *modules, struct shared_module *module,
		     const struct file_id *id)
{
	struct known_file *file = malloc(sizeof(*file));
	int error;

	if (!file)
		return -ENOMEM;
	*file = (struct known_file){.id = *id, .module = module, .next = module->files};
	module->files = file;
	error = map64_put(&modules->by_file, hash_file(id), (uintptr_t)file);
	if (!error)
		error = map64_put(&modules->by_inode, hash_inode(id), (uintptr_t)file);
	return error;
}

/* Takes over fd. */
static int add_module(struct modules *modules, int fd, const char *path, struct rootdir *root,
		      struct shared_module **out)
{
	struct shared_module *module = calloc(1, sizeof(*module));
	int error = module ? ARRAY_GROW(&modules->item, &modules->cap, modules->nr + 1) : -ENOMEM;

	if (error) {
		free(module);
		fd_close(&fd);
		return error;
	}
	error = module_new(fd, path, root, modules->options, &module->module);
	if (error) {
		free(module);
		return error;
	}
	modules->item[modules->nr++] = module;
	*out = module;
	return 0;
}

static void read_content(int fd, const struct stat *st, struct content_id *out)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct elf_file *elf;

	*out = (struct content_id){.size = (uint64_t)st->st_size, .uid = st->st_uid};
	if (copy < 0 || elf_open_fd(copy, &elf))
		return;
	if (elf_build_id(elf, out->build_id, sizeof(out->build_id)))
		out->build_id[0] = '\0';
	elf_close(elf);
}

/* Takes over fd, that of a file not known by its id. */
static int take_file(struct modules *modules, int fd, const struct stat *st, const char *path,
		     struct rootdir *root, struct shared_module **out)
{
	struct content_id content;
	bool is_elf = object_is_elf(fd) == 1;
	int error;

	read_content(fd, st, &content);
	*out = find_content(modules, &content);
	if (*out) {
		fd_close(&fd);
		return 0;
	}
	error = add_module(modules, fd, path, root, out);
	if (error)
		return error;
	(*out)->content = content;
	(*out)->is_elf = is_elf;
	return content.build_id[0]
		       ? map64_put(&modules->by_content, hash_content(&content), (uintptr_t)*out)
		       : 0;
}

int modules_open(struct modules *modules, pid_t tgid, const struct proc_mapping *mapping,
		 const char *path, struct rootdir *root, struct shared_module **out)
{
	struct file_id id = {
		.inode = mapping->inode,
		.dev_major = mapping->dev_major,
		.dev_minor = mapping->dev_minor,
	};
	int fd = proc_open_mapping(tgid, mapping), error = fd;
	struct stat st;

	*out = NULL;
	/* no such mapping: so it is with a process that has exited, and that nobody has waited for */
	if (fd == -ESRCH || fd == -ENOENT)
		*out = find_inode(modules, &id);
	if ((fd == -ESRCH || fd == -ENOENT) && !*out)
		fd = proc_open_left(mapping);
	if (fd < 0) {
		if (!*out)
			*out = find_inode(modules, &id);
		return error == -ESRCH || error == -ENOMEM ? error : 0;
	}
	if (fstat(fd, &st)) {
		fd_close(&fd);
		return 0;
	}
	id.size = (uint64_t)st.st_size;
	id.changed_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
	*out = find_file(modules, &id);
	if (*out) {
		fd_close(&fd);
		return 0;
	}
	error = take_file(modules, fd, &st, path, root, out);
	return error ? error : add_known(modules, *out, &id);
}

/* The length of our own, by our own maps. 1: there is none. */
static uint64_t own_vdso_bytes(uint64_t start)
{
	const struct proc_mapping *mapping;
	struct proc_maps maps;
	uint64_t bytes = 1;

	proc_maps_init(&maps);
	if (start && !proc_maps_read(&maps, getpid())) {
		mapping = proc_maps_find(&maps, start);
		if (mapping && !strcmp(mapping->path, "[vdso]"))
			bytes = mapping->end - mapping->start;
	}
	proc_maps_release(&maps);
	return bytes;
}

static int copy_vdso(struct modules *modules, const void *start)
{
	int fd = memfd_create("vdso", MFD_CLOEXEC);

	if (fd < 0)
		return 0;
	if (fd_write_all(fd, start, modules->vdso_bytes)) {
		fd_close(&fd);
		return 0;
	}
	return add_module(modules, fd, "[vdso]", NULL, &modules->vdso);
}

int modules_open_vdso(struct modules *modules, const struct proc_mapping *mapping,
		      struct shared_module **out)
{
	uint64_t start = getauxval(AT_SYSINFO_EHDR);
	int error = 0;

	if (!modules->vdso_bytes)
		modules->vdso_bytes = own_vdso_bytes(start);
	*out = NULL;
	/* those of 32-bit processes are others, and lie below 4 GiB */
	if (mapping->end - mapping->start != modules->vdso_bytes || mapping->start <= UINT32_MAX)
		return 0;
	if (!modules->vdso)
		error = copy_vdso(modules, (const void *)(uintptr_t)start);
	*out = modules->vdso;
	return error;
}

bool modules_is_elf(const struct shared_module *module)
{
	return module->is_elf;
}

static void account(struct modules *modules, struct shared_module *module)
{
	modules->bytes -= module->bytes;
	module->bytes = module_bytes(module->module);
	modules->bytes += module->bytes;
}

int modules_lookup(struct modules *modules, struct shared_module *module, uint64_t file_offset,
		   struct symbol_frame *frame)
{
	int nr = module_lookup(module->module, file_offset, frame);

	module->used = ++modules->clock;
	account(modules, module);
	return nr;
}

/* Of what unloading would give back, the least recently used. */
static struct shared_module *find_oldest(const struct modules *modules)
{
	struct shared_module *oldest = NULL;

	for (size_t i = 0; i < modules->nr; i++) {
		if (modules->item[i]->used && (!oldest || modules->item[i]->used < oldest->used))
			oldest = modules->item[i];
	}
	return oldest;
}

void modules_trim(struct modules *modules, uint64_t max_bytes)
{
	struct shared_module *oldest;

	while (modules->bytes > max_bytes && (oldest = find_oldest(modules))) {
		module_unload(oldest->module);
		oldest->used = 0;
		account(modules, oldest);
	}
}

size_t modules_bytes(const struct modules *modules)
{
	return modules->bytes;
}

size_t modules_count(const struct modules *modules)
{
	return modules->nr;
}

void modules_mark(struct shared_module *module)
{
	module->is_marked = true;
}

static void remove_if_at(struct map64 *map, uint64_t hash, const void *what)
{
	uint64_t at;

	if (map64_get(map, hash, &at) && at == (uintptr_t)what)
		(void)map64_remove(map, hash);
}

static void close_module(struct modules *modules, struct shared_module *module)
{
	for (struct known_file *file = module->files; file; file = file->next) {
		remove_if_at(&modules->by_file, hash_file(&file->id), file);
		remove_if_at(&modules->by_inode, hash_inode(&file->id), file);
	}
	remove_if_at(&modules->by_content, hash_content(&module->content), module);
	modules->bytes -= module->bytes;
	free_module(module);
}

void modules_sweep(struct modules *modules)
{
	size_t nr = 0;

	if (modules->vdso)
		modules->vdso->is_marked = true;
	for (size_t i = 0; i < modules->nr; i++) {
		struct shared_module *module = modules->item[i];

		if (!module->is_marked) {
			close_module(modules, module);
			continue;
		}
		module->is_marked = false;
		modules->item[nr++] = module;
	}
	modules->nr = nr;
}
