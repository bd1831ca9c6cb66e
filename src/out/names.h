/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names made by strangers (symbols, paths, comm) made fit to print. They may hold any byte but NUL.
 */
#ifndef SEEP_OUT_NAMES_H
#define SEEP_OUT_NAMES_H

#include <stddef.h>

#include "report.h"
#include "strbuf.h"

/* Appends text as valid UTF-8: each byte that is part of no character becomes U+FFFD. */
void names_add_utf8(struct strbuf *out, const char *text);

/* The same, and each control character becomes U+FFFD too: one line, and no terminal does what a name tells it to. */
void names_add_clean(struct strbuf *out, const char *text);

/* Columns that clean text takes: one for each character. */
size_t names_columns(const char *clean);

/* Bytes of the longest beginning of clean text that takes at most so many columns. */
size_t names_fit(const char *clean, size_t columns);

/* Appends clean text; when it has more than so many columns, its middle gives way to "...". */
void names_add_cut(struct strbuf *out, const char *clean, size_t columns);

/* Appends what a frame is called: its function, else module+0xoffset, else "[unknown]"; clean. */
void names_add_frame(struct strbuf *out, const struct report_frame *frame);

/* What follows the last slash. */
const char *names_base(const char *path);

#endif
