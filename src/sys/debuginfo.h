/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a file's DWARF says about an address: the function, what is inlined into it there, and the source lines, by libdw.
 *
 * The compilation units are indexed by address when the file is opened, and the functions of a unit when it is first
 * asked about. Own indexes, for two reasons: .debug_aranges, which libdw 0.188 goes by, is not written by clang; and
 * dwarf_getscopes() walks a whole unit for each address.
 */
#ifndef SEEP_SYS_DEBUGINFO_H
#define SEEP_SYS_DEBUGINFO_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf_image.h"

struct debuginfo;

struct debug_frame {
	const char *name; /* NULL: not known */
	bool is_mangled;  /* name is that of C++ or Rust for the linker */
	const char *file; /* NULL: not known */
	uint32_t line;
};

/*
 * dwarf and image are borrowed and must outlive it; image is the program, which knows what is executable.
 * -ENOENT: no unit says anything about an executable address; -ETIMEDOUT: it takes too long to find that out.
 */
int debuginfo_new(Dwarf *dwarf, const struct elf_file *image, struct debuginfo **out);
void debuginfo_free(struct debuginfo *info);

/*
 * At most max frames, innermost first; all but the last are inlined into the next. Returns their number, 0 when no unit
 * holds the address; -ENOMEM; -ETIMEDOUT once more time has gone into this file than an honest one takes (debuglimit.h).
 * The texts live as long as the Dwarf. *entry: where the last one's function starts, 0
 * when not known.
 */
int debuginfo_lookup(struct debuginfo *info, uint64_t address, struct debug_frame *frame,
		     size_t max, uint64_t *entry);

/* What it takes, with what libdw keeps for it, about; without the sections. */
size_t debuginfo_bytes(const struct debuginfo *info);

#endif
