/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where reports go: standard output, or the file of -o, which is opened before anything else is done. */
#ifndef SEEP_CMD_EMIT_H
#define SEEP_CMD_EMIT_H

#include "cli.h"
#include "report.h"

struct emit {
	enum out_format format;
	const char *name; /* for messages */
	int fd;
	bool own;
};

/* 0, or a negative errno after saying why. path NULL: standard output. */
int emit_open(struct emit *emit, enum out_format format, const char *path);
/* As session_options.emit: arg is a struct emit. */
int emit_report(const struct report *report, void *arg);
/* 0, or a negative errno after saying why: a full disk may show only now. */
int emit_close(struct emit *emit);

#endif
