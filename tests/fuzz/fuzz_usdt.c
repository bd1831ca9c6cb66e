/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The notes of an ELF file made of anything, read as they are and as those of a file; and arguments of anything. The
 * first byte says the machine, the rest are notes. What is found lies in the file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "usdt.h"

#include "../unit/usdt_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nr);

static void check_arg(uint16_t machine, const struct usdt_arg *arg)
{
	unsigned int last = machine == EM_X86_64 ? 16 : USDT_REG_SP_ARM64;

	if (arg->base > last || arg->index > last || arg->shift > 3 || arg->zero ||
	    arg->is_signed > 1)
		abort();
	if (arg->bytes != 1 && arg->bytes != 2 && arg->bytes != 4 && arg->bytes != 8)
		abort();
	switch (arg->kind) {
	case USDT_ARG_CONSTANT:
		break;
	case USDT_ARG_REGISTER:
		if (!arg->base)
			abort();
		break;
	case USDT_ARG_MEMORY:
		if (!arg->base && !arg->index)
			abort();
		break;
	default:
		abort();
	}
}

static void parse_args(uint16_t machine, const char *text)
{
	struct usdt_arg arg[USDT_ALLOC_ARGS];

	if (usdt_parse_args(machine, text, arg, USDT_ALLOC_ARGS))
		return;
	for (size_t i = 0; i < USDT_ALLOC_ARGS; i++)
		check_arg(machine, &arg[i]);
}

static void read_notes(uint16_t machine, const uint8_t *data, size_t nr)
{
	struct usdt_note note;
	size_t at = 0, before = 0;

	while (usdt_next_note(data, nr, &at, &note)) {
		if (at <= before || at > nr)
			abort();
		before = at;
		if (note.provider < (const char *)data ||
		    note.args + strlen(note.args) >= (const char *)data + nr)
			abort();
		parse_args(machine, note.args);
	}
}

static void read_file(const struct usdt_build *build, uint16_t machine)
{
	struct usdt_object object;
	struct elf_file *elf;
	const char *why;
	int fd = memfd_create("fuzz_usdt", MFD_CLOEXEC);

	if (fd < 0 || write(fd, build->file, sizeof(build->file)) != (ssize_t)sizeof(build->file) ||
	    elf_open_fd(fd, &elf))
		abort();
	if (!usdt_find(elf, &object, &why)) {
		for (size_t i = 0; i < object.nr_sites; i++) {
			if (object.site[i].file_offset - BUILD_CODE >= BUILD_CODE_BYTES ||
			    object.site[i].ref_count_offset >= sizeof(build->file))
				abort();
			check_arg(machine, &object.site[i].spec.arg[0]);
		}
		usdt_object_release(&object);
	}
	elf_close(elf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nr)
{
	static struct usdt_build build;
	uint16_t machine;

	if (!nr || nr > sizeof(build.notes))
		return 0;
	machine = data[0] & 1 ? EM_AARCH64 : EM_X86_64;
	read_notes(machine, data + 1, nr - 1);
	memset(&build, 0, sizeof(build));
	memcpy(build.notes, data + 1, nr - 1);
	build.nr = nr - 1;
	build_file(&build, machine);
	read_file(&build, machine);
	return 0;
}
