/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is checked of the debug sections of a file that nobody vouches for, because libdw 0.188 does not: it copies and
 * inflates each section whatever they add up to, and takes it that the last string of a section ends in it.
 */
#ifndef SEEP_SYS_DEBUGSECTIONS_H
#define SEEP_SYS_DEBUGSECTIONS_H

#include <elfutils/libdw.h>
#include <stdbool.h>

#include "elf_image.h"

/*
 * 0; -ENOENT: nothing there that can be used; -EFBIG: it takes more than max_bytes of memory. is_copied: the file was not
 * opened to be mapped. *bytes: what the sections take. The caller ends *out, before the file is closed.
 */
int debugsections_open(const struct elf_file *elf, bool is_copied, uint64_t max_bytes, Dwarf **out,
		       uint64_t *bytes);

/* A section by its name without ".", or packed by its name with "z", as it is after that. NULL: not there. */
Elf_Data *debugsections_find(Elf *elf, const char *name);

#endif
