/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which allocators a process uses, and where their probes go: every executable file that it maps is
 * searched, each once for all processes. One probe for each (device, inode, offset), whatever names
 * the function has there.
 */
#ifndef SEEP_SYS_DISCOVER_H
#define SEEP_SYS_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "allocator_spec.h"
#include "allocators.h"
#include "elf.h"
#include "file_version.h"
#include "hash.h"
#include "placement.h"
#include "proc.h"

#define DISCOVER_MAX_SITES 256 /* in one file */
#define DISCOVER_MAX_FOUND 256 /* files with an allocator in one process, at a time */

struct discover_site {
	const struct allocator_function *function; /* of the object */
	const struct allocator_family *family;
	bool leaf;	      /* allocator_function_is_leaf() */
	uint64_t file_offset; /* of the probed instruction */
	uint64_t function_offset;
	struct placement placement;
};

/* One file; the cache owns it. */
struct discover_object {
	struct file_version version; /* as it was when it was searched */
	char *path;		     /* as the process sees it, for people */
	const char *
		family; /* "glibc", ...: of its malloc(), if it has one; NULL: no allocator in it */
	struct discover_site *site; /* frees first: attach them in this order */
	size_t nr_sites;
	struct elf_names names;
	struct allocator_function *function;
};

/* What became of a function that the user has described. */
struct discover_wish {
	bool found;	  /* somewhere */
	bool object_seen; /* a file that it is to be looked for in was searched */
};

struct discover {
	struct discover_object **object; /* all files ever searched */
	size_t nr, cap;
	struct map64 by_version;	   /* hashes to their number */
	bool said_many;			   /* a process had more than DISCOVER_MAX_FOUND */
	const struct allocator_spec *spec; /* NULL: none; borrowed */
	struct map64 spec_names;	   /* hashes of its symbols */
	struct discover_wish *wish;	   /* one for each function of it */
};

void discover_init(struct discover *discover);
void discover_release(struct discover *discover);

/* From now on the functions of spec, which must outlive it, are found as well; call it before the first search. 0 or -ENOMEM. */
int discover_use(struct discover *discover, const struct allocator_spec *spec);

/*
 * Says which functions of discover_use() were found nowhere. That is a warning where they may come later: when
 * more_to_come, or when nobody has mapped the object that they are to be looked for in; else an error. 0 or -ENOENT.
 */
int discover_check_wishes(const struct discover *discover, bool more_to_come);

/* The object of an open file (not taken over), searched if it is new. 0, -ENOMEM, or -ENOEXEC and the like for a file
 * that is no usable ELF (remembered, found again without a search as an object without a family). */
int discover_file(struct discover *discover, int fd, const char *path,
		  const struct discover_object **out);

/* The object of a file that was searched before; NULL: it was not, or it has changed since. */
const struct discover_object *discover_known(const struct discover *discover,
					     const struct stat *st);

struct discover_found {
	const struct discover_object *object; /* has a family */
	char kernel_path[512];		      /* for perf_event_open(), while the process lives */
};

/* All objects with an allocator among a process's mappings, each once, at most DISCOVER_MAX_FOUND. The caller frees *found.
 * *nr_searched: executable files looked at. 0 or -ENOMEM. */
int discover_process(struct discover *discover, pid_t tgid, const struct proc_maps *maps,
		     struct discover_found **found, size_t *nr, size_t *nr_searched);

/* What `-- CMD` will map, before it runs: the program and what its loader says it needs (the loader is run with --list,
 * the program is not). Ordinary paths, some perhaps of no file. 0 or negative errno; discover_files_release() is due after
 * 0. */
struct discover_files {
	char **path;
	size_t nr, cap;
};

int discover_program_files(const char *program, struct discover_files *out);
void discover_files_release(struct discover_files *files);

/* Searches them. Same as above; kernel paths are ordinary paths. 0 or -ENOMEM. */
int discover_files(struct discover *discover, const struct discover_files *files,
		   struct discover_found **found, size_t *nr, size_t *nr_searched);

#endif
