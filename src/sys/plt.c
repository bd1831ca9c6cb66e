/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hash.h"

#define MAX_RELOCATIONS 1000000
#define RELOCATIONS_AT_ONCE 256
#define MAX_NAME 1024 /* longer ones are left out */

/* Sections may lie over each other: all of them together are bounded. */
#define MAX_CODE_BYTES ((uint64_t)4 << 20)

/* Whose address comes into which word. */
struct slots {
	struct elf_table symbols;
	struct map64 by_address; /* to the number of the symbol */
	size_t nr_relocations;
};

struct stubs {
	struct symtab *tab;
	struct strpool *pool;
	const struct slots *slots;
	uint64_t code_bytes;
};

static bool is_slot_type(const struct elf_file *image, uint64_t type)
{
	if (image->machine == EM_X86_64)
		return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT;
	return type == R_AARCH64_JUMP_SLOT || type == R_AARCH64_GLOB_DAT;
}

/* Not as a chunk of libelf's, which would keep it: of large libraries this is the largest table. */
static int read_relocations(struct elf_file *image, const GElf_Shdr *shdr, struct slots *slots)
{
	Elf64_Rela rela[RELOCATIONS_AT_ONCE];
	uint64_t nr = shdr->sh_size / sizeof(*rela), at = shdr->sh_offset;
	int64_t got = sizeof(rela);
	int error = 0;

	if (nr > MAX_RELOCATIONS - slots->nr_relocations)
		return 0;
	slots->nr_relocations += nr;
	while (nr && got == sizeof(rela)) {
		got = elf_read(image, at, rela, sizeof(rela));
		for (size_t i = 0; nr && (int64_t)((i + 1) * sizeof(*rela)) <= got; i++, nr--) {
			if (!is_slot_type(image, ELF64_R_TYPE(rela[i].r_info)))
				continue;
			error = map64_put(&slots->by_address, rela[i].r_offset,
					  ELF64_R_SYM(rela[i].r_info));
			if (error)
				return error;
		}
		at += sizeof(rela);
	}
	return 0;
}

static const char *name_of_slot(const struct slots *slots, uint64_t address)
{
	struct elf_table_symbol symbol;
	uint64_t number;

	if (!map64_get(&slots->by_address, address, &number) || number >= slots->symbols.nr ||
	    !elf_table_get(&slots->symbols, number, &symbol))
		return NULL;
	return symbol.name;
}

static int add_stub(struct stubs *stubs, uint64_t start, uint64_t bytes, uint64_t slot)
{
	const char *name = name_of_slot(stubs->slots, slot), *kept;
	char text[MAX_NAME + sizeof(PLT_SUFFIX)];
	int nr;

	if (!name || strnlen(name, MAX_NAME) == MAX_NAME)
		return 0;
	nr = snprintf(text, sizeof(text), "%.*s" PLT_SUFFIX, (int)symtab_bare_length(name), name);
	kept = strpool_add(stubs->pool, text, (size_t)nr);
	if (kept && !kept[0])
		return 0;
	return kept ? symtab_add_function(stubs->tab, kept, start, bytes) : -ENOMEM;
}

/* "jmp *disp(%rip)", perhaps behind "endbr64" and with a "bnd". false: the entry is something else. */
static bool read_x86_stub(const uint8_t *code, size_t nr, uint64_t address, uint64_t *slot)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	size_t at = 0;
	int32_t displacement;

	if (nr >= sizeof(endbr64) && !memcmp(code, endbr64, sizeof(endbr64)))
		at += sizeof(endbr64);
	if (at < nr && code[at] == 0xf2)
		at++;
	if (nr < at + 6 || code[at] != 0xff || code[at + 1] != 0x25)
		return false;
	memcpy(&displacement, code + at + 2, sizeof(displacement));
	*slot = address + at + 6 + (uint64_t)(int64_t)displacement;
	return true;
}

static int add_x86_stubs(struct stubs *stubs, const GElf_Shdr *shdr, const uint8_t *code)
{
	size_t step = shdr->sh_entsize == 8 ? 8 : 16;
	uint64_t slot;
	int error = 0;

	for (size_t at = 0; at < shdr->sh_size && !error; at += step) {
		if (read_x86_stub(code + at, shdr->sh_size - at, shdr->sh_addr + at, &slot))
			error = add_stub(stubs, shdr->sh_addr + at, step, slot);
	}
	return error;
}

/* "adrp x16, page; ldr x17, [x16, offset]; add; br" */
static bool read_arm64_stub(const uint32_t *code, uint64_t address, uint64_t *slot)
{
	uint64_t page;

	if ((code[0] & 0x9f00001f) != 0x90000010 || (code[1] & 0xffc003ff) != 0xf9400211)
		return false;
	page = (uint64_t)(code[0] >> 5 & 0x7ffff) << 2 | (code[0] >> 29 & 3);
	page = (uint64_t)((int64_t)(page << 43) >> 43); /* 21 bits with a sign */
	*slot = (address & ~UINT64_C(0xfff)) + (page << 12) + ((code[1] >> 10 & 0xfff) << 3);
	return true;
}

static int add_arm64_stubs(struct stubs *stubs, const GElf_Shdr *shdr, const uint8_t *code)
{
	uint32_t word[2];
	uint64_t slot;
	int error = 0;

	for (size_t at = 0; at + sizeof(word) <= shdr->sh_size && !error; at += 4) {
		memcpy(word, code + at, sizeof(word));
		if (read_arm64_stub(word, shdr->sh_addr + at, &slot))
			error = add_stub(stubs, shdr->sh_addr + at, 16, slot);
	}
	return error;
}

static int add_section(struct stubs *stubs, const struct elf_file *image, const GElf_Shdr *shdr)
{
	Elf_Data *data = elf_chunk(image, shdr->sh_offset, shdr->sh_size, ELF_T_BYTE);

	if (!data || !elf_is_executable(image, shdr->sh_addr) ||
	    shdr->sh_size > MAX_CODE_BYTES - stubs->code_bytes)
		return 0;
	stubs->code_bytes += shdr->sh_size;
	return image->machine == EM_X86_64 ? add_x86_stubs(stubs, shdr, data->d_buf)
					   : add_arm64_stubs(stubs, shdr, data->d_buf);
}

static bool is_plt(const struct elf_file *image, size_t names, const GElf_Shdr *shdr)
{
	const char *name = elf_strptr(image->handle, names, shdr->sh_name);

	return name && shdr->sh_type == SHT_PROGBITS &&
	       (!strcmp(name, ".plt") || !strcmp(name, ".plt.sec") || !strcmp(name, ".plt.got"));
}

static int walk_sections(struct elf_file *image, struct slots *slots, struct stubs *stubs)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	size_t names;
	int error = 0;

	if (elf_getshdrstrndx(image->handle, &names))
		return 0;
	while (!error && (scn = elf_nextscn(image->handle, scn))) {
		if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_RELA)
			error = read_relocations(image, &shdr, slots);
	}
	while (!error && (scn = elf_nextscn(image->handle, scn))) {
		if (gelf_getshdr(scn, &shdr) && is_plt(image, names, &shdr))
			error = add_section(stubs, image, &shdr);
	}
	return error;
}

int plt_add(struct symtab *tab, struct elf_file *image, struct strpool *pool)
{
	struct slots slots = {0};
	struct stubs stubs = {.tab = tab, .pool = pool, .slots = &slots};
	int error;

	if ((image->machine != EM_X86_64 && image->machine != EM_AARCH64) || image->is_32bit ||
	    elf_load_table(image, SHT_DYNSYM, &slots.symbols))
		return 0;
	error = walk_sections(image, &slots, &stubs);
	map64_release(&slots.by_address);
	return error;
}
