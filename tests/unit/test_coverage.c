/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The processes are real: programs that are compiled in several ways. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "allocfail.h"
#include "coverage.h"
#include "fd.h"
#include "mapper.h"
#include "proc.h"
#include "sample_program.h"

static int read_process(pid_t tgid, struct coverage *out)
{
	struct proc_maps maps;
	int error;

	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, tgid), 0);
	error = coverage_read(tgid, &maps, out);
	proc_maps_release(&maps);
	return error;
}

/* NULL: it is not there. */
static const struct coverage_file *find(const struct coverage *coverage, const char *path)
{
	for (size_t i = 0; i < coverage->nr; i++) {
		if (!strcmp(coverage->file[i].path, path))
			return &coverage->file[i];
	}
	return NULL;
}

/* What is known of a program of ours; its strings are cut off. */
static struct coverage_file of_program(const char *name)
{
	struct target target = start_program(name);
	const struct coverage_file *file;
	struct coverage coverage;
	struct coverage_file found;

	assert_int_equal(read_process(target.tgid, &coverage), 0);
	stop_program(&target);
	file = find(&coverage, path_of(name));
	assert_non_null(file);
	assert_int_equal(file->error, 0);
	assert_true(file->bytes >= 4096);
	assert_int_equal(!!file->debug_path, file->names == COVERAGE_DEBUG_FILE);
	found = *file;
	if (file->debug_path)
		assert_string_equal(file->debug_path + strlen(file->debug_path) - 6, ".debug");
	found.path = found.debug_path = NULL;
	coverage_release(&coverage);
	return found;
}

static void test_names(void **state)
{
	(void)state;
	compile_program("own", "-g");
	assert_int_equal(of_program("own").names, COVERAGE_DEBUG_INFORMATION);
	make_split("split", "-g");
	assert_int_equal(of_program("split").names, COVERAGE_DEBUG_FILE);
	run("strip --strip-debug -o %s %s", path_of("table"), path_of("own"));
	assert_int_equal(of_program("table").names, COVERAGE_SYMBOL_TABLE);
	compile_program("exported", "-g0 -rdynamic -s");
	assert_int_equal(of_program("exported").names, COVERAGE_DYNAMIC_SYMBOLS);
	compile_program("nameless", "-g0 -s");
	assert_int_equal(of_program("nameless").names, COVERAGE_NO_NAMES);
}

static void test_packed_symbols(void **state)
{
	(void)state;
	run("objcopy --only-keep-debug --strip-debug %s %s && xz -f -k %s", path_of("own"),
	    path_of("mini"), path_of("mini"));
	run("objcopy -S --add-section .gnu_debugdata=%s %s %s", path_of("mini.xz"), path_of("own"),
	    path_of("packed"));
	assert_int_equal(of_program("packed").names, COVERAGE_PACKED_SYMBOLS);
}

static void test_rows(void **state)
{
	struct coverage_file file;

	(void)state;
	file = of_program("own");
	assert_int_equal(file.cfi_error, 0);
	assert_in_range(file.rows, 7, 1009);
	run("objcopy -R .eh_frame -R .eh_frame_hdr %s %s", path_of("table"), path_of("bare"));
	file = of_program("bare");
	assert_int_equal(file.cfi_error, -ENOENT);
	assert_int_equal(file.rows, 0);
	assert_int_equal(file.names, COVERAGE_SYMBOL_TABLE);
}

static void assert_sorted(const struct coverage *coverage)
{
	for (size_t i = 1; i < coverage->nr; i++)
		assert_true(coverage->file[i - 1].bytes >= coverage->file[i].bytes);
}

/* A file counts once, however often it is mapped. */
static void test_mappings(void **state)
{
	char *path = path_of("text");
	const struct coverage_file *file;
	struct coverage coverage;
	struct mapper mapper;
	size_t nr;
	int fd;

	(void)state;
	write_file(path, "no program", 10);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	mapper = mapper_start(); /* has it, too */
	assert_int_equal(read_process(mapper.tgid, &coverage), 0);
	assert_null(find(&coverage, path));
	nr = coverage.nr;
	assert_true(nr > 3);
	assert_int_equal(coverage.nr_made, 0);
	assert_sorted(&coverage);
	coverage_release(&coverage);

	mapper_map_file(&mapper, fd, 0, 1);
	mapper_map_file(&mapper, fd, 2, 3);
	mapper_map_anon(&mapper, 7, 2, PROT_READ | PROT_EXEC);
	mapper_map_anon(&mapper, 11, 1, PROT_READ | PROT_EXEC);
	mapper_map_anon(&mapper, 13, 1, PROT_READ | PROT_WRITE);
	assert_int_equal(read_process(mapper.tgid, &coverage), 0);
	mapper_end(&mapper);
	assert_int_equal(coverage.nr, nr + 1);
	assert_int_equal(coverage.nr_made, 2);
	assert_int_equal(coverage.made_bytes, 3 * MAPPER_PAGE);
	assert_sorted(&coverage);
	file = find(&coverage, path);
	assert_non_null(file);
	assert_int_equal(file->bytes, 4 * MAPPER_PAGE);
	assert_int_equal(file->cfi_error, -ENOEXEC);
	assert_int_equal(file->names, COVERAGE_NO_NAMES);
	coverage_release(&coverage);
	close(fd);
}

static void test_process_that_has_gone(void **state)
{
	struct mapper mapper = mapper_start_cat();
	struct coverage coverage;
	struct proc_maps maps;

	(void)state;
	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, mapper.tgid), 0);
	mapper_end(&mapper);
	assert_int_equal(coverage_read(mapper.tgid, &maps, &coverage), -ESRCH);
	proc_maps_release(&maps);
}

static void test_out_of_memory(void **state)
{
	struct mapper mapper = mapper_start_cat();
	struct coverage coverage;
	struct proc_maps maps;
	bool failed = true;
	int error, nr;

	(void)state;
	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, mapper.tgid), 0);
	nr = count_descriptors();
	for (long nth = 1; failed; nth += nth < 97 ? 1 : 13) {
		allocfail_set(nth);
		error = coverage_read(mapper.tgid, &maps, &coverage);
		failed = allocfail_hit();
		allocfail_set(0);
		if (error)
			assert_int_equal(error, -ENOMEM);
		else
			coverage_release(&coverage); /* libelf does without some */
		assert_int_equal(count_descriptors(), nr);
	}
	assert_int_equal(error, 0);
	proc_maps_release(&maps);
	mapper_end(&mapper);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_packed_symbols),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_process_that_has_gone),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests_name("coverage", tests, sample_set_up, sample_tear_down);
}
