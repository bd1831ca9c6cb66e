/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strict parsing of what people type. The whole text must be used up; no sign, no blanks, no empty
 * text, no overflow. 0, -EINVAL (malformed) or -ERANGE; *out is set on success only.
 */
#ifndef SEEP_BASE_PARSE_H
#define SEEP_BASE_PARSE_H

#include <stddef.h>
#include <stdint.h>

/* Decimal. */
int parse_u64(const char *text, uint64_t *out);
/* "10s", "1.5s", "200ms", "3m", "1h"; a bare number is seconds. Rounded down to whole ns. */
int parse_duration(const char *text, uint64_t *ns);
/*
 * "512", "512K", "1.5M", "2G", "1T": powers of 1024; the letter may be small; an optional "B" or
 * "iB" after it. A fraction needs a letter, and is rounded down to whole bytes.
 */
int parse_size(const char *text, uint64_t *bytes);
/* "5%", "0.5%", "5". May be above 100. */
int parse_percent(const char *text, double *out);

/* For people, cut to fit buf as snprintf() does; FORMAT_MAX bytes always suffice. */
#define FORMAT_MAX 32

/* "512 B", "1.2 MiB": powers of 1024; fits in 16 characters. */
void format_bytes(uint64_t bytes, char *buf, size_t size);
/* "12.3 s", "4m05s", "3h12m", "2d04h"; "?" for what is negative or not a number. */
void format_duration(double seconds, char *buf, size_t size);
/* "1,234,567" */
void format_count(uint64_t n, char *buf, size_t size);

#endif
