// SPDX-License-Identifier: GPL-2.0-or-later
/* The code that targets map: unwind tables for it, and noticing when it changes. */
#include <string.h>

#include "log.h"
#include "session_impl.h"

/* A program maps its libraries one after the other. With very many programs each is looked at when it has most of them. */
#define SETTLE_NS 1000000u
#define TABLES_FIRST_MS 2
#define CATCH_UP_MS 20
#define MAX_TOLD 1024 /* mappings of one process; of one that goes on, all are read sooner */

/* The unwinder reads files of targets: it keeps no rights that it can do without. */
static void drop_rights(void *arg)
{
	(void)arg;
	if (kernel_drop_capabilities(false))
		log_debug("the thread of unwind tables keeps all capabilities");
}

static enum watch_wakeup wakeup_of(const struct session *s)
{
	return session_is_for_all(s) ? WATCH_MANY : WATCH_EACH;
}

int session_start_unwinder(struct session *s)
{
	struct unwinder_options options = {.max_bytes = s->cli->unwind_bytes,
					   .settle_ns = session_is_for_all(s) ? SETTLE_NS : 0,
					   .on_start = drop_rights};
	struct unwinder_maps maps;
	int err = watch_new(wakeup_of(s), &options.watch);

	if (err)
		log_debug("the thread of unwind tables is not told of new mappings: %s",
			  strerror(-err));
	loader_unwinder_maps(s->loader, &maps);
	err = unwinder_new(&options, &maps, &s->unwinder);
	if (err)
		watch_free(options.watch);
	return err;
}

int session_watch_code(struct session *s)
{
	int err = watch_new(wakeup_of(s), &s->watch);

	if (err)
		log_verbose("the kernel does not tell of new mappings: %s; looking for them from "
			    "time to time",
			    strerror(-err));
	return err;
}

void session_look_at_code(struct session *s, const struct session_target *t)
{
	if (unwinder_look(s->unwinder, t->slot, t->tgid))
		log_debug("no memory to look at what %d maps", (int)t->tgid);
}

/* Between windows nobody walks stacks. Of processes that are over before the next one nothing is to be known. */
void session_pause_unwinder(struct session *s)
{
	unwinder_pause(s->unwinder, session_is_for_all(s) && !session_walks_stacks(s));
}

/* Those that a window will find. */
void session_catch_up(struct session *s)
{
	if (!session_is_for_all(s))
		return;
	session_note_mappings(s);
	unwinder_pause(s->unwinder, false);
	(void)unwinder_wait(s->unwinder, CATCH_UP_MS);
}

static void note_change(struct session *s, struct session_target *t)
{
	if (t->gone)
		return;
	t->stale = true;
	session_look_at_code(s, t);
}

/* Kept for the case that the process is over before it can be looked at. */
static void note_mapping(struct session_target *t, const struct watch_mapping *mapping)
{
	struct proc_mapping m = {
		.start = mapping->start,
		.end = mapping->start + mapping->bytes,
		.file_offset = mapping->file_offset,
		.inode = mapping->inode,
		.dev_major = mapping->dev_major,
		.dev_minor = mapping->dev_minor,
		.exec = true,
	};

	if (t->told.nr >= MAX_TOLD)
		proc_maps_release(&t->told);
	if (proc_maps_add(&t->told, &m,
			  mapping->path[0] == '/' && mapping->path[1] != '/' ? mapping->path : ""))
		log_debug("no memory for what %d maps", (int)t->tgid);
}

static int on_mapping(const struct watch_mapping *mapping, void *arg)
{
	struct session *s = arg;
	struct session_target *t = session_target_of_tgid(s, mapping->tgid);

	if (!t)
		return 0;
	if (session_is_open(s))
		note_mapping(t, mapping);
	if (session_is_open(s) && mapping->is_program)
		session_note_program(s, t, mapping->path);
	note_change(s, t);
	return 0;
}

void session_note_mappings(struct session *s)
{
	uint64_t lost = 0;
	size_t i;
	int err = s->watch ? watch_take(s->watch, on_mapping, s, &lost) : 0;

	if (err)
		log_debug("cannot read of new mappings: %s", strerror(-err));
	for (i = 0; i < s->nr_targets && lost; i++)
		note_change(s, s->target[i]);
}

/*
 * The thread of unwind tables is told by the kernel, too, and may be looking already. What has to be done here, names and
 * probes, takes longer, and that thread may need our CPU.
 */
void session_take_mappings(struct session *s)
{
	session_note_mappings(s);
	if (!session_is_for_all(s)) /* else what has to be done here waits longer */
		(void)unwinder_wait(s->unwinder, TABLES_FIRST_MS);
}

void session_check_unknown_code(struct session *s)
{
	struct session_target *t;
	uint32_t unknown;
	size_t i;

	for (i = 0; i < s->nr_targets; i++) {
		t = s->target[i];
		unknown = loader_unknown_code(s->loader, t->slot);
		if (t->gone || unknown == t->unknown_code)
			continue;
		t->unknown_code = unknown;
		t->stale = true;
		session_look_at_code(s, t);
	}
}

void session_say_tables(struct session *s)
{
	struct unwinder_stats stats;

	if (!s->unwinder)
		return;
	unwinder_stats(s->unwinder, &stats);
	log_verbose("unwind tables: %llu files, %llu rows, %llu KiB, made in %llu ms; %llu without "
		    "call frame information",
		    (unsigned long long)stats.files, (unsigned long long)stats.rows,
		    (unsigned long long)stats.bytes / 1024,
		    (unsigned long long)stats.build_ns / 1000000,
		    (unsigned long long)stats.files_none);
	if (stats.files_no_room)
		log_warn("%llu files got no unwind table for want of room: stacks through them may "
			 "be cut; more room with --unwind-memory",
			 (unsigned long long)stats.files_no_room);
	if (stats.mappings_left_out)
		log_warn("%llu mappings with code are more than seep can keep: stacks through them "
			 "are cut",
			 (unsigned long long)stats.mappings_left_out);
}
