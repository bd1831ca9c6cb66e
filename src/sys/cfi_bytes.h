/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Untrusted bytes, read front to back: little-endian numbers, LEB128 (DWARF 5, 7.6) and encoded pointers (LSB Core 5.0,
 * 10.5.1). What does not fit turns the cursor bad for good; from then on it is at its end and all reads give 0, so it
 * need be asked only once, after several reads.
 */
#ifndef SEEP_SYS_CFI_BYTES_H
#define SEEP_SYS_CFI_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cfi_cursor {
	const unsigned char *at, *end;
	bool bad;
};

/* Part of a file, in memory. */
struct cfi_section {
	const unsigned char *data;
	size_t nr;
	uint64_t address;
	void *owned; /* NULL: data is somebody else's */
};

static inline void cfi_turn_bad(struct cfi_cursor *cursor)
{
	cursor->bad = true;
	cursor->at = cursor->end;
}

static inline size_t cfi_left(const struct cfi_cursor *cursor)
{
	return (size_t)(cursor->end - cursor->at);
}

static inline void cfi_skip(struct cfi_cursor *cursor, uint64_t nr)
{
	if (nr > cfi_left(cursor))
		cfi_turn_bad(cursor);
	else
		cursor->at += nr;
}

/* A number of 1, 2, 4 or 8 bytes. */
static inline uint64_t cfi_number(struct cfi_cursor *cursor, size_t bytes)
{
	uint64_t value = 0;

	if (bytes > cfi_left(cursor)) {
		cfi_turn_bad(cursor);
		return 0;
	}
	memcpy(&value, cursor->at, bytes);
	cursor->at += bytes;
	return value;
}

/* Bad: more than 64 bits. */
uint64_t cfi_long_uleb(struct cfi_cursor *cursor);
int64_t cfi_sleb(struct cfi_cursor *cursor);

static inline uint64_t cfi_uleb(struct cfi_cursor *cursor)
{
	if (cursor->at < cursor->end && *cursor->at < 0x80)
		return *cursor->at++;
	return cfi_long_uleb(cursor);
}

/* A block with its length before it. */
static inline struct cfi_cursor cfi_block(struct cfi_cursor *cursor)
{
	uint64_t nr = cfi_uleb(cursor);
	struct cfi_cursor block = {.at = cursor->at, .end = cursor->at};

	cfi_skip(cursor, nr);
	if (!cursor->bad)
		block.end = cursor->at;
	return block;
}

/*
 * A pointer as DW_EH_PE_* says. section: what the cursor is in; data_base: what DW_EH_PE_datarel counts from, 0: unknown.
 * Bad: relative to text or function, aligned, indirect, omitted.
 */
uint64_t cfi_pointer(struct cfi_cursor *cursor, unsigned int encoding,
		     const struct cfi_section *section, uint64_t data_base);

#endif
