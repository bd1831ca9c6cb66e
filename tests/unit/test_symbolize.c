/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names for a small program of our own, compiled here in several ways, and for this process. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "array.h"
#include "origin.h"
#include "proc.h"
#include "sample_program.h"
#include "symbolize.h"
#include "unwind.h"

#define OTHER_KEY 0x00010011

static void add_text(struct symbolizer *sym, const char *text)
{
	struct proc_maps maps;

	proc_maps_init(&maps);
	assert_int_equal(proc_maps_parse(&maps, text, strlen(text)), 0);
	assert_int_equal(symbolizer_add_process(sym, SAMPLE_KEY, getpid(), &maps), 0);
	proc_maps_release(&maps);
}

static void test_live_then_killed_and_deleted(void **state)
{
	struct symbolizer *sym = new_symbolizer(NULL);
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES], again[SYMBOLIZE_MAX_FRAMES];
	struct target target;

	(void)state;
	compile_program("live", "-g");
	target = start_program("live");
	assert_int_equal(add_process(sym, SAMPLE_KEY, target.tgid), 0);
	assert_outer(sym, &target, path_of("live"));
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.outer, frame), 3);
	assert_int_equal(unlink(path_of("live")), 0);
	stop_program(&target);
	assert_outer(sym, &target, path_of("live"));
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.outer, again), 3);
	for (int i = 0; i < 3; i++) {
		assert_ptr_equal(frame[i].function, again[i].function);
		assert_ptr_equal(frame[i].file, again[i].file);
	}
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.plain, frame), 1);
	assert_line(&frame[0], "/program.c", 404);
	assert_int_equal(add_process(sym, SAMPLE_KEY, target.tgid), -ESRCH);
	assert_outer(sym, &target, path_of("live"));
	symbolizer_free(sym);
}

/* Nothing was looked up while it lived. */
static void test_first_lookup_after_the_end(void **state)
{
	struct symbolizer *sym;
	struct target target;

	(void)state;
	compile_program("late", "-g");
	sym = symbolizer_of("late", NULL, &target);
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
	struct symbolizer *sym = new_symbolizer(NULL);
	struct target target;

	(void)state;
	compile_program("deleted", "-g");
	target = start_program("deleted");
	assert_int_equal(unlink(path_of("deleted")), 0);
	assert_int_equal(add_process(sym, SAMPLE_KEY, target.tgid), 0);
	stop_program(&target);
	if (may_follow_map_files()) {
		assert_outer(sym, &target, path_of("deleted"));
	} else {
		assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.outer, frame), 1);
		assert_string_equal(frame[0].module, path_of("deleted"));
		assert_string_equal(frame[0].function, "");
	}
	symbolizer_free(sym);
}

/* What the file says now is about other code. */
static void test_rewritten_before_it_was_read(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym = new_symbolizer(NULL);
	struct target target;
	int fd;

	(void)state;
	compile_program("rewritten", "-g");
	target = start_program("rewritten");
	assert_int_equal(add_process(sym, SAMPLE_KEY, target.tgid), 0);
	stop_program(&target);
	fd = open(path_of("rewritten"), O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "", 1), 1);
	assert_int_equal(close(fd), 0);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.outer, frame), 1);
	assert_string_equal(frame[0].module, path_of("rewritten"));
	assert_string_equal(frame[0].function, "");
	symbolizer_free(sym);
}

static void test_position_independent(void **state)
{
	struct symbolizer *sym;
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct target target;

	(void)state;
	compile_program("pie", "-g -fpie -pie");
	sym = symbolizer_of("pie", NULL, &target);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.outer, frame), 3);
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
		compile_program("form", options[i]);
		sym = symbolizer_of("form", NULL, &target);
		assert_outer(sym, &target, path_of("form"));
		symbolizer_free(sym);
	}
	run("cd %s && clang -O2 -g -fno-pie -no-pie program.c -o form 2>&1", sample_directory());
	sym = symbolizer_of("form", NULL, &target);
	assert_outer(sym, &target, path_of("form"));
	symbolizer_free(sym);
}

static void test_symbols_only(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym;
	struct target target;

	(void)state;
	compile_program("symbols", "-g0");
	sym = symbolizer_of("symbols", NULL, &target);
	assert_one(sym, target.outer, "outer");
	assert_one(sym, target.plain, "cache::put");
	assert_one(sym, target.inside, "outside");
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.outer, frame), 1);
	assert_string_equal(frame[0].file, "");
	assert_int_equal(frame[0].line, 0);
	symbolizer_free(sym);

	compile_program("dynamic", "-g0 -rdynamic -s");
	sym = symbolizer_of("dynamic", NULL, &target);
	assert_one(sym, target.outer, "outer");
	assert_one(sym, target.plain, "cache::put");
	assert_one(sym, target.inside, "outside");
	symbolizer_free(sym);

	compile_program("stripped", "-g0 -s");
	sym = symbolizer_of("stripped", NULL, &target);
	assert_one(sym, target.outer, "");
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.outer, frame), 1);
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
	compile_program("public", "-g");
	sym = symbolizer_of("public", NULL, &target);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.inside, frame), 1);
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
	compile_program("nested", "-g");
	sym = symbolizer_of("nested", NULL, &target);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.nested, frame), 2);
	assert_string_equal(frame[0].function, "leaf");
	assert_line(&frame[0], "/program.c", 103);
	assert_string_equal(frame[1].function, "nested");
	assert_line(&frame[1], "/program.c", 604);
	assert_outer(sym, &target, path_of("nested"));
	symbolizer_free(sym);
}

static void test_c_library(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym = new_symbolizer(NULL);
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	static const char *const name[] = {"malloc", "free", "qsort", "getenv"};
	int nr;

	(void)state;
	assert_non_null(libc);
	assert_int_equal(add_process(sym, SAMPLE_KEY, getpid()), 0);
	for (size_t i = 0; i < ARRAY_SIZE(name); i++) {
		nr = symbolizer_lookup(sym, SAMPLE_KEY, (uintptr_t)dlsym(libc, name[i]), frame);
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
	struct symbolizer *sym = new_symbolizer(NULL);
	struct proc_maps maps;
	uint64_t address = (uintptr_t)code + 17;

	(void)state;
	assert_ptr_not_equal(code, MAP_FAILED);
	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, getpid()), 0);
	assert_int_equal(symbolizer_add_process(sym, SAMPLE_KEY, getpid(), &maps), 0);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, address, frame), 1);
	assert_string_equal(frame[0].function, "");
	assert_string_equal(frame[0].module, "");
	assert_string_equal(frame[0].file, "");
	assert_int_equal(frame[0].offset, address);
	/* data, nothing, and a process that nobody added */
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, (uintptr_t)&maps, frame), 0);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, 1, frame), 0);
	assert_int_equal(symbolizer_lookup(sym, OTHER_KEY, address, frame), 0);
	proc_maps_release(&maps);
	munmap(code, page);
	symbolizer_free(sym);
}

static void test_file_without_code(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct symbolizer *sym = new_symbolizer(NULL);
	char *path = path_of("text"), *code;
	int fd;

	(void)state;
	write_file(path, "not a program", sizeof("not a program"));
	assert_int_equal(truncate(path, (off_t)(3 * page)), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	code = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, (off_t)page);
	assert_ptr_not_equal(code, MAP_FAILED);
	assert_int_equal(add_process(sym, SAMPLE_KEY, getpid()), 0);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, (uintptr_t)code + 41, frame), 1);
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

	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, address, frame), module ? 1 : 0);
	if (module)
		assert_string_equal(frame[0].module, module);
}

static void assert_doubtful_at(struct symbolizer *sym, uint64_t address)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];

	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, address, frame), -ESTALE);
}

static void assert_offset_at(struct symbolizer *sym, uint64_t address, uint64_t offset)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];

	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, address, frame), 1);
	assert_int_equal(frame[0].offset, offset);
}

static void test_mappings_that_went(void **state)
{
	struct symbolizer *sym = new_symbolizer(NULL);

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
	/* whose it is nobody can tell where there were several */
	assert_module_at(sym, 0xffff, "/gone/c");
	assert_doubtful_at(sym, 0x10fff);
	assert_module_at(sym, 0x11000, "/gone/a");
	assert_offset_at(sym, 0x11000, 0x4000);
	assert_doubtful_at(sym, 0x13fff);
	assert_module_at(sym, 0x14000, "/gone/a");
	assert_offset_at(sym, 0x14001, 0x7001);
	assert_doubtful_at(sym, 0x1ffff);
	assert_module_at(sym, 0x20000, "/gone/d");
	assert_module_at(sym, 0x31000, "/gone/b");
	assert_offset_at(sym, 0x31000, 0x1000);
	assert_module_at(sym, 0x3ffff, "/gone/b");
	assert_module_at(sym, 0x40000, NULL);
	symbolizer_free(sym);
}

/* Maps this process as if a file lay there as code; returns what its frames say of it. */
static uint16_t add_file_at(struct symbolizer *sym, const char *path, uint64_t start)
{
	struct proc_maps maps;
	struct stat st;
	char line[512];
	uint16_t origin;

	assert_int_equal(stat(path, &st), 0);
	(void)snprintf(line, sizeof(line), "%" PRIx64 "-%" PRIx64 " r-xp 00000000 fd:01 %ju %s\n",
		       start, start + 0x1000, (uintmax_t)st.st_ino, path);
	proc_maps_init(&maps);
	assert_int_equal(proc_maps_parse(&maps, line, strlen(line)), 0);
	origin = origin_of_mapping(getpid(), &maps.item[0]);
	proc_maps_release(&maps);
	add_text(sym, line);
	return origin;
}

static void assert_file_at(struct symbolizer *sym, uint64_t address, uint16_t origin,
			   const char *path)
{
	assert_module_at(sym, SEEP_FRAME_OF(address, origin), path);
}

/* Frames say which of the files that lay there was meant. */
static void test_files_at_the_same_place(void **state)
{
	struct symbolizer *sym = new_symbolizer(NULL);
	uint16_t one, two, text;

	(void)state;
	compile_program("one", "");
	compile_program("two", "-g");
	write_file(path_of("text"), "no program", 10);
	one = add_file_at(sym, path_of("one"), 0x10000);
	assert_true(one >= ORIGIN_FILE);
	assert_file_at(sym, 0x10001, one, path_of("one"));
	assert_file_at(sym, 0x10001, ORIGIN_UNKNOWN, path_of("one"));
	two = add_file_at(sym, path_of("two"), 0x10000);
	assert_file_at(sym, 0x10001, one, path_of("one"));
	assert_file_at(sym, 0x10001, two, path_of("two"));
	assert_doubtful_at(sym, 0x10001);
	assert_doubtful_at(sym, SEEP_FRAME_OF(0x10001, ORIGIN_MAX));
	assert_file_at(sym, 0x10001, ORIGIN_CHANGED, NULL);
	/* no program: told by nothing but that */
	text = add_file_at(sym, path_of("text"), 0x10000);
	assert_true(text >= ORIGIN_FILE);
	assert_file_at(sym, 0x10001, ORIGIN_NO_FILE, path_of("text"));
	assert_file_at(sym, 0x10001, one, path_of("one"));
	assert_file_at(sym, 0x10001, two, path_of("two"));
	/* nor one that has been written to since, though its name and its place are the same */
	assert_int_equal(add_file_at(sym, path_of("one"), 0x10000), one);
	run("cp %s %s", path_of("two"), path_of("one"));
	two = add_file_at(sym, path_of("one"), 0x10000);
	assert_int_not_equal(one, two);
	assert_file_at(sym, 0x10001, one, path_of("one"));
	assert_file_at(sym, 0x10001, two, path_of("one"));
	assert_doubtful_at(sym, 0x10001);
	run("touch -d 2001-02-03 %s", path_of("one"));
	one = add_file_at(sym, path_of("one"), 0x10000);
	assert_int_not_equal(one, two);
	assert_file_at(sym, 0x10001, one, path_of("one"));
	/* elsewhere it is another */
	assert_int_not_equal(add_file_at(sym, path_of("one"), 0x11000), one);
	symbolizer_free(sym);
}

static void test_files_are_shared(void **state)
{
	struct symbol_frame one[SYMBOLIZE_MAX_FRAMES], two[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym = new_symbolizer(NULL);
	struct target target, second;
	int before, nr;

	(void)state;
	compile_program("shared", "-g");
	target = start_program("shared");
	second = start_program("shared");
	before = count_descriptors();
	assert_int_equal(add_process(sym, SAMPLE_KEY, target.tgid), 0);
	nr = count_descriptors();
	assert_true(nr > before);
	assert_int_equal(add_process(sym, OTHER_KEY, second.tgid), 0);
	assert_int_equal(add_process(sym, SAMPLE_KEY, target.tgid), 0);
	assert_int_equal(count_descriptors(), nr);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.outer, one), 3);
	assert_int_equal(symbolizer_lookup(sym, OTHER_KEY, second.outer, two), 3);
	assert_ptr_equal(one[1].function, two[1].function);
	stop_program(&target);
	stop_program(&second);
	symbolizer_free(sym);
	assert_int_equal(count_descriptors(), before - 2);
}

/* It went between the reading of its maps and the opening of its files; another process has the same ones. */
static void test_gone_but_known(void **state)
{
	struct symbolizer *sym = new_symbolizer(NULL);
	struct target target, second;
	struct proc_maps maps;

	(void)state;
	compile_program("known", "-g");
	target = start_program("known");
	second = start_program("known");
	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, target.tgid), 0);
	stop_program(&target);
	assert_int_equal(add_process(sym, OTHER_KEY, second.tgid), 0);
	stop_program(&second);
	assert_int_equal(symbolizer_add_process(sym, SAMPLE_KEY, target.tgid, &maps), -ESRCH);
	assert_outer(sym, &target, path_of("known"));
	proc_maps_release(&maps);
	symbolizer_free(sym);
}

/* Its names come from our own, whoever asks. */
static void test_vdso(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym = new_symbolizer(NULL);
	uint64_t start = getauxval(AT_SYSINFO_EHDR);
	void *vdso = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
	void *function = vdso ? dlsym(vdso, "clock_gettime") : NULL;

	(void)state;
	if (!start || !function)
		skip();
	assert_int_equal(add_process(sym, SAMPLE_KEY, getpid()), 0);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, (uintptr_t)function, frame), 1);
	assert_string_equal(frame[0].module, "[vdso]");
	assert_string_equal(frame[0].function, "clock_gettime");
	assert_int_equal(frame[0].offset, (uintptr_t)function - start);
	/* its header: no function */
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, start + 7, frame), 1);
	assert_string_equal(frame[0].module, "[vdso]");
	assert_string_equal(frame[0].function, "");
	assert_int_equal(frame[0].offset, 7);
	dlclose(vdso);
	symbolizer_free(sym);
}

static void test_not_demangled(void **state)
{
	struct symbolizer_options options = {.no_demangle = true};
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym;
	struct target target;

	(void)state;
	compile_program("mangled", "-g0");
	sym = symbolizer_of("mangled", &options, &target);
	assert_one(sym, target.plain, "_ZN5cache3putEi");
	assert_one(sym, target.outer, "outer");
	symbolizer_free(sym);
	compile_program("mangled", "-g");
	sym = symbolizer_of("mangled", &options, &target);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.plain, frame), 1);
	assert_string_equal(frame[0].function, "_ZN5cache3putEi");
	symbolizer_free(sym);
}

/* The address that a command prints in hex. */
static uint64_t address_from(const char *command)
{
	FILE *output = popen(command, "r");
	uint64_t address = 0;

	assert_non_null(output);
	assert_int_equal(fscanf(output, "%" SCNx64, &address), 1);
	assert_int_equal(pclose(output), 0);
	return address;
}

/* By which a program calls into libraries, in the two forms that linkers make. */
static void test_stub(void **state)
{
	static const char *const options[] = {"-g -Wl,-z,lazy -fcf-protection=none",
					      "-g0 -s -Wl,-z,now -fcf-protection=full"};
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym;
	struct target target;
	char command[256];
	uint64_t stub;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		compile_program("stub", options[i]);
		(void)snprintf(command, sizeof(command),
			       "objdump -d %s | sed -n 's/ <printf@plt>:$//p' | tail -n 1",
			       path_of("stub"));
		stub = address_from(command);
		sym = symbolizer_of("stub", NULL, &target);
		assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, stub, frame), 1);
		assert_string_equal(frame[0].function, "printf@plt");
		assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, stub + 15, frame), 1);
		assert_string_equal(frame[0].function, "printf@plt");
		symbolizer_free(sym);
	}
}

static const char library_text[] = "__attribute__((noinline)) int prime(int n) { return 7 * n; }\n"
				   "int of_library(int n) { return prime(n) + 11; }\n";

static void *load_library(const char *path, uint64_t *address)
{
	void *library = dlopen(path, RTLD_NOW);

	assert_non_null(library);
	*address = (uintptr_t)dlsym(library, "of_library");
	assert_true(*address);
	return library;
}

static void test_library_that_was_closed(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym = new_symbolizer(NULL);
	uint64_t address;
	void *library;

	(void)state;
	write_file(path_of("library.c"), library_text, sizeof(library_text) - 1);
	run("cd %s && gcc -O1 -g -shared -fPIC library.c -o library.so", sample_directory());
	library = load_library(path_of("library.so"), &address);
	assert_int_equal(add_process(sym, SAMPLE_KEY, getpid()), 0);
	assert_int_equal(dlclose(library), 0);
	assert_int_equal(unlink(path_of("library.so")), 0);
	assert_int_equal(add_process(sym, SAMPLE_KEY, getpid()), 0);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, address, frame), 1);
	assert_string_equal(frame[0].function, "of_library");
	assert_string_equal(frame[0].module, path_of("library.so"));
	assert_line(&frame[0], "/library.c", 2);
	symbolizer_free(sym);
}

/* Two files with one build id, as in two containers; and one more of the same size that has another. */
static void test_same_build_in_two_files(void **state)
{
	struct symbolizer *sym = new_symbolizer(NULL);
	struct target first, second, third;
	int before, nr, all;

	(void)state;
	compile_program("build", "-g -Wl,--build-id=0x1123581321345589");
	run("cd %s && cp build copy", sample_directory());
	compile_program("other", "-g -Wl,--build-id=0x1123581321345590");
	first = start_program("build");
	second = start_program("copy");
	third = start_program("other");
	before = count_descriptors();
	assert_int_equal(add_process(sym, SAMPLE_KEY, first.tgid), 0);
	nr = count_descriptors();
	assert_true(nr > before);
	assert_int_equal(add_process(sym, OTHER_KEY, second.tgid), 0);
	assert_int_equal(count_descriptors(), nr);
	assert_int_equal(add_process(sym, OTHER_KEY + 1, third.tgid), 0);
	all = count_descriptors();
	assert_int_equal(all, nr + 1);
	assert_outer(sym, &first, path_of("build"));
	stop_program(&first);
	stop_program(&second);
	stop_program(&third);
	symbolizer_free(sym);
}

static void test_process_is_removed(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym = new_symbolizer(NULL);
	struct target target, second;
	int before;

	(void)state;
	compile_program("removed", "-g");
	compile_program("stays", "-g");
	target = start_program("removed");
	second = start_program("stays");
	before = count_descriptors();
	assert_int_equal(add_process(sym, SAMPLE_KEY, target.tgid), 0);
	assert_int_equal(add_process(sym, OTHER_KEY, second.tgid), 0);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.outer, frame), 3);
	assert_int_equal(symbolizer_lookup(sym, OTHER_KEY, second.outer, frame), 3);
	symbolizer_remove_process(sym, 0xdead);
	symbolizer_remove_process(sym, SAMPLE_KEY);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.outer, frame), 0);
	assert_int_equal(symbolizer_lookup(sym, OTHER_KEY, second.outer, frame), 3);
	assert_string_equal(frame[2].module, path_of("stays"));
	symbolizer_remove_process(sym, OTHER_KEY);
	/* that of the vdso is for all */
	assert_in_range(count_descriptors(), before, before + 1);
	/* and may come again */
	assert_int_equal(add_process(sym, SAMPLE_KEY, target.tgid), 0);
	assert_outer(sym, &target, path_of("removed"));
	stop_program(&target);
	stop_program(&second);
	symbolizer_free(sym);
}

/* As after a fork: it has what its parent had, also when that has gone, or execs. */
static void test_process_is_copied(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym = new_symbolizer(NULL);
	struct target target, second;

	(void)state;
	compile_program("parent", "-g");
	compile_program("image", "-g");
	target = start_program("parent");
	second = start_program("image");
	assert_int_equal(symbolizer_copy_process(sym, OTHER_KEY, SAMPLE_KEY), 0);
	assert_int_equal(symbolizer_lookup(sym, OTHER_KEY, target.outer, frame), 0);
	assert_int_equal(add_process(sym, SAMPLE_KEY, target.tgid), 0);
	assert_int_equal(symbolizer_copy_process(sym, OTHER_KEY, SAMPLE_KEY), 0);
	symbolizer_remove_process(sym, SAMPLE_KEY);
	assert_int_equal(symbolizer_lookup(sym, OTHER_KEY, target.outer, frame), 3);
	assert_string_equal(frame[2].module, path_of("parent"));
	/* a second copy changes nothing */
	assert_int_equal(add_process(sym, SAMPLE_KEY, second.tgid), 0);
	assert_int_equal(symbolizer_copy_process(sym, OTHER_KEY, SAMPLE_KEY), 0);
	assert_int_equal(symbolizer_lookup(sym, OTHER_KEY, target.outer, frame), 3);
	assert_string_equal(frame[2].module, path_of("parent"));
	stop_program(&target);
	stop_program(&second);
	symbolizer_free(sym);
}

#define NR_LARGE 5
/* Of debug information in one of them, which is copied, as the files are small. */
#define LARGE_BYTES ((size_t)2 << 20)

/* Programs that do not fit together; the bound is kept after each lookup, and names come back. */
static void test_memory_is_bounded(void **state)
{
	struct symbolizer_options options = {.max_bytes = 2 * LARGE_BYTES + LARGE_BYTES / 2};
	struct symbolizer *sym = new_symbolizer(&options);
	struct target target[NR_LARGE];
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	uint64_t most = 0;
	char name[32];

	(void)state;
	compile_program("large", "-g");
	run("cd %s && head -c %zu /dev/zero >ballast && "
	    "objcopy --add-section .debug_ballast=ballast large && "
	    "objcopy --remove-section .note.gnu.build-id large",
	    sample_directory(), LARGE_BYTES);
	for (int i = 0; i < NR_LARGE; i++) {
		(void)snprintf(name, sizeof(name), "large%d", i);
		run("cd %s && cp large %s", sample_directory(), name);
		target[i] = start_program(name);
		assert_int_equal(add_process(sym, (uint32_t)i, target[i].tgid), 0);
		stop_program(&target[i]);
	}
	for (int i = 0; i < 7 * NR_LARGE; i++) {
		assert_int_equal(symbolizer_lookup(sym, (uint32_t)(i % NR_LARGE),
						   target[i % NR_LARGE].outer, frame),
				 3);
		assert_string_equal(frame[1].function, "middle");
		assert_true(symbolizer_bytes(sym) <= options.max_bytes);
		if (symbolizer_bytes(sym) > most)
			most = symbolizer_bytes(sym);
	}
	/* two of them were loaded at the same time, and counted */
	assert_true(most > 2 * LARGE_BYTES);
	symbolizer_free(sym);
}

/* One that does not fit alone has its symbols still. */
static void test_too_large_for_memory(void **state)
{
	struct symbolizer_options options = {.max_bytes = SYMBOLIZER_MIN_BYTES};
	struct symbolizer *sym;
	struct target target;

	(void)state;
	compile_program("huge", "-g");
	run("cd %s && head -c %zu /dev/zero >ballast && "
	    "objcopy --add-section .debug_ballast=ballast huge",
	    sample_directory(), (size_t)SYMBOLIZER_MIN_BYTES);
	sym = symbolizer_of("huge", &options, &target);
	assert_one(sym, target.outer, "outer");
	assert_true(symbolizer_bytes(sym) < SYMBOLIZER_MIN_BYTES);
	symbolizer_free(sym);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live_then_killed_and_deleted),
		cmocka_unit_test(test_first_lookup_after_the_end),
		cmocka_unit_test(test_deleted_before_it_was_added),
		cmocka_unit_test(test_rewritten_before_it_was_read),
		cmocka_unit_test(test_position_independent),
		cmocka_unit_test(test_other_forms_of_dwarf),
		cmocka_unit_test(test_symbols_only),
		cmocka_unit_test(test_public_name_with_dwarf),
		cmocka_unit_test(test_function_in_a_function),
		cmocka_unit_test(test_not_demangled),
		cmocka_unit_test(test_stub),
		cmocka_unit_test(test_c_library),
		cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_file_without_code),
		cmocka_unit_test(test_mappings_that_went),
		cmocka_unit_test(test_files_at_the_same_place),
		cmocka_unit_test(test_library_that_was_closed),
		cmocka_unit_test(test_files_are_shared),
		cmocka_unit_test(test_same_build_in_two_files),
		cmocka_unit_test(test_gone_but_known),
		cmocka_unit_test(test_process_is_removed),
		cmocka_unit_test(test_process_is_copied),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_too_large_for_memory),
	};

	return cmocka_run_group_tests(tests, sample_set_up, sample_tear_down);
}
