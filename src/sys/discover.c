// SPDX-License-Identifier: GPL-2.0-or-later
#include "discover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "array.h"
#include "elf.h"
#include "fd.h"
#include "log.h"

#define MAX_FUNCTIONS 128
_Static_assert(MAX_FUNCTIONS <= DISCOVER_MAX_SITES, "a site for each");
#define MAX_FUNCTION_BYTES 4096

void discover_init(struct discover *d)
{
	*d = (struct discover){0};
}

static void object_free(struct discover_object *object)
{
	free(object->path);
	free(object->site);
	free(object);
}

void discover_release(struct discover *d)
{
	size_t i;

	for (i = 0; i < d->nr; i++)
		object_free(d->object[i]);
	free(d->object);
	discover_init(d);
}

static uint64_t changed_ns(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec;
}

static const struct discover_object *object_find(const struct discover *d, const struct stat *st)
{
	size_t i;

	for (i = 0; i < d->nr; i++) {
		if (d->object[i]->inode == st->st_ino &&
		    d->object[i]->dev_major == major(st->st_dev) &&
		    d->object[i]->dev_minor == minor(st->st_dev) &&
		    d->object[i]->bytes == (uint64_t)st->st_size &&
		    d->object[i]->changed_ns == changed_ns(st))
			return d->object[i];
	}
	return NULL;
}

static bool exports(const char *symbol, void *arg)
{
	struct elf_symbol out;
	bool found = false;

	return elf_find_functions(arg, &symbol, 1, &out, &found) > 0 && found;
}

static int place_one(struct elf_file *elf, const struct allocator_function *function,
		     const struct elf_symbol *symbol, struct discover_site *site)
{
	uint8_t code[MAX_FUNCTION_BYTES];
	size_t want = symbol->size && symbol->size < sizeof(code) ? symbol->size : sizeof(code);
	int64_t nr = elf_read(elf, symbol->file_offset, code, want);
	int err;

	if (nr <= 0)
		return nr < 0 ? (int)nr : -EINVAL;
	err = placement_choose(function, elf_machine(elf), code, (size_t)nr, &site->placement);
	if (err)
		return err;
	site->function = function;
	site->function_offset = symbol->file_offset;
	site->file_offset = symbol->file_offset + site->placement.offset;
	return 0;
}

static bool has_site(const struct discover_object *object, uint64_t function_offset)
{
	size_t i;

	for (i = 0; i < object->nr_sites; i++) {
		if (object->site[i].function_offset == function_offset)
			return true;
	}
	return false;
}

static int site_order(const void *a, const void *b)
{
	const struct discover_site *x = a, *y = b;
	int free_x = x->function->role == ROLE_FREE, free_y = y->function->role == ROLE_FREE;

	if (free_x != free_y)
		return free_y - free_x;
	return x->file_offset < y->file_offset ? -1 : x->file_offset > y->file_offset;
}

static int place_all(struct elf_file *elf, struct discover_object *object, bool operators)
{
	size_t nr, i;
	const struct allocator_function *function = allocator_functions(&nr);
	const char *name[MAX_FUNCTIONS];
	struct elf_symbol symbol[MAX_FUNCTIONS];
	bool found[MAX_FUNCTIONS] = {false};
	int err;

	if (nr > MAX_FUNCTIONS)
		BUG("%zu allocator functions", nr);
	for (i = 0; i < nr; i++)
		name[i] = function[i].symbol;
	err = elf_find_functions(elf, name, nr, symbol, found);
	if (err < 0)
		return err;
	object->site = calloc(nr, sizeof(*object->site));
	if (!object->site)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		if (!found[i] || symbol[i].is_ifunc ||
		    (!operators && allocator_function_is_operator(&function[i])) ||
		    has_site(object, symbol[i].file_offset))
			continue;
		err = place_one(elf, &function[i], &symbol[i], &object->site[object->nr_sites]);
		if (err)
			log_warn("cannot place a probe on '%s' in '%s': %s, leaving it out",
				 function[i].symbol, object->path, strerror(-err));
		else
			object->nr_sites++;
	}
	qsort(object->site, object->nr_sites, sizeof(*object->site), site_order);
	return 0;
}

/* An allocator is what defines both; a library that only wraps one of them is none. */
static int search(struct elf_file *elf, struct discover_object *object)
{
	static const char *const both[] = {"malloc", "free"};
	const struct allocator_family *family;
	struct elf_symbol symbol[2];
	bool found[2] = {false};
	int nr = elf_find_functions(elf, both, 2, symbol, found);

	if (nr < 0)
		return nr == -ENOENT ? 0 : nr;
	if (!found[0] || !found[1])
		return 0;
	family = allocator_family_of(exports, elf);
	object->family = family->name;
	return place_all(elf, object, family->has_operators);
}

int discover_file(struct discover *d, int fd, const char *path, const struct discover_object **out)
{
	struct discover_object *object;
	struct elf_file *elf = NULL;
	struct stat st;
	int copy, err;

	if (fstat(fd, &st))
		return -errno;
	*out = object_find(d, &st);
	if (*out)
		return 0;
	if (ARRAY_GROW(&d->object, &d->cap, d->nr + 1))
		return -ENOMEM;
	object = calloc(1, sizeof(*object));
	if (!object)
		return -ENOMEM;
	object->path = strdup(path);
	if (!object->path) {
		free(object);
		return -ENOMEM;
	}
	object->inode = st.st_ino;
	object->dev_major = major(st.st_dev);
	object->dev_minor = minor(st.st_dev);
	object->bytes = (uint64_t)st.st_size;
	object->changed_ns = changed_ns(&st);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	err = copy < 0 ? -errno : elf_open_fd(copy, &elf);
	if (!err)
		err = search(elf, object);
	elf_close(elf);
	if (err == -ENOMEM || err == -EMFILE || err == -ENFILE) { /* it may be read the next time */
		object_free(object);
		return err;
	}
	d->object[d->nr++] = object;
	*out = object;
	return err;
}

static bool already_found(const struct discover_found *found, size_t nr,
			  const struct discover_object *object)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		if (found[i].object == object)
			return true;
	}
	return false;
}

static bool same_file_before(const struct proc_maps *maps, size_t at)
{
	const struct proc_mapping *m = &maps->item[at], *o;
	size_t i;

	for (i = 0; i < at; i++) {
		o = &maps->item[i];
		if (o->exec && o->inode == m->inode && o->dev_major == m->dev_major &&
		    o->dev_minor == m->dev_minor)
			return true;
	}
	return false;
}

static int add_found(struct discover_found **found, size_t *nr, size_t *cap,
		     const struct discover_object *object)
{
	if (ARRAY_GROW(found, cap, *nr + 1))
		return -ENOMEM;
	(*found)[*nr] = (struct discover_found){.object = object};
	(*nr)++;
	return 0;
}

int discover_process(struct discover *d, pid_t tgid, const struct proc_maps *maps,
		     struct discover_found **found, size_t *nr, size_t *nr_searched)
{
	const struct discover_object *object;
	const struct proc_mapping *m;
	size_t cap = 0, i;
	int fd, err;

	*found = NULL;
	*nr = *nr_searched = 0;
	for (i = 0; i < maps->nr; i++) {
		m = &maps->item[i];
		if (!m->exec || !m->inode || same_file_before(maps, i))
			continue;
		fd = proc_open_mapping(tgid, m);
		if (fd < 0) {
			log_verbose("cannot open '%s' of %d: %s, not searched", m->path, (int)tgid,
				    strerror(-fd));
			continue;
		}
		(*nr_searched)++;
		err = discover_file(d, fd, m->path, &object);
		fd_close(&fd);
		if (err == -ENOMEM)
			return err;
		if (err)
			log_verbose("cannot search '%s': %s", m->path, strerror(-err));
		if (err || !object->family || already_found(*found, *nr, object))
			continue;
		if (add_found(found, nr, &cap, object))
			return -ENOMEM;
		err = proc_mapping_path(tgid, m, (*found)[*nr - 1].kernel_path,
					sizeof((*found)[0].kernel_path));
		if (err) {
			log_verbose("cannot probe '%s' of %d: %s", m->path, (int)tgid,
				    strerror(-err));
			(*nr)--;
		}
	}
	return 0;
}
