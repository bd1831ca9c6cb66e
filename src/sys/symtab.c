/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symtab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "plt.h"

void symtab_release(struct symtab *tab)
{
	free(tab->symbol);
	free(tab->sized.item);
	free(tab->unsized.item);
	*tab = (struct symtab){0};
}

size_t symtab_bytes(const struct symtab *tab)
{
	return tab->cap * sizeof(*tab->symbol) +
	       (tab->sized.cap + tab->unsized.cap) * sizeof(struct symtab_piece);
}

size_t symtab_bare_length(const char *name)
{
	const char *at = name[0] == '@' ? NULL : strchr(name, '@');

	return at && strcmp(at, PLT_SUFFIX) != 0 ? (size_t)(at - name) : strlen(name);
}

size_t symtab_underscores(const char *name)
{
	return strspn(name, "_");
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

static int add_function(struct symtab *tab, struct symtab_symbol symbol, uint64_t bytes)
{
	size_t nr = strnlen(symbol.name, SYMTAB_MAX_NAME + 1);
	int error;

	if (nr > SYMTAB_MAX_NAME || tab->nr >= SYMTAB_MAX_SYMBOLS ||
	    tab->name_bytes > SYMTAB_MAX_NAME_BYTES ||
	    __builtin_add_overflow(symbol.start, bytes, &symbol.end))
		return 0;
	error = ARRAY_GROW(&tab->symbol, &tab->cap, tab->nr + 1);
	if (error)
		return error;
	symbol.is_sized = bytes > 0;
	symbol.underscores = (uint16_t)symtab_underscores(symbol.name);
	symbol.bare_bytes = (uint32_t)symtab_bare_length(symbol.name);
	symbol.is_old =
		symbol.name[symbol.bare_bytes] == '@' && symbol.name[symbol.bare_bytes + 1] != '@';
	tab->name_bytes += nr;
	tab->symbol[tab->nr++] = symbol;
	return 0;
}

int symtab_add_function(struct symtab *tab, const char *name, uint64_t start, uint64_t bytes)
{
	return add_function(tab, (struct symtab_symbol){.name = name, .start = start}, bytes);
}

int symtab_add(struct symtab *tab, const struct elf_file *source, uint32_t section_type,
	       const struct elf_file *image, size_t *nr)
{
	struct elf_table_symbol symbol;
	struct elf_table table;
	size_t before = tab->nr;
	int error = 0;

	if (elf_load_table(source, section_type, &table))
		return 0;
	for (size_t i = 0; i < table.nr && !error; i++) {
		if (!elf_table_get(&table, i, &symbol) || !is_code(&symbol) ||
		    !elf_is_executable(image, symbol.sym.st_value))
			continue;
		error = add_function(
			tab,
			(struct symtab_symbol){
				.name = symbol.name,
				.start = symbol.sym.st_value,
				.is_local = GELF_ST_BIND(symbol.sym.st_info) == STB_LOCAL,
			},
			symbol.sym.st_size);
	}
	*nr += tab->nr - before;
	return error;
}

/* By how much a is the name to show rather than b; 0 only for the same name. */
static int compare_names(const struct symtab_symbol *a, const struct symtab_symbol *b)
{
	if (a->underscores != b->underscores)
		return a->underscores < b->underscores ? 1 : -1;
	if (a->is_old != b->is_old)
		return a->is_old ? -1 : 1;
	if (a->is_local != b->is_local)
		return a->is_local ? -1 : 1;
	if (a->bare_bytes != b->bare_bytes)
		return a->bare_bytes < b->bare_bytes ? 1 : -1;
	return a->name == b->name ? 0 : strcmp(b->name, a->name);
}

/* A total order, so that the order in the file does not matter. */
static int compare_symbols(const void *left, const void *right)
{
	const struct symtab_symbol *a = left, *b = right;
	int better;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	better = compare_names(a, b);
	return better ?: (a->end > b->end) - (a->end < b->end);
}

/* Symbols without a size go as far as the next one that starts later. */
static void stretch_unsized(struct symtab *tab)
{
	uint64_t next = UINT64_MAX, start = UINT64_MAX;

	for (size_t i = tab->nr; i-- > 0;) {
		struct symtab_symbol *symbol = &tab->symbol[i];

		if (symbol->start < start) {
			next = start;
			start = symbol->start;
		}
		if (!symbol->is_sized)
			symbol->end = next;
	}
}

/* Symbols that began and have not been seen to end, the last and best one on top. */
struct layout {
	struct symtab_pieces *out;
	const struct symtab_symbol **open;
	size_t nr_open;
	uint64_t at; /* laid out up to here */
};

static int add_piece(struct symtab_pieces *out, const struct symtab_symbol *symbol, uint64_t from,
		     uint64_t to)
{
	int error = ARRAY_GROW(&out->item, &out->cap, out->nr + 1);

	if (error)
		return error;
	out->item[out->nr++] = (struct symtab_piece){
		.from = from,
		.to = to,
		.start = symbol->start,
		.name = symbol->name,
	};
	return 0;
}

static int lay_out_until(struct layout *layout, uint64_t until)
{
	const struct symtab_symbol *top;
	uint64_t to;
	int error = 0;

	while (layout->nr_open && layout->at < until && !error) {
		top = layout->open[layout->nr_open - 1];
		if (top->end <= layout->at) {
			layout->nr_open--;
			continue;
		}
		to = top->end < until ? top->end : until;
		error = add_piece(layout->out, top, layout->at, to);
		layout->at = to;
	}
	layout->at = until;
	return error;
}

static int lay_out(const struct symtab *tab, bool is_sized, struct symtab_pieces *out)
{
	struct layout layout = {.out = out};
	int error = 0;

	layout.open = malloc(tab->nr * sizeof(*layout.open));
	if (!layout.open)
		return -ENOMEM;
	for (size_t i = 0; i < tab->nr && !error; i++) {
		if (tab->symbol[i].is_sized != is_sized)
			continue;
		error = lay_out_until(&layout, tab->symbol[i].start);
		layout.open[layout.nr_open++] = &tab->symbol[i];
	}
	if (!error)
		error = lay_out_until(&layout, UINT64_MAX);
	free(layout.open);
	return error;
}

int symtab_lay_out(struct symtab *tab)
{
	int error;

	if (!tab->nr)
		return 0;
	qsort(tab->symbol, tab->nr, sizeof(*tab->symbol), compare_symbols);
	stretch_unsized(tab);
	error = lay_out(tab, true, &tab->sized);
	if (!error)
		error = lay_out(tab, false, &tab->unsized);
	if (error)
		return error;
	free(tab->symbol);
	tab->symbol = NULL;
	tab->nr = tab->cap = 0;
	return 0;
}

static const struct symtab_piece *find_piece(const struct symtab_pieces *pieces, uint64_t address)
{
	size_t low = 0, high = pieces->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (pieces->item[middle].to <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == pieces->nr || pieces->item[low].from > address)
		return NULL;
	return &pieces->item[low];
}

const char *symtab_find(const struct symtab *tab, uint64_t address, uint64_t *start)
{
	const struct symtab_piece *piece = find_piece(&tab->sized, address);

	if (!piece)
		piece = find_piece(&tab->unsized, address);
	if (piece && start)
		*start = piece->start;
	return piece ? piece->name : NULL;
}
