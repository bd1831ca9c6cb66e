/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Directories made here stand for /proc and /sys/fs/cgroup. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "allocfail.h"
#include "processes.h"

static char root[64];

static void path_of(char *path, size_t size, const char *name)
{
	assert_true((size_t)snprintf(path, size, "%s/%s", root, name) < size);
}

/* With all directories above it. */
static void make_file(const char *name, const char *text)
{
	char path[512], *at;
	FILE *file;

	path_of(path, sizeof(path), name);
	for (at = path + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		if (mkdir(path, 0755))
			assert_int_equal(errno, EEXIST);
		*at = '/';
	}
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/seep-processes-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static void make_processes(void)
{
	make_file("proc/1/comm", "init\n");
	make_file("proc/17/comm", "server\n");
	make_file("proc/170/comm", "server\n");
	make_file("proc/171/comm", "server2\n");
	make_file("proc/172/comm", "a server of lon\n");
	make_file("proc/173/none", "");
	make_file("proc/self/comm", "server\n");
	make_file("proc/12x/comm", "server\n");
	make_file("proc/0/comm", "server\n");
	make_file("proc/99999999999/comm", "server\n");
	make_file("proc/uptime", "1 1\n");
}

static bool has(const struct process_list *list, pid_t tgid)
{
	size_t i;

	for (i = 0; i < list->nr; i++) {
		if (list->tgid[i] == tgid)
			return true;
	}
	return false;
}

static struct process_list found(const char *comm)
{
	struct process_list list = {0};
	char proc[128];

	path_of(proc, sizeof(proc), "proc");
	assert_int_equal(processes_add_all(&list, proc, comm), 0);
	return list;
}

static void test_all(void **state)
{
	struct process_list list;

	(void)state;
	make_processes();
	list = found(NULL);
	assert_int_equal(list.nr, 6);
	assert_true(has(&list, 1));
	assert_true(has(&list, 173));
	process_list_release(&list);
	assert_int_equal(list.nr, 0);
	assert_int_equal(processes_add_all(&list, "/no/such/directory", NULL), -ENOENT);
}

static void test_by_name(void **state)
{
	struct process_list list;

	(void)state;
	make_processes();
	list = found("server");
	assert_int_equal(list.nr, 2);
	assert_true(has(&list, 17));
	assert_true(has(&list, 170));
	process_list_release(&list);
	list = found("serv");
	assert_int_equal(list.nr, 0);
	process_list_release(&list);
	/* what the kernel keeps of a long one */
	list = found("a server of long standing");
	assert_int_equal(list.nr, 1);
	assert_true(has(&list, 172));
	process_list_release(&list);
}

static void test_no_memory(void **state)
{
	struct process_list list = {0};
	char proc[128];
	bool failed = true;
	long nth;
	int err;

	(void)state;
	make_processes();
	path_of(proc, sizeof(proc), "proc");
	for (nth = 1; failed; nth++) {
		allocfail_set(nth);
		err = processes_add_all(&list, proc, "server");
		failed = allocfail_hit();
		allocfail_set(0);
		assert_int_equal(err, failed ? -ENOMEM : 0);
		process_list_release(&list);
	}
	assert_true(nth > 3);
}

static void make_cgroups(void)
{
	make_file("cg/cgroup.procs", "1\n");
	make_file("cg/a/cgroup.procs", "2\n3\n");
	make_file("cg/a/b/cgroup.procs", "4\n");
	make_file("cg/a/b/c/cgroup.procs", "");
	make_file("cg/a/b/d/cgroup.procs", "5\n6\n");
	make_file("cg/a/tasks.d/none", "");
	make_file("cg/unified/u/cgroup.procs", "7\n");
	make_file("cg/memory/m/cgroup.procs", "8\n");
	make_file("cg/memory/u/cgroup.procs", "9\n");
	make_file("cg/none/x", "");
}

/* Those of it are in list; the error otherwise. */
static int look(const char *path, struct process_list *list)
{
	struct process_cgroup cgroup = {.fd = -7};
	char cg[128];
	int err;

	path_of(cg, sizeof(cg), "cg");
	err = process_cgroup_open(cg, path, &cgroup);
	if (err) {
		assert_int_equal(cgroup.fd, -7);
		return err;
	}
	assert_false(cgroup.is_v2); /* it is on a disk */
	err = processes_add_cgroup(list, &cgroup);
	process_cgroup_close(&cgroup);
	return err;
}

static void test_cgroup(void **state)
{
	struct process_list list = {0};

	(void)state;
	make_cgroups();
	assert_int_equal(look("/a", &list), 0);
	assert_int_equal(list.nr, 5);
	assert_true(has(&list, 2));
	assert_true(has(&list, 6));
	process_list_release(&list);
	assert_int_equal(look("a/b/d", &list), 0);
	assert_int_equal(list.nr, 2);
	process_list_release(&list);
	assert_int_equal(look("/a/b/c", &list), 0);
	assert_int_equal(list.nr, 0);
}

static void test_cgroup_by_its_directory(void **state)
{
	struct process_list list = {0};
	char path[128];

	(void)state;
	make_cgroups();
	path_of(path, sizeof(path), "cg/memory/u");
	assert_int_equal(look(path, &list), 0);
	assert_int_equal(list.nr, 1);
	assert_true(has(&list, 9));
	process_list_release(&list);
	path_of(path, sizeof(path), "cg/none");
	assert_int_equal(look(path, &list), -ENOTDIR);
	path_of(path, sizeof(path), "cg/nothing");
	assert_int_equal(look(path, &list), -ENOENT);
}

/* Of the hierarchies that are mounted, that of version 2 goes first. */
static void test_cgroup_of_any_hierarchy(void **state)
{
	struct process_list list = {0};

	(void)state;
	make_cgroups();
	assert_int_equal(look("/u", &list), 0);
	assert_int_equal(list.nr, 1);
	assert_true(has(&list, 7));
	process_list_release(&list);
	assert_int_equal(look("/m", &list), 0);
	assert_true(has(&list, 8));
	process_list_release(&list);
	assert_int_equal(look("/n", &list), -ENOENT);
	assert_int_equal(look("/none/x", &list), -ENOENT);
}

static void parsed(const char *text, const char *expected)
{
	char copy[512], path[16] = "?";

	snprintf(copy, sizeof(copy), "%s", text);
	process_cgroup_parse(copy, path, sizeof(path));
	assert_string_equal(path, expected);
}

static void test_cgroup_of_a_process(void **state)
{
	(void)state;
	parsed("0::/user/x\n", "/user/x");
	parsed("0::/user/x", "/user/x");
	parsed("0::/\n", "/");
	parsed("4:memory:/m\n1:name=systemd:/s\n0::/u\n", "/u");
	parsed("4:memory:/m\n1:name=systemd:/s\n0::/\n", "/s");
	parsed("4:memory:/m\n1:name=systemd:/\n0::/\n", "/m");
	parsed("4:memory:/with:colon\n", "/with:colon");
	parsed("", "");
	parsed("nonsense\n1:x\n", "");
	parsed("0::/far/too/long/to/be/kept\n4:cpu:/c\n", "/c");
}

static void test_own_cgroup(void **state)
{
	char path[4096] = "?";

	(void)state;
	assert_int_equal(process_cgroup_read(getpid(), path, sizeof(path)), 0);
	assert_string_not_equal(path, "?");
	assert_int_equal(process_cgroup_read(0x7fffffff, path, sizeof(path)), -ESRCH);
}

#define case_of(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		case_of(test_all),
		case_of(test_by_name),
		case_of(test_no_memory),
		case_of(test_cgroup),
		case_of(test_cgroup_by_its_directory),
		case_of(test_cgroup_of_any_hierarchy),
		case_of(test_cgroup_of_a_process),
		case_of(test_own_cgroup),
	};

	return cmocka_run_group_tests_name("processes", tests, NULL, NULL);
}
