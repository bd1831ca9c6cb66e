// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How much is followed: what the guard has decided is done here, and told to the stream.
 *
 * A step to more or less is a record. While probes are out no free is seen, so when they go, all that is live is left
 * (RECORD_UNWATCHED), and what comes after begins anew. Programs are stilled before the first probe goes and until the
 * last one is there: a block whose free could be missed is never told of.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "guard.h"
#include "log.h"
#include "parse.h"
#include "session_impl.h"

#define MAX_CLOSE 16	  /* targets that are looked at more often than others */
#define BURST_EVENTS 2000 /* between two looks: some milliseconds of the targets' time */
#define MAX_PERIODS 64
#define UNDER_WAY_NS 200000000 /* a system call at most, nearly always */

struct session_guard {
	struct guard *guard;
	struct callrate rate;
	bool has_rate;
	struct governor_step step;    /* what holds */
	uint64_t period[MAX_PERIODS]; /* its tag is the index + 1 */
	size_t nr_periods;
	bool faults_in; /* page faults are followed */
	struct attach faults;
	pid_t *tgid;
	size_t cap_tgids;
	uint64_t nr_events;  /* as read when it was last looked whether there are many */
	uint64_t stopped_ns; /* when allocators were last left alone */
};

/* --- what is followed --- */

static int tag_of(struct session *s, uint64_t period_bytes, uint32_t *tag)
{
	struct record_sampling record = {
		.head = {.kind = RECORD_SAMPLING, .time_ns = session_now_ns()},
		.period_bytes = period_bytes};
	struct session_guard *g = s->guard;
	size_t i;

	for (i = 0; i < g->nr_periods; i++) {
		if (g->period[i] == period_bytes) {
			*tag = (uint32_t)i + 1;
			return 0;
		}
	}
	if (g->nr_periods == MAX_PERIODS)
		return -ENOSPC;
	g->period[g->nr_periods++] = period_bytes;
	*tag = record.tag = (uint32_t)g->nr_periods;
	return session_feed(s, &record, sizeof(record));
}

static int set_sampling(struct session *s, uint64_t period_bytes)
{
	uint32_t tag = SEEP_TAG_EXACT;
	int err = 0;

	if (period_bytes > LOADER_MAX_PERIOD)
		period_bytes = LOADER_MAX_PERIOD;
	if (period_bytes > 1)
		err = tag_of(s, period_bytes, &tag);
	if (!err)
		loader_set_sampling(s->loader, period_bytes, tag);
	return err;
}

static int feed_step(struct session *s, uint64_t time_ns)
{
	const struct governor_step *step = &s->guard->step;
	struct record_step record = {
		.head = {.kind = RECORD_STEP, .time_ns = time_ns},
		.mode = step->mode,
		.why = step->why,
		.period_bytes = step->period_bytes ? step->period_bytes : 1,
		.duty_permille = step->duty_permille,
		.overhead_ppm = step->overhead_ppm,
	};

	return session_feed(s, &record, sizeof(record));
}

/*
 * While allocators are left alone, what a process unmaps is news only if a mapping of it is known. A call that was under
 * way meanwhile is told of when it returns: so for a moment any may be.
 */
static void look_at_mappings(struct session *s, bool any)
{
	size_t i;

	if (!any && session_now_ns() - s->guard->stopped_ns < UNDER_WAY_NS)
		return;
	for (i = 0; i < s->nr_targets; i++) {
		const struct session_target *t = s->target[i];

		if (!t->gone && t->slot)
			loader_set_unmapped(s->loader, t->slot,
					    !any && !profile_has_mappings(s->profile, t->proc));
	}
}

/*
 * Everything that was sent before programs were stilled has been read: what is live then is left. The block map keeps it,
 * to tell when it is seen gone.
 */
static int stop_watching(struct session *s)
{
	uint64_t now_ns;
	long nr;
	int err;

	look_at_mappings(s, true);
	loader_watch(s->loader, 0);
	s->guard->stopped_ns = now_ns = session_now_ns();
	session_turn_off(s);
	nr = ring_set_drain(s->rings);
	if (nr < 0)
		return (int)nr;
	guard_turned(s->guard->guard, session_now_ns(), false);
	err = session_feed_counters(s, false);
	if (!err)
		err = session_feed_head(s, RECORD_UNWATCHED, 0, now_ns);
	return err ? err : session_forget_left(s);
}

static int start_watching(struct session *s)
{
	long nr = ring_set_drain(s->rings);
	int err = nr < 0 ? (int)nr : 0;

	if (!err) {
		session_catch_up(s);
		err = session_turn_on(s);
	}
	s->watched_ns = session_now_ns();
	loader_watch(s->loader, s->watched_ns);
	guard_turned(s->guard->guard, s->watched_ns, true);
	return err;
}

static int follow_faults(struct session *s, bool wanted)
{
	struct session_guard *g = s->guard;
	size_t i;
	int err = 0;

	if (wanted == g->faults_in)
		return 0;
	if (!wanted) {
		attach_release(&g->faults);
		g->faults_in = false;
		return 0;
	}
	for (i = 0; i < s->nr_targets && !err; i++)
		err = session_feed_mappings(s, s->target[i]);
	if (!err)
		err = attach_faults(&g->faults, s->loader, 1);
	g->faults_in = !err;
	return err;
}

static const char *const mode_name[] = {
	[STEP_EXACT] = "every allocation is followed",
	[STEP_SAMPLED] = "allocations are sampled",
	[STEP_WINDOWS] = "allocations are sampled, at times",
	[STEP_FAULTS] = "page faults alone are followed",
	[STEP_DETACHED] = "nothing is followed",
};

static const char *const why_name[] = {
	[STEP_START] = "of the predicted cost",
	[STEP_OVER_TARGET] = "probes cost more than --max-overhead",
	[STEP_OVER_CPU] = "seep uses more than --max-cpu",
	[STEP_OVER_MEMORY] = "seep uses more than --max-memory",
	[STEP_ROOM] = "there is room for more",
};

static void say_step(const struct session *s, const struct governor_step *step)
{
	char age[FORMAT_MAX], period[FORMAT_MAX];

	format_duration((double)(session_now_ns() - s->start_ns) / 1e9, age, sizeof(age));
	format_bytes(step->period_bytes, period, sizeof(period));
	log_progress_clear();
	if (step->period_bytes > 1)
		log_info("after %s: %s, one in %s, because %s", age, mode_name[step->mode], period,
			 why_name[step->why]);
	else
		log_info("after %s: %s, because %s", age, mode_name[step->mode],
			 why_name[step->why]);
}

bool session_walks_stacks(const struct session *s)
{
	return !s->guard || !s->armed || !s->is_unwatched || s->guard->faults_in ||
	       session_usdt_is_used(s);
}

/* Does what the guard has decided, if it differs from what is done. */
static int do_step(struct session *s, const struct governor_step *step)
{
	struct session_guard *g = s->guard;
	bool is_other = step->mode != g->step.mode || step->period_bytes != g->step.period_bytes;
	int err = 0;

	g->step = *step;
	if (is_other)
		say_step(s, step);
	if (!step->attached && !s->is_unwatched)
		err = stop_watching(s);
	if (!err && is_other)
		err = follow_faults(s, step->mode == STEP_FAULTS);
	if (!err &&
	    (step->mode == STEP_EXACT || step->mode == STEP_SAMPLED || step->mode == STEP_WINDOWS))
		err = set_sampling(s, step->period_bytes);
	if (!err && step->attached && s->is_unwatched) {
		err = start_watching(s);
		return err ? err : feed_step(s, s->watched_ns);
	}
	return !err && is_other ? feed_step(s, session_now_ns()) : err;
}

static int take_step(struct session *s, const struct governor_step *step)
{
	int err = do_step(s, step);

	session_pause_unwinder(s);
	return err;
}

/* --- the guard's questions --- */

static int fill_input(struct session *s, struct guard_input *input)
{
	struct session_guard *g = s->guard;
	uint64_t foreign[STAT_NR];
	size_t i;

	memcpy(input->counter, s->counted, sizeof(input->counter));
	if (!loader_counters(s->loader, SEEP_SLOT_NONE, foreign))
		input->counter[STAT_FOREIGN_HITS] = foreign[STAT_FOREIGN_HITS];
	if (ARRAY_GROW(&g->tgid, &g->cap_tgids, s->nr_targets + 1))
		return -ENOMEM;
	for (i = 0, input->nr_tgids = 0; i < s->nr_targets; i++) {
		if (!s->target[i]->gone && s->target[i]->tgid)
			g->tgid[input->nr_tgids++] = s->target[i]->tgid;
	}
	input->tgid = g->tgid;
	input->time_ns = session_now_ns();
	return 0;
}

/* Calls are counted while nothing is followed: is there room for more? */
static int count_again(struct session *s)
{
	struct session_guard *g = s->guard;
	struct governor_step step;

	if (session_count_calls(s, &g->rate) ||
	    guard_counted(g->guard, &g->rate, &step) == GOVERNOR_STAY)
		return 0;
	return take_step(s, &step);
}

int session_guard_feed(struct session *s)
{
	struct record_overhead record = {
		.head = {.kind = RECORD_OVERHEAD, .time_ns = session_now_ns()}};
	uint64_t cpu_ns;

	if (!s->guard)
		return 0;
	record.spent_ns = guard_overhead(s->guard->guard, &cpu_ns);
	record.cpu_ns = cpu_ns;
	return session_feed(s, &record, sizeof(record));
}

int session_guard_tick(struct session *s)
{
	struct guard_input input;
	struct governor_step step;
	int err;

	if (!s->guard || !s->armed)
		return 0;
	if (s->is_unwatched)
		look_at_mappings(s, false);
	err = fill_input(s, &input);
	if (err)
		return err;
	switch (guard_tick(s->guard->guard, &input, &step)) {
	case GOVERNOR_STAY:
		return 0;
	case GOVERNOR_STEP:
	case GOVERNOR_WINDOW:
		return take_step(s, &step);
	case GOVERNOR_COUNT:
		return count_again(s);
	}
	return 0;
}

static bool is_burst(struct session *s)
{
	uint64_t before = s->guard->nr_events;

	s->guard->nr_events = profile_nr_events(s->profile);
	return s->guard->nr_events - before > BURST_EVENTS;
}

/* A burst is noticed the sooner for it. With many targets their counters are read only if there seems to be one. */
int session_guard_tick_early(struct session *s)
{
	int err;

	(void)loader_grow_blocks(s->loader);
	if (!s->guard || (!is_burst(s) && s->nr_targets > MAX_CLOSE))
		return 0;
	err = session_count(s);
	return err ? err : session_guard_tick(s);
}

/* --- the beginning --- */

/* What was measured meanwhile; without it costs are 0, which reads as not measured. */
static void take_costs(struct session *s)
{
	int err = s->calibrator ? calibrate_finish(s->calibrator, &s->cost) : -ENOENT;
	enum attach_kind kind = loader_attach_kind(s->loader);

	s->has_cost = !err;
	if (err)
		log_verbose("cannot measure what a probe costs here: %s", strerror(-err));
	else
		log_verbose("a probe costs %u ns where it is emulated and %u ns where it is "
			    "single-stepped, with its return %u and %u ns",
			    calibration_ns(&s->cost, kind, true, false),
			    calibration_ns(&s->cost, kind, false, false),
			    calibration_ns(&s->cost, kind, true, true),
			    calibration_ns(&s->cost, kind, false, true));
}

static int make_guard(struct session *s)
{
	bool session = loader_attach_kind(s->loader) == ATTACH_SESSION;
	struct guard_options options = {
		.max_overhead = s->cli->max_overhead,
		.max_cpu = s->cli->max_cpu,
		.max_memory_bytes = s->cli->max_memory_bytes,
		.sample_bytes = s->cli->sample_bytes,
		.has_faults = true,
		.system_wide = s->cli->all,
		.link = loader_attach_kind(s->loader),
		.calls = loader_calls(s->loader),
		.calibration = s->has_cost ? &s->cost : NULL,
		.alloc_program_fd = loader_program_fd(s->loader, session ? PROGRAM_ALLOC_SESSION
									 : PROGRAM_ALLOC_ENTER),
		.return_program_fd =
			session ? -1 : loader_program_fd(s->loader, PROGRAM_ALLOC_RETURN),
		.free_program_fd = loader_program_fd(s->loader, PROGRAM_FREE_ENTER),
	};

	s->guard = calloc(1, sizeof(*s->guard));
	if (!s->guard)
		return -ENOMEM;
	attach_init(&s->guard->faults);
	return guard_new(&options, &s->guard->guard);
}

/* What the shares are of. */
static const char *whole(const struct session *s, const struct governor_prediction *prediction)
{
	bool several = s->nr_targets > 1;

	if (s->cli->all)
		return "the time of all CPUs";
	if (prediction->of_least)
		return several ? "a fifth of a CPU (the targets use less)"
			       : "a fifth of a CPU (the target uses less)";
	return several ? "the targets' CPU time" : "the target's CPU time";
}

/* Says what it will cost. -ECANCELED: more than is allowed whatever is done, and nobody has insisted. */
static int predict(struct session *s)
{
	struct session_guard *g = s->guard;
	struct governor_prediction prediction;
	char rate[FORMAT_MAX];

	guard_predict(g->guard, &g->rate, &prediction);
	format_count((uint64_t)((double)(g->rate.count.calls + g->rate.count.frees) * 1e9 /
				(double)g->rate.count.counted_ns),
		     rate, sizeof(rate));
	log_info("predicted, at %s calls a second: every allocation followed costs %.1f %% of %s, "
		 "sampled %.1f %%",
		 rate, 100 * prediction.exact, whole(s, &prediction), 100 * prediction.sampled);
	if (!prediction.hopeless || s->cli->force)
		return 0;
	log_error("following allocations would cost more than %s, whatever is left out: raise "
		  "--max-overhead, or go on with --force; 'seep faults' costs less",
		  s->cli->max_overhead > 0 ? "--max-overhead allows" : "the target's own work");
	return -ECANCELED;
}

int session_guard_begin(struct session *s)
{
	struct guard_input input = {0};
	int err;

	take_costs(s);
	if (s->options->mode != RUN_LEAKS)
		return 0;
	err = make_guard(s);
	if (err)
		return err;
	/* What is not limited need not be foreseen, if anything goes. */
	if (!s->cli->argv && (s->cli->max_overhead > 0 || !s->cli->force))
		s->guard->has_rate = !session_count_calls(s, &s->guard->rate);
	if (s->guard->has_rate)
		err = predict(s);
	if (!err)
		err = fill_input(s, &input);
	if (err)
		return err;
	guard_start(s->guard->guard, &input, s->guard->has_rate ? &s->guard->rate : NULL,
		    &s->guard->step);
	s->is_unwatched = !s->guard->step.attached;
	return 0;
}

int session_guard_arm(struct session *s)
{
	const struct governor_step *step = s->guard ? &s->guard->step : NULL;
	int err;

	if (!step)
		return 0;
	err = set_sampling(s, step->period_bytes);
	if (s->is_unwatched)
		loader_watch(s->loader, 0);
	else
		guard_turned(s->guard->guard, s->start_ns, true);
	if (!err)
		err = feed_step(s, s->start_ns);
	if (!err && s->is_unwatched)
		err = session_feed_head(s, RECORD_UNWATCHED, 0, s->start_ns);
	if (!err && step->mode == STEP_FAULTS)
		err = follow_faults(s, true);
	if (!err && step->mode != STEP_EXACT)
		say_step(s, step);
	return err;
}

void session_guard_release(struct session *s)
{
	if (!s->guard)
		return;
	attach_release(&s->guard->faults);
	guard_free(s->guard->guard);
	free(s->guard->tgid);
	free(s->guard);
	s->guard = NULL;
}
