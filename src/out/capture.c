/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "capture.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "fd.h"
#include "record.h"

#define BUFFER_BYTES ((size_t)1 << 20)
#define MAX_HEADER_BYTES 4096
#define NR_UNKNOWN UINT64_MAX

struct capture_header {
	char magic[8];
	uint16_t major, minor;
	uint32_t header_bytes;
	uint64_t nr_records;
	uint64_t reserved;
};

struct record_prefix {
	uint32_t nr;
	uint32_t crc32;
};

_Static_assert(sizeof(struct capture_header) == 32, "capture_header");
_Static_assert(sizeof(struct record_prefix) == 8, "record_prefix");
_Static_assert(BUFFER_BYTES >= sizeof(struct record_prefix) + RECORD_MAX_BYTES, "buffer");

static const char magic[8] = "seepcap\n";

static bool is_record_length(size_t nr)
{
	return nr >= sizeof(struct event_head) && nr <= RECORD_MAX_BYTES && nr % 8 == 0;
}

static uint32_t checksum(const void *record, size_t nr)
{
	return (uint32_t)crc32(crc32(0, NULL, 0), record, (uInt)nr);
}

/* --- writer ----------------------------------------------------------------------------------- */

struct capture_writer {
	int fd;
	int error; /* the first one */
	uint64_t nr_records;
	uint64_t bytes;
	size_t nr; /* in the buffer */
	unsigned char buffer[BUFFER_BYTES];
};

static void flush(struct capture_writer *writer)
{
	int err;

	if (writer->error)
		return;
	err = fd_write_all(writer->fd, writer->buffer, writer->nr);
	if (err)
		writer->error = err;
	writer->nr = 0;
}

static void append(struct capture_writer *writer, const void *data, size_t nr)
{
	memcpy(writer->buffer + writer->nr, data, nr);
	writer->nr += nr;
	writer->bytes += nr;
}

int capture_writer_new(int fd, struct capture_writer **out)
{
	struct capture_header header = {
		.major = CAPTURE_MAJOR,
		.minor = CAPTURE_MINOR,
		.header_bytes = sizeof(header),
		.nr_records = NR_UNKNOWN,
	};
	struct capture_writer *writer;
	off_t offset = lseek(fd, 0, SEEK_CUR);
	int err;

	if (offset)
		return offset < 0 ? -errno : -EINVAL;
	writer = malloc(sizeof(*writer));
	if (!writer)
		return -ENOMEM;
	writer->fd = fd;
	writer->error = 0;
	writer->nr_records = 0;
	writer->bytes = 0;
	writer->nr = 0;
	memcpy(header.magic, magic, sizeof(magic));
	append(writer, &header, sizeof(header));
	/* at once: a file that nothing can be written to is noticed before the probes are set */
	flush(writer);
	err = writer->error;
	if (err) {
		free(writer);
		return err;
	}
	*out = writer;
	return 0;
}

int capture_write(struct capture_writer *writer, const void *record, size_t nr)
{
	struct record_prefix prefix = {.nr = (uint32_t)nr};

	if (writer->error)
		return writer->error;
	if (!is_record_length(nr))
		return -EINVAL;
	if (sizeof(prefix) + nr > sizeof(writer->buffer) - writer->nr)
		flush(writer);
	if (writer->error)
		return writer->error;
	prefix.crc32 = checksum(record, nr);
	append(writer, &prefix, sizeof(prefix));
	append(writer, record, nr);
	writer->nr_records++;
	return 0;
}

/* The records must be on the disk before the number that vouches for them. */
static int complete(struct capture_writer *writer)
{
	ssize_t nr;

	flush(writer);
	if (writer->error)
		return writer->error;
	/* EINVAL: a file that needs no syncing */
	if (fdatasync(writer->fd) && errno != EINVAL)
		return -errno;
	nr = pwrite(writer->fd, &writer->nr_records, sizeof(writer->nr_records),
		    offsetof(struct capture_header, nr_records));
	if (nr != sizeof(writer->nr_records))
		return nr < 0 ? -errno : -EIO;
	if (fdatasync(writer->fd) && errno != EINVAL)
		return -errno;
	return 0;
}

int capture_writer_close(struct capture_writer *writer)
{
	int err;

	if (!writer)
		return 0;
	err = complete(writer);
	if (close(writer->fd) && !err)
		err = -errno;
	free(writer);
	return err;
}

void capture_writer_abandon(struct capture_writer *writer)
{
	if (!writer)
		return;
	/* what was seen so far is worth having; that it is cut short, the header says */
	flush(writer);
	fd_close(&writer->fd);
	free(writer);
}

uint64_t capture_writer_bytes(const struct capture_writer *writer)
{
	return writer->bytes;
}

/* --- reader ----------------------------------------------------------------------------------- */

struct capture_reader {
	int fd;
	int error; /* the first one; after it nothing more is read */
	bool at_end;
	uint64_t nr_records; /* as promised by the header */
	uint64_t nr_read;
	uint64_t position; /* in the file, of buffer[start] */
	size_t start, end; /* unread bytes of the buffer; start stays a multiple of 8 */
	_Alignas(8) unsigned char buffer[BUFFER_BYTES];
};

/* Makes nr bytes available at buffer[start]. 0, -ENODATA when the file ends before, or an error of read(). */
static int fill(struct capture_reader *reader, size_t nr)
{
	ssize_t got;

	if (reader->end - reader->start >= nr)
		return 0;
	memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
	reader->end -= reader->start;
	reader->start = 0;
	if (!reader->at_end) {
		got = fd_read_all(reader->fd, reader->buffer + reader->end,
				  sizeof(reader->buffer) - reader->end);
		if (got < 0)
			return (int)got;
		reader->at_end = (size_t)got < sizeof(reader->buffer) - reader->end;
		reader->end += (size_t)got;
	}
	return reader->end >= nr ? 0 : -ENODATA;
}

static void consume(struct capture_reader *reader, size_t nr)
{
	reader->start += nr;
	reader->position += nr;
}

static int read_header(struct capture_reader *reader, uint16_t *major)
{
	struct capture_header header;
	int err;

	err = fill(reader, sizeof(magic));
	if (err)
		return err == -ENODATA ? -EPROTO : err;
	if (memcmp(reader->buffer, magic, sizeof(magic)) != 0)
		return -EPROTO;
	err = fill(reader, sizeof(header));
	if (err)
		return err;
	memcpy(&header, reader->buffer, sizeof(header));
	if (header.major != CAPTURE_MAJOR) {
		if (major)
			*major = header.major;
		return -EPROTONOSUPPORT;
	}
	if (header.header_bytes < sizeof(header) || header.header_bytes > MAX_HEADER_BYTES ||
	    header.header_bytes % 8)
		return -EPROTO;
	err = fill(reader, header.header_bytes);
	if (err)
		return err;
	consume(reader, header.header_bytes);
	reader->nr_records = header.nr_records;
	return 0;
}

int capture_reader_new(int fd, struct capture_reader **out, uint16_t *major)
{
	struct capture_reader *reader;
	int err;

	reader = malloc(sizeof(*reader));
	if (!reader) {
		fd_close(&fd);
		return -ENOMEM;
	}
	reader->fd = fd;
	reader->error = 0;
	reader->at_end = false;
	reader->nr_records = 0;
	reader->nr_read = 0;
	reader->position = 0;
	reader->start = 0;
	reader->end = 0;
	err = read_header(reader, major);
	if (err) {
		capture_reader_free(reader);
		return err;
	}
	*out = reader;
	return 0;
}

/* At a record's boundary: 1 when another one is due, else as capture_read(). */
static int another_record(struct capture_reader *reader)
{
	int err = fill(reader, 1);

	if (err && err != -ENODATA)
		return err;
	if (reader->nr_read == reader->nr_records)
		return err ? 0 : -EBADMSG;
	return err ? -ENODATA : 1;
}

static int read_record(struct capture_reader *reader, const void **record, size_t *nr)
{
	struct record_prefix prefix;
	int err;

	err = another_record(reader);
	if (err <= 0)
		return err;
	err = fill(reader, sizeof(prefix));
	if (err)
		return err;
	memcpy(&prefix, reader->buffer + reader->start, sizeof(prefix));
	if (!is_record_length(prefix.nr))
		return -EBADMSG;
	err = fill(reader, sizeof(prefix) + prefix.nr);
	if (err)
		return err;
	if (checksum(reader->buffer + reader->start + sizeof(prefix), prefix.nr) != prefix.crc32)
		return -EBADMSG;
	*record = reader->buffer + reader->start + sizeof(prefix);
	*nr = prefix.nr;
	consume(reader, sizeof(prefix) + prefix.nr);
	reader->nr_read++;
	return 1;
}

int capture_read(struct capture_reader *reader, const void **record, size_t *nr)
{
	int err;

	if (reader->error)
		return reader->error;
	err = read_record(reader, record, nr);
	if (err < 0)
		reader->error = err;
	return err;
}

void capture_reader_free(struct capture_reader *reader)
{
	if (!reader)
		return;
	fd_close(&reader->fd);
	free(reader);
}

uint64_t capture_reader_position(const struct capture_reader *reader)
{
	return reader->position;
}
