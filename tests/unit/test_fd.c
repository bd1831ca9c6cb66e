/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

#include "allocfail.h"
#include "fd.h"

#define BIG_BYTES 1000003 /* more than a pipe holds */

struct writer {
	int fd;
	int error;
	const char *data;
	size_t nr;
};

static void *write_and_close(void *arg)
{
	struct writer *writer = arg;

	writer->error = fd_write_all(writer->fd, writer->data, writer->nr);
	fd_close(&writer->fd);
	return NULL;
}

static char *make_data(size_t nr)
{
	char *data = malloc(nr);

	assert_non_null(data);
	for (size_t i = 0; i < nr; i++)
		data[i] = (char)(i * 31 >> 3);
	return data;
}

/* Both ends do not block by themselves, and the writer runs full again and again. */
static void test_through_a_pipe(void **state)
{
	char *data = make_data(BIG_BYTES), *copy = malloc(BIG_BYTES + 1);
	struct writer writer = {.data = data, .nr = BIG_BYTES};
	pthread_t thread;
	int fds[2];

	(void)state;
	assert_non_null(copy);
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	writer.fd = fds[1];
	assert_int_equal(pthread_create(&thread, NULL, write_and_close, &writer), 0);
	assert_int_equal(fd_read_all(fds[0], copy, 17), 17);
	assert_int_equal(fd_read_all(fds[0], copy + 17, BIG_BYTES + 1 - 17), BIG_BYTES - 17);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(writer.error, 0);
	assert_int_equal(writer.fd, -1);
	assert_memory_equal(data, copy, BIG_BYTES);
	assert_int_equal(fd_read_all(fds[0], copy, 1), 0);
	fd_close(&fds[0]);
	free(data);
	free(copy);
}

static int interruptions, interrupted_pipe[2];

/* The third signal brings what the read waits for. */
static void interrupt(int signal)
{
	(void)signal;
	if (++interruptions == 3 && write(interrupted_pipe[1], "x", 1) != 1)
		abort();
}

static void test_interrupted_read(void **state)
{
	struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = interrupt}, before;
	char byte = 0;

	(void)state;
	assert_int_equal(pipe2(interrupted_pipe, O_CLOEXEC), 0);
	assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	assert_int_equal(fd_read_all(interrupted_pipe[0], &byte, 1), 1);
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
	assert_int_equal(byte, 'x');
	assert_true(interruptions >= 3);
	fd_close(&interrupted_pipe[0]);
	fd_close(&interrupted_pipe[1]);
}

static void test_errors(void **state)
{
	char byte = 0;

	(void)state;
	assert_int_equal(fd_write_all(-1, &byte, 1), -EBADF);
	assert_int_equal(fd_read_all(-1, &byte, 1), -EBADF);
	assert_int_equal(fd_write_all(-1, &byte, 0), 0);
	assert_int_equal(fd_read_all(-1, &byte, 0), 0);
}

static void test_full_device(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, "x", 1), -ENOSPC);
	fd_close(&fd);
}

static void test_close(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), closed = fd, none = -1;

	(void)state;
	errno = EXDEV;
	fd_close(&fd);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(fd, -1);
	assert_int_equal(fcntl(closed, F_GETFD), -1);
	fd = 1 << 29; /* not open: the error of close() must not show */
	errno = EXDEV;
	fd_close(&fd);
	fd_close(&none);
	assert_int_equal(errno, EXDEV);
}

static void write_file(const char *path, const char *data, size_t nr)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, data, nr), 0);
	fd_close(&fd);
}

static void check_file(const char *path, const char *data, size_t nr)
{
	char *text = NULL;
	size_t got = 0;

	write_file(path, data, nr);
	assert_int_equal(fd_read_file(path, &text, &got, nr), 0);
	assert_int_equal(got, nr);
	assert_memory_equal(text, data, nr);
	assert_int_equal(text[nr], 0);
	free(text);
	text = NULL;
	if (nr) {
		assert_int_equal(fd_read_file(path, &text, &got, nr - 1), -EFBIG);
		assert_null(text);
	}
	assert_int_equal(fd_read_file(path, &text, NULL, SIZE_MAX), 0);
	assert_memory_equal(text, data, nr);
	free(text);
}

static void test_read_file(void **state)
{
	static const size_t size[] = {0,    1,	  4093, 4094, 4095,  4096,
				      4097, 6143, 6144, 8191, 10007, BIG_BYTES};
	char path[] = "/tmp/seep-test-fd-XXXXXX", *data = make_data(BIG_BYTES), *text = NULL;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	fd_close(&fd);
	for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++)
		check_file(path, data, size[i]);
	for (long nth = 1;; nth++) {
		int error;

		allocfail_set(nth);
		error = fd_read_file(path, &text, NULL, SIZE_MAX);
		if (!allocfail_hit())
			break;
		assert_int_equal(error, -ENOMEM);
		assert_null(text);
	}
	assert_true(allocfail_count() >= 3);
	allocfail_set(0);
	free(text);
	free(data);
	assert_int_equal(unlink(path), 0);
}

static void test_read_file_that_cannot_be_read(void **state)
{
	char *text = NULL;
	size_t nr = 41;

	(void)state;
	assert_int_equal(fd_read_file("/nonexistent/file", &text, &nr, 100), -ENOENT);
	assert_int_equal(fd_read_file("/proc", &text, &nr, 100), -EISDIR);
	assert_null(text);
	assert_int_equal(nr, 41);
}

static void test_read_proc(void **state)
{
	char *text = NULL;
	size_t nr = 0;

	(void)state;
	assert_int_equal(fd_read_file("/proc/self/maps", &text, &nr, 1 << 26), 0);
	assert_int_equal(strlen(text), nr);
	assert_non_null(strstr(text, "[stack]"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_through_a_pipe),
		cmocka_unit_test(test_interrupted_read),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_full_device),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_read_file),
		cmocka_unit_test(test_read_file_that_cannot_be_read),
		cmocka_unit_test(test_read_proc),
	};

	return cmocka_run_group_tests_name("fd", tests, NULL, NULL);
}
