/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is behind struct elf_file, for the modules of this directory that read ELF files themselves: segments, and symbol
 * tables as plain arrays. Sizes and counts of the file are checked before memory is given for them.
 */
#ifndef SEEP_SYS_ELF_IMAGE_H
#define SEEP_SYS_ELF_IMAGE_H

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf.h"

/* A PT_LOAD. */
struct elf_segment {
	uint64_t address; /* as linked */
	uint64_t file_offset;
	uint64_t file_bytes;
	bool exec;
};

struct elf_file {
	int fd;
	Elf *handle;
	uint64_t file_bytes; /* when it was opened */
	uint16_t machine;
	uint16_t type; /* ET_EXEC, ET_DYN, ... */
	bool is_32bit;
	struct elf_segment *segment;
	size_t nr_segments;
};

/*
 * As elf_open_fd(). command: ELF_C_READ copies what is used, so that a file which shrinks later does no harm;
 * ELF_C_READ_MMAP is for files that are big or that nobody rewrites in place: there, shrinking is SIGBUS.
 */
int elf_open_as(int fd, Elf_Cmd command, struct elf_file **out);

/* false: no executable segment of the file holds it. */
bool elf_address_to_offset(const struct elf_file *elf, uint64_t address, uint64_t *file_offset);
/* Mappings are whole pages, so the page around a segment counts where no segment holds the offset itself. */
bool elf_offset_to_address(const struct elf_file *elf, uint64_t file_offset, uint64_t *address);
bool elf_is_executable(const struct elf_file *elf, uint64_t address);

/* nr bytes at an offset as an array of that type; owned by the file. NULL: not in the file, too big, or no memory. */
Elf_Data *elf_chunk(const struct elf_file *elf, uint64_t file_offset, uint64_t nr, Elf_Type type);

struct elf_table {
	Elf_Data *symbols, *strings;
	Elf_Data *versions; /* of .dynsym; NULL: none */
	size_t nr;
};

/*
 * The table of SHT_DYNSYM or SHT_SYMTAB; the former through the dynamic segment where section headers do not lead to it.
 * -ENOENT: none, or it cannot be used. Strings end within the table's strings.
 */
int elf_load_table(const struct elf_file *elf, uint32_t section_type, struct elf_table *out);

struct elf_table_symbol {
	GElf_Sym sym;
	const char *name;
	size_t max_name; /* the name's NUL comes within so many bytes */
	bool is_default; /* not a hidden old version */
};

/* false: the entry is malformed, or has no name. */
bool elf_table_get(const struct elf_table *table, size_t i, struct elf_table_symbol *out);

#endif
