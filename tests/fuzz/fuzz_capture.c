/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a capture file. The first byte of the input chooses: raw bytes, or records with right checksums behind a
 * right header, so that what lies behind these checks is reached as well.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "capture.h"
#include "fd.h"
#include "record.h"

static void put(int fd, const void *data, size_t nr)
{
	if (fd_write_all(fd, data, nr))
		abort();
}

/* Input: one byte of length for each record, then its bytes. */
static void write_framed(int fd, const uint8_t *data, size_t nr)
{
	static const char header[32] =
		"seepcap\n\1\0\0\0\x20\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff";

	put(fd, header, sizeof(header));
	while (nr) {
		size_t length = data[0];
		uint32_t prefix[2];

		data++;
		nr--;
		if (length > nr)
			length = nr;
		prefix[0] = (uint32_t)length;
		prefix[1] = (uint32_t)crc32(crc32(0, NULL, 0), data, (uInt)length);
		put(fd, prefix, sizeof(prefix));
		put(fd, data, length);
		data += length;
		nr -= length;
	}
}

static void read_capture(int fd, size_t size)
{
	struct capture_reader *reader;
	uint64_t seen = 32;
	uint16_t major;
	const void *record;
	size_t nr;
	int err;

	if (capture_reader_new(fd, &reader, &major))
		return;
	for (;;) {
		unsigned char *copy;

		err = capture_read(reader, &record, &nr);
		if (err != 1)
			break;
		/* every byte that is promised is there, and was in the file */
		copy = malloc(nr);
		if (!copy)
			abort();
		memcpy(copy, record, nr);
		free(copy);
		seen += 8 + nr;
		if (nr < sizeof(struct event_head) || nr > RECORD_MAX_BYTES || seen > size)
			abort();
	}
	if (capture_read(reader, &record, &nr) != err || capture_reader_position(reader) > size)
		abort();
	capture_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nr)
{
	int fd = memfd_create("capture", MFD_CLOEXEC);
	off_t size;

	if (fd < 0)
		abort();
	if (nr && data[0] & 1)
		write_framed(fd, data + 1, nr - 1);
	else if (nr)
		put(fd, data + 1, nr - 1);
	size = lseek(fd, 0, SEEK_CUR);
	if (size < 0 || lseek(fd, 0, SEEK_SET))
		abort();
	read_capture(fd, (size_t)size);
	return 0;
}
