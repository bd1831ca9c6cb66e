// SPDX-License-Identifier: GPL-2.0-or-later
/* seep report: a capture file through the same profile and printers as a live run. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "capture.h"
#include "cmd.h"
#include "emit.h"
#include "log.h"
#include "profile.h"

static int open_capture(const char *path, struct capture_reader **reader)
{
	uint16_t major = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0) {
		log_error("cannot read '%s': %s", path, strerror(errno));
		return -errno;
	}
	err = capture_reader_new(fd, reader, &major);
	if (err == -EPROTO)
		log_error("'%s' is not a capture of seep", path);
	else if (err == -EPROTONOSUPPORT)
		log_error("'%s' was made by a newer seep (format %u, this one reads %u): use that "
			  "one",
			  path, major, CAPTURE_MAJOR);
	else if (err)
		log_error("cannot read '%s': %s", path, strerror(-err));
	return err;
}

/* Feeds all that can be read: 0, or why the rest cannot. */
static int replay(struct capture_reader *reader, struct profile *profile)
{
	const void *record;
	size_t nr;
	int got, err = 0;

	while (!err) {
		got = capture_read(reader, &record, &nr);
		if (got <= 0)
			return got;
		err = profile_feed(profile, record, nr);
	}
	return err;
}

static void say_damaged(const char *path, const struct capture_reader *reader, int err)
{
	unsigned long long at = capture_reader_position(reader);

	if (err == -ENODATA)
		log_warn("'%s' ends early, at byte %llu: it was not finished, or cut; this is what "
			 "it holds",
			 path, at);
	else if (err == -EBADMSG)
		log_warn("'%s' is damaged at byte %llu: this is what stands before", path, at);
	else
		log_warn("cannot read all of '%s': %s", path, strerror(-err));
}

static int report(const struct cli_options *cli, struct profile *profile, bool damaged)
{
	struct report_options options = {.top = cli->top,
					 .min_age_ns = cli->min_age_ns,
					 .allocator_frames = cli->allocator_frames,
					 .by = cli->by};
	int status = EXIT_FAILED;
	struct report out;
	struct emit emit;

	if (profile_report(profile, &options, &out)) {
		log_error("no memory for the report");
		return EXIT_FAILED;
	}
	if (damaged && out.complete) {
		out.complete = false;
		strcpy(out.incomplete_why, "the capture file ends early or is damaged");
	}
	if (!emit_open(&emit, cli->format, cli->output)) {
		status = emit_report(&out, &emit) ? EXIT_FAILED : EXIT_COMPLETE;
		if (emit_close(&emit))
			status = EXIT_FAILED;
	}
	if (status == EXIT_COMPLETE && !out.complete) {
		log_info("incomplete: %s", out.incomplete_why);
		status = EXIT_INCOMPLETE;
	}
	report_release(&out);
	return status;
}

int cmd_report(const struct cli_options *cli)
{
	struct profile *profile = profile_new();
	struct capture_reader *reader = NULL;
	int status = EXIT_FAILED, err;

	if (!profile) {
		log_error("no memory");
		return EXIT_FAILED;
	}
	if (!open_capture(cli->input, &reader)) {
		err = replay(reader, profile);
		if (err)
			say_damaged(cli->input, reader, err);
		if (err != -ENOMEM && profile_is_started(profile))
			status = report(cli, profile, err);
		else if (err != -ENOMEM)
			log_error("'%s' holds nothing to report", cli->input);
	}
	capture_reader_free(reader);
	profile_free(profile);
	return status;
}
