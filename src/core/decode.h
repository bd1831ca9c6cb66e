/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is a record whole? All that can be told from its bytes alone; a capture file is untrusted.
 *
 * What record_check() has accepted can be read by the struct of its kind, with every string in its
 * place.
 */
#ifndef SEEP_CORE_DECODE_H
#define SEEP_CORE_DECODE_H

#include <stddef.h>

#include "record.h"

#define RECORD_MAX_SYMBOL_FRAMES 64 /* of one address, inlined ones included */

/* 0 or -EBADMSG. A record begins at a multiple of 8 bytes. */
int record_check(const void *record, size_t nr);

/* The strings packed at the end of a record: `at` starts at the first. */
struct record_strings {
	const char *at, *end;
};

/* The next one and its length; NULL when there is none, or when it is not terminated. */
const char *record_next_string(struct record_strings *strings, size_t *nr);

#endif
