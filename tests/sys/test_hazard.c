/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Needs root: it sets probes, in children of its own. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "hazard.h"

static uint64_t now_ms(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void assert_no_child_is_left(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static int try_seccomp(bool strict, const uint8_t *code, size_t nr)
{
	int answer = hazard_try_seccomp(strict, code, nr);

	if (answer == -ENOENT) {
		print_message("no uprobes for perf events on this kernel\n");
		skip();
	}
	assert_no_child_is_left();
	return answer;
}

/* The kernels that the tests run on have the fix. */
static void test_filter_is_safe(void **state)
{
	(void)state;
	assert_int_equal(try_seccomp(false, NULL, 0), HAZARD_SAFE);
}

static void test_strict_is_safe(void **state)
{
	(void)state;
	assert_int_equal(try_seccomp(true, NULL, 0), HAZARD_SAFE);
}

#ifdef __x86_64__
static void edge_36_shadow_stack_is_safe(void **state)
{
	(void)state;
	assert_int_equal(hazard_try_shadow_stack(), HAZARD_SAFE);
	assert_no_child_is_left();
}

/* What a kernel without the fix does: a system call on the way back that the process did not ask for. */
static const uint8_t foreign_call[] = {0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xc3}; /* getpid; ret */
static const uint8_t crash[] = {0x0f, 0x0b};				       /* ud2 */
static const uint8_t hang[] = {0xeb, 0xfe};				       /* jmp . */
static void test_forbidden_call_kills(void **state)
{
	(void)state;
	assert_int_equal(try_seccomp(false, foreign_call, sizeof(foreign_call)), HAZARD_KILLS);
	assert_int_equal(try_seccomp(true, foreign_call, sizeof(foreign_call)), HAZARD_KILLS);
}

static void test_crash_kills(void **state)
{
	(void)state;
	assert_int_equal(try_seccomp(false, crash, sizeof(crash)), HAZARD_KILLS);
}

static void test_hang_kills(void **state)
{
	uint64_t before_ms = now_ms();

	(void)state;
	assert_int_equal(try_seccomp(true, hang, sizeof(hang)), HAZARD_KILLS);
	assert_in_range(now_ms() - before_ms, 2000, 6000);
}
#endif

/* Even where nothing reaps our children but the kernel: an ignored SIGCHLD is inherited. */
static void test_children_that_nobody_waits_for(void **state)
{
	(void)state;
	assert_true(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	assert_int_equal(try_seccomp(false, NULL, 0), HAZARD_SAFE);
	assert_true(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
}

static void test_asks_once(void **state)
{
	const struct proc_guards filter = {.seccomp_filter = true};
	struct hazard_kernel kernel = {0};
	char why[HAZARD_WHY_BYTES] = "untouched";
	uint64_t asked_ms;

	(void)state;
	assert_int_equal(hazard_check(&kernel, &filter, why, sizeof(why)), 0);
	assert_int_equal(kernel.seccomp_filter, HAZARD_SAFE);
	assert_int_equal(kernel.seccomp_strict, HAZARD_UNTRIED);
	assert_int_equal(kernel.shadow_stack, HAZARD_UNTRIED);
	asked_ms = now_ms();
	for (int i = 0; i < 1009; i++)
		assert_int_equal(hazard_check(&kernel, &filter, why, sizeof(why)), 0);
	assert_true(now_ms() - asked_ms < 1009); /* a child each would take minutes */
	assert_string_equal(why, "untouched");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter_is_safe),
		cmocka_unit_test(test_strict_is_safe),
#ifdef __x86_64__
		cmocka_unit_test(edge_36_shadow_stack_is_safe),
		cmocka_unit_test(test_forbidden_call_kills),
		cmocka_unit_test(test_crash_kills),
		cmocka_unit_test(test_hang_kills),
#endif
		cmocka_unit_test(test_children_that_nobody_waits_for),
		cmocka_unit_test(test_asks_once),
	};

	if (geteuid()) {
		puts("1..0 # SKIP needs root");
		return 0;
	}
	return cmocka_run_group_tests_name("hazard", tests, NULL, NULL);
}
