/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reports to bytes. Each writer appends a whole report to the buffer; 0 or -ENOMEM. Text is for people, at most 80
 * columns; JSON has all that text has, on one line, and its keys are a contract; folded has one line a stack.
 */
#ifndef SEEP_OUT_OUT_H
#define SEEP_OUT_OUT_H

#include "report.h"
#include "strbuf.h"

enum out_format {
	OUT_TEXT = 1,
	OUT_JSON = 2,
	OUT_FOLDED = 3,
};

/* "text", "json", "folded"; -EINVAL for another name. */
int out_format_parse(const char *name, enum out_format *format);

int out_report(const struct report *report, enum out_format format, struct strbuf *out);

/* Used by out_report(): */
int out_text(const struct report *report, struct strbuf *out);
int out_json(const struct report *report, struct strbuf *out);
int out_folded(const struct report *report, struct strbuf *out);

#endif
