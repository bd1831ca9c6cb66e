// SPDX-License-Identifier: GPL-2.0-or-later
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "log.h"
#include "parse.h"
#include "session_impl.h"

#define PROGRESS_TICKS 10
#define REST_NS 1000000
#define QUIET_REST_NS 20000000 /* the same while no stacks are walked */
#define LIVELY_MS 1	       /* who has just started is looked at soon after the next one */
#define LIVELY_NS 100000000u
#define TABLES_WAIT_MS 3000
#define NAMES_WAIT_NS 2000000000ull

enum source {
	SOURCE_RINGS = 1,
	SOURCE_TIMER,
	SOURCE_SIGNAL,
	SOURCE_WATCH,
	SOURCE_TARGET, /* and its slot above 32 bits */
};

static int watch(struct session *s, int fd, uint64_t source)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = source};

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int open_events(struct session *s)
{
	struct itimerspec tick = {.it_interval.tv_nsec = TICK_NS / GUARD_TICKS,
				  .it_value.tv_nsec = TICK_NS / GUARD_TICKS};
	sigset_t signals, pipes;
	size_t i;
	int err;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigemptyset(&pipes);
	sigaddset(&pipes, SIGPIPE); /* a command may die before it is let go */
	if (sigprocmask(SIG_BLOCK, &signals, NULL) || sigprocmask(SIG_BLOCK, &pipes, NULL))
		return -errno;
	s->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->signals < 0 || s->epoll < 0 || s->timer < 0 ||
	    timerfd_settime(s->timer, 0, &tick, NULL))
		return -errno;
	err = watch(s, s->signals, SOURCE_SIGNAL);
	if (!err)
		err = watch(s, s->timer, SOURCE_TIMER);
	for (i = 0; i < s->nr_targets && !err; i++) {
		if (s->target[i]->pidfd >= 0)
			err = watch(s, s->target[i]->pidfd,
				    SOURCE_TARGET | (uint64_t)s->target[i]->slot << 32);
	}
	return err;
}

static int attach_all(struct session *s)
{
	int err = attach_processes(&s->attach, s->loader);

	if (!err)
		err = attach_code(&s->attach, s->loader);
	if (!err && s->options->mode == RUN_FAULTS)
		err = attach_faults(&s->attach, s->loader, 1);
	if (!err && s->options->mode == RUN_LEAKS)
		err = attach_syscalls(&s->attach, s->loader);
	if (err) {
		log_error("cannot attach to the kernel's events: %s", strerror(-err));
		return err;
	}
	if (!session_watch_code(s))
		(void)watch(s, watch_fd(s->watch), SOURCE_WATCH);
	err = kernel_drop_capabilities(s->options->mode == RUN_LEAKS);
	if (err)
		log_warn("cannot drop capabilities: %s, going on with all of them", strerror(-err));
	/* Its thread has the rights that are left. */
	err = session_start_namer(s);
	if (!err)
		err = session_guard_begin(s);
	return err ? err : session_attach_targets(s);
}

static int open_capture(struct session *s)
{
	int fd, err;

	if (!s->cli->capture)
		return 0;
	fd = open(s->cli->capture, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0644);
	err = fd < 0 ? -errno : capture_writer_new(fd, &s->capture);
	if (err) {
		log_error("cannot write '%s': %s", s->cli->capture, strerror(-err));
		fd_close(&fd);
	}
	return err;
}

/* From here on everything counts. */
static int arm(struct session *s)
{
	size_t i;
	int err;

	/* Stacks of the first moment are as good as others; a table takes 0.1 us a row. */
	if (!unwinder_wait(s->unwinder, TABLES_WAIT_MS))
		log_verbose("unwind tables are still being made: the first stacks may be cut");
	session_check_early_ends(s);
	s->start_ns = session_now_ns();
	s->next_report_ns = s->start_ns + s->cli->interval_ns;
	err = session_feed_run(s);
	for (i = 0; i < s->nr_targets && !err; i++) {
		err = session_feed_target(s, s->target[i]);
		if (!err && s->options->mode == RUN_FAULTS)
			err = session_feed_mappings(s, s->target[i]);
	}
	if (!err)
		err = session_feed_probes(s);
	if (!err)
		err = session_feed_counters(s, true);
	if (!err)
		err = session_guard_arm(s);
	if (err)
		return err;
	loader_arm(s->loader, true);
	s->armed = true;
	session_pause_unwinder(s);
	err = session_find_others(s);
	if (!err)
		err = session_refresh_stale(s);
	if (err)
		return err;
	session_say_ready(s);
	if (!s->cli->argv)
		return 0;
	err = spawn_release(&s->spawn);
	if (err)
		log_error("cannot run '%s': %s", s->cli->argv[0], strerror(-err));
	return err;
}

/* Where anybody may still come there is no end but the user's. */
static bool is_over(const struct session *s)
{
	size_t i;

	if (session_is_open(s) && !s->cli->argv && !s->cli->nr_pids)
		return false;
	for (i = 0; i < s->nr_targets; i++) {
		if (!s->target[i]->gone)
			return false;
	}
	return true;
}

/* An interval's report waits for its names, a while, but the rings do not wait for it. */
static int report_if_due(struct session *s)
{
	if (!s->report_due ||
	    (namer_pending(s->namer) && session_now_ns() - s->report_due_ns < NAMES_WAIT_NS))
		return 0;
	s->report_due = false;
	return session_emit(s);
}

static int tick(struct session *s)
{
	uint64_t now_ns, due_ns = s->cli->interval_ns ? s->next_report_ns : UINT64_MAX;
	int err;
	long nr;

	if (s->watch)
		session_take_mappings(s);
	session_check_unknown_code(s);
	session_check_leaders(s, false);
	err = session_refresh_stale(s);
	if (!err) {
		nr = ring_set_drain(s->rings);
		err = nr < 0 ? (int)nr : session_resync(s);
	}
	(void)loader_grow_blocks(s->loader); /* without memory for it, blocks go to the hash */
	if (!err)
		err = session_check_targets(s);
	if (!err)
		err = session_feed_counters(s, false);
	if (!err)
		err = session_guard_tick(s);
	if (!err)
		err = session_guard_feed(s);
	now_ns = session_now_ns();
	if (!err)
		err = session_feed_head(s, RECORD_TICK, 0, now_ns);
	if (!err)
		err = session_feed_names(s);
	if (err)
		return err;
	if (s->cli->duration_ns && now_ns - s->start_ns >= s->cli->duration_ns)
		s->stopping = true;
	if (now_ns >= due_ns && !s->stopping) {
		s->report_due_ns = s->report_due ? s->report_due_ns : now_ns;
		s->report_due = s->options->emit && !s->options->quiet;
		s->next_report_ns += s->cli->interval_ns;
	}
	return report_if_due(s);
}

bool session_take_signal(struct session *s)
{
	struct signalfd_siginfo info;
	sigset_t signals;

	if (read(s->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return false;
	s->stopping = s->interrupted = true;
	/* A second one ends us at once; the kernel takes the probes out. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	(void)sigprocmask(SIG_UNBLOCK, &signals, NULL);
	return true;
}

static int on_event(struct session *s, uint64_t source)
{
	struct session_target *t;
	uint64_t expirations;
	long nr;

	switch ((enum source)(uint32_t)source) {
	case SOURCE_RINGS:
		nr = ring_set_drain(s->rings);
		session_sweep(s);
		return nr < 0 ? (int)nr : session_refresh_stale(s);
	case SOURCE_TIMER:
		if (read(s->timer, &expirations, sizeof(expirations)) < 0)
			return 0;
		if (++s->ticks % (PROGRESS_TICKS * GUARD_TICKS) == 0)
			session_show_progress(s);
		if (session_is_for_all(s) && s->watch) { /* which wakes nobody there */
			nr = ring_set_drain(s->rings);	 /* whose they are */
			if (nr < 0)
				return (int)nr;
			session_take_mappings(s);
		}
		return s->ticks % GUARD_TICKS ? session_guard_tick_early(s) : tick(s);
	case SOURCE_SIGNAL:
		(void)session_take_signal(s);
		return 0;
	case SOURCE_WATCH:
		session_take_mappings(s);
		return session_refresh_stale(s);
	case SOURCE_TARGET:
		t = s->slot[source >> 32].target;
		if (t && t->pidfd >= 0) {
			session_set_gone(t);
			(void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, t->pidfd, NULL);
		}
		return 0;
	}
	return 0;
}

/* Being woken costs who wakes us, too: with very many processes it is not done for each that starts or ends. */
static void rest(const struct session *s)
{
	const struct timespec pause = {.tv_nsec =
					       session_walks_stacks(s) ? REST_NS : QUIET_REST_NS};

	if (session_is_for_all(s))
		(void)nanosleep(&pause, NULL);
}

/* Whether more processes are likely to come and go, of which not each will wake us. */
static bool is_lively(const struct session *s)
{
	return session_is_for_all(s) && session_walks_stacks(s) &&
	       session_now_ns() - s->life_ns < LIVELY_NS;
}

static int loop(struct session *s)
{
	struct epoll_event event[8];
	int nr, i, err = 0;

	while (!err && !s->stopping && !is_over(s)) {
		nr = epoll_wait(s->epoll, event, 8, is_lively(s) ? LIVELY_MS : -1);
		if (nr < 0 && errno != EINTR)
			return -errno;
		if (!nr)
			err = on_event(s, SOURCE_RINGS);
		for (i = 0; i < nr && !err; i++)
			err = on_event(s, event[i].data.u64);
		rest(s);
	}
	return err;
}

static int prepare(struct session *s)
{
	int err = session_check_machine(s);

	if (!err)
		err = open_capture(s);
	if (!err)
		err = session_check_debug_dirs(s);
	if (!err)
		err = session_use_allocators(s);
	if (!err)
		err = session_open_cgroup(s);
	if (!err)
		err = session_find_targets(s);
	if (!err)
		err = session_load(s);
	if (!err) {
		/* What a probe costs here is measured while the rest is prepared. */
		(void)calibrate_start(loader_program_fd(s->loader, PROGRAM_FLOOR), &s->calibrator);
		err = ring_set_new(s->loader, session_take, s, &s->rings);
	}
	if (!err)
		err = open_events(s); /* blocks signals, for the threads to come too */
	if (!err)
		err = session_start_unwinder(s);
	if (!err)
		err = watch(s, ring_set_fd(s->rings), SOURCE_RINGS);
	if (err && err != -EINVAL && err != -ESRCH && err != -ENOENT)
		log_debug("cannot prepare: %s", strerror(-err));
	return err;
}

static int run(struct session *s)
{
	int err = prepare(s);

	if (!err)
		err = attach_all(s);
	if (!err)
		err = arm(s);
	if (!err)
		err = loop(s);
	if (!err)
		err = session_finish(s);
	if (!err && !s->options->quiet)
		err = session_emit(s);
	if (!err)
		session_say_tables(s);
	if (!err)
		session_say_command_runs_on(s);
	return err;
}

static void release(struct session *s)
{
	ring_set_free(s->rings);
	session_guard_release(s);
	session_release_links(s);
	attach_release(&s->attach);
	session_usdt_release(s);
	spawn_cancel(&s->spawn);
	calibrate_free(s->calibrator);
	watch_free(s->watch);
	unwinder_free(s->unwinder);
	loader_free(s->loader);
	namer_free(s->namer);
	capture_writer_abandon(s->capture);
	profile_free(s->profile);
	discover_release(&s->discover);
	allocator_spec_release(&s->allocators);
	session_release_targets(s);
	session_release_debug_dirs(s);
	fd_close(&s->epoll);
	fd_close(&s->timer);
	fd_close(&s->signals);
}

/* Complete or not, as the report has it. */
static int exit_status(struct session *s)
{
	struct report_options options = {.top = 1};
	struct report report;
	int status = EXIT_COMPLETE;

	if (profile_report(s->profile, &options, &report))
		return EXIT_FAILED;
	if (!report.complete) {
		log_info("incomplete: %s", report.incomplete_why);
		status = EXIT_INCOMPLETE;
	}
	report_release(&report);
	return status;
}

int session_run(const struct session_options *options)
{
	struct session s = {.options = options,
			    .cli = options->cli,
			    .epoll = -1,
			    .timer = -1,
			    .signals = -1,
			    .cgroup = {.fd = -1},
			    .spawn = {.go = -1, .result = -1}};
	int status = EXIT_FAILED;

	attach_init(&s.attach);
	discover_init(&s.discover);
	s.profile = profile_new();
	if (!s.profile)
		log_error("no memory");
	else if (!run(&s))
		status = exit_status(&s);
	log_progress_clear();
	release(&s);
	return status;
}
