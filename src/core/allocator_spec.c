/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "allocator_spec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

#define MAX_FAMILY_NAME 31
#define BLANKS " \t\r\n"
#define SHOWN 40 /* bytes of the user's text in a message */

struct parser {
	const char *line, *at;
	struct allocator_spec *spec;
	struct allocator_spec_error *error;
	const struct allocator_family *family;
};

/* A piece of the line. */
struct word {
	const char *text;
	size_t nr;
};

enum argument {
	ARGUMENT_SIZE,
	ARGUMENT_COUNT,
	ARGUMENT_PTR,
	ARGUMENT_OUT,
	ARGUMENT_NR
};

static const char *const argument_name[ARGUMENT_NR] = {"size", "count", "ptr", "out"};

static const struct {
	const char *name;
	enum probe_role role;
} role_name[] = {
	{"alloc", ROLE_ALLOC},
	{"free", ROLE_FREE},
	{"realloc", ROLE_REALLOC},
	{"resize", ROLE_RESIZE},
};

static int fail(struct parser *p, const char *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct parser *p, const char *at, const char *format, ...)
{
	va_list args;

	p->error->column = (size_t)(at - p->line) + 1;
	va_start(args, format);
	(void)vsnprintf(p->error->text, sizeof(p->error->text), format, args);
	va_end(args);
	return -EINVAL;
}

static int shown(struct word word)
{
	return (int)(word.nr < SHOWN ? word.nr : SHOWN);
}

static bool is_word(struct word word, const char *text)
{
	return word.nr == strlen(text) && !memcmp(word.text, text, word.nr);
}

static void skip_blanks(struct parser *p)
{
	p->at += strspn(p->at, BLANKS);
}

/* Up to one of these characters or a blank; perhaps empty. */
static struct word take_word(struct parser *p, const char *ends)
{
	struct word word;
	char until[16];

	snprintf(until, sizeof(until), BLANKS "%s", ends);
	skip_blanks(p);
	word.text = p->at;
	word.nr = strcspn(p->at, until);
	p->at += word.nr;
	skip_blanks(p);
	return word;
}

static int expect(struct parser *p, char wanted, const char *after, struct word word)
{
	if (*p->at == wanted) {
		p->at++;
		return 0;
	}
	if (!*p->at)
		return fail(p, p->at, "the line ends where '%c' should follow the %s '%.*s'",
			    wanted, after, shown(word), word.text);
	return fail(p, p->at, "'%c' should follow the %s '%.*s', not '%.*s'", wanted, after,
		    shown(word), word.text, 1, p->at);
}

/* --- arguments --------------------------------------------------------------------------------- */

static int find_argument(struct parser *p, struct word word, enum argument *out)
{
	size_t i;

	for (i = 0; i < ARGUMENT_NR; i++) {
		if (is_word(word, argument_name[i])) {
			*out = (enum argument)i;
			return 0;
		}
	}
	return fail(p, word.text, "'%.*s' is no argument: write size, count, ptr or out",
		    shown(word), word.text);
}

static int take_argument(struct parser *p, unsigned char *arg, const char **where)
{
	struct word word = take_word(p, "=,()"), number;
	enum argument which = ARGUMENT_SIZE;
	int err = find_argument(p, word, &which);
	size_t i;

	if (!err && arg[which])
		err = fail(p, word.text, "'%.*s' is given twice", shown(word), word.text);
	if (!err)
		err = expect(p, '=', "argument", word);
	if (err)
		return err;
	number = take_word(p, "=,()");
	if (number.nr != 4 || memcmp(number.text, "arg", 3) || number.text[3] < '1' ||
	    number.text[3] > '6')
		return fail(p, number.text, "'%.*s' is not one of arg1 to arg6", shown(number),
			    number.text);
	for (i = 0; i < ARGUMENT_NR; i++) {
		if (arg[i] == number.text[3] - '0')
			return fail(p, number.text, "%.4s is already the %s", number.text,
				    argument_name[i]);
	}
	arg[which] = (unsigned char)(number.text[3] - '0');
	where[which] = word.text;
	return 0;
}

/* arg: by enum argument; where: in the line. */
static int take_arguments(struct parser *p, struct word function, unsigned char *arg,
			  const char **where)
{
	int err = expect(p, '(', "function", function);

	while (!err) {
		err = take_argument(p, arg, where);
		if (err || *p->at != ',')
			break;
		p->at++;
	}
	if (err)
		return err;
	if (*p->at != ')')
		return fail(p, p->at, "',' or ')' should follow an argument");
	p->at++;
	return 0;
}

/* What a role needs and what it may have, as bits of enum argument. */
static int check_arguments(struct parser *p, enum probe_role role, struct word function,
			   const unsigned char *arg, const char *const *where)
{
	static const unsigned int needs[] = {
		[ROLE_ALLOC] = 1u << ARGUMENT_SIZE,
		[ROLE_REALLOC] = 1u << ARGUMENT_SIZE | 1u << ARGUMENT_PTR,
		[ROLE_FREE] = 1u << ARGUMENT_PTR,
		[ROLE_RESIZE] = 1u << ARGUMENT_SIZE | 1u << ARGUMENT_PTR,
	};
	static const unsigned int may_have[] = {
		[ROLE_ALLOC] = 1u << ARGUMENT_COUNT | 1u << ARGUMENT_OUT,
		[ROLE_REALLOC] = 1u << ARGUMENT_COUNT,
		[ROLE_RESIZE] = 1u << ARGUMENT_COUNT,
		[ROLE_FREE] = 0,
	};
	size_t i;

	for (i = 0; i < ARGUMENT_NR; i++) {
		if (needs[role] >> i & 1 && !arg[i])
			return fail(p, function.text, "'%.*s' has no '%s': which argument is it?",
				    shown(function), function.text, argument_name[i]);
		if (arg[i] && !((needs[role] | may_have[role]) >> i & 1))
			return fail(p, where[i], "a function of this role has no '%s'",
				    argument_name[i]);
	}
	return 0;
}

/* --- functions --------------------------------------------------------------------------------- */

static int keep(struct parser *p, const char *text, size_t nr, const char **out)
{
	*out = strings_keep(&p->spec->strings, text, nr);
	return *out ? 0 : -ENOMEM;
}

/* The last "+0x" of the word; NULL: it has none. */
static const char *find_offset(struct word word)
{
	size_t i;

	for (i = word.nr; i-- > 0;) {
		if (word.nr - i >= 3 && !memcmp(word.text + i, "+0x", 3))
			return word.text + i;
	}
	return NULL;
}

static int parse_offset(struct parser *p, const char *digits, size_t nr, uint64_t *out)
{
	uint64_t value = 0;
	size_t i;

	if (!nr || nr > 15)
		return fail(p, digits, "an offset has 1 to 15 hexadecimal digits");
	for (i = 0; i < nr; i++) {
		const char *hex = "0123456789abcdef0123456789ABCDEF";
		const char *at = memchr(hex, digits[i], strlen(hex));

		if (!at)
			return fail(p, digits + i, "'%c' is no hexadecimal digit", digits[i]);
		value = value << 4 | (uint64_t)((at - hex) & 15);
	}
	*out = value;
	return 0;
}

/* SYMBOL, SYMBOL@OBJECT or OBJECT+0xOFFSET. */
static int take_place(struct parser *p, struct word word, struct allocator_spec_function *out)
{
	const char *plus = find_offset(word), *at = memchr(word.text, '@', word.nr);
	struct word object = {0}, symbol = word;
	int err = 0;

	if (plus) {
		object = (struct word){word.text, (size_t)(plus - word.text)};
		out->is_offset = true;
		err = parse_offset(p, plus + 3, word.nr - object.nr - 3, &out->offset);
	} else if (at) {
		symbol.nr = (size_t)(at - word.text);
		object = (struct word){at + 1, word.nr - symbol.nr - 1};
	}
	if (err)
		return err;
	if (!symbol.nr)
		return fail(p, word.text, "the name of a function is missing");
	if ((plus || at) && !object.nr)
		return fail(p, word.text, "'%.*s' names no object", shown(word), word.text);
	if (symbol.nr > ALLOCATOR_SPEC_MAX_NAME || object.nr > ALLOCATOR_SPEC_MAX_NAME)
		return fail(p, word.text, "a name has more than %d bytes", ALLOCATOR_SPEC_MAX_NAME);
	err = keep(p, symbol.text, symbol.nr, &out->function.symbol);
	if (!err && object.nr)
		err = keep(p, object.text, object.nr, &out->object);
	return err;
}

static int take_role(struct parser *p, enum probe_role *out)
{
	struct word word = take_word(p, "=,():");
	size_t i;

	for (i = 0; i < ARRAY_SIZE(role_name); i++) {
		if (is_word(word, role_name[i].name)) {
			*out = role_name[i].role;
			return expect(p, '=', "role", word);
		}
	}
	if (!word.nr)
		return fail(p, word.text, "a role is missing: alloc, free, realloc or resize");
	return fail(p, word.text, "'%.*s' is no role: write alloc, free, realloc or resize",
		    shown(word), word.text);
}

static int take_item(struct parser *p)
{
	struct allocator_spec_function item = {.family = p->family};
	struct allocator_function *function = &item.function;
	const char *where[ARGUMENT_NR] = {NULL};
	unsigned char arg[ARGUMENT_NR] = {0};
	struct word word;
	int err = take_role(p, &function->role);

	if (err)
		return err;
	word = take_word(p, ",()");
	err = take_place(p, word, &item);
	if (!err)
		err = take_arguments(p, word, arg, where);
	if (!err)
		err = check_arguments(p, function->role, word, arg, where);
	if (err)
		return err;
	if (p->spec->nr == ALLOCATOR_SPEC_MAX_FUNCTIONS)
		return fail(p, word.text, "there are more than %d functions",
			    ALLOCATOR_SPEC_MAX_FUNCTIONS);
	function->group = GROUP_USER;
	function->size_arg = arg[ARGUMENT_SIZE];
	function->count_arg = arg[ARGUMENT_COUNT];
	function->ptr_arg = arg[ARGUMENT_PTR];
	if (arg[ARGUMENT_OUT]) {
		function->role = ROLE_ALLOC_OUT;
		function->ptr_arg = arg[ARGUMENT_OUT];
	}
	if (ARRAY_GROW(&p->spec->item, &p->spec->cap, p->spec->nr + 1))
		return -ENOMEM;
	p->spec->item[p->spec->nr++] = item;
	return 0;
}

/* --- definitions ------------------------------------------------------------------------------- */

static int add_family(struct parser *p, struct word name)
{
	struct allocator_spec *spec = p->spec;
	struct allocator_family *family;
	const char *text;
	int err = keep(p, name.text, name.nr, &text);

	if (err || ARRAY_GROW(&spec->family, &spec->cap_families, spec->nr_families + 1))
		return -ENOMEM;
	family = malloc(sizeof(*family));
	if (!family)
		return -ENOMEM;
	*family = allocator_family_of_user(text);
	spec->family[spec->nr_families++] = family;
	p->family = family;
	return 0;
}

static int take_name(struct parser *p)
{
	static const char may_have[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	struct word name = take_word(p, ":=,()");
	size_t good = strspn(name.text, may_have);
	int err;

	if (!name.nr)
		return fail(p, name.text, "a definition begins with the allocator's name and ':'");
	err = expect(p, ':', "name", name);
	if (err)
		return err;
	if (good < name.nr)
		return fail(p, name.text + good,
			    "a name has letters, digits, '_', '-' and '.' only");
	if (name.nr > MAX_FAMILY_NAME)
		return fail(p, name.text, "a name has at most %d bytes", MAX_FAMILY_NAME);
	return add_family(p, name);
}

int allocator_spec_add(struct allocator_spec *spec, const char *line,
		       struct allocator_spec_error *error)
{
	struct parser p = {.line = line, .at = line, .spec = spec, .error = error};
	size_t before = spec->nr;
	int err = take_name(&p);

	while (!err) {
		err = take_item(&p);
		skip_blanks(&p);
		if (!*p.at || *p.at == '#')
			break;
	}
	if (err)
		spec->nr = before;
	return err;
}

void allocator_spec_release(struct allocator_spec *spec)
{
	size_t i;

	for (i = 0; i < spec->nr_families; i++)
		free(spec->family[i]);
	free(spec->family);
	free(spec->item);
	strings_release(&spec->strings);
	*spec = (struct allocator_spec){0};
}

bool allocator_spec_is_of(const struct allocator_spec_function *function, const char *path)
{
	const char *slash = strrchr(path, '/'), *object = function->object;
	size_t nr;

	if (!object)
		return true;
	if (!strcmp(object, path))
		return true;
	if (strchr(object, '/'))
		return false;
	path = slash ? slash + 1 : path;
	nr = strlen(object);
	if (strncmp(path, object, nr))
		return false;
	/* what lies at an offset is so in one version of a file only */
	return !path[nr] || (path[nr] == '.' && !function->is_offset);
}
