/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notes of probes, and an ELF file around them: code at 0x1000 in both the file and memory, data at 0x2000 and 0x4000. */
#ifndef SEEP_TEST_USDT_BUILD_H
#define SEEP_TEST_USDT_BUILD_H

#include <linux/../elf.h>
#include <stdint.h>
#include <string.h>

#define BUILD_CODE 0x1000u
#define BUILD_CODE_BYTES 0x1000u
#define BUILD_DATA 0x2000u	   /* in the file */
#define BUILD_DATA_ADDRESS 0x4000u /* in memory */
#define BUILD_DATA_BYTES 0x100u
#define BUILD_BASE 0x5000u /* of .stapsdt.base */
#define BUILD_NOTES 0x2100u
#define BUILD_MAX_NOTES 0x14000u
#define BUILD_SECTIONS (BUILD_NOTES + BUILD_MAX_NOTES)

struct usdt_build {
	uint8_t notes[BUILD_MAX_NOTES];
	size_t nr;
	uint8_t file[BUILD_SECTIONS + 0x400];
};

static inline void build_bytes(struct usdt_build *b, const void *data, size_t nr)
{
	memcpy(b->notes + b->nr, data, nr);
	b->nr += nr;
}

static inline void build_pad(struct usdt_build *b)
{
	while (b->nr % 4)
		b->notes[b->nr++] = 0;
}

static inline void build_note(struct usdt_build *b, const char *owner, uint32_t type,
			      const uint64_t address[3], const char *const text[3])
{
	size_t desc = 3 * sizeof(uint64_t);
	uint32_t head[3];

	for (int i = 0; i < 3; i++)
		desc += strlen(text[i]) + 1;
	head[0] = (uint32_t)strlen(owner) + 1;
	head[1] = (uint32_t)desc;
	head[2] = type;
	build_bytes(b, head, sizeof(head));
	build_bytes(b, owner, head[0]);
	build_pad(b);
	build_bytes(b, address, 3 * sizeof(uint64_t));
	for (int i = 0; i < 3; i++)
		build_bytes(b, text[i], strlen(text[i]) + 1);
	build_pad(b);
}

/* A probe at an offset of the code, whose instruction is a nop. */
static inline void build_probe(struct usdt_build *b, uint64_t pc, uint64_t semaphore,
			       const char *provider, const char *name, const char *args)
{
	build_note(b, "stapsdt", 3, (const uint64_t[]){pc, BUILD_BASE, semaphore},
		   (const char *const[]){provider, name, args});
}

static const char build_names[] = "\0.note.stapsdt\0.stapsdt.base\0.shstrtab";

static inline void build_headers(struct usdt_build *b, uint16_t machine)
{
	Elf64_Ehdr *head = (void *)b->file;
	Elf64_Phdr *segment = (void *)(b->file + sizeof(*head));

	memcpy(head->e_ident, ELFMAG, SELFMAG);
	head->e_ident[EI_CLASS] = ELFCLASS64;
	head->e_ident[EI_DATA] = ELFDATA2LSB;
	head->e_ident[EI_VERSION] = EV_CURRENT;
	head->e_type = ET_DYN;
	head->e_machine = machine;
	head->e_version = EV_CURRENT;
	head->e_ehsize = sizeof(*head);
	head->e_phoff = sizeof(*head);
	head->e_phentsize = sizeof(*segment);
	head->e_phnum = 2;
	head->e_shoff = BUILD_SECTIONS;
	head->e_shentsize = sizeof(Elf64_Shdr);
	head->e_shnum = 4;
	head->e_shstrndx = 3;
	segment[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				  .p_flags = PF_R | PF_X,
				  .p_offset = BUILD_CODE,
				  .p_vaddr = BUILD_CODE,
				  .p_filesz = BUILD_CODE_BYTES,
				  .p_memsz = BUILD_CODE_BYTES};
	segment[1] = (Elf64_Phdr){.p_type = PT_LOAD,
				  .p_flags = PF_R | PF_W,
				  .p_offset = BUILD_DATA,
				  .p_vaddr = BUILD_DATA_ADDRESS,
				  .p_filesz = BUILD_DATA_BYTES,
				  .p_memsz = 2 * BUILD_DATA_BYTES};
}

/* The whole file: all code is nops. */
static inline void build_file(struct usdt_build *b, uint16_t machine)
{
	static const uint8_t nop_arm64[] = {0x1f, 0x20, 0x03, 0xd5};
	Elf64_Shdr *section = (void *)(b->file + BUILD_SECTIONS);
	uint8_t *names = b->file + BUILD_SECTIONS + 4 * sizeof(*section);

	build_headers(b, machine);
	for (size_t i = 0; i < BUILD_CODE_BYTES; i++)
		b->file[BUILD_CODE + i] = machine == EM_AARCH64 ? nop_arm64[i % 4] : 0x90;
	memcpy(b->file + BUILD_NOTES, b->notes, b->nr);
	memcpy(names, build_names, sizeof(build_names));
	section[1] = (Elf64_Shdr){
		.sh_name = 1, .sh_type = SHT_NOTE, .sh_offset = BUILD_NOTES, .sh_size = b->nr};
	section[2] = (Elf64_Shdr){.sh_name = 15, .sh_type = SHT_PROGBITS, .sh_addr = BUILD_BASE};
	section[3] = (Elf64_Shdr){.sh_name = 29,
				  .sh_type = SHT_STRTAB,
				  .sh_offset = (uint64_t)(names - b->file),
				  .sh_size = sizeof(build_names)};
}

#endif
