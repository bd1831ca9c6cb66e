/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions of a file by address, from its symbol tables. Names are borrowed from the files, which must stay open.
 * Zeroed is empty.
 */
#ifndef SEEP_SYS_SYMTAB_H
#define SEEP_SYS_SYMTAB_H

#include <stddef.h>
#include <stdint.h>

#include "elf_image.h"
#include "ranges.h"

struct symtab_entry {
	const char *name;
	bool is_local;
	bool is_sized;
};

struct symtab {
	struct symtab_entry *entry;
	size_t nr, cap;
	struct ranges ranges;
};

void symtab_release(struct symtab *tab);

/*
 * Adds the functions of one table (SHT_SYMTAB or SHT_DYNSYM) of source, image itself or its debug file, that lie in
 * executable segments of image. 0, also when source has no such table; -ENOMEM.
 */
int symtab_add(struct symtab *tab, const struct elf_file *source, uint32_t section_type,
	       const struct elf_file *image);
/* After the last addition and before the first search. */
void symtab_sort(struct symtab *tab);

/*
 * Name of the function that holds address, as in the table, so perhaps with "@VERSION" behind it; NULL: none. Symbols
 * that have a size go first; one without goes as far as the next symbol. Of aliases, the name meant for the public:
 * "malloc" rather than "__libc_malloc". *start: its first byte; may be NULL.
 */
const char *symtab_find(const struct symtab *tab, uint64_t address, uint64_t *start);

/* Bytes of a name without "@VERSION". */
size_t symtab_bare_length(const char *name);
/* Leading underscores: the fewer, the more public. */
size_t symtab_underscores(const char *name);

#endif
