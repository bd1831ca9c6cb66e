/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of cli.h about allocators that the user describes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli_table.h"
#include "fd.h"
#include "log.h"

#define MAX_FILE_BYTES (1 << 20)
#define SHOWN 200 /* bytes of a definition in a message */

static int load_text(const char *text, struct allocator_spec *spec)
{
	struct allocator_spec_error error;
	int err = allocator_spec_add(spec, text, &error);

	if (err == -EINVAL)
		log_error("--allocator: column %zu of '%.*s': %s; see ALLOCATORS in seep(8)",
			  error.column, SHOWN, text, error.text);
	return err;
}

static bool says_nothing(const char *line)
{
	line += strspn(line, " \t\r");
	return !*line || *line == '#';
}

static int load_line(const char *path, size_t number, const char *line, struct allocator_spec *spec)
{
	struct allocator_spec_error error;
	int err = says_nothing(line) ? 0 : allocator_spec_add(spec, line, &error);

	if (err == -EINVAL)
		log_error("--allocator-file: '%s', line %zu, column %zu: %s; see ALLOCATORS in "
			  "seep(8)",
			  path, number, error.column, error.text);
	return err;
}

static int load_file(const char *path, struct allocator_spec *spec)
{
	size_t number = 0, nr = 0;
	char *text, *line, *next;
	int err = fd_read_file(path, &text, &nr, MAX_FILE_BYTES);

	if (err) {
		log_error("--allocator-file: cannot read '%s': %s", path, strerror(-err));
		return -EINVAL;
	}
	if (memchr(text, '\0', nr)) {
		log_error("--allocator-file: '%s' is no text", path);
		err = -EINVAL;
	}
	for (line = text; line && !err; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		err = load_line(path, ++number, line, spec);
	}
	free(text);
	return err;
}

int cli_load_allocators(const struct cli_options *options, struct allocator_spec *out)
{
	const struct cli_allocator *allocator;
	struct allocator_spec spec = {0};
	size_t i;
	int err = 0;

	for (i = 0; i < options->nr_allocators && !err; i++) {
		allocator = &options->allocator[i];
		err = allocator->is_file ? load_file(allocator->text, &spec)
					 : load_text(allocator->text, &spec);
	}
	if (err)
		allocator_spec_release(&spec);
	else
		*out = spec;
	return err;
}

int cli_check_allocators(const struct cli_options *options)
{
	struct allocator_spec spec = {0};
	int err = cli_load_allocators(options, &spec);

	allocator_spec_release(&spec);
	return err;
}
