/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of functions with the namespaces and classes they stand in, by DWARF alone: "cache::table::put". That is for
 * functions without a name for the linker, such as static ones and lambdas that were inlined.
 *
 * Entries know their children, not their parents. So the namespaces of a unit, and the classes in them, are indexed by
 * the room that they take in the section; what is within a class is looked for when it is asked about.
 */
#ifndef SEEP_SYS_SCOPES_H
#define SEEP_SYS_SCOPES_H

#include <elfutils/libdw.h>
#include <stdbool.h>

#include "debuglimit.h"
#include "ranges.h"
#include "strbuf.h"

/* Of one unit. Zeroed is empty. */
struct scopes {
	struct ranges ranges; /* of offsets; to the offset of the scope */
	bool is_indexed;
};

void scopes_release(struct scopes *scopes);

/*
 * The entry that declares a function: where its name and its scope are. Follows references as far as an honest file
 * has them.
 */
void scopes_declaration(Dwarf_Die *function, Dwarf_Die *out);

/* Replaces out by the name of a declaration of that unit. 0 or -ENOMEM. It is "" when it has none. */
int scopes_name(struct scopes *scopes, Dwarf *dwarf, Dwarf_Die *unit_die, Dwarf_Die *declaration,
		struct debuglimit *limit, struct strbuf *out);

#endif
