/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "debugfile.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "array.h"
#include "fd.h"

#define BUILD_ID_HEX_BYTES 256
#define CRC_CHUNK_BYTES 65536

/* What a debug file must show to be the right one. */
struct proof {
	char build_id[BUILD_ID_HEX_BYTES]; /* "": by crc */
	uint32_t crc;
};

struct search {
	const struct debugfile_places *places;
	const struct rootdir *root; /* of the process; NULL: ours */
	struct proof proof;
};

static int crc_of(struct elf_file *elf, uint32_t *out)
{
	unsigned char *chunk = malloc(CRC_CHUNK_BYTES);
	uLong crc = crc32(0, NULL, 0);
	uint64_t at = 0;
	int64_t nr;

	if (!chunk)
		return -ENOMEM;
	while ((nr = elf_read(elf, at, chunk, CRC_CHUNK_BYTES)) > 0) {
		crc = crc32(crc, chunk, (uInt)nr);
		at += (uint64_t)nr;
	}
	free(chunk);
	if (nr < 0)
		return (int)nr;
	*out = (uint32_t)crc;
	return 0;
}

static bool is_proven(struct elf_file *elf, const struct proof *proof)
{
	char build_id[BUILD_ID_HEX_BYTES];
	uint32_t crc = 0;

	if (proof->build_id[0])
		return !elf_build_id(elf, build_id, sizeof(build_id)) &&
		       !strcmp(build_id, proof->build_id);
	return !crc_of(elf, &crc) && crc == proof->crc;
}

static int open_elf(int fd, bool is_foreign, struct debugfile *out)
{
	struct stat st;

	if (fstat(fd, &st)) {
		fd_close(&fd);
		return -EFBIG;
	}
	is_foreign |= st.st_uid != 0 || st.st_mode & (S_IWGRP | S_IWOTH);
	out->is_copied = (uint64_t)st.st_size <= DEBUGFILE_MAX_COPIED_BYTES;
	if (is_foreign && !out->is_copied) {
		fd_close(&fd);
		return -EFBIG;
	}
	return elf_open_as(fd, out->is_copied ? ELF_C_READ : ELF_C_READ_MMAP, &out->elf);
}

/* Takes over fd, or the error in its place, and path. */
static int take_file(const struct search *search, const struct rootdir *root, int fd, char *path,
		     struct debugfile *out)
{
	struct debugfile file = {.path = path, .root = root};
	int error;

	if (!path) {
		fd_close(&fd);
		return -ENOMEM;
	}
	error = fd < 0 ? fd : open_elf(fd, root && root == search->root, &file);
	if (!error && !is_proven(file.elf, &search->proof))
		error = -ENOENT;
	if (error) {
		debugfile_release(&file);
		return error == -ENOMEM ? error : -ENOENT;
	}
	*out = file;
	return 0;
}

/* Takes over path. */
static int try_path(const struct search *search, const struct rootdir *root, char *path,
		    struct debugfile *out)
{
	if (!path)
		return -ENOMEM;
	return take_file(search, root, rootdir_open_file(root, path, false), path, out);
}

static char *format_path(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *format_path(const char *format, ...)
{
	va_list args;
	char *path;
	int nr;

	va_start(args, format);
	nr = vasprintf(&path, format, args);
	va_end(args);
	return nr < 0 ? NULL : path;
}

/* The debug directories in order; NULL after the last. */
static const char *directory_at(const struct search *search, size_t i)
{
	if (i < search->places->nr_dirs)
		return search->places->dir[i];
	return i == search->places->nr_dirs ? DEBUGFILE_DIRECTORY : NULL;
}

static int try_build_id(const struct search *search, const struct rootdir *root, const void *arg,
			struct debugfile *out)
{
	const char *hex = search->proof.build_id, *directory;
	int error = -ENOENT;

	(void)arg;
	for (size_t i = 0; error == -ENOENT && (directory = directory_at(search, i)); i++)
		error = try_path(search, root,
				 format_path("%s/.build-id/%.2s/%s.debug", directory, hex, hex + 2),
				 out);
	return error;
}

struct link {
	const char *path; /* of the program */
	const char *name;
};

static int directory_bytes(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (int)(slash - path) : 0;
}

static int try_link(const struct search *search, const struct rootdir *root, const void *arg,
		    struct debugfile *out)
{
	const struct link *link = arg;
	const char *path = link->path, *name = link->name, *directory;
	int nr = directory_bytes(path), error;

	/* "beside it" could be the program itself */
	error = strcmp(path + nr + 1, name) == 0
			? -ENOENT
			: try_path(search, root, format_path("%.*s/%s", nr, path, name), out);
	if (error == -ENOENT)
		error = try_path(search, root, format_path("%.*s/.debug/%s", nr, path, name), out);
	for (size_t i = 0; error == -ENOENT && (directory = directory_at(search, i)); i++)
		error = try_path(search, root, format_path("%s%.*s/%s", directory, nr, path, name),
				 out);
	return error;
}

typedef int try_function(const struct search *search, const struct rootdir *root, const void *arg,
			 struct debugfile *out);

static int try_roots(const struct search *search, try_function *try, const void *arg,
		     struct debugfile *out)
{
	const struct rootdir *root[] = {NULL, search->places->sysroot, search->root};
	int error = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(root) && error == -ENOENT; i++) {
		if (!i || root[i])
			error = try(search, root[i], arg, out);
	}
	return error;
}

static bool has_build_id(const struct search *search)
{
	return strlen(search->proof.build_id) > 2;
}

static int fetch(const struct search *search, struct debugfile *out)
{
	int fd;

	if (!search->places->server || !has_build_id(search))
		return -ENOENT;
	fd = debuginfod_fetch(search->places->server, search->proof.build_id);
	return fd < 0 ? -ENOENT : take_file(search, NULL, fd, strdup(""), out);
}

int debugfile_find(const struct debugfile_places *places, struct elf_file *image, const char *path,
		   const struct rootdir *root, struct debugfile *out)
{
	struct search search = {.places = places, .root = root};
	struct link link = {.path = path};
	int error = -ENOENT;

	if (elf_build_id(image, search.proof.build_id, sizeof(search.proof.build_id)))
		search.proof.build_id[0] = '\0';
	if (has_build_id(&search))
		error = try_roots(&search, try_build_id, NULL, out);
	if (error != -ENOENT)
		return error;
	link.name = dwelf_elf_gnu_debuglink(image->handle, &search.proof.crc);
	if (link.name && link.name[0] && path[0] == '/' && !strchr(link.name, '/'))
		error = try_roots(&search, try_link, &link, out);
	return error == -ENOENT ? fetch(&search, out) : error;
}

static void set_build_id(struct proof *proof, const unsigned char *id, size_t nr)
{
	for (size_t i = 0; i < nr && 2 * i + 3 <= sizeof(proof->build_id); i++)
		(void)snprintf(proof->build_id + 2 * i, 3, "%02x", id[i]);
}

int debugfile_find_common(const struct debugfile_places *places, Dwarf *dwarf,
			  const struct debugfile *beside, const struct rootdir *root,
			  struct debugfile *out)
{
	struct search search = {.places = places, .root = root};
	const char *name, *path = beside->path;
	const void *id;
	ssize_t nr = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &id);
	int error;

	if (!nr)
		return -ENODATA;
	if (nr < 0)
		return -ENOENT;
	set_build_id(&search.proof, id, (size_t)nr);
	if (!has_build_id(&search))
		return -ENOENT;
	error = try_roots(&search, try_build_id, NULL, out);
	if (error == -ENOENT && name[0] == '/')
		error = try_path(&search, beside->root, strdup(name), out);
	else if (error == -ENOENT && path[0] == '/')
		error = try_path(&search, beside->root,
				 format_path("%.*s/%s", directory_bytes(path), path, name), out);
	return error == -ENOENT ? fetch(&search, out) : error;
}

void debugfile_release(struct debugfile *file)
{
	elf_close(file->elf);
	free(file->path);
	*file = (struct debugfile){0};
}
