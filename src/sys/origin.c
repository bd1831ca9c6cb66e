// SPDX-License-Identifier: GPL-2.0-or-later
#include "origin.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "hash.h"
#include "unwind.h"

#define NS_PER_S 1000000000u

uint16_t origin_of_file(const struct origin_file *file, uint64_t base)
{
	uint64_t hash = hash_pair(hash_pair(file->dev, file->inode), file->bytes);

	hash = hash_pair(hash_pair(hash, file->mtime_ns), base);
	return (uint16_t)(ORIGIN_FILE + hash % (ORIGIN_MAX + 1 - ORIGIN_FILE));
}

uint16_t origin_of_mapping(pid_t tgid, const struct proc_mapping *mapping)
{
	struct origin_file file;
	struct stat st;

	if (!mapping->inode)
		return ORIGIN_NO_FILE;
	if (proc_stat_mapping(tgid, mapping, &st))
		return ORIGIN_UNKNOWN;
	if (!S_ISREG(st.st_mode))
		return ORIGIN_NO_FILE;
	file = (struct origin_file){
		.dev = st.st_dev,
		.inode = st.st_ino,
		.bytes = (uint64_t)st.st_size,
		.mtime_ns = (uint64_t)st.st_mtim.tv_sec * NS_PER_S + (uint64_t)st.st_mtim.tv_nsec,
	};
	return origin_of_file(&file, mapping->start - mapping->file_offset);
}
