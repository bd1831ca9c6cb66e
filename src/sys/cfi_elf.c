/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cfi_elf.h"

#include <dwarf.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define MAX_PROGRAM_HEADERS 4096
#define MAX_NAMES_BYTES ((size_t)1 << 20)
#define MAX_INFLATION 32 /* call frame information compresses three or four times */
#define EH_FRAME_HDR_VERSION 1

static int read_file(int fd, uint64_t offset, unsigned char *data, size_t *nr)
{
	size_t total = 0;
	ssize_t done;

	while (total < *nr) {
		done = pread(fd, data + total, *nr - total, (off_t)(offset + total));
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (!done)
			break; /* it was cut off since */
		total += (size_t)done;
	}
	*nr = total;
	return 0;
}

/* The bytes from an offset on, as many of nr as there are. Nothing there: an empty section. */
static int load(const struct cfi_source *source, uint64_t offset, uint64_t nr,
		struct cfi_section *out)
{
	unsigned char *data;
	size_t bytes;
	int error;

	if (offset >= source->bytes)
		return 0;
	bytes = nr < source->bytes - offset ? nr : source->bytes - offset;
	if (!bytes)
		return 0;
	if (source->image) {
		out->data = source->image + offset;
		out->nr = bytes;
		return 0;
	}
	data = malloc(bytes);
	if (!data)
		return -ENOMEM;
	error = read_file(source->fd, offset, data, &bytes);
	if (error) {
		free(data);
		return error;
	}
	*out = (struct cfi_section){.data = data, .nr = bytes, .owned = data};
	return 0;
}

static void unload(struct cfi_section *section)
{
	free(section->owned);
	*section = (struct cfi_section){0};
}

/* --- headers ------------------------------------------------------------------------------------ */

static int read_header(const struct cfi_source *source, Elf64_Ehdr *out)
{
	struct cfi_section raw = {0};
	int error = load(source, 0, sizeof(*out), &raw);

	if (error)
		return error;
	if (raw.nr < EI_NIDENT || memcmp(raw.data, ELFMAG, SELFMAG) != 0)
		error = -ENOEXEC;
	else if (raw.data[EI_CLASS] != ELFCLASS64 || raw.data[EI_DATA] != ELFDATA2LSB)
		error = -ENOTSUP;
	else if (raw.nr < sizeof(*out))
		error = -ENOEXEC;
	else
		memcpy(out, raw.data, sizeof(*out));
	unload(&raw);
	if (!error && out->e_machine != EM_X86_64 && out->e_machine != EM_AARCH64)
		error = -ENOTSUP;
	return error;
}

/* Headers may lie anywhere, aligned or not. */
static Elf64_Phdr program_header(const struct cfi_section *headers, size_t i)
{
	Elf64_Phdr header;

	memcpy(&header, headers->data + i * sizeof(header), sizeof(header));
	return header;
}

static Elf64_Shdr section_header(const struct cfi_section *headers, size_t i)
{
	Elf64_Shdr header;

	memcpy(&header, headers->data + i * sizeof(header), sizeof(header));
	return header;
}

static int load_program_headers(const struct cfi_source *source, const Elf64_Ehdr *header,
				struct cfi_section *out)
{
	if (!header->e_phnum)
		return -ENOENT;
	if (header->e_phnum > MAX_PROGRAM_HEADERS || header->e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	return load(source, header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr), out);
}

static int add_code(struct cfi_elf *elf, const Elf64_Phdr *header)
{
	uint64_t bytes = header->p_memsz > header->p_filesz ? header->p_memsz : header->p_filesz;
	struct cfi_code *code = &elf->code[elf->nr_code];

	if (!bytes)
		return 0;
	if (elf->nr_code == CFI_MAX_CODE_SEGMENTS)
		return -ENOTSUP;
	*code = (struct cfi_code){.address = header->p_vaddr,
				  .file_offset = header->p_offset,
				  .file_bytes = header->p_filesz};
	if (__builtin_add_overflow(code->address, bytes, &code->end))
		return -ENOTSUP;
	elf->nr_code++;
	return 0;
}

static int find_code(struct cfi_elf *elf, const struct cfi_section *headers)
{
	size_t nr = headers->nr / sizeof(Elf64_Phdr);
	uint64_t lowest = UINT64_MAX;
	int error = 0;

	elf->code = calloc(CFI_MAX_CODE_SEGMENTS, sizeof(*elf->code));
	if (!elf->code)
		return -ENOMEM;
	for (size_t i = 0; i < nr && !error; i++) {
		Elf64_Phdr header = program_header(headers, i);

		if (header.p_type == PT_GNU_EH_FRAME && !elf->eh_frame_hdr)
			elf->eh_frame_hdr = header.p_vaddr;
		if (header.p_type != PT_LOAD)
			continue;
		if (header.p_vaddr < lowest)
			lowest = header.p_vaddr;
		if (header.p_flags & PF_X)
			error = add_code(elf, &header);
	}
	if (error)
		return error;
	elf->base = lowest & ~(CFI_PAGE_BYTES - 1);
	for (size_t i = 0; i < elf->nr_code; i++) {
		if (elf->code[i].end - elf->base > UINT32_MAX)
			return -ENOTSUP;
	}
	return elf->nr_code ? 0 : -ENOENT;
}

/* --- by section headers ------------------------------------------------------------------------- */

static int inflate_section(struct cfi_section *section)
{
	struct cfi_section packed = *section;
	Elf64_Chdr header;
	uLongf bytes;
	void *data;

	*section = (struct cfi_section){.address = packed.address};
	if (packed.nr < sizeof(header))
		goto out;
	memcpy(&header, packed.data, sizeof(header));
	packed.data += sizeof(header);
	packed.nr -= sizeof(header);
	if (header.ch_type != ELFCOMPRESS_ZLIB || header.ch_size > CFI_MAX_SECTION_BYTES ||
	    header.ch_size / MAX_INFLATION > packed.nr)
		goto out;
	bytes = header.ch_size;
	data = malloc(bytes + 1); /* none is not out of memory */
	if (!data) {
		unload(&packed);
		return -ENOMEM;
	}
	if (uncompress(data, &bytes, packed.data, packed.nr) == Z_OK) {
		section->data = section->owned = data;
		section->nr = bytes;
	} else {
		free(data);
	}
out:
	unload(&packed);
	return 0;
}

static int load_section(const struct cfi_source *source, const Elf64_Shdr *header,
			struct cfi_section *out)
{
	int error;

	/* the first of a name counts; debug files have them empty */
	if (out->data || header->sh_type == SHT_NOBITS)
		return 0;
	if (header->sh_size > CFI_MAX_SECTION_BYTES)
		return -E2BIG;
	error = load(source, header->sh_offset, header->sh_size, out);
	out->address = header->sh_addr;
	if (!error && header->sh_flags & SHF_COMPRESSED)
		error = inflate_section(out);
	return error;
}

static bool has_name(const struct cfi_section *names, uint32_t at, const char *name)
{
	size_t nr = strlen(name) + 1;

	return at < names->nr && nr <= names->nr - at && !memcmp(names->data + at, name, nr);
}

static int load_by_name(const struct cfi_source *source, const struct cfi_section *headers,
			const struct cfi_section *names, struct cfi_elf *elf)
{
	size_t nr = headers->nr / sizeof(Elf64_Shdr);
	int error = 0;

	for (size_t i = 0; i < nr && !error; i++) {
		Elf64_Shdr header = section_header(headers, i);

		if (has_name(names, header.sh_name, ".eh_frame"))
			error = load_section(source, &header, &elf->eh_frame);
		else if (has_name(names, header.sh_name, ".debug_frame"))
			error = load_section(source, &header, &elf->debug_frame);
	}
	return error;
}

static int find_by_sections(const struct cfi_source *source, const Elf64_Ehdr *header,
			    struct cfi_elf *elf)
{
	struct cfi_section headers = {0}, names = {0};
	Elf64_Shdr strings;
	int error;

	if (!header->e_shoff || header->e_shentsize != sizeof(Elf64_Shdr))
		return 0;
	error = load(source, header->e_shoff, header->e_shnum * sizeof(Elf64_Shdr), &headers);
	if (!error && header->e_shstrndx < headers.nr / sizeof(Elf64_Shdr)) {
		strings = section_header(&headers, header->e_shstrndx);
		if (strings.sh_size > MAX_NAMES_BYTES)
			strings.sh_size = MAX_NAMES_BYTES;
		error = load(source, strings.sh_offset, strings.sh_size, &names);
	}
	if (!error)
		error = load_by_name(source, &headers, &names, elf);
	unload(&names);
	unload(&headers);
	return error;
}

/* --- by program headers ------------------------------------------------------------------------- */

static bool find_header(const struct cfi_section *headers, uint32_t type, Elf64_Phdr *out)
{
	for (size_t i = 0; i < headers->nr / sizeof(Elf64_Phdr); i++) {
		*out = program_header(headers, i);
		if (out->p_type == type)
			return true;
	}
	return false;
}

/* From an address to the end of the PT_LOAD that it is in. */
static int load_rest_of_segment(const struct cfi_source *source, const struct cfi_section *headers,
				uint64_t address, struct cfi_section *out)
{
	uint64_t skip, nr;
	int error;

	for (size_t i = 0; i < headers->nr / sizeof(Elf64_Phdr); i++) {
		Elf64_Phdr header = program_header(headers, i);

		if (header.p_type != PT_LOAD || address < header.p_vaddr ||
		    address - header.p_vaddr >= header.p_filesz)
			continue;
		skip = address - header.p_vaddr;
		nr = header.p_filesz - skip;
		if (header.p_offset > source->bytes || skip > source->bytes - header.p_offset)
			return 0;
		error = load(source, header.p_offset + skip,
			     nr < CFI_MAX_SECTION_BYTES ? nr : CFI_MAX_SECTION_BYTES, out);
		out->address = address;
		return error;
	}
	return 0;
}

static int find_by_segments(const struct cfi_source *source, const struct cfi_section *headers,
			    struct cfi_elf *elf)
{
	struct cfi_section hdr = {0};
	unsigned int version, encoding;
	struct cfi_cursor cursor;
	uint64_t address;
	Elf64_Phdr header;
	int error;

	if (!find_header(headers, PT_GNU_EH_FRAME, &header))
		return 0;
	error = load(source, header.p_offset, header.p_filesz < 64 ? header.p_filesz : 64, &hdr);
	if (error || !hdr.nr)
		return error;
	hdr.address = header.p_vaddr;
	cursor = (struct cfi_cursor){.at = hdr.data, .end = hdr.data + hdr.nr};
	version = (unsigned int)cfi_number(&cursor, 1);
	encoding = (unsigned int)cfi_number(&cursor, 1);
	cfi_skip(&cursor, 2); /* encodings of the table that follows, which we do not need */
	address = cfi_pointer(&cursor, encoding, &hdr, hdr.address);
	if (!cursor.bad && version == EH_FRAME_HDR_VERSION) {
		error = load_rest_of_segment(source, headers, address, &elf->eh_frame);
		elf->eh_frame_ends_at_zero = true;
	}
	unload(&hdr);
	return error;
}

int cfi_elf_load(const struct cfi_source *source, struct cfi_elf *out)
{
	struct cfi_section headers = {0};
	struct cfi_elf elf = {0};
	Elf64_Ehdr header;
	int error;

	error = read_header(source, &header);
	if (error)
		return error;
	elf.is_arm64 = header.e_machine == EM_AARCH64;
	elf.entry = header.e_entry;
	error = load_program_headers(source, &header, &headers);
	if (!error)
		error = find_code(&elf, &headers);
	if (!error)
		error = find_by_sections(source, &header, &elf);
	if (!error && !elf.eh_frame.data)
		error = find_by_segments(source, &headers, &elf);
	unload(&headers);
	if (error)
		cfi_elf_release(&elf);
	else
		*out = elf;
	return error;
}

void cfi_elf_release(struct cfi_elf *elf)
{
	unload(&elf->eh_frame);
	unload(&elf->debug_frame);
	free(elf->code);
	*elf = (struct cfi_elf){0};
}
