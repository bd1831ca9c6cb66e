/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file as it was when it was looked at: what has changed since is another one. */
#ifndef SEEP_SYS_FILE_VERSION_H
#define SEEP_SYS_FILE_VERSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "hash.h"

struct file_version {
	uint64_t dev, inode, bytes, changed_ns;
};

static inline struct file_version file_version_of(const struct stat *st)
{
	return (struct file_version){
		.dev = st->st_dev,
		.inode = st->st_ino,
		.bytes = (uint64_t)st->st_size,
		.changed_ns =
			(uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec,
	};
}

static inline bool file_version_is(const struct file_version *a, const struct file_version *b)
{
	return a->dev == b->dev && a->inode == b->inode && a->bytes == b->bytes &&
	       a->changed_ns == b->changed_ns;
}

/* Where a table of them begins to look. */
static inline uint64_t file_version_hash(const struct file_version *v)
{
	return hash_pair(hash_pair(v->dev, v->inode), hash_pair(v->bytes, v->changed_ns));
}

#endif
