// SPDX-License-Identifier: GPL-2.0-or-later
/* The functions of one file, and where in them the probes go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cfi.h"
#include "discover_impl.h"
#include "log.h"

#define MAX_NAMES 65536 /* of one file, that may be an allocator's */
#define MAX_FUNCTION_BYTES 4096

struct search {
	struct discover *discover;
	int fd;
	struct elf_file *elf;
	struct discover_object *object;
	struct elf_symbol *symbol; /* by name of the object */
	bool *found;
	size_t nr_functions; /* in use, of the object's */
	size_t nr_left_out;  /* for want of room */
};

/* What is longer than any name that may be wanted is not read to its end: there may be many that share a long one. */
static bool wants(const char *name, void *arg)
{
	const struct discover *d = arg;
	size_t bytes;

	if (allocators_want(name))
		return true;
	if (!d->spec)
		return false;
	bytes = strnlen(name, ALLOCATOR_SPEC_MAX_NAME + 1);
	return bytes <= ALLOCATOR_SPEC_MAX_NAME &&
	       map64_get(&d->spec_names, hash_bytes(name, bytes, 0), NULL);
}

static int place(struct elf_file *elf, const struct allocator_function *function,
		 const struct elf_symbol *symbol, struct discover_site *site)
{
	uint8_t code[MAX_FUNCTION_BYTES];
	size_t want = symbol->size && symbol->size < sizeof(code) ? symbol->size : sizeof(code);
	int64_t nr = elf_read(elf, symbol->file_offset, code, want);
	int err;

	if (nr <= 0)
		return nr < 0 ? (int)nr : -EINVAL;
	err = placement_choose(function, elf_machine(elf), code, (size_t)nr, &site->placement);
	if (err)
		return err;
	site->function = function;
	site->function_offset = symbol->file_offset;
	site->file_offset = symbol->file_offset + site->placement.offset;
	return 0;
}

static bool has_site(const struct discover_object *object, uint64_t function_offset)
{
	size_t i;

	for (i = 0; i < object->nr_sites; i++) {
		if (object->site[i].function_offset == function_offset)
			return true;
	}
	return false;
}

/* There is room for it. The first one to claim a function gets it. */
static void add_site(struct search *s, const struct allocator_choice *choice,
		     const struct elf_symbol *symbol)
{
	struct discover_object *object = s->object;
	struct allocator_function *function = &object->function[s->nr_functions];
	struct discover_site *site = &object->site[object->nr_sites];
	int err;

	if (has_site(object, symbol->file_offset))
		return;
	if (object->nr_sites == DISCOVER_MAX_SITES) {
		s->nr_left_out++;
		return;
	}
	*function = choice->function;
	err = place(s->elf, function, symbol, site);
	if (err) {
		log_warn("cannot place a probe on '%s' in '%s': %s, leaving it out",
			 function->symbol, object->path, strerror(-err));
		return;
	}
	site->family = choice->family;
	site->leaf = choice->leaf;
	s->nr_functions++;
	object->nr_sites++;
}

/* --- described by the user ---------------------------------------------------------------------- */

static bool find_name(const struct search *s, const char *name, struct elf_symbol *out)
{
	size_t i;

	for (i = 0; i < s->object->names.nr; i++) {
		if (!strcmp(s->object->names.name[i], name)) {
			*out = s->symbol[i];
			return s->found[i];
		}
	}
	return false;
}

/* A function of Go has no return address that could be replaced: its stack moves. */
static const char *refusal(struct search *s, const struct allocator_function *function,
			   const struct elf_symbol *symbol, bool is_offset)
{
	/* a breakpoint amid an instruction would make another one of it */
	if (is_offset && !cfi_function_begins_at(s->fd, symbol->file_offset))
		return "a function is there, but it does not begin there";
	if (symbol->is_ifunc)
		return "which function it stands for is only known when the program runs";
	if (function->role != ROLE_FREE && elf_is_go_code(s->elf, symbol->file_offset))
		return "it may be a function of Go, which return probes would kill";
	return NULL;
}

static void add_wish(struct search *s, size_t i)
{
	const struct allocator_spec_function *item = &s->discover->spec->item[i];
	struct allocator_choice choice = {.family = item->family, .function = item->function};
	struct elf_symbol symbol = {.file_offset = item->offset};
	const char *why;

	if (!allocator_spec_is_of(item, s->object->path))
		return;
	s->discover->wish[i].object_seen = true;
	if (!item->is_offset && !find_name(s, item->function.symbol, &symbol))
		return;
	s->discover->wish[i].found = true;
	why = refusal(s, &item->function, &symbol, item->is_offset);
	if (why) {
		log_warn("cannot probe '%s' in '%s': %s, leaving it out", item->function.symbol,
			 s->object->path, why);
		return;
	}
	if (!s->object->family)
		s->object->family = item->family->name;
	add_site(s, &choice, &symbol);
}

static void add_wishes(struct search *s)
{
	size_t i;

	for (i = 0; s->discover->spec && i < s->discover->spec->nr; i++)
		add_wish(s, i);
}

/* --- known by their names ------------------------------------------------------------------------ */

/* The symbols that were found are those that are chosen from; index tells where they are in the object's names. */
static size_t gather(const struct search *s, struct allocator_symbol *out, size_t *index)
{
	size_t nr = 0, i;

	for (i = 0; i < s->object->names.nr; i++) {
		if (!s->found[i])
			continue;
		out[nr].name = s->object->names.name[i];
		out[nr].address = s->symbol[i].address;
		index[nr++] = i;
	}
	return nr;
}

static int choose(const struct search *s, struct allocator_choice **choice, size_t *nr,
		  size_t *index)
{
	struct allocator_symbol *symbol = calloc(s->object->names.nr + 1, sizeof(*symbol));
	int err;

	if (!symbol)
		return -ENOMEM;
	err = allocators_choose(symbol, gather(s, symbol, index), choice, nr);
	free(symbol);
	return err;
}

static int make_room(struct search *s, size_t nr_chosen)
{
	size_t nr = nr_chosen + (s->discover->spec ? s->discover->spec->nr : 0) + 1;

	if (nr > DISCOVER_MAX_SITES + 1)
		nr = DISCOVER_MAX_SITES + 1;
	s->object->site = calloc(nr, sizeof(*s->object->site));
	s->object->function = calloc(nr, sizeof(*s->object->function));
	return s->object->site && s->object->function ? 0 : -ENOMEM;
}

static int site_order(const void *a, const void *b)
{
	const struct discover_site *x = a, *y = b;
	int free_x = x->function->role == ROLE_FREE, free_y = y->function->role == ROLE_FREE;

	if (free_x != free_y)
		return free_y - free_x;
	return x->file_offset < y->file_offset ? -1 : x->file_offset > y->file_offset;
}

static int add_all(struct search *s)
{
	size_t *index = calloc(s->object->names.nr + 1, sizeof(*index)), nr = 0, i;
	struct allocator_choice *choice = NULL;
	const struct elf_symbol *symbol;
	int err = index ? choose(s, &choice, &nr, index) : -ENOMEM;

	if (!err)
		err = make_room(s, nr);
	if (!err) {
		if (nr)
			s->object->family = choice[0].family->name;
		add_wishes(s);
	}
	for (i = 0; i < nr && !err; i++) {
		symbol = &s->symbol[index[choice[i].symbol]];
		if (!symbol->is_ifunc)
			add_site(s, &choice[i], symbol);
	}
	free(choice);
	free(index);
	return err;
}

static int find_symbols(struct search *s)
{
	struct elf_names *names = &s->object->names;
	int err = elf_list_functions(s->elf, wants, s->discover, MAX_NAMES, names);

	if (err && err != -ENOENT)
		return err;
	s->symbol = calloc(names->nr + 1, sizeof(*s->symbol));
	s->found = calloc(names->nr + 1, sizeof(*s->found));
	if (!s->symbol || !s->found)
		return -ENOMEM;
	if (!names->nr)
		return 0;
	err = elf_find_functions(s->elf, (const char *const *)names->name, names->nr, s->symbol,
				 s->found);
	return err < 0 ? err : 0;
}

int discover_search(struct discover *discover, int fd, struct elf_file *elf,
		    struct discover_object *object)
{
	struct search search = {.discover = discover, .fd = fd, .elf = elf, .object = object};
	int err = find_symbols(&search);

	if (!err)
		err = add_all(&search);
	if (!err)
		qsort(object->site, object->nr_sites, sizeof(*object->site), site_order);
	if (!object->nr_sites)
		elf_names_release(&object->names);
	if (search.nr_left_out)
		log_warn("'%s' has more functions of allocators than the %d that can be probed, "
			 "%zu are left out: what goes through them is not seen",
			 object->path, DISCOVER_MAX_SITES, search.nr_left_out);
	free(search.symbol);
	free(search.found);
	return err;
}
