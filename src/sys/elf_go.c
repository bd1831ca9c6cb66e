// SPDX-License-Identifier: GPL-2.0-or-later
/* The part of elf.h that knows Go programs. */
#include <string.h>

#include "array.h"
#include "elf.h"
#include "elf_image.h"

static bool has_section(const struct elf_file *elf, const char *wanted)
{
	Elf_Scn *scn = NULL;
	const char *name;
	GElf_Shdr shdr;
	size_t names;

	if (elf_getshdrstrndx(elf->handle, &names))
		return false;
	while ((scn = elf_nextscn(elf->handle, scn))) {
		if (!gelf_getshdr(scn, &shdr))
			continue;
		name = elf_strptr(elf->handle, names, shdr.sh_name);
		if (name && !strcmp(name, wanted))
			return true;
	}
	return false;
}

bool elf_is_go_code(struct elf_file *elf, uint64_t file_offset)
{
	/* What lies between is Go's; C code that cgo has brought in lies behind. */
	static const char *const bound[] = {"runtime.text", "runtime.etext"};
	struct elf_symbol symbol[ARRAY_SIZE(bound)];
	bool found[ARRAY_SIZE(bound)] = {false};

	/* the table that its runtime unwinds with is never stripped */
	if (!has_section(elf, ".gopclntab") && !has_section(elf, ".data.rel.ro.gopclntab"))
		return false;
	if (elf_find_functions(elf, bound, ARRAY_SIZE(bound), symbol, found) !=
	    (int)ARRAY_SIZE(bound))
		return true;
	return file_offset >= symbol[0].file_offset && file_offset < symbol[1].file_offset;
}
