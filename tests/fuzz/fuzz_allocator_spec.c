/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Definitions of allocators, one a line: what is taken is whole and valid, what is not has a column in its line. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "allocator_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nr);

static void check(const struct allocator_spec_function *item)
{
	const struct allocator_function *f = &item->function;

	if (!item->family->name[0] || !f->symbol[0] || f->role < ROLE_ALLOC ||
	    f->role > ROLE_RESIZE)
		abort();
	if (f->size_arg > 6 || f->count_arg > 6 || f->ptr_arg > 6)
		abort();
	if (!f->size_arg != (f->role == ROLE_FREE) || !f->ptr_arg != (f->role == ROLE_ALLOC))
		abort();
	if (item->is_offset && !item->object)
		abort();
	(void)allocator_spec_is_of(item, "/usr/lib/libpool.so.1");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nr)
{
	struct allocator_spec_error error;
	struct allocator_spec spec = {0};
	char *text = malloc(nr + 1), *line, *save = NULL;
	size_t before;
	int err;

	if (!text)
		return 0;
	if (nr)
		memcpy(text, data, nr);
	text[nr] = '\0';
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		before = spec.nr;
		err = allocator_spec_add(&spec, line, &error);
		if (!err && spec.nr == before)
			abort();
		if (err == -EINVAL && (spec.nr != before || !error.column || !error.text[0] ||
				       error.column > strlen(line) + 1))
			abort();
	}
	for (size_t i = 0; i < spec.nr; i++)
		check(&spec.item[i]);
	allocator_spec_release(&spec);
	free(text);
	return 0;
}
