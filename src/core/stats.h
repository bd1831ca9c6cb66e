/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time series of a level (bytes live at a site) in bounded memory, its slope and whether it flattens.
 *
 * The series keeps at most SERIES_POINTS points at equal strides of ticks; when full, every second one is dropped and the
 * stride doubles: the whole window stays covered.
 *
 * Slope: the window is cut into k = min(nr points - 1, 12) equal segments; the level at a segment is the mean of its
 * points; the k - 1 differences over time are treated as independent. Their mean is the growth; the interval is
 * Student's t at 95 % with k - 2 degrees of freedom. A steady level that fluctuates has differences of both signs, so
 * its interval contains zero; a step at one moment does too.
 */
#ifndef SEEP_CORE_STATS_H
#define SEEP_CORE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIES_POINTS 48

/* Zeroed is empty. Times are those of the ticks, in s from the window's start, rising. */
struct series {
	float time_s[SERIES_POINTS];
	double level[SERIES_POINTS];
	uint32_t nr;
	uint32_t stride; /* ticks between kept points; 0 as 1 */
	uint32_t skipped;
};

void series_add(struct series *series, double time_s, double level);

struct trend {
	double per_s;	    /* growth of the level */
	double ci[2];	    /* 95 %; -inf..inf when there are fewer than 4 segments */
	double first_third; /* growth in the first third of the window, per s */
	double last_third;
	double rising_share; /* of the segment steps, those that go up */
	bool usable;	     /* at least 4 segments */
};

void series_trend(const struct series *series, struct trend *out);

/* Two-sided 95 % quantile of Student's t. */
double stats_t95(unsigned int degrees);

#endif
