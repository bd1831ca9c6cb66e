/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The symbol table that Fedora and others leave in programs that are stripped otherwise: .gnu_debugdata, an ELF file with
 * little more than .symtab, packed by xz (GDB manual, "MiniDebugInfo").
 */
#ifndef SEEP_SYS_MINIDEBUG_H
#define SEEP_SYS_MINIDEBUG_H

#include "elf_image.h"

#define MINIDEBUG_MAX_BYTES ((uint64_t)128 << 20) /* unpacked; that of a large browser is a tenth */

/* The caller closes it. -ENOENT: there is none that can be used; -ENOMEM. */
int minidebug_open(const struct elf_file *image, struct elf_file **out);

#endif
