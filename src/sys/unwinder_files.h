/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that processes map as code: which are known, what came of reading them, and which are to be read next.
 *
 * A file is known by device, inode, size and mtime. Files of the same build id and size are one object, which is read
 * once: the same library in many containers. That trusts the build id: a file that bears another's spoils the stacks of
 * that one, if it comes first, and nothing else.
 *
 * What came of a file is remembered, failures too. Of files that no process maps any more FILES_MAX_UNUSED are, the last
 * ones used. One owner, one thread.
 */
#ifndef SEEP_SYS_UNWINDER_FILES_H
#define SEEP_SYS_UNWINDER_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "proc.h"
#include "tables.h"

#define FILES_MAX_UNUSED 4096
#define FILES_BUCKETS 1024
#define OBJECT_ID_BYTES 80 /* build ids are 32 to 64 hex digits */

enum file_kind {
	FILE_REGULAR = 0,
	FILE_VDSO = 1, /* the kernel's image, the same in all processes */
};

struct file_key {
	uint64_t kind; /* enum file_kind */
	uint64_t dev, inode;
	uint64_t bytes;
	uint64_t mtime_ns;
};

enum object_state {
	OBJECT_UNREAD,	/* nobody asked for it since it was found or its table was evicted */
	OBJECT_WANTED,	/* in the queue */
	OBJECT_READY,	/* has a table */
	OBJECT_NONE,	/* an ELF file without call frame information */
	OBJECT_BAD,	/* malformed, of another machine, or not to be read */
	OBJECT_NO_ROOM, /* for its table */
	OBJECT_CODE,	/* no ELF file: a JIT's code, or data */
	OBJECT_NR_STATES,
};

/* Through whom an object is read. */
struct object_source {
	pid_t tgid;		     /* 0: through nobody, by the path alone */
	struct proc_mapping mapping; /* its path is a copy */
	struct file_key key;
};

struct object {
	struct table table;
	enum object_state state;
	char id[OBJECT_ID_BYTES]; /* "": none, then only its one file knows it */
	uint64_t bytes;
	uint32_t nr_files;
	unsigned int failures;	     /* to open it, one after the other */
	uint64_t rows;		     /* OBJECT_NO_ROOM: what there was no room for, */
	uint64_t releases;	     /* and how many releases there had been */
	struct object_source source; /* OBJECT_WANTED */
	LIST_ENTRY(object) same_bucket;
	TAILQ_ENTRY(object) next; /* OBJECT_WANTED */
};

struct file {
	struct file_key key;
	struct object *object;
	uint32_t uses;
	LIST_ENTRY(file) same_bucket;
	TAILQ_ENTRY(file) unused; /* without uses */
};

LIST_HEAD(object_bucket, object);
TAILQ_HEAD(object_queue, object);
LIST_HEAD(file_bucket, file);
TAILQ_HEAD(file_queue, file);

struct files {
	struct tables tables;
	uint64_t seed; /* of hashes: sizes and times are the enemy's choice */
	struct file_bucket by_key[FILES_BUCKETS];
	struct object_bucket by_id[FILES_BUCKETS];
	struct file_queue unused; /* longest unused first */
	size_t nr_unused;
	struct object_queue wanted[64]; /* by the logarithm of their size */
	size_t nr_wanted;
	size_t nr_objects[OBJECT_NR_STATES];
	uint64_t build_ns;
};

/* maps stays the caller's. 0 or -ENOMEM. Not to be moved. */
int files_init(struct files *files, const struct unwinder_maps *maps, uint64_t max_bytes);
/* No process may hold files any more. */
void files_release(struct files *files);

/*
 * The file of a mapping (one that has an inode, or "[vdso]"), held until files_put(). If there could be a table and is
 * none, it is wanted from now on. -ENOTSUP: no regular file; -ENOMEM; -errno, also when the process has gone.
 */
int files_get(struct files *files, pid_t tgid, const struct proc_mapping *mapping,
	      struct file **out);
/* The same for a file that is known to be it, and held. 0 or -ENOMEM. */
int files_get_again(struct files *files, pid_t tgid, const struct proc_mapping *mapping,
		    struct file *file);
void files_put(struct files *files, struct file *file);

/*
 * Wants the table of the file at a path of ours, or of "[vdso]", though nobody maps it yet. As what nobody maps any more, it stays until
 * its room is wanted. 0; -ENOTSUP: no regular file; -ENOMEM; -errno.
 */
int files_preload(struct files *files, const char *path);

/* The size of the file that files_read_next() would read, of all that are wanted the smallest or nearly so. */
bool files_peek(const struct files *files, uint64_t *bytes);
/* Reads one file and makes its table. */
void files_read_next(struct files *files);

#endif
