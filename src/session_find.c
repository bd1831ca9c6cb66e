// SPDX-License-Identifier: GPL-2.0-or-later
/* Who is meant by the command line. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "session_impl.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

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

static int say_why(pid_t tgid, int err)
{
	if (err == -ESRCH && is_thread(tgid))
		log_error("cannot profile %d: it is a thread; give its process (Tgid in "
			  "/proc/%d/status)",
			  (int)tgid, (int)tgid);
	else if (err == -ESRCH || err == -ENOENT)
		log_error("no such process: %d", (int)tgid);
	else
		log_error("cannot look at process %d: %s", (int)tgid, strerror(-err));
	return err;
}

static int add_target(struct session *s, pid_t tgid)
{
	struct session_target *t;
	struct proc_info info;
	const char *why;
	int err = proc_read_info(tgid, &info);

	if (err)
		return say_why(tgid, err);
	why = refuse(&info);
	if (why) {
		log_error("cannot profile %d (%s): %s", (int)tgid, info.comm, why);
		return -EINVAL;
	}
	t = session_add_target(s, tgid);
	if (!t)
		return -ENOMEM;
	t->info = info;
	session_read_texts(s, t);
	t->pidfd = (int)syscall(SYS_pidfd_open, tgid, 0);
	return t->pidfd < 0 ? say_why(tgid, -errno) : 0;
}

static int start_command(struct session *s)
{
	char path[4096];
	int err = spawn_find(s->cli->argv[0], path, sizeof(path));

	if (!err)
		err = spawn_start(path, s->cli->argv, &s->spawn);
	if (err) {
		log_error("cannot run '%s': %s", s->cli->argv[0], strerror(-err));
		return err;
	}
	return add_target(s, s->spawn.pid);
}

static int add_listed(struct session *s)
{
	size_t i;
	int err = 0;

	for (i = 0; i < s->cli->nr_pids && !err; i++)
		err = add_target(s, s->cli->pid[i]);
	return err;
}

int session_open_cgroup(struct session *s)
{
	const char *path = s->cli->cgroup;
	int err;

	if (!path)
		return 0;
	err = process_cgroup_open(CGROUP_ROOT, path, &s->cgroup);
	if (err == -ENOTDIR)
		log_error("'%s' is no cgroup: give the directory of one below %s, or its path as "
			  "/proc/PID/cgroup has it",
			  path, CGROUP_ROOT);
	else if (err == -ENOENT)
		log_error("no such cgroup: '%s' is not to be found below %s", path, CGROUP_ROOT);
	else if (err)
		log_error("cannot open cgroup '%s': %s", path, strerror(-err));
	return err;
}

static int list_matching(struct session *s, struct process_list *list)
{
	const struct cli_options *cli = s->cli;
	int err;

	if (cli->cgroup)
		err = processes_add_cgroup(list, &s->cgroup);
	else
		err = processes_add_all(list, "/proc", cli->comm);
	if (err == -ENOENT && cli->cgroup && s->armed)
		return 0; /* it has been removed, and had nobody in it then */
	if (err && cli->cgroup)
		log_error("cannot list the processes of cgroup '%s': %s", cli->cgroup,
			  strerror(-err));
	else if (err)
		log_error("cannot list processes: %s", strerror(-err));
	return err;
}

/* Of those that nobody has named one by one, what cannot be a target is passed over. */
static int add_matching(struct session *s, pid_t tgid)
{
	struct session_target *t;
	struct proc_info info;
	const char *why;

	if (session_target_of_tgid(s, tgid) || proc_read_info(tgid, &info))
		return 0;
	why = info.parent_tgid == getpid() ? "seep has started it for itself" : refuse(&info);
	if (why) {
		if (!info.is_kernel_thread)
			log_verbose("leaving out %d (%s): %s", (int)tgid, info.comm, why);
		return 0;
	}
	t = session_add_target(s, tgid);
	if (!t)
		return -ENOMEM;
	t->info = info;
	session_read_texts(s, t);
	return 0;
}

static int add_all_matching(struct session *s)
{
	struct process_list list = {0};
	size_t i;
	int err = list_matching(s, &list);

	for (i = 0; i < list.nr && !err; i++)
		err = add_matching(s, list.tgid[i]);
	process_list_release(&list);
	return err;
}

int session_find_targets(struct session *s)
{
	int err;

	if (!kernel_knows_our_pids()) {
		log_error("cannot profile from inside a PID namespace, where processes have other "
			  "numbers than the kernel's: run seep on the host (nsenter -t 1 -p, or a "
			  "container with --pid=host)");
		return -EINVAL;
	}
	if (s->cli->argv)
		return start_command(s);
	if (s->cli->nr_pids)
		return add_listed(s);
	err = add_all_matching(s);
	if (err || s->nr_targets)
		return err;
	if (s->cli->cgroup && session_is_open(s)) {
		log_info("no process in cgroup '%s' yet: waiting for some", s->cli->cgroup);
		return 0;
	}
	if (s->cli->cgroup)
		log_error("no process in cgroup '%s'", s->cli->cgroup);
	else if (s->cli->comm)
		log_error("no process is called '%s' (the name in /proc/PID/comm)", s->cli->comm);
	else
		log_error("no process that can be profiled");
	return -ESRCH;
}

/* One that the kernel's programs have met by now is theirs: it will be told of. */
static int join(struct session *s, struct session_target *t)
{
	int err = session_give_slot(s, t);

	if (!err)
		err = loader_set_target(s->loader, t->proc, (uint32_t)t->tgid);
	if (!err)
		return session_feed_target(s, t);
	if (err == -EEXIST)
		err = 0;
	return err;
}

int session_find_others(struct session *s)
{
	struct process_list list = {0};
	struct session_target *t;
	size_t i, before;
	int err;

	if (!session_is_open(s) || s->cli->argv || s->cli->nr_pids)
		return 0;
	err = list_matching(s, &list);
	for (i = 0; i < list.nr && !err; i++) {
		if (loader_slot_of(s->loader, (uint32_t)list.tgid[i]) != SEEP_SLOT_NONE)
			continue;
		before = s->nr_targets;
		err = add_matching(s, list.tgid[i]);
		if (err || s->nr_targets == before)
			continue;
		t = s->target[before];
		err = join(s, t);
		if (t->slot && loader_slot_of(s->loader, (uint32_t)t->tgid) == t->slot)
			continue;
		session_remove_target(s, t);
		if (err == -ENOSPC) {
			err = 0;
			break;
		}
	}
	process_list_release(&list);
	return err;
}
