/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names from files that are damaged or mean harm, and with too little memory. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "allocfail.h"
#include "module.h"
#include "proc.h"
#include "sample_program.h"
#include "strbuf.h"
#include "strpool.h"
#include "symbolize.h"

static void test_out_of_memory(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym;
	struct target target;
	struct proc_maps maps;
	bool failed = true;
	int error, nr;

	(void)state;
	compile_program("memory", "-g");
	target = start_program("memory");
	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, target.tgid), 0);
	for (long nth = 1; failed; nth++) {
		allocfail_set(nth);
		nr = 0;
		error = symbolizer_new(NULL, &sym);
		if (!error) {
			error = symbolizer_add_process(sym, SAMPLE_KEY, target.tgid, &maps);
			nr = error ? error
				   : symbolizer_lookup(sym, SAMPLE_KEY, target.outer, frame);
		}
		failed = allocfail_hit();
		allocfail_set(0);
		/* nothing worse than a cache that was not filled */
		assert_true(failed ? error == -ENOMEM || nr == -ENOMEM || nr == 3 : nr == 3);
		if (error == -ENOMEM && nr == 0)
			continue; /* not even a symbolizer */
		assert_int_equal(symbolizer_add_process(sym, SAMPLE_KEY, target.tgid, &maps), 0);
		assert_outer(sym, &target, path_of("memory"));
		symbolizer_free(sym);
	}
	proc_maps_release(&maps);
	stop_program(&target);
}

static void look_around(const char *path, size_t nr)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct strpool pool = {0};
	struct module_options options = {.pool = &pool, .max_bytes = SYMBOLIZER_MAX_BYTES};
	struct module *module;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(module_new(fd, path, NULL, &options, &module), 0);
	for (uint64_t offset = 0; offset < nr; offset += 61)
		assert_true(module_lookup(module, offset, frame) > 0);
	module_free(module);
	strpool_release(&pool);
}

/* Bytes changed anywhere, and ends missing: names may be wrong then, but nothing crashes or hangs. */
static void test_damaged_files(void **state)
{
	char *path = path_of("damaged"), *data, *copy;
	uint32_t random = 12345;
	size_t nr;

	(void)state;
	compile_program("sound", "-g");
	data = read_whole(path_of("sound"), &nr);
	copy = malloc(nr);
	assert_non_null(copy);
	for (int round = 0; round < 211; round++) {
		memcpy(copy, data, nr);
		for (int i = 0; i < 1 + round; i++) {
			random = random * 1664525 + 1013904223;
			copy[64 + (random >> 4) % (nr - 64)] = (char)(random >> 24);
		}
		write_file(path, copy, nr);
		look_around(path, nr);
	}
	for (size_t bytes = 1; bytes < nr; bytes += 331) {
		write_file(path, data, bytes);
		look_around(path, nr);
	}
	free(copy);
	free(data);
}

/*
 * DWARF as no compiler writes it, for outer() of the program. Macros of the assembler: one unit is UNIT, entries, END;
 * abbreviations: 1 unit, 2 function by addresses, 3 function by ranges, 4 function by reference, 5 function with a sibling.
 */
static const char hostile_text[] =
	".macro UNIT name\n"
	".section .debug_info,\"\",@progbits\n"
	"unit_\\name: .long end_\\name - begin_\\name\n"
	"begin_\\name: .short 4\n .long ABBREVS\n .byte 8\n"
	".uleb128 1\n .quad outer\n .quad 64\n .long LINES\n"
	".endm\n"
	".macro END name\n"
	".byte 0\n"
	"end_\\name:\n"
	".endm\n"
	".macro ABBREV code, tag, children\n"
	".uleb128 \\code\n .uleb128 \\tag\n .byte \\children\n"
	".endm\n"
	".section .debug_abbrev,\"\",@progbits\n"
	"abbrevs:\n"
	"ABBREV 1, 0x11, 1\n .uleb128 0x11, 0x01, 0x12, 0x07, 0x10, 0x17, 0, 0\n"
	"ABBREV 2, 0x2e, 1\n .uleb128 0x03, 0x08, 0x11, 0x01, 0x12, 0x07, 0, 0\n"
	"ABBREV 3, 0x2e, 0\n .uleb128 0x55, 0x17, 0, 0\n"
	"ABBREV 4, 0x2e, 1\n .uleb128 0x31, 0x13, 0x11, 0x01, 0x12, 0x07, 0, 0\n"
	"ABBREV 5, 0x2e, 0\n .uleb128 0x01, 0x13, 0, 0\n"
	"ABBREV 6, 0x1d, 0\n .uleb128 0x31, 0x13, 0x11, 0x01, 0x12, 0x07, 0, 0\n"
	".uleb128 0\n"
	".set ABBREVS, 0\n"
	".set LINES, 0\n"
	".section .note.GNU-stack,\"\",@progbits\n";

/* The program without debug information, but with this. */
static struct symbolizer *hostile(const char *name, const char *text, struct target *target)
{
	char file[64];
	struct strbuf all = {0};

	strbuf_puts(&all, hostile_text);
	strbuf_puts(&all, text);
	(void)snprintf(file, sizeof(file), "%s.s", name);
	write_file(path_of(file), all.text, all.nr);
	strbuf_release(&all);
	run("cd %s && gcc -O2 -g0 -fno-pie -no-pie program.c %s.s -o %s", sample_directory(), name,
	    name);
	return symbolizer_of(name, NULL, target);
}

static double cpu_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* It is named by its symbol, soon, whatever its debug information is; and so is everything after it. */
static void assert_survived(const char *name, const char *text)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct target target;
	struct symbolizer *sym = hostile(name, text, &target);
	double start = cpu_s();
	int nr;

	for (int i = 0; i < 31; i++) {
		nr = symbolizer_lookup(sym, SAMPLE_KEY, target.outer - (uint64_t)i % 5, frame);
		assert_in_range(nr, 1, SYMBOLIZE_MAX_FRAMES);
		assert_string_equal(frame[nr - 1].function, "outer");
		assert_true(symbolizer_bytes(sym) <= SYMBOLIZER_MAX_BYTES);
	}
	/* one second and what the bytes of such files add, with room for the sanitizers and one call too many */
	assert_true(cpu_s() - start < 11);
	symbolizer_free(sym);
}

static void test_sound_by_hand(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct target target;
	struct symbolizer *sym =
		hostile("by_hand",
			"UNIT a\n"
			".uleb128 2\n .asciz \"by_hand\"\n .quad outer\n .quad 64\n"
			".byte 0\n"
			"END a\n",
			&target);

	(void)state;
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.outer, frame), 1);
	assert_string_equal(frame[0].function, "by_hand");
	symbolizer_free(sym);
}

static void test_references_in_circles(void **state)
{
	(void)state;
	assert_survived("circle",
			"UNIT a\n"
			"one: .uleb128 4\n .long two - unit_a\n .quad outer\n .quad 64\n .byte 0\n"
			"two: .uleb128 4\n .long one - unit_a\n .quad outer\n .quad 63\n .byte 0\n"
			"END a\n");
	assert_survived("self",
			"UNIT a\n"
			"one: .uleb128 4\n .long one - unit_a\n .quad outer\n .quad 64\n"
			"two: .uleb128 6\n .long two - unit_a\n .quad outer\n .quad 64\n .byte 0\n"
			"END a\n");
	assert_survived("sibling", "UNIT a\n"
				   "one: .uleb128 5\n .long one - unit_a\n"
				   "END a\n");
}

/* 30000 functions with the same 30000 ranges. */
static void test_shared_ranges(void **state)
{
	(void)state;
	assert_survived("ranges", "UNIT a\n"
				  ".rept 30000\n .uleb128 3\n .long 0\n .endr\n"
				  "END a\n"
				  ".section .debug_ranges,\"\",@progbits\n"
				  ".rept 30000\n .quad 0, 64\n .endr\n .quad 0, 0\n");
}

/* A million units of a few bytes each, and a table of abbreviations that each of them has libdw read to its end. */
static void test_many_units(void **state)
{
	(void)state;
	assert_survived("units",
			".section .debug_abbrev\n"
			".set ABBREVS, . - abbrevs\n"
			".set n, 16\n"
			".rept 100000\n ABBREV n, 0x2e, 0\n .uleb128 0, 0\n .set n, n + 1\n .endr\n"
			"ABBREV 1, 0x11, 1\n .uleb128 0x11, 0x01, 0x12, 0x07, 0x10, 0x17, 0, 0\n"
			".uleb128 0\n"
			".rept 3000\n"
			".section .debug_info,\"\",@progbits\n"
			".long 29\n .short 4\n .long ABBREVS\n .byte 8\n .uleb128 1\n"
			".quad outer\n .quad 64\n .long 0\n .byte 0\n"
			".endr\n");
}

static void test_long_abbreviations(void **state)
{
	(void)state;
	assert_survived("abbrevs",
			".section .debug_abbrev\n"
			".set ABBREVS, . - abbrevs\n"
			".set n, 16\n"
			".rept 300000\n ABBREV n, 0x2e, 0\n .uleb128 0, 0\n .set n, n + 1\n .endr\n"
			"UNIT a\n"
			"END a\n");
}

/* The head of a line table of version 4 with one file. */
#define LINES_HEAD                                                                                 \
	".section .debug_line,\"\",@progbits\n"                                                    \
	".long lines_end - lines_begin\n"                                                          \
	"lines_begin: .short 4\n .long head_end - head_begin\n"                                    \
	"head_begin: .byte 1, 1, 1, -5, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1\n .byte 0\n"    \
	".asciz \"a.c\"\n .byte 0, 0, 0, 0\n"                                                      \
	"head_end: .byte 0, 9, 2\n .quad outer\n"
#define LINES_TAIL ".byte 2, 64, 0, 1, 1\nlines_end:\n"
#define LINES_UNIT                                                                                 \
	"UNIT a\n"                                                                                 \
	".uleb128 2\n .asciz \"outer\"\n .quad outer\n .quad 64\n"                                 \
	".byte 0\n"                                                                                \
	"END a\n"

/* A byte a row. */
static void test_long_lines(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym;
	struct target target;

	(void)state;
	sym = hostile("lines", LINES_UNIT LINES_HEAD ".rept 1013\n .byte 1\n .endr\n" LINES_TAIL,
		      &target);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.outer, frame), 1);
	assert_line(&frame[0], "a.c", 1);
	symbolizer_free(sym);
	sym = hostile("lines", LINES_UNIT LINES_HEAD ".fill 4300000, 1, 1\n" LINES_TAIL, &target);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.outer, frame), 1);
	assert_string_equal(frame[0].function, "outer");
	assert_int_equal(frame[0].line, 0);
	symbolizer_free(sym);
	assert_survived("lines", LINES_UNIT LINES_HEAD ".fill 4100000, 1, 1\n" LINES_TAIL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_damaged_files),
		cmocka_unit_test(test_sound_by_hand),
		cmocka_unit_test(test_references_in_circles),
		cmocka_unit_test(test_shared_ranges),
		cmocka_unit_test(test_many_units),
		cmocka_unit_test(test_long_abbreviations),
		cmocka_unit_test(test_long_lines),
	};

	return cmocka_run_group_tests(tests, sample_set_up, sample_tear_down);
}
