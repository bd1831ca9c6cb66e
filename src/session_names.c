// SPDX-License-Identifier: GPL-2.0-or-later
/* Where names come from, and what to do when there are none. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "session_impl.h"

#define NAMELESS_MAX 3 /* files to tell of */

/* Names a directory as we see it now: where we are later is nobody's concern. */
static int check_dir(const char *option, const char *dir, char **absolute)
{
	struct stat st;
	int err = 0;

	if (stat(dir, &st))
		err = -errno;
	else if (!S_ISDIR(st.st_mode))
		err = -ENOTDIR;
	*absolute = err ? NULL : realpath(dir, NULL);
	if (!err && !*absolute)
		err = -errno;
	if (err)
		log_error("cannot use '%s' for %s: %s", dir, option, strerror(-err));
	return err;
}

int session_check_debug_dirs(struct session *s)
{
	char *sysroot;
	size_t i;
	int err = 0;

	for (i = 0; i < s->cli->nr_debug_dirs && !err; i++) {
		err = check_dir("--debug-dir", s->cli->debug_dir[i], &s->debug_dir[i]);
		if (!err)
			s->nr_debug_dirs++;
	}
	if (!err && s->cli->sysroot) {
		err = check_dir("--sysroot", s->cli->sysroot, &sysroot);
		free(sysroot);
	}
	return err;
}

void session_release_debug_dirs(struct session *s)
{
	size_t i;

	for (i = 0; i < s->nr_debug_dirs; i++)
		free(s->debug_dir[i]);
}

int session_start_namer(struct session *s)
{
	struct symbolizer_options options = {
		.no_demangle = s->cli->no_demangle,
		.debug_dir = (const char *const *)s->debug_dir,
		.nr_debug_dirs = s->nr_debug_dirs,
		.sysroot = s->cli->sysroot,
		.debuginfod = s->cli->debuginfod,
	};
	int err = namer_new(&options, &s->namer);

	if (err)
		log_error("cannot read names: %s", strerror(-err));
	return err;
}

struct nameless {
	const char *module[NAMELESS_MAX + 1];
	size_t nr;
};

static void add_nameless(struct nameless *n, const struct report_frame *frame, size_t nr_frames)
{
	size_t i, k;

	for (i = 0; i < nr_frames && n->nr <= NAMELESS_MAX; i++) {
		if (frame[i].function[0] || frame[i].module[0] != '/')
			continue;
		for (k = 0; k < n->nr; k++) {
			if (!strcmp(n->module[k], frame[i].module))
				break;
		}
		if (k == n->nr)
			n->module[n->nr++] = frame[i].module;
	}
}

void session_say_nameless(const struct session *s, const struct report *report)
{
	struct nameless n = {.nr = 0};
	size_t i;

	for (i = 0; i < report->nr_sites; i++)
		add_nameless(&n, report->site[i].frame, report->site[i].nr_frames);
	for (i = 0; i < report->nr_faults; i++)
		add_nameless(&n, report->fault[i].frame, report->fault[i].nr_frames);
	for (i = 0; i < n.nr && i < NAMELESS_MAX; i++)
		log_info("some functions of '%s' have no names: install its debug symbols, or see "
			 "--debug-dir%s",
			 n.module[i], s->cli->debuginfod ? "" : " and --debuginfod");
	if (n.nr > NAMELESS_MAX)
		log_info("the same holds for other files");
}
