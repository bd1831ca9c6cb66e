/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwinder_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "array.h"
#include "elf.h"
#include "fd.h"
#include "hash.h"
#include "log.h"
#include "unwinder_clock.h"
#include "unwinder_object.h"

/* A file may go between being found and being read, and come back; not forever. */
#define MAX_FAILURES 3

int files_init(struct files *files, const struct unwinder_maps *maps, uint64_t max_bytes)
{
	*files = (struct files){0};
	TAILQ_INIT(&files->unused);
	for (size_t i = 0; i < ARRAY_SIZE(files->wanted); i++)
		TAILQ_INIT(&files->wanted[i]);
	(void)getrandom(&files->seed, sizeof(files->seed),
			GRND_NONBLOCK); /* a fixed one is worse, not wrong */
	return tables_init(&files->tables, maps, max_bytes);
}

/* --- what is wanted ------------------------------------------------------------------------------------------- */

static size_t queue_of(const struct object *object)
{
	return object->bytes ? 63u - (size_t)__builtin_clzll(object->bytes) : 0;
}

static void set_state(struct files *files, struct object *object, enum object_state state)
{
	files->nr_objects[object->state]--;
	files->nr_objects[state]++;
	object->state = state;
}

static void forget_source(struct object *object)
{
	free(object->source.mapping.path);
	object->source = (struct object_source){0};
}

static void unwant(struct files *files, struct object *object, enum object_state state)
{
	TAILQ_REMOVE(&files->wanted[queue_of(object)], object, next);
	files->nr_wanted--;
	set_state(files, object, state);
}

/* Whether reading it may lead to a table. */
static bool is_worth_reading(const struct files *files, const struct object *object)
{
	switch (object->state) {
	case OBJECT_UNREAD:
		return true;
	case OBJECT_READY:
		return !object->table.nr_pieces; /* evicted */
	case OBJECT_NO_ROOM:
		return object->releases != files->tables.releases &&
		       object->rows <= tables_available(&files->tables);
	default:
		return false;
	}
}

static int want(struct files *files, struct file *file, pid_t tgid,
		const struct proc_mapping *mapping)
{
	struct object *object = file->object;
	size_t path_bytes = strlen(mapping->path) + 1;
	char *path;

	if (!is_worth_reading(files, object))
		return 0;
	path = malloc(path_bytes);
	if (!path)
		return -ENOMEM;
	memcpy(path, mapping->path, path_bytes);
	object->source.tgid = tgid;
	object->source.mapping = *mapping;
	object->source.mapping.path = path;
	object->source.key = file->key;
	set_state(files, object, OBJECT_WANTED);
	TAILQ_INSERT_TAIL(&files->wanted[queue_of(object)], object, next);
	files->nr_wanted++;
	return 0;
}

/* --- what is known -------------------------------------------------------------------------------------------- */

static size_t bucket_of_key(const struct files *files, const struct file_key *key)
{
	return hash_bytes(key, sizeof(*key), files->seed) % FILES_BUCKETS;
}

static struct file *find_file(const struct files *files, const struct file_key *key)
{
	struct file *file = LIST_FIRST(&files->by_key[bucket_of_key(files, key)]);

	while (file && memcmp(&file->key, key, sizeof(*key)) != 0)
		file = LIST_NEXT(file, same_bucket);
	return file;
}

static size_t bucket_of_id(const struct files *files, const char *id)
{
	return hash_bytes(id, strlen(id), files->seed) % FILES_BUCKETS;
}

static struct object *find_object(const struct files *files, const char *id, uint64_t bytes)
{
	struct object *object = LIST_FIRST(&files->by_id[bucket_of_id(files, id)]);

	while (object && (object->bytes != bytes || strcmp(object->id, id) != 0))
		object = LIST_NEXT(object, same_bucket);
	return object;
}

static struct object *add_object(struct files *files, const char *id, uint64_t bytes)
{
	struct object *object = calloc(1, sizeof(*object));

	if (!object)
		return NULL;
	memcpy(object->id, id, strlen(id) + 1);
	object->bytes = bytes;
	files->nr_objects[object->state]++;
	if (id[0])
		LIST_INSERT_HEAD(&files->by_id[bucket_of_id(files, id)], object, same_bucket);
	return object;
}

static void drop_object(struct files *files, struct object *object)
{
	if (object->state == OBJECT_WANTED)
		unwant(files, object, OBJECT_UNREAD);
	if (object->id[0])
		LIST_REMOVE(object, same_bucket);
	tables_drop(&files->tables, &object->table);
	files->nr_objects[object->state]--;
	forget_source(object);
	free(object);
}

static void drop_file(struct files *files, struct file *file)
{
	struct object *object = file->object;

	LIST_REMOVE(file, same_bucket);
	TAILQ_REMOVE(&files->unused, file, unused);
	files->nr_unused--;
	free(file);
	if (!--object->nr_files)
		drop_object(files, object);
}

void files_release(struct files *files)
{
	while (!TAILQ_EMPTY(&files->unused))
		drop_file(files, TAILQ_FIRST(&files->unused));
	tables_release(&files->tables);
}

static struct file *add_file(struct files *files, const struct file_key *key, struct object *object)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->key = *key;
	file->object = object;
	object->nr_files++;
	LIST_INSERT_HEAD(&files->by_key[bucket_of_key(files, key)], file, same_bucket);
	TAILQ_INSERT_TAIL(&files->unused, file, unused);
	files->nr_unused++;
	return file;
}

static void hold(struct files *files, struct file *file)
{
	if (!file->uses++) {
		TAILQ_REMOVE(&files->unused, file, unused);
		files->nr_unused--;
	}
	tables_use(&files->tables, &file->object->table);
}

static void drop_surplus(struct files *files)
{
	while (files->nr_unused > FILES_MAX_UNUSED)
		drop_file(files, TAILQ_FIRST(&files->unused));
}

void files_put(struct files *files, struct file *file)
{
	tables_unuse(&files->tables, &file->object->table);
	if (--file->uses)
		return;
	TAILQ_INSERT_TAIL(&files->unused, file, unused);
	files->nr_unused++;
	drop_surplus(files);
}

/* --- finding -------------------------------------------------------------------------------------------------- */

static void key_of_stat(const struct stat *st, struct file_key *key)
{
	*key = (struct file_key){
		.kind = FILE_REGULAR,
		.dev = st->st_dev,
		.inode = st->st_ino,
		.bytes = (uint64_t)st->st_size,
		.mtime_ns = (uint64_t)st->st_mtim.tv_sec * CLOCK_NS_PER_S +
			    (uint64_t)st->st_mtim.tv_nsec,
	};
}

/* A new file: what it is takes opening it, but not yet reading it all. */
static int identify(struct files *files, int fd, const struct file_key *key, uid_t uid,
		    struct file **out)
{
	struct object *object = NULL;
	char id[OBJECT_ID_BYTES] = "";
	int is_elf = object_is_elf(fd);
	size_t nr;

	if (is_elf < 0)
		return is_elf;
	if (is_elf)
		object_build_id(fd, id, sizeof(id));
	/* a file may claim another's build id: it is only ever taken for one of its own owner */
	nr = strlen(id);
	if (nr &&
	    (size_t)snprintf(id + nr, sizeof(id) - nr, "/%u", (unsigned int)uid) >= sizeof(id) - nr)
		id[0] = '\0';
	if (id[0])
		object = find_object(files, id, key->bytes);
	if (!object) {
		object = add_object(files, id, key->bytes);
		if (!object)
			return -ENOMEM;
		if (!is_elf)
			set_state(files, object, OBJECT_CODE);
	}
	*out = add_file(files, key, object);
	if (*out)
		return 0;
	if (!object->nr_files)
		drop_object(files, object);
	return -ENOMEM;
}

static int find_by_fd(struct files *files, int fd, struct file **out)
{
	struct file_key key;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	key_of_stat(&st, &key);
	*out = find_file(files, &key);
	return *out ? 0 : identify(files, fd, &key, st.st_uid, out);
}

/* Known files are found without opening them. */
static struct file *find_by_path(struct files *files, pid_t tgid,
				 const struct proc_mapping *mapping)
{
	struct file_key key;
	struct stat st;

	if (proc_stat_mapping(tgid, mapping, &st))
		return NULL;
	key_of_stat(&st, &key);
	return find_file(files, &key);
}

static int find_vdso(struct files *files, uint64_t bytes, struct file **out)
{
	struct file_key key = {.kind = FILE_VDSO, .bytes = bytes};
	struct object *object;

	*out = find_file(files, &key);
	if (*out)
		return 0;
	object = add_object(files, "", key.bytes);
	if (!object)
		return -ENOMEM;
	*out = add_file(files, &key, object);
	if (!*out)
		drop_object(files, object);
	return *out ? 0 : -ENOMEM;
}

static int find(struct files *files, pid_t tgid, const struct proc_mapping *mapping,
		struct file **out)
{
	int fd, error;

	if (!mapping->inode && mapping->end <= UINT32_MAX)
		return -ENOENT; /* that of a 32-bit process, which is another image */
	if (!mapping->inode)
		return find_vdso(files, mapping->end - mapping->start, out);
	*out = find_by_path(files, tgid, mapping);
	if (*out)
		return 0;
	fd = proc_open_mapping(tgid, mapping);
	if (fd < 0)
		return fd;
	error = find_by_fd(files, fd, out);
	fd_close(&fd);
	return error;
}

int files_get_again(struct files *files, pid_t tgid, const struct proc_mapping *mapping,
		    struct file *file)
{
	int error = want(files, file, tgid, mapping);

	if (!error)
		hold(files, file);
	return error;
}

int files_get(struct files *files, pid_t tgid, const struct proc_mapping *mapping,
	      struct file **out)
{
	struct file *file;
	int error = find(files, tgid, mapping, &file);

	if (!error)
		error = files_get_again(files, tgid, mapping, file);
	if (!error)
		*out = file;
	return error;
}

static int open_path(const char *path)
{
	int handle = open(path, O_PATH | O_CLOEXEC);

	return handle < 0 ? -errno : proc_open_handle(handle);
}

static int find_ahead(struct files *files, const char *path, struct file **out)
{
	uint64_t bytes;
	int fd, error;

	if (!strcmp(path, "[vdso]")) {
		bytes = object_vdso_bytes();
		return bytes ? find_vdso(files, bytes, out) : -ENOENT;
	}
	fd = open_path(path);
	if (fd < 0)
		return fd;
	error = find_by_fd(files, fd, out);
	fd_close(&fd);
	return error;
}

int files_preload(struct files *files, const char *path)
{
	/* like a mapping of it, as far as reading it goes */
	const struct proc_mapping mapping = {.path = (char *)path};
	struct file *file;
	int error = find_ahead(files, path, &file);

	if (!error)
		error = want(files, file, 0, &mapping);
	drop_surplus(files);
	return error;
}

/* --- reading -------------------------------------------------------------------------------------------------- */

static struct object *next_wanted(const struct files *files)
{
	struct object *object = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(files->wanted) && !object; i++)
		object = TAILQ_FIRST(&files->wanted[i]);
	return object;
}

bool files_peek(const struct files *files, uint64_t *bytes)
{
	const struct object *object = next_wanted(files);

	if (object)
		*bytes = object->bytes;
	return object != NULL;
}

/* -ESTALE: something else is mapped there by now. */
static int open_source(const struct object_source *source)
{
	struct file_key key = {0};
	struct stat st;
	int fd = source->tgid ? proc_open_mapping(source->tgid, &source->mapping)
			      : open_path(source->mapping.path);

	if (fd < 0)
		return fd;
	if (!fstat(fd, &st))
		key_of_stat(&st, &key);
	if (!memcmp(&key, &source->key, sizeof(key)))
		return fd;
	fd_close(&fd);
	return -ESTALE;
}

static enum object_state state_after_failure(struct object *object)
{
	return ++object->failures < MAX_FAILURES ? OBJECT_UNREAD : OBJECT_BAD;
}

static enum object_state keep_table(struct files *files, struct object *object,
				    const struct cfi_table *cfi)
{
	int error;

	if (!cfi->nr)
		return OBJECT_NONE;
	error = tables_fill(&files->tables, &object->table, cfi);
	if (error == -ENOSPC) {
		object->rows = tables_rows_of(cfi);
		object->releases = files->tables.releases;
		return OBJECT_NO_ROOM;
	}
	if (error)
		return state_after_failure(object);
	object->failures = 0;
	return OBJECT_READY;
}

static enum object_state make_table(struct files *files, struct object *object)
{
	enum object_state state = OBJECT_BAD;
	struct cfi_table cfi = {0};
	int fd, error;

	if (object->source.key.kind == FILE_VDSO) {
		error = object_read_vdso(object->bytes, &cfi);
	} else {
		fd = open_source(&object->source);
		if (fd < 0)
			return state_after_failure(object);
		error = cfi_read_file(fd, &cfi);
		fd_close(&fd);
	}
	if (!error) {
		state = keep_table(files, object, &cfi);
		cfi_release(&cfi);
	} else if (error == -ENOENT) {
		state = OBJECT_NONE;
	} else if (error == -ENOMEM) {
		state = state_after_failure(object);
	} else if (error == -EBADMSG || error == -E2BIG) {
		log_warn("the call frame information of '%s' is damaged: stacks through it may be "
			 "cut",
			 object->source.mapping.path);
	}
	return state;
}

void files_read_next(struct files *files)
{
	struct object *object = next_wanted(files);
	uint64_t start_ns = clock_now_ns();

	if (!object)
		return;
	unwant(files, object, OBJECT_UNREAD);
	if (object->table.uses || !object->source.tgid)
		set_state(files, object, make_table(files, object));
	forget_source(object);
	files->build_ns += clock_now_ns() - start_ns;
}
