/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "array.h"
#include "cli.h"

#define MAX_ARGUMENTS 16

static char said[4096]; /* on stderr, by the last run() */

static int run(struct cli_options *options, const char *const *word)
{
	int file = memfd_create("stderr", MFD_CLOEXEC), saved = dup(STDERR_FILENO), argc, answer;
	char *argv[MAX_ARGUMENTS + 1];
	ssize_t nr;

	for (argc = 0; word[argc]; argc++) {
		assert_in_range(argc, 0, MAX_ARGUMENTS - 1);
		argv[argc] = (char *)(uintptr_t)word[argc];
	}
	argv[argc] = NULL;
	assert_true(file >= 0 && saved >= 0 && dup2(file, STDERR_FILENO) >= 0);
	answer = cli_parse(argc, argv, options);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	nr = pread(file, said, sizeof(said) - 1, 0);
	assert_true(nr >= 0);
	said[nr] = '\0';
	close(saved);
	close(file);
	return answer;
}

#define RUN(options, ...) run((options), (const char *const[]){"seep", __VA_ARGS__, NULL})

/* One line, with this in it. */
static void expect_said(const char *text)
{
	const char *newline = strchr(said, '\n');

	if (!strstr(said, text))
		fail_msg("no '%s' in: %s", text, said);
	assert_non_null(newline);
	assert_string_equal(newline, "\n");
}

struct file {
	int fd;
	char path[64];
};

static void file_open(struct file *file, const char *text)
{
	file->fd = memfd_create("definitions", MFD_CLOEXEC);
	assert_true(file->fd >= 0);
	assert_int_equal(write(file->fd, text, strlen(text)), (ssize_t)strlen(text));
	snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
}

static void test_definitions_and_files(void **state)
{
	struct allocator_spec spec;
	struct cli_options options;
	struct file file;

	(void)state;
	file_open(&file, "# pools\n\n  \t\nb: free=b_free(ptr=arg1) # and so on\r\n"
			 "c: free=c_free(ptr=arg2)");
	assert_int_equal(RUN(&options, "leaks", "-p1", "--allocator", "a: alloc=a_get(size=arg1)",
			     "--allocator-file", file.path, "--allocator=d: free=d_free(ptr=arg1)",
			     "--list-allocators"),
			 0);
	assert_string_equal(said, "");
	assert_true(options.list_allocators);
	assert_int_equal(options.nr_allocators, 3);
	assert_int_equal(cli_load_allocators(&options, &spec), 0);
	assert_int_equal(spec.nr, 4);
	assert_string_equal(spec.item[0].function.symbol, "a_get");
	assert_string_equal(spec.item[1].function.symbol, "b_free");
	assert_string_equal(spec.item[2].function.symbol, "c_free");
	assert_string_equal(spec.item[3].family->name, "d");
	allocator_spec_release(&spec);
	close(file.fd);
}

static void test_none(void **state)
{
	struct allocator_spec spec;
	struct cli_options options;

	(void)state;
	assert_int_equal(RUN(&options, "doctor"), 0);
	assert_false(options.list_allocators);
	assert_int_equal(cli_load_allocators(&options, &spec), 0);
	assert_int_equal(spec.nr, 0);
	allocator_spec_release(&spec);
}

static void test_wrong_definitions(void **state)
{
	static const struct {
		const char *definition, *said;
	} cases[] = {
		{"", "column 1 of '': a definition begins"},
		{"pool", "column 5 of 'pool': the line ends"},
		{"pool: alloc=get(siez=arg1)",
		 "column 17 of 'pool: alloc=get(siez=arg1)': 'siez' is no argument"},
	};
	struct cli_options options;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(RUN(&options, "leaks", "-p1", "--allocator", cases[i].definition),
				 -EINVAL);
		expect_said(cases[i].said);
	}
	assert_int_equal(RUN(&options, "faults", "-p1", "--allocator", "p: free=f(ptr=arg1)"),
			 -EINVAL);
	expect_said("unknown option");
}

static void test_wrong_files(void **state)
{
	struct cli_options options;
	struct file file;

	(void)state;
	file_open(&file, "# pools\n\nd: alloc=d(ptr=arg1)\n");
	assert_int_equal(RUN(&options, "record", "-p1", "-ox", "--allocator-file", file.path),
			 -EINVAL);
	expect_said("line 3, column 10: 'd' has no 'size'");
	assert_int_equal(write(file.fd, "", 1), 1);
	assert_int_equal(RUN(&options, "doctor", "--allocator-file", file.path), -EINVAL);
	expect_said("is no text");
	close(file.fd);
	assert_int_equal(RUN(&options, "leaks", "-p1", "--allocator-file", "/nowhere/at/all"),
			 -EINVAL);
	expect_said("cannot read '/nowhere/at/all': No such file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_definitions_and_files),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_wrong_definitions),
		cmocka_unit_test(test_wrong_files),
	};

	return cmocka_run_group_tests_name("cli_allocators", tests, NULL, NULL);
}
