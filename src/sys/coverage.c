/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "coverage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cfi.h"
#include "debugfile.h"
#include "elf_image.h"
#include "fd.h"
#include "minidebug.h"
#include "rootdir.h"
#include "symtab.h"

/* Larger files are mapped rather than copied. */

/* --- where names are ------------------------------------------------------------------------------------------ */

static bool has_debug_information(const struct elf_file *elf)
{
	Elf_Scn *scn = NULL;
	const char *name;
	GElf_Shdr shdr;
	size_t strings;

	if (elf_getshdrstrndx(elf->handle, &strings))
		return false;
	while ((scn = elf_nextscn(elf->handle, scn))) {
		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type == SHT_NOBITS)
			continue;
		name = elf_strptr(elf->handle, strings, shdr.sh_name);
		if (name && (!strcmp(name, ".debug_info") || !strcmp(name, ".zdebug_info")))
			return true;
	}
	return false;
}

/* 1, 0 or -ENOMEM. */
static int has_functions(const struct elf_file *elf, uint32_t section_type,
			 const struct elf_file *image)
{
	struct symtab symbols = {0};
	size_t nr = 0;
	int error = symtab_add(&symbols, elf, section_type, image, &nr);

	symtab_release(&symbols);
	return error ? error : nr > 0;
}

static int has_packed_symbols(const struct elf_file *image)
{
	struct elf_file *mini;
	int error = minidebug_open(image, &mini);

	if (error)
		return error == -ENOENT ? 0 : error;
	error = has_functions(mini, SHT_SYMTAB, image);
	elf_close(mini);
	return error;
}

static int find_symbols(const struct elf_file *elf, struct coverage_file *file)
{
	int found = has_functions(elf, SHT_SYMTAB, elf);

	file->names = COVERAGE_SYMBOL_TABLE;
	if (!found) {
		found = has_packed_symbols(elf);
		file->names = COVERAGE_PACKED_SYMBOLS;
	}
	if (!found) {
		found = has_functions(elf, SHT_DYNSYM, elf);
		file->names = COVERAGE_DYNAMIC_SYMBOLS;
	}
	if (!found)
		file->names = COVERAGE_NO_NAMES;
	return found < 0 ? found : 0;
}

static int find_names(struct elf_file *elf, const struct rootdir *root, struct coverage_file *file)
{
	const struct debugfile_places places = {0};
	struct debugfile debug;
	int error;

	if (has_debug_information(elf)) {
		file->names = COVERAGE_DEBUG_INFORMATION;
		return 0;
	}
	error = debugfile_find(&places, elf, file->path, root, &debug);
	if (error == -ENOENT)
		return find_symbols(elf, file);
	if (error)
		return error;
	file->names = COVERAGE_DEBUG_FILE;
	file->debug_path = strdup(debug.path);
	debugfile_release(&debug);
	return file->debug_path ? 0 : -ENOMEM;
}

/* --- one file ------------------------------------------------------------------------------------------------- */

static int read_rows(int fd, struct coverage_file *file)
{
	struct cfi_table cfi;

	file->cfi_error = cfi_read_file(fd, &cfi);
	if (file->cfi_error)
		return file->cfi_error == -ENOMEM ? -ENOMEM : 0;
	file->rows = cfi.nr;
	cfi_release(&cfi);
	return 0;
}

/* Takes over fd. */
static int read_names(int fd, const struct rootdir *root, struct coverage_file *file)
{
	struct elf_file *elf;
	/* not mapped: the file may be cut short at any time */
	int error = elf_open_as(fd, ELF_C_READ, &elf);

	if (error) /* no program, which cfi_error tells as well */
		return error == -ENOMEM ? error : 0;
	error = find_names(elf, root, file);
	elf_close(elf);
	return error;
}

/* Only -ENOMEM is a failure. */
static int read_file(pid_t tgid, const struct proc_mapping *mapping, const struct rootdir *root,
		     struct coverage_file *file)
{
	int fd = proc_open_mapping(tgid, mapping), error;

	if (fd < 0) {
		file->error = fd;
		return 0;
	}
	error = read_rows(fd, file);
	if (error)
		fd_close(&fd);
	else
		error = read_names(fd, root, file);
	if (error == -ENOMEM)
		return error;
	file->error = error;
	return 0;
}

/* --- all of them ---------------------------------------------------------------------------------------------- */

static bool is_of_kernel(const struct proc_mapping *mapping)
{
	return !strcmp(mapping->path, "[vdso]") || !strcmp(mapping->path, "[vsyscall]") ||
	       !strcmp(mapping->path, "[uprobes]");
}

static int compare_numbers(uint64_t x, uint64_t y)
{
	return x < y ? -1 : x > y;
}

static int compare_files(const void *a, const void *b)
{
	const struct proc_mapping *x = *(const struct proc_mapping *const *)a;
	const struct proc_mapping *y = *(const struct proc_mapping *const *)b;
	int order = compare_numbers(x->dev_major, y->dev_major);

	if (!order)
		order = compare_numbers(x->dev_minor, y->dev_minor);
	if (!order)
		order = compare_numbers(x->inode, y->inode);
	return order ? order : compare_numbers(x->start, y->start);
}

static int compare_sizes(const void *a, const void *b)
{
	const struct coverage_file *x = a, *y = b;
	int order = compare_numbers(y->bytes, x->bytes);

	return order ? order : strcmp(x->path, y->path);
}

static bool is_same_file(const struct proc_mapping *a, const struct proc_mapping *b)
{
	return a->dev_major == b->dev_major && a->dev_minor == b->dev_minor && a->inode == b->inode;
}

/* The mappings of one file are side by side. */
static int read_files(pid_t tgid, const struct proc_mapping **mapping, size_t nr,
		      const struct rootdir *root, struct coverage *coverage)
{
	struct coverage_file *file = NULL;
	int error = 0;

	for (size_t i = 0; i < nr && !error; i++) {
		if (i && is_same_file(mapping[i - 1], mapping[i])) {
			if (file)
				file->bytes += mapping[i]->end - mapping[i]->start;
			continue;
		}
		if (coverage->nr == COVERAGE_MAX_FILES) {
			file = NULL;
			coverage->nr_left_out++;
			continue;
		}
		file = &coverage->file[coverage->nr];
		file->bytes = mapping[i]->end - mapping[i]->start;
		file->path = strdup(mapping[i]->path);
		if (!file->path)
			return -ENOMEM;
		coverage->nr++;
		error = read_file(tgid, mapping[i], root, file);
	}
	return error;
}

/* Those of files to `mapping`, which has room for all. */
static size_t sort_out(const struct proc_maps *maps, const struct proc_mapping **mapping,
		       struct coverage *coverage)
{
	const struct proc_mapping *item;
	size_t nr = 0;

	for (size_t i = 0; i < maps->nr; i++) {
		item = &maps->item[i];
		if (!item->exec)
			continue;
		if (item->inode) {
			mapping[nr++] = item;
		} else if (!is_of_kernel(item)) {
			coverage->nr_made++;
			coverage->made_bytes += item->end - item->start;
		}
	}
	qsort(mapping, nr, sizeof(mapping[0]), compare_files);
	return nr;
}

int coverage_read(pid_t tgid, const struct proc_maps *maps, struct coverage *out)
{
	const struct proc_mapping **mapping = calloc(maps->nr + 1, sizeof(mapping[0]));
	struct coverage coverage = {0};
	struct rootdir *root = NULL;
	size_t nr;
	int error = mapping ? rootdir_open_process(tgid, &root) : -ENOMEM;

	if (error == -ESRCH || error == -ENOMEM)
		goto out;
	/* without the process's root, debug files are looked for in ours */
	nr = sort_out(maps, mapping, &coverage);
	coverage.file = calloc((nr < COVERAGE_MAX_FILES ? nr : COVERAGE_MAX_FILES) + 1,
			       sizeof(coverage.file[0]));
	error = coverage.file ? read_files(tgid, mapping, nr, root, &coverage) : -ENOMEM;
	rootdir_put(root);
	if (error) {
		coverage_release(&coverage);
		goto out;
	}
	qsort(coverage.file, coverage.nr, sizeof(coverage.file[0]), compare_sizes);
	*out = coverage;
out:
	free(mapping);
	return error;
}

void coverage_release(struct coverage *coverage)
{
	for (size_t i = 0; i < coverage->nr; i++) {
		free(coverage->file[i].path);
		free(coverage->file[i].debug_path);
	}
	free(coverage->file);
	*coverage = (struct coverage){0};
}
