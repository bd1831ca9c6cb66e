// SPDX-License-Identifier: GPL-2.0-or-later
/* Targets that probes would kill are refused, before any is set in one of them. */
#include <errno.h>
#include <string.h>

#include "hazard.h"
#include "log.h"
#include "session_impl.h"

static void warn_of_tracer(const struct session_target *t, pid_t tracer_tid)
{
	char comm[64];

	if (proc_read_comm(tracer_tid, comm, sizeof(comm)))
		return; /* gone, and its hold of the target with it */
	log_warn("process %d is being traced by %d (%s): its debugger will see our breakpoints",
		 (int)t->tgid, (int)tracer_tid, comm);
}

bool session_may_probe(struct session *s, struct session_target *t)
{
	char why[HAZARD_WHY_BYTES];
	struct proc_guards guards;

	/* where all are probed, nobody may be harmed */
	if (t->is_checked || session_is_for_all(s))
		return !t->is_refused;
	if (proc_read_guards(t->tgid, &guards))
		return true; /* it is going */
	t->is_checked = true;
	t->is_refused = hazard_check(&s->hazards, &guards, why, sizeof(why));
	if (t->is_refused) {
		log_warn("cannot profile %d (%s), which has come since: %s", (int)t->tgid,
			 t->info.comm, why);
		s->refused_some = true;
	}
	return !t->is_refused;
}

static int check_target(struct session *s, struct session_target *t)
{
	const char *name = s->cli->argv ? s->cli->argv[0] : t->info.comm;
	char why[HAZARD_WHY_BYTES];
	struct proc_guards guards;
	int err = proc_read_guards(t->tgid, &guards);

	t->is_checked = true;
	if (err == -ESRCH)
		return 0; /* who attaches to it says so */
	if (err) {
		log_error("cannot profile %d (%s): cannot find out whether it is under seccomp: %s",
			  (int)t->tgid, name, strerror(-err));
		return err;
	}
	if (hazard_check(&s->hazards, &guards, why, sizeof(why))) {
		log_error("cannot profile %d (%s): %s", (int)t->tgid, name, why);
		return -ENOTSUP;
	}
	if (guards.tracer_tid)
		warn_of_tracer(t, guards.tracer_tid);
	return 0;
}

/* Nobody can say who will map the same files. */
static int check_others(struct session *s)
{
	char why[HAZARD_WHY_BYTES];

	if (!session_is_for_all(s) || !hazard_check_anybody(&s->hazards, why, sizeof(why)))
		return 0;
	log_error("--all and --cgroup set probes in every process that maps a file, which is too "
		  "dangerous here: %s; give processes with -p PID",
		  why);
	return -ENOTSUP;
}

bool session_may_probe_all(struct session *s)
{
	char why[HAZARD_WHY_BYTES];
	int err = hazard_check_anybody(&s->hazards, why, sizeof(why));

	if (err)
		log_debug("files are probed in each process by itself: %s", why);
	return !err;
}

int session_check_hazards(struct session *s)
{
	size_t i;
	int err;

	if (s->options->mode != RUN_LEAKS)
		return 0;
	err = check_others(s);
	for (i = 0; i < s->nr_targets && !err; i++)
		err = check_target(s, s->target[i]);
	return err;
}
