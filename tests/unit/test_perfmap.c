/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that a compiler writes down while its process runs: lines good and bad, over each other, written meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "allocfail.h"
#include "perfmap.h"
#include "proc.h"
#include "symbolize.h"

static void add_text(struct perfmap_table *table, const char *text, size_t expected_used)
{
	size_t used;

	assert_int_equal(perfmap_table_add(table, text, strlen(text), 0, &used), 0);
	assert_int_equal(used, expected_used);
}

/* The line that is right for an address, by where it begins; -1: none. */
static int line_at(const struct perfmap_table *table, uint64_t address)
{
	const struct perfmap_entry *entry = perfmap_table_find(table, address);

	return entry ? (int)entry->line : -1;
}

static void test_lines(void **state)
{
	static const char text[] = "1000 10 one\n"		/* 0 */
				   "0x1010 0X10 two two\n"	/* 12 */
				   "1020 0 empty\n"		/* no bytes */
				   "1030 10\n"			/* no name */
				   "1030 10 \n"			/* nor here */
				   "xyz 10 name\n"		/* no number */
				   "1030 1g name\n"		/* nor here */
				   "-1 10 name\n"		/* a sign */
				   "11112222333344445 1 name\n" /* 17 digits */
				   "fffffffffffffff0 20 name\n" /* beyond the end */
				   " 1030 10 name\n"		/* a blank before */
				   "\n"
				   "FFFFFFFFFFFFFFE0 10 last\r\n"
				   "1040 10 cut off";
	struct perfmap_table table = {0};

	(void)state;
	add_text(&table, text, strlen(text) - strlen("1040 10 cut off"));
	assert_int_equal(perfmap_table_count(&table), 3);
	assert_int_equal(line_at(&table, 0xfff), -1);
	assert_int_equal(line_at(&table, 0x1000), 0);
	assert_int_equal(line_at(&table, 0x100f), 0);
	assert_int_equal(line_at(&table, 0x1010), 12);
	assert_int_equal(line_at(&table, 0x101f), 12);
	assert_int_equal(line_at(&table, 0x1020), -1);
	assert_int_equal(line_at(&table, 0x1030), -1);
	assert_true(line_at(&table, 0xffffffffffffffe0) > 0);
	assert_int_equal(line_at(&table, 0xfffffffffffffff0), -1);
	perfmap_table_release(&table);
	add_text(&table, "1000 10 no end", 0);
	assert_int_equal(perfmap_table_count(&table), 0);
	perfmap_table_release(&table);
}

static void test_later_lines_win(void **state)
{
	struct perfmap_table table = {0};

	(void)state;
	/* lines begin at 0, 12, 24, ... */
	add_text(&table,
		 "1000 100 a\n\n"
		 "1040 020 b\n\n"
		 "0f00 110 c\n\n"
		 "10f0 020 d\n\n"
		 "1050 001 e\n\n"
		 "1050 001 f\n\n",
		 72);
	assert_int_equal(line_at(&table, 0xf00), 24);
	assert_int_equal(line_at(&table, 0x100f), 24);
	assert_int_equal(line_at(&table, 0x1010), 0);
	assert_int_equal(line_at(&table, 0x103f), 0);
	assert_int_equal(line_at(&table, 0x1040), 12);
	assert_int_equal(line_at(&table, 0x104f), 12);
	assert_int_equal(line_at(&table, 0x1050), 60);
	assert_int_equal(line_at(&table, 0x1051), 12);
	assert_int_equal(line_at(&table, 0x1060), 0);
	assert_int_equal(line_at(&table, 0x10ef), 0);
	assert_int_equal(line_at(&table, 0x10f0), 36);
	assert_int_equal(line_at(&table, 0x110f), 36);
	assert_int_equal(line_at(&table, 0x1110), -1);
	add_text(&table, "0000 ffff all\n", 14);
	assert_int_equal(line_at(&table, 0x1050), 0);
	perfmap_table_release(&table);
}

#define NR_RANDOM 3001
#define RANDOM_SPAN 4096

/* Against a table of every byte. */
static void test_random_ranges(void **state)
{
	static int owner[2 * RANDOM_SPAN];
	struct perfmap_table table = {0};
	uint32_t random = 271828;
	char line[64];
	size_t used;

	(void)state;
	memset(owner, 0xff, sizeof(owner));
	for (int i = 0; i < NR_RANDOM; i++) {
		unsigned int start, size;

		random = random * 1664525 + 1013904223;
		start = random >> 8 & (RANDOM_SPAN - 1);
		size = 1 + (random >> 24) * (i % 7 ? 1 : 16);
		(void)snprintf(line, sizeof(line), "%x %x n\n", start, size);
		assert_int_equal(perfmap_table_add(&table, line, strlen(line), (uint64_t)i, &used),
				 0);
		for (unsigned int at = start; at < start + size && at < 2 * RANDOM_SPAN; at++)
			owner[at] = i;
	}
	for (unsigned int at = 0; at < 2 * RANDOM_SPAN; at++)
		assert_int_equal(line_at(&table, at), owner[at]);
	/* what is hidden is dropped in time */
	assert_true(perfmap_table_count(&table) < 3 * NR_RANDOM);
	perfmap_table_release(&table);
}

#define NR_FALLING 200003

/* The worst order: each line before all others, and each an own run. */
static void test_falling_addresses(void **state)
{
	struct perfmap_table table = {0};
	struct strbuf text = {0};
	size_t used;

	(void)state;
	for (unsigned int i = NR_FALLING; i > 0; i--)
		strbuf_printf(&text, "%08x 8 n\n", 16 * i);
	assert_int_equal(perfmap_table_add(&table, text.text, text.nr, 0, &used), 0);
	assert_int_equal(used, text.nr);
	assert_int_equal(perfmap_table_count(&table), NR_FALLING);
	for (unsigned int i = 1; i <= NR_FALLING; i++) {
		assert_int_equal(line_at(&table, 16 * i + 7), 13 * (NR_FALLING - i));
		assert_int_equal(line_at(&table, 16 * i + 8), -1);
	}
	strbuf_release(&text);
	perfmap_table_release(&table);
}

/* A process of our own that has a map; the text of it, and its path. */
struct writer {
	pid_t tgid;
	char path[64];
	struct perfmap *map;
};

static struct writer start_writer(void)
{
	struct writer writer;

	writer.tgid = fork();
	assert_true(writer.tgid >= 0);
	if (!writer.tgid) {
		for (;;)
			pause();
	}
	(void)snprintf(writer.path, sizeof(writer.path), "/tmp/perf-%d.map", writer.tgid);
	(void)unlink(writer.path);
	assert_int_equal(perfmap_new(writer.tgid, NULL, &writer.map), 0);
	assert_string_equal(perfmap_path(writer.map), writer.path);
	return writer;
}

static void stop_writer(struct writer *writer)
{
	perfmap_free(writer->map);
	(void)unlink(writer->path);
	assert_int_equal(kill(writer->tgid, SIGKILL), 0);
	assert_int_equal(waitpid(writer->tgid, NULL, 0), writer->tgid);
}

static void write_to(const struct writer *writer, const char *mode, const char *text)
{
	FILE *file = fopen(writer->path, mode);

	assert_non_null(file);
	assert_int_equal(fputs(text, file) >= 0, 1);
	assert_int_equal(fclose(file), 0);
}

/* name NULL: not found. */
static void assert_name(const struct writer *writer, uint64_t address, const char *name)
{
	struct strbuf text = {0};

	assert_int_equal(perfmap_find(writer->map, address, &text), name ? 1 : 0);
	if (name)
		assert_string_equal(text.text, name);
	strbuf_release(&text);
}

static void test_file_grows(void **state)
{
	struct writer writer = start_writer();

	(void)state;
	assert_name(&writer, 0x1000, NULL);
	write_to(&writer, "w", "1000 10 one\n2000 10 t");
	assert_name(&writer, 0x1000, "one");
	assert_name(&writer, 0x2000, NULL);
	write_to(&writer, "a", "wo words\n");
	assert_name(&writer, 0x2000, "two words");
	write_to(&writer, "a", "3000 10 three\n");
	assert_name(&writer, 0x3005, "three");
	assert_name(&writer, 0x1000, "one");
	/* deleted: what we hold is enough */
	assert_int_equal(unlink(writer.path), 0);
	assert_name(&writer, 0x3005, "three");
	perfmap_forget(writer.map);
	assert_name(&writer, 0x3005, "three");
	assert_name(&writer, 0x4000, NULL);
	/* a new one in its place is the one that counts */
	write_to(&writer, "w", "4000 10 four\n");
	assert_name(&writer, 0x4000, "four");
	assert_name(&writer, 0x3005, NULL);
	stop_writer(&writer);
}

static void test_file_is_written_anew(void **state)
{
	struct writer writer = start_writer();

	(void)state;
	write_to(&writer, "w", "1000 10 one\n2000 10 two\n");
	assert_name(&writer, 0x2000, "two");
	write_to(&writer, "w", "7000 10 seven\n");
	assert_name(&writer, 0x7000, "seven");
	assert_name(&writer, 0x2000, NULL);
	/* as long as before: only the lines themselves tell */
	write_to(&writer, "w", "9000 10 niner\n");
	assert_name(&writer, 0x7000, NULL);
	assert_name(&writer, 0x9000, "niner");
	stop_writer(&writer);
}

static void test_too_long_lines(void **state)
{
	struct writer writer = start_writer();
	FILE *file = fopen(writer.path, "w");

	(void)state;
	assert_non_null(file);
	fprintf(file, "1000 10 one\n2000 10 %0*d\n", PERFMAP_MAX_LINE, 0);
	fprintf(file, "3000 10 three\n4000 10 %0*d\n5000 10 five\n", 3000017, 0);
	fprintf(file, "6000 10 a%cb\n7000 10 seven\n", '\0');
	assert_int_equal(fclose(file), 0);
	assert_name(&writer, 0x1000, "one");
	assert_name(&writer, 0x2000, NULL);
	assert_name(&writer, 0x3000, "three");
	assert_name(&writer, 0x4000, NULL);
	assert_name(&writer, 0x5000, "five");
	assert_name(&writer, 0x6000, NULL);
	assert_name(&writer, 0x7000, "seven");
	stop_writer(&writer);
}

/* Others may put things into /tmp as they like. */
static void test_files_of_others(void **state)
{
	struct writer writer = start_writer();
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s.real", writer.path);
	assert_int_equal(symlink(path, writer.path), 0);
	write_to(&writer, "w", "1000 10 one\n");
	assert_name(&writer, 0x1000, NULL);
	assert_int_equal(unlink(writer.path), 0);
	assert_int_equal(mkfifo(writer.path, 0600), 0);
	assert_name(&writer, 0x1000, NULL);
	assert_int_equal(unlink(writer.path), 0);
	if (!geteuid()) {
		write_to(&writer, "w", "1000 10 one\n");
		assert_int_equal(chown(writer.path, 65534, 65534), 0);
		assert_name(&writer, 0x1000, NULL);
		assert_int_equal(unlink(writer.path), 0);
	}
	assert_int_equal(rename(path, writer.path), 0);
	assert_name(&writer, 0x1000, "one");
	stop_writer(&writer);
}

static void test_out_of_memory(void **state)
{
	static const char text[] = "3000 10 c\n2000 10 b\n1000 10 a\n0800 f000 all\n2000 4 two\n";
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		struct perfmap_table table = {0};
		size_t used;
		int error;

		allocfail_set(nth);
		error = perfmap_table_add(&table, text, strlen(text), 0, &used);
		failed = allocfail_hit();
		allocfail_set(0);
		assert_int_equal(error, failed ? -ENOMEM : 0);
		add_text(&table, text, strlen(text));
		assert_int_equal(line_at(&table, 0x2000), 44);
		assert_int_equal(line_at(&table, 0x1000), 30);
		perfmap_table_release(&table);
	}
}

/* Through the symbolizer, with the process gone and its file, too. */
static void test_anonymous_code(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *code = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct writer writer = start_writer(); /* has that mapping from us */
	struct symbolizer *sym;
	struct proc_maps maps;
	char text[64];

	(void)state;
	assert_ptr_not_equal(code, MAP_FAILED);
	(void)snprintf(text, sizeof(text), "%" PRIxPTR " 40 LazyCompile:*f a.js:7\n",
		       (uintptr_t)code);
	write_to(&writer, "w", text);
	assert_int_equal(symbolizer_new(NULL, &sym), 0);
	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, writer.tgid), 0);
	assert_int_equal(symbolizer_add_process(sym, 1, writer.tgid, &maps), 0);
	proc_maps_release(&maps);
	stop_writer(&writer);
	assert_int_equal(symbolizer_lookup(sym, 1, (uintptr_t)code + 0x3f, frame), 1);
	assert_string_equal(frame[0].function, "LazyCompile:*f a.js:7");
	assert_string_equal(frame[0].module, writer.path);
	assert_string_equal(frame[0].file, "");
	assert_int_equal(frame[0].offset, (uintptr_t)code + 0x3f);
	assert_int_equal(symbolizer_lookup(sym, 1, (uintptr_t)code + 0x40, frame), 1);
	assert_string_equal(frame[0].function, "");
	assert_string_equal(frame[0].module, "");
	/* code that has a file is not looked up there */
	assert_true(symbolizer_lookup(sym, 1, (uintptr_t)test_anonymous_code, frame) >= 1);
	assert_string_equal(frame[0].function, "test_anonymous_code");
	symbolizer_free(sym);
	munmap(code, page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),	       cmocka_unit_test(test_later_lines_win),
		cmocka_unit_test(test_random_ranges),  cmocka_unit_test(test_falling_addresses),
		cmocka_unit_test(test_file_grows),     cmocka_unit_test(test_file_is_written_anew),
		cmocka_unit_test(test_too_long_lines), cmocka_unit_test(test_files_of_others),
		cmocka_unit_test(test_out_of_memory),  cmocka_unit_test(test_anonymous_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
