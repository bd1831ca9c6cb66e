/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "fd.h"
#include "log.h"

static int real_stderr = -1;

/* From here on stderr is fd, which is closed. */
static void stderr_to(int fd)
{
	assert_true(fd >= 0);
	real_stderr = dup(STDERR_FILENO);
	assert_true(real_stderr >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	fd_close(&fd);
}

static void stderr_back(void)
{
	assert_int_equal(dup2(real_stderr, STDERR_FILENO), STDERR_FILENO);
	fd_close(&real_stderr);
}

static int stderr_to_pipe(void)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	stderr_to(fds[1]);
	return fds[0];
}

/* Ends the capture of a pipe; gives what came. */
static const char *captured(int fd)
{
	static char text[8192];
	ssize_t nr;

	stderr_back();
	nr = fd_read_all(fd, text, sizeof(text) - 1);
	assert_true(nr >= 0);
	text[nr] = '\0';
	fd_close(&fd);
	return text;
}

static void test_levels(void **state)
{
	int fd = stderr_to_pipe();

	(void)state;
	log_error("cannot open '%s': %s", "x", "why");
	log_warn("w%d", 1);
	log_info("i");
	log_verbose("not shown");
	log_set_level(LOG_DEBUG);
	log_verbose("v");
	log_debug("d");
	log_set_level(LOG_ERROR);
	log_warn("not shown");
	log_progress("not shown");
	log_error("e");
	assert_int_equal(log_get_level(), LOG_ERROR);
	log_set_level(LOG_INFO);
	assert_string_equal(captured(fd), "seep: cannot open 'x': why\n"
					  "seep: warning: w1\n"
					  "seep: i\n"
					  "seep: v\n"
					  "seep: d\n"
					  "seep: e\n");
}

static void test_one_line_whatever_is_in_it(void **state)
{
	char text[3 * LOG_LINE_MAX];
	const char *out;
	int fd = stderr_to_pipe();

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("a\nb\033[2Jc\177d\te\xc3\xa9");
	log_info("%s", text);
	out = captured(fd);
	assert_memory_equal(out, "seep: a?b?[2Jc?d?e\xc3\xa9\nseep: xxx", 30);
	out = strchr(out, '\n') + 1;
	assert_int_equal(strlen(out), LOG_LINE_MAX);
	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
}

static void test_keeps_errno(void **state)
{
	int fd = stderr_to_pipe();

	(void)state;
	errno = EXDEV;
	log_info("x");
	log_progress("x");
	log_progress_clear();
	assert_int_equal(errno, EXDEV);
	assert_string_equal(captured(fd), "seep: x\n");
}

static void test_progress_on_a_terminal(void **state)
{
	struct winsize size = {.ws_row = 24, .ws_col = 21};
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	char text[512] = "";
	size_t got = 0;
	ssize_t nr;

	(void)state;
	if (terminal < 0 || grantpt(terminal) || unlockpt(terminal)) {
		print_message("no pseudo terminal to be had\n");
		skip();
	}
	stderr_to(open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC));
	assert_int_equal(ioctl(STDERR_FILENO, TIOCSWINSZ, &size), 0);
	log_progress("long work, %d of many", 1);
	log_info("said");
	log_progress("two");
	log_progress_clear();
	log_progress_clear();
	log_info("end");
	stderr_back();
	/* what was written arrives in pieces, from a kernel worker, and after
	 * the last of it the closed end gives EIO */
	while (got < sizeof(text) - 1 &&
	       (nr = read(terminal, text + got, sizeof(text) - 1 - got)) > 0)
		got += (size_t)nr;
	assert_string_equal(text, "\r\033[Kseep: long work, 1 o"
				  "\r\033[Kseep: said\r\n"
				  "\r\033[Kseep: two"
				  "\r\033[K"
				  "seep: end\r\n");
	fd_close(&terminal);
}

static void test_bug_aborts(void **state)
{
	int fd = stderr_to_pipe(), status = 0;
	const char *out;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (!child) {
		(void)signal(SIGABRT, SIG_DFL);
		log_bug("file.c", 41, "%s", "cannot be");
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	out = captured(fd);
	assert_memory_equal(out, "seep: bug at file.c:41: cannot be\n", 34);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_one_line_whatever_is_in_it),
		cmocka_unit_test(test_keeps_errno),
		cmocka_unit_test(test_progress_on_a_terminal),
		cmocka_unit_test(test_bug_aborts),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
