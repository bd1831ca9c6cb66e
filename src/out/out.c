/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "out.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "array.h"

static const struct out_writer {
	const char *name;
	enum out_format format;
	int (*write)(const struct report *report, struct strbuf *out);
} writers[] = {
	{"text", OUT_TEXT, out_text},
	{"json", OUT_JSON, out_json},
	{"folded", OUT_FOLDED, out_folded},
};

int out_format_parse(const char *name, enum out_format *format)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(writers); i++) {
		if (strcmp(writers[i].name, name) == 0) {
			*format = writers[i].format;
			return 0;
		}
	}
	return -EINVAL;
}

int out_report(const struct report *report, enum out_format format, struct strbuf *out)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(writers); i++) {
		if (writers[i].format == format)
			return writers[i].write(report, out);
	}
	return -EINVAL;
}
