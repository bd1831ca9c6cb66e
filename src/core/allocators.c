/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "allocators.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "hash.h"

#define LONGEST_NAME 96 /* v0 names of Rust's allocator have less than 64 bytes */
#define MAX_CHOICES 512 /* of one object: all functions known, under two prefixes */

/*
 * mallocx() and malloc_stats_print() are jemalloc's (the C library's is malloc_stats()). gperftools and mimalloc export
 * __libc_malloc() as well: it marks nobody. The C libraries come last, but for what shows that their malloc() is in the
 * object itself, and not only the rest of a static C library below somebody else's malloc().
 */
static const char *const hooked_marker[] = {"malloc_hook_ini", NULL};
static const char *const glibc_marker[] = {"_int_malloc", NULL};
static const char *const musl_marker[] = {"default_malloc", "__simple_malloc", "__expand_heap",
					  NULL};
static const char *const jemalloc_marker[] = {"mallocx", "malloc_stats_print", NULL};
static const char *const tcmalloc_marker[] = {"tc_malloc", "TCMallocInternalMalloc",
					      "MallocExtension_Internal_GetNumericProperty", NULL};
static const char *const mimalloc_marker[] = {"mi_malloc", "mi_version", NULL};
static const char *const glibc_late_marker[] = {"gnu_get_libc_version", "__libc_freeres", NULL};
static const char *const musl_late_marker[] = {"__dls3", "_dlstart", NULL};
static const char *const no_marker[] = {NULL};

enum family_index {
	FAMILY_GLIBC_HOOKED,
	FAMILY_GLIBC,
	FAMILY_MUSL,
	FAMILY_JEMALLOC,
	FAMILY_TCMALLOC,
	FAMILY_MIMALLOC,
	FAMILY_GLIBC_LATE,
	FAMILY_MUSL_LATE,
	FAMILY_NR,
};

static const struct allocator_family families[FAMILY_NR] = {
	[FAMILY_GLIBC_HOOKED] = {"glibc", hooked_marker, .calls_around = true},
	[FAMILY_GLIBC] = {"glibc", glibc_marker},
	[FAMILY_MUSL] = {"musl", musl_marker},
	[FAMILY_JEMALLOC] = {"jemalloc", jemalloc_marker, .has_operators = true},
	[FAMILY_TCMALLOC] = {"tcmalloc", tcmalloc_marker, .has_operators = true},
	[FAMILY_MIMALLOC] = {"mimalloc", mimalloc_marker, .has_operators = true},
	[FAMILY_GLIBC_LATE] = {"glibc", glibc_late_marker},
	[FAMILY_MUSL_LATE] = {"musl", musl_late_marker},
};

/* An object with its own malloc and its own operators has most likely its own way from one to the other. */
static const struct allocator_family unknown_family = {"unknown", no_marker, true, true};
static const struct allocator_family rust_family = {"rust", no_marker, false, true};

/* How names begin that are not just malloc & co. with something before. */
#define HEAD_BYTES 3
static const char head[][HEAD_BYTES + 1] = {"_Zn", "_Zd", "mi_", "tc_", "TCM", "Mal",
					    "tcm", "__s", "__r", "__l", "__d", "__p",
					    "__e", "_dl", "mal", "gnu", "pth"};

struct symbols {
	const struct allocator_symbol *item;
	size_t nr;
	struct map64 by_name; /* hash to index */
};

struct chooser {
	struct symbols symbols;
	struct allocator_choice *choice;
	size_t nr, max;
};

static int index_names(struct symbols *symbols)
{
	const char *name;
	size_t i;
	int err = 0;

	for (i = 0; i < symbols->nr && !err; i++) {
		name = symbols->item[i].name;
		err = map64_put(&symbols->by_name, hash_bytes(name, strlen(name), 0), i);
	}
	return err;
}

/* -1: it is not there. */
static long find(const struct symbols *symbols, const char *name)
{
	uint64_t i;

	if (!map64_get(&symbols->by_name, hash_bytes(name, strlen(name), 0), &i))
		return -1;
	return strcmp(symbols->item[i].name, name) ? -1 : (long)i;
}

static bool has(const struct symbols *symbols, const char *name)
{
	return find(symbols, name) >= 0;
}

/* Both are there, but they are not one function. */
static bool differ(const struct symbols *symbols, const char *a, const char *b)
{
	long i = find(symbols, a), j = find(symbols, b);

	return i >= 0 && j >= 0 && symbols->item[i].address != symbols->item[j].address;
}

/* --- names that vary --------------------------------------------------------------------------- */

static bool takes_prefix(const struct allocator_function *function)
{
	return function->group == GROUP_C || function->group == GROUP_JEMALLOC;
}

static bool ends_with(const char *name, size_t bytes, const char *function)
{
	size_t tail = strlen(function);

	return bytes >= tail && !memcmp(name + bytes - tail, function, tail);
}

/* Bytes before the function's name; 0: the symbol is not that name with a prefix. */
static size_t prefix_bytes(const char *name, size_t bytes, const char *function)
{
	return ends_with(name, bytes, function) ? bytes - strlen(function) : 0;
}

/* Is it malloc or the like, with or without something before? */
static bool is_suffixed(const char *name, size_t bytes)
{
	size_t nr, i;
	const struct allocator_function *function = allocator_functions(&nr);

	if (!strchr("cdefnxy", name[bytes - 1]) || !strncmp(name, "_Z", 2) ||
	    !strncmp(name, "_R", 2))
		return false;
	for (i = 0; i < nr; i++) {
		if (takes_prefix(&function[i]) && ends_with(name, bytes, function[i].symbol))
			return true;
	}
	return false;
}

/*
 * Is it the allocator's function `want` of Rust: "__rust_alloc" itself, or as newer compilers mangle it,
 * "_RNvCsfLfy6EI15iL_7___rustc12___rust_alloc" (v0) or "_ZN7__rustc12__rust_alloc17h...E"?
 */
static bool is_rust_name(const char *name, const char *want)
{
	const char *at;
	size_t bytes = 0;

	if (!strcmp(name, want))
		return true;
	if (strncmp(name, "_R", 2) && strncmp(name, "_ZN", 3))
		return false;
	at = strstr(name, "_rustc");
	if (!at)
		return false;
	for (at += strlen("_rustc"); *at >= '0' && *at <= '9' && bytes < LONGEST_NAME; at++)
		bytes = bytes * 10 + (size_t)(*at - '0');
	if (!strncmp(at, "___", 3)) /* v0 separates numbers from names that begin with _ */
		at++;
	return bytes == strlen(want) && !strncmp(at, want, bytes);
}

static bool is_rust(const struct allocator_function *function)
{
	return function->group == GROUP_RUST || function->group == GROUP_RUST_OWN;
}

static bool is_named(const char *name, const struct allocator_function *function)
{
	return is_rust(function) ? is_rust_name(name, function->symbol)
				 : !strcmp(name, function->symbol);
}

static bool has_rust(const struct symbols *symbols, const char *name)
{
	size_t i;

	for (i = 0; i < symbols->nr; i++) {
		if (is_rust_name(symbols->item[i].name, name))
			return true;
	}
	return false;
}

static bool is_marker(const char *name)
{
	const char *const *marker;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		for (marker = families[i].marker; *marker; marker++) {
			if (!strcmp(name, *marker))
				return true;
		}
	}
	/* see family_of_c() and chooses_rust() */
	return !strcmp(name, "pthread_create") || is_rust_name(name, "__rdl_alloc");
}

/* A program may have very many names. */
static bool begins_like_one(const char *name, size_t bytes)
{
	size_t i;

	if (bytes < HEAD_BYTES)
		return false;
	for (i = 0; i < ARRAY_SIZE(head); i++) {
		if (!memcmp(name, head[i], HEAD_BYTES))
			return true;
	}
	return (!strncmp(name, "_R", 2) || !strncmp(name, "_ZN7_", 5)) && strstr(name, "_rustc");
}

bool allocators_want(const char *name)
{
	size_t bytes = strnlen(name, LONGEST_NAME), nr, i;
	const struct allocator_function *function;

	if (!bytes || bytes == LONGEST_NAME)
		return false;
	if (is_suffixed(name, bytes))
		return true;
	if (!begins_like_one(name, bytes))
		return false;
	function = allocator_functions(&nr);
	for (i = 0; i < nr; i++) {
		if (is_named(name, &function[i]))
			return true;
	}
	return is_marker(name);
}

/* --- families ---------------------------------------------------------------------------------- */

static bool has_marker(const struct symbols *symbols, const struct allocator_family *family)
{
	const char *const *marker;

	for (marker = family->marker; *marker; marker++) {
		if (has(symbols, *marker))
			return true;
	}
	return false;
}

/*
 * Whose malloc() it is; NULL: there is none. A static musl has free() only in programs that call it. Where a C library
 * has another name for its malloc(), and that is not this one, a program has put its own in place.
 */
static const struct allocator_family *family_of_c(const struct symbols *symbols)
{
	size_t i;

	if (!has(symbols, "malloc") || !(has(symbols, "free") || has(symbols, "default_malloc")))
		return NULL;
	if (differ(symbols, "malloc", "__libc_malloc") && !has(symbols, "default_malloc"))
		return &unknown_family;
	if (differ(symbols, "malloc", "default_malloc"))
		return &unknown_family;
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		if (!has_marker(symbols, &families[i]))
			continue;
		/* Until 2.34 it had hooks, and pthread_create() was in a library of its own. */
		if (i == FAMILY_GLIBC_LATE && !has(symbols, "pthread_create"))
			return &families[FAMILY_GLIBC_HOOKED];
		return &families[i];
	}
	return &unknown_family;
}

static const struct allocator_family *family_of_second(const struct symbols *symbols,
						       const struct allocator_family *family)
{
	/* musl's are what its malloc() and free() jump to */
	if (!family || has(symbols, "default_malloc"))
		return NULL;
	if (family == &unknown_family && has(symbols, "_int_malloc"))
		return &families[has(symbols, "malloc_hook_ini") ? FAMILY_GLIBC_HOOKED
								 : FAMILY_GLIBC];
	return family;
}

/* By default Rust's functions end in malloc(), and that is probed. */
static bool chooses_rust(const struct symbols *symbols, const char *alloc, const char *dealloc)
{
	return has_rust(symbols, alloc) && has_rust(symbols, dealloc) &&
	       (has_rust(symbols, "__rg_alloc") || !has_rust(symbols, "__rdl_alloc"));
}

/* family[group]: NULL where its functions are not to be probed. */
static void find_families(const struct symbols *symbols, const struct allocator_family **family)
{
	const struct allocator_family *c = family_of_c(symbols);

	family[GROUP_C] = c;
	family[GROUP_SECOND] = family_of_second(symbols, c);
	if (c && c->has_operators)
		family[GROUP_OPERATOR] = c;
	if (has(symbols, "mallocx") && has(symbols, "dallocx"))
		family[GROUP_JEMALLOC] = &families[FAMILY_JEMALLOC];
	else
		family[GROUP_JEMALLOC] = c; /* sdallocx() is tcmalloc's as well */
	if ((has(symbols, "tc_malloc") && has(symbols, "tc_free")) ||
	    (has(symbols, "TCMallocInternalMalloc") && has(symbols, "TCMallocInternalFree")))
		family[GROUP_TCMALLOC] = &families[FAMILY_TCMALLOC];
	if (has(symbols, "mi_malloc") && has(symbols, "mi_free"))
		family[GROUP_MIMALLOC] = &families[FAMILY_MIMALLOC];
	if (chooses_rust(symbols, "__rust_alloc", "__rust_dealloc"))
		family[GROUP_RUST] = &rust_family;
	else if (chooses_rust(symbols, "__rg_alloc", "__rg_dealloc"))
		family[GROUP_RUST_OWN] = &rust_family;
}

/* --- choice ------------------------------------------------------------------------------------ */

bool allocator_function_is_leaf(const struct allocator_family *family,
				const struct allocator_function *function)
{
	if (family->calls_around || !function->leaf)
		return false;
	/* musl's calls malloc() */
	return strcmp(family->name, "musl") || strcmp(function->symbol, "calloc");
}

struct allocator_family allocator_family_of_user(const char *name)
{
	return (struct allocator_family){name, no_marker, false, true};
}

static void add(struct chooser *chooser, size_t symbol, const struct allocator_family *family,
		const struct allocator_function *function)
{
	const struct allocator_symbol *item = chooser->symbols.item;
	struct allocator_choice *choice;
	size_t i;

	for (i = 0; i < chooser->nr; i++) {
		if (item[chooser->choice[i].symbol].address == item[symbol].address)
			return;
	}
	if (chooser->nr == chooser->max)
		return;
	choice = &chooser->choice[chooser->nr++];
	*choice = (struct allocator_choice){.symbol = symbol,
					    .family = family,
					    .function = *function,
					    .leaf = allocator_function_is_leaf(family, function)};
	choice->function.symbol = item[symbol].name;
}

static void add_named(struct chooser *chooser, const char *name,
		      const struct allocator_family *family,
		      const struct allocator_function *function)
{
	long i = find(&chooser->symbols, name);

	if (i >= 0)
		add(chooser, (size_t)i, family, function);
}

static void add_rust(struct chooser *chooser, const struct allocator_family *family,
		     const struct allocator_function *function)
{
	size_t i;

	for (i = 0; i < chooser->symbols.nr; i++) {
		if (is_rust_name(chooser->symbols.item[i].name, function->symbol))
			add(chooser, i, family, function);
	}
}

static void add_by_name(struct chooser *chooser)
{
	const struct allocator_family *family[GROUP_NR] = {NULL}, *f;
	size_t nr, i;
	const struct allocator_function *function = allocator_functions(&nr);

	find_families(&chooser->symbols, family);
	for (i = 0; i < nr; i++) {
		f = family[function[i].group];
		if (f && is_rust(&function[i]))
			add_rust(chooser, f, &function[i]);
		else if (f)
			add_named(chooser, function[i].symbol, f, &function[i]);
	}
}

static const char *with_prefix(char *name, size_t size, const char *prefix, size_t bytes,
			       const char *function)
{
	snprintf(name, size, "%.*s%s", (int)bytes, prefix, function);
	return name;
}

static bool has_with_prefix(const struct symbols *symbols, const char *prefix, size_t bytes,
			    const char *function)
{
	char name[2 * LONGEST_NAME];

	return has(symbols, with_prefix(name, sizeof(name), prefix, bytes, function));
}

/* Only a jemalloc has mallocx() beside malloc(). "je_" alone is enough: nobody else calls himself that. */
static bool is_jemalloc_prefix(const struct symbols *symbols, const char *prefix, size_t bytes)
{
	if (!has_with_prefix(symbols, prefix, bytes, "malloc") ||
	    !has_with_prefix(symbols, prefix, bytes, "free"))
		return false;
	return (bytes == 3 && !strncmp(prefix, "je_", 3)) ||
	       (has_with_prefix(symbols, prefix, bytes, "mallocx") &&
		has_with_prefix(symbols, prefix, bytes, "dallocx"));
}

static void add_prefixed(struct chooser *chooser, const char *prefix, size_t bytes)
{
	size_t nr, i;
	const struct allocator_function *function = allocator_functions(&nr);
	char name[2 * LONGEST_NAME];

	for (i = 0; i < nr; i++) {
		if (takes_prefix(&function[i]))
			add_named(
				chooser,
				with_prefix(name, sizeof(name), prefix, bytes, function[i].symbol),
				&families[FAMILY_JEMALLOC], &function[i]);
	}
}

/* Each prefix is one of the symbol that is PREFIXmalloc. */
static void add_all_prefixed(struct chooser *chooser)
{
	const struct symbols *symbols = &chooser->symbols;
	const char *name;
	size_t i, bytes;

	for (i = 0; i < symbols->nr; i++) {
		name = symbols->item[i].name;
		bytes = prefix_bytes(name, strlen(name), "malloc");
		if (bytes && bytes < LONGEST_NAME && is_jemalloc_prefix(symbols, name, bytes))
			add_prefixed(chooser, name, bytes);
	}
}

int allocators_choose(const struct allocator_symbol *symbol, size_t nr,
		      struct allocator_choice **out, size_t *nr_out)
{
	struct chooser chooser = {.symbols = {.item = symbol, .nr = nr}};
	int err = index_names(&chooser.symbols);

	if (!err) {
		chooser.max = nr < MAX_CHOICES ? nr : MAX_CHOICES;
		chooser.choice = calloc(chooser.max + 1, sizeof(*chooser.choice));
		err = chooser.choice ? 0 : -ENOMEM;
	}
	if (!err) {
		add_by_name(&chooser);
		add_all_prefixed(&chooser);
		*out = chooser.choice;
		*nr_out = chooser.nr;
	}
	map64_release(&chooser.symbols.by_name);
	return err;
}
