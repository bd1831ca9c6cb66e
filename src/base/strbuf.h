/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A growing string. Zeroed is empty. text is NULL or NUL-terminated; nr does not count the NUL. An
 * allocation failure is sticky: later additions do nothing, and strbuf_error() tells, so that a
 * writer may check once at its end. What was there before the failure is still there. What is added
 * must not lie in the buffer itself.
 */
#ifndef SEEP_BASE_STRBUF_H
#define SEEP_BASE_STRBUF_H

#include <stddef.h>

struct strbuf {
	char *text;
	size_t nr, cap;
	int error; /* 0 or -ENOMEM */
};

void strbuf_release(struct strbuf *sb); /* leaves it empty */
void strbuf_clear(struct strbuf *sb);	/* empty, memory kept, error forgotten */
void strbuf_add(struct strbuf *sb, const void *data, size_t nr);
void strbuf_puts(struct strbuf *sb, const char *text);
void strbuf_printf(struct strbuf *sb, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int strbuf_error(const struct strbuf *sb);

#endif
