/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocators as data: which functions allocate, free and resize, and which argument means what.
 *
 * Functions are known by their exact symbol names; a family is recognised by the symbols of the object that defines
 * them. A build of jemalloc may have any prefix before its names, and new Rust compilers mangle theirs. One object may hold several families: a static program has a C library, and perhaps a Rust one above it. The
 * functions of a family are probed where the object defines at least one that allocates and one that frees. Arguments
 * are numbered from 1 in the order of the C prototype; 0 means that there is no such argument.
 */
#ifndef SEEP_CORE_ALLOCATORS_H
#define SEEP_CORE_ALLOCATORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"

/* Functions that are probed together, or not at all. */
enum allocator_group {
	GROUP_USER,	/* described by the user: core/allocator_spec.h */
	GROUP_C,	/* malloc, free, ... whoever implements them */
	GROUP_SECOND,	/* __libc_malloc, ... */
	GROUP_OPERATOR, /* C++: only where the family has its own way to memory, without malloc */
	GROUP_JEMALLOC, /* mallocx, ... */
	GROUP_TCMALLOC,
	GROUP_MIMALLOC,
	GROUP_RUST,	/* __rust_alloc, ...: only where they do not end in malloc */
	GROUP_RUST_OWN, /* __rg_alloc, ...: likewise, where the former cannot be seen */
	GROUP_NR,
};

struct allocator_function {
	const char *symbol;
	enum probe_role role;
	unsigned char size_arg;
	unsigned char count_arg; /* multiplies the size: calloc */
	unsigned char
		ptr_arg; /* the block that is resized or freed, or the out-pointer of ROLE_ALLOC_OUT */
	unsigned char group; /* enum allocator_group */
	bool leaf;	     /* of the table alone: see allocator_function_is_leaf() */
};

struct allocator_family {
	const char *name;	   /* "glibc", "jemalloc", ... */
	const char *const *marker; /* NULL-terminated; one that is there is enough */
	bool has_operators; /* its own operator new and delete do not go through malloc: probe those as well */
	bool calls_around; /* its functions may call each other, or those of another family, for a block */
};

/* A function that an object defines. */
struct allocator_symbol {
	const char *name;
	uint64_t address;
};

/* What is to be probed. */
struct allocator_choice {
	size_t symbol; /* index of that of the object */
	const struct allocator_family *family;
	struct allocator_function
		function; /* its symbol is the object's own name for it, borrowed */
	bool leaf;
};

/* Is it a name that allocators_choose() has, or may have, a use for? Quick: meant for every symbol of a file. */
bool allocators_want(const char *name);

/*
 * Of the functions of one object those to be probed, at most one for each address, under the name that users know best.
 * symbol: in any order, each name once. The caller frees *out, which refers to the symbols. 0 or -ENOMEM.
 */
int allocators_choose(const struct allocator_symbol *symbol, size_t nr,
		      struct allocator_choice **out, size_t *nr_out);

/* The functions of the table, in the order of how well users know them; *nr gets their number. Static. */
const struct allocator_function *allocator_functions(size_t *nr);

/* The family of user-defined functions; name is borrowed. */
struct allocator_family allocator_family_of_user(const char *name);

/*
 * May it end in an exception? A return probe takes the place of the return address, and no unwinder gets past it: an
 * exception that the program would have caught ends it. So such a function gets none, unless the user says so.
 */
bool allocator_function_throws(const struct allocator_function *function);

/*
 * Does it never reach another function that might be probed, for the block that it hands out or takes back? Such a call
 * is the innermost one by construction: nothing that happens until it returns is a part of it. Said only of what is
 * known of each family's source, and of the functions that programs call all the time.
 */
bool allocator_function_is_leaf(const struct allocator_family *family,
				const struct allocator_function *function);

/*
 * Is `function` (as printed: demangled, perhaps with parameters or an @version) part of an allocator, so that it is left
 * out at the inner end of a stack? True for malloc & co., the operators new and delete, and the internals and aliases
 * that glibc, jemalloc, tcmalloc and mimalloc are known by.
 */
bool allocator_owns_frame(const char *function);

#endif
