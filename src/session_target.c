// SPDX-License-Identifier: GPL-2.0-or-later
#include "session_impl.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "array.h"
#include "fd.h"
#include "hash.h"
#include "log.h"

#define REFRESH_NS 100000000ull /* between two looks at the mappings of one target, at most */
/* One that has changed is looked at as soon as that takes no more than one part in so many of the time. */
#define REFRESH_SHARE 20
/* A new image maps its libraries at once, and may be over in milliseconds. */
#define REFRESH_YOUNG_NS 500000ull
#define YOUNG_NS 1000000000ull
/* A command waits so long at most for the tables of its files. */
#define MAX_PRELOAD_MS 2000

struct session_target *session_target_of(struct session *s, uint32_t proc)
{
	size_t i;

	for (i = 0; i < s->nr_targets; i++) {
		if (s->target[i].slot == SEEP_PROC_SLOT(proc))
			return &s->target[i];
	}
	return NULL;
}

/* Why a process cannot be a target; NULL: it can. */
static const char *refuse(const struct proc_info *info)
{
	if (info->tgid == getpid())
		return "that is seep itself";
	if (info->is_kernel_thread)
		return "it is a kernel thread, which has no heap of its own";
	if (info->state == 'Z' || info->state == 'X')
		return "it has exited";
	if (info->is_32bit)
		return "it is a 32-bit program, and only 64-bit ones can be profiled";
	return NULL;
}

/* Of what is no process: is it the number of a thread? */
static bool is_thread(pid_t tid)
{
	return !kill(tid, 0) || errno == EPERM;
}

static int target_init(struct session *s, struct session_target *t, pid_t tgid)
{
	const char *why;
	int err;

	*t = (struct session_target){.tgid = tgid, .pidfd = -1};
	proc_maps_init(&t->maps);
	err = proc_read_info(tgid, &t->info);
	if (!err) {
		why = refuse(&t->info);
		if (why) {
			log_error("cannot profile %d (%s): %s", (int)tgid, t->info.comm, why);
			return -EINVAL;
		}
		t->pidfd = (int)syscall(SYS_pidfd_open, tgid, 0);
		if (t->pidfd < 0)
			err = -errno;
	}
	if (err == -ESRCH && is_thread(tgid))
		log_error("cannot profile %d: it is a thread; give its process (Tgid in "
			  "/proc/%d/status)",
			  (int)tgid, (int)tgid);
	else if (err == -ESRCH || err == -ENOENT)
		log_error("no such process: %d", (int)tgid);
	else if (err)
		log_error("cannot look at process %d: %s", (int)tgid, strerror(-err));
	t->slot = (uint32_t)s->nr_targets + 1;
	t->proc = SEEP_PROC(t->slot, 0);
	t->stale = true;
	return err;
}

static int start_command(struct session *s, pid_t *tgid)
{
	char path[4096];
	int err = spawn_find(s->cli->argv[0], path, sizeof(path));

	if (!err)
		err = spawn_start(path, s->cli->argv, &s->spawn);
	if (err) {
		log_error("cannot run '%s': %s", s->cli->argv[0], strerror(-err));
		return err;
	}
	*tgid = s->spawn.pid;
	return 0;
}

int session_find_targets(struct session *s)
{
	size_t nr = s->cli->argv ? 1 : s->cli->nr_pids, i;
	pid_t tgid;
	int err;

	s->target = calloc(nr, sizeof(*s->target));
	if (!s->target)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		tgid = s->cli->pid[i];
		if (s->cli->argv) {
			err = start_command(s, &tgid);
			if (err)
				return err;
		}
		err = target_init(s, &s->target[i], tgid);
		s->nr_targets++;
		if (err)
			return err;
	}
	return 0;
}

void session_release_targets(struct session *s)
{
	size_t i;

	for (i = 0; i < s->nr_targets; i++) {
		fd_close(&s->target[i].pidfd);
		proc_maps_release(&s->target[i].maps);
	}
	free(s->target);
}

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

static bool is_attached(const struct session *s, uint32_t slot, const struct discover_object *o)
{
	size_t i;

	for (i = 0; i < s->nr_attached; i++) {
		if (s->attached[i].slot == slot && s->attached[i].object == o)
			return true;
	}
	return false;
}

static int probe_number(struct session *s, const struct discover_object *object,
			const struct discover_site *site, uint16_t *number)
{
	size_t i;

	for (i = 0; i < s->nr_probes; i++) {
		if (s->probe[i].site == site) {
			*number = (uint16_t)i;
			return 0;
		}
	}
	if (ARRAY_GROW(&s->probe, &s->cap_probes, s->nr_probes + 1))
		return -ENOMEM;
	s->probe[s->nr_probes] = (struct session_probe){.object = object, .site = site};
	*number = (uint16_t)s->nr_probes++;
	return 0;
}

/* Functions that programs call all the time. */
static bool is_hot(const struct allocator_function *function)
{
	static const char *const hot[] = {"malloc", "calloc", "realloc", "free",
					  "_Znwm",  "_ZdlPv", "_ZdlPvm"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hot); i++) {
		if (!strcmp(function->symbol, hot[i]))
			return true;
	}
	return false;
}

static void say_probe(const struct discover_object *object, const struct discover_site *site)
{
	const struct placement *p = &site->placement;

	log_verbose("probe %s+%u in '%s' (%s): %s, %s%s", site->function->symbol, p->offset,
		    object->path, object->family, p->instruction,
		    p->emulated ? "emulated" : "single-stepped: ", p->emulated ? "" : p->why);
	if (!p->emulated && is_hot(site->function))
		log_warn("each call of '%s' in '%s' will be single-stepped, which is slow: %s",
			 site->function->symbol, object->path, p->why);
}

/* See allocator_function_throws(): no harm is done unless the user has asked for it. */
static bool leave_out(const struct session *s, const struct discover_site *site)
{
	return !s->cli->throwing_new && allocator_function_throws(site->function);
}

void session_detach(struct session *s, uint32_t slot)
{
	size_t i, kept = 0;

	for (i = 0; i < s->nr_attached; i++) {
		if (slot == SEEP_SLOT_NONE || s->attached[i].slot == slot)
			attach_links_free(s->attached[i].links);
		else
			s->attached[kept++] = s->attached[i];
	}
	s->nr_attached = kept;
	session_usdt_forget(s, slot);
}

static int attach_object(struct session *s, const struct session_target *t,
			 const struct discover_found *found)
{
	const struct discover_site *site[DISCOVER_MAX_SITES];
	uint16_t number[DISCOVER_MAX_SITES];
	struct attach_request request = {
		.tgid = t->tgid, .kernel_path = found->kernel_path, .site = site, .probe = number};
	struct session_attached attached = {.slot = t->slot, .object = found->object};
	bool left_out = false;
	size_t i;
	int err;

	if (ARRAY_GROW(&s->attached, &s->cap_attached, s->nr_attached + 1))
		return -ENOMEM;
	for (i = 0; i < found->object->nr_sites; i++) {
		if (leave_out(s, &found->object->site[i])) {
			left_out = true;
			continue;
		}
		site[request.nr] = &found->object->site[i];
		err = probe_number(s, found->object, site[request.nr], &number[request.nr]);
		if (err)
			return err;
		say_probe(found->object, site[request.nr++]);
	}
	err = attach_sites(s->loader, &request, ATTACH_ALLOCATORS, &attached.links);
	if (err)
		return err;
	if (left_out)
		log_info("operator new of '%s' is not probed, lest a bad_alloc that is caught ends "
			 "the process; see --throwing-new in seep(8)",
			 found->object->path);
	attached.nr_sites = request.nr;
	s->attached[s->nr_attached++] = attached;
	return 0;
}

static int attach_found(struct session *s, const struct session_target *t,
			const struct discover_found *found, size_t nr)
{
	size_t i;
	int err = 0;

	for (i = 0; i < nr && !err; i++) {
		if (!is_attached(s, t->slot, found[i].object))
			err = attach_object(s, t, &found[i]);
	}
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
	if (err || brings)
		return err;
	err = discover_process(&s->discover, t->tgid, &t->maps, &found, &nr, &searched);
	if (!err && first && !nr && !s->cli->argv) {
		log_error("no allocator found in %d (%s): searched %zu executable files for malloc "
			  "and free; 'seep faults' works without one",
			  (int)t->tgid, t->info.comm, searched);
		err = -ENOENT;
	}
	if (!err)
		err = attach_found(s, t, found, nr);
	free(found);
	return err;
}

static uint64_t refresh_pause(const struct session_target *t, uint64_t now_ns)
{
	uint64_t pause_ns = t->stale ? t->refresh_took_ns * REFRESH_SHARE : REFRESH_NS;

	if (t->exec_ns && now_ns - t->exec_ns < YOUNG_NS)
		return REFRESH_YOUNG_NS;
	return pause_ns < REFRESH_NS ? pause_ns : REFRESH_NS;
}

static int refresh(struct session *s, struct session_target *t)
{
	uint64_t hash;
	int err = proc_maps_read(&t->maps, t->tgid);

	if (err)
		return err;
	hash = maps_hash(&t->maps);
	if (hash == t->maps_hash && !t->in_doubt)
		return 0;
	t->in_doubt = false;
	err = look_at(s, t, !t->maps_hash && !s->armed);
	if (!err && s->armed && !t->maps_hash) /* after an exec */
		err = session_feed_target(s, t);
	t->maps_hash = hash;
	if (!err && s->armed && s->options->mode == RUN_FAULTS)
		err = session_feed_mappings(s, t);
	return err;
}

int session_refresh_target(struct session *s, struct session_target *t)
{
	uint64_t now_ns = session_now_ns();
	int err;

	if (t->gone || (s->armed && now_ns - t->refreshed_ns < refresh_pause(t, now_ns)))
		return 0;
	t->refreshed_ns = now_ns;
	t->stale = false;
	err = refresh(s, t);
	t->refresh_took_ns = session_now_ns() - now_ns;
	return err;
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
	err = attach_found(s, t, found, nr);
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
	int err = loader_set_target(s->loader, t->slot, (uint32_t)t->tgid);

	if (err)
		return err;
	if (s->cli->argv)
		err = attach_command(s, t);
	else
		err = session_refresh_target(s, t);
	return err;
}

int session_attach_targets(struct session *s)
{
	struct session_target *t;
	struct proc_info info;
	size_t i;
	int err = session_check_hazards(s);

	if (err)
		return err;
	for (i = 0; i < s->nr_targets; i++) {
		t = &s->target[i];
		err = attach_target(s, t);
		if (!err)
			continue;
		if (proc_read_info(t->tgid, &info) || info.state == 'Z') {
			log_warn("process %d (%s) exited while probes were being attached",
				 (int)t->tgid, t->info.comm);
			s->target_lost = t->gone = true;
			continue;
		}
		if (err == -EACCES)
			log_error("cannot attach to %d (%s): this kernel lets only CAP_SYS_ADMIN "
				  "set uprobes; run as root",
				  (int)t->tgid, t->info.comm);
		else if (err != -ENOENT)
			log_error("cannot attach to %d (%s): %s", (int)t->tgid, t->info.comm,
				  strerror(-err));
		return err;
	}
	return 0;
}
