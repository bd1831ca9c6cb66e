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

static int short_line(const char *text)
{
	size_t nr = strcspn(text, "\n");

	return nr < 200 ? (int)nr : 200;
}

/* From a little before the first difference, so that it can be seen in a line of JSON too; short, for cmocka's buffer. */
static void show_difference(const char *path, const char *text, const char *expected)
{
	size_t same = 0, shown;
	int line = 1;

	for (; text[same] && text[same] == expected[same]; same++)
		line += text[same] == '\n';
	for (shown = same; shown && text[shown - 1] != '\n' && same - shown < 60; shown--)
		;
	print_message("# %s:%d\n", path, line);
	print_message("# expected: %.*s\n", short_line(expected + shown), expected + shown);
	print_message("# got:      %.*s\n", short_line(text + shown), text + shown);
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
		show_difference(path, text, expected);
	free(expected);
	assert_true(is_same);
}
