// SPDX-License-Identifier: GPL-2.0-or-later
/* What targets map, from the first look on: tables, names, allocators, and probes in these. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "array.h"
#include "hash.h"
#include "log.h"
#include "session_impl.h"

#define REFRESH_NS 100000000ull /* between two looks at the mappings of one target, at most */
/* One that has changed is looked at as soon as that takes no more than one part in so many of the time. */
#define REFRESH_SHARE 20
/* But a library comes in several mappings, and brings others along: so much at a time is looked at as it comes. */
#define BURST_NS 50000000ull
#define BURST_EVERY_NS 1000000000ull
/* A new image maps its libraries at once, and may be over in milliseconds. */
#define REFRESH_YOUNG_NS 500000ull
#define YOUNG_NS 1000000000ull
/*
 * Where all processes are probed, most of them bring nothing new and are over soon: one is looked at when it has been
 * there so long, and not more often. Its stacks need no look from here, and its names are those of the files that the
 * kernel has told of.
 */
#define REFRESH_MANY_NS 20000000ull
/* The same while no stacks are walked. */
#define REFRESH_QUIET_NS 1000000000ull
#define MAX_FRESH 32
/* A command waits so long at most for the tables of its files. */
#define MAX_PRELOAD_MS 2000

static uint64_t maps_hash(const struct proc_maps *maps)
{
	uint64_t hash = maps->nr, words[4];
	size_t i;

	for (i = 0; i < maps->nr; i++) {
		words[0] = maps->item[i].start;
		words[1] = maps->item[i].end;
		words[2] = maps->item[i].inode;
		words[3] = maps->item[i].exec;
		hash = hash_bytes(words, sizeof(words), hash);
	}
	return hash;
}

/*
 * Where all processes are probed, a file that has its probes, or needs none, needs no look in another one. Leaves of the
 * mappings those of other files; their paths stay the target's.
 */
static int leave_settled(struct session *s, const struct session_target *t, struct proc_maps *out)
{
	const struct proc_mapping *m;
	size_t *index, nr, i;
	struct stat st;
	int err = proc_maps_code_files(&t->maps, &index, &nr);

	if (err)
		return err;
	for (i = 0; i < nr && !err; i++) {
		m = &t->maps.item[index[i]];
		if (proc_stat_mapping(t->tgid, m, &st) ||
		    session_is_settled(s, discover_known(&s->discover, &st)))
			continue;
		err = ARRAY_GROW(&out->item, &out->cap, out->nr + 1);
		if (!err)
			out->item[out->nr++] = *m;
	}
	free(index);
	return err;
}

static int discover(struct session *s, const struct session_target *t,
		    struct discover_found **found, size_t *nr, size_t *searched)
{
	struct proc_maps others = {0};
	int err;

	if (!session_is_for_all(s))
		return discover_process(&s->discover, t->tgid, &t->maps, found, nr, searched);
	err = leave_settled(s, t, &others);
	if (!err)
		err = discover_process(&s->discover, t->tgid, &others, found, nr, searched);
	free(others.item);
	return err;
}

/* What it maps now: names for its code, and probes in what is new. */
static int look_at(struct session *s, struct session_target *t, bool first)
{
	struct discover_found *found = NULL;
	size_t nr = 0, searched = 0;
	bool brings;
	int err;

	session_look_at_code(s, t);
	err = namer_add_process(s->namer, t->proc, t->tgid, &t->maps);
	if (err)
		return err;
	if (s->options->mode != RUN_LEAKS)
		return 0;
	err = session_usdt_process(s, t, &brings);
	if (err || brings || !session_may_probe(s, t))
		return err;
	err = discover(s, t, &found, &nr, &searched);
	if (!err && first && !nr && s->cli->nr_pids) {
		log_error("no allocator found in %d (%s): searched %zu executable files for malloc "
			  "and free; 'seep faults' works without one",
			  (int)t->tgid, t->info.comm, searched);
		err = -ENOENT;
	}
	if (!err)
		err = session_attach_found(s, t, found, nr);
	free(found);
	return err;
}

static uint64_t refresh_pause(const struct session *s, const struct session_target *t,
			      uint64_t now_ns)
{
	uint64_t pause_ns = t->stale ? t->refresh_took_ns * REFRESH_SHARE : REFRESH_NS;

	if (s->stopping) /* a last look, however short ago the one before was */
		return 0;
	if (session_is_for_all(s) && !session_walks_stacks(s))
		return REFRESH_QUIET_NS;
	if (session_is_for_all(s))
		return pause_ns > REFRESH_MANY_NS ? REFRESH_NS : REFRESH_MANY_NS;
	if (t->exec_ns && now_ns - t->exec_ns < YOUNG_NS)
		return REFRESH_YOUNG_NS;
	if (t->stale && (now_ns - t->burst_ns > BURST_EVERY_NS || t->burst_took_ns < BURST_NS))
		return REFRESH_YOUNG_NS;
	return pause_ns < REFRESH_NS ? pause_ns : REFRESH_NS;
}

static int refresh(struct session *s, struct session_target *t)
{
	uint64_t hash;
	int err = proc_maps_read(&t->maps, t->tgid);

	if (!err && !t->maps.nr) /* it is going */
		err = -ESRCH;
	if (err)
		return err;
	hash = maps_hash(&t->maps);
	if (hash == t->maps_hash && !t->in_doubt)
		return 0;
	t->in_doubt = false;
	err = look_at(s, t, !t->maps_hash && !s->armed);
	t->maps_hash = hash;
	if (!err && s->armed && s->options->mode == RUN_FAULTS)
		err = session_feed_mappings(s, t);
	return err;
}

/* What a command maps before its exec is ours. If nobody tells of that, it is believed to have come after a second. */
static bool is_before_exec(const struct session *s, const struct session_target *t, uint64_t now_ns)
{
	return s->cli->argv && t->tgid == s->spawn.pid && !t->exec_ns &&
	       (!s->armed || now_ns - s->start_ns < YOUNG_NS);
}

static int refresh_target(struct session *s, struct session_target *t)
{
	uint64_t now_ns = session_now_ns();
	uint64_t last_ns = t->refreshed_ns ? t->refreshed_ns : t->exec_ns;
	int err;

	if (t->gone || !t->tgid || is_before_exec(s, t, now_ns) ||
	    (s->armed && now_ns - last_ns < refresh_pause(s, t, now_ns)))
		return 0;
	t->refreshed_ns = now_ns;
	t->stale = false;
	err = refresh(s, t);
	if (err == -ESRCH)
		t->stale = true; /* what is known of it is added when its end has been told */
	t->refresh_took_ns = session_now_ns() - now_ns;
	if (now_ns - t->burst_ns > BURST_EVERY_NS) {
		t->burst_ns = now_ns;
		t->burst_took_ns = 0;
	}
	t->burst_took_ns += t->refresh_took_ns;
	return err;
}

static int refresh_if_stale(struct session *s, struct session_target *t)
{
	int err;

	/* Where a fault landed is told by the mappings of its time; of very many processes, of when they last changed. */
	if (!t->stale && (s->options->mode != RUN_FAULTS || s->nr_targets > MAX_FRESH))
		return 0;
	err = refresh_target(s, t);
	if (err == -ESRCH || err == -ENOENT)
		return 0; /* its exit is on its way */
	if (err && err != s->feed_error)
		log_warn("cannot look at %d again: %s, ignoring", (int)t->tgid, strerror(-err));
	return s->feed_error;
}

int session_refresh_stale(struct session *s)
{
	size_t i;
	int err = 0;

	for (i = 0; i < s->nr_targets && !err; i++)
		err = refresh_if_stale(s, s->target[i]);
	return err ? err : session_feed_probes(s);
}

static int probe_command(struct session *s, struct session_target *t,
			 const struct discover_files *files)
{
	struct discover_found *found = NULL;
	size_t nr = 0, searched = 0;
	bool brings;
	int err = session_usdt_command(s, t, files, &brings);

	if (err || brings)
		return err;
	err = discover_files(&s->discover, files, &found, &nr, &searched);
	if (err)
		return err;
	if (!nr)
		log_warn("no allocator found in what '%s' maps at its start (%zu files searched); "
			 "those it maps later are watched for",
			 s->cli->argv[0], searched);
	err = session_attach_found(s, t, found, nr);
	free(found);
	return err;
}

static void make_table(struct session *s, const char *path)
{
	if (unwinder_preload(s->unwinder, path))
		log_debug("no memory to make the unwind table of '%s' ahead", path);
}

static void make_tables(struct session *s, const struct discover_files *files)
{
	size_t i;

	make_table(s, "[vdso]");
	for (i = 0; i < files->nr; i++)
		make_table(s, files->path[i]);
}

static void await_tables(struct session *s)
{
	if (!unwinder_wait(s->unwinder, MAX_PRELOAD_MS))
		log_verbose("unwind tables are still being made: the first stacks may be cut");
}

/* The command has not run yet: the files that it will map get their tables, and their probes. */
static int attach_command(struct session *s, struct session_target *t)
{
	struct discover_files files;
	char path[4096];
	int err = spawn_find(s->cli->argv[0], path, sizeof(path));

	if (!err)
		err = discover_program_files(path, &files);
	if (err && s->options->mode != RUN_LEAKS) {
		log_verbose("cannot tell what '%s' will map: %s", s->cli->argv[0], strerror(-err));
		return 0;
	}
	if (err) {
		log_error("cannot tell what '%s' will map: %s", s->cli->argv[0], strerror(-err));
		return err;
	}
	make_tables(s, &files);
	if (s->options->mode == RUN_LEAKS)
		err = probe_command(s, t, &files);
	discover_files_release(&files);
	await_tables(s);
	return err;
}

static int attach_target(struct session *s, struct session_target *t)
{
	int err = loader_set_target(s->loader, t->proc, (uint32_t)t->tgid);

	if (err)
		return err;
	if (s->cli->argv)
		err = attach_command(s, t);
	else
		err = refresh_target(s, t);
	return err;
}

/* Whether the user has given each target. */
static bool is_named(const struct session *s)
{
	return s->cli->nr_pids || s->cli->argv;
}

/* The probes of others are no worse for it. */
static void note_early_end(struct session *s, struct session_target *t)
{
	session_set_gone(t);
	if (is_named(s)) {
		log_warn("process %d (%s) exited while probes were being attached", (int)t->tgid,
			 t->info.comm);
		s->target_lost = true;
	} else {
		t->exit_seen = true; /* nothing of it was ever seen */
	}
}

static bool has_ended(const struct session_target *t)
{
	struct proc_info info;

	return proc_read_info(t->tgid, &info) || info.state == 'Z' || info.state == 'X';
}

static int say_refused(const struct session_target *t, int err)
{
	if (err == -EACCES)
		log_error("cannot attach to %d (%s): this kernel lets only CAP_SYS_ADMIN set "
			  "uprobes; run as root",
			  (int)t->tgid, t->info.comm);
	else if (err != -ENOENT)
		log_error("cannot attach to %d (%s): %s", (int)t->tgid, t->info.comm,
			  strerror(-err));
	return err;
}

/* It could not be attached to. 0: the others can do without it. */
static int leave_out(struct session *s, struct session_target *t, int err)
{
	if (has_ended(t)) {
		note_early_end(s, t);
		return 0;
	}
	if (is_named(s) || err == -ENOMEM)
		return say_refused(t, err);
	log_verbose("cannot look into %d (%s): %s", (int)t->tgid, t->info.comm, strerror(-err));
	return 0;
}

int session_attach_targets(struct session *s)
{
	const struct session_target *refused = NULL;
	int err = session_check_hazards(s), failed, why = 0;
	size_t i;

	for (i = 0; i < s->nr_targets && !err; i++) {
		failed = attach_target(s, s->target[i]);
		if (failed)
			err = leave_out(s, s->target[i], failed);
		if (failed && failed != -ESRCH && failed != -ENOENT) {
			refused = s->target[i];
			why = failed;
		}
	}
	/* what goes wrong in all of them is no affair of one */
	if (!err && refused && s->options->mode == RUN_LEAKS && !s->nr_links)
		return say_refused(refused, why);
	return err ? err : session_check_allocators(s);
}

void session_check_early_ends(struct session *s)
{
	size_t i = s->nr_targets;

	while (i--) {
		if (!s->target[i]->gone && has_ended(s->target[i]))
			note_early_end(s, s->target[i]);
		if (s->target[i]->gone && s->target[i]->exit_seen)
			session_remove_target(s, s->target[i]);
	}
}
