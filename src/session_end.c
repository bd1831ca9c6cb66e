// SPDX-License-Identifier: GPL-2.0-or-later
/* What a session says, and how it ends. */
#include <errno.h>
#include <string.h>

#include "fd.h"
#include "log.h"
#include "parse.h"
#include "session_impl.h"
#include "strbuf.h"

#define DRAIN_ROUNDS 1000 /* after the probes are disarmed: more than enough for what rings hold */

static bool is_of(const struct session_link *link, uint32_t slot)
{
	return link->slot == slot || link->slot == SEEP_SLOT_NONE;
}

static const char *base_of(const struct discover_object *object)
{
	const char *slash = strrchr(object->path, '/');

	return slash ? slash + 1 : object->path;
}

static bool looks_like(const struct discover_object *a, const struct discover_object *b)
{
	return !strcmp(base_of(a), base_of(b)) && !strcmp(a->family, b->family);
}

/* Links to files of that name, as those of containers are; of the first of them, for the others 0. */
static size_t nr_alike(const struct session *s, size_t at, uint32_t slot)
{
	size_t nr = 0, i;

	for (i = 0; i < s->nr_links; i++) {
		if (!is_of(&s->link[i], slot) || !looks_like(s->link[i].object, s->link[at].object))
			continue;
		if (i < at)
			return 0;
		nr++;
	}
	return nr;
}

/* "41 probes in libjemalloc.so.2 (jemalloc), 3 libc.so.6 (glibc)"; slot: of all where that is SEEP_SLOT_NONE */
static void describe_probes(const struct session *s, uint32_t slot, struct strbuf *out)
{
	const struct discover_object *object;
	size_t nr = 0, alike, i;

	if (session_usdt_describe(s, slot, out))
		return;
	for (i = 0; i < s->nr_links; i++) {
		if (is_of(&s->link[i], slot))
			nr += s->link[i].nr_sites;
	}
	strbuf_printf(out, "%zu probes", nr);
	for (nr = 0, i = 0; i < s->nr_links; i++) {
		object = s->link[i].object;
		alike = is_of(&s->link[i], slot) ? nr_alike(s, i, slot) : 0;
		if (!alike)
			continue;
		strbuf_puts(out, nr++ ? ", " : " in ");
		if (alike > 1)
			strbuf_printf(out, "%zu ", alike);
		strbuf_printf(out, "%s (%s)", base_of(object), object->family);
	}
}

static void describe(const struct session *s, uint32_t slot, struct strbuf *out)
{
	strbuf_clear(out);
	if (s->options->mode == RUN_FAULTS)
		strbuf_puts(out, "page faults");
	else
		describe_probes(s, slot, out);
}

static void say_each(const struct session *s, struct strbuf *what)
{
	const struct session_target *t;
	size_t i;

	for (i = 0; i < s->nr_targets; i++) {
		t = s->target[i];
		if (t->gone)
			continue;
		describe(s, t->slot, what);
		log_info("attached to %d (%s): %s", (int)t->tgid,
			 s->cli->argv ? s->cli->argv[0] : t->info.comm,
			 what->text ? what->text : "");
	}
}

static void say_all(const struct session *s, struct strbuf *what)
{
	describe(s, SEEP_SLOT_NONE, what);
	if (s->cli->cgroup)
		log_info("attached to %zu process%s of cgroup '%s': %s", s->nr_targets,
			 s->nr_targets == 1 ? "" : "es", s->cli->cgroup,
			 what->text ? what->text : "");
	else
		log_info("attached to all %zu processes: %s", s->nr_targets,
			 what->text ? what->text : "");
}

void session_say_ready(const struct session *s)
{
	struct strbuf what = {0};

	if (session_is_for_all(s))
		say_all(s, &what);
	else
		say_each(s, &what);
	strbuf_release(&what);
	if (s->cli->ready_fd >= 0)
		(void)fd_write_all(s->cli->ready_fd, "\n", 1);
}

void session_show_progress(struct session *s)
{
	char live[32], count[32], age[32];

	format_duration((double)(session_now_ns() - s->start_ns) / 1e9, age, sizeof(age));
	format_count(profile_nr_events(s->profile), count, sizeof(count));
	format_bytes(profile_live_bytes(s->profile), live, sizeof(live));
	if (s->options->mode == RUN_FAULTS)
		log_progress("seep: %s, %s faults (Ctrl-C for the report)", age, count);
	else
		log_progress("seep: %s, %s events, %s live, %llu lost (Ctrl-C for the report)", age,
			     count, live, (unsigned long long)loader_lost_events(s->loader));
}

int session_emit(struct session *s)
{
	struct report_options options = {.top = s->cli->top,
					 .min_age_ns = s->cli->min_age_ns,
					 .allocator_frames = s->cli->allocator_frames,
					 .by = s->cli->by};
	struct report report;
	int err = profile_report(s->profile, &options, &report);

	if (err) {
		log_error("cannot make the report: %s", strerror(-err));
		return err;
	}
	log_progress_clear();
	err = s->options->emit(&report, s->options->arg);
	if (!err && report.final)
		session_say_nameless(s, &report);
	report_release(&report);
	return err;
}

/* Everything that is on the rings, now that nothing is added. */
static int drain_all(struct session *s)
{
	long nr = 1;
	int i;

	for (i = 0; i < DRAIN_ROUNDS && nr > 0; i++)
		nr = ring_set_drain(s->rings);
	return nr < 0 ? (int)nr : 0;
}

static int name_all(struct session *s)
{
	int err = session_feed_names(s);

	/* Names may take long: who asks for the report now gets it with those that there are. */
	while (!err && namer_pending(s->namer) && !session_take_signal(s)) {
		log_progress("seep: reading debug information, %zu addresses to go",
			     namer_pending(s->namer));
		namer_wait(s->namer, 200);
		err = session_feed_names(s);
	}
	log_progress_clear();
	return err;
}

static int feed_missing_exits(struct session *s)
{
	size_t i;
	int err = 0;

	for (i = 0; i < s->nr_targets && !err; i++) {
		if (s->target[i]->gone && !s->target[i]->exit_seen)
			err = session_feed_exit(s, s->target[i]);
	}
	return err;
}

void session_say_command_runs_on(struct session *s)
{
	const struct session_target *t = NULL;

	if (s->cli->argv)
		t = session_target_of_tgid(s, s->spawn.pid);
	if (t && !t->gone && !s->interrupted)
		log_info("'%s' runs on as process %d", s->cli->argv[0], (int)t->tgid);
}

/* A last look at what has changed since the last one, however short ago that was. */
static int look_again(struct session *s)
{
	long nr = ring_set_drain(s->rings);

	s->stopping = true;
	return nr < 0 ? (int)nr : session_refresh_stale(s);
}

int session_finish(struct session *s)
{
	uint64_t end_ns = session_now_ns();
	uint16_t flags;
	int err;

	err = look_again(s);
	session_check_leaders(s, true);
	loader_arm(s->loader, false);
	s->armed = false;
	if (!err)
		err = drain_all(s);
	if (!err)
		err = feed_missing_exits(s);
	if (!err)
		err = session_resync(s);
	if (!err)
		err = session_feed_counters(s, true);
	if (!err)
		err = session_guard_feed(s);
	session_settle_targets(s);
	if (!err)
		err = name_all(s);
	flags = (uint16_t)((s->target_lost ? END_TARGET_LOST : 0) |
			   (s->leader_gone ? END_LEADER_GONE : 0) |
			   (loader_slots_missing(s->loader) || s->refused_some ? END_UNFOLLOWED
									       : 0) |
			   (s->interrupted ? END_INTERRUPTED : 0) |
			   (s->resync_failed ? END_NO_RESYNC : 0) |
			   (loader_calls_missed(s->loader) ? END_CALLS_MISSED : 0));
	if (!err)
		err = session_feed_head(s, RECORD_END, flags, end_ns);
	if (!err && s->capture) {
		err = capture_writer_close(s->capture);
		s->capture = NULL;
		if (err)
			log_error("cannot write '%s': %s", s->cli->capture, strerror(-err));
	}
	return err;
}
