/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocators that the user describes: memory pools, and whatever else hands out memory. One definition is a line:
 *
 *	pool: alloc=pool_get(size=arg2) free=pool_put(ptr=arg2) realloc=pool_grow(ptr=arg1,size=arg2)
 *
 *	definition	NAME ":" item...
 *	item		role "=" function "(" argument ["," argument]... ")"
 *	role		"alloc" | "free" | "realloc" | "resize"
 *	function	SYMBOL | SYMBOL "@" OBJECT | OBJECT "+0x" OFFSET
 *	argument	("size" | "count" | "ptr" | "out") "=" "arg1" to "arg6"
 *
 * alloc returns the block, or stores it through `out` and returns 0; free ends the block `ptr`; realloc resizes it and
 * returns the new one; resize does so in place and returns its size from then on. OBJECT is a path, or the last part of
 * one. OFFSET is that of the function's first byte in the file, for programs without symbols. A role may come several
 * times. Blanks may stand between all of these, and "#" begins a comment.
 */
#ifndef SEEP_CORE_ALLOCATOR_SPEC_H
#define SEEP_CORE_ALLOCATOR_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocators.h"
#include "strings.h"

#define ALLOCATOR_SPEC_MAX_FUNCTIONS 256 /* of all definitions */
#define ALLOCATOR_SPEC_MAX_NAME 255	 /* bytes of a symbol or object */

struct allocator_spec_function {
	struct allocator_function function; /* symbol: as it was written where it is an offset */
	const struct allocator_family *family;
	const char *object; /* NULL: any that defines the symbol */
	bool is_offset;
	uint64_t offset; /* in the object's file */
};

/* Zeroed is empty. All text is its own. */
struct allocator_spec {
	struct allocator_spec_function *item;
	size_t nr, cap;
	struct allocator_family **family; /* one for each definition */
	size_t nr_families, cap_families;
	struct strings strings;
};

struct allocator_spec_error {
	size_t column; /* from 1 on, in bytes */
	char text[160];
};

/* Adds the functions of a definition. 0, -EINVAL with *error set, or -ENOMEM; on failure *spec has the functions that it had. */
int allocator_spec_add(struct allocator_spec *spec, const char *line,
		       struct allocator_spec_error *error);
void allocator_spec_release(struct allocator_spec *spec);

/* Is the function to be looked for in this file? By the path whole, or its last part; libx.so also names libx.so.1.2. */
bool allocator_spec_is_of(const struct allocator_spec_function *function, const char *path);

#endif
