/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Needs root: it sets probes, in children of its own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "calibrate.h"

#define PROBES_ABSENT "no uprobes for perf events on this kernel"

static uint64_t now_ms(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A program that does nothing. */
static int load_program(void **state)
{
	static const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	static int prog_fd;
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_KPROBE;
	attr.insns = (uint64_t)(uintptr_t)insns;
	attr.insn_cnt = 2;
	attr.license = (uint64_t)(uintptr_t) "GPL";
	prog_fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	*state = &prog_fd;
	return prog_fd < 0;
}

static int close_program(void **state)
{
	return close(*(int *)*state);
}

static struct calibrator *start(void **state)
{
	struct calibrator *calibrator = NULL;
	int error = calibrate_start(*(int *)*state, &calibrator);

	if (error == -ENOENT) {
		print_message("%s\n", PROBES_ABSENT);
		skip();
	}
	assert_int_equal(error, 0);
	assert_non_null(calibrator);
	return calibrator;
}

static cpu_set_t all_cpus;

/* From here to go_with_others() a child runs only while we wait: it has our CPU, where we go first. */
static void go_first(void)
{
	const struct sched_param first = {.sched_priority = 1};
	cpu_set_t one;

	assert_int_equal(sched_getaffinity(0, sizeof(all_cpus), &all_cpus), 0);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	/* where it is not allowed, the child's 40 ms must do */
	(void)sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first);
}

static void go_with_others(void)
{
	const struct sched_param other = {0};

	(void)sched_setscheduler(0, SCHED_OTHER, &other);
	assert_int_equal(sched_setaffinity(0, sizeof(all_cpus), &all_cpus), 0);
}

static pid_t only_child(void)
{
	FILE *file = fopen("/proc/thread-self/children", "re");
	int tgid = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &tgid), 1);
	fclose(file);
	return tgid;
}

static void assert_no_child_is_left(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* No trap takes less than 50 ns on any machine. Which is the dearer one is not to be asked of a busy one. */
static void assert_costs(const struct calibration *costs, unsigned int kind)
{
	if (kind != ATTACH_PERF && !costs->emulated[kind].entry_ns) {
		print_message("# this kernel has no links of kind %u\n", kind);
		assert_int_equal(costs->stepped[kind].return_ns, 0);
		return;
	}
	assert_in_range(costs->emulated[kind].entry_ns, 50, 10000000);
	assert_in_range(costs->emulated[kind].return_ns, 50, 10000000);
	assert_in_range(costs->stepped[kind].entry_ns, 50, 10000000);
	assert_in_range(costs->stepped[kind].return_ns, 50, 10000000);
}

static void test_measures(void **state)
{
	struct calibration costs = {0};
	uint64_t before_ms = now_ms(), started_ms, answered_ms;
	struct calibrator *calibrator = start(state);
	struct pollfd answer = {.fd = calibrate_fd(calibrator), .events = POLLIN};
	unsigned int kind;

	started_ms = now_ms();
	assert_int_equal(poll(&answer, 1, 10000), 1);
	answered_ms = now_ms();
	assert_int_equal(calibrate_finish(calibrator, &costs), 0);
	calibrate_free(calibrator);
	print_message(
		"# start %u ms, answer %u ms, end %u ms\n", (unsigned int)(started_ms - before_ms),
		(unsigned int)(answered_ms - before_ms), (unsigned int)(now_ms() - before_ms));
	for (kind = ATTACH_PERF; kind < CALIBRATE_KINDS; kind++) {
		print_message("# kind %u: entry %u ns emulated, %u ns stepped; with return %u ns, "
			      "%u ns\n",
			      kind, calibration_ns(&costs, kind, true, false),
			      calibration_ns(&costs, kind, false, false),
			      calibration_ns(&costs, kind, true, true),
			      calibration_ns(&costs, kind, false, true));
		assert_costs(&costs, kind);
	}
	assert_no_child_is_left();
}

static void test_finishes_once(void **state)
{
	struct calibrator *calibrator = start(state);
	struct calibration costs, before;

	assert_int_equal(calibrate_finish(calibrator, &costs), 0);
	before = costs;
	assert_int_equal(calibrate_finish(calibrator, &costs), -EALREADY);
	assert_memory_equal(&costs, &before, sizeof(costs));
	calibrate_free(calibrator);
	assert_no_child_is_left();
}

static void test_error_of_the_child(void **state)
{
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	void *wrong = &null_fd;
	struct calibration costs, before;
	struct calibrator *calibrator;

	(void)state;
	assert_true(null_fd >= 0);
	calibrator = start(&wrong);
	memset(&costs, 0xa5, sizeof(costs));
	before = costs;
	assert_int_equal(calibrate_finish(calibrator, &costs), -EINVAL);
	assert_memory_equal(&costs, &before, sizeof(costs));
	calibrate_free(calibrator);
	close(null_fd);
	assert_no_child_is_left();
}

static void test_death_of_the_child(void **state)
{
	struct calibrator *calibrator;
	struct calibration costs;

	go_first();
	calibrator = start(state);
	assert_int_equal(kill(only_child(), SIGKILL), 0);
	go_with_others();
	assert_int_equal(calibrate_finish(calibrator, &costs), -ECHILD);
	calibrate_free(calibrator);
	assert_no_child_is_left();
}

static void test_time_out(void **state)
{
	uint64_t before_ms = now_ms();
	struct calibrator *calibrator;
	struct calibration costs, before;

	go_first();
	calibrator = start(state);
	assert_int_equal(kill(only_child(), SIGSTOP), 0);
	go_with_others();
	memset(&costs, 0xa5, sizeof(costs));
	before = costs;
	assert_int_equal(calibrate_finish(calibrator, &costs), -ETIMEDOUT);
	assert_in_range(now_ms() - before_ms, 2000, 4000);
	assert_memory_equal(&costs, &before, sizeof(costs));
	calibrate_free(calibrator);
	assert_no_child_is_left();
}

/* What the parent closes is closed: the child holds no copy of it. */
static void test_child_holds_no_fds(void **state)
{
	struct calibrator *calibrator;
	int end[2];
	struct pollfd hangup, answer;

	assert_int_equal(pipe2(end, O_CLOEXEC), 0);
	go_first();
	calibrator = start(state);
	close(end[1]);
	hangup = (struct pollfd){.fd = end[0], .events = POLLIN};
	answer = (struct pollfd){.fd = calibrate_fd(calibrator), .events = POLLIN};
	assert_int_equal(poll(&hangup, 1, 10000), 1);
	assert_true(hangup.revents & POLLHUP);
	/* long before it has an answer */
	assert_int_equal(poll(&answer, 1, 0), 0);
	go_with_others();
	calibrate_free(calibrator);
	close(end[0]);
	assert_no_child_is_left();
}

static void test_nothing_to_free(void **state)
{
	(void)state;
	calibrate_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_measures),
		cmocka_unit_test(test_finishes_once),
		cmocka_unit_test(test_error_of_the_child),
		cmocka_unit_test(test_death_of_the_child),
		cmocka_unit_test(test_time_out),
		cmocka_unit_test(test_child_holds_no_fds),
		cmocka_unit_test(test_nothing_to_free),
	};

	if (geteuid()) {
		puts("1..0 # SKIP needs root");
		return 0;
	}
	return cmocka_run_group_tests_name("calibrate", tests, load_program, close_program);
}
