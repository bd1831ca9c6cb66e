// SPDX-License-Identifier: GPL-2.0-or-later
/* The part of cfi.h that knows where functions begin, in files without symbols as well. */
#include <errno.h>
#include <sys/stat.h>

#include "cfi.h"
#include "cfi_elf.h"
#include "cfi_entry.h"

/* From the base of the file, as functions have it. */
static int place_of_offset(const struct cfi_elf *elf, uint64_t file_offset, uint64_t *place)
{
	const struct cfi_code *code;
	size_t i;

	for (i = 0; i < elf->nr_code; i++) {
		code = &elf->code[i];
		if (file_offset < code->file_offset ||
		    file_offset - code->file_offset >= code->file_bytes)
			continue;
		*place = code->address + (file_offset - code->file_offset) - elf->base;
		return 0;
	}
	return -ENOENT;
}

static int find(const struct cfi_functions *functions, uint64_t place)
{
	size_t low = 0, high = functions->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (functions->item[middle].start <= place)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || place >= functions->item[low - 1].end)
		return -ENOENT;
	return functions->item[low - 1].start == place;
}

int cfi_function_begins_at(int fd, uint64_t file_offset)
{
	struct cfi_functions functions = {0};
	struct cfi_source source = {.fd = fd};
	struct cfi_elf elf = {0};
	uint64_t place = 0;
	struct stat st;
	int err = fstat(fd, &st) ? -errno : 0;

	if (err)
		return err;
	source.bytes = (uint64_t)st.st_size;
	err = cfi_elf_load(&source, &elf);
	if (err)
		return err;
	err = place_of_offset(&elf, file_offset, &place);
	if (!err) {
		err = cfi_functions_read(&elf, &functions);
		err = err ? err : find(&functions, place);
		cfi_functions_release(&functions);
	}
	cfi_elf_release(&elf);
	return err;
}
