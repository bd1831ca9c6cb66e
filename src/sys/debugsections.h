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

/* NULL: nothing there that can be used. The caller ends it, before the file is closed. */
Dwarf *debugsections_open(const struct elf_file *elf);

#endif
