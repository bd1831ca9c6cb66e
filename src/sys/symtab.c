/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symtab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

void symtab_release(struct symtab *tab)
{
	free(tab->entry);
	ranges_release(&tab->ranges);
	*tab = (struct symtab){0};
}

/* Assembly may leave out the type; local names without one are labels. */
static bool is_code(const struct elf_table_symbol *symbol)
{
	unsigned int type = GELF_ST_TYPE(symbol->sym.st_info);
	bool is_local = GELF_ST_BIND(symbol->sym.st_info) == STB_LOCAL;

	if (symbol->sym.st_shndx == SHN_UNDEF)
		return false;
	return type == STT_FUNC || type == STT_GNU_IFUNC || (type == STT_NOTYPE && !is_local);
}

static int add_symbol(struct symtab *tab, const struct elf_table_symbol *symbol)
{
	uint64_t start = symbol->sym.st_value, end;
	int error = ARRAY_GROW(&tab->entry, &tab->cap, tab->nr + 1);

	if (error)
		return error;
	if (__builtin_add_overflow(start, symbol->sym.st_size ?: 1, &end))
		return 0;
	error = ranges_add(&tab->ranges, start, end, tab->nr);
	if (error)
		return error;
	tab->entry[tab->nr++] = (struct symtab_entry){
		.name = symbol->name,
		.is_local = GELF_ST_BIND(symbol->sym.st_info) == STB_LOCAL,
		.is_sized = symbol->sym.st_size > 0,
	};
	return 0;
}

int symtab_add(struct symtab *tab, const struct elf_file *source, uint32_t section_type,
	       const struct elf_file *image)
{
	struct elf_table_symbol symbol;
	struct elf_table table;
	int error = 0;

	if (elf_load_table(source, section_type, &table))
		return 0;
	for (size_t i = 0; i < table.nr && !error; i++) {
		if (!elf_table_get(&table, i, &symbol) || !is_code(&symbol))
			continue;
		if (elf_is_executable(image, symbol.sym.st_value))
			error = add_symbol(tab, &symbol);
	}
	return error;
}

/* Symbols without a size go as far as the next one that starts later. */
static void stretch_unsized(struct symtab *tab)
{
	struct range *range = tab->ranges.item;
	uint64_t next = UINT64_MAX, start = UINT64_MAX;

	for (size_t i = tab->ranges.nr; i-- > 0;) {
		if (range[i].start < start) {
			next = start;
			start = range[i].start;
		}
		if (!tab->entry[range[i].value].is_sized)
			range[i].end = next;
	}
}

void symtab_sort(struct symtab *tab)
{
	ranges_sort(&tab->ranges);
	stretch_unsized(tab);
	ranges_sort(&tab->ranges);
}

size_t symtab_bare_length(const char *name)
{
	return name[0] == '@' ? strlen(name) : strcspn(name, "@");
}

size_t symtab_underscores(const char *name)
{
	return strspn(name, "_");
}

/* Whether a rather than b is the name to show; a total order, so that the order in the file does not matter. */
static bool is_better_name(const struct symtab_entry *a, const struct symtab_entry *b)
{
	size_t a_score = symtab_underscores(a->name), b_score = symtab_underscores(b->name);
	size_t a_bytes = symtab_bare_length(a->name), b_bytes = symtab_bare_length(b->name);

	if (a_score != b_score)
		return a_score < b_score;
	/* "name@OLD" against "name" and "name@@NEW" */
	a_score = a->name[a_bytes] == '@' && a->name[a_bytes + 1] != '@';
	b_score = b->name[b_bytes] == '@' && b->name[b_bytes + 1] != '@';
	if (a_score != b_score)
		return a_score < b_score;
	if (a->is_local != b->is_local)
		return b->is_local;
	if (a_bytes != b_bytes)
		return a_bytes < b_bytes;
	return strcmp(a->name, b->name) < 0;
}

const char *symtab_find(const struct symtab *tab, uint64_t address, uint64_t *start)
{
	const struct range *range, *best_range = NULL;
	const struct symtab_entry *entry, *best = NULL;

	for (range = ranges_find(&tab->ranges, address, NULL); range;
	     range = ranges_find(&tab->ranges, address, range)) {
		entry = &tab->entry[range->value];
		/* a sized one is further out than this only if this is none */
		if (best && best->is_sized && range->start != best_range->start)
			break;
		if (best && best->is_sized > entry->is_sized)
			continue;
		if (best && best->is_sized == entry->is_sized &&
		    (range->start != best_range->start || !is_better_name(entry, best)))
			continue;
		best = entry;
		best_range = range;
	}
	if (best && start)
		*start = best_range->start;
	return best ? best->name : NULL;
}
