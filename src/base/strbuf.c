/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "strbuf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

void strbuf_release(struct strbuf *sb)
{
	free(sb->text);
	*sb = (struct strbuf){0};
}

void strbuf_clear(struct strbuf *sb)
{
	sb->nr = 0;
	sb->error = 0;
	if (sb->text)
		sb->text[0] = '\0';
}

/* Room for nr more bytes and the NUL. */
static int strbuf_reserve(struct strbuf *sb, size_t nr)
{
	size_t need;

	if (sb->error)
		return sb->error;
	if (__builtin_add_overflow(sb->nr + 1, nr, &need) || ARRAY_GROW(&sb->text, &sb->cap, need))
		sb->error = -ENOMEM;
	return sb->error;
}

void strbuf_add(struct strbuf *sb, const void *data, size_t nr)
{
	if (strbuf_reserve(sb, nr))
		return;
	if (nr)
		memcpy(sb->text + sb->nr, data, nr);
	sb->nr += nr;
	sb->text[sb->nr] = '\0';
}

void strbuf_puts(struct strbuf *sb, const char *text)
{
	strbuf_add(sb, text, strlen(text));
}

void strbuf_printf(struct strbuf *sb, const char *format, ...)
{
	va_list args;
	int nr;

	va_start(args, format);
	nr = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (nr < 0) {
		/* longer than INT_MAX */
		if (!sb->error)
			sb->error = -ENOMEM;
		return;
	}
	if (strbuf_reserve(sb, (size_t)nr))
		return;
	va_start(args, format);
	(void)vsnprintf(sb->text + sb->nr, (size_t)nr + 1, format, args); /* measured above */
	va_end(args);
	sb->nr += (size_t)nr;
}

int strbuf_error(const struct strbuf *sb)
{
	return sb->error;
}
