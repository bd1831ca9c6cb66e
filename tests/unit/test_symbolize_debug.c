/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where symbols and debug information are found, when they are not in the program itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "sample_program.h"
#include "symbolize.h"

#define BUILD_ID "0x1123581321345589144233377610987159725844"
#define BUILD_ID_PATH ".build-id/11/23581321345589144233377610987159725844"

/* A program "found" without names, and "debug" with all of them, of one build. */
static void make_found(void)
{
	make_split("found", "-g -Wl,--build-id=" BUILD_ID);
	run("cd %s && objcopy --remove-section .gnu_debuglink found && mv found.debug debug",
	    sample_directory());
}

static void assert_found(const struct symbolizer_options *options, bool has_names)
{
	struct target target;
	struct symbolizer *sym = symbolizer_of("found", options, &target);

	if (has_names)
		assert_outer(sym, &target, path_of("found"));
	else
		assert_one(sym, target.outer, "");
	symbolizer_free(sym);
}

static void test_debug_directories(void **state)
{
	char *first = strdup(path_of("first")), *second = strdup(path_of("second"));
	const char *const dir[] = {"/nonexistent", first, second};
	struct symbolizer_options options = {.debug_dir = dir, .nr_debug_dirs = 3};

	(void)state;
	make_found();
	assert_found(&options, false);
	run("cd %s && mkdir -p second/.build-id/11 && cp debug second/" BUILD_ID_PATH ".debug",
	    sample_directory());
	assert_found(NULL, false);
	assert_found(&options, true);
	/* another build's file in the place that is looked at first is passed over */
	make_split("other", "-g -O1 -Wl,--build-id=0x1123");
	run("cd %s && mkdir -p first/.build-id/11 && cp other.debug first/" BUILD_ID_PATH ".debug",
	    sample_directory());
	assert_found(&options, true);
	run("cd %s && rm -r first second", sample_directory());
	free(first);
	free(second);
}

/* Below a debug directory stands the whole path of the program. */
static void test_link_in_debug_directory(void **state)
{
	char *links = strdup(path_of("links"));
	const char *const dir[] = {links};
	struct symbolizer_options options = {.debug_dir = dir, .nr_debug_dirs = 1};
	struct symbolizer *sym;
	struct target target;

	(void)state;
	make_split("far", "-g -Wl,--build-id=none");
	run("cd %s && mkdir -p links%s && mv far.debug links%s/", sample_directory(),
	    sample_directory(), sample_directory());
	sym = symbolizer_of("far", NULL, &target);
	assert_one(sym, target.outer, "");
	symbolizer_free(sym);
	sym = symbolizer_of("far", &options, &target);
	assert_outer(sym, &target, path_of("far"));
	symbolizer_free(sym);
	free(links);
}

static void test_sysroot(void **state)
{
	char *sysroot = strdup(path_of("sysroot"));
	struct symbolizer_options options = {.sysroot = sysroot};
	struct symbolizer *sym;
	struct target target;

	(void)state;
	make_found();
	run("cd %s && mkdir -p sysroot/usr/lib/debug/.build-id/11", sample_directory());
	assert_found(&options, false);
	run("cd %s && cp debug sysroot/usr/lib/debug/" BUILD_ID_PATH ".debug", sample_directory());
	assert_found(&options, true);

	make_split("beside", "-g -Wl,--build-id=none");
	run("cd %s && mkdir -p sysroot%s && mv beside.debug sysroot%s/", sample_directory(),
	    sample_directory(), sample_directory());
	sym = symbolizer_of("beside", &options, &target);
	assert_outer(sym, &target, path_of("beside"));
	symbolizer_free(sym);

	free(sysroot);
	options.sysroot = "/nonexistent";
	assert_int_equal(symbolizer_new(&options, &sym), -ENOENT);
}

/* What is in its root is found there, also once it has gone. */
static void test_other_root(void **state)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	struct symbolizer *sym;
	struct target target;

	(void)state;
	if (geteuid() != 0)
		skip();
	make_split("contained", "-g -static -Wl,--build-id=" BUILD_ID);
	run("cd %s && mkdir -p jail/usr/lib/debug/.build-id/11 jail/bin && cp contained jail/bin/ "
	    "&& "
	    "mv contained.debug jail/usr/lib/debug/" BUILD_ID_PATH ".debug",
	    sample_directory());
	target = start_in_root("jail", "/bin/contained");
	sym = new_symbolizer(NULL);
	assert_int_equal(add_process(sym, SAMPLE_KEY, target.tgid), 0);
	stop_program(&target);
	assert_int_equal(symbolizer_lookup(sym, SAMPLE_KEY, target.outer, frame), 3);
	assert_string_equal(frame[2].function, "outer");
	assert_line(&frame[2], "/program.c", 309);
	symbolizer_free(sym);

	/* a link that leads out of it as we see it leads nowhere as it does */
	run("cd %s && mv jail/usr/lib/debug/" BUILD_ID_PATH ".debug debug.outside && "
	    "ln -s %s/debug.outside jail/usr/lib/debug/" BUILD_ID_PATH ".debug",
	    sample_directory(), sample_directory());
	target = start_in_root("jail", "/bin/contained");
	sym = new_symbolizer(NULL);
	assert_int_equal(add_process(sym, SAMPLE_KEY, target.tgid), 0);
	stop_program(&target);
	assert_one(sym, target.outer, "");
	symbolizer_free(sym);
}

static void test_separate_debug_file(void **state)
{
	struct symbolizer *sym;
	struct target target;
	FILE *file;

	(void)state;
	make_split("split", "-g -Wl,--build-id=sha1");
	sym = symbolizer_of("split", NULL, &target);
	assert_outer(sym, &target, path_of("split"));
	symbolizer_free(sym);

	make_split("linked", "-g -Wl,--build-id=none");
	sym = symbolizer_of("linked", NULL, &target);
	assert_outer(sym, &target, path_of("linked"));
	symbolizer_free(sym);

	run("cd %s && mkdir -p .debug && mv linked.debug .debug/", sample_directory());
	sym = symbolizer_of("linked", NULL, &target);
	assert_outer(sym, &target, path_of("linked"));
	symbolizer_free(sym);

	/* one byte more, and it is not the file that was linked to */
	file = fopen(path_of(".debug/linked.debug"), "a");
	assert_non_null(file);
	assert_int_equal(fputc('x', file), 'x');
	assert_int_equal(fclose(file), 0);
	sym = symbolizer_of("linked", NULL, &target);
	assert_one(sym, target.outer, "");
	symbolizer_free(sym);

	/* another build's debug file: its build id differs */
	make_split("other", "-g -DOTHER -O1 -Wl,--build-id=sha1");
	run("cd %s && cp other.debug split.debug", sample_directory());
	sym = symbolizer_of("split", NULL, &target);
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
	run("cd %s && rm fifo.debug && mkfifo fifo.debug", sample_directory());
	sym = symbolizer_of("fifo", NULL, &target);
	assert_one(sym, target.outer, "");
	symbolizer_free(sym);
}

/* The symbols alone, packed, in a program that has no others. */
static void make_mini(const char *name, const char *pack)
{
	compile_program(name, "-g");
	run("cd %s && objcopy --only-keep-debug %s mini && strip --strip-debug mini && %s && "
	    "strip %s && objcopy --add-section .gnu_debugdata=mini.xz %s",
	    sample_directory(), name, pack, name, name);
}

static void test_mini_debug_information(void **state)
{
	struct symbolizer *sym;
	struct target target;

	(void)state;
	make_mini("mini_sound", "xz -f mini");
	sym = symbolizer_of("mini_sound", NULL, &target);
	assert_one(sym, target.outer, "outer");
	assert_one(sym, target.plain, "cache::put");
	symbolizer_free(sym);

	make_mini("mini_cut", "xz -f mini && truncate -s -61 mini.xz");
	sym = symbolizer_of("mini_cut", NULL, &target);
	assert_one(sym, target.outer, "");
	symbolizer_free(sym);

	/* zeros pack well */
	make_mini("mini_bomb", "truncate -s 300M mini && xz -0 -f mini");
	sym = symbolizer_of("mini_bomb", NULL, &target);
	assert_one(sym, target.outer, "");
	assert_true(symbolizer_bytes(sym) < (1 << 20));
	symbolizer_free(sym);
}

/* What two programs have in common, in a third file. */
static void test_common_file(void **state)
{
	struct symbolizer *sym;
	struct target target;

	(void)state;
	compile_program("dwz_one", "-g");
	compile_program("dwz_two", "-g -DTWO");
	run("cd %s && dwz -m dwz_common -M %s/dwz_common dwz_one dwz_two && readelf -S dwz_one | "
	    "grep -q gnu_debugaltlink",
	    sample_directory(), sample_directory());
	sym = symbolizer_of("dwz_one", NULL, &target);
	assert_outer(sym, &target, path_of("dwz_one"));
	symbolizer_free(sym);
	/* without it the rest means nothing, but symbols do */
	run("cd %s && rm dwz_common", sample_directory());
	sym = symbolizer_of("dwz_one", NULL, &target);
	assert_one(sym, target.outer, "outer");
	symbolizer_free(sym);
}

struct server {
	pid_t tgid;
	char url[64];
};

static struct server start_server(void)
{
	static const char script[] =
		"import functools, http.server as h\n"
		"class Q(h.SimpleHTTPRequestHandler):\n"
		"    def log_message(self, *a): pass\n"
		"s = h.HTTPServer(('127.0.0.1', 0), functools.partial(Q, directory='served'))\n"
		"print(s.server_port, flush=True)\n"
		"s.serve_forever()\n";
	struct server server;
	int from[2], port;
	char text[16];
	ssize_t nr;

	assert_int_equal(pipe(from), 0);
	server.tgid = fork();
	assert_true(server.tgid >= 0);
	if (!server.tgid) {
		dup2(from[1], 1);
		if (!chdir(sample_directory()))
			execlp("python3", "python3", "-c", script, (char *)NULL);
		_exit(127);
	}
	close(from[1]);
	nr = read(from[0], text, sizeof(text) - 1);
	assert_true(nr > 0);
	text[nr] = '\0';
	close(from[0]);
	port = atoi(text);
	(void)snprintf(server.url, sizeof(server.url), "http://127.0.0.1:%d", port);
	return server;
}

static void stop_server(const struct server *server)
{
	assert_int_equal(kill(server->tgid, SIGKILL), 0);
	assert_int_equal(waitpid(server->tgid, NULL, 0), server->tgid);
}

static void test_server(void **state)
{
	struct symbolizer_options options = {.debuginfod = true};
	struct server server;

	(void)state;
	make_found();
	run("cd %s && mkdir -p served/buildid/%s && cp debug served/buildid/%s/debuginfo",
	    sample_directory(), &BUILD_ID[2], &BUILD_ID[2]);
	server = start_server();
	setenv("DEBUGINFOD_URLS", server.url, 1);
	setenv("DEBUGINFOD_CACHE_PATH", path_of("cache"), 1);
	/* not without being asked */
	assert_found(NULL, false);
	assert_found(&options, true);
	stop_server(&server);
	/* from the cache */
	assert_found(&options, true);
	/* nobody answers, and another build's file is in the cache */
	make_split("other", "-g -O1 -Wl,--build-id=0x1123");
	run("cd %s && cp other.debug cache/%s/debuginfo", sample_directory(), &BUILD_ID[2]);
	assert_found(&options, false);
	run("cd %s && rm -r cache", sample_directory());
	assert_found(&options, false);
	unsetenv("DEBUGINFOD_URLS");
	assert_found(&options, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_separate_debug_file),
		cmocka_unit_test(test_debug_file_is_a_fifo),
		cmocka_unit_test(test_debug_directories),
		cmocka_unit_test(test_link_in_debug_directory),
		cmocka_unit_test(test_sysroot),
		cmocka_unit_test(test_other_root),
		cmocka_unit_test(test_mini_debug_information),
		cmocka_unit_test(test_common_file),
		cmocka_unit_test(test_server),
	};

	return cmocka_run_group_tests(tests, sample_set_up, sample_tear_down);
}
