// SPDX-License-Identifier: GPL-2.0-or-later
#include "discover_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
	map64_release(&d->by_version);
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

/* NULL, and *key gets where it belongs: neighbouring keys are for others with the same hash. */
static struct discover_object *object_find(const struct discover *d,
					   const struct file_version *version, uint64_t *key)
{
	uint64_t i;

	*key = file_version_hash(version);
	for (; map64_get(&d->by_version, *key, &i); ++*key) {
		if (file_version_is(&d->object[i]->version, version))
			return d->object[i];
	}
	return NULL;
}

const struct discover_object *discover_known(const struct discover *d, const struct stat *st)
{
	struct file_version version = file_version_of(st);
	uint64_t key;

	return object_find(d, &version, &key);
}

static struct discover_object *object_new(const struct file_version *version, const char *path)
{
	struct discover_object *object = calloc(1, sizeof(*object));

	if (!object)
		return NULL;
	object->version = *version;
	object->path = strdup(path);
	if (object->path)
		return object;
	free(object);
	return NULL;
}

/* It may be read the next time. */
static bool is_passing(int err)
{
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE;
}

int discover_file(struct discover *d, int fd, const char *path, const struct discover_object **out)
{
	struct discover_object *object;
	struct elf_file *elf = NULL;
	struct file_version version;
	struct stat st;
	uint64_t key;
	int copy, err;

	if (fstat(fd, &st))
		return -errno;
	version = file_version_of(&st);
	*out = object_find(d, &version, &key);
	if (*out)
		return 0;
	object = object_new(&version, path);
	if (!object)
		return -ENOMEM;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	err = copy < 0 ? -errno : elf_open_fd(copy, &elf);
	if (!err)
		err = discover_search(d, fd, elf, object);
	elf_close(elf);
	if (!is_passing(err) &&
	    (ARRAY_GROW(&d->object, &d->cap, d->nr + 1) || map64_put(&d->by_version, key, d->nr)))
		err = -ENOMEM;
	if (is_passing(err)) {
		object_free(object);
		return err;
	}
	d->object[d->nr++] = object;
	*out = object;
	return err;
}

/* What a process has. */
struct list {
	struct discover_found *found;
	size_t nr, cap;
	size_t nr_searched;
};

/* Files of another device may be one file: on btrfs and overlayfs maps tells another one than stat(). */
static bool already_found(const struct list *list, const struct discover_object *object)
{
	size_t i;

	for (i = 0; i < list->nr; i++) {
		if (list->found[i].object == object)
			return true;
	}
	return false;
}

static void say_many(struct discover *d, pid_t tgid)
{
	if (!d->said_many)
		log_warn("process %d maps more than %d files with allocators: those beyond are not "
			 "probed",
			 (int)tgid, DISCOVER_MAX_FOUND);
	d->said_many = true;
}

/* The file of a mapping; what cannot be searched is passed over. */
static int search_mapping(struct discover *d, pid_t tgid, const struct proc_mapping *m,
			  struct list *list)
{
	const struct discover_object *object;
	struct discover_found *found;
	int fd = proc_open_mapping(tgid, m), err;

	if (fd < 0) {
		log_verbose("cannot open '%s' of %d: %s, not searched", m->path, (int)tgid,
			    strerror(-fd));
		return 0;
	}
	list->nr_searched++;
	err = discover_file(d, fd, m->path, &object);
	fd_close(&fd);
	if (err == -ENOMEM)
		return err;
	if (err)
		log_verbose("cannot search '%s': %s", m->path, strerror(-err));
	if (err || !object->family || already_found(list, object))
		return 0;
	if (list->nr == DISCOVER_MAX_FOUND) {
		say_many(d, tgid);
		return 0;
	}
	if (ARRAY_GROW(&list->found, &list->cap, list->nr + 1))
		return -ENOMEM;
	found = &list->found[list->nr];
	found->object = object;
	err = proc_mapping_path(tgid, m, found->kernel_path, sizeof(found->kernel_path));
	if (err)
		log_verbose("cannot probe '%s' of %d: %s", m->path, (int)tgid, strerror(-err));
	else
		list->nr++;
	return 0;
}

int discover_process(struct discover *d, pid_t tgid, const struct proc_maps *maps,
		     struct discover_found **found, size_t *nr, size_t *nr_searched)
{
	struct list list = {0};
	size_t *index, nr_files, i;
	int err = proc_maps_code_files(maps, &index, &nr_files);

	if (err)
		return err;
	for (i = 0; i < nr_files && !err; i++)
		err = search_mapping(d, tgid, &maps->item[index[i]], &list);
	free(index);
	if (err) {
		free(list.found);
		return err;
	}
	*found = list.found;
	*nr = list.nr;
	*nr_searched = list.nr_searched;
	return 0;
}
