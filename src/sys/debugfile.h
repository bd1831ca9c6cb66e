/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Separate debug files. By build id below each debug directory (.build-id/xx/yyyy.debug); then by what .gnu_debuglink
 * names: beside the program, in .debug beside it, and below the debug directories. All of this under our own root, under
 * a sysroot, and under the root of the process that runs the program; the first file that fits is taken. Last, from a
 * server. A file fits only if it has the program's build id, or, for programs without one, the checksum of the link.
 *
 * GDB manual, "Debugging Information in Separate Files".
 */
#ifndef SEEP_SYS_DEBUGFILE_H
#define SEEP_SYS_DEBUGFILE_H

#include <elfutils/libdw.h>
#include <stddef.h>

#include "debuginfod.h"
#include "elf_image.h"
#include "rootdir.h"

/* Searched after those that were asked for. */
#define DEBUGFILE_DIRECTORY "/usr/lib/debug"
/*
 * Files of our own root are mapped: they are replaced, not rewritten. Whoever owns a container may cut a file short at any
 * time, and a mapping of it then kills: files of other roots are copied, up to this size, and larger ones left alone.
 */
#define DEBUGFILE_MAX_COPIED_BYTES ((uint64_t)256 << 20)

/* Borrowed by those who search. */
struct debugfile_places {
	const char *const *dir; /* absolute; may be NULL when nr_dirs is 0 */
	size_t nr_dirs;
	struct rootdir *sysroot;   /* NULL: none */
	struct debuginfod *server; /* NULL: none */
};

struct debugfile {
	struct elf_file *elf;
	char *path;		    /* "" when it came from a server */
	const struct rootdir *root; /* borrowed from the search */
	bool is_copied;
};

/*
 * path: of the image in root, that of the process (NULL: ours). -ENOENT: there is none; -ENOMEM.
 */
int debugfile_find(const struct debugfile_places *places, struct elf_file *image, const char *path,
		   const struct rootdir *root, struct debugfile *out);

/*
 * The file of what several debug files have in common (.gnu_debugaltlink, made by dwz). beside: the path and root of the
 * file that the Dwarf was read from; root: of the process. -ENODATA: the Dwarf needs none; -ENOENT: it does, and it is
 * not there.
 */
int debugfile_find_common(const struct debugfile_places *places, Dwarf *dwarf,
			  const struct debugfile *beside, const struct rootdir *root,
			  struct debugfile *out);

void debugfile_release(struct debugfile *file);

#endif
