/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "closer.h"

#define MANY 101

static void open_them(int *fd, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		fd[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(fd[i] >= 0);
	}
}

static void check(size_t nr)
{
	int fd[MANY], number[MANY];

	open_them(fd, nr);
	for (size_t i = 0; i < nr; i++)
		number[i] = fd[i];
	closer_close(fd, nr);
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(fd[i], -1);
		assert_int_equal(fcntl(number[i], F_GETFD), -1);
		assert_int_equal(errno, EBADF);
	}
}

static void test_none_one_and_many(void **state)
{
	(void)state;
	closer_close(NULL, 0);
	check(1);
	check(2);
	check(MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none_one_and_many),
	};

	return cmocka_run_group_tests_name("closer", tests, NULL, NULL);
}
