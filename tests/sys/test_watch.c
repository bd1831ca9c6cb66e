/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Needs root: it listens to all processes, and looks at children of its own. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "allocfail.h"
#include "mapper.h"
#include "watch.h"

#define WAIT_MS 20000
#define MANY 1009

/* What is sought, and how much of it was found. */
struct sought {
	pid_t tgid;
	const char *path; /* NULL: any */
	uint64_t nr;
	uint64_t nr_lost; /* records, whosoever's */
	struct watch_mapping last;
	char last_path[PATH_MAX];
	int stop; /* what take() returns when it has found something */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int on_mapping(const struct watch_mapping *mapping, void *arg)
{
	struct sought *sought = arg;

	assert_true(mapping->bytes > 0);
	assert_true(strlen(mapping->path) < PATH_MAX);
	if (mapping->tgid != sought->tgid)
		return 0;
	if (sought->path && strcmp(mapping->path, sought->path) != 0)
		return 0;
	sought->nr++;
	sought->last = *mapping;
	(void)snprintf(sought->last_path, sizeof(sought->last_path), "%s", mapping->path);
	return sought->stop;
}

/* Until so many are found or lost. */
static void await(struct watch *watch, struct sought *sought, uint64_t nr)
{
	struct pollfd poller = {.fd = watch_fd(watch), .events = POLLIN};
	uint64_t end_ms = now_ms() + WAIT_MS, lost;

	for (;;) {
		assert_int_equal(watch_take(watch, on_mapping, sought, &lost), 0);
		sought->nr_lost += lost;
		if (sought->nr + sought->nr_lost >= nr)
			return;
		assert_true(now_ms() < end_ms);
		assert_int_equal(poll(&poller, 1, WAIT_MS), 1);
	}
}

/* The only one. */
static void await_one(struct watch *watch, struct sought *sought)
{
	sought->nr = sought->nr_lost = 0;
	await(watch, sought, 1);
	assert_int_equal(sought->nr, 1);
	assert_int_equal(sought->nr_lost, 0);
}

static struct watch *start(void)
{
	struct watch *watch = NULL;

	assert_int_equal(watch_new(WATCH_EACH, &watch), 0);
	assert_non_null(watch);
	assert_int_equal(fcntl(watch_fd(watch), F_GETFD), FD_CLOEXEC);
	return watch;
}

static void test_file(void **state)
{
	int fd = open("/bin/cat", O_RDONLY | O_CLOEXEC);
	char path[PATH_MAX];
	struct mapper mapper;
	struct watch *watch;
	struct sought sought;
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_non_null(realpath("/bin/cat", path));
	mapper = mapper_start();
	watch = start();
	sought = (struct sought){.tgid = mapper.tgid, .path = path};
	mapper_map_file(&mapper, fd, 5, 2);
	await_one(watch, &sought);
	assert_int_equal(sought.last.start, MAPPER_AREA + 5 * MAPPER_PAGE);
	assert_int_equal(sought.last.bytes, 2 * MAPPER_PAGE);
	assert_int_equal(sought.last.file_offset, 0);
	assert_int_equal(sought.last.inode, st.st_ino);
	assert_int_equal(sought.last.dev_major, major(st.st_dev));
	assert_int_equal(sought.last.dev_minor, minor(st.st_dev));
	assert_false(sought.last.is_program);
	watch_free(watch);
	mapper_end(&mapper);
	close(fd);
}

/* What is written as data first, and made code then. */
static void test_memory_becomes_code(void **state)
{
	struct mapper mapper = mapper_start();
	struct watch *watch = start();
	struct sought sought = {.tgid = mapper.tgid};

	(void)state;
	mapper_map_anon(&mapper, 0, 3, PROT_READ | PROT_WRITE);
	mapper_protect(&mapper, 1, 1, PROT_READ | PROT_EXEC);
	await_one(watch, &sought); /* data is not told of */
	assert_int_equal(sought.last.start, MAPPER_AREA + MAPPER_PAGE);
	assert_int_equal(sought.last.bytes, MAPPER_PAGE);
	assert_int_equal(sought.last.inode, 0);
	assert_string_equal(sought.last_path, "//anon");
	watch_free(watch);
	mapper_end(&mapper);
}

static void test_exec(void **state)
{
	struct mapper mapper = mapper_start();
	struct watch *watch = start();
	struct sought sought = {.tgid = mapper.tgid, .path = "[vdso]"};
	char path[PATH_MAX];

	(void)state;
	mapper_exec(&mapper);
	await(watch, &sought, 1);
	assert_int_equal(sought.nr_lost, 0);
	assert_false(sought.last.is_program);
	mapper_end(&mapper);
	mapper = mapper_start();
	assert_non_null(realpath("/bin/cat", path));
	sought = (struct sought){.tgid = mapper.tgid, .path = path};
	mapper_exec(&mapper);
	await(watch, &sought, 1);
	assert_int_equal(sought.nr_lost, 0);
	assert_true(sought.last.inode > 0);
	assert_true(sought.last.is_program);
	watch_free(watch);
	mapper_end(&mapper);
}

/* On one CPU: what a ring has lost is told of by the next record in it. */
static struct mapper start_pinned(void)
{
	struct mapper mapper;
	cpu_set_t all, one;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	mapper = mapper_start();
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	return mapper;
}

/* More than a ring holds: what is told and what is lost is all there was, and afterwards it goes on. */
static void test_more_than_fits(void **state)
{
	struct mapper mapper = start_pinned();
	struct watch *watch = start();
	struct sought sought = {.tgid = mapper.tgid};

	(void)state;
	mapper_map_many(&mapper, MANY, MANY);
	await(watch, &sought, 1);
	assert_in_range(sought.nr, 101, MANY - 1);
	mapper_map_anon(&mapper, MANY * 3, 1, PROT_EXEC);
	await(watch, &sought, MANY + 1);
	assert_true(sought.nr <= MANY);
	assert_true(sought.nr_lost > 0);
	for (uint32_t i = 0; i < 31; i++) {
		mapper_map_anon(&mapper, MANY * 3 + 2 + i * 2, 1, PROT_EXEC);
		await_one(watch, &sought);
	}
	watch_free(watch);
	mapper_end(&mapper);
}

/* Taken as they come, none of as many is lost, and records lie across the end of the ring. */
static void test_around_the_ring(void **state)
{
	struct mapper mapper = mapper_start();
	struct watch *watch = start();
	struct sought sought = {.tgid = mapper.tgid};

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		mapper_map_anon(&mapper, i * 2, 1, PROT_EXEC);
		await_one(watch, &sought);
		assert_int_equal(sought.last.start, MAPPER_AREA + (uint64_t)i * 2 * MAPPER_PAGE);
		assert_string_equal(sought.last_path, "//anon");
	}
	watch_free(watch);
	mapper_end(&mapper);
}

static void test_stops_when_told(void **state)
{
	struct mapper mapper = mapper_start();
	struct watch *watch = start();
	struct sought sought = {.tgid = mapper.tgid, .stop = -ECANCELED};
	uint64_t nr = 0, end_ms = now_ms() + WAIT_MS, lost;
	int error;

	(void)state;
	for (uint32_t i = 0; i < 7; i++)
		mapper_map_anon(&mapper, i * 2, 1, PROT_EXEC);
	while (nr < 7) {
		assert_true(now_ms() < end_ms);
		sought.nr = 0;
		error = watch_take(watch, on_mapping, &sought, &lost);
		assert_int_equal(error, sought.nr ? -ECANCELED : 0);
		assert_int_equal(lost, 0);
		assert_true(sought.nr <= 1);
		nr += sought.nr;
	}
	sought.stop = 0;
	sought.nr = 0;
	assert_int_equal(watch_take(watch, on_mapping, &sought, &lost), 0);
	assert_int_equal(sought.nr, 0);
	watch_free(watch);
	mapper_end(&mapper);
}

static int nr_descriptors(void)
{
	int nr = 0;

	for (int fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

static void test_out_of_memory(void **state)
{
	int descriptors = nr_descriptors(), error;
	struct watch *watch = NULL;
	bool failed = true;

	(void)state;
	for (long nth = 1; failed; nth++) {
		allocfail_set(nth);
		error = watch_new(WATCH_EACH, &watch);
		failed = allocfail_hit();
		allocfail_set(0);
		assert_int_equal(error, failed ? -ENOMEM : 0);
		assert_true(failed == !watch);
		assert_true(!failed || nr_descriptors() == descriptors);
	}
	watch_free(watch);
	assert_int_equal(nr_descriptors(), descriptors);
	watch_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_memory_becomes_code),
		cmocka_unit_test(test_exec),
		cmocka_unit_test(test_more_than_fits),
		cmocka_unit_test(test_around_the_ring),
		cmocka_unit_test(test_stops_when_told),
		cmocka_unit_test(test_out_of_memory),
	};

	if (geteuid()) {
		puts("1..0 # SKIP needs root");
		return 0;
	}
	return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
