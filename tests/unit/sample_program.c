/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sample_program.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "array.h"
#include "proc.h"

/*
 * here() tells where it was called from. The lines are set, so that the numbers below do not depend on this file. The
 * program prints its addresses and waits until its input ends.
 */
static const char program_text[] =
	"#include <stdio.h>\n"
	"__attribute__((noinline)) void *here(void)\n"
	"{\n"
	"	void *at = __builtin_return_address(0);\n"
	"	__asm__ volatile(\"\" : \"+r\"(at));\n"
	"	return at;\n"
	"}\n"
	"#line 101\n"
	"static inline __attribute__((always_inline)) void *leaf(void)\n"
	"{\n"
	"	void *at = here();\n"
	"	__asm__ volatile(\"\" : \"+r\"(at));\n"
	"	return at;\n"
	"}\n"
	"#line 211\n"
	"static inline __attribute__((always_inline)) void *middle(void)\n"
	"{\n"
	"	return leaf();\n"
	"}\n"
	"#line 307\n"
	"__attribute__((noinline)) void *outer(void)\n"
	"{\n"
	"	return middle();\n"
	"}\n"
	"#line 401\n"
	"__attribute__((noinline)) void *plain(void) __asm__(\"_ZN5cache3putEi\");\n"
	"void *plain(void)\n"
	"{\n"
	"	void *at = here();\n"
	"	__asm__ volatile(\"\" : \"+r\"(at));\n"
	"	return at;\n"
	"}\n"
	"#line 503\n"
	"__attribute__((noinline)) void *__inside(void)\n"
	"{\n"
	"	void *at = here();\n"
	"	__asm__ volatile(\"\" : \"+r\"(at));\n"
	"	return at;\n"
	"}\n"
	"void *outside(void) __attribute__((alias(\"__inside\")));\n"
	"int main(void)\n"
	"{\n"
	"#ifdef __clang__\n"
	"#define nested outer\n"
	"#else\n"
	"#line 601\n"
	"	__attribute__((noinline)) void *nested(void)\n"
	"	{\n"
	"		__asm__ volatile(\"nop\"); /* it must not be the same as outer() */\n"
	"		return leaf();\n"
	"	}\n"
	"#endif\n"
	"	printf(\"%p %p %p %p\\n\", outer(), plain(), __inside(), nested());\n"
	"	fflush(stdout);\n"
	"	return getchar() == 'x';\n"
	"}\n";

static char directory[] = "/tmp/seep_unit.XXXXXX";

const char *sample_directory(void)
{
	return directory;
}

char *path_of(const char *name)
{
	static char path[4][256]; /* for the few that are in use at the same time */
	static unsigned int next;
	char *at = path[next++ % ARRAY_SIZE(path)];

	(void)snprintf(at, sizeof(path[0]), "%s/%s", directory, name);
	return at;
}

void run(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command))
		fail_msg("'%s' failed", command);
}

void write_file(const char *path, const void *data, size_t nr)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, nr, file), nr);
	assert_int_equal(fclose(file), 0);
}

/* Compiles the program, for a fixed address unless the options say otherwise. */
void compile_program(const char *name, const char *options)
{
	run("cd %s && gcc -O2 -fno-pie -no-pie %s program.c -o %s", directory, options, name);
}

struct target start_program(const char *name)
{
	return start_in_root(NULL, path_of(name));
}

struct target start_in_root(const char *root, const char *path)
{
	struct target target = {0};
	int to[2], from[2];
	char text[128];
	ssize_t nr;

	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	target.tgid = fork();
	assert_true(target.tgid >= 0);
	if (!target.tgid) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		if (!root || (!chroot(path_of(root)) && !chdir("/")))
			execl(path, path, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	nr = read(from[0], text, sizeof(text) - 1);
	assert_true(nr > 0);
	text[nr] = '\0';
	close(from[0]);
	target.input = to[1];
	assert_int_equal(sscanf(text, "%" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64, &target.outer,
				&target.plain, &target.inside, &target.nested),
			 4);
	target.outer--;
	target.plain--;
	target.inside--;
	target.nested--;
	return target;
}

void stop_program(struct target *target)
{
	assert_int_equal(kill(target->tgid, SIGKILL), 0);
	assert_int_equal(waitpid(target->tgid, NULL, 0), target->tgid);
	close(target->input);
}

struct symbolizer *new_symbolizer(const struct symbolizer_options *options)
{
	struct symbolizer *sym;

	assert_int_equal(symbolizer_new(options, &sym), 0);
	return sym;
}

int add_process(struct symbolizer *sym, uint32_t key, pid_t tgid)
{
	struct proc_maps maps;
	int error;

	proc_maps_init(&maps);
	error = proc_maps_read(&maps, tgid);
	if (!error)
		error = symbolizer_add_process(sym, key, tgid, &maps);
	proc_maps_release(&maps);
	return error;
}

/* Runs a program that is there already, adds it, and ends it. */
struct symbolizer *symbolizer_of(const char *name, const struct symbolizer_options *options,
				 struct target *target)
{
	struct symbolizer *sym = new_symbolizer(options);

	*target = start_program(name);
	assert_int_equal(add_process(sym, SAMPLE_KEY, target->tgid), 0);
	stop_program(target);
	return sym;
}

void assert_line(const struct symbol_frame *frame, const char *file, uint32_t line)
{
	size_t nr = strlen(frame->file), end_nr = strlen(file);

	assert_true(nr >= end_nr);
	assert_string_equal(frame->file + nr - end_nr, file);
	assert_int_equal(frame->line, line);
}

void assert_outer(struct symbolizer *sym, const struct target *target, const char *module)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];

	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target->outer, frame), 3);
	assert_string_equal(frame[0].function, "leaf");
	assert_string_equal(frame[1].function, "middle");
	assert_string_equal(frame[2].function, "outer");
	assert_line(&frame[0], "/program.c", 103);
	assert_line(&frame[1], "/program.c", 213);
	assert_line(&frame[2], "/program.c", 309);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(frame[i].inlined, i < 2);
		assert_string_equal(frame[i].module, module);
		assert_int_equal(frame[i].offset,
				 target->outer); /* it is linked where it is loaded */
	}
}

void assert_one(struct symbolizer *sym, uint64_t address, const char *function)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];

	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, address, frame), 1);
	assert_string_equal(frame[0].function, function);
	assert_int_equal(frame[0].offset, address);
	assert_false(frame[0].inlined);
}

void make_split(const char *name, const char *options)
{
	compile_program(name, options);
	run("cd %s && objcopy --only-keep-debug %s %s.debug && strip %s && "
	    "objcopy --add-gnu-debuglink=%s.debug %s",
	    directory, name, name, name, name, name);
}

char *read_whole(const char *path, size_t *nr)
{
	struct stat st;
	char *data;
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &st), 0);
	*nr = (size_t)st.st_size;
	data = malloc(*nr);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, *nr, file), *nr);
	assert_int_equal(fclose(file), 0);
	return data;
}

int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int nr = 0;

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

int sample_set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(directory));
	write_file(path_of("program.c"), program_text, sizeof(program_text) - 1);
	return 0;
}

int sample_tear_down(void **state)
{
	(void)state;
	run("rm -r %s", directory);
	return 0;
}
