/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cfi_build.h"

#include <dwarf.h>
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <cmocka.h>

#include "array.h"

#define HDR_OFFSET (CFI_EH_FRAME_HDR - CFI_BASE)
#define EH_FRAME_OFFSET (CFI_EH_FRAME - CFI_BASE)

static const char section_names[] = "\0.eh_frame\0.debug_frame\0.shstrtab";
#define NAME_EH_FRAME 1
#define NAME_DEBUG_FRAME 11
#define NAME_SHSTRTAB 24

void bytes_put(struct bytes *bytes, const void *data, size_t nr)
{
	assert_int_equal(ARRAY_GROW(&bytes->data, &bytes->cap, bytes->nr + nr + 1), 0);
	if (nr)
		memcpy(bytes->data + bytes->nr, data, nr);
	bytes->nr += nr;
}

void bytes_number(struct bytes *bytes, uint64_t value, size_t nr)
{
	bytes_put(bytes, &value, nr);
}

void bytes_release(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){0};
}

size_t bytes_begin(struct bytes *section, uint32_t id)
{
	size_t start = section->nr;

	bytes_number(section, 0, 4);
	bytes_number(section, id, 4);
	return start;
}

void bytes_end(struct bytes *section, size_t start)
{
	uint32_t length;

	while ((section->nr - start) % 8)
		PUT(section, DW_CFA_nop);
	length = (uint32_t)(section->nr - start - 4);
	memcpy(section->data + start, &length, sizeof(length));
}

static void put_initial_rules(struct bytes *section, bool is_arm64)
{
	if (is_arm64)
		PUT(section, DW_CFA_def_cfa, 31, 0);
	else
		PUT(section, DW_CFA_def_cfa, 7, 8, DW_CFA_offset | 16, 1);
}

size_t bytes_cie(struct bytes *eh_frame, bool is_arm64, uint8_t encoding)
{
	size_t start = bytes_begin(eh_frame, 0);

	PUT(eh_frame, 1, 'z', 'R', 0);
	if (is_arm64)
		PUT(eh_frame, 4, 0x78, 30);
	else
		PUT(eh_frame, 1, 0x78, 16);
	PUT(eh_frame, 1, encoding);
	put_initial_rules(eh_frame, is_arm64);
	bytes_end(eh_frame, start);
	return start;
}

void bytes_fde(struct bytes *eh_frame, size_t cie, uint32_t offset, uint32_t bytes,
	       const void *program, size_t nr)
{
	size_t start = bytes_begin(eh_frame, (uint32_t)(eh_frame->nr + 4 - cie));

	bytes_number(eh_frame, CFI_CODE + offset - (CFI_EH_FRAME + eh_frame->nr), 4);
	bytes_number(eh_frame, bytes, 4);
	PUT(eh_frame, 0);
	bytes_put(eh_frame, program, nr);
	bytes_end(eh_frame, start);
}

void bytes_debug_function(struct bytes *debug_frame, uint32_t offset, uint32_t bytes,
			  const void *program, size_t nr)
{
	size_t cie = bytes_begin(debug_frame, DW_CIE_ID_32), start;

	PUT(debug_frame, 4, 0, 8, 0, 1, 0x78, 16);
	put_initial_rules(debug_frame, false);
	bytes_end(debug_frame, cie);
	start = bytes_begin(debug_frame, (uint32_t)cie);
	bytes_number(debug_frame, CFI_CODE + offset, 8);
	bytes_number(debug_frame, bytes, 8);
	bytes_put(debug_frame, program, nr);
	bytes_end(debug_frame, start);
}

/* --- the file ----------------------------------------------------------------------------------- */

static void pad_to(struct bytes *file, size_t offset)
{
	assert_true(file->nr <= offset);
	while (file->nr < offset)
		PUT(file, 0);
}

static void align(struct bytes *file)
{
	pad_to(file, (file->nr + 7) / 8 * 8);
}

static void put_program_headers(struct bytes *file, const struct image *image)
{
	Elf64_Phdr header[] = {
		{.p_type = PT_LOAD,
		 .p_flags = PF_R,
		 .p_vaddr = CFI_BASE + 0x10,
		 .p_offset = 0x10,
		 .p_filesz = EH_FRAME_OFFSET - 0x10 + image->eh_frame.nr,
		 .p_memsz = EH_FRAME_OFFSET - 0x10 + image->eh_frame.nr},
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_X,
		 .p_vaddr = CFI_CODE,
		 .p_offset = CFI_CODE_OFFSET,
		 .p_filesz = CFI_CODE_FILE_BYTES,
		 .p_memsz = CFI_CODE_BYTES},
		{.p_type = PT_GNU_EH_FRAME,
		 .p_flags = PF_R,
		 .p_vaddr = CFI_EH_FRAME_HDR,
		 .p_offset = HDR_OFFSET,
		 .p_filesz = 12,
		 .p_memsz = 12},
	};

	bytes_put(file, header, sizeof(header));
}

static void put_eh_frame_hdr(struct bytes *file)
{
	pad_to(file, HDR_OFFSET);
	PUT(file, 1, DW_EH_PE_pcrel | DW_EH_PE_sdata4, DW_EH_PE_udata4,
	    DW_EH_PE_datarel | DW_EH_PE_sdata4);
	bytes_number(file, (uint32_t)(EH_FRAME_OFFSET - (HDR_OFFSET + 4)), 4);
	bytes_number(file, 0, 4);
}

static void put_compressed(struct bytes *file, const struct bytes *section)
{
	Elf64_Chdr header = {
		.ch_type = ELFCOMPRESS_ZLIB, .ch_size = section->nr, .ch_addralign = 1};
	unsigned char packed[4096];
	uLongf nr = sizeof(packed);

	assert_int_equal(compress(packed, &nr, section->data, section->nr), Z_OK);
	bytes_put(file, &header, sizeof(header));
	bytes_put(file, packed, nr);
}

/* Sections 1 to 3, of which the last names the others. */
static void put_sections(struct bytes *file, const struct image *image, Elf64_Ehdr *header)
{
	Elf64_Shdr section[4] = {0};

	align(file);
	section[1] = (Elf64_Shdr){.sh_name = NAME_EH_FRAME,
				  .sh_type = SHT_PROGBITS,
				  .sh_addr = CFI_EH_FRAME,
				  .sh_offset = EH_FRAME_OFFSET,
				  .sh_size = image->eh_frame.nr};
	section[2] = (Elf64_Shdr){.sh_name = NAME_DEBUG_FRAME,
				  .sh_type = SHT_PROGBITS,
				  .sh_flags = image->is_compressed ? SHF_COMPRESSED : 0,
				  .sh_offset = file->nr};
	if (image->is_compressed)
		put_compressed(file, &image->debug_frame);
	else
		bytes_put(file, image->debug_frame.data, image->debug_frame.nr);
	section[2].sh_size = file->nr - section[2].sh_offset;
	section[3] = (Elf64_Shdr){.sh_name = NAME_SHSTRTAB,
				  .sh_type = SHT_STRTAB,
				  .sh_offset = file->nr,
				  .sh_size = sizeof(section_names)};
	bytes_put(file, section_names, sizeof(section_names));
	align(file);
	header->e_shoff = file->nr;
	header->e_shnum = ARRAY_SIZE(section);
	header->e_shentsize = sizeof(section[0]);
	header->e_shstrndx = 3;
	bytes_put(file, section, sizeof(section));
}

void image_make(struct image *image)
{
	Elf64_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = image->is_arm64 ? EM_AARCH64 : EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = image->entry,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
	};
	struct bytes file = {0};

	bytes_put(&file, &header, sizeof(header));
	put_program_headers(&file, image);
	put_eh_frame_hdr(&file);
	pad_to(&file, EH_FRAME_OFFSET);
	bytes_put(&file, image->eh_frame.data, image->eh_frame.nr);
	if (!image->has_no_sections)
		put_sections(&file, image, &header);
	memcpy(file.data, &header, sizeof(header));
	free(image->data);
	image->data = file.data;
	image->nr = file.nr;
}

void image_release(struct image *image)
{
	bytes_release(&image->eh_frame);
	bytes_release(&image->debug_frame);
	free(image->data);
	*image = (struct image){0};
}

void image_read(struct image *image, struct cfi_table *table)
{
	image_make(image);
	assert_int_equal(cfi_read_image(image->data, image->nr, table), 0);
}

bool image_has_rows(struct image *image, const struct unwind_row *row, size_t nr)
{
	struct cfi_table table;
	bool same;

	image_read(image, &table);
	assert_int_equal(table.base, CFI_BASE);
	same = table.nr == nr;
	for (size_t i = 0; i < table.nr; i++) {
		if (i < nr && table.row[i].pc == CFI_PC(row[i].pc) &&
		    table.row[i].cfa == row[i].cfa && table.row[i].fp == row[i].fp)
			continue;
		print_message("# row %zu: {%u, %#x, %d}\n", i, table.row[i].pc - CFI_PC(0),
			      table.row[i].cfa, table.row[i].fp);
		same = false;
	}
	cfi_release(&table);
	return same;
}

void image_assert_rows(struct image *image, const struct unwind_row *row, size_t nr)
{
	assert_true(image_has_rows(image, row, nr));
}

void image_assert_error(struct image *image, int error)
{
	struct cfi_table table = {.nr = 17};

	image_make(image);
	assert_int_equal(cfi_read_image(image->data, image->nr, &table), error);
	assert_int_equal(table.nr, 17);
}
