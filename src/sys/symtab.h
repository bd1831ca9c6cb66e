/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions of a file by address, from its symbol tables. Names are borrowed from the files, which must stay open.
 * Zeroed is empty.
 *
 * Symbols overlap and have aliases as they like. They are added, then laid out once as pieces of the address space with
 * one name each, so that what a table costs is bounded by its size, whatever is in it.
 */
#ifndef SEEP_SYS_SYMTAB_H
#define SEEP_SYS_SYMTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf_image.h"

/* Beyond these, symbols are left out. */
#define SYMTAB_MAX_SYMBOLS 4000000
#define SYMTAB_MAX_NAME 16384
#define SYMTAB_MAX_NAME_BYTES ((uint64_t)1 << 30) /* of all together */

struct symtab_symbol {
	uint64_t start, end; /* end is not in it */
	const char *name;
	uint32_t bare_bytes;
	uint16_t underscores;
	bool is_local;
	bool is_sized;
	bool is_old; /* "name@OLD", where there may be "name@@NEW" */
};

struct symtab_piece {
	uint64_t from, to;
	uint64_t start; /* of the function */
	const char *name;
};

struct symtab_pieces {
	struct symtab_piece *item; /* sorted, without overlaps */
	size_t nr, cap;
};

struct symtab {
	struct symtab_symbol *symbol; /* until they are laid out */
	size_t nr, cap;
	uint64_t name_bytes;
	struct symtab_pieces sized, unsized;
};

void symtab_release(struct symtab *tab);
size_t symtab_bytes(const struct symtab *tab); /* of memory, without the files' tables */

/*
 * Adds the functions of one table (SHT_SYMTAB or SHT_DYNSYM) of source, image itself or its debug file, that lie in
 * executable segments of image. *nr: grows by how many. 0, also when source has no such table; -ENOMEM.
 */
int symtab_add(struct symtab *tab, const struct elf_file *source, uint32_t section_type,
	       const struct elf_file *image, size_t *nr);
/* Adds one; the name is borrowed. 0 or -ENOMEM. */
int symtab_add_function(struct symtab *tab, const char *name, uint64_t start, uint64_t bytes);
/* After the last addition and before the first search. 0 or -ENOMEM. */
int symtab_lay_out(struct symtab *tab);

/*
 * Name of the function that holds address, as in the table, so perhaps with "@VERSION" behind it; NULL: none. Symbols
 * that have a size go first; one without goes as far as the next symbol. Of aliases, the name meant for the public:
 * "malloc" rather than "__libc_malloc". *start: its first byte; may be NULL.
 */
const char *symtab_find(const struct symtab *tab, uint64_t address, uint64_t *start);

/* Bytes of a name without "@VERSION"; that of a stub, "malloc@plt", has none. */
size_t symtab_bare_length(const char *name);
/* Leading underscores: the fewer, the more public. */
size_t symtab_underscores(const char *name);

#endif
