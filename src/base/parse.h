/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strict parsing of what people type. The whole text must be used up; no sign, no blanks, no empty text, no overflow.
 * 0, -EINVAL (malformed) or -ERANGE; *out is set on success only.
 */
#ifndef SEEP_BASE_PARSE_H
#define SEEP_BASE_PARSE_H

#include <stddef.h>
#include <stdint.h>

int parse_u64(const char *text, uint64_t *out); /* decimal */
int parse_duration(const char *text,
		   uint64_t *ns); /* "10s", "1.5s", "200ms", "3m", "1h"; a bare number is seconds */
int parse_size(
	const char *text,
	uint64_t *
		bytes); /* "512", "512K", "1.5M", "2G": powers of 1024; an optional "B" or "iB" after the letter */
int parse_percent(const char *text, double *out); /* "5%", "0.5%", "5" */

/* For people: "1.2 MB" is 1024-based and written "1.2 MiB"; fits in 16 characters. */
void format_bytes(uint64_t bytes, char *buf, size_t size);
/* "12.3 s", "4m05s", "3h12m", "2d04h" */
void format_duration(double seconds, char *buf, size_t size);
/* "1,234,567" */
void format_count(uint64_t n, char *buf, size_t size);

#endif
