/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fd.h"

static void path_of(const char *name, char *path, size_t size)
{
	const char *top = getenv("TOP");

	(void)snprintf(path, size, "%s/tests/golden/%s", top ? top : ".", name);
}

static void update(const char *path, const char *text, size_t nr)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, nr, file), nr);
	assert_int_equal(fclose(file), 0);
}

/* The line in which the first difference is. */
static int line_of_difference(const char *a, const char *b)
{
	int line = 1;

	for (; *a && *a == *b; a++, b++)
		line += *a == '\n';
	return line;
}

void golden_check(const char *name, const char *text, size_t nr)
{
	char path[4096];
	char *expected;
	size_t nr_expected;
	bool is_same;

	path_of(name, path, sizeof(path));
	if (getenv("UPDATE_GOLDEN"))
		update(path, text, nr);
	if (fd_read_file(path, &expected, &nr_expected, 1 << 24))
		fail_msg("'%s' cannot be read: run with UPDATE_GOLDEN=1 to make it", path);
	is_same = nr == nr_expected && memcmp(text, expected, nr) == 0;
	if (!is_same)
		print_message("# '%s' differs from line %d on; what came out:\n%s", path,
			      line_of_difference(text, expected), text);
	free(expected);
	assert_true(is_same);
}
