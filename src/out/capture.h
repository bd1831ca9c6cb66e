/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capture files: the stream of records of a run, to be replayed without root.
 *
 * Layout, little endian: a header of 32 bytes
 *	char magic[8]    "seepcap\n"
 *	u16 major, minor a reader refuses another major; a newer minor may hold kinds that it skips
 *	u32 header_bytes 32, or more in a newer minor
 *	u64 nr_records   all ones until the file is complete
 *	u64 reserved     0
 * then records, each: u32 nr bytes (of what follows), u32 crc32 (zlib's, of what follows), the record.
 * A record is at most RECORD_MAX_BYTES long. A file whose nr_records is still all ones, or that ends early, is
 * truncated: what is there can be read, and the reader says so.
 */
#ifndef SEEP_OUT_CAPTURE_H
#define SEEP_OUT_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#define CAPTURE_MAJOR 1
#define CAPTURE_MINOR 0

struct capture_writer;
/* Writes the header. Takes over fd when it succeeds. The fd must be seekable (-ESPIPE), at its beginning (-EINVAL), and
 * not O_APPEND. */
int capture_writer_new(int fd, struct capture_writer **out);
/* Buffered; an error is returned at once or by the next call, and is sticky. -EINVAL: no length that a record can have. */
int capture_write(struct capture_writer *writer, const void *record, size_t nr);
/* Flushes, sets nr_records, syncs; the file is complete after that. Frees the writer in any case. */
int capture_writer_close(struct capture_writer *writer);
/* Writes what is buffered, and frees without completing. */
void capture_writer_abandon(struct capture_writer *writer);
uint64_t capture_writer_bytes(const struct capture_writer *writer);

struct capture_reader;
/* -EPROTO: no capture of ours; -ENODATA: ours, but not even its header is whole; -EPROTONOSUPPORT: of another major
 * version (*major tells). Takes over fd, also on failure. major may be NULL. */
int capture_reader_new(int fd, struct capture_reader **out, uint16_t *major);
/*
 * The next record, borrowed until the next call: 1; 0 at the end of a complete file; -ENODATA when the file ends before
 * it should (truncated); -EBADMSG when a length or checksum is wrong (damaged from here on).
 */
int capture_read(struct capture_reader *reader, const void **record, size_t *nr);
void capture_reader_free(struct capture_reader *reader);
uint64_t
capture_reader_position(const struct capture_reader *reader); /* byte offset, for messages */

#endif
