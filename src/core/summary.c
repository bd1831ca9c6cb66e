// SPDX-License-Identifier: GPL-2.0-or-later
/* Reports from a profile: the balance, what is lost, and then the sites of its mode. */
#include "summary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
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

static uint64_t non_negative(int64_t n)
{
	return n > 0 ? (uint64_t)n : 0;
}

/*
 * Blocks that came and went while events were being lost leave no trace but the kernel's counters.
 * Once the probes are gone these are final, and what they have more than we saw are such pairs.
 */
static void add_unseen_pairs(const struct profile *p, const struct target *t,
			     struct report_balance *b)
{
	uint64_t allocs = t->counter[STAT_ALLOCS];

	if (!p->ended || !t->counter[STAT_LOST_EVENTS] || allocs <= b->allocs)
		return;
	b->frees += allocs - b->allocs;
	b->frees_by_resync += allocs - b->allocs;
	b->allocs = allocs;
}

/* Sums over the images of a process, before anything is made of them. */
struct tally {
	int64_t allocs, frees, released, resync, missed, taken_back;
};

static void tally_image(const struct image *image, struct tally *t, struct report_balance *b)
{
	int64_t unseen = image->released < 0 ? -image->released : 0;

	/* Of a free that nobody saw the allocation of, there was one. */
	t->allocs += image->allocs + image->marks + unseen;
	t->frees += image->frees;
	t->released += image->released + unseen;
	t->resync += image->frees_by_resync;
	t->missed += image->missed_frees;
	t->taken_back += image->taken_back;
	b->live += heap_nr_live(image->heap);
	b->live_bytes += heap_live_bytes(image->heap);
	b->allocated_bytes += image->alloc_bytes;
}

static void balance_of(const struct profile *p, const struct target *target,
		       struct report_balance *b)
{
	struct tally t = {0};
	const struct image *image;
	uint64_t taken_back;

	*b = (struct report_balance){0};
	for (image = target->newest; image; image = image->older)
		tally_image(image, &t, b);
	taken_back = non_negative(t.taken_back);
	b->lost_allocs = target->counter[STAT_LOST_ALLOCS];
	if (b->lost_allocs < taken_back)
		b->lost_allocs = taken_back;
	b->allocs = non_negative(t.allocs - t.taken_back) + b->lost_allocs;
	b->frees = non_negative(t.frees - t.taken_back);
	b->released = non_negative(t.released);
	b->frees_by_resync = non_negative(t.resync);
	b->missed_frees = non_negative(t.missed);
	b->failed_allocs = target->counter[STAT_FAILED_ALLOCS];
	b->frees_unknown = target->counter[STAT_FREES_UNKNOWN];
	b->lost_events = target->counter[STAT_LOST_EVENTS];
	b->resyncs = p->resyncs;
	add_unseen_pairs(p, target, b);
}

static void balance_add(struct report_balance *sum, const struct report_balance *b)
{
	sum->allocs += b->allocs;
	sum->frees += b->frees;
	sum->live += b->live;
	sum->released += b->released;
	sum->lost_allocs += b->lost_allocs;
	sum->frees_by_resync += b->frees_by_resync;
	sum->missed_frees += b->missed_frees;
	sum->failed_allocs += b->failed_allocs;
	sum->frees_unknown += b->frees_unknown;
	sum->lost_events += b->lost_events;
	sum->live_bytes += b->live_bytes;
	sum->allocated_bytes += b->allocated_bytes;
}

static int add_targets(const struct profile *p, struct report *out)
{
	struct report_target *target;
	size_t i;

	out->target = calloc(p->nr_targets + 1, sizeof(*out->target));
	if (!out->target)
		return -ENOMEM;
	for (i = 0; i < p->nr_targets; i++) {
		target = &out->target[out->nr_targets++];
		target->tgid = p->target[i]->tgid;
		target->comm = p->target[i]->comm;
		target->exe = p->target[i]->exe;
		target->exited = p->target[i]->newest && p->target[i]->newest->exited;
		balance_of(p, p->target[i], &target->balance);
		balance_add(&out->balance, &target->balance);
		out->minor_total += p->target[i]->counter[STAT_MINOR_FAULTS];
		out->major_total += p->target[i]->counter[STAT_MAJOR_FAULTS];
	}
	out->balance.resyncs = p->resyncs;
	return 0;
}

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

	out->loss = calloc(ARRAY_SIZE(losses) + 1, sizeof(*out->loss));
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
		set_incomplete(out, "there were more processes at once than can be followed");
	if (p->end_flags & END_NO_RESYNC)
		set_incomplete(out, "events were lost and the block map could not be read again");
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

/* Of the CPU time that the targets would have used by themselves. */
static double measured_overhead(const struct profile *p)
{
	uint64_t cpu = 0, enter = probe_cost(p, true), leave = probe_cost(p, false);
	double ours;
	size_t i;

	for (i = 0; i < p->nr_targets; i++)
		cpu += p->target[i]->cpu_last_ns - p->target[i]->cpu_first_ns;
	if (!cpu || !enter || !leave)
		return -1;
	ours = (double)counter_sum(p, STAT_ENTRY_HITS) * (double)enter +
	       (double)counter_sum(p, STAT_FREE_HITS) * (double)leave;
	if (ours >= (double)cpu)
		return 100 * ours / (double)cpu;
	return 100 * ours / ((double)cpu - ours);
}

static void add_head(const struct profile *p, struct report *out)
{
	out->mode = p->run.mode;
	out->wall_time_s = p->run.wall_time_s;
	out->sample_bytes = p->run.sample_bytes;
	out->fault_period = p->run.fault_period;
	out->final = p->ended;
	out->duration_s = profile_window_s(p, p->last_ns);
	out->predicted_pct = -1;
	out->measured_pct = out->mode == RUN_LEAKS ? measured_overhead(p) : -1;
}

int profile_report(struct profile *p, const struct report_options *options, struct report *out)
{
	struct report report = {0};
	int err;

	add_head(p, &report);
	err = add_targets(p, &report);
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
	if (!err && p->run.mode == RUN_FAULTS)
		err = summary_faults(p, options, &report);
out:
	if (err)
		report_release(&report);
	else
		*out = report;
	return err;
}
