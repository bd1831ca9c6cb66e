// SPDX-License-Identifier: GPL-2.0-or-later
#include "windows.h"

#include <math.h>
#include <string.h>

#define KEPT_LEAST 0.1

unsigned int windows_nr_bins(const struct windows *w)
{
	return (w->nr + (1u << w->shift) - 1) >> w->shift;
}

bool windows_is_full(const struct windows *w)
{
	return w->nr >> w->shift == WINDOWS_BINS;
}

void windows_merge(struct windows *w)
{
	unsigned int i;

	for (i = 0; i < WINDOWS_BINS / 2; i++) {
		w->bin[i].start_ns = w->bin[2 * i].start_ns;
		w->bin[i].watched_ns = w->bin[2 * i].watched_ns + w->bin[2 * i + 1].watched_ns;
		w->bin[i].blocks = w->bin[2 * i].blocks + w->bin[2 * i + 1].blocks;
	}
	memset(&w->bin[i], 0, WINDOWS_BINS / 2 * sizeof(w->bin[0]));
	w->shift++;
}

static void sum_add(struct left_sum *sum, const struct left_sum *other)
{
	sum->samples += other->samples;
	sum->objects += other->objects;
	sum->bytes += other->bytes;
}

static void sum_subtract(struct left_sum *sum, const struct left_sum *other)
{
	sum->samples -= other->samples;
	sum->objects -= other->objects;
	sum->bytes -= other->bytes;
}

void left_merge(struct left *left)
{
	unsigned int i;

	for (i = 0; i < WINDOWS_BINS / 2; i++) {
		left->bin[i] = left->bin[2 * i];
		sum_add(&left->bin[i].left, &left->bin[2 * i + 1].left);
		sum_add(&left->bin[i].gone, &left->bin[2 * i + 1].gone);
		left->bin[i].windows += left->bin[2 * i + 1].windows;
	}
	memset(&left->bin[i], 0, WINDOWS_BINS / 2 * sizeof(left->bin[0]));
}

void windows_add(struct windows *w, uint64_t start_ns, uint64_t end_ns)
{
	unsigned int bin = w->nr >> w->shift;

	if (!(w->nr & ((1u << w->shift) - 1)))
		w->bin[bin].start_ns = start_ns;
	w->bin[bin].watched_ns += end_ns > start_ns ? end_ns - start_ns : 0;
	w->end_ns = end_ns;
	w->nr++;
}

unsigned int windows_excess(const struct windows *w)
{
	unsigned int nr = windows_nr_bins(w), i;
	uint64_t blocks = 0;

	for (i = 0; i < nr; i++)
		blocks += w->bin[i].blocks;
	if (blocks <= WINDOWS_MAX_BLOCKS)
		return 0;
	for (i = 0; i < nr && blocks > WINDOWS_MAX_BLOCKS / 2; i++)
		blocks -= w->bin[i].blocks;
	return i;
}

void windows_drop(struct windows *w, unsigned int nr)
{
	unsigned int bins = windows_nr_bins(w), i;
	uint32_t windows = (uint32_t)nr << w->shift;

	for (i = 0; i < nr; i++)
		w->given_up += w->bin[i].blocks;
	w->since_ns = nr < bins ? w->bin[nr].start_ns : w->end_ns;
	memmove(w->bin, w->bin + nr, (WINDOWS_BINS - nr) * sizeof(w->bin[0]));
	memset(w->bin + WINDOWS_BINS - nr, 0, nr * sizeof(w->bin[0]));
	w->nr -= windows < w->nr ? windows : w->nr;
	if (!w->nr)
		w->shift = 0;
}

void left_drop(struct left *left, unsigned int nr)
{
	memmove(left->bin, left->bin + nr, (WINDOWS_BINS - nr) * sizeof(left->bin[0]));
	memset(left->bin + WINDOWS_BINS - nr, 0, nr * sizeof(left->bin[0]));
}

void left_add(struct windows *w, struct left *left, const struct left_sum *sum)
{
	unsigned int bin = windows_nr_bins(w) - 1;

	sum_add(&left->bin[bin].left, sum);
	left->bin[bin].windows++;
	w->bin[bin].blocks += sum->samples;
}

/* The bin of a block; WINDOWS_BINS: none. */
static unsigned int bin_of(const struct windows *w, uint64_t birth_ns)
{
	unsigned int nr = windows_nr_bins(w);

	if (birth_ns < w->since_ns)
		return WINDOWS_BINS;
	while (nr && birth_ns < w->bin[nr - 1].start_ns)
		nr--;
	return nr ? nr - 1 : WINDOWS_BINS;
}

bool left_correct(struct windows *w, struct left *left, uint64_t birth_ns, struct weight weight,
		  int sign)
{
	struct left_sum one = {.samples = 1, .objects = weight.objects, .bytes = weight.bytes};
	unsigned int bin = bin_of(w, birth_ns);

	if (bin == WINDOWS_BINS)
		return false;
	if (sign > 0) {
		sum_add(&left->bin[bin].left, &one);
		w->bin[bin].blocks++;
		return true;
	}
	if (left->bin[bin].left.samples <= left->bin[bin].gone.samples)
		return false;
	sum_subtract(&left->bin[bin].left, &one);
	w->bin[bin].blocks--;
	return true;
}

bool left_gone(struct windows *w, struct left *left, uint64_t birth_ns, struct weight weight)
{
	struct left_sum one = {.samples = 1, .objects = weight.objects, .bytes = weight.bytes};
	unsigned int bin = bin_of(w, birth_ns);

	/* More cannot go than there were: what a forgery has more, or whose allocation was lost. */
	if (bin == WINDOWS_BINS || left->bin[bin].left.samples <= left->bin[bin].gone.samples)
		return false;
	sum_add(&left->bin[bin].gone, &one);
	w->bin[bin].blocks--;
	return true;
}

void left_end(struct windows *w, const struct left *left)
{
	uint64_t blocks;
	unsigned int i;

	for (i = 0; i < WINDOWS_BINS; i++) {
		blocks = left->bin[i].left.samples - left->bin[i].gone.samples;
		w->bin[i].blocks -= blocks;
		w->dead += blocks;
	}
}

void left_add_left(struct left *sum, const struct left *other)
{
	unsigned int i;

	for (i = 0; i < WINDOWS_BINS; i++) {
		sum_add(&sum->bin[i].left, &other->bin[i].left);
		sum_add(&sum->bin[i].gone, &other->bin[i].gone);
		if (other->bin[i].windows > sum->bin[i].windows)
			sum->bin[i].windows = other->bin[i].windows;
	}
}

struct left_sum left_total(const struct left *left)
{
	struct left_sum sum = {0};
	unsigned int i;

	for (i = 0; i < WINDOWS_BINS; i++)
		sum_add(&sum, &left->bin[i].left);
	return sum;
}

struct left_sum left_remaining(const struct left *left)
{
	struct left_sum sum = left_total(left);
	unsigned int i;

	for (i = 0; i < WINDOWS_BINS; i++)
		sum_subtract(&sum, &left->bin[i].gone);
	return sum;
}

/* The share not seen gone of the samples from the bin on, until there were so many in all; 1 of none. */
static double share_kept(const struct left *left, unsigned int *bin, uint64_t *samples,
			 uint64_t until)
{
	uint64_t before = *samples, gone = 0;

	for (; *bin < WINDOWS_BINS && *samples < until; (*bin)++) {
		*samples += left->bin[*bin].left.samples;
		gone += left->bin[*bin].gone.samples;
	}
	return *samples > before ? 1 - (double)gone / (double)(*samples - before) : 1;
}

double left_kept(const struct left *left)
{
	uint64_t third = (left_total(left).samples + 2) / 3, samples = 0;
	unsigned int bin = 0;
	double oldest, middle, ratio, kept;

	if (!third)
		return 0;
	oldest = share_kept(left, &bin, &samples, third);
	middle = share_kept(left, &bin, &samples, 2 * third);
	ratio = oldest < middle ? oldest / middle : 1;
	kept = oldest * ratio * ratio * ratio;
	return kept > KEPT_LEAST ? kept : 0;
}

/* When the blocks of a bin were left: at the end of its window, or of several in the mean. */
static uint64_t left_ns(const struct windows *w, unsigned int bin, uint64_t end_ns)
{
	uint64_t start_ns = w->bin[bin].start_ns, next_ns = end_ns;

	if (!w->shift)
		return start_ns + w->bin[bin].watched_ns;
	if (bin + 1 < windows_nr_bins(w))
		next_ns = w->bin[bin + 1].start_ns;
	return next_ns > start_ns ? start_ns + (next_ns - start_ns) / 2 : start_ns;
}

double windows_expected(const struct windows *w, const struct left *left, uint64_t end_ns,
			uint64_t watching_ns)
{
	double watched_ns = (double)watching_ns, own_ns, sum = 0, wall_ns, share;
	uint64_t from_ns;
	unsigned int i;

	for (i = windows_nr_bins(w); i--;) {
		if (w->bin[i].start_ns >= end_ns)
			continue;
		from_ns = left_ns(w, i, end_ns);
		wall_ns = end_ns > from_ns ? (double)(end_ns - from_ns) : 0;
		own_ns = w->shift ? (double)w->bin[i].watched_ns / 2 : 0;
		share = wall_ns > 0 ? (watched_ns + own_ns) / wall_ns : 0;
		sum += fmin(share, 1) * (double)left->bin[i].left.samples;
		watched_ns += (double)w->bin[i].watched_ns;
	}
	return sum;
}

/* Of each bin that was watched; how many there are. */
static unsigned int rates_of(const struct windows *w, const struct left *left, double kept,
			     double rate[WINDOWS_BINS])
{
	unsigned int nr = 0, i;

	for (i = 0; i < windows_nr_bins(w); i++) {
		if (w->bin[i].watched_ns)
			rate[nr++] = kept * (double)left->bin[i].left.bytes * 1e9 /
				     (double)w->bin[i].watched_ns;
	}
	return nr;
}

static double mean_of(const double *value, unsigned int nr)
{
	double sum = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		sum += value[i];
	return sum / nr;
}

void windows_trend(const struct windows *w, const struct left *left, double kept, struct trend *out)
{
	double rate[WINDOWS_BINS], squares = 0, half;
	unsigned int nr = rates_of(w, left, kept, rate), third = (nr + 2) / 3, rising = 0, i;

	*out = (struct trend){.ci = {-INFINITY, INFINITY}};
	if (nr < WINDOWS_MIN_BINS)
		return;
	out->usable = true;
	out->per_s = mean_of(rate, nr);
	out->first_third = mean_of(rate, third);
	out->last_third = mean_of(rate + nr - third, third);
	for (i = 0; i < nr; i++) {
		rising += rate[i] > 0;
		squares += (rate[i] - out->per_s) * (rate[i] - out->per_s);
	}
	out->rising_share = (double)rising / nr;
	half = stats_t95(nr - 1) * sqrt(squares / (nr - 1) / nr);
	out->ci[0] = out->per_s - half;
	out->ci[1] = out->per_s + half;
}

uint32_t left_survivors(const struct left *left)
{
	uint32_t bins = 0;
	unsigned int i;

	for (i = 0; i < WINDOWS_BINS; i++) {
		if (left->bin[i].left.samples > left->bin[i].gone.samples)
			bins |= 1u << i;
	}
	return bins;
}

void net_merge(struct windows_net *net)
{
	unsigned int i;

	for (i = 0; i < WINDOWS_BINS / 2; i++)
		net->bin[i] = net->bin[2 * i] + net->bin[2 * i + 1];
	memset(&net->bin[i], 0, WINDOWS_BINS / 2 * sizeof(net->bin[0]));
}

void net_drop(struct windows_net *net, unsigned int nr)
{
	memmove(net->bin, net->bin + nr, (WINDOWS_BINS - nr) * sizeof(net->bin[0]));
	memset(net->bin + WINDOWS_BINS - nr, 0, nr * sizeof(net->bin[0]));
}

void net_add(const struct windows *w, struct windows_net *net, double counted)
{
	net->bin[windows_nr_bins(w) - 1] += counted - net->counted;
	net->counted = counted;
}

double net_gain(const struct windows *w, const struct windows_net *net, double *variance)
{
	unsigned int nr = windows_nr_bins(w), i;
	double all_s = 0, gain = 0, error;

	for (i = 0; i < nr; i++) {
		all_s += (double)w->bin[i].watched_ns;
		gain += net->bin[i];
	}
	*variance = 0;
	for (i = 0; i < nr && nr > 1 && all_s > 0; i++) {
		error = net->bin[i] - gain * (double)w->bin[i].watched_ns / all_s;
		*variance += error * error * nr / (nr - 1);
	}
	return gain;
}
