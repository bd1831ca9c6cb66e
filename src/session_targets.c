// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of targets: by slot, by process id, and in a row. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "fd.h"
#include "log.h"
#include "session_impl.h"

#define MAX_INCARNATION 0xff00 /* a slot that has come so far is not used any more */

bool session_is_open(const struct session *s)
{
	const struct cli_options *cli = s->cli;

	return cli->follow || (!cli->no_follow && (cli->all || cli->cgroup || cli->comm));
}

bool session_is_for_all(const struct session *s)
{
	return s->cli->all || s->cli->cgroup;
}

struct session_target *session_target_of(struct session *s, uint32_t proc)
{
	struct session_target *t;

	if (!s->slot || SEEP_PROC_SLOT(proc) > loader_max_targets(s->loader))
		return NULL;
	t = s->slot[SEEP_PROC_SLOT(proc)].target;
	return t && proc >= t->first_proc ? t : NULL;
}

struct session_target *session_target_of_tgid(struct session *s, pid_t tgid)
{
	uint64_t at;

	return map64_get(&s->by_tgid, (uint64_t)tgid, &at) ? (void *)(uintptr_t)at : NULL;
}

/* A number that is used again is another process's. */
int session_set_tgid(struct session *s, struct session_target *t, pid_t tgid)
{
	t->tgid = tgid;
	return map64_put(&s->by_tgid, (uint64_t)tgid, (uintptr_t)t);
}

struct session_target *session_add_target(struct session *s, pid_t tgid)
{
	struct session_target *t = calloc(1, sizeof(*t));

	if (!t || ARRAY_GROW(&s->target, &s->cap_targets, s->nr_targets + 1) ||
	    (tgid && session_set_tgid(s, t, tgid))) {
		free(t);
		return NULL;
	}
	t->pidfd = -1;
	t->stale = true;
	proc_maps_init(&t->maps);
	proc_maps_init(&t->told);
	t->at = s->nr_targets;
	s->target[s->nr_targets++] = t;
	s->nr_ever++;
	return t;
}

static void put_in_slot(struct session *s, struct session_target *t, uint32_t proc)
{
	t->slot = SEEP_PROC_SLOT(proc);
	t->proc = t->first_proc = proc;
	s->slot[t->slot] = (struct session_slot){.target = t, .next_proc = proc};
}

int session_give_slot(struct session *s, struct session_target *t)
{
	uint32_t proc = loader_take_slot(s->loader);

	if (!proc)
		return -ENOSPC;
	put_in_slot(s, t, proc);
	return 0;
}

int session_init_slots(struct session *s)
{
	uint32_t nr = loader_max_targets(s->loader), slot;
	size_t i;
	int err = 0;

	s->slot = calloc((size_t)nr + 1, sizeof(*s->slot));
	if (!s->slot)
		return -ENOMEM;
	for (slot = 1; slot <= nr; slot++) {
		s->slot[slot].next_proc = SEEP_PROC(slot, 0);
		loader_give_slot(s->loader, s->slot[slot].next_proc);
	}
	for (i = 0; i < s->nr_targets && !err; i++)
		err = session_give_slot(s, s->target[i]);
	if (err)
		log_error("%zu processes are more than seep can follow at once (%u)", s->nr_targets,
			  nr);
	return err;
}

struct session_target *session_add_born(struct session *s, uint32_t proc)
{
	struct session_target *t;

	/* Of somebody who was there before, and late. */
	if (!SEEP_PROC_SLOT(proc) || SEEP_PROC_SLOT(proc) > loader_max_targets(s->loader) ||
	    proc < s->slot[SEEP_PROC_SLOT(proc)].next_proc)
		return NULL;
	t = session_add_target(s, 0);
	if (t)
		put_in_slot(s, t, s->slot[SEEP_PROC_SLOT(proc)].next_proc);
	return t;
}

void session_set_gone(struct session_target *t)
{
	if (!t->gone)
		t->gone_ns = session_now_ns();
	t->gone = true;
}

void session_bury(struct session *s, uint32_t proc)
{
	uint32_t *place;

	if (!s->dead)
		s->dead = calloc(MAX_DEAD, sizeof(*s->dead));
	if (!s->dead)
		return;
	place = &s->dead[s->nr_dead++ % MAX_DEAD];
	if (*place)
		namer_remove_process(s->namer, *place);
	*place = proc;
}

static void free_target(struct session_target *t)
{
	fd_close(&t->pidfd);
	proc_maps_release(&t->maps);
	proc_maps_release(&t->told);
	free(t->exe);
	free(t->cgroup);
	free(t->program);
	free(t);
}

static void free_slot(struct session *s, uint32_t slot)
{
	uint32_t incarnation = SEEP_PROC_INCARNATION(loader_proc_of_slot(s->loader, slot)) + 1;

	s->slot[slot].target = NULL;
	s->slot[slot].next_proc = SEEP_PROC(slot, incarnation);
	if (incarnation < MAX_INCARNATION)
		loader_give_slot(s->loader, s->slot[slot].next_proc);
}

static void leave_slot(struct session *s, struct session_target *t)
{
	unwinder_forget(s->unwinder, t->slot);
	session_drop_links(s, t->slot);
	loader_drop_target(s->loader, t->slot, (uint32_t)t->tgid);
	session_bury(s, t->proc);
	free_slot(s, t->slot);
}

void session_remove_target(struct session *s, struct session_target *t)
{
	if (t->slot)
		leave_slot(s, t);
	if (session_target_of_tgid(s, t->tgid) == t)
		(void)map64_remove(&s->by_tgid, (uint64_t)t->tgid);
	s->target[t->at] = s->target[--s->nr_targets];
	s->target[t->at]->at = t->at;
	free_target(t);
}

void session_release_targets(struct session *s)
{
	size_t i;

	for (i = 0; i < s->nr_targets; i++)
		free_target(s->target[i]);
	free(s->target);
	free(s->slot);
	free(s->dead);
	map64_release(&s->by_tgid);
	process_cgroup_close(&s->cgroup);
}
