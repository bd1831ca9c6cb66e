/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "names.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static bool is_continuation(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/*
 * Bytes of the character that text begins with, 0 when it begins with none. A NUL is no continuation byte, so that
 * nothing behind the end is read. Ranges of the second byte: Unicode, table 3-7.
 */
static size_t char_length(const unsigned char *text)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t nr, i;

	if (text[0] < 0x80)
		return 1;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	nr = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (text[0] == 0xe0)
		low = 0xa0;
	else if (text[0] == 0xed)
		high = 0x9f;
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (i = 2; i < nr; i++) {
		if (!is_continuation(text[i]))
			return 0;
	}
	return nr;
}

/* C0, DEL, and C1, which some terminals obey as well. */
static bool is_control(const unsigned char *text)
{
	return text[0] < 0x20 || text[0] == 0x7f || (text[0] == 0xc2 && text[1] < 0xa0);
}

static void add(struct strbuf *out, const char *text, bool keep_controls)
{
	while (*text) {
		const unsigned char *byte = (const unsigned char *)text;
		size_t nr = char_length(byte);

		if (!nr || (!keep_controls && is_control(byte)))
			strbuf_add(out, REPLACEMENT, strlen(REPLACEMENT));
		else
			strbuf_add(out, text, nr);
		text += nr ? nr : 1;
	}
}

void names_add_utf8(struct strbuf *out, const char *text)
{
	add(out, text, true);
}

void names_add_clean(struct strbuf *out, const char *text)
{
	add(out, text, false);
}

size_t names_columns(const char *clean)
{
	size_t columns = 0;

	for (; *clean; clean++) {
		if (!is_continuation((unsigned char)*clean))
			columns++;
	}
	return columns;
}

size_t names_fit(const char *clean, size_t columns)
{
	size_t nr = 0;

	while (clean[nr] && (columns || is_continuation((unsigned char)clean[nr]))) {
		if (!is_continuation((unsigned char)clean[nr]))
			columns--;
		nr++;
	}
	return nr;
}

void names_add_cut(struct strbuf *out, const char *clean, size_t columns)
{
	size_t all = names_columns(clean);
	size_t head, tail;

	if (all <= columns) {
		strbuf_puts(out, clean);
		return;
	}
	if (columns < 4) {
		strbuf_add(out, clean, names_fit(clean, columns));
		return;
	}
	tail = (columns - 3) / 2;
	head = columns - 3 - tail;
	strbuf_add(out, clean, names_fit(clean, head));
	strbuf_puts(out, "...");
	strbuf_puts(out, clean + names_fit(clean, all - tail));
}

void names_add_frame(struct strbuf *out, const struct report_frame *frame)
{
	if (frame->function[0]) {
		names_add_clean(out, frame->function);
	} else if (frame->module[0]) {
		names_add_clean(out, names_base(frame->module));
		strbuf_printf(out, "+0x%" PRIx64, frame->offset);
	} else {
		strbuf_puts(out, "[unknown]");
	}
}

const char *names_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}
