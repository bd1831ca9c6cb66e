/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "debugfile.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "fd.h"
#include "proc.h"

#define DEBUG_ROOT "/usr/lib/debug"
#define BUILD_ID_HEX_BYTES 256
#define CRC_CHUNK_BYTES 65536

/* What a debug file must show to be the right one. */
struct proof {
	char build_id[BUILD_ID_HEX_BYTES]; /* "": by crc */
	uint32_t crc;
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

/* Takes over path. Debug files are replaced, not rewritten, and may be larger than memory: they are mapped. */
static int try_path(char *path, const struct proof *proof, struct debugfile *out)
{
	struct elf_file *elf = NULL;
	int handle, fd, error;

	if (!path)
		return -ENOMEM;
	handle = open(path, O_PATH | O_CLOEXEC);
	fd = handle < 0 ? -errno : proc_open_handle(handle);
	error = fd < 0 ? fd : elf_open_as(fd, ELF_C_READ_MMAP, &elf);
	if (!error && !is_proven(elf, proof)) {
		elf_close(elf);
		error = -ENOENT;
	}
	if (error) {
		free(path);
		return error == -ENOMEM ? error : -ENOENT;
	}
	*out = (struct debugfile){.elf = elf, .path = path};
	return 0;
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

static int find_by_build_id(const struct proof *proof, struct debugfile *out)
{
	const char *hex = proof->build_id;

	if (strlen(hex) <= 2)
		return -ENOENT;
	return try_path(format_path(DEBUG_ROOT "/.build-id/%.2s/%s.debug", hex, hex + 2), proof,
			out);
}

static int directory_bytes(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (int)(slash - path) : 0;
}

static int find_by_link(const char *path, const char *name, const struct proof *proof,
			struct debugfile *out)
{
	int nr = directory_bytes(path), error;

	if (path[0] != '/' || strchr(name, '/') || !name[0])
		return -ENOENT;
	/* "beside it" could be the program itself */
	error = strcmp(path + nr + 1, name) == 0
			? -ENOENT
			: try_path(format_path("%.*s/%s", nr, path, name), proof, out);
	if (error == -ENOENT)
		error = try_path(format_path("%.*s/.debug/%s", nr, path, name), proof, out);
	if (error == -ENOENT)
		error = try_path(format_path(DEBUG_ROOT "%.*s/%s", nr, path, name), proof, out);
	return error;
}

int debugfile_find(struct elf_file *image, const char *path, struct debugfile *out)
{
	struct proof proof = {0};
	const char *name;
	int error = -ENOENT;

	if (!elf_build_id(image, proof.build_id, sizeof(proof.build_id)))
		error = find_by_build_id(&proof, out);
	if (error != -ENOENT)
		return error;
	name = dwelf_elf_gnu_debuglink(image->handle, &proof.crc);
	return name ? find_by_link(path, name, &proof, out) : -ENOENT;
}

static void set_build_id(struct proof *proof, const unsigned char *id, size_t nr)
{
	for (size_t i = 0; i < nr && 2 * i + 3 <= sizeof(proof->build_id); i++)
		(void)snprintf(proof->build_id + 2 * i, 3, "%02x", id[i]);
}

int debugfile_find_common(Dwarf *dwarf, const char *path, struct debugfile *out)
{
	struct proof proof = {0};
	const char *name;
	const void *id;
	ssize_t nr = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &id);
	int error;

	if (!nr)
		return -ENODATA;
	if (nr < 0)
		return -ENOENT;
	set_build_id(&proof, id, (size_t)nr);
	error = find_by_build_id(&proof, out);
	if (error == -ENOENT && name[0] == '/')
		error = try_path(format_path("%s", name), &proof, out);
	else if (error == -ENOENT)
		error = try_path(format_path("%.*s/%s", directory_bytes(path), path, name), &proof,
				 out);
	return error;
}

void debugfile_release(struct debugfile *file)
{
	elf_close(file->elf);
	free(file->path);
	*file = (struct debugfile){0};
}
