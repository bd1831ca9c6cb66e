/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "debuginfo.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "debuglimit.h"
#include "hash.h"
#include "ranges.h"
#include "scopes.h"

#define MAX_LEVELS 256 /* of entries in entries */
#define MAX_CHAIN 256  /* of inlined functions at one address */

/* What libdw 0.188 allocates for each, measured. */
#define BYTES_PER_ROW 80
#define BYTES_PER_ABBREV_BYTE 4
#define BYTES_PER_UNIT 640

/* Functions stand in their unit or its namespaces; lambdas, say, in other functions, but it takes long to look there. */
enum index_depth {
	INDEX_NONE = 0,
	INDEX_OUTER = 1,
	INDEX_ALL = 2,
};

enum line_state {
	LINES_UNREAD = 0,
	LINES_NONE = 1, /* or too many */
	LINES_READ = 2,
};

struct unit {
	Dwarf_Off die_offset;
	uint64_t abbrev_bytes;
	struct ranges functions; /* to the offset of the entry */
	enum index_depth depth;	 /* of functions */
	enum line_state lines;
	struct scopes scopes;
};

struct debuginfo {
	Dwarf *dwarf;
	const struct elf_file *image;
	struct unit *unit;
	size_t nr_units, cap_units;
	struct ranges units;
	struct map64 names; /* offset of a declaration to its text, with scopes */
	struct strbuf scratch;
	struct debuglimit limit;
	size_t library_bytes; /* what libdw has made, about */
	size_t index_bytes;   /* functions and scopes of units, and names */
};

/* Linkers leave the ranges of code that they threw away at address 0 or thereabouts. */
static int add_ranges(struct debuginfo *info, Dwarf_Die *die, struct ranges *to, uint64_t value)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;
	int error;

	while ((at = dwarf_ranges(die, at, &base, &start, &end)) > 0 &&
	       debuglimit_spend(&info->limit)) {
		if (!elf_is_executable(info->image, start))
			continue;
		if (!debuglimit_spend_range(&info->limit))
			return 0;
		error = ranges_add(to, start, end, value);
		if (error)
			return error;
	}
	return 0;
}

static int add_unit(struct debuginfo *info, Dwarf_Off die_offset, uint64_t abbrev_bytes)
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
	info->unit[info->nr_units++] = (struct unit){
		.die_offset = die_offset,
		.abbrev_bytes = abbrev_bytes,
	};
	info->library_bytes += BYTES_PER_UNIT;
	return 0;
}

static int index_units(struct debuginfo *info)
{
	Dwarf_Off offset = 0, next, abbrevs;
	uint64_t abbrev_bytes;
	size_t header_bytes;
	int error;

	while (debuglimit_spend_much(&info->limit) &&
	       !dwarf_next_unit(info->dwarf, offset, &next, &header_bytes, NULL, &abbrevs, NULL,
				NULL, NULL, NULL)) {
		/* libdw reads each unit on its way to a later one: without this one there are none */
		if (!debuglimit_allows_abbrevs(&info->limit, abbrevs, &abbrev_bytes))
			return -ENOENT;
		error = add_unit(info, offset + header_bytes, abbrev_bytes);
		if (error)
			return error;
		offset = next;
	}
	if (info->limit.is_exceeded)
		return -ETIMEDOUT;
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
	debuglimit_init(&info->limit, dwarf);
	debuglimit_begin(&info->limit, 0);
	error = index_units(info);
	debuglimit_end(&info->limit);
	if (error) {
		debuginfo_free(info);
		return error;
	}
	*out = info;
	return 0;
}

void debuginfo_free(struct debuginfo *info)
{
	uint64_t name;
	size_t pos = 0;

	if (!info)
		return;
	while (map64_next(&info->names, &pos, NULL, &name))
		free((char *)(uintptr_t)name);
	map64_release(&info->names);
	strbuf_release(&info->scratch);
	for (size_t i = 0; i < info->nr_units; i++) {
		ranges_release(&info->unit[i].functions);
		scopes_release(&info->unit[i].scopes);
	}
	free(info->unit);
	ranges_release(&info->units);
	debuglimit_release(&info->limit);
	free(info);
}

size_t debuginfo_bytes(const struct debuginfo *info)
{
	return info->library_bytes + info->index_bytes + info->cap_units * sizeof(*info->unit) +
	       ranges_bytes(&info->units);
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
	} while (!error && debuglimit_spend(&info->limit) && !dwarf_siblingof(&die, &die));
	return error;
}

static int index_unit(struct debuginfo *info, struct unit *unit, Dwarf_Die *unit_die,
		      enum index_depth depth)
{
	int error;

	if (unit->depth >= depth)
		return 0;
	if (unit->depth == INDEX_NONE)
		info->library_bytes += unit->abbrev_bytes * BYTES_PER_ABBREV_BYTE;
	info->index_bytes -= ranges_bytes(&unit->functions);
	ranges_release(&unit->functions);
	unit->depth = depth;
	error = index_functions(info, unit, unit_die, 0);
	if (error) {
		ranges_release(&unit->functions);
		unit->depth = INDEX_NONE;
		return error;
	}
	ranges_sort(&unit->functions);
	info->index_bytes += ranges_bytes(&unit->functions);
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

/* What a lookup has found out. */
struct place {
	uint64_t address;
	struct unit *unit;
	Dwarf_Die unit_die;
	bool has_lines;
	struct chain chain;
};

static bool holds(struct debuginfo *info, Dwarf_Die *die, Dwarf_Addr address)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(die, at, &base, &start, &end)) > 0 &&
	       debuglimit_spend(&info->limit)) {
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
	} while (debuglimit_spend(&info->limit) && !dwarf_siblingof(&die, &die));
	return false;
}

static void follow_inlining(struct debuginfo *info, struct chain *chain, Dwarf_Addr address)
{
	Dwarf_Die scope = chain->die[0];

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

/* Whose functions stand in namespaces or classes. */
static bool has_scopes(Dwarf_Die *unit_die)
{
	switch (dwarf_srclang(unit_die)) {
	case DW_LANG_C:
	case DW_LANG_C89:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case DW_LANG_Go:
	case DW_LANG_Mips_Assembler:
		return false;
	default:
		return true;
	}
}

static const char *keep_name(struct debuginfo *info, Dwarf_Off offset)
{
	char *name = strdup(info->scratch.text);

	if (name && map64_put(&info->names, offset, (uintptr_t)name)) {
		free(name);
		return NULL;
	}
	info->index_bytes += info->scratch.nr + sizeof(struct map64_slot);
	return name;
}

/* NULL: there is no other than the plain one, or no memory for it. */
static const char *scoped_name(struct debuginfo *info, struct place *place, Dwarf_Die *die)
{
	struct scopes *scopes = &place->unit->scopes;
	Dwarf_Die declaration, unit_die;
	size_t before = ranges_bytes(&scopes->ranges);
	uint64_t kept;

	scopes_declaration(die, &declaration);
	if (map64_get(&info->names, dwarf_dieoffset(&declaration), &kept))
		return (const char *)(uintptr_t)kept;
	if (!has_scopes(&place->unit_die) || !dwarf_diecu(&declaration, &unit_die, NULL, NULL) ||
	    dwarf_dieoffset(&unit_die) != place->unit->die_offset)
		return NULL;
	if (scopes_name(scopes, info->dwarf, &unit_die, &declaration, &info->limit,
			&info->scratch) ||
	    !info->scratch.nr)
		return NULL;
	info->index_bytes += ranges_bytes(&scopes->ranges) - before;
	return keep_name(info, dwarf_dieoffset(&declaration));
}

static void set_name(struct debuginfo *info, struct place *place, Dwarf_Die *die,
		     struct debug_frame *frame)
{
	Dwarf_Attribute attr;
	const char *name = NULL;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attr) ||
	    dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attr))
		name = dwarf_formstring(&attr);
	frame->is_mangled = is_mangled(name);
	if (!frame->is_mangled)
		name = scoped_name(info, place, die);
	frame->name = name ? name : dwarf_diename(die);
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
static void set_call_site(struct place *place, Dwarf_Die *inlined, struct debug_frame *frame)
{
	Dwarf_Files *files;
	size_t nr;

	frame->line = number_of(inlined, DW_AT_call_line);
	if (place->has_lines && !dwarf_getsrcfiles(&place->unit_die, &files, &nr))
		frame->file = dwarf_filesrc(files, number_of(inlined, DW_AT_call_file), NULL, NULL);
}

static void set_line(struct place *place, struct debug_frame *frame)
{
	Dwarf_Line *line;
	int number;

	if (!place->has_lines)
		return;
	line = dwarf_getsrc_die(&place->unit_die, place->address);
	if (!line)
		return;
	frame->file = dwarf_linesrc(line, NULL, NULL);
	if (!dwarf_lineno(line, &number) && number > 0)
		frame->line = (uint32_t)number;
}

/* If there are more than max, the innermost ones are left out: the caller's callers matter more. */
static size_t fill_frames(struct debuginfo *info, struct place *place, struct debug_frame *frame,
			  size_t max)
{
	struct chain *chain = &place->chain;
	size_t nr = chain->nr < max ? chain->nr : max;

	for (size_t i = 0; i < nr; i++) {
		size_t at = nr - 1 - i; /* in the chain */

		frame[i] = (struct debug_frame){0};
		set_name(info, place, &chain->die[at], &frame[i]);
		if (at + 1 < chain->nr)
			set_call_site(place, &chain->die[at + 1], &frame[i]);
		else
			set_line(place, &frame[i]);
	}
	return nr;
}

/* Reads the line table of a unit when it is first asked for. */
static bool has_lines(struct debuginfo *info, struct unit *unit, Dwarf_Die *unit_die)
{
	Dwarf_Lines *lines;
	size_t nr;

	if (unit->lines == LINES_UNREAD) {
		unit->lines = LINES_NONE;
		if (debuglimit_spend_much(&info->limit) &&
		    debuglimit_allows_lines(&info->limit, unit_die) &&
		    !dwarf_getsrclines(unit_die, &lines, &nr)) {
			unit->lines = LINES_READ;
			info->library_bytes += nr * BYTES_PER_ROW;
		}
	}
	return unit->lines == LINES_READ;
}

static int find_place(struct debuginfo *info, struct unit *unit, struct place *place)
{
	struct chain *chain = &place->chain;
	const struct range *range;
	int error;

	chain->nr = 0;
	if (!dwarf_offdie(info->dwarf, unit->die_offset, &place->unit_die))
		return -ENOENT;
	error = find_function(info, unit, &place->unit_die, place->address, &range);
	if (error)
		return error;
	if (range && dwarf_offdie(info->dwarf, range->value, &chain->die[0])) {
		chain->nr = 1;
		follow_inlining(info, chain, place->address);
	}
	place->has_lines = has_lines(info, unit, &place->unit_die);
	return 0;
}

static int lookup_in_unit(struct debuginfo *info, struct unit *unit, uint64_t address,
			  struct debug_frame *frame, size_t max, uint64_t *entry)
{
	struct place place;
	int error;

	place.address = address;
	place.unit = unit;
	error = find_place(info, unit, &place);
	if (error)
		return error == -ENOMEM ? error : 0;
	if (!place.chain.nr) {
		frame[0] = (struct debug_frame){0};
		set_line(&place, &frame[0]);
		return 1;
	}
	if (dwarf_entrypc(&place.chain.die[0], entry))
		*entry = 0;
	return (int)fill_frames(info, &place, frame, max);
}

int debuginfo_lookup(struct debuginfo *info, uint64_t address, struct debug_frame *frame,
		     size_t max, uint64_t *entry)
{
	const struct range *range = ranges_find(&info->units, address, NULL);
	int nr;

	*entry = 0;
	if (!range || !max)
		return 0;
	debuglimit_begin(&info->limit, DEBUGLIMIT_NS_PER_LOOKUP);
	nr = lookup_in_unit(info, &info->unit[range->value], address, frame, max, entry);
	debuglimit_end(&info->limit);
	return info->limit.is_exceeded && nr >= 0 ? -ETIMEDOUT : nr;
}
