/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>

#include "allocfail.h"
#include "capture.h"
#include "record.h"

#define NR_RECORDS 1009
#define HEADER_BYTES 32
#define COUNT_OFFSET 16

/* Of any length that a record may have, told by its number, and some of the longest. */
static size_t record_length(unsigned int i)
{
	return i % 331 == 330 ? RECORD_MAX_BYTES : 16 + 8 * ((i * 37) % 211);
}

static void fill_record(uint64_t *record, unsigned int i)
{
	size_t j;

	for (j = 0; j < record_length(i) / 8; j++)
		record[j] = (uint64_t)i << 32 | j;
}

static int memory_file(void)
{
	int fd = memfd_create("capture", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Writers and readers take over descriptors; the test keeps one of its own. */
static int copy_of(int fd)
{
	int copy = dup(fd);

	assert_true(copy >= 0);
	return copy;
}

static int write_capture(unsigned int nr)
{
	static uint64_t record[RECORD_MAX_BYTES / 8];
	struct capture_writer *writer;
	int fd = memory_file();
	uint64_t bytes;
	unsigned int i;

	assert_int_equal(capture_writer_new(copy_of(fd), &writer), 0);
	for (i = 0; i < nr; i++) {
		fill_record(record, i);
		assert_int_equal(capture_write(writer, record, record_length(i)), 0);
	}
	bytes = capture_writer_bytes(writer);
	assert_int_equal(capture_writer_close(writer), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), bytes);
	return fd;
}

static struct capture_reader *open_reader(int fd)
{
	struct capture_reader *reader = NULL;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(capture_reader_new(copy_of(fd), &reader, NULL), 0);
	return reader;
}

/* Reads to the end, checks each record, and returns how many there were and how it ended. */
static int read_all(int fd, unsigned int *nr_read, uint64_t *position)
{
	static uint64_t expected[RECORD_MAX_BYTES / 8];
	struct capture_reader *reader = open_reader(fd);
	const void *record;
	size_t nr;
	int err;

	*nr_read = 0;
	for (;;) {
		err = capture_read(reader, &record, &nr);
		if (err != 1)
			break;
		fill_record(expected, *nr_read);
		assert_int_equal(nr, record_length(*nr_read));
		assert_memory_equal(record, expected, nr);
		assert_int_equal((uintptr_t)record % 8, 0);
		++*nr_read;
	}
	if (position)
		*position = capture_reader_position(reader);
	/* the end stays the end */
	assert_int_equal(capture_read(reader, &record, &nr), err);
	capture_reader_free(reader);
	return err;
}

static void test_round_trip(void **state)
{
	int fd = write_capture(NR_RECORDS);
	uint64_t position;
	unsigned int nr;

	(void)state;
	assert_int_equal(read_all(fd, &nr, &position), 0);
	assert_int_equal(nr, NR_RECORDS);
	assert_int_equal(position, lseek(fd, 0, SEEK_END));
	close(fd);
}

static void test_empty_capture(void **state)
{
	int fd = write_capture(0);
	unsigned int nr;

	(void)state;
	assert_int_equal(lseek(fd, 0, SEEK_END), HEADER_BYTES);
	assert_int_equal(read_all(fd, &nr, NULL), 0);
	assert_int_equal(nr, 0);
	close(fd);
}

static void test_abandoned_capture_is_truncated(void **state)
{
	uint64_t record[2] = {0, 0};
	struct capture_writer *writer;
	int fd = memory_file();
	unsigned int nr;

	(void)state;
	assert_int_equal(capture_writer_new(copy_of(fd), &writer), 0);
	fill_record(record, 0);
	assert_int_equal(capture_write(writer, record, sizeof(record)), 0);
	capture_writer_abandon(writer);
	assert_int_equal(read_all(fd, &nr, NULL), -ENODATA);
	assert_int_equal(nr, 1);
	close(fd);
	capture_writer_abandon(NULL);
	assert_int_equal(capture_writer_close(NULL), 0);
	capture_reader_free(NULL);
}

/* Cut at every byte: never more than what was written, never an end that looks whole. */
static void test_cut_anywhere_is_truncated(void **state)
{
	int fd = write_capture(5);
	off_t size = lseek(fd, 0, SEEK_END);
	struct capture_reader *reader;
	unsigned int nr, most = 0;
	off_t cut;

	(void)state;
	for (cut = size - 1; cut >= 0; cut--) {
		assert_int_equal(ftruncate(fd, cut), 0);
		if (cut < HEADER_BYTES) {
			assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
			assert_int_equal(capture_reader_new(copy_of(fd), &reader, NULL),
					 cut < 8 ? -EPROTO : -ENODATA);
			continue;
		}
		assert_int_equal(read_all(fd, &nr, NULL), -ENODATA);
		assert_true(nr < 5);
		most = nr > most ? nr : most;
	}
	assert_int_equal(most, 4);
	close(fd);
}

/* A flipped bit in any byte but those of the header that are not looked at. */
static void test_damage_anywhere_is_found(void **state)
{
	int fd = write_capture(3);
	off_t size = lseek(fd, 0, SEEK_END), at;
	unsigned int nr;

	(void)state;
	for (at = HEADER_BYTES; at < size; at++) {
		unsigned char byte, damaged;
		int err;

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		damaged = byte ^ 0x10;
		assert_int_equal(pwrite(fd, &damaged, 1, at), 1);
		err = read_all(fd, &nr, NULL);
		/* a length that has grown may reach beyond the end */
		assert_true(err == -EBADMSG || err == -ENODATA);
		assert_true(nr < 3);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	assert_int_equal(read_all(fd, &nr, NULL), 0);
	close(fd);
}

static void check_length(uint32_t length, int expected)
{
	static unsigned char record[2 * RECORD_MAX_BYTES];
	uint32_t prefix[2] = {length, 0};
	unsigned int nr;
	int fd = write_capture(0);
	uint64_t one = 1;

	if (length <= sizeof(record))
		prefix[1] = (uint32_t)crc32(crc32(0, NULL, 0), record, length);
	assert_int_equal(pwrite(fd, &one, 8, COUNT_OFFSET), 8);
	assert_int_equal(pwrite(fd, prefix, 8, HEADER_BYTES), 8);
	assert_int_equal(pwrite(fd, record, sizeof(record), HEADER_BYTES + 8), sizeof(record));
	assert_int_equal(read_all(fd, &nr, NULL), expected);
	assert_int_equal(nr, 0);
	close(fd);
}

static void test_lengths_that_no_record_has(void **state)
{
	(void)state;
	check_length(0, -EBADMSG);
	check_length(8, -EBADMSG);
	check_length(17, -EBADMSG);
	check_length(RECORD_MAX_BYTES + 8, -EBADMSG);
	check_length(UINT32_MAX, -EBADMSG);
	check_length(UINT32_MAX - 7, -EBADMSG);
}

static void test_more_than_promised_is_damage(void **state)
{
	int fd = write_capture(7);
	uint64_t fewer = 6, more = 8;
	unsigned int nr;

	(void)state;
	assert_int_equal(pwrite(fd, &fewer, 8, COUNT_OFFSET), 8);
	assert_int_equal(read_all(fd, &nr, NULL), -EBADMSG);
	assert_int_equal(nr, 6);
	assert_int_equal(pwrite(fd, &more, 8, COUNT_OFFSET), 8);
	assert_int_equal(read_all(fd, &nr, NULL), -ENODATA);
	assert_int_equal(nr, 7);
	close(fd);
}

/* Replaces nr bytes of the header of an empty capture and opens it. */
static int open_patched(off_t at, const void *data, size_t nr, uint16_t *major)
{
	struct capture_reader *reader = NULL;
	int fd = write_capture(0), err;

	assert_int_equal(pwrite(fd, data, nr, at), nr);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	err = capture_reader_new(fd, &reader, major);
	if (err)
		assert_null(reader);
	capture_reader_free(reader);
	return err;
}

static void test_foreign_and_newer_files(void **state)
{
	uint16_t version = CAPTURE_MAJOR + 1, major = 0;
	uint32_t length;

	(void)state;
	assert_int_equal(open_patched(0,
				      "\x7f"
				      "ELF",
				      4, &major),
			 -EPROTO);
	assert_int_equal(major, 0);
	assert_int_equal(open_patched(8, &version, 2, &major), -EPROTONOSUPPORT);
	assert_int_equal(major, CAPTURE_MAJOR + 1);
	assert_int_equal(open_patched(8, &version, 2, NULL), -EPROTONOSUPPORT);
	/* a newer minor is welcome */
	assert_int_equal(open_patched(10, &version, 2, NULL), 0);
	length = 24;
	assert_int_equal(open_patched(12, &length, 4, NULL), -EPROTO);
	length = 36;
	assert_int_equal(open_patched(12, &length, 4, NULL), -EPROTO);
	length = UINT32_MAX;
	assert_int_equal(open_patched(12, &length, 4, NULL), -EPROTO);
	length = 40; /* more than there is */
	assert_int_equal(open_patched(12, &length, 4, NULL), -ENODATA);
}

static void test_longer_header_of_a_newer_minor(void **state)
{
	int from = write_capture(13), to = memory_file();
	static char rest[1 << 20];
	uint32_t length = 48;
	char header[48] = "";
	unsigned int nr;
	ssize_t nr_rest;

	(void)state;
	assert_int_equal(pread(from, header, HEADER_BYTES, 0), HEADER_BYTES);
	memcpy(header + 12, &length, sizeof(length));
	assert_int_equal(write(to, header, sizeof(header)), sizeof(header));
	nr_rest = pread(from, rest, sizeof(rest), HEADER_BYTES);
	assert_true(nr_rest > 0);
	assert_int_equal(write(to, rest, (size_t)nr_rest), nr_rest);
	assert_int_equal(read_all(to, &nr, NULL), 0);
	assert_int_equal(nr, 13);
	close(from);
	close(to);
}

static void test_writer_refuses_what_no_reader_takes(void **state)
{
	static uint64_t record[RECORD_MAX_BYTES / 8 + 1];
	struct capture_writer *writer;
	int pipes[2], fd = memory_file();
	unsigned int nr;

	(void)state;
	assert_int_equal(capture_writer_new(copy_of(fd), &writer), 0);
	assert_int_equal(capture_write(writer, record, 0), -EINVAL);
	assert_int_equal(capture_write(writer, record, 8), -EINVAL);
	assert_int_equal(capture_write(writer, record, 20), -EINVAL);
	assert_int_equal(capture_write(writer, record, sizeof(record)), -EINVAL);
	/* a mistake of the caller's is no broken file */
	assert_int_equal(capture_writer_close(writer), 0);
	assert_int_equal(read_all(fd, &nr, NULL), 0);
	/* not at the beginning */
	writer = NULL;
	assert_int_equal(capture_writer_new(fd, &writer), -EINVAL);
	close(fd);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(capture_writer_new(pipes[1], &writer), -ESPIPE);
	assert_null(writer);
	close(pipes[0]);
	close(pipes[1]);
}

/* The disk fills up while a capture is being written: the descriptor leads to /dev/full from then on. */
static void fill_disk(int fd)
{
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(full);
	assert_int_equal(dup2(fileno(full), fd), fd);
	assert_int_equal(fclose(full), 0);
}

static void test_full_disk_is_sticky(void **state)
{
	static uint64_t record[RECORD_MAX_BYTES / 8];
	struct capture_writer *writer = NULL;
	int fd = memory_file(), err = 0, i;

	(void)state;
	assert_int_equal(capture_writer_new(fd, &writer), 0);
	fill_disk(fd);
	for (i = 0; i < 8 && !err; i++)
		err = capture_write(writer, record, sizeof(record));
	assert_int_equal(err, -ENOSPC);
	assert_in_range(i, 2, 8);
	assert_int_equal(capture_write(writer, record, 16), -ENOSPC);
	assert_int_equal(capture_writer_close(writer), -ENOSPC);
}

static void test_full_disk_is_noticed_at_the_latest_by_close(void **state)
{
	uint64_t record[2] = {1, 2};
	struct capture_writer *writer = NULL;
	int fd = memory_file();

	(void)state;
	assert_int_equal(capture_writer_new(fd, &writer), 0);
	assert_int_equal(capture_write(writer, record, sizeof(record)), 0);
	fill_disk(fd);
	assert_int_equal(capture_writer_close(writer), -ENOSPC);
	fd = memory_file();
	fill_disk(fd);
	writer = NULL;
	assert_int_equal(capture_writer_new(fd, &writer), -ENOSPC);
	assert_null(writer);
	close(fd);
}

static void test_no_memory(void **state)
{
	struct capture_writer *writer = NULL;
	struct capture_reader *reader = NULL;
	int fd = write_capture(1);

	(void)state;
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	allocfail_set(1);
	assert_int_equal(capture_writer_new(fd, &writer), -ENOMEM);
	assert_null(writer);
	allocfail_set(1);
	assert_int_equal(capture_reader_new(copy_of(fd), &reader, NULL), -ENOMEM);
	allocfail_set(0);
	assert_null(reader);
	/* the reader has closed its descriptor, the writer has left it alone */
	assert_int_equal(close(fd), 0);
}

static void test_reader_takes_a_pipe(void **state)
{
	int fd = write_capture(11), pipes[2];
	static char data[1 << 16];
	struct capture_reader *reader;
	const void *record;
	unsigned int seen = 0;
	ssize_t size;
	size_t nr;

	(void)state;
	size = pread(fd, data, sizeof(data), 0);
	assert_in_range(size, 1, sizeof(data) - 1);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], data, (size_t)size), size);
	close(pipes[1]);
	assert_int_equal(capture_reader_new(pipes[0], &reader, NULL), 0);
	while (capture_read(reader, &record, &nr) == 1)
		seen++;
	assert_int_equal(seen, 11);
	assert_int_equal(capture_read(reader, &record, &nr), 0);
	capture_reader_free(reader);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_empty_capture),
		cmocka_unit_test(test_abandoned_capture_is_truncated),
		cmocka_unit_test(test_cut_anywhere_is_truncated),
		cmocka_unit_test(test_damage_anywhere_is_found),
		cmocka_unit_test(test_lengths_that_no_record_has),
		cmocka_unit_test(test_more_than_promised_is_damage),
		cmocka_unit_test(test_foreign_and_newer_files),
		cmocka_unit_test(test_longer_header_of_a_newer_minor),
		cmocka_unit_test(test_writer_refuses_what_no_reader_takes),
		cmocka_unit_test(test_full_disk_is_sticky),
		cmocka_unit_test(test_full_disk_is_noticed_at_the_latest_by_close),
		cmocka_unit_test(test_reader_takes_a_pipe),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
