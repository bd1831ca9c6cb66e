/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths that try to leave the directory that stands for "/". */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "rootdir.h"

static char directory[] = "/tmp/seep_rootdir.XXXXXX";

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

static struct rootdir *open_root(void)
{
	struct rootdir *root;
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/root", directory);
	assert_int_equal(rootdir_open(path, &root), 0);
	return root;
}

/* The first byte of the file; or a negative errno. */
static int read_in(const struct rootdir *root, const char *path, bool nofollow)
{
	int fd = rootdir_open_file(root, path, nofollow);
	char byte;

	if (fd < 0)
		return fd;
	if (read(fd, &byte, 1) != 1)
		byte = '\0';
	close(fd);
	return byte;
}

static void test_paths(void **state)
{
	struct rootdir *root = open_root();

	(void)state;
	assert_int_equal(read_in(root, "/a/in", false), 'i');
	assert_int_equal(read_in(root, "//a//in", false), 'i');
	assert_int_equal(read_in(root, "a/in", false), -EINVAL);
	assert_int_equal(read_in(root, "/a/none", false), -ENOENT);
	assert_int_equal(read_in(root, "/a", false), -ENOTSUP);
	assert_int_equal(read_in(root, "/fifo", false), -ENOTSUP);
	/* all of these lead out of it for those who have another root */
	assert_int_equal(read_in(root, "/../out", false), -ENOENT);
	assert_int_equal(read_in(root, "/../a/in", false), 'i');
	assert_int_equal(read_in(root, "/absolute", false), 'i');
	assert_int_equal(read_in(root, "/up", false), -ENOENT);
	assert_int_equal(read_in(root, "/up_directory/out", false), -ENOENT);
	assert_int_equal(read_in(root, "/loop", false), -ELOOP);
	assert_int_equal(read_in(root, "/absolute", true), -ENOTSUP);
	assert_int_equal(read_in(root, "/to_a/in", true), 'i');
	rootdir_put(root);
}

static void test_own_root(void **state)
{
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/out", directory);
	assert_int_equal(read_in(NULL, path, false), 'o');
	(void)snprintf(path, sizeof(path), "%s/root/up", directory);
	assert_int_equal(read_in(NULL, path, false), 'o');
	assert_int_equal(read_in(NULL, path, true), -ENOTSUP);
	assert_int_equal(read_in(NULL, "tmp", false), -EINVAL);
}

static void test_of_processes(void **state)
{
	struct rootdir *root = open_root(), *other = open_root(), *own;

	(void)state;
	assert_int_equal(rootdir_open_process(getpid(), &own), 0);
	assert_null(own);
	assert_int_equal(rootdir_open_process(INT32_MAX, &own), -ESRCH);
	assert_true(rootdir_is_same(root, other));
	assert_true(rootdir_is_same(NULL, NULL));
	assert_false(rootdir_is_same(root, NULL));
	assert_int_equal(rootdir_open("/nonexistent", &own), -ENOENT);
	assert_ptr_equal(rootdir_get(root), root);
	rootdir_put(root);
	assert_int_equal(read_in(root, "/a/in", false), 'i');
	rootdir_put(root);
	rootdir_put(other);
	assert_null(rootdir_get(NULL));
	rootdir_put(NULL);
}

/* As in a sandbox whose filter is older than the call. */
static bool forbid_openat2(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = filter};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int count_wrong(const struct rootdir *root)
{
	static const struct {
		const char *path;
		int result;
	} expected[] = {
		{"/a/in", 'i'},		{"//a//in", 'i'},	  {"/a/none", -ENOENT},
		{"/a", -ENOTSUP},	{"/a/in/more", -ENOTDIR}, {"/../out", -EXDEV},
		{"/a/../a/in", -EXDEV}, {"/absolute", -ENOTSUP},  {"/up_directory/out", -ENOTDIR},
		{"/to_a/in", -ENOTDIR},
	};
	int nr = 0;

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		int result = read_in(root, expected[i].path, false);

		if (result == expected[i].result)
			continue;
		fprintf(stderr, "%s: %d, not %d\n", expected[i].path, result, expected[i].result);
		nr++;
	}
	return nr;
}

static void test_without_openat2(void **state)
{
	struct rootdir *root = open_root();
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (!child)
		_exit(forbid_openat2() ? count_wrong(root) : 77);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	rootdir_put(root);
}

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(directory));
	run("cd %s && mkdir -p root/a && echo inside >root/a/in && echo outside >out && cd root && "
	    "ln -s /a/in absolute && ln -s ../out up && ln -s .. up_directory && ln -s a to_a && "
	    "ln -s loop loop && mkfifo fifo",
	    directory);
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
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_own_root),
		cmocka_unit_test(test_of_processes),
		cmocka_unit_test(test_without_openat2),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
