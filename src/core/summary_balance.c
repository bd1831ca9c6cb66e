// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes and their balances. */
#include "summary.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static uint64_t non_negative(int64_t n)
{
	return n > 0 ? (uint64_t)n : 0;
}

/*
 * Blocks that came and went while events were being lost leave no trace but the kernel's counters.
 * Once the probes are gone these are final, and what they have more than we saw are such pairs.
 */
static void add_unseen_pairs(const struct profile *p, const struct target *t, bool sampled,
			     struct report_balance *b)
{
	uint64_t allocs = t->counter[STAT_ALLOCS], missed;
	uint64_t seen = sampled ? b->samples + b->lost_allocs : b->allocs;

	if (!p->ended || !t->counter[STAT_LOST_EVENTS] || allocs <= seen)
		return;
	missed = allocs - seen;
	/* What nobody saw of samples is taken for as heavy as those that were seen. */
	if (sampled && seen)
		missed = summary_whole(round((double)missed * (double)b->allocs / (double)seen));
	b->frees += missed;
	b->frees_by_resync += missed;
	b->allocs += missed;
}

/* Sums over the images of a process, before anything is made of them. */
struct tally {
	int64_t allocs, frees, released, live, resync, missed, taken_back, samples;
	struct variance alloc_variance, live_variance;
	uint64_t heaviest;
	uint64_t seen_bytes; /* of live blocks, by themselves */
};

struct live_walk {
	const struct weights *weights;
	struct tally *tally;
};

static int add_live_variance(const struct heap_block *block, void *arg)
{
	const struct live_walk *w = arg;
	struct variance variance = weights_variance(w->weights, block);

	w->tally->live_variance.objects += variance.objects;
	w->tally->live_variance.bytes += variance.bytes;
	return 0;
}

/* Only sampled blocks have any. */
static void tally_variance(const struct image *image, struct tally *t)
{
	struct live_walk walk = {.weights = image->weights, .tally = t};
	const struct site *site;
	uint64_t sampled = 0;

	for (site = image->sites; site; site = site->next) {
		t->alloc_variance.objects += site->alloc_variance.objects;
		t->alloc_variance.bytes += site->alloc_variance.bytes;
		sampled += site->sampled_samples;
		if (site->heaviest > t->heaviest)
			t->heaviest = site->heaviest;
	}
	if (sampled)
		(void)heap_walk(image->heap, add_live_variance, &walk);
}

static void tally_image(const struct image *image, struct tally *t, struct report_balance *b)
{
	int64_t unseen = image->released < 0 ? -image->released : 0;
	int64_t samples_unseen = image->samples.released < 0 ? -image->samples.released : 0;

	/* Of a free that nobody saw the allocation of, there was one. */
	t->allocs += image->allocs + image->marks + unseen;
	t->frees += image->frees;
	t->released += image->released + unseen;
	t->resync += image->frees_by_resync;
	t->missed += image->missed_frees;
	t->taken_back += image->taken_back;
	t->live += image->live;
	t->samples += image->samples.allocs + image->samples.marks + samples_unseen;
	t->seen_bytes += heap_live_bytes(image->heap);
	b->live_samples += heap_nr_live(image->heap);
	b->live_bytes += image->live_bytes;
	b->allocated_bytes += image->alloc_bytes;
	tally_variance(image, t);
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

/*
 * A block that was not taken may have been a small one, which stood for more than those that were taken; so if there
 * is none, what it would be is made of the mean size.
 */
static void balance_intervals(const struct profile *p, const struct tally *t,
			      struct report_balance *b)
{
	double unseen = summary_unseen_bytes(p), objects = (double)t->heaviest;

	if (unseen > 0)
		objects = larger(objects, b->allocated_bytes ? unseen * (double)b->allocs /
								       (double)b->allocated_bytes
							     : 1);
	b->allocs_ci = summary_interval(b->allocs, t->alloc_variance.objects, objects, b->samples);
	b->live_ci = summary_interval(b->live, t->live_variance.objects, objects, b->live_samples);
	b->live_bytes_ci =
		summary_interval(b->live_bytes, t->live_variance.bytes, unseen, t->seen_bytes);
	b->allocated_bytes_ci =
		summary_interval(b->allocated_bytes, t->alloc_variance.bytes, unseen, 0);
}

/*
 * Frees are counted exactly, whatever they free; those of blocks that were not sampled look like those of blocks that
 * are older than the attach. What is more than the estimate and its error is known to be of the latter.
 */
static void balance_unknown(const struct target *target, bool sampled, struct report_balance *b)
{
	double frees =
		(double)target->counter[STAT_FREES] + (double)target->counter[STAT_FREES_UNKNOWN];
	double more = frees - (double)b->frees - (double)(b->allocs_ci.high - b->allocs);

	b->frees_unknown = target->counter[STAT_FREES_UNKNOWN];
	if (!sampled)
		return;
	b->frees_unknown = summary_whole(more);
	b->frees_unknown_hidden = !b->frees_unknown;
}

/* Captures of before these were counted have calls of which none is. */
static void balance_exact(const struct target *target, struct report_balance *b)
{
	b->exact_calls = target->counter[STAT_CALLS];
	b->exact_bytes = target->counter[STAT_CALL_BYTES];
	b->exact_known = b->exact_calls || !b->allocs;
}

static void tally_add(struct tally *sum, const struct tally *t)
{
	sum->alloc_variance.objects += t->alloc_variance.objects;
	sum->alloc_variance.bytes += t->alloc_variance.bytes;
	sum->live_variance.objects += t->live_variance.objects;
	sum->live_variance.bytes += t->live_variance.bytes;
	sum->seen_bytes += t->seen_bytes;
	if (t->heaviest > sum->heaviest)
		sum->heaviest = t->heaviest;
}

static void balance_of(const struct profile *p, const struct target *target,
		       struct report_balance *b, struct tally *sum)
{
	bool sampled = summary_unseen_bytes(p) > 0;
	struct tally t = {.samples = 0};
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
	b->live = non_negative(t.live);
	b->released = non_negative(t.released);
	b->samples = non_negative(t.samples);
	b->frees_by_resync = non_negative(t.resync);
	b->missed_frees = non_negative(t.missed);
	b->failed_allocs = target->counter[STAT_FAILED_ALLOCS];
	b->lost_events = target->counter[STAT_LOST_EVENTS];
	b->resyncs = p->resyncs;
	add_unseen_pairs(p, target, sampled, b);
	balance_intervals(p, &t, b);
	balance_unknown(target, sampled, b);
	balance_exact(target, b);
	tally_add(sum, &t);
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
	sum->samples += b->samples;
	sum->live_samples += b->live_samples;
	sum->exact_known &= b->exact_known;
	sum->exact_calls += b->exact_calls;
	sum->exact_bytes += b->exact_bytes;
}

int summary_targets(const struct profile *p, struct report *out)
{
	struct report_target *target;
	struct tally sum = {.samples = 0};
	bool hidden = false;
	size_t i;

	out->balance.exact_known = true;
	out->target = calloc(p->nr_targets + 1, sizeof(*out->target));
	if (!out->target)
		return -ENOMEM;
	for (i = 0; i < p->nr_targets; i++) {
		target = &out->target[out->nr_targets++];
		target->tgid = p->target[i]->tgid;
		target->comm = p->target[i]->comm;
		target->exe = p->target[i]->exe;
		target->exited = p->target[i]->newest && p->target[i]->newest->exited;
		balance_of(p, p->target[i], &target->balance, &sum);
		balance_add(&out->balance, &target->balance);
		hidden |= target->balance.frees_unknown_hidden;
		out->minor_total += p->target[i]->counter[STAT_MINOR_FAULTS];
		out->major_total += p->target[i]->counter[STAT_MAJOR_FAULTS];
	}
	out->balance.resyncs = p->resyncs;
	out->balance.frees_unknown_hidden = hidden && !out->balance.frees_unknown;
	balance_intervals(p, &sum, &out->balance);
	return 0;
}
