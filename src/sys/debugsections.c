/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "debugsections.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <string.h>

#define MAX_INFLATED_BYTES ((uint64_t)4 << 30)
#define MAX_INFLATION 32 /* of all sections together; zlib makes a third or a quarter of them */

static const char *section_name(Elf *elf, const GElf_Shdr *shdr)
{
	size_t names;
	const char *name = NULL;

	if (!elf_getshdrstrndx(elf, &names))
		name = elf_strptr(elf, names, shdr->sh_name);
	return name ? name : "";
}

/* 0: not compressed. */
static uint64_t inflated_bytes(Elf_Scn *scn, const GElf_Shdr *shdr, const char *name)
{
	GElf_Chdr chdr;
	ssize_t nr;

	if (shdr->sh_flags & SHF_COMPRESSED)
		return gelf_getchdr(scn, &chdr) ? chdr.ch_size : UINT64_MAX;
	if (strncmp(name, ".zdebug", strlen(".zdebug")) != 0)
		return 0;
	nr = dwelf_scn_gnu_compressed_size(scn);
	return nr > 0 ? (uint64_t)nr : 0;
}

static bool is_debug(const char *name)
{
	return !strncmp(name, ".debug_", strlen(".debug_")) ||
	       !strncmp(name, ".zdebug_", strlen(".zdebug_"));
}

/* Sections do not overlap in the file. *bytes: what those of DWARF take. */
static bool sizes_are_honest(const struct elf_file *elf, bool is_copied, uint64_t *bytes)
{
	uint64_t left = elf->file_bytes, inflated_left = MAX_INFLATED_BYTES, inflated;
	const char *name;
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	if (inflated_left / MAX_INFLATION > elf->file_bytes)
		inflated_left = elf->file_bytes * MAX_INFLATION;
	*bytes = 0;
	while ((scn = elf_nextscn(elf->handle, scn))) {
		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type == SHT_NOBITS)
			continue;
		if (shdr.sh_size > left)
			return false;
		left -= shdr.sh_size;
		name = section_name(elf->handle, &shdr);
		inflated = inflated_bytes(scn, &shdr, name);
		if (inflated > inflated_left)
			return false;
		inflated_left -= inflated;
		if (is_debug(name))
			*bytes += inflated + (is_copied ? shdr.sh_size : 0);
	}
	return true;
}

/* "debug_str", "debug_line_str", with "." or ".z" before and perhaps ".dwo" behind. */
static bool has_strings(const char *name)
{
	return strstr(name, "debug_str") || strstr(name, "debug_line_str");
}

/* After libdw has inflated them in place. */
static bool strings_end(const struct elf_file *elf)
{
	Elf_Scn *scn = NULL;
	Elf_Data *data;
	GElf_Shdr shdr;

	while ((scn = elf_nextscn(elf->handle, scn))) {
		if (!gelf_getshdr(scn, &shdr) || !has_strings(section_name(elf->handle, &shdr)))
			continue;
		/* of offsets, not of text */
		if (strstr(section_name(elf->handle, &shdr), "debug_str_offsets"))
			continue;
		data = elf_getdata(scn, NULL);
		if (data && data->d_buf && data->d_size &&
		    ((const char *)data->d_buf)[data->d_size - 1] != '\0')
			return false;
	}
	return true;
}

int debugsections_open(const struct elf_file *elf, bool is_copied, uint64_t max_bytes, Dwarf **out,
		       uint64_t *bytes)
{
	Dwarf *dwarf;

	if (!sizes_are_honest(elf, is_copied, bytes))
		return -ENOENT;
	if (*bytes > max_bytes)
		return -EFBIG;
	dwarf = dwarf_begin_elf(elf->handle, DWARF_C_READ, NULL);
	if (!dwarf)
		return -ENOENT;
	if (!strings_end(elf)) {
		(void)dwarf_end(dwarf);
		return -ENOENT;
	}
	*out = dwarf;
	return 0;
}

Elf_Data *debugsections_find(Elf *elf, const char *name)
{
	Elf_Scn *scn = NULL;
	const char *at;
	GElf_Shdr shdr;

	while ((scn = elf_nextscn(elf, scn))) {
		/* libdw takes the first that is neither */
		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type == SHT_NOBITS ||
		    shdr.sh_flags & SHF_GROUP)
			continue;
		at = section_name(elf, &shdr);
		if (*at++ != '.')
			continue;
		if (!strcmp(at + (*at == 'z'), name))
			return elf_getdata(scn, NULL);
	}
	return NULL;
}
