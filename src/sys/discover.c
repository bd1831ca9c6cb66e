// SPDX-License-Identifier: GPL-2.0-or-later
#include "discover_impl.h"

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

void discover_init(struct discover *d)
{
	*d = (struct discover){0};
}

static void object_free(struct discover_object *object)
{
	free(object->path);
	free(object->site);
	free(object->function);
	elf_names_release(&object->names);
	free(object);
}

void discover_release(struct discover *d)
{
	size_t i;

	for (i = 0; i < d->nr; i++)
		object_free(d->object[i]);
	free(d->object);
	free(d->wish);
	map64_release(&d->spec_names);
	discover_init(d);
}

int discover_use(struct discover *d, const struct allocator_spec *spec)
{
	const char *symbol;
	size_t i;
	int err = 0;

	d->wish = calloc(spec->nr + 1, sizeof(*d->wish));
	if (!d->wish)
		return -ENOMEM;
	for (i = 0; i < spec->nr && !err; i++) {
		symbol = spec->item[i].function.symbol;
		err = map64_put(&d->spec_names, hash_bytes(symbol, strlen(symbol), 0), i);
	}
	if (!err)
		d->spec = spec;
	return err;
}

static void say_missing(const struct allocator_spec_function *item, bool may_come)
{
	const char *at = item->object && !item->is_offset ? "@" : "";
	const char *object = *at ? item->object : "";

	if (may_come)
		log_warn("--allocator: '%s%s%s' of '%s' is in nothing that the targets map so far; "
			 "it is looked for in what they map later",
			 item->function.symbol, at, object, item->family->name);
	else
		log_error("--allocator: '%s%s%s' of '%s' is in nothing that the targets map; is it "
			  "stripped or inlined? OBJECT+0xOFFSET needs no name",
			  item->function.symbol, at, object, item->family->name);
}

int discover_check_wishes(const struct discover *d, bool more_to_come)
{
	size_t nr = d->spec ? d->spec->nr : 0, i;
	bool may_come;

	for (i = 0; i < nr; i++) {
		if (d->wish[i].found)
			continue;
		may_come = more_to_come || !d->wish[i].object_seen;
		say_missing(&d->spec->item[i], may_come);
		if (!may_come)
			return -ENOENT;
	}
	return 0;
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
		err = discover_search(d, fd, elf, object);
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
