/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of the stubs by which a program calls into libraries: "malloc@plt". No symbol table has them. A stub jumps to
 * where a word of memory points, and a relocation says whose address is put there (System V ABI, AMD64 and AArch64
 * supplements: .plt, R_*_JUMP_SLOT, R_*_GLOB_DAT).
 */
#ifndef SEEP_SYS_PLT_H
#define SEEP_SYS_PLT_H

#include "elf_image.h"
#include "strpool.h"
#include "symtab.h"

#define PLT_SUFFIX "@plt"

/* Adds them to tab; the names are kept in the pool. 0, also when there are none that we can read; -ENOMEM. */
int plt_add(struct symtab *tab, struct elf_file *image, struct strpool *pool);

#endif
