/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Separate debug files on this machine: /usr/lib/debug/.build-id first, then what .gnu_debuglink names beside the program,
 * in .debug beside it, and under /usr/lib/debug. Nothing is fetched from anywhere. A file found is taken only if it has
 * the program's build id, or, for programs without one, the checksum of the link.
 */
#ifndef SEEP_SYS_DEBUGFILE_H
#define SEEP_SYS_DEBUGFILE_H

#include <elfutils/libdw.h>

#include "elf_image.h"

struct debugfile {
	struct elf_file *elf;
	char *path;
};

/* path: of the image, as far as known. -ENOENT: there is none. */
int debugfile_find(struct elf_file *image, const char *path, struct debugfile *out);

/*
 * The file of what several debug files have in common (.gnu_debugaltlink, made by dwz). path: of the file that the Dwarf
 * was read from. -ENODATA: the Dwarf needs none; -ENOENT: it does, and it is not there.
 */
int debugfile_find_common(Dwarf *dwarf, const char *path, struct debugfile *out);

void debugfile_release(struct debugfile *file);

#endif
