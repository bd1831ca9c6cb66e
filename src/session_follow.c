// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes that come and go by themselves. The kernel's programs make targets of them at once and tell afterwards; what
 * they have told may be read in another order than it happened, and after the process has gone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "session_impl.h"

#define SETTLED_NS 150000000ull /* by then all that a process has left on the rings has been read */
/* What was read of so young an image may have been of the next one already. */
#define YOUNG_NS 300000000ull
/* Between two comparisons of our targets with the kernel's, at least. */
#define SYNC_NS 1000000000ull
/* Who is moved into a cgroup is looked for in one part of so many of the time, at most. */
#define SYNC_SHARE 10

static void copy_text(char **to, const char *from)
{
	char *copy = from ? strdup(from) : NULL;

	free(*to);
	*to = copy;
}

/* Of very many processes in a moment it takes as long as all else. A capture may be asked later. */
static bool wants_cgroups(const struct session *s)
{
	return s->cli->by == BY_CGROUP || s->cli->capture;
}

void session_read_texts(const struct session *s, struct session_target *t)
{
	char text[4096];

	if (!proc_read_exe(t->tgid, text, sizeof(text)))
		copy_text(&t->exe, text);
	if (wants_cgroups(s) && !process_cgroup_read(t->tgid, text, sizeof(text)))
		copy_text(&t->cgroup, text);
}

static void set_comm(struct session_target *t, const char *comm)
{
	snprintf(t->info.comm, sizeof(t->info.comm), "%.*s", SEEP_COMM_LEN, comm);
}

/* Of one that has gone by now there is the name that the kernel told with it. */
static void identify(struct session *s, struct session_target *t, const struct event_proc *e)
{
	if (session_set_tgid(s, t, (pid_t)e->tgid))
		log_debug("no memory to tell of %u", e->tgid);
	if (proc_read_stat(t->tgid, &t->info))
		t->info = (struct proc_info){.tgid = t->tgid};
	else
		session_read_texts(s, t);
	if (!t->info.comm[0])
		set_comm(t, e->comm);
}

/* A child has what its parent has, as long as it has not been looked at. */
static void inherit(struct session *s, struct session_target *t,
		    const struct session_target *parent)
{
	if (!parent)
		return;
	session_count_child(s, t, parent);
	if (!t->exe)
		copy_text(&t->exe, parent->exe);
	if (!t->cgroup)
		copy_text(&t->cgroup, parent->cgroup);
	if (namer_copy_process(s->namer, t->proc, parent->proc))
		log_debug("no memory for the names of %d", (int)t->tgid);
}

/* Children in their parent's memory are their parents until they exec, and then have nothing of ours. */
void session_on_fork(struct session *s, const struct event_proc *e)
{
	struct session_target *t = session_target_of(s, e->head.proc);

	if (e->head.flags & FORK_SHARED)
		return;
	if (!(e->head.flags & FORK_FOLLOWED)) {
		s->sweep_due = true;
		return;
	}
	if (!t || t->tgid)
		return;
	identify(s, t, e);
	inherit(s, t, session_target_of_tgid(s, (pid_t)e->parent_tgid));
	session_look_at_code(s, t);
	(void)session_feed_target(s, t); /* errors are kept */
}

/* Of who goes on with a new image. What has been told of that already is among it. */
static int copy_told(const struct session_target *t, struct proc_maps *out)
{
	size_t i;
	int err = 0;

	for (i = 0; i < t->told.nr && !err; i++)
		err = proc_maps_add(out, &t->told.item[i], t->told.item[i].path);
	return err;
}

/*
 * What an image had mapped that was over before we looked, as far as the kernel has told: files that others have mapped
 * too, and those that are where they were, have names.
 */
static void settle(struct session *s, struct session_target *t)
{
	bool is_young = t->exec_ns && session_now_ns() - t->exec_ns < YOUNG_NS;
	struct proc_maps told;
	int err;

	proc_maps_init(&told);
	if ((t->stale || is_young) && t->told.nr && t->tgid) {
		err = t->gone ? 0 : copy_told(t, &told);
		if (!err)
			err = namer_tell_process(s->namer, t->proc, t->tgid,
						 t->gone ? &t->told : &told);
		if (err)
			log_debug("no memory for the names of %d", (int)t->tgid);
	}
	proc_maps_release(&told);
	t->stale = false;
	t->exec_ns = 0; /* once is enough */
}

/* Of a new image. What is over by now is what the kernel has told of. */
static void read_new_texts(const struct session *s, struct session_target *t)
{
	copy_text(&t->exe, NULL);
	session_read_texts(s, t);
	if (!t->exe)
		copy_text(&t->exe, t->program);
}

void session_note_program(struct session *s, struct session_target *t, const char *path)
{
	copy_text(&t->program, path);
	if (t->exe)
		return;
	copy_text(&t->exe, path);
	(void)session_feed_target(s, t); /* errors are kept */
}

void session_on_exec(struct session *s, const struct event_proc *e)
{
	struct session_target *t = session_target_of(s, e->head.proc);

	if (!t)
		return;
	if (!t->tgid) {
		identify(s, t, e);
		session_look_at_code(s, t);
	} else {
		session_note_mappings(s);
		settle(s, t);
		session_forget_blocks(s, t->proc);
		if (e->parent_tgid != e->tgid)
			session_drop_links(s, t->slot);
		session_bury(s, t->proc);
		read_new_texts(s, t);
	}
	t->proc = e->head.proc;
	t->stale = true;
	t->refreshed_ns = 0;
	t->exec_ns = session_now_ns();
	t->maps_hash = 0;
	set_comm(t, e->comm);
	(void)session_feed_target(s, t);
}

void session_on_exit(struct session *s, const struct event_proc *e)
{
	struct session_target *t = session_target_of(s, e->head.proc);

	if (!t)
		return;
	if (!t->tgid) { /* the event of its start was lost */
		identify(s, t, e);
		(void)session_feed_target(s, t);
	}
	session_set_gone(t);
	t->exit_seen = true;
	if (s->nr_ever > 1)
		session_forget_blocks(s, e->head.proc);
}

/* --- each tick -------------------------------------------------------------------------------- */

void session_settle_targets(struct session *s)
{
	size_t i;

	for (i = 0; i < s->nr_targets; i++) {
		if (s->target[i]->gone)
			settle(s, s->target[i]);
	}
}

static int retire(struct session *s, struct session_target *t)
{
	int err = session_feed_counters_of(s, t);

	if (!err && !t->exit_seen)
		err = session_feed_exit(s, t);
	if (!err)
		session_remove_target(s, t);
	return err;
}

static int retire_gone(struct session *s)
{
	uint64_t now_ns = session_now_ns();
	struct session_target *t;
	size_t i = s->nr_targets;
	int err = 0;

	while (i-- && !err) {
		t = s->target[i];
		if (!t->gone)
			continue;
		settle(s, t);
		if (session_is_open(s) && t->gone_ns && now_ns - t->gone_ns >= SETTLED_NS)
			err = retire(s, t);
	}
	return err;
}

/* A target that we have not heard of, or of whose process we do not know the id. */
static int compare_one(uint32_t tgid, uint32_t slot, void *arg)
{
	struct session *s = arg;
	struct session_target *t = s->slot[slot].target;
	struct event_proc e = {.tgid = tgid, .parent_tgid = tgid};

	if (t && t->tgid)
		return 0;
	e.head.proc = loader_proc_of_slot(s->loader, slot);
	if (!t)
		t = session_add_born(s, e.head.proc);
	if (!t)
		return 0;
	identify(s, t, &e);
	t->proc = e.head.proc;
	session_look_at_code(s, t);
	return session_feed_target(s, t);
}

/* Those that the kernel's programs have given up. */
static void note_ended(struct session *s)
{
	struct session_target *t;
	size_t i;

	for (i = 0; i < s->nr_targets; i++) {
		t = s->target[i];
		if (!t->gone && t->pidfd < 0 &&
		    loader_slot_of(s->loader, (uint32_t)t->tgid) != t->slot)
			session_set_gone(t);
	}
}

/* What was lost on the ring, and who found no slot, is made good. */
static int synchronize(struct session *s)
{
	uint64_t lost = loader_lost_events(s->loader), now_ns = session_now_ns(), took_ns;
	uint32_t missing = loader_slots_missing(s->loader);
	bool is_due = lost != s->lost_synced || missing != s->missing_synced;
	int err = 0;

	if (!session_is_open(s) || now_ns < s->next_sync_ns)
		return 0;
	if (lost != s->lost_synced) {
		err = loader_walk_targets(s->loader, compare_one, s);
		note_ended(s);
	}
	/* Who is moved into a cgroup tells nobody. */
	if (!err && (is_due || s->cli->cgroup))
		err = session_find_others(s);
	s->lost_synced = lost;
	s->missing_synced = missing;
	took_ns = session_now_ns() - now_ns;
	s->next_sync_ns = now_ns + (s->cli->cgroup && !is_due ? SYNC_SHARE * took_ns : SYNC_NS);
	return err;
}

int session_check_targets(struct session *s)
{
	int err = retire_gone(s);

	if (!err)
		err = synchronize(s);
	session_sweep(s);
	return err;
}
