// SPDX-License-Identifier: GPL-2.0-or-later
/* Where names come from, and what to do when there are none. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "session_impl.h"

#define DOUBT_NS 1000000000ull /* between two looks at a target for names that may be had */
#define WANT_NS                                                                                    \
	1000000000ull  /* between two looks for what has no name, while answers are awaited */
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

/*
 * The unwinder has seen code that the namer has not: it is asked again once it has looked. If it then knows no better,
 * it never will.
 */
static bool is_in_doubt(struct session *s, const struct namer_answer *answer)
{
	struct session_target *t = session_target_of(s, answer->key);
	uint64_t now_ns = session_now_ns();

	if (!answer->is_stale || SEEP_FRAME_ORIGIN(answer->address) == ORIGIN_UNKNOWN)
		return false;
	if (!s->armed || !t || t->gone || t->proc != answer->key)
		return false;
	if (t->in_doubt)
		return true;
	if (now_ns - t->doubted_ns < DOUBT_NS)
		return false;
	t->doubted_ns = now_ns;
	t->stale = t->in_doubt = true;
	return true;
}

/* Of what no record can hold: the innermost frames give way, and at last the texts. Returns how many of 3 * nr. */
static size_t leave_out_texts(const char **text, size_t nr)
{
	size_t max = RECORD_MAX_BYTES - sizeof(struct record_symbol) - 8, bytes = 0, i;

	for (i = 3 * nr; i; i--) {
		bytes += strlen(text[i - 1]) + 1 + sizeof(struct record_symbol_frame);
		if (bytes > max)
			break;
	}
	if (i > 3 * (nr - 1) && nr)
		text[3 * nr - 3] = text[3 * nr - 2] = text[3 * nr - 1] = "";
	i = (i + 2) / 3;
	return i < nr ? i : nr - 1;
}

static int feed_answer(const struct namer_answer *answer, void *arg)
{
	union {
		struct record_symbol symbol;
		uint64_t room[(sizeof(struct record_symbol) +
			       SYMBOLIZE_MAX_FRAMES * sizeof(struct record_symbol_frame)) /
			      8];
	} record = {.symbol = {.head = {.kind = RECORD_SYMBOL, .proc = answer->key},
			       .address = answer->address,
			       .nr = (uint32_t)answer->nr}};
	struct record_symbol_frame *frame = record.symbol.frame;
	const char *text[3 * SYMBOLIZE_MAX_FRAMES];
	size_t left_out = 0, i;

	if (is_in_doubt(arg, answer))
		return 0;
	for (i = 0; i < answer->nr; i++) {
		frame[i].line = answer->frame[i].line;
		frame[i].offset = answer->frame[i].offset;
		frame[i].flags = answer->frame[i].inlined ? SYMBOL_INLINED : 0;
		text[3 * i] = answer->frame[i].function;
		text[3 * i + 1] = answer->frame[i].module;
		text[3 * i + 2] = answer->frame[i].file;
	}
	if (answer->nr) {
		left_out = leave_out_texts(text, answer->nr);
		memmove(frame, frame + left_out, (answer->nr - left_out) * sizeof(*frame));
		record.symbol.nr -= (uint32_t)left_out;
	}
	return session_feed_strings(arg, &record,
				    sizeof(record.symbol) + record.symbol.nr * sizeof(*frame),
				    text + 3 * left_out, 3 * (size_t)record.symbol.nr);
}

static void want_name(uint32_t proc, uint64_t address, void *arg)
{
	struct session *s = arg;
	const struct session_target *t = session_target_of(s, proc);

	/* What is not found in mappings that are out of date would stay without a name. */
	if (t && t->stale && t->proc == proc)
		return;
	if (namer_want(s->namer, proc, address))
		log_debug("no memory to name %#llx", (unsigned long long)address);
}

/*
 * With all processes probed there are very many stacks, the same ones again in each process, and reading names would take
 * their time. If there will be no report but the last, it waits for that, unless what tells of processes that have ended
 * is about to be dropped.
 */
static bool may_wait(const struct session *s)
{
	return session_is_for_all(s) && s->armed && !s->cli->interval_ns &&
	       s->nr_dead - s->nr_dead_named < MAX_DEAD / 2;
}

/* Looking for what has no name takes a while when there are very many stacks: first come the answers that are due. */
int session_feed_names(struct session *s)
{
	uint64_t now_ns = session_now_ns();
	int err = namer_collect(s->namer, feed_answer, s);

	if (err || may_wait(s) || (namer_pending(s->namer) && now_ns - s->wanted_ns < WANT_NS))
		return err;
	s->wanted_ns = now_ns;
	s->nr_dead_named = s->nr_dead;
	profile_unnamed(s->profile, want_name, s);
	return 0;
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
