/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "minidebug.h"

#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fd.h"

#define SECTION_NAME ".gnu_debugdata"
#define UNPACK_MEMORY_BYTES ((uint64_t)128 << 20) /* xz -9 needs 65 MiB */
#define CHUNK_BYTES 65536

/* NULL: no such section. */
static Elf_Data *find_section(const struct elf_file *image)
{
	Elf_Scn *scn = NULL;
	const char *name;
	GElf_Shdr shdr;
	size_t names;

	if (elf_getshdrstrndx(image->handle, &names))
		return NULL;
	while ((scn = elf_nextscn(image->handle, scn))) {
		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type != SHT_PROGBITS)
			continue;
		name = elf_strptr(image->handle, names, shdr.sh_name);
		if (name && !strcmp(name, SECTION_NAME))
			return elf_chunk(image, shdr.sh_offset, shdr.sh_size, ELF_T_BYTE);
	}
	return NULL;
}

/* -ENOENT: it is damaged, or too large. */
static int unpack_stream(lzma_stream *stream, int fd)
{
	uint8_t *chunk = malloc(CHUNK_BYTES);
	lzma_ret result = LZMA_OK;
	int error = chunk ? 0 : -ENOMEM;

	while (!error && result == LZMA_OK) {
		stream->next_out = chunk;
		stream->avail_out = CHUNK_BYTES;
		result = lzma_code(stream, LZMA_FINISH);
		if (stream->total_out > MINIDEBUG_MAX_BYTES)
			error = -ENOENT;
		else
			error = fd_write_all(fd, chunk, CHUNK_BYTES - stream->avail_out);
	}
	free(chunk);
	if (error)
		return error == -ENOMEM ? error : -ENOENT;
	if (result == LZMA_MEM_ERROR)
		return -ENOMEM;
	return result == LZMA_STREAM_END ? 0 : -ENOENT;
}

static int unpack(const Elf_Data *packed, int fd)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	int error;

	if (lzma_stream_decoder(&stream, UNPACK_MEMORY_BYTES, 0) != LZMA_OK)
		return -ENOMEM;
	stream.next_in = packed->d_buf;
	stream.avail_in = packed->d_size;
	error = unpack_stream(&stream, fd);
	lzma_end(&stream);
	return error;
}

int minidebug_open(const struct elf_file *image, struct elf_file **out)
{
	const Elf_Data *packed = find_section(image);
	int fd, error;

	if (!packed || !packed->d_buf || !packed->d_size)
		return -ENOENT;
	fd = memfd_create("minidebug", MFD_CLOEXEC);
	if (fd < 0)
		return errno == ENOMEM ? -ENOMEM : -ENOENT;
	error = unpack(packed, fd);
	if (error) {
		fd_close(&fd);
		return error;
	}
	error = elf_open_as(fd, ELF_C_READ, out);
	return error && error != -ENOMEM ? -ENOENT : error;
}
