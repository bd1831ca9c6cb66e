/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stats.h"

#include <math.h>

#include "array.h"

#define MAX_SEGMENTS 12
#define MIN_SEGMENTS 4

_Static_assert(SERIES_POINTS % 2 == 0, "halving must leave the next tick one new stride away");

static void series_halve(struct series *series)
{
	for (uint32_t i = 0; i < SERIES_POINTS / 2; i++) {
		series->time_s[i] = series->time_s[2 * i];
		series->level[i] = series->level[2 * i];
	}
	series->nr = SERIES_POINTS / 2;
	series->stride *= 2;
}

void series_add(struct series *series, double time_s, double level)
{
	uint32_t nr = series->nr;

	if (nr && (float)time_s <= series->time_s[nr - 1])
		return;
	if (!series->stride)
		series->stride = 1;
	if (nr && series->skipped + 1 < series->stride) {
		series->skipped++;
		return;
	}
	/* the point dropped last was one old stride ago: the one before it, one new stride */
	if (nr == SERIES_POINTS)
		series_halve(series);
	series->time_s[series->nr] = (float)time_s;
	series->level[series->nr] = level;
	series->nr++;
	series->skipped = 0;
}

void series_add_series(struct series *sum, const struct series *other, bool ended)
{
	uint32_t next = 0;

	for (uint32_t i = 0; i < sum->nr; i++) {
		while (next < other->nr && other->time_s[next] <= sum->time_s[i])
			next++;
		if (!next)
			continue;
		if (ended && next == other->nr && other->time_s[next - 1] < sum->time_s[i])
			break;
		sum->level[i] += other->level[next - 1];
	}
}

struct segment {
	double time_s;
	double level;
};

static struct segment segment_mean(const struct series *series, uint32_t from, uint32_t to)
{
	struct segment mean = {0, 0};

	for (uint32_t i = from; i < to; i++) {
		mean.time_s += (double)series->time_s[i];
		mean.level += series->level[i];
	}
	mean.time_s /= to - from;
	mean.level /= to - from;
	return mean;
}

/* The growth per s from each segment to the next; returns how many there are. */
static uint32_t series_slopes(const struct series *series, double slope[MAX_SEGMENTS])
{
	uint32_t nr = series->nr, k = nr ? nr - 1 : 0;
	struct segment last, next;

	if (k > MAX_SEGMENTS)
		k = MAX_SEGMENTS;
	if (k < 2)
		return 0;
	last = segment_mean(series, 0, nr / k);
	for (uint32_t i = 1; i < k; i++) {
		next = segment_mean(series, i * nr / k, (i + 1) * nr / k);
		slope[i - 1] = (next.level - last.level) / (next.time_s - last.time_s);
		last = next;
	}
	return k - 1;
}

static double mean_of(const double *value, uint32_t nr)
{
	double sum = 0;

	for (uint32_t i = 0; i < nr; i++)
		sum += value[i];
	return sum / nr;
}

/* Half the width of the 95 % interval of the mean. */
static double confidence_of(const double *value, uint32_t nr, double mean)
{
	double squares = 0;

	for (uint32_t i = 0; i < nr; i++)
		squares += (value[i] - mean) * (value[i] - mean);
	return stats_t95(nr - 1) * sqrt(squares / (nr - 1) / nr);
}

void series_trend(const struct series *series, struct trend *out)
{
	double slope[MAX_SEGMENTS], width;
	uint32_t nr = series_slopes(series, slope);
	uint32_t third = nr < 3 ? 1 : (nr + 1) / 3;
	uint32_t rising = 0;

	*out = (struct trend){.ci = {-INFINITY, INFINITY}};
	if (!nr)
		return;
	for (uint32_t i = 0; i < nr; i++)
		rising += slope[i] > 0;
	out->per_s = mean_of(slope, nr);
	out->first_third = mean_of(slope, third);
	out->last_third = mean_of(slope + (nr - third), third);
	out->rising_share = (double)rising / nr;
	out->usable = nr + 1 >= MIN_SEGMENTS;
	if (!out->usable)
		return;
	width = confidence_of(slope, nr, out->per_s);
	out->ci[0] = out->per_s - width;
	out->ci[1] = out->per_s + width;
}

void series_trend_sampled(const struct series *series, struct trend *out)
{
	double wider = sqrt(1.5);

	series_trend(series, out);
	if (!out->usable)
		return;
	out->ci[0] = out->per_s - wider * (out->per_s - out->ci[0]);
	out->ci[1] = out->per_s + wider * (out->ci[1] - out->per_s);
}

double stats_t95(unsigned int degrees)
{
	static const double quantile[] = {
		INFINITY, 12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646,
		2.3060,	  2.2622,  2.2281, 2.2010, 2.1788, 2.1604, 2.1448, 2.1314,
	};
	const double z = 1.959964, n = degrees;

	if (degrees < ARRAY_SIZE(quantile))
		return quantile[degrees];
	/*
	 * Cornish and Fisher's expansion around the normal quantile: right to 4 digits from here on
	 */
	return z + (pow(z, 3) + z) / (4 * n) +
	       (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / (96 * n * n) +
	       (3 * pow(z, 7) + 19 * pow(z, 5) + 17 * pow(z, 3) - 15 * z) / (384 * n * n * n);
}
