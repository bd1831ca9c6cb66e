/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values that are a number or a word. */
#include <errno.h>
#include <string.h>

#include "attach.h"
#include "cli_table.h"
#include "parse.h"

int cli_parse_share(const struct cli_option *option, const char *text, double *out)
{
	double percent;

	if (strcmp(text, "off") == 0) {
		*out = 0;
		return 0;
	}
	/* 0 would be a limit that nothing keeps, and must not mean that there is none */
	if (parse_percent(text, &percent) || percent <= 0 || percent > (double)option->max)
		return -EINVAL;
	*out = percent / 100;
	return 0;
}

int cli_parse_sample(const struct cli_option *option, const char *text, uint64_t *out)
{
	uint64_t bytes;

	if (strcmp(text, "auto") == 0) {
		*out = SAMPLE_AUTO;
		return 0;
	}
	if (parse_size(text, &bytes) || bytes < option->min || bytes > option->max)
		return -EINVAL;
	*out = bytes;
	return 0;
}

int cli_parse_link(const char *text, int *out)
{
	for (int kind = ATTACH_PERF; kind <= ATTACH_SESSION; kind++) {
		if (strcmp(text, attach_kind_name((enum attach_kind)kind)) == 0) {
			*out = kind;
			return 0;
		}
	}
	return -EINVAL;
}
