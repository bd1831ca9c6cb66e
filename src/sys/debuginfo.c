/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "debuginfo.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>

#include "array.h"
#include "ranges.h"

#define MAX_LEVELS 256	      /* of entries in entries */
#define MAX_CHAIN 256	      /* of inlined functions at one address */
#define INDEX_BUDGET 64000000 /* entries and ranges; about 5 s of work */
#define LOOKUP_BUDGET (1 << 22)

/* Functions stand in their unit or its namespaces; lambdas, say, in other functions, but it takes long to look there. */
enum index_depth {
	INDEX_NONE = 0,
	INDEX_OUTER = 1,
	INDEX_ALL = 2,
};

struct unit {
	Dwarf_Off die_offset;
	struct ranges functions; /* to the offset of the entry */
	enum index_depth depth;	 /* of functions */
};

struct debuginfo {
	Dwarf *dwarf;
	const struct elf_file *image;
	struct unit *unit;
	size_t nr_units, cap_units;
	struct ranges units;
	/* how much more may be looked at: many entries that share one long list would take for ever */
	uint64_t index_budget;	/* for all units together */
	uint64_t lookup_budget; /* for one address */
};

static bool spend(uint64_t *budget)
{
	if (!*budget)
		return false;
	(*budget)--;
	return true;
}

/* Linkers leave the ranges of code that they threw away at address 0 or thereabouts. */
static int add_ranges(struct debuginfo *info, Dwarf_Die *die, struct ranges *to, uint64_t value)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;
	int error;

	while ((at = dwarf_ranges(die, at, &base, &start, &end)) > 0 &&
	       spend(&info->index_budget)) {
		if (!elf_is_executable(info->image, start))
			continue;
		error = ranges_add(to, start, end, value);
		if (error)
			return error;
	}
	return 0;
}

static int add_unit(struct debuginfo *info, Dwarf_Off die_offset)
{
	Dwarf_Die die;
	int error;

	if (!dwarf_offdie(info->dwarf, die_offset, &die))
		return 0;
	error = ARRAY_GROW(&info->unit, &info->cap_units, info->nr_units + 1);
	if (error)
		return error;
	error = add_ranges(info, &die, &info->units, info->nr_units);
	if (error)
		return error;
	info->unit[info->nr_units++] = (struct unit){.die_offset = die_offset};
	return 0;
}

static int index_units(struct debuginfo *info)
{
	Dwarf_Off offset = 0, next;
	size_t header_bytes;
	int error;

	while (spend(&info->index_budget) &&
	       !dwarf_next_unit(info->dwarf, offset, &next, &header_bytes, NULL, NULL, NULL, NULL,
				NULL, NULL)) {
		error = add_unit(info, offset + header_bytes);
		if (error)
			return error;
		offset = next;
	}
	ranges_sort(&info->units);
	return info->units.nr ? 0 : -ENOENT;
}

int debuginfo_new(Dwarf *dwarf, const struct elf_file *image, struct debuginfo **out)
{
	struct debuginfo *info = calloc(1, sizeof(*info));
	int error;

	if (!info)
		return -ENOMEM;
	info->dwarf = dwarf;
	info->image = image;
	info->index_budget = INDEX_BUDGET;
	error = index_units(info);
	if (error) {
		debuginfo_free(info);
		return error;
	}
	*out = info;
	return 0;
}

void debuginfo_free(struct debuginfo *info)
{
	if (!info)
		return;
	for (size_t i = 0; i < info->nr_units; i++)
		ranges_release(&info->unit[i].functions);
	free(info->unit);
	ranges_release(&info->units);
	free(info);
}

static bool may_hold_functions(int tag, enum index_depth depth)
{
	if (depth == INDEX_ALL)
		return true;
	return tag == DW_TAG_namespace || tag == DW_TAG_module;
}

static int index_functions(struct debuginfo *info, struct unit *unit, Dwarf_Die *parent, int level)
{
	Dwarf_Die die;
	int error = 0, tag;

	if (level > MAX_LEVELS || dwarf_child(parent, &die))
		return 0;
	do {
		tag = dwarf_tag(&die);
		if (tag == DW_TAG_subprogram)
			error = add_ranges(info, &die, &unit->functions, dwarf_dieoffset(&die));
		if (!error && may_hold_functions(tag, unit->depth))
			error = index_functions(info, unit, &die, level + 1);
	} while (!error && spend(&info->index_budget) && !dwarf_siblingof(&die, &die));
	return error;
}

static int index_unit(struct debuginfo *info, struct unit *unit, Dwarf_Die *unit_die,
		      enum index_depth depth)
{
	int error;

	if (unit->depth >= depth)
		return 0;
	ranges_release(&unit->functions);
	unit->depth = depth;
	error = index_functions(info, unit, unit_die, 0);
	if (error) {
		ranges_release(&unit->functions);
		unit->depth = INDEX_NONE;
		return error;
	}
	ranges_sort(&unit->functions);
	return 0;
}

static int find_function(struct debuginfo *info, struct unit *unit, Dwarf_Die *unit_die,
			 Dwarf_Addr address, const struct range **out)
{
	int error = index_unit(info, unit, unit_die, INDEX_OUTER);

	*out = error ? NULL : ranges_find(&unit->functions, address, NULL);
	if (error || *out || unit->depth == INDEX_ALL)
		return error;
	error = index_unit(info, unit, unit_die, INDEX_ALL);
	*out = error ? NULL : ranges_find(&unit->functions, address, NULL);
	return error;
}

/* The function at an address, and from there inward what is inlined. */
struct chain {
	Dwarf_Die die[MAX_CHAIN];
	size_t nr;
};

static bool holds(struct debuginfo *info, Dwarf_Die *die, Dwarf_Addr address)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(die, at, &base, &start, &end)) > 0 &&
	       spend(&info->lookup_budget)) {
		if (address >= start && address < end)
			return true;
	}
	return false;
}

static bool is_scope(Dwarf_Die *die)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_inlined_subroutine:
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
	case DW_TAG_with_stmt:
		return true;
	default:
		return false;
	}
}

static bool enter_scope(struct debuginfo *info, Dwarf_Die *scope, Dwarf_Addr address)
{
	Dwarf_Die die;

	if (dwarf_child(scope, &die))
		return false;
	do {
		if (is_scope(&die) && holds(info, &die, address)) {
			*scope = die;
			return true;
		}
	} while (spend(&info->lookup_budget) && !dwarf_siblingof(&die, &die));
	return false;
}

static void follow_inlining(struct debuginfo *info, struct chain *chain, Dwarf_Addr address)
{
	Dwarf_Die scope = chain->die[0];

	info->lookup_budget = LOOKUP_BUDGET;
	while (chain->nr < MAX_CHAIN && enter_scope(info, &scope, address)) {
		if (dwarf_tag(&scope) == DW_TAG_inlined_subroutine)
			chain->die[chain->nr++] = scope;
	}
}

/* C functions have one too where an assembler label renames them, as "__GI___libc_malloc": the plain name is better. */
static bool is_mangled(const char *name)
{
	return name && name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
}

static void set_name(Dwarf_Die *die, struct debug_frame *frame)
{
	Dwarf_Attribute attr;
	const char *name = NULL;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attr) ||
	    dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attr))
		name = dwarf_formstring(&attr);
	frame->is_mangled = is_mangled(name);
	frame->name = frame->is_mangled ? name : dwarf_diename(die);
}

static uint32_t number_of(Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;

	if (!dwarf_attr(die, name, &attr) || dwarf_formudata(&attr, &value) || value > UINT32_MAX)
		return 0;
	return (uint32_t)value;
}

/* Where an inlined function was called from. */
static void set_call_site(Dwarf_Die *unit_die, Dwarf_Die *inlined, struct debug_frame *frame)
{
	Dwarf_Files *files;
	size_t nr;

	frame->line = number_of(inlined, DW_AT_call_line);
	if (!dwarf_getsrcfiles(unit_die, &files, &nr))
		frame->file = dwarf_filesrc(files, number_of(inlined, DW_AT_call_file), NULL, NULL);
}

static void set_line(Dwarf_Die *unit_die, Dwarf_Addr address, struct debug_frame *frame)
{
	Dwarf_Line *line = dwarf_getsrc_die(unit_die, address);
	int number;

	if (!line)
		return;
	frame->file = dwarf_linesrc(line, NULL, NULL);
	if (!dwarf_lineno(line, &number) && number > 0)
		frame->line = (uint32_t)number;
}

/* If there are more than max, the innermost ones are left out: the caller's callers matter more. */
static size_t fill_frames(struct chain *chain, Dwarf_Die *unit_die, Dwarf_Addr address,
			  struct debug_frame *frame, size_t max)
{
	size_t nr = chain->nr < max ? chain->nr : max;

	for (size_t i = 0; i < nr; i++) {
		size_t at = nr - 1 - i; /* in the chain */

		frame[i] = (struct debug_frame){0};
		set_name(&chain->die[at], &frame[i]);
		if (at + 1 < chain->nr)
			set_call_site(unit_die, &chain->die[at + 1], &frame[i]);
		else
			set_line(unit_die, address, &frame[i]);
	}
	return nr;
}

static int lookup_in_unit(struct debuginfo *info, struct unit *unit, Dwarf_Addr address,
			  struct chain *chain, Dwarf_Die *unit_die)
{
	const struct range *range;
	int error;

	chain->nr = 0;
	if (!dwarf_offdie(info->dwarf, unit->die_offset, unit_die))
		return -ENOENT;
	error = find_function(info, unit, unit_die, address, &range);
	if (error)
		return error;
	if (range && dwarf_offdie(info->dwarf, range->value, &chain->die[0])) {
		chain->nr = 1;
		follow_inlining(info, chain, address);
	}
	return 0;
}

int debuginfo_lookup(struct debuginfo *info, uint64_t address, struct debug_frame *frame,
		     size_t max, uint64_t *entry)
{
	const struct range *range = ranges_find(&info->units, address, NULL);
	struct chain chain;
	Dwarf_Die unit_die;
	int error;

	*entry = 0;
	if (!range || !max)
		return 0;
	error = lookup_in_unit(info, &info->unit[range->value], address, &chain, &unit_die);
	if (error)
		return error == -ENOMEM ? error : 0;
	if (!chain.nr) {
		frame[0] = (struct debug_frame){0};
		set_line(&unit_die, address, &frame[0]);
		return 1;
	}
	if (dwarf_entrypc(&chain.die[0], entry))
		*entry = 0;
	return (int)fill_frames(&chain, &unit_die, address, frame, max);
}
