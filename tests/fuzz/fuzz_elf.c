/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ELF file made of anything, through everything that reads ELF files here: functions by name, where they
 * begin, and names by address. libelf and libdw are not instrumented, but they crash all the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cfi.h"
#include "elf.h"
#include "module.h"
#include "strpool.h"

#define NR_NAMES 4
#define LOOKUPS 64
#define STARTS 4
#define MAX_LISTED 50

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nr);

static int open_copy(const uint8_t *data, size_t nr)
{
	int fd = memfd_create("fuzz_elf", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, nr) != (ssize_t)nr)
		abort();
	return fd;
}

static void find_functions(struct elf_file *elf, size_t nr)
{
	static const char *const name[NR_NAMES] = {"malloc", "main", "f", ""};
	struct elf_symbol symbol[NR_NAMES];
	bool found[NR_NAMES] = {0};
	int total = elf_find_functions(elf, name, NR_NAMES, symbol, found);

	if (total < 0)
		return;
	for (size_t i = 0; i < NR_NAMES; i++) {
		if (found[i] && symbol[i].file_offset >= nr)
			abort();
		total -= found[i];
	}
	if (total)
		abort();
}

static bool want_all(const char *name, void *arg)
{
	++*(size_t *)arg;
	return name[0] != '_';
}

/* No more than was asked for, and of what was wanted. */
static void list_functions(struct elf_file *elf)
{
	struct elf_names names = {0};
	size_t asked = 0;

	if (!elf_list_functions(elf, want_all, &asked, MAX_LISTED, &names)) {
		if (names.nr > MAX_LISTED || names.nr > asked)
			abort();
		for (size_t i = 1; i < names.nr; i++) {
			if (!strcmp(names.name[i], names.name[i - 1]) || names.name[i][0] == '_')
				abort();
		}
	}
	elf_names_release(&names);
}

static void find_starts(const uint8_t *data, size_t nr)
{
	int fd = open_copy(data, nr);

	for (size_t i = 0; i < STARTS; i++) {
		if (cfi_function_begins_at(fd, nr * i / STARTS) > 1)
			abort();
	}
	close(fd);
}

static void look_up_names(const uint8_t *data, size_t nr)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct strpool pool = {0};
	struct module_options options = {.pool = &pool, .max_bytes = (uint64_t)64 << 20};
	struct module *module;
	int frames;

	if (module_new(open_copy(data, nr), "/nonexistent/fuzz", NULL, &options, &module))
		abort();
	for (size_t i = 0; i < LOOKUPS; i++) {
		frames = module_lookup(module, nr * i / LOOKUPS, frame);
		if (frames < 1 || frames > SYMBOLIZE_MAX_FRAMES)
			abort();
	}
	module_free(module);
	strpool_release(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nr)
{
	struct elf_file *elf;
	char text[64];

	if (elf_open_fd(open_copy(data, nr), &elf))
		return 0;
	find_functions(elf, nr);
	list_functions(elf);
	(void)elf_is_go_code(elf, nr / 2);
	(void)elf_interpreter(elf, text, sizeof(text));
	(void)elf_build_id(elf, text, sizeof(text));
	elf_close(elf);
	find_starts(data, nr);
	look_up_names(data, nr);
	return 0;
}
