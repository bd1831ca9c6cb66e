/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of elf.h and elf_image.h that reads symbol tables. */
#include "elf.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "elf_image.h"
#include "hash.h"

#define VERSION_HIDDEN 0x8000
#define GNU_HASH_HEADER_WORDS 4
#define GNU_HASH_MAX_CHAIN 65536
#define RANK_SETTLED INT_MAX

/* In the order in which they are searched. */
static const uint32_t table_type[] = {SHT_DYNSYM, SHT_SYMTAB};

static Elf_Data *section_chunk(const struct elf_file *elf, const GElf_Shdr *shdr, Elf_Type type)
{
	if (shdr->sh_type == SHT_NOBITS)
		return NULL;
	return elf_chunk(elf, shdr->sh_offset, shdr->sh_size, type);
}

static int finish_table(const struct elf_file *elf, struct elf_table *table)
{
	const char *text = table->strings ? table->strings->d_buf : NULL;

	if (!table->symbols || !text || text[table->strings->d_size - 1] != '\0')
		return -ENOENT;
	table->nr = table->symbols->d_size / gelf_fsize(elf->handle, ELF_T_SYM, 1, EV_CURRENT);
	return 0;
}

/* The section of a type; link: only that of which sh_link is this; 0: any. */
static bool find_section(const struct elf_file *elf, uint32_t type, size_t link, GElf_Shdr *shdr,
			 size_t *index)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(elf->handle, scn))) {
		if (!gelf_getshdr(scn, shdr) || shdr->sh_type != type)
			continue;
		if (link && shdr->sh_link != link)
			continue;
		*index = elf_ndxscn(scn);
		return true;
	}
	return false;
}

static int load_from_sections(const struct elf_file *elf, uint32_t type, struct elf_table *out)
{
	struct elf_table table = {0};
	GElf_Shdr shdr, linked;
	size_t index, unused;
	Elf_Scn *scn;
	int error;

	if (!find_section(elf, type, 0, &shdr, &index))
		return -ENOENT;
	table.symbols = section_chunk(elf, &shdr, ELF_T_SYM);
	scn = elf_getscn(elf->handle, shdr.sh_link);
	if (scn && gelf_getshdr(scn, &linked))
		table.strings = section_chunk(elf, &linked, ELF_T_BYTE);
	if (type == SHT_DYNSYM && find_section(elf, SHT_GNU_versym, index, &linked, &unused))
		table.versions = section_chunk(elf, &linked, ELF_T_HALF);
	error = finish_table(elf, &table);
	if (!error)
		*out = table;
	return error;
}

/* What of the dynamic segment leads to its symbols; addresses as linked, 0: not there. */
struct dynamic {
	uint64_t symbols, strings, strings_bytes, versions, hash, gnu_hash;
};

static void read_dynamic(Elf_Data *data, size_t nr, struct dynamic *out)
{
	GElf_Dyn dyn;

	for (size_t i = 0; i < nr && gelf_getdyn(data, (int)i, &dyn) && dyn.d_tag != DT_NULL; i++) {
		switch (dyn.d_tag) {
		case DT_SYMTAB:
			out->symbols = dyn.d_un.d_ptr;
			break;
		case DT_STRTAB:
			out->strings = dyn.d_un.d_ptr;
			break;
		case DT_STRSZ:
			out->strings_bytes = dyn.d_un.d_val;
			break;
		case DT_VERSYM:
			out->versions = dyn.d_un.d_ptr;
			break;
		case DT_HASH:
			out->hash = dyn.d_un.d_ptr;
			break;
		case DT_GNU_HASH:
			out->gnu_hash = dyn.d_un.d_ptr;
			break;
		}
	}
}

static int load_dynamic(const struct elf_file *elf, struct dynamic *out)
{
	size_t entry = gelf_fsize(elf->handle, ELF_T_DYN, 1, EV_CURRENT), nr;
	Elf_Data *data = NULL;
	GElf_Phdr phdr;

	if (elf_getphdrnum(elf->handle, &nr))
		return -ENOENT;
	for (size_t i = 0; i < nr && !data; i++) {
		if (gelf_getphdr(elf->handle, (int)i, &phdr) && phdr.p_type == PT_DYNAMIC)
			data = elf_chunk(elf, phdr.p_offset, phdr.p_filesz, ELF_T_DYN);
	}
	if (!data)
		return -ENOENT;
	read_dynamic(data, data->d_size / entry, out);
	return 0;
}

/* Where an address is in the file, and how many bytes its segment has from there on; 0: nowhere. */
static uint64_t room_at(const struct elf_file *elf, uint64_t address, uint64_t *file_offset)
{
	const struct elf_segment *seg;

	for (size_t i = 0; i < elf->nr_segments; i++) {
		seg = &elf->segment[i];
		if (address < seg->address || address - seg->address >= seg->file_bytes)
			continue;
		*file_offset = seg->file_offset + (address - seg->address);
		return seg->file_bytes - (address - seg->address);
	}
	return 0;
}

static Elf_Data *chunk_at(const struct elf_file *elf, uint64_t address, uint64_t nr, Elf_Type type)
{
	uint64_t offset;

	if (room_at(elf, address, &offset) < nr)
		return NULL;
	return elf_chunk(elf, offset, nr, type);
}

static uint32_t word_of(const Elf_Data *data, size_t i)
{
	uint32_t word;

	memcpy(&word, (const char *)data->d_buf + i * sizeof(word), sizeof(word));
	return word;
}

/* The chain of the last bucket ends with the last symbol: that one's word has bit 0 set. */
static size_t walk_last_chain(const struct elf_file *elf, uint64_t chain, uint64_t first)
{
	uint64_t offset = 0, bytes = room_at(elf, chain, &offset);
	Elf_Data *words;

	if (bytes > GNU_HASH_MAX_CHAIN * 4)
		bytes = GNU_HASH_MAX_CHAIN * 4;
	words = elf_chunk(elf, offset, bytes & ~UINT64_C(3), ELF_T_WORD);
	for (size_t i = 0; words && i < words->d_size / 4; i++) {
		if (word_of(words, i) & 1)
			return first + i + 1;
	}
	return 0;
}

/* DT_GNU_HASH does not tell how many symbols there are; its last chain does. */
static size_t count_by_gnu_hash(const struct elf_file *elf, uint64_t address)
{
	Elf_Data *header = chunk_at(elf, address, GNU_HASH_HEADER_WORDS * 4, ELF_T_WORD), *buckets;
	uint64_t nr_buckets, base, bloom_bytes, at;
	uint32_t last = 0;

	if (!header)
		return 0;
	nr_buckets = word_of(header, 0);
	base = word_of(header, 1);
	bloom_bytes = (uint64_t)word_of(header, 2) * (elf->is_32bit ? 4 : 8);
	at = address + GNU_HASH_HEADER_WORDS * 4 + bloom_bytes;
	buckets = chunk_at(elf, at, nr_buckets * 4, ELF_T_WORD);
	if (!buckets)
		return 0;
	for (size_t i = 0; i < nr_buckets; i++) {
		if (word_of(buckets, i) > last)
			last = word_of(buckets, i);
	}
	if (last < base)
		return base;
	return walk_last_chain(elf, at + (nr_buckets + last - base) * 4, last);
}

static size_t count_dynamic_symbols(const struct elf_file *elf, const struct dynamic *dynamic)
{
	Elf_Data *header;

	if (dynamic->gnu_hash)
		return count_by_gnu_hash(elf, dynamic->gnu_hash);
	header = dynamic->hash ? chunk_at(elf, dynamic->hash, 8, ELF_T_WORD) : NULL;
	return header ? word_of(header, 1) : 0;
}

static int load_from_segment(const struct elf_file *elf, struct elf_table *out)
{
	uint64_t bytes = gelf_fsize(elf->handle, ELF_T_SYM, 1, EV_CURRENT);
	struct elf_table table = {0};
	struct dynamic dynamic = {0};
	uint64_t nr;
	int error;

	error = load_dynamic(elf, &dynamic);
	if (error)
		return error;
	nr = count_dynamic_symbols(elf, &dynamic);
	if (__builtin_mul_overflow(nr, bytes, &bytes))
		return -ENOENT;
	table.symbols = chunk_at(elf, dynamic.symbols, bytes, ELF_T_SYM);
	table.strings = chunk_at(elf, dynamic.strings, dynamic.strings_bytes, ELF_T_BYTE);
	if (dynamic.versions)
		table.versions = chunk_at(elf, dynamic.versions, nr * 2, ELF_T_HALF);
	error = finish_table(elf, &table);
	if (!error)
		*out = table;
	return error;
}

int elf_load_table(const struct elf_file *elf, uint32_t section_type, struct elf_table *out)
{
	int error = load_from_sections(elf, section_type, out);

	if (error && section_type == SHT_DYNSYM)
		error = load_from_segment(elf, out);
	return error;
}

bool elf_table_get(const struct elf_table *table, size_t i, struct elf_table_symbol *out)
{
	GElf_Versym version = 0;

	if (!gelf_getsym(table->symbols, (int)i, &out->sym))
		return false;
	if (!out->sym.st_name || out->sym.st_name >= table->strings->d_size)
		return false;
	out->name = (const char *)table->strings->d_buf + out->sym.st_name;
	if (!out->name[0])
		return false;
	out->max_name = table->strings->d_size - out->sym.st_name;
	out->is_default = !table->versions || !gelf_getversym(table->versions, (int)i, &version) ||
			  !(version & VERSION_HIDDEN);
	return true;
}

/* The names looked for, by hash; longer names of the file need not be read. */
struct wanted {
	const char *const *name;
	struct elf_symbol *out;
	int *rank; /* of what out[i] has; 0: nothing */
	size_t max_bytes;
	struct map64 by_hash;
};

static int wanted_init(struct wanted *wanted, size_t nr)
{
	size_t bytes;
	int error;

	wanted->rank = calloc(nr + 1, sizeof(*wanted->rank));
	if (!wanted->rank)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		bytes = strlen(wanted->name[i]);
		if (bytes > wanted->max_bytes)
			wanted->max_bytes = bytes;
		error = map64_put(&wanted->by_hash, hash_bytes(wanted->name[i], bytes, 0), i);
		if (error)
			return error;
	}
	return 0;
}

static void wanted_release(struct wanted *wanted)
{
	map64_release(&wanted->by_hash);
	free(wanted->rank);
}

/* Of two symbols of that name, the default version wins, then the one that others can call. */
static int rank_of(const struct elf_table_symbol *symbol)
{
	int visible = GELF_ST_BIND(symbol->sym.st_info) != STB_LOCAL;

	return 1 + visible + 2 * symbol->is_default;
}

static bool is_function(const GElf_Sym *sym)
{
	unsigned int type = GELF_ST_TYPE(sym->st_info);

	return sym->st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC);
}

/* A name is kept once, whichever table or version it is of. */
static int keep_name(struct elf_names *names, struct map64 *kept, const char *name)
{
	uint64_t hash = hash_bytes(name, strlen(name), 0);
	int error;

	if (map64_get(kept, hash, NULL))
		return 0;
	if (ARRAY_GROW(&names->name, &names->cap, names->nr + 1))
		return -ENOMEM;
	error = map64_put(kept, hash, names->nr);
	if (error)
		return error;
	names->name[names->nr] = strdup(name);
	return names->name[names->nr] ? (names->nr++, 0) : -ENOMEM;
}

void elf_names_release(struct elf_names *names)
{
	for (size_t i = 0; i < names->nr; i++)
		free(names->name[i]);
	free(names->name);
	*names = (struct elf_names){0};
}

int elf_list_functions(struct elf_file *elf, bool (*wanted)(const char *name, void *arg), void *arg,
		       size_t max, struct elf_names *out)
{
	struct elf_names names = {0};
	struct elf_table_symbol symbol;
	struct map64 kept = {0};
	struct elf_table table;
	int error = 0, tables = 0;

	for (size_t i = 0; i < ARRAY_SIZE(table_type) && !error; i++) {
		if (elf_load_table(elf, table_type[i], &table))
			continue;
		tables++;
		for (size_t j = 0; j < table.nr && names.nr < max && !error; j++) {
			if (elf_table_get(&table, j, &symbol) && is_function(&symbol.sym) &&
			    wanted(symbol.name, arg))
				error = keep_name(&names, &kept, symbol.name);
		}
	}
	map64_release(&kept);
	if (!error && !tables)
		error = -ENOENT;
	if (error)
		elf_names_release(&names);
	else
		*out = names;
	return error;
}

static bool wanted_index(const struct wanted *wanted, const struct elf_table_symbol *symbol,
			 size_t *index)
{
	size_t limit = symbol->max_name, bytes;
	uint64_t i;

	if (limit > wanted->max_bytes + 1)
		limit = wanted->max_bytes + 1;
	bytes = strnlen(symbol->name, limit);
	if (bytes == limit)
		return false;
	if (!map64_get(&wanted->by_hash, hash_bytes(symbol->name, bytes, 0), &i))
		return false;
	*index = i;
	return !strcmp(symbol->name, wanted->name[i]);
}

static void match_symbol(const struct elf_file *elf, struct wanted *wanted,
			 const struct elf_table_symbol *symbol)
{
	uint64_t offset;
	size_t i;

	if (!is_function(&symbol->sym) || !wanted_index(wanted, symbol, &i))
		return;
	if (rank_of(symbol) <= wanted->rank[i])
		return;
	if (!elf_address_to_offset(elf, symbol->sym.st_value, &offset))
		return;
	wanted->rank[i] = rank_of(symbol);
	wanted->out[i] = (struct elf_symbol){
		.file_offset = offset,
		.address = symbol->sym.st_value,
		.size = symbol->sym.st_size,
		.is_ifunc = GELF_ST_TYPE(symbol->sym.st_info) == STT_GNU_IFUNC,
	};
}

static void match_table(const struct elf_file *elf, struct wanted *wanted,
			const struct elf_table *table)
{
	struct elf_table_symbol symbol;

	for (size_t i = 0; i < table->nr; i++) {
		if (elf_table_get(table, i, &symbol))
			match_symbol(elf, wanted, &symbol);
	}
}

/* A name given twice has one entry in the map: the others take over what that one got. */
static int share_duplicates(const struct wanted *wanted, size_t nr, bool *found)
{
	uint64_t first;
	int total = 0;

	for (size_t i = 0; i < nr; i++) {
		first = i;
		(void)map64_get(&wanted->by_hash,
				hash_bytes(wanted->name[i], strlen(wanted->name[i]), 0), &first);
		if (first != i && !strcmp(wanted->name[i], wanted->name[first])) {
			wanted->rank[i] = wanted->rank[first];
			wanted->out[i] = wanted->out[first];
		}
		found[i] = wanted->rank[i] > 0;
		total += found[i];
	}
	return total;
}

static void settle_ranks(struct wanted *wanted, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (wanted->rank[i])
			wanted->rank[i] = RANK_SETTLED;
	}
}

int elf_find_functions(struct elf_file *elf, const char *const *name, size_t nr,
		       struct elf_symbol *out, bool *found)
{
	struct wanted wanted = {.name = name, .out = out};
	struct elf_table table;
	int result = wanted_init(&wanted, nr), tables = 0;

	if (result)
		goto out;
	for (size_t i = 0; i < ARRAY_SIZE(table_type); i++) {
		if (elf_load_table(elf, table_type[i], &table))
			continue;
		tables++;
		match_table(elf, &wanted, &table);
		settle_ranks(&wanted, nr);
	}
	result = tables ? share_duplicates(&wanted, nr, found) : -ENOENT;
out:
	wanted_release(&wanted);
	return result;
}
