/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "allocfail.h"
#include "array.h"
#include "proc.h"
#include "strbuf.h"

#define PAGES 1009

/* --- one process ---------------------------------------------------------------------------------------------- */

static void test_ourselves(void **state)
{
	struct proc_info info;

	(void)state;
	assert_int_equal(prctl(PR_SET_NAME, "a) S 1 (\n b"), 0);
	assert_int_equal(proc_read_info(getpid(), &info), 0);
	assert_int_equal(prctl(PR_SET_NAME, "test_proc"), 0);
	assert_int_equal(info.tgid, getpid());
	assert_string_equal(info.comm, "a) S 1 (\n b");
	assert_int_equal(info.state, 'R');
	assert_int_equal(info.nr_threads, 1);
	assert_true(info.start_ticks > 0);
	assert_false(info.is_kernel_thread);
	assert_int_equal(info.is_32bit, sizeof(void *) == 4);
	assert_int_equal(info.seccomp, prctl(PR_GET_SECCOMP));
}

static void test_counters(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct proc_info before, after;
	char *memory;

	(void)state;
	memory = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	(void)madvise(memory, PAGES * page, MADV_NOHUGEPAGE); /* may be unknown to the kernel */
	assert_int_equal(proc_read_info(getpid(), &before), 0);
	for (size_t i = 0; i < PAGES; i++)
		memory[i * page] = 1;
	/* processor time is told in ticks */
	do
		assert_int_equal(proc_read_info(getpid(), &after), 0);
	while (after.cpu_ns == before.cpu_ns);
	assert_true(after.minor_faults >= before.minor_faults + PAGES);
	assert_true(after.major_faults >= before.major_faults);
	assert_true(after.cpu_ns > before.cpu_ns);
	assert_int_equal(after.cpu_ns % proc_ticks_to_ns(1), 0);
	assert_int_equal(after.start_ticks, before.start_ticks);
	munmap(memory, PAGES * page);
}

struct thread {
	pthread_barrier_t barrier;
	pid_t tid;
};

static void *wait_twice(void *arg)
{
	struct thread *thread = arg;

	thread->tid = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&thread->barrier);
	pthread_barrier_wait(&thread->barrier);
	return NULL;
}

static void test_a_thread_is_no_process(void **state)
{
	struct proc_info info;
	struct thread thread;
	pthread_t id;

	(void)state;
	assert_int_equal(pthread_barrier_init(&thread.barrier, NULL, 2), 0);
	assert_int_equal(pthread_create(&id, NULL, wait_twice, &thread), 0);
	pthread_barrier_wait(&thread.barrier);
	assert_int_equal(proc_read_info(getpid(), &info), 0);
	assert_int_equal(info.nr_threads, 2);
	assert_int_equal(proc_read_info(thread.tid, &info), -ESRCH);
	assert_int_equal(info.tgid, getpid());
	pthread_barrier_wait(&thread.barrier);
	assert_int_equal(pthread_join(id, NULL), 0);
	pthread_barrier_destroy(&thread.barrier);
}

static void test_zombie_and_gone(void **state)
{
	struct proc_info info = {.tgid = 7};
	struct proc_maps maps;
	siginfo_t end;
	char path[256];
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (!child)
		_exit(0);
	proc_maps_init(&maps);
	assert_int_equal(waitid(P_PID, (id_t)child, &end, WEXITED | WNOWAIT), 0);
	assert_int_equal(proc_read_info(child, &info), 0);
	assert_int_equal(info.state, 'Z');
	assert_int_equal(proc_read_exe(child, path, sizeof(path)), -ENOENT);
	assert_int_equal(waitpid(child, NULL, 0), child);
	info.tgid = 7;
	assert_int_equal(proc_read_info(child, &info), -ESRCH);
	assert_int_equal(info.tgid, 7);
	assert_int_equal(proc_read_exe(child, path, sizeof(path)), -ESRCH);
	assert_int_equal(proc_maps_read(&maps, child), -ESRCH);
	assert_int_equal(proc_read_info(0, &info), -ESRCH);
	assert_int_equal(proc_read_info(-1, &info), -ESRCH);
}

/* --- guards --------------------------------------------------------------------------------------------------- */

static struct proc_guards parse_guards(const char *status)
{
	struct proc_guards guards = {0};

	proc_parse_guards(status, &guards);
	return guards;
}

static void test_no_guards(void **state)
{
	static const char *const texts[] = {
		"",
		"Name:\tSeccomp: "
		"2\\nSeccomp:\t2\nTracerPid:\t0\nSeccomp:\t0\nSeccomp_filters:\t2\n",
		"Name:\tx\nx86_Thread_features:\t\nx86_Thread_features_locked:\tshstk wrss \n",
		"Name:\tx\nx86_Thread_features:\tshstk2 wrss\nSeccomp:\t3\n",
		"Name:\tx\nx86_Thread_features:\twrss\nshstk:\tshstk\n",
		"Name:\tx\nSeccomp:\t\n2\n",
		"Name:\tx\nSeccomp:\t2x\n",
	};
	static const struct proc_guards none;
	struct proc_guards guards;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		guards = parse_guards(texts[i]);
		assert_memory_equal(&guards, &none, sizeof(none));
	}
}

static void test_guards(void **state)
{
	struct proc_guards guards;

	(void)state;
	guards = parse_guards("Name:\tx\nSeccomp:\t1\n");
	assert_true(guards.seccomp_strict && !guards.seccomp_filter && !guards.shadow_stack);
	guards = parse_guards("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t7\n");
	assert_true(!guards.seccomp_strict && guards.seccomp_filter && !guards.shadow_stack);
	guards = parse_guards("Name:\tx\nx86_Thread_features:\tshstk \n");
	assert_true(!guards.seccomp_strict && !guards.seccomp_filter && guards.shadow_stack);
	guards = parse_guards("Name:\tx\nx86_Thread_features:\twrss shstk\n");
	assert_true(guards.shadow_stack);
	guards = parse_guards("Name:\tx\nTracerPid:\t30011\nSeccomp:\t0\n");
	assert_int_equal(guards.tracer_tid, 30011);
	/* a thread without any takes nothing away */
	guards = parse_guards("TracerPid:\t30011\nSeccomp:\t2\nx86_Thread_features:\tshstk\n");
	proc_parse_guards("TracerPid:\t0\nSeccomp:\t1\nx86_Thread_features:\t\n", &guards);
	assert_true(guards.seccomp_strict && guards.seccomp_filter && guards.shadow_stack);
	assert_int_equal(guards.tracer_tid, 30011);
}

/* It ends with its process. */
static void *hide_in_seccomp(void *arg)
{
	int told = *(const int *)arg;
	char byte;

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) || write(told, "s", 1) != 1)
		_exit(1);
	for (;;)
		(void)!read(told, &byte, 1);
	return NULL;
}

/* A child of ours, one of whose threads is under seccomp. */
static pid_t start_guarded(void)
{
	int end[2];
	pthread_t id;
	pid_t child;
	char byte;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, end), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_NAME, "guarded") ||
		    pthread_create(&id, NULL, hide_in_seccomp, &end[1]))
			_exit(1);
		for (;;)
			pause();
	}
	close(end[1]);
	assert_int_equal(read(end[0], &byte, 1), 1);
	close(end[0]);
	return child;
}

static void test_guards_of_a_thread(void **state)
{
	struct proc_guards guards, before;
	struct proc_info info;
	pid_t child = start_guarded();
	char comm[16], small[5];

	(void)state;
	assert_int_equal(proc_read_info(child, &info), 0);
	assert_int_equal(info.seccomp, 0);
	assert_int_equal(proc_read_guards(child, &guards), 0);
	assert_true(guards.seccomp_strict);
	assert_false(guards.seccomp_filter);
	assert_int_equal(guards.tracer_tid, 0);
	assert_int_equal(proc_read_comm(child, comm, sizeof(comm)), 0);
	assert_string_equal(comm, "guarded");
	assert_int_equal(proc_read_comm(child, small, sizeof(small)), 0);
	assert_string_equal(small, "guar");
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	before = guards;
	assert_int_equal(proc_read_guards(child, &guards), -ESRCH);
	assert_memory_equal(&guards, &before, sizeof(guards));
	assert_int_equal(proc_read_comm(child, comm, sizeof(comm)), -ESRCH);
}

static void test_tracer(void **state)
{
	struct proc_guards guards;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (!child) {
		for (;;)
			pause();
	}
	assert_int_equal(proc_read_guards(child, &guards), 0);
	assert_int_equal(guards.tracer_tid, 0);
	assert_int_equal(ptrace(PTRACE_SEIZE, child, NULL, NULL), 0);
	assert_int_equal(proc_read_guards(child, &guards), 0);
	assert_int_equal(guards.tracer_tid, getpid());
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* --- others --------------------------------------------------------------------------------------------------- */

static void test_kernel_thread(void **state)
{
	struct proc_info info;
	struct proc_maps maps;
	char path[256];
	int error;

	(void)state;
	/* in a PID namespace of its own there may be none */
	if (proc_read_info(2, &info) || strcmp(info.comm, "kthreadd") != 0)
		return;
	assert_true(info.is_kernel_thread);
	/* who may not trace it is not even told that */
	error = proc_read_exe(2, path, sizeof(path));
	assert_true(error == -ENOENT || error == -EACCES);
	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, 2), 0);
	assert_int_equal(maps.nr, 0);
}

static void test_exe(void **state)
{
	char path[4096], expected[4096] = {0}, small[4] = "abc";

	(void)state;
	assert_true(readlink("/proc/self/exe", expected, sizeof(expected) - 1) > 4);
	assert_int_equal(proc_read_exe(getpid(), path, sizeof(path)), 0);
	assert_string_equal(path, expected);
	assert_int_equal(proc_read_exe(getpid(), small, sizeof(small)), -ENAMETOOLONG);
	assert_string_equal(small, "abc");
	assert_int_equal(proc_read_exe(getpid(), path, strlen(expected)), -ENAMETOOLONG);
	assert_int_equal(proc_read_exe(getpid(), path, strlen(expected) + 1), 0);
}

static void test_ticks(void **state)
{
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

	(void)state;
	assert_int_equal(proc_ticks_to_ns(0), 0);
	assert_int_equal(proc_ticks_to_ns(hz), 1000000000);
	assert_int_equal(proc_ticks_to_ns(hz * 100000000007), UINT64_C(100000000007) * 1000000000);
}

/* --- the text of maps ------------------------------------------------------------------------------------------ */

static int parse(struct proc_maps *maps, const char *text)
{
	return proc_maps_parse(maps, text, strlen(text));
}

static void test_parse(void **state)
{
	static const char text[] =
		"5570c0000000-5570c0001000 r-xp 00002000 fd:01 131 /usr/bin/a b  c\n"
		"5570c0001000-5570c0003000 rw-s 00000000 00:05 1031                       "
		"/dev/zero (deleted)\n"
		"7f0000000000-7f0000001000 ---p 00000000 00:00 0 \n"
		"7f0000001000-7f0000002000 r--p 00000000 00:00 0\n"
		"7f0000003000-7f0000004000 r--p fffffffffffff000 ffffffff:fffff "
		"18446744073709551615 /new\\012line\n"
		"7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0                          [vdso]\n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  "
		"[vsyscall]\n";
	struct proc_maps maps;

	(void)state;
	proc_maps_init(&maps);
	assert_int_equal(parse(&maps, text), 0);
	assert_int_equal(maps.nr, 7);
	assert_int_equal(maps.item[0].start, 0x5570c0000000);
	assert_int_equal(maps.item[0].end, 0x5570c0001000);
	assert_int_equal(maps.item[0].file_offset, 0x2000);
	assert_int_equal(maps.item[0].dev_major, 0xfd);
	assert_int_equal(maps.item[0].dev_minor, 1);
	assert_int_equal(maps.item[0].inode, 131);
	assert_true(maps.item[0].exec && !maps.item[0].write && !maps.item[0].shared);
	assert_string_equal(maps.item[0].path, "/usr/bin/a b  c");
	assert_true(!maps.item[1].exec && maps.item[1].write && maps.item[1].shared);
	assert_string_equal(maps.item[1].path, "/dev/zero (deleted)");
	assert_string_equal(maps.item[2].path, "");
	assert_string_equal(maps.item[3].path, "");
	assert_int_equal(maps.item[4].file_offset, UINT64_C(0xfffffffffffff000));
	assert_int_equal(maps.item[4].dev_major, UINT32_MAX);
	assert_int_equal(maps.item[4].inode, UINT64_MAX);
	assert_string_equal(maps.item[4].path, "/new\\012line");
	assert_string_equal(maps.item[5].path, "[vdso]");
	assert_int_equal(maps.item[6].end, UINT64_C(0xffffffffff601000));
	proc_maps_release(&maps);
	assert_int_equal(maps.nr, 0);
}

/* Told a page at a time: a mapping grew, and one melted into the two before, while nobody held them still. */
static void test_changed_while_it_is_read(void **state)
{
	static const char text[] = "1000-2000 r-xp 0 fd:01 7 /a\n"
				   "3000-5000 rw-p 0 00:00 0\n"
				   "4000-7000 r-xp 0 fd:01 11 /b\n"
				   "8000-9000 rw-p 0 fd:01 13 /c\n"
				   "9000-a000 rw-p 0 fd:01 13 /c\n"
				   "8000-b000 rw-p 0 00:00 0\n";
	struct proc_maps maps;

	(void)state;
	proc_maps_init(&maps);
	assert_int_equal(parse(&maps, text), 0);
	assert_int_equal(maps.nr, 4);
	assert_int_equal(maps.item[1].start, 0x3000);
	assert_int_equal(maps.item[1].end, 0x4000);
	assert_int_equal(maps.item[2].start, 0x4000);
	assert_string_equal(maps.item[2].path, "/b");
	assert_int_equal(maps.item[3].start, 0x8000);
	assert_int_equal(maps.item[3].end, 0xb000);
	proc_maps_release(&maps);
}

static void test_malformed(void **state)
{
	static const char *const text[] = {
		"\n",
		"x",
		"1000-2000 r-xp 0 fd:01 7 /no/newline",
		"1000-2000 r-xp 0 fd:01 7 /a\n\n",
		"1000 2000 r-xp 0 fd:01 7 /a\n",
		"-2000 r-xp 0 fd:01 7 /a\n",
		"1000-2000r-xp 0 fd:01 7 /a\n",
		"1000-2000 r-x 0 fd:01 7 /a\n",
		"1000-2000 r-xq 0 fd:01 7 /a\n",
		"1000-2000 xr-p 0 fd:01 7 /a\n",
		"1000-2000 r-",
		"1000-2000 r-xp g fd:01 7 /a\n",
		"1000-2000 r-xp 0 fd01 7 /a\n",
		"1000-2000 r-xp 0 100000000:01 7 /a\n",
		"1000-2000 r-xp 0 fd:100000000 7 /a\n",
		"1000-2000 r-xp 0 fd:01 f /a\n",
		"1000-2000 r-xp 0 fd:01 7/a\n",
		"1000-2000 r-xp 0 fd:01 18446744073709551616 /a\n",
		"1000-10000000000000000 r-xp 0 fd:01 7 /a\n",
		"1000-1000 r-xp 0 fd:01 7 /a\n",
		"2000-1000 r-xp 0 fd:01 7 /a\n",
		" 1000-2000 r-xp 0 fd:01 7 /a\n",
		"+1000-2000 r-xp 0 fd:01 7 /a\n",
		"0x1000-0x2000 r-xp 0 fd:01 7 /a\n",
	};
	static const char nul[] = "1000-2000 r-xp 0 fd:01 7 /a\0b\n";
	struct proc_maps maps;

	(void)state;
	proc_maps_init(&maps);
	assert_int_equal(parse(&maps, "1000-2000 r-xp 0 fd:01 7 /kept\n"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
		if (parse(&maps, text[i]) != -EINVAL)
			fail_msg("taken: %s", text[i]);
	}
	assert_int_equal(proc_maps_parse(&maps, nul, sizeof(nul) - 1), -EINVAL);
	assert_int_equal(maps.nr, 1);
	assert_string_equal(maps.item[0].path, "/kept");
	assert_int_equal(parse(&maps, ""), 0);
	assert_int_equal(maps.nr, 0);
	proc_maps_release(&maps);
}

static void add_lines(struct strbuf *text, int from, int to)
{
	for (int i = from; i < to; i++)
		strbuf_printf(text, "%x000-%x000 r-xp 00000000 00:00 0 \n", 2 * i + 1, 2 * i + 2);
}

static void test_too_many(void **state)
{
	struct strbuf text = {0};
	struct proc_maps maps;

	(void)state;
	proc_maps_init(&maps);
	add_lines(&text, 0, PROC_MAX_MAPPINGS);
	assert_int_equal(parse(&maps, text.text), 0);
	assert_int_equal(maps.nr, PROC_MAX_MAPPINGS);
	add_lines(&text, PROC_MAX_MAPPINGS, PROC_MAX_MAPPINGS + 1);
	assert_int_equal(parse(&maps, text.text), -E2BIG);
	assert_int_equal(maps.nr, PROC_MAX_MAPPINGS);
	proc_maps_release(&maps);
	strbuf_release(&text);
}

/* Of a file that is mapped again and again, between others, the first counts. */
static void test_code_files(void **state)
{
	struct strbuf text = {0};
	struct proc_maps maps;
	size_t *index, nr;
	int error;

	(void)state;
	proc_maps_init(&maps);
	assert_int_equal(proc_maps_code_files(&maps, &index, &nr), 0);
	assert_int_equal(nr, 0);
	free(index);
	strbuf_puts(&text, "100-200 r-xp 0 00:00 0 \n200-300 r--p 0 fd:01 7 /data\n"
			   "300-400 r-xp 0 fd:01 7 /a\n400-500 r-xp 0 fd:02 7 /b\n"
			   "500-600 r-xp 0 fe:01 7 /c\n600-700 r-xp 0 fd:01 8 /d\n");
	for (int i = 1; i <= 60000; i++)
		strbuf_printf(&text, "%x000-%x800 r-xp 0 fd:%02d 7 /%d\n", i, i, i % 2 + 1, i);
	assert_int_equal(parse(&maps, text.text), 0);
	for (long nth = 1;; nth++) {
		index = NULL;
		allocfail_set(nth);
		error = proc_maps_code_files(&maps, &index, &nr);
		bool failed = allocfail_hit();

		allocfail_set(0);
		if (!failed)
			break;
		assert_int_equal(error, -ENOMEM);
		assert_null(index);
	}
	assert_int_equal(error, 0);
	assert_int_equal(nr, 4);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(index[i], i + 2);
	free(index);
	proc_maps_release(&maps);
	strbuf_release(&text);
}

static void test_find(void **state)
{
	struct strbuf text = {0};
	struct proc_maps maps;

	(void)state;
	proc_maps_init(&maps);
	assert_null(proc_maps_find(&maps, 0x1000));
	add_lines(&text, 0, 101);
	assert_int_equal(parse(&maps, text.text), 0);
	for (uint64_t i = 0; i < 101; i++) {
		assert_null(proc_maps_find(&maps, (2 * i) * 0x1000 + 0xfff));
		assert_ptr_equal(proc_maps_find(&maps, (2 * i + 1) * 0x1000), &maps.item[i]);
		assert_ptr_equal(proc_maps_find(&maps, (2 * i + 1) * 0x1000 + 0xfff),
				 &maps.item[i]);
		assert_null(proc_maps_find(&maps, (2 * i + 2) * 0x1000));
	}
	assert_null(proc_maps_find(&maps, UINT64_MAX));
	proc_maps_release(&maps);
	strbuf_release(&text);
}

static void add(struct proc_maps *maps, uint64_t start, uint64_t end, const char *path)
{
	const struct proc_mapping mapping = {
		.start = start, .end = end, .file_offset = start - 0x1000, .exec = true};

	assert_int_equal(proc_maps_add(maps, &mapping, path), 0);
}

/* "1000-3000 a, 4000-5000 b" */
static void assert_maps(const struct proc_maps *maps, const char *expected)
{
	struct strbuf text = {0};

	for (size_t i = 0; i < maps->nr; i++) {
		assert_int_equal(maps->item[i].file_offset, maps->item[i].start - 0x1000);
		strbuf_printf(&text, "%s%llx-%llx %s", i ? ", " : "",
			      (unsigned long long)maps->item[i].start,
			      (unsigned long long)maps->item[i].end, maps->item[i].path);
	}
	assert_string_equal(text.text ? text.text : "", expected);
	strbuf_release(&text);
}

/* Each takes the place of what it overlaps. */
static void test_add(void **state)
{
	const struct proc_mapping empty = {.start = 0x1000, .end = 0x1000};
	struct proc_maps maps;

	(void)state;
	proc_maps_init(&maps);
	add(&maps, 0x5000, 0x7000, "b");
	add(&maps, 0x1000, 0x3000, "a");
	add(&maps, 0x8000, 0x9000, "c");
	assert_maps(&maps, "1000-3000 a, 5000-7000 b, 8000-9000 c");
	add(&maps, 0x2000, 0x6000, "d");
	assert_maps(&maps, "1000-2000 a, 2000-6000 d, 6000-7000 b, 8000-9000 c");
	add(&maps, 0x2000, 0x6000, "e");
	assert_maps(&maps, "1000-2000 a, 2000-6000 e, 6000-7000 b, 8000-9000 c");
	add(&maps, 0x1000, 0x9000, "f");
	assert_maps(&maps, "1000-9000 f");
	add(&maps, 0x9000, 0xa000, "g");
	assert_maps(&maps, "1000-9000 f, 9000-a000 g");
	assert_int_equal(proc_maps_add(&maps, &empty, "h"), -EINVAL);
	assert_maps(&maps, "1000-9000 f, 9000-a000 g");
	proc_maps_release(&maps);
}

static void test_stat(void **state)
{
	struct proc_info info, stat = {.start_ticks = 7};

	(void)state;
	assert_int_equal(proc_read_stat(0x7fffffff, &stat), -ESRCH);
	assert_int_equal(stat.start_ticks, 7);
	assert_int_equal(proc_read_info(getpid(), &info), 0);
	assert_int_equal(info.parent_tgid, getppid());
	assert_int_equal(proc_read_stat(getpid(), &stat), 0);
	assert_int_equal(stat.tgid, getpid());
	assert_int_equal(stat.parent_tgid, getppid());
	assert_int_equal(stat.start_ticks, info.start_ticks);
	assert_string_equal(stat.comm, info.comm);
	assert_int_equal(stat.seccomp, -1);
}

static void test_code_alone(void **state)
{
	struct proc_maps all, code;
	size_t nr = 0;

	(void)state;
	proc_maps_init(&all);
	proc_maps_init(&code);
	assert_int_equal(proc_maps_read_code(&code, getpid()), 0);
	assert_int_equal(proc_maps_read(&all, getpid()), 0);
	for (size_t i = 0; i < all.nr; i++) {
		if (!all.item[i].exec)
			continue;
		assert_true(nr < code.nr);
		assert_int_equal(code.item[nr].start, all.item[i].start);
		assert_int_equal(code.item[nr].end, all.item[i].end);
		assert_int_equal(code.item[nr].inode, all.item[i].inode);
		assert_string_equal(code.item[nr].path, all.item[i].path);
		nr++;
	}
	assert_int_equal(code.nr, nr);
	assert_in_range(nr, 3, all.nr - 3);
	assert_int_equal(proc_maps_read_code(&code, 0x7fffffff), -ESRCH);
	assert_int_equal(code.nr, nr);
	proc_maps_release(&all);
	proc_maps_release(&code);
}

/* What a process has mapped that has gone: the file at the path, if it is that. */
static void test_open_left(void **state)
{
	char path[] = "/tmp/seep-left-XXXXXX", copy[sizeof(path)];
	struct proc_mapping mapping = {.path = path};
	struct stat st;
	int fd = mkstemp(path), other;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	mapping.inode = st.st_ino;
	mapping.dev_major = major(st.st_dev);
	mapping.dev_minor = minor(st.st_dev);
	other = proc_open_left(&mapping);
	assert_true(other >= 0);
	(void)close(other);
	mapping.inode++;
	assert_int_equal(proc_open_left(&mapping), -ESTALE);
	mapping.inode--;
	mapping.dev_minor++;
	assert_int_equal(proc_open_left(&mapping), -ESTALE);
	mapping.dev_minor--;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(proc_open_left(&mapping), -ENOENT);
	strcpy(copy, path + 1);
	mapping.path = copy;
	assert_int_equal(proc_open_left(&mapping), -ENOENT);
	mapping.path = path;
	mapping.inode = 0;
	assert_int_equal(proc_open_left(&mapping), -ENOENT);
	(void)close(fd);
}

static void test_out_of_memory(void **state)
{
	struct strbuf text = {0};
	struct proc_maps maps;
	bool failed = true;
	int error;

	(void)state;
	add_lines(&text, 0, 23);
	proc_maps_init(&maps);
	assert_int_equal(parse(&maps, "1000-2000 r-xp 0 fd:01 7 /kept\n"), 0);
	for (long nth = 1; failed; nth++) {
		allocfail_set(nth);
		error = parse(&maps, text.text);
		failed = allocfail_hit();
		allocfail_set(0);
		assert_int_equal(error, failed ? -ENOMEM : 0);
		assert_int_equal(maps.nr, failed ? 1 : 23);
	}
	proc_maps_release(&maps);
	strbuf_release(&text);
}

/* --- files behind mappings ------------------------------------------------------------------------------------- */

static const struct proc_mapping *own_mapping(struct proc_maps *maps, const void *address)
{
	const struct proc_mapping *mapping;

	assert_int_equal(proc_maps_read(maps, getpid()), 0);
	mapping = proc_maps_find(maps, (uintptr_t)address);
	assert_non_null(mapping);
	return mapping;
}

static void assert_opens(pid_t tgid, const struct proc_mapping *mapping, ino_t inode)
{
	struct stat st;
	int fd = proc_open_mapping(tgid, mapping);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_ino, inode);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
}

static void test_read_and_open(void **state)
{
	const struct proc_mapping *mapping;
	struct proc_mapping other;
	struct proc_maps maps;
	struct stat st, by_path;
	char path[4096];

	(void)state;
	proc_maps_init(&maps);
	mapping = own_mapping(&maps, (void *)(uintptr_t)test_read_and_open);
	assert_true(mapping->exec);
	assert_int_equal(stat("/proc/self/exe", &st), 0);
	assert_opens(getpid(), mapping, st.st_ino);
	assert_int_equal(proc_mapping_path(getpid(), mapping, path, sizeof(path)), 0);
	assert_int_equal(stat(path, &by_path), 0);
	assert_int_equal(by_path.st_ino, st.st_ino);
	assert_int_equal(proc_mapping_path(getpid(), mapping, path, 11), -ENAMETOOLONG);

	/* not under map_files: there the whole range is the name */
	other = *mapping;
	other.end++;
	assert_opens(getpid(), &other, st.st_ino);
	assert_int_equal(proc_mapping_path(getpid(), &other, path, sizeof(path)), 0);
	assert_non_null(strstr(path, "/root/"));
	assert_int_equal(stat(path, &by_path), 0);
	assert_int_equal(by_path.st_ino, st.st_ino);
	assert_int_equal(proc_mapping_path(getpid(), &other, path, 23), -ENAMETOOLONG);
	/* another file has taken its name */
	other.inode++;
	assert_int_equal(proc_open_mapping(getpid(), &other), -ESTALE);
	assert_int_equal(proc_mapping_path(getpid(), &other, path, sizeof(path)), -ESTALE);
	/* and nothing has */
	other.path = (char *)(uintptr_t) "/nonexistent/file";
	assert_int_equal(proc_open_mapping(getpid(), &other), -ENOENT);
	assert_int_equal(proc_mapping_path(getpid(), &other, path, sizeof(path)), -ENOENT);
	other.path = (char *)(uintptr_t) "relative";
	assert_int_equal(proc_open_mapping(getpid(), &other), -ENOENT);
	assert_int_equal(proc_mapping_path(getpid(), &other, path, sizeof(path)), -ENOENT);
	proc_maps_release(&maps);
}

static void test_nothing_to_open(void **state)
{
	struct proc_mapping mapping = {
		.start = 0x1000, .end = 0x2000, .path = (char *)(uintptr_t) ""};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const struct proc_mapping *zero;
	struct proc_maps maps;
	char path[256], *memory;
	pid_t child;
	int fd;

	(void)state;
	assert_int_equal(proc_open_mapping(getpid(), &mapping), -ENOENT);
	assert_int_equal(proc_mapping_path(getpid(), &mapping, path, sizeof(path)), -ENOENT);

	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	mapping.inode = 7;
	mapping.path = (char *)(uintptr_t) "/bin/sh";
	assert_int_equal(proc_open_mapping(child, &mapping), -ESRCH);
	assert_int_equal(proc_mapping_path(child, &mapping, path, sizeof(path)), -ESRCH);

	/* a device is not opened */
	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	memory = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	proc_maps_init(&maps);
	zero = own_mapping(&maps, memory);
	assert_string_equal(zero->path, "/dev/zero");
	assert_int_equal(proc_open_mapping(getpid(), zero), -ENOTSUP);
	proc_maps_release(&maps);
	munmap(memory, page);
	close(fd);
}

static void test_deleted_file(void **state)
{
	char name[] = "/tmp/test_proc.XXXXXX", path[4096];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const struct proc_mapping *mapping;
	struct proc_maps maps;
	struct stat st;
	char *memory;
	int fd = mkstemp(name), error;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)page), 0);
	memory = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(unlink(name), 0);
	proc_maps_init(&maps);
	mapping = own_mapping(&maps, memory);
	assert_non_null(strstr(mapping->path, " (deleted)"));
	assert_int_equal(mapping->inode, st.st_ino);
	/* following map_files takes CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN */
	error = proc_mapping_path(getpid(), mapping, path, sizeof(path));
	assert_true(!error || error == -ENOENT);
	if (!error)
		assert_opens(getpid(), mapping, st.st_ino);
	else
		assert_int_equal(proc_open_mapping(getpid(), mapping), -ENOENT);
	proc_maps_release(&maps);
	munmap(memory, page);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ourselves),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_a_thread_is_no_process),
		cmocka_unit_test(test_zombie_and_gone),
		cmocka_unit_test(test_no_guards),
		cmocka_unit_test(test_guards),
		cmocka_unit_test(test_guards_of_a_thread),
		cmocka_unit_test(test_tracer),
		cmocka_unit_test(test_kernel_thread),
		cmocka_unit_test(test_exe),
		cmocka_unit_test(test_ticks),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_changed_while_it_is_read),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_code_files),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_code_alone),
		cmocka_unit_test(test_open_left),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_read_and_open),
		cmocka_unit_test(test_nothing_to_open),
		cmocka_unit_test(test_deleted_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
