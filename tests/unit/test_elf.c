/* SPDX-License-Identifier: GPL-2.0-or-later */
/* On the C library, this program, and copies of them that were tampered with. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "allocfail.h"
#include "array.h"
#include "elf.h"

static char directory[] = "/tmp/test_elf.XXXXXX";
static char copy_path[64];

static struct {
	void *handle;
	const struct link_map *map;
} libc;

static struct elf_file *open_path(const char *path)
{
	struct elf_file *elf;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(elf_open_fd(fd, &elf), 0);
	return elf;
}

static int error_of(const char *path)
{
	struct elf_file *elf = (struct elf_file *)(uintptr_t)17;
	int fd = open(path, O_RDONLY | O_CLOEXEC), error;

	assert_true(fd >= 0);
	error = elf_open_fd(fd, &elf);
	if (!error) {
		elf_close(elf);
		return 0;
	}
	assert_ptr_equal(elf, (struct elf_file *)(uintptr_t)17);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* taken over and closed */
	return error;
}

static char *read_whole(const char *path, size_t *nr)
{
	FILE *file = fopen(path, "r");
	struct stat st;
	char *data;

	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &st), 0);
	*nr = (size_t)st.st_size;
	data = malloc(*nr + 1);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, *nr, file), *nr);
	assert_int_equal(fclose(file), 0);
	return data;
}

static const char *write_copy(const void *data, size_t nr)
{
	FILE *file = fopen(copy_path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, nr, file), nr);
	assert_int_equal(fclose(file), 0);
	return copy_path;
}

static uint64_t linked_address(const char *name)
{
	void *address = dlsym(libc.handle, name);

	assert_non_null(address);
	return (uintptr_t)address - libc.map->l_addr;
}

static void assert_same(const struct elf_symbol *a, const struct elf_symbol *b)
{
	assert_int_equal(a->file_offset, b->file_offset);
	assert_int_equal(a->address, b->address);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->is_ifunc, b->is_ifunc);
}

static void edge_39_library(void **state)
{
	/* there are two versions of realpath, and memcpy is chosen at run time */
	static const char *const name[] = {"qsort",  "no_such_function", "realpath",
					   "memcpy", "reallocarray",	 "qsort"};
	struct elf_symbol symbol[ARRAY_SIZE(name)] = {[1].size = 7};
	bool found[ARRAY_SIZE(name)] = {[1] = true};
	struct elf_file *elf = open_path(libc.map->l_name);
	unsigned char code[16];

	(void)state;
	assert_int_equal(elf_find_functions(elf, name, ARRAY_SIZE(name), symbol, found), 5);
	for (size_t i = 0; i < ARRAY_SIZE(name); i++)
		assert_int_equal(found[i], i != 1);
	assert_int_equal(symbol[1].size, 7);
	assert_int_equal(symbol[0].address, linked_address("qsort"));
	assert_int_equal(symbol[2].address, linked_address("realpath"));
	assert_int_equal(symbol[4].address, linked_address("reallocarray"));
	assert_same(&symbol[5], &symbol[0]);
	assert_true(symbol[0].size > 0);
	assert_false(symbol[0].is_ifunc);
#ifdef __x86_64__
	assert_true(symbol[3].is_ifunc);
#endif
	/* of a function that nobody probes meanwhile */
	assert_int_equal(elf_read(elf, symbol[0].file_offset, code, sizeof(code)), sizeof(code));
	assert_memory_equal(code, dlsym(libc.handle, "qsort"), sizeof(code));
	elf_close(elf);
}

__attribute__((noinline)) static int only_in_symtab(int i)
{
	__asm__ volatile("" : "+r"(i));
	return i;
}

int in_both_tables(int i);
__attribute__((noinline, used, visibility("default"))) int in_both_tables(int i)
{
	return only_in_symtab(i);
}

static void test_program(void **state)
{
	static const char *const name[] = {"only_in_symtab", "in_both_tables", "directory"};
	struct elf_file *elf = open_path("/proc/self/exe");
	struct elf_symbol symbol[3];
	unsigned char code[8];
	bool found[3];

	(void)state;
	assert_int_equal(in_both_tables(11), 11);
	/* "directory" is there, but no function */
	assert_int_equal(elf_find_functions(elf, name, 3, symbol, found), 2);
	assert_true(found[0] && found[1] && !found[2]);
	assert_int_equal(elf_read(elf, symbol[0].file_offset, code, 8), 8);
	assert_memory_equal(code, (void *)(uintptr_t)only_in_symtab, 8);
	assert_int_equal(elf_is_32bit(elf), sizeof(void *) == 4);
	assert_int_equal(elf_find_functions(elf, name, 0, symbol, found), 0);
	elf_close(elf);
}

static void forget_sections(char *data)
{
	ElfW(Ehdr) *header = (void *)data;

	header->e_shoff = 0;
	header->e_shnum = 0;
	header->e_shstrndx = 0;
}

static void assert_same_functions(const char *path)
{
	static const char *const name[] = {"qsort", "realpath", "memcpy", "reallocarray", "free"};
	struct elf_file *elf = open_path(libc.map->l_name), *copy = open_path(path);
	struct elf_symbol symbol[ARRAY_SIZE(name)], copied[ARRAY_SIZE(name)];
	bool found[ARRAY_SIZE(name)];

	assert_int_equal(elf_find_functions(elf, name, 5, symbol, found), 5);
	assert_int_equal(elf_find_functions(copy, name, 5, copied, found), 5);
	for (size_t i = 0; i < ARRAY_SIZE(name); i++)
		assert_same(&symbol[i], &copied[i]);
	elf_close(copy);
	elf_close(elf);
}

/* Then PT_DYNAMIC leads to the symbols. */
static void test_no_section_headers(void **state)
{
	size_t nr;
	char *data = read_whole(libc.map->l_name, &nr);

	(void)state;
	forget_sections(data);
	assert_same_functions(write_copy(data, nr));
	free(data);
}

static ElfW(Phdr) * find_header(char *data, uint32_t type)
{
	ElfW(Ehdr) *header = (void *)data;
	ElfW(Phdr) *phdr = (void *)(data + header->e_phoff);

	for (unsigned int i = 0; i < header->e_phnum; i++) {
		if (phdr[i].p_type == type)
			return &phdr[i];
	}
	fail_msg("no program header of type %u", type);
	return NULL;
}

static void test_no_symbols_at_all(void **state)
{
	static const char *const name[] = {"qsort"};
	struct elf_symbol symbol[1];
	struct elf_file *elf;
	bool found[1];
	size_t nr;
	char *data = read_whole(libc.map->l_name, &nr);

	(void)state;
	forget_sections(data);
	find_header(data, PT_DYNAMIC)->p_type = PT_NULL;
	elf = open_path(write_copy(data, nr));
	assert_int_equal(elf_find_functions(elf, name, 1, symbol, found), -ENOENT);
	elf_close(elf);
	free(data);
}

static void test_not_for_us(void **state)
{
	size_t nr;
	char *data = read_whole(libc.map->l_name, &nr);
	ElfW(Ehdr) *header = (void *)data;

	(void)state;
	assert_int_equal(error_of("/dev/null"), -ENOEXEC);
	assert_int_equal(error_of("/tmp"), -ENOEXEC);
	assert_int_equal(error_of(write_copy("", 0)), -ENOEXEC);
	assert_int_equal(error_of(write_copy("#!/bin/sh\n", 10)), -ENOEXEC);
	assert_int_equal(error_of(write_copy("!<arch>\n", 8)), -ENOEXEC);
	assert_int_equal(error_of(write_copy(data, 16)), -ENOEXEC);
	assert_int_equal(error_of(write_copy(data, sizeof(*header) - 1)), -ENOEXEC);
	data[EI_CLASS] = 9;
	assert_int_equal(error_of(write_copy(data, nr)), -ENOTSUP);
	data[EI_CLASS] = ELFCLASS64;
	data[EI_DATA] ^= ELFDATA2LSB ^ ELFDATA2MSB;
	assert_int_equal(error_of(write_copy(data, nr)), -ENOTSUP);
	data[EI_DATA] ^= ELFDATA2LSB ^ ELFDATA2MSB;
	assert_int_equal(error_of(write_copy(data, nr)), 0);
	/* as many sections as a field of the first one says */
	header->e_shnum = 0;
	assert_int_equal(error_of(write_copy(data, nr)), -ENOEXEC);
	free(data);
}

static void test_class_and_machine(void **state)
{
	Elf32_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_version = EV_CURRENT,
		.e_ehsize = sizeof(header),
	};
	struct elf_file *elf = open_path(write_copy(&header, sizeof(header)));
	char text[64];

	(void)state;
	assert_true(elf_is_32bit(elf));
	assert_int_equal(elf_machine(elf), EM_386);
	assert_int_equal(elf_interpreter(elf, text, sizeof(text)), -ENOENT);
	assert_int_equal(elf_build_id(elf, text, sizeof(text)), -ENOENT);
	elf_close(elf);
	elf_close(NULL);
}

static void test_interpreter(void **state)
{
	size_t nr;
	char *data = read_whole("/proc/self/exe", &nr), text[128] = "as before";
	ElfW(Phdr) *phdr = find_header(data, PT_INTERP);
	struct elf_file *elf = open_path("/proc/self/exe");

	(void)state;
	assert_int_equal(elf_interpreter(elf, text, phdr->p_filesz - 1), -ENAMETOOLONG);
	assert_string_equal(text, "as before");
	assert_int_equal(elf_interpreter(elf, text, phdr->p_filesz), 0);
	assert_string_equal(text, data + phdr->p_offset);
	elf_close(elf);

	phdr->p_filesz--;
	elf = open_path(write_copy(data, nr));
	assert_int_equal(elf_interpreter(elf, text, sizeof(text)), -ENOEXEC);
	elf_close(elf);
	phdr->p_offset = UINT64_MAX - 7;
	elf = open_path(write_copy(data, nr));
	assert_true(elf_interpreter(elf, text, sizeof(text)) < 0);
	elf_close(elf);
	free(data);
}

static void test_build_id(void **state)
{
	struct elf_file *elf = open_path(libc.map->l_name);
	char hex[128] = "as before", small[40];

	(void)state;
	assert_int_equal(elf_build_id(elf, small, sizeof(small)), -ENAMETOOLONG);
	assert_int_equal(elf_build_id(elf, hex, 0), -ENAMETOOLONG);
	assert_string_equal(hex, "as before");
	assert_int_equal(elf_build_id(elf, hex, sizeof(hex)), 0);
	assert_int_equal(strlen(hex), 40);
	assert_int_equal(strspn(hex, "0123456789abcdef"), 40);
	elf_close(elf);
}

/* Files that hold debug information in common have sections only. */
static void test_build_id_in_a_section(void **state)
{
	char hex[128], expected[128];
	ElfW(Ehdr) * header;
	struct elf_file *elf = open_path(libc.map->l_name);
	size_t nr;
	char *data = read_whole(libc.map->l_name, &nr);

	(void)state;
	assert_int_equal(elf_build_id(elf, expected, sizeof(expected)), 0);
	elf_close(elf);
	header = (void *)data;
	header->e_phnum = 0;
	elf = open_path(write_copy(data, nr));
	assert_int_equal(elf_build_id(elf, hex, sizeof(hex)), 0);
	assert_string_equal(hex, expected);
	elf_close(elf);
	header->e_shnum = 0;
	header->e_shoff = 0;
	elf = open_path(write_copy(data, nr));
	assert_int_equal(elf_build_id(elf, hex, sizeof(hex)), -ENOENT);
	elf_close(elf);
	free(data);
}

static void test_read(void **state)
{
	struct elf_file *elf = open_path(libc.map->l_name);
	struct stat st;
	char buf[64];

	(void)state;
	assert_int_equal(stat(libc.map->l_name, &st), 0);
	assert_int_equal(elf_read(elf, 0, buf, sizeof(buf)), sizeof(buf));
	assert_memory_equal(buf, ELFMAG, SELFMAG);
	assert_int_equal(elf_read(elf, (uint64_t)st.st_size - 7, buf, sizeof(buf)), 7);
	assert_int_equal(elf_read(elf, (uint64_t)st.st_size, buf, sizeof(buf)), 0);
	assert_int_equal(elf_read(elf, (uint64_t)st.st_size + 99991, buf, sizeof(buf)), 0);
	assert_true(elf_read(elf, UINT64_MAX, buf, sizeof(buf)) < 0);
	assert_true(elf_read(elf, INT64_MAX - 3, buf, sizeof(buf)) < 0);
	elf_close(elf);
}

static void look_around(const char *path)
{
	static const char *const name[] = {"malloc", "qsort", "realpath"};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_symbol symbol[3];
	struct elf_file *elf;
	char text[128];
	bool found[3];

	assert_true(fd >= 0);
	if (elf_open_fd(fd, &elf))
		return;
	(void)elf_find_functions(elf, name, 3, symbol, found);
	(void)elf_interpreter(elf, text, sizeof(text));
	(void)elf_build_id(elf, text, sizeof(text));
	elf_close(elf);
}

/* The headers, tables of the dynamic linker and the sections of a small library, damaged at random and cut short. */
static void test_damaged(void **state)
{
	uint32_t random = 99991;
	size_t nr, places;
	char *data = read_whole("/proc/self/exe", &nr), *copy = malloc(nr);

	(void)state;
	assert_non_null(copy);
	places = nr < 8192 ? nr : 8192;
	for (int round = 0; round < 211; round++) {
		memcpy(copy, data, nr);
		if (round % 2)
			forget_sections(copy);
		for (int i = 0; i < 1 + round / 4; i++) {
			random = random * 1664525 + 1013904223;
			copy[16 + (random >> 8) % (places - 16)] = (char)random;
		}
		look_around(write_copy(copy, nr));
	}
	for (size_t bytes = 1; bytes < nr; bytes += bytes / 7 + 1)
		look_around(write_copy(data, bytes));
	free(copy);
	free(data);
}

/* Sections as large as a file can be, which takes no room on the disk. */
static void test_huge_and_hollow(void **state)
{
	static const char *const name[] = {"qsort"};
	struct elf_symbol symbol[1];
	struct timespec before, after;
	struct elf_file *elf;
	bool found[1];
	size_t nr;
	char *data = read_whole(libc.map->l_name, &nr);
	ElfW(Ehdr) *header = (void *)data;
	ElfW(Shdr) *shdr = (void *)(data + header->e_shoff);

	(void)state;
	find_header(data, PT_DYNAMIC)->p_type = PT_NULL;
	for (unsigned int i = 1; i < header->e_shnum; i++)
		shdr[i].sh_size = (uint64_t)1 << 40;
	(void)write_copy(data, nr);
	assert_int_equal(truncate(copy_path, (off_t)1 << 41), 0);
	clock_gettime(CLOCK_MONOTONIC, &before);
	elf = open_path(copy_path);
	assert_int_equal(elf_find_functions(elf, name, 1, symbol, found), -ENOENT);
	elf_close(elf);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 5);
	free(data);
}

static void test_out_of_memory(void **state)
{
	static const char *const name[] = {"qsort", "realpath"};
	struct elf_symbol symbol[2];
	struct elf_file *elf;
	bool failed = true, found[2];
	int result, fd;

	(void)state;
	for (long nth = 1; failed; nth++) {
		fd = open(libc.map->l_name, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		allocfail_set(nth);
		result = elf_open_fd(fd, &elf);
		if (!result) {
			result = elf_find_functions(elf, name, 2, symbol, found);
			elf_close(elf);
		}
		failed = allocfail_hit();
		allocfail_set(0);
		assert_int_equal(result, failed ? -ENOMEM : 2);
	}
}

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(directory));
	(void)snprintf(copy_path, sizeof(copy_path), "%s/copy", directory);
	libc.handle = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	assert_non_null(libc.handle);
	assert_int_equal(dlinfo(libc.handle, RTLD_DI_LINKMAP, &libc.map), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dlclose(libc.handle);
	unlink(copy_path);
	rmdir(directory);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edge_39_library),
		cmocka_unit_test(test_program),
		cmocka_unit_test(test_no_section_headers),
		cmocka_unit_test(test_no_symbols_at_all),
		cmocka_unit_test(test_not_for_us),
		cmocka_unit_test(test_class_and_machine),
		cmocka_unit_test(test_interpreter),
		cmocka_unit_test(test_build_id),
		cmocka_unit_test(test_build_id_in_a_section),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_huge_and_hollow),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
