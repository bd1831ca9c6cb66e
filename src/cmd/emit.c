// SPDX-License-Identifier: GPL-2.0-or-later
#include "emit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"
#include "log.h"

int emit_open(struct emit *emit, enum out_format format, const char *path)
{
	*emit = (struct emit){.format = format, .name = "standard output", .fd = STDOUT_FILENO};
	if (!path)
		return 0;
	emit->name = path;
	emit->own = true;
	emit->fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
	if (emit->fd >= 0)
		return 0;
	log_error("cannot write '%s': %s", path, strerror(errno));
	return -errno;
}

int emit_report(const struct report *report, void *arg)
{
	struct strbuf text = {0};
	struct emit *emit = arg;
	int err = out_report(report, emit->format, &text);

	if (!err)
		err = fd_write_all(emit->fd, text.text, text.nr);
	if (err)
		log_error("cannot write the report to '%s': %s", emit->name, strerror(-err));
	strbuf_release(&text);
	return err;
}

int emit_close(struct emit *emit)
{
	int fd = emit->fd;

	emit->fd = -1;
	if (!emit->own || fd < 0 || !close(fd))
		return 0;
	log_error("cannot write '%s': %s", emit->name, strerror(errno));
	return -errno;
}
