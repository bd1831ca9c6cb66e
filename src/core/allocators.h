/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocators as data: which functions allocate, free and resize, and which argument means what.
 *
 * One table for all: a family is recognised by a symbol that only it exports (its marker), a function by its exact
 * symbol name. Arguments are numbered from 1 in the order of the C prototype; 0 means that there is no such argument.
 */
#ifndef SEEP_CORE_ALLOCATORS_H
#define SEEP_CORE_ALLOCATORS_H

#include <stdbool.h>
#include <stddef.h>

#include "event.h"

struct allocator_function {
	const char *symbol;
	enum probe_role role;
	unsigned char size_arg;
	unsigned char count_arg; /* multiplies the size: calloc */
	unsigned char
		ptr_arg; /* the block that is resized or freed, or the out-pointer of ROLE_ALLOC_OUT */
};

struct allocator_family {
	const char *name;	   /* "glibc", "jemalloc", ... */
	const char *const *marker; /* NULL-terminated; one that is exported is enough */
	bool has_operators; /* its own operator new and delete do not go through malloc: probe those as well */
};

/* The family of an object that defines `malloc`: exported(symbol, arg) answers whether it exports a symbol. Never NULL: "unknown" is a family. */
const struct allocator_family *allocator_family_of(bool (*exported)(const char *symbol, void *arg),
						   void *arg);

/* The functions to probe in an object of a family; *nr gets their number. Static. */
const struct allocator_function *allocator_functions(size_t *nr);

/*
 * May it end in an exception? A return probe takes the place of the return address, and no unwinder gets past it: an
 * exception that the program would have caught ends it. So such a function gets none, unless the user says so.
 */
bool allocator_function_throws(const struct allocator_function *function);

/* Is it an operator new or delete, to be probed only in families with has_operators? */
bool allocator_function_is_operator(const struct allocator_function *function);

/*
 * Is `function` (as printed: demangled, perhaps with parameters or an @version) part of an allocator, so that it is left
 * out at the inner end of a stack? True for malloc & co., the operators new and delete, and the internals and aliases
 * that glibc, jemalloc, tcmalloc and mimalloc are known by.
 */
bool allocator_owns_frame(const char *function);

#endif
