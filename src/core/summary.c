// SPDX-License-Identifier: GPL-2.0-or-later
/* Reports from a profile: the head, what is lost, and then the other parts. */
#include "summary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "governor.h"
#include "profile_impl.h"

/* Losses without a line of their own in the balance. fatal: the numbers are not complete. */
static const struct {
	enum seep_stat stat;
	const char *name;
	bool fatal;
} losses[] = {
	{STAT_STALE_CALLS, "stale_calls", false},
	{STAT_CALLS_TOO_DEEP, "calls_too_deep", true},
	{STAT_NO_THREAD_STATE, "no_thread_state", true},
	{STAT_OUT_POINTER_FAULTS, "out_pointer_faults", true},
	{STAT_STACKS_FULL, "stacks_full", true},
	{STAT_STACK_COLLISIONS, "stack_collisions", true},
	{STAT_STACKS_EMPTY, "stacks_empty", false},
	{STAT_NO_REGS, "no_regs", false},
	{STAT_STACKS_BUSY, "stacks_busy", false},
	{STAT_CUT_NO_MAPPING, "cut_no_mapping", false},
	{STAT_CUT_PENDING, "cut_pending", false},
	{STAT_CUT_NO_TABLE, "cut_no_table", false},
	{STAT_CUT_UNSUPPORTED, "cut_unsupported", false},
	{STAT_CUT_UNREADABLE, "cut_unreadable", false},
	{STAT_CUT_BAD_FRAME, "cut_bad_frame", false},
	{STAT_CUT_CHANGED, "cut_changed", false},
	{STAT_CUT_TRAMPOLINE, "cut_trampoline", false},
	{STAT_CUT_DEPTH, "cut_depth", false},
	{STAT_MEMO_WRONG, "memo_wrong", true},
};

static uint64_t counter_sum(const struct profile *p, enum seep_stat stat)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < p->nr_targets; i++)
		sum += p->target[i]->counter[stat];
	return sum;
}

static void set_incomplete(struct report *out, const char *why)
{
	if (out->complete)
		snprintf(out->incomplete_why, sizeof(out->incomplete_why), "%s", why);
	out->complete = false;
}

static int add_losses(const struct profile *p, struct report *out)
{
	uint64_t count;
	size_t i;

	out->loss = calloc(ARRAY_SIZE(losses) + 2, sizeof(*out->loss));
	if (!out->loss)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(losses); i++) {
		count = counter_sum(p, losses[i].stat);
		if (!count)
			continue;
		out->loss[out->nr_losses++] =
			(struct report_loss){.name = losses[i].name, .count = count};
		if (losses[i].fatal)
			set_incomplete(out, losses[i].name);
	}
	/* no number is wrong for it, but what is said of growth is of later windows alone */
	if (p->windows.given_up)
		out->loss[out->nr_losses++] =
			(struct report_loss){.name = "left_given_up", .count = p->windows.given_up};
	if (p->vm_lost)
		out->loss[out->nr_losses++] =
			(struct report_loss){.name = "mappings_lost", .count = p->vm_lost};
	return 0;
}

static void judge_completeness(const struct profile *p, struct report *out)
{
	char why[160];

	out->complete = true;
	if (p->end_flags & END_TARGET_LOST)
		set_incomplete(out, "the target went away while probes were being attached");
	if (p->end_flags & END_LEADER_GONE)
		set_incomplete(
			out,
			"the first thread of a target ended, and the probes with it; its other "
			"threads went on unseen");
	if (p->end_flags & END_UNFOLLOWED)
		set_incomplete(
			out,
			"some processes were not followed: there were more at once than can be, or "
			"probes might have killed them");
	if (p->end_flags & END_NO_RESYNC)
		set_incomplete(out, "events were lost and the block map could not be read again");
	if (p->end_flags & END_CALLS_MISSED)
		set_incomplete(out, "the kernel did not run the programs at some system calls: "
				    "mappings may be missing");
	if (out->balance.lost_events) {
		snprintf(why, sizeof(why), "%llu events were lost on the ring%s",
			 (unsigned long long)out->balance.lost_events,
			 out->mode == RUN_LEAKS ? "; what is live was read again from the kernel"
						: "");
		set_incomplete(out, why);
	}
	if (out->balance.lost_allocs) {
		snprintf(why, sizeof(why), "%llu blocks did not fit the block map (--max-blocks)",
			 (unsigned long long)out->balance.lost_allocs);
		set_incomplete(out, why);
	}
}

static int add_probes(const struct profile *p, struct report *out)
{
	const struct probe *probe;
	size_t i;

	out->probe = calloc(p->nr_probes + 1, sizeof(*out->probe));
	if (!out->probe)
		return -ENOMEM;
	for (i = 0; i < p->nr_probes; i++) {
		probe = &p->probe[i];
		out->probe[out->nr_probes++] =
			(struct report_probe){.object = probe->object,
					      .function = probe->function,
					      .instruction = probe->instruction,
					      .link = probe->link,
					      .offset = probe->offset,
					      .cost_ns = probe->cost_ns,
					      .emulated = probe->flags & PROBE_EMULATED,
					      .with_return = probe->flags & PROBE_RETURN};
	}
	return 0;
}

/* ns of the cheapest probe of a kind: the one that the hot functions have. */
static uint32_t probe_cost(const struct profile *p, bool with_return)
{
	uint32_t cost = 0;
	size_t i;

	for (i = 0; i < p->nr_probes; i++) {
		if (!(p->probe[i].flags & PROBE_RETURN) == with_return || !p->probe[i].cost_ns)
			continue;
		if (!cost || p->probe[i].cost_ns < cost)
			cost = p->probe[i].cost_ns;
	}
	return cost;
}

/* The probes alone, without our programs: what there is when nobody has measured. false: not known. */
static bool cost_of_hits(const struct profile *p, double *ns)
{
	uint64_t calls = counter_sum(p, STAT_ENTRY_HITS);
	uint64_t others = counter_sum(p, STAT_FREE_HITS) + counter_sum(p, STAT_USDT_HITS);
	uint32_t call = probe_cost(p, true), other = probe_cost(p, false);

	if ((!call && !other) || (calls && !call) || (others && !other))
		return false;
	*ns = (double)calls * call + (double)others * other;
	return true;
}

static uint64_t targets_cpu_ns(const struct profile *p)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < p->nr_targets; i++)
		sum += p->target[i]->cpu_last_ns - p->target[i]->cpu_first_ns;
	return sum;
}

/* Of the CPU time that the targets would have used by themselves. */
static double measured_overhead(const struct profile *p)
{
	double ours = (double)p->overhead.spent_ns, cpu = (double)p->overhead.cpu_ns;

	if (!p->overhead.cpu_ns) {
		cpu = (double)targets_cpu_ns(p);
		if (!(cpu > 0) || !cost_of_hits(p, &ours))
			return -1;
	}
	if (ours >= cpu)
		return 100 * ours / cpu;
	return 100 * ours / (cpu - ours);
}

/* What it comes to by the limit, where the targets use less than that reckons with. */
static double limited_overhead(const struct profile *p)
{
	double least_ns = GOVERNOR_LEAST_CPUS * 1e9 * profile_window_s(p, p->last_ns);

	if (!p->overhead.cpu_ns || (double)p->overhead.cpu_ns >= least_ns)
		return 0;
	return 100 * (double)p->overhead.spent_ns / least_ns;
}

/* By the governor, before it began. */
static double predicted_overhead(const struct profile *p)
{
	size_t i;

	for (i = 0; i < p->nr_steps; i++) {
		if (p->step[i].why == STEP_START && p->step[i].overhead_ppm)
			return p->step[i].overhead_ppm / 1e4;
		if (p->step[i].why == STEP_START)
			break;
	}
	return -1;
}

static void add_head(const struct profile *p, struct report *out)
{
	out->mode = p->run.mode;
	out->wall_time_s = p->run.wall_time_s;
	out->sample_bytes = p->run.sample_bytes;
	out->fault_period = p->run.fault_period;
	out->final = p->ended;
	out->duration_s = profile_window_s(p, p->last_ns);
	out->faults_s = profile_faults_s(p);
	out->predicted_pct = predicted_overhead(p);
	out->measured_pct = out->mode == RUN_LEAKS ? measured_overhead(p) : -1;
	out->limited_pct = limited_overhead(p);
}

int profile_report(struct profile *p, const struct report_options *options, struct report *out)
{
	struct report report = {0};
	int err;

	add_head(p, &report);
	report.by = options->by;
	err = summary_basis(p, &report);
	if (!err)
		err = summary_targets(p, &report);
	if (err)
		goto out;
	judge_completeness(p, &report);
	err = add_losses(p, &report);
	if (!err)
		err = add_probes(p, &report);
	if (!err && p->run.mode == RUN_LEAKS)
		err = summary_leaks(p, options, &report);
	if (!err && p->run.mode == RUN_LEAKS)
		err = summary_mappings(p, options, &report);
	if (!err)
		err = summary_faults(p, options, &report);
out:
	if (err)
		report_release(&report);
	else
		*out = report;
	return err;
}
