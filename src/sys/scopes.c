/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scopes.h"

#include <dwarf.h>
#include <errno.h>
#include <string.h>

#define MAX_REFERENCES 16
#define MAX_LEVELS 64

void scopes_release(struct scopes *scopes)
{
	ranges_release(&scopes->ranges);
	scopes->is_indexed = false;
}

static bool follow(Dwarf_Die *from, unsigned int name, Dwarf_Die *out)
{
	Dwarf_Attribute attr;

	return dwarf_attr(from, name, &attr) && dwarf_formref_die(&attr, out);
}

void scopes_declaration(Dwarf_Die *function, Dwarf_Die *out)
{
	Dwarf_Die next;

	*out = *function;
	for (int i = 0; i < MAX_REFERENCES; i++) {
		if (!follow(out, DW_AT_abstract_origin, &next) &&
		    !follow(out, DW_AT_specification, &next))
			return;
		*out = next;
	}
}

static bool is_class(int tag)
{
	return tag == DW_TAG_class_type || tag == DW_TAG_structure_type ||
	       tag == DW_TAG_union_type || tag == DW_TAG_interface_type;
}

/* end: of the parent's room, and so of its last child's. */
static int index_children(struct scopes *scopes, Dwarf_Die *parent, Dwarf_Off end, int level,
			  struct debuglimit *limit)
{
	Dwarf_Die die, next;
	bool is_last = false;
	int error = 0;

	if (level > MAX_LEVELS || dwarf_child(parent, &die))
		return 0;
	while (!is_last && !error && debuglimit_spend(limit)) {
		int tag = dwarf_tag(&die);
		Dwarf_Off start = dwarf_dieoffset(&die), until;

		is_last = dwarf_siblingof(&die, &next) != 0;
		until = is_last ? end : dwarf_dieoffset(&next);
		if (tag == DW_TAG_namespace || tag == DW_TAG_module || is_class(tag))
			error = ranges_add(&scopes->ranges, start, until, start);
		if (!error && (tag == DW_TAG_namespace || tag == DW_TAG_module))
			error = index_children(scopes, &die, until, level + 1, limit);
		die = next;
	}
	return error;
}

static int index_unit(struct scopes *scopes, Dwarf_Die *unit_die, struct debuglimit *limit)
{
	int error;

	if (scopes->is_indexed)
		return 0;
	error = index_children(scopes, unit_die, UINT64_MAX, 0, limit);
	if (error) {
		scopes_release(scopes);
		return error;
	}
	ranges_sort(&scopes->ranges);
	scopes->is_indexed = true;
	return 0;
}

static void add_name(struct strbuf *out, Dwarf_Die *scope)
{
	const char *name = dwarf_diename(scope);

	if (name)
		strbuf_puts(out, name);
	else if (dwarf_tag(scope) == DW_TAG_namespace)
		strbuf_puts(out, "(anonymous namespace)");
	else
		return;
	strbuf_puts(out, "::");
}

/* From a class down to the one that an entry stands in. */
static void add_inner_classes(struct strbuf *out, Dwarf_Die *scope, Dwarf_Off offset,
			      struct debuglimit *limit)
{
	Dwarf_Die die, next;

	for (int level = 0; level < MAX_LEVELS && !dwarf_child(scope, &die); level++) {
		while (debuglimit_spend(limit) && !dwarf_siblingof(&die, &next) &&
		       dwarf_dieoffset(&next) <= offset)
			die = next;
		if (dwarf_dieoffset(&die) >= offset || !is_class(dwarf_tag(&die)))
			return;
		add_name(out, &die);
		*scope = die;
	}
}

static void add_scopes(const struct scopes *scopes, Dwarf *dwarf, Dwarf_Off offset,
		       struct debuglimit *limit, struct strbuf *out)
{
	const struct range *outward[MAX_LEVELS], *at = NULL;
	Dwarf_Die scope;
	int nr = 0;

	while (nr < MAX_LEVELS && (at = ranges_find(&scopes->ranges, offset, at))) {
		if (at->start != offset)
			outward[nr++] = at;
	}
	while (nr > 0) {
		if (!dwarf_offdie(dwarf, outward[--nr]->value, &scope))
			return;
		add_name(out, &scope);
		if (!nr && is_class(dwarf_tag(&scope)))
			add_inner_classes(out, &scope, offset, limit);
	}
}

/* The class of a method, by the type of its "this": one that is local to a function has no place in the index. */
static bool find_class(Dwarf_Die *declaration, Dwarf_Die *out)
{
	Dwarf_Die die;

	if (!follow(declaration, DW_AT_object_pointer, &die))
		return false;
	for (int i = 0; i < MAX_REFERENCES && follow(&die, DW_AT_type, out); i++) {
		if (is_class(dwarf_tag(out)))
			return true;
		die = *out;
	}
	return false;
}

int scopes_name(struct scopes *scopes, Dwarf *dwarf, Dwarf_Die *unit_die, Dwarf_Die *declaration,
		struct debuglimit *limit, struct strbuf *out)
{
	const char *name = dwarf_diename(declaration);
	Dwarf_Off offset = dwarf_dieoffset(declaration);
	Dwarf_Die class;
	int error = index_unit(scopes, unit_die, limit);

	strbuf_clear(out);
	if (error || !name)
		return error;
	if (find_class(declaration, &class)) {
		add_scopes(scopes, dwarf, dwarf_dieoffset(&class), limit, out);
		if (dwarf_diename(&class))
			add_name(out, &class);
		else
			strbuf_puts(out, strcmp(name, "operator()") ? "" : "{lambda}::");
	} else {
		add_scopes(scopes, dwarf, offset, limit, out);
	}
	strbuf_puts(out, name);
	return strbuf_error(out);
}
