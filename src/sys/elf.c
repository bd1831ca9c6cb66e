/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "elf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf_image.h"
#include "fd.h"

#define ELF_MAX_SEGMENTS 4096
#define ELF_MAX_CHUNK_BYTES ((uint64_t)512 << 20) /* of a symbol or string table */
#define ELF_MAX_NOTES_BYTES ((uint64_t)1 << 20)
#define ELF_SEGMENT_PAGE 4096u

/* What both classes have in the same place, and e_shoff and e_shnum of each. */
struct header_counts {
	unsigned char ident[EI_NIDENT];
	uint64_t section_offset;
	uint16_t nr_sections;
};

static int read_header(int fd, struct header_counts *out)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr h32;
		Elf64_Ehdr h64;
	} header = {0};
	ssize_t nr = pread(fd, &header, sizeof(header), 0);

	if (nr < 0)
		return -errno;
	if ((size_t)nr < sizeof(header.h32) || memcmp(header.ident, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	memcpy(out->ident, header.ident, EI_NIDENT);
	if (header.ident[EI_CLASS] == ELFCLASS32) {
		out->section_offset = header.h32.e_shoff;
		out->nr_sections = header.h32.e_shnum;
		return 0;
	}
	if ((size_t)nr < sizeof(header.h64))
		return -ENOEXEC;
	out->section_offset = header.h64.e_shoff;
	out->nr_sections = header.h64.e_shnum;
	return 0;
}

/*
 * libelf gives memory for as many sections as the file claims; where the count is not in the header (more than 65279,
 * which no linked program has) it may claim as many as a sparse file has room for.
 */
static int check_header(int fd)
{
	struct header_counts header = {0};
	int error = read_header(fd, &header);

	if (error)
		return error;
	if (header.ident[EI_CLASS] != ELFCLASS32 && header.ident[EI_CLASS] != ELFCLASS64)
		return -ENOTSUP;
	if (header.ident[EI_DATA] !=
	    (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB))
		return -ENOTSUP;
	return header.nr_sections || !header.section_offset ? 0 : -ENOEXEC;
}

static int load_segments(struct elf_file *elf)
{
	GElf_Phdr phdr;
	size_t nr;

	if (elf_getphdrnum(elf->handle, &nr) || nr > ELF_MAX_SEGMENTS)
		return -ENOEXEC;
	if (!nr)
		return 0;
	elf->segment = calloc(nr, sizeof(*elf->segment));
	if (!elf->segment)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		if (!gelf_getphdr(elf->handle, (int)i, &phdr) || phdr.p_type != PT_LOAD)
			continue;
		if (phdr.p_offset >= elf->file_bytes)
			continue;
		if (phdr.p_filesz > elf->file_bytes - phdr.p_offset)
			phdr.p_filesz = elf->file_bytes - phdr.p_offset;
		if (phdr.p_vaddr + phdr.p_filesz < phdr.p_vaddr)
			continue;
		elf->segment[elf->nr_segments++] = (struct elf_segment){
			.address = phdr.p_vaddr,
			.file_offset = phdr.p_offset,
			.file_bytes = phdr.p_filesz,
			.exec = phdr.p_flags & PF_X,
		};
	}
	return 0;
}

static int load_image(struct elf_file *elf, Elf_Cmd command)
{
	struct stat st;
	GElf_Ehdr header;
	int error;

	if (fstat(elf->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	elf->file_bytes = (uint64_t)st.st_size;
	error = check_header(elf->fd);
	if (error)
		return error;
	(void)elf_version(EV_CURRENT); /* fails for other versions than the library's own only */
	elf->handle = elf_begin(elf->fd, command, NULL);
	if (!elf->handle || elf_kind(elf->handle) != ELF_K_ELF ||
	    !gelf_getehdr(elf->handle, &header))
		return -ENOEXEC;
	elf->machine = header.e_machine;
	elf->type = header.e_type;
	elf->is_32bit = header.e_ident[EI_CLASS] == ELFCLASS32;
	return load_segments(elf);
}

int elf_open_as(int fd, Elf_Cmd command, struct elf_file **out)
{
	struct elf_file *elf = calloc(1, sizeof(*elf));
	int error;

	if (!elf) {
		fd_close(&fd);
		return -ENOMEM;
	}
	elf->fd = fd;
	error = load_image(elf, command);
	if (error) {
		elf_close(elf);
		return error;
	}
	*out = elf;
	return 0;
}

int elf_open_fd(int fd, struct elf_file **out)
{
	return elf_open_as(fd, ELF_C_READ, out);
}

void elf_close(struct elf_file *elf)
{
	if (!elf)
		return;
	(void)elf_end(elf->handle); /* the count of references left */
	fd_close(&elf->fd);
	free(elf->segment);
	free(elf);
}

uint16_t elf_machine(const struct elf_file *elf)
{
	return elf->machine;
}

bool elf_is_32bit(const struct elf_file *elf)
{
	return elf->is_32bit;
}

static const struct elf_segment *exec_segment(const struct elf_file *elf, uint64_t address)
{
	const struct elf_segment *seg;

	for (size_t i = 0; i < elf->nr_segments; i++) {
		seg = &elf->segment[i];
		if (seg->exec && address >= seg->address &&
		    address - seg->address < seg->file_bytes)
			return seg;
	}
	return NULL;
}

bool elf_is_executable(const struct elf_file *elf, uint64_t address)
{
	return exec_segment(elf, address) != NULL;
}

bool elf_address_to_offset(const struct elf_file *elf, uint64_t address, uint64_t *file_offset)
{
	const struct elf_segment *seg = exec_segment(elf, address);

	if (!seg)
		return false;
	*file_offset = seg->file_offset + (address - seg->address);
	return true;
}

bool elf_offset_to_address(const struct elf_file *elf, uint64_t file_offset, uint64_t *address)
{
	uint64_t mask = ~(uint64_t)(ELF_SEGMENT_PAGE - 1);
	const struct elf_segment *seg, *around = NULL;

	for (size_t i = 0; i < elf->nr_segments; i++) {
		seg = &elf->segment[i];
		if (!seg->exec)
			continue;
		if (file_offset >= seg->file_offset &&
		    file_offset - seg->file_offset < seg->file_bytes) {
			*address = seg->address + (file_offset - seg->file_offset);
			return true;
		}
		if ((file_offset & mask) >= (seg->file_offset & mask) &&
		    (file_offset & mask) <= ((seg->file_offset + seg->file_bytes) & mask))
			around = seg;
	}
	if (!around)
		return false;
	*address = around->address + (file_offset - around->file_offset);
	return true;
}

Elf_Data *elf_chunk(const struct elf_file *elf, uint64_t file_offset, uint64_t nr, Elf_Type type)
{
	if (!nr || nr > ELF_MAX_CHUNK_BYTES || file_offset > elf->file_bytes ||
	    nr > elf->file_bytes - file_offset)
		return NULL;
	return elf_getdata_rawchunk(elf->handle, (int64_t)file_offset, nr, type);
}

int64_t elf_read(struct elf_file *elf, uint64_t file_offset, void *buf, size_t nr)
{
	size_t total = 0;
	ssize_t done;

	if (file_offset > INT64_MAX || nr > INT64_MAX - file_offset)
		return -EINVAL;
	while (total < nr) {
		done = pread(elf->fd, (char *)buf + total, nr - total,
			     (off_t)(file_offset + total));
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (!done)
			break;
		total += (size_t)done;
	}
	return (int64_t)total;
}

/* The next program header of a type from *i on. */
static bool next_header(const struct elf_file *elf, uint32_t type, size_t *i, GElf_Phdr *phdr)
{
	size_t nr;

	if (elf_getphdrnum(elf->handle, &nr))
		return false;
	while (*i < nr) {
		if (gelf_getphdr(elf->handle, (int)(*i)++, phdr) && phdr->p_type == type)
			return true;
	}
	return false;
}

int elf_interpreter(struct elf_file *elf, char *path, size_t size)
{
	GElf_Phdr phdr;
	size_t i = 0;
	char *text;
	int64_t nr;

	if (!next_header(elf, PT_INTERP, &i, &phdr))
		return -ENOENT;
	if (!phdr.p_filesz || phdr.p_filesz > ELF_SEGMENT_PAGE)
		return -ENOEXEC;
	text = malloc(phdr.p_filesz);
	if (!text)
		return -ENOMEM;
	nr = elf_read(elf, phdr.p_offset, text, phdr.p_filesz);
	if (nr != (int64_t)phdr.p_filesz || text[nr - 1] != '\0')
		nr = -ENOEXEC;
	else if (strlen(text) >= size)
		nr = -ENAMETOOLONG;
	else
		memcpy(path, text, strlen(text) + 1);
	free(text);
	return nr < 0 ? (int)nr : 0;
}

struct hex {
	char *text;
	size_t size;
	uint64_t left; /* bytes of notes to look at: libelf keeps them all */
};

static int id_to_hex(const unsigned char *id, size_t nr, struct hex *out)
{
	if (!out->size || nr > (out->size - 1) / 2)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < nr; i++)
		(void)snprintf(out->text + 2 * i, 3, "%02x", id[i]);
	return 0;
}

static int find_id_in_notes(Elf_Data *notes, struct hex *out)
{
	const char *base = notes->d_buf;
	size_t at = 0, name, desc;
	GElf_Nhdr note;

	/* gelf_getnote() has checked that name and description are inside when it returns */
	while ((at = gelf_getnote(notes, at, &note, &name, &desc)) > 0) {
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    !memcmp(base + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) && note.n_descsz)
			return id_to_hex((const unsigned char *)base + desc, note.n_descsz, out);
	}
	return -ENOENT;
}

static int find_id_at(const struct elf_file *elf, uint64_t file_offset, uint64_t nr, uint64_t align,
		      struct hex *out)
{
	Elf_Data *notes = NULL;

	if (nr <= out->left)
		notes = elf_chunk(elf, file_offset, nr, align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	if (notes)
		out->left -= nr;
	return notes ? find_id_in_notes(notes, out) : -ENOENT;
}

/* Debug files may have sections only. */
static int find_id_in_sections(const struct elf_file *elf, struct hex *out)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	int error = -ENOENT;

	while (error == -ENOENT && (scn = elf_nextscn(elf->handle, scn))) {
		if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_NOTE)
			error = find_id_at(elf, shdr.sh_offset, shdr.sh_size, shdr.sh_addralign,
					   out);
	}
	return error;
}

int elf_build_id(struct elf_file *elf, char *hex, size_t size)
{
	struct hex out = {.text = hex, .size = size, .left = ELF_MAX_NOTES_BYTES};
	GElf_Phdr phdr;
	size_t i = 0;
	int error = -ENOENT;

	while (error == -ENOENT && next_header(elf, PT_NOTE, &i, &phdr))
		error = find_id_at(elf, phdr.p_offset, phdr.p_filesz, phdr.p_align, &out);
	return error == -ENOENT ? find_id_in_sections(elf, &out) : error;
}
