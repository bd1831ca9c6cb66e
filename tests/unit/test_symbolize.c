/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names for a small program of our own, compiled here in several ways, and for this process. */
#include <dirent.h>
#include <dlfcn.h>
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
#include "array.h"
#include "demangle.h"
#include "module.h"
#include "proc.h"
#include "ranges.h"
#include "strpool.h"
#include "symbolize.h"

#define KEY 0x00010007
#define OTHER_KEY 0x00010011

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

static char directory[] = "/tmp/test_symbolize.XXXXXX";

struct target {
	pid_t tgid;
	int input;
	uint64_t outer, plain, inside, nested; /* the byte before the return address */
};

static char *path_of(const char *name)
{
	static char path[4][256]; /* for the few that are in use at the same time */
	static unsigned int next;
	char *at = path[next++ % ARRAY_SIZE(path)];

	(void)snprintf(at, sizeof(path[0]), "%s/%s", directory, name);
	return at;
}

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command))
		fail_msg("'%s' failed", command);
}

static void write_file(const char *path, const void *data, size_t nr)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, nr, file), nr);
	assert_int_equal(fclose(file), 0);
}

/* Compiles the program, for a fixed address unless the options say otherwise. */
static void compile(const char *name, const char *options)
{
	run("cd %s && gcc -O2 -fno-pie -no-pie %s program.c -o %s", directory, options, name);
}

static struct target start(const char *name)
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
		execl(path_of(name), name, (char *)NULL);
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

static void stop(struct target *target)
{
	assert_int_equal(kill(target->tgid, SIGKILL), 0);
	assert_int_equal(waitpid(target->tgid, NULL, 0), target->tgid);
	close(target->input);
}

static struct symbolizer *new_symbolizer(void)
{
	struct symbolizer *sym;

	assert_int_equal(symbolizer_new(&sym), 0);
	return sym;
}

static int add(struct symbolizer *sym, uint32_t key, pid_t tgid)
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

static void add_text(struct symbolizer *sym, const char *text)
{
	struct proc_maps maps;

	proc_maps_init(&maps);
	assert_int_equal(proc_maps_parse(&maps, text, strlen(text)), 0);
	assert_int_equal(symbolizer_add_process(sym, KEY, getpid(), &maps), 0);
	proc_maps_release(&maps);
}

/* Runs a program that is there already, adds it, and ends it. */
static struct symbolizer *symbolizer_of(const char *name, struct target *target)
{
	struct symbolizer *sym = new_symbolizer();

	*target = start(name);
	assert_int_equal(add(sym, KEY, target->tgid), 0);
	stop(target);
	return sym;
}

static void assert_line(const struct symbol_frame *frame, const char *file, uint32_t line)
{
	size_t nr = strlen(frame->file), end_nr = strlen(file);

	assert_true(nr >= end_nr);
	assert_string_equal(frame->file + nr - end_nr, file);
	assert_int_equal(frame->line, line);
}

static void assert_outer(struct symbolizer *sym, const struct target *target, const char *module)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];

	assert_int_equal(symbolizer_lookup(sym, KEY, target->outer, frame), 3);
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

static void test_live_then_killed_and_deleted(void **state)
{
	struct symbolizer *sym = new_symbolizer();
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES], again[SYMBOLIZE_MAX_FRAMES];
	struct target target;

	(void)state;
	compile("live", "-g");
	target = start("live");
	assert_int_equal(add(sym, KEY, target.tgid), 0);
	assert_outer(sym, &target, path_of("live"));
	assert_int_equal(symbolizer_lookup(sym, KEY, target.outer, frame), 3);
	assert_int_equal(unlink(path_of("live")), 0);
	stop(&target);
	assert_outer(sym, &target, path_of("live"));
	assert_int_equal(symbolizer_lookup(sym, KEY, target.outer, again), 3);
	for (int i = 0; i < 3; i++) {
		assert_ptr_equal(frame[i].function, again[i].function);
		assert_ptr_equal(frame[i].file, again[i].file);
	}
	assert_int_equal(symbolizer_lookup(sym, KEY, target.plain, frame), 1);
	assert_line(&frame[0], "/program.c", 404);
	assert_int_equal(add(sym, KEY, target.tgid), -ESRCH);
	assert_outer(sym, &target, path_of("live"));
	symbolizer_free(sym);
}

/* Nothing was looked up while it lived. */
static void test_first_lookup_after_the_end(void **state)
{
	struct symbolizer *sym;
	struct target target;

	(void)state;
	compile("late", "-g");
	sym = symbolizer_of("late", &target);
	assert_int_equal(unlink(path_of("late")), 0);
	assert_outer(sym, &target, path_of("late"));
	symbolizer_free(sym);
}

/* It takes CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN. */
static bool may_follow_map_files(void)
{
	struct proc_maps maps;
	const struct proc_mapping *own;
	char path[4096];
	bool may;

	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, getpid()), 0);
	own = proc_maps_find(&maps, (uintptr_t)may_follow_map_files);
	assert_non_null(own);
	assert_int_equal(proc_mapping_path(getpid(), own, path, sizeof(path)), 0);
	may = strstr(path, "/map_files/");
	proc_maps_release(&maps);
	return may;
}

static void test_deleted_before_it_was_added(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym = new_symbolizer();
	struct target target;

	(void)state;
	compile("deleted", "-g");
	target = start("deleted");
	assert_int_equal(unlink(path_of("deleted")), 0);
	assert_int_equal(add(sym, KEY, target.tgid), 0);
	stop(&target);
	if (may_follow_map_files()) {
		assert_outer(sym, &target, path_of("deleted"));
	} else {
		assert_int_equal(symbolizer_lookup(sym, KEY, target.outer, frame), 1);
		assert_string_equal(frame[0].module, path_of("deleted"));
		assert_string_equal(frame[0].function, "");
	}
	symbolizer_free(sym);
}

static void test_position_independent(void **state)
{
	struct symbolizer *sym;
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct target target;

	(void)state;
	compile("pie", "-g -fpie -pie");
	sym = symbolizer_of("pie", &target);
	assert_int_equal(symbolizer_lookup(sym, KEY, target.outer, frame), 3);
	assert_string_equal(frame[2].function, "outer");
	assert_line(&frame[2], "/program.c", 309);
	assert_true(frame[2].offset < 0x100000); /* as linked: from 0 */
	assert_int_equal(frame[2].offset & 0xfff, target.outer & 0xfff);
	symbolizer_free(sym);
}

/* clang leaves .debug_aranges out; older and newer DWARF; compressed sections. */
static void test_other_forms_of_dwarf(void **state)
{
	static const char *const options[] = {"-gdwarf-4", "-gdwarf-3", "-gdwarf-5 -gz",
					      "-g -ffunction-sections -Wl,--gc-sections"};
	struct symbolizer *sym;
	struct target target;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		compile("form", options[i]);
		sym = symbolizer_of("form", &target);
		assert_outer(sym, &target, path_of("form"));
		symbolizer_free(sym);
	}
	run("cd %s && clang -O2 -g -fno-pie -no-pie program.c -o form 2>&1", directory);
	sym = symbolizer_of("form", &target);
	assert_outer(sym, &target, path_of("form"));
	symbolizer_free(sym);
}

static void assert_one(struct symbolizer *sym, uint64_t address, const char *function)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];

	assert_int_equal(symbolizer_lookup(sym, KEY, address, frame), 1);
	assert_string_equal(frame[0].function, function);
	assert_int_equal(frame[0].offset, address);
	assert_false(frame[0].inlined);
}

static void test_symbols_only(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym;
	struct target target;

	(void)state;
	compile("symbols", "-g0");
	sym = symbolizer_of("symbols", &target);
	assert_one(sym, target.outer, "outer");
	assert_one(sym, target.plain, "cache::put");
	assert_one(sym, target.inside, "outside");
	assert_int_equal(symbolizer_lookup(sym, KEY, target.outer, frame), 1);
	assert_string_equal(frame[0].file, "");
	assert_int_equal(frame[0].line, 0);
	symbolizer_free(sym);

	compile("dynamic", "-g0 -rdynamic -s");
	sym = symbolizer_of("dynamic", &target);
	assert_one(sym, target.outer, "outer");
	assert_one(sym, target.plain, "cache::put");
	assert_one(sym, target.inside, "outside");
	symbolizer_free(sym);

	compile("stripped", "-g0 -s");
	sym = symbolizer_of("stripped", &target);
	assert_one(sym, target.outer, "");
	assert_int_equal(symbolizer_lookup(sym, KEY, target.outer, frame), 1);
	assert_string_equal(frame[0].module, path_of("stripped"));
	symbolizer_free(sym);
}

/* DWARF knows the inside name only. */
static void test_public_name_with_dwarf(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym;
	struct target target;

	(void)state;
	compile("public", "-g");
	sym = symbolizer_of("public", &target);
	assert_int_equal(symbolizer_lookup(sym, KEY, target.inside, frame), 1);
	assert_string_equal(frame[0].function, "outside");
	assert_line(&frame[0], "/program.c", 505);
	symbolizer_free(sym);
}

/* As lambdas are, in C++. */
static void test_function_in_a_function(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym;
	struct target target;

	(void)state;
	compile("nested", "-g");
	sym = symbolizer_of("nested", &target);
	assert_int_equal(symbolizer_lookup(sym, KEY, target.nested, frame), 2);
	assert_string_equal(frame[0].function, "leaf");
	assert_line(&frame[0], "/program.c", 103);
	assert_string_equal(frame[1].function, "nested");
	assert_line(&frame[1], "/program.c", 604);
	assert_outer(sym, &target, path_of("nested"));
	symbolizer_free(sym);
}

static void make_split(const char *name, const char *options)
{
	compile(name, options);
	run("cd %s && objcopy --only-keep-debug %s %s.debug && strip %s && "
	    "objcopy --add-gnu-debuglink=%s.debug %s",
	    directory, name, name, name, name, name);
}

static void test_separate_debug_file(void **state)
{
	struct symbolizer *sym;
	struct target target;
	FILE *file;

	(void)state;
	make_split("split", "-g -Wl,--build-id=sha1");
	sym = symbolizer_of("split", &target);
	assert_outer(sym, &target, path_of("split"));
	symbolizer_free(sym);

	make_split("linked", "-g -Wl,--build-id=none");
	sym = symbolizer_of("linked", &target);
	assert_outer(sym, &target, path_of("linked"));
	symbolizer_free(sym);

	run("cd %s && mkdir -p .debug && mv linked.debug .debug/", directory);
	sym = symbolizer_of("linked", &target);
	assert_outer(sym, &target, path_of("linked"));
	symbolizer_free(sym);

	/* one byte more, and it is not the file that was linked to */
	file = fopen(path_of(".debug/linked.debug"), "a");
	assert_non_null(file);
	assert_int_equal(fputc('x', file), 'x');
	assert_int_equal(fclose(file), 0);
	sym = symbolizer_of("linked", &target);
	assert_one(sym, target.outer, "");
	symbolizer_free(sym);

	/* another build's debug file: its build id differs */
	make_split("other", "-g -DOTHER -O1 -Wl,--build-id=sha1");
	run("cd %s && cp other.debug split.debug", directory);
	sym = symbolizer_of("split", &target);
	assert_one(sym, target.outer, "");
	symbolizer_free(sym);
}

/* What opens them would wait for ever. */
static void test_debug_file_is_a_fifo(void **state)
{
	struct symbolizer *sym;
	struct target target;

	(void)state;
	make_split("fifo", "-g -Wl,--build-id=none");
	run("cd %s && rm fifo.debug && mkfifo fifo.debug", directory);
	sym = symbolizer_of("fifo", &target);
	assert_one(sym, target.outer, "");
	symbolizer_free(sym);
}

static void test_c_library(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym = new_symbolizer();
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	static const char *const name[] = {"malloc", "free", "qsort", "getenv"};
	int nr;

	(void)state;
	assert_non_null(libc);
	assert_int_equal(add(sym, KEY, getpid()), 0);
	for (size_t i = 0; i < ARRAY_SIZE(name); i++) {
		nr = symbolizer_lookup(sym, KEY, (uintptr_t)dlsym(libc, name[i]), frame);
		assert_true(nr >= 1);
		assert_string_equal(frame[nr - 1].function, name[i]);
		assert_non_null(strstr(frame[nr - 1].module, "libc"));
	}
	dlclose(libc);
	symbolizer_free(sym);
}

static void test_no_file(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *code = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct symbolizer *sym = new_symbolizer();
	struct proc_maps maps;
	uint64_t address = (uintptr_t)code + 17;

	(void)state;
	assert_ptr_not_equal(code, MAP_FAILED);
	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, getpid()), 0);
	assert_int_equal(symbolizer_add_process(sym, KEY, getpid(), &maps), 0);
	assert_int_equal(symbolizer_lookup(sym, KEY, address, frame), 1);
	assert_string_equal(frame[0].function, "");
	assert_string_equal(frame[0].module, "");
	assert_string_equal(frame[0].file, "");
	assert_int_equal(frame[0].offset, address);
	for (size_t i = 0; i < maps.nr; i++) {
		if (strcmp(maps.item[i].path, "[vdso]") != 0)
			continue;
		assert_int_equal(symbolizer_lookup(sym, KEY, maps.item[i].start + 257, frame), 1);
		assert_string_equal(frame[0].module, "[vdso]");
		assert_string_equal(frame[0].function, "");
		assert_int_equal(frame[0].offset, 257);
	}
	/* data, nothing, and a process that nobody added */
	assert_int_equal(symbolizer_lookup(sym, KEY, (uintptr_t)directory, frame), 0);
	assert_int_equal(symbolizer_lookup(sym, KEY, 1, frame), 0);
	assert_int_equal(symbolizer_lookup(sym, OTHER_KEY, address, frame), 0);
	proc_maps_release(&maps);
	munmap(code, page);
	symbolizer_free(sym);
}

static void test_file_without_code(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct symbolizer *sym = new_symbolizer();
	char *path = path_of("text"), *code;
	int fd;

	(void)state;
	write_file(path, program_text, sizeof(program_text));
	assert_int_equal(truncate(path, (off_t)(3 * page)), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	code = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, (off_t)page);
	assert_ptr_not_equal(code, MAP_FAILED);
	assert_int_equal(add(sym, KEY, getpid()), 0);
	assert_int_equal(symbolizer_lookup(sym, KEY, (uintptr_t)code + 41, frame), 1);
	assert_string_equal(frame[0].module, path);
	assert_string_equal(frame[0].function, "");
	assert_int_equal(frame[0].offset, page + 41);
	munmap(code, page);
	close(fd);
	symbolizer_free(sym);
}

static void assert_module_at(struct symbolizer *sym, uint64_t address, const char *module)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];

	assert_int_equal(symbolizer_lookup(sym, KEY, address, frame), module ? 1 : 0);
	if (module)
		assert_string_equal(frame[0].module, module);
}

static void assert_offset_at(struct symbolizer *sym, uint64_t address, uint64_t offset)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];

	assert_int_equal(symbolizer_lookup(sym, KEY, address, frame), 1);
	assert_int_equal(frame[0].offset, offset);
}

static void test_mappings_that_went(void **state)
{
	struct symbolizer *sym = new_symbolizer();

	(void)state;
	add_text(sym, "10000-20000 r-xp 00003000 fd:01 7 /gone/a (deleted)\n"
		      "30000-40000 r-xp 00000000 fd:01 11 /gone/b\n");
	add_text(sym, "");
	assert_module_at(sym, 0x10000, "/gone/a");
	/* data in its place does not rename it */
	add_text(sym, "10000-20000 rw-p 00000000 00:00 0 \n");
	assert_module_at(sym, 0x10000, "/gone/a");
	add_text(sym, "f000-11000 r-xp 00000000 fd:01 13 /gone/c\n"
		      "13000-14000 r-xp 00000000 fd:01 13 /gone/c\n"
		      "1f000-31000 r-xp 00001000 fd:01 17 /gone/d\n");
	assert_module_at(sym, 0x10fff, "/gone/c");
	assert_module_at(sym, 0x11000, "/gone/a");
	assert_offset_at(sym, 0x11000, 0x4000);
	assert_module_at(sym, 0x13fff, "/gone/c");
	assert_module_at(sym, 0x14000, "/gone/a");
	assert_offset_at(sym, 0x14001, 0x7001);
	assert_module_at(sym, 0x1ffff, "/gone/d");
	assert_module_at(sym, 0x31000, "/gone/b");
	assert_offset_at(sym, 0x31000, 0x1000);
	assert_module_at(sym, 0x3ffff, "/gone/b");
	assert_module_at(sym, 0x40000, NULL);
	symbolizer_free(sym);
}

static int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int nr = 0;

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static void test_files_are_shared(void **state)
{
	struct symbol_frame one[SYMBOLIZE_MAX_FRAMES], two[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym = new_symbolizer();
	struct target target, second;
	int before, nr;

	(void)state;
	compile("shared", "-g");
	target = start("shared");
	second = start("shared");
	before = count_descriptors();
	assert_int_equal(add(sym, KEY, target.tgid), 0);
	nr = count_descriptors();
	assert_true(nr > before);
	assert_int_equal(add(sym, OTHER_KEY, second.tgid), 0);
	assert_int_equal(add(sym, KEY, target.tgid), 0);
	assert_int_equal(count_descriptors(), nr);
	assert_int_equal(symbolizer_lookup(sym, KEY, target.outer, one), 3);
	assert_int_equal(symbolizer_lookup(sym, OTHER_KEY, second.outer, two), 3);
	assert_ptr_equal(one[1].function, two[1].function);
	stop(&target);
	stop(&second);
	symbolizer_free(sym);
	assert_int_equal(count_descriptors(), before - 2);
}

/* It went between the reading of its maps and the opening of its files; another process has the same ones. */
static void test_gone_but_known(void **state)
{
	struct symbolizer *sym = new_symbolizer();
	struct target target, second;
	struct proc_maps maps;

	(void)state;
	compile("known", "-g");
	target = start("known");
	second = start("known");
	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, target.tgid), 0);
	stop(&target);
	assert_int_equal(add(sym, OTHER_KEY, second.tgid), 0);
	stop(&second);
	assert_int_equal(symbolizer_add_process(sym, KEY, target.tgid, &maps), -ESRCH);
	assert_outer(sym, &target, path_of("known"));
	proc_maps_release(&maps);
	symbolizer_free(sym);
}

static void test_out_of_memory(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym;
	struct target target;
	struct proc_maps maps;
	bool failed = true;
	int error, nr;

	(void)state;
	compile("memory", "-g");
	target = start("memory");
	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, target.tgid), 0);
	for (long nth = 1; failed; nth++) {
		allocfail_set(nth);
		nr = 0;
		error = symbolizer_new(&sym);
		if (!error) {
			error = symbolizer_add_process(sym, KEY, target.tgid, &maps);
			nr = error ? error : symbolizer_lookup(sym, KEY, target.outer, frame);
		}
		failed = allocfail_hit();
		allocfail_set(0);
		/* nothing worse than a cache that was not filled */
		assert_true(failed ? error == -ENOMEM || nr == -ENOMEM || nr == 3 : nr == 3);
		if (error == -ENOMEM && nr == 0)
			continue; /* not even a symbolizer */
		assert_int_equal(symbolizer_add_process(sym, KEY, target.tgid, &maps), 0);
		assert_outer(sym, &target, path_of("memory"));
		symbolizer_free(sym);
	}
	proc_maps_release(&maps);
	stop(&target);
}

static char *read_whole(const char *path, size_t *nr)
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

static void look_around(const char *path, size_t nr)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct strpool pool = {0};
	struct module *module;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(module_new(fd, path, &pool, &module), 0);
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
	compile("sound", "-g");
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

static void assert_demangled(const char *symbol, const char *expected)
{
	struct strbuf text = {0};

	demangle(symbol, &text);
	assert_int_equal(strbuf_error(&text), 0);
	assert_string_equal(text.text, expected);
	strbuf_release(&text);
}

static void test_demangle(void **state)
{
	(void)state;
	assert_demangled("malloc", "malloc");
	assert_demangled("_start", "_start");
	assert_demangled("_Z", "_Z");
	assert_demangled("main.main", "main.main");
	assert_demangled("_ZN5cache3putEi", "cache::put");
	assert_demangled("_ZNSt6vectorIiSaIiEE9push_backERKi",
			 "std::vector<int, std::allocator<int> >::push_back");
	assert_demangled("_ZN4core3ptr13drop_in_place17h0123456789abcdefE",
			 "core::ptr::drop_in_place");
	assert_demangled("_RNvC7mycrate3foo", "mycrate::foo");
	assert_demangled("_Z3foov.cold", "foo");
}

/* f<P<int, int>, P<T0, T0>, P<T1, T1>, ...>, the last of which is 2^35 bytes long. */
static void test_demangle_bomb(void **state)
{
	static const char digit[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct strbuf symbol = {0}, text = {0};

	(void)state;
	strbuf_puts(&symbol, "_Z1fI1PIiiE");
	for (int i = 0; i < 34; i++)
		strbuf_printf(&symbol, "S_IS%c_S%c_E", digit[i], digit[i]);
	strbuf_puts(&symbol, "Evv");
	demangle(symbol.text, &text);
	assert_int_equal(strbuf_error(&text), 0);
	assert_true(text.nr > DEMANGLE_MAX_BYTES / 2);
	assert_true(text.nr <= DEMANGLE_MAX_BYTES + 3);
	assert_string_equal(text.text + text.nr - 3, "...");
	strbuf_release(&symbol);
	strbuf_release(&text);
}

static void test_ranges(void **state)
{
	struct ranges ranges = {0};
	const struct range *at;

	(void)state;
	assert_null(ranges_find(&ranges, 7, NULL));
	assert_int_equal(ranges_add(&ranges, 100, 200, 1), 0);
	assert_int_equal(ranges_add(&ranges, 10, 1000, 2), 0);
	assert_int_equal(ranges_add(&ranges, 100, 150, 3), 0);
	assert_int_equal(ranges_add(&ranges, 300, 400, 4), 0);
	assert_int_equal(ranges_add(&ranges, 300, 300, 5), 0);
	assert_int_equal(ranges_add(&ranges, 100, 150, 0), 0);
	ranges_sort(&ranges);
	assert_int_equal(ranges.nr, 5);
	assert_null(ranges_find(&ranges, 9, NULL));
	at = ranges_find(&ranges, 149, NULL);
	assert_int_equal(at->value, 0);
	at = ranges_find(&ranges, 149, at);
	assert_int_equal(at->value, 3);
	at = ranges_find(&ranges, 149, at);
	assert_int_equal(at->value, 1);
	at = ranges_find(&ranges, 149, at);
	assert_int_equal(at->value, 2);
	assert_null(ranges_find(&ranges, 149, at));
	assert_int_equal(ranges_find(&ranges, 150, NULL)->value, 1);
	assert_int_equal(ranges_find(&ranges, 200, NULL)->value, 2);
	assert_int_equal(ranges_find(&ranges, 400, NULL)->value, 2);
	assert_null(ranges_find(&ranges, 1000, NULL));
	ranges_release(&ranges);
}

static void test_strpool(void **state)
{
	struct strpool pool = {0};
	const char *one = strpool_add(&pool, "one and", 3), *two;
	char number[16];

	(void)state;
	assert_string_equal(one, "one");
	assert_ptr_equal(strpool_add(&pool, "one", 3), one);
	assert_string_equal(strpool_add(&pool, "", 0), "");
	for (int i = 0; i < 1009; i++) {
		(void)snprintf(number, sizeof(number), "%d", i);
		two = strpool_add(&pool, number, strlen(number));
		assert_non_null(two);
		assert_string_equal(two, number);
	}
	assert_int_equal(pool.nr, 1011);
	assert_ptr_equal(strpool_add(&pool, "one", 3), one);
	strpool_release(&pool);
}

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(directory));
	write_file(path_of("program.c"), program_text, sizeof(program_text) - 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	run("rm -r %s", directory);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strpool),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_demangle),
		cmocka_unit_test(test_demangle_bomb),
		cmocka_unit_test(test_live_then_killed_and_deleted),
		cmocka_unit_test(test_first_lookup_after_the_end),
		cmocka_unit_test(test_deleted_before_it_was_added),
		cmocka_unit_test(test_position_independent),
		cmocka_unit_test(test_other_forms_of_dwarf),
		cmocka_unit_test(test_symbols_only),
		cmocka_unit_test(test_public_name_with_dwarf),
		cmocka_unit_test(test_function_in_a_function),
		cmocka_unit_test(test_separate_debug_file),
		cmocka_unit_test(test_debug_file_is_a_fifo),
		cmocka_unit_test(test_c_library),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_file_without_code),
		cmocka_unit_test(test_mappings_that_went),
		cmocka_unit_test(test_files_are_shared),
		cmocka_unit_test(test_gone_but_known),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_damaged_files),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
