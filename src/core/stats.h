/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time series of a level (bytes live at a site) in bounded memory, its slope and whether it
 * flattens.
 *
 * The series keeps at most SERIES_POINTS points at equal strides of ticks; when full, every second
 * one is dropped and the stride doubles: the whole window stays covered, its last part up to one
 * stride. Series that are fed the same ticks keep the same points, so their levels may be added up.
 *
 * Slope: the window is cut into k = min(nr points - 1, 12) segments of equally many points (to
 * within one); the level of a segment is the mean of its points, at the mean of their times; the
 * differences over time, k - 1 of them, are treated as independent. Their mean is the growth; the
 * interval is Student's t at 95 % with k - 2 degrees of freedom. A steady level that fluctuates has
 * differences of both signs, so its interval contains zero; a step at one moment does too, because
 * one difference against k - 2 zeros has a wide interval. The bounds of a perfectly steady level
 * are both exactly zero: what grows has ci[0] > 0.
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

/* A tick. Points whose time is not above that of the last one kept (as a float) are ignored. */
void series_add(struct series *series, double time_s, double level);

/*
 * Adds to each level of the sum the level that the other had at that time: its last one before, 0 before its first
 * point and, if it has ended, behind its last one.
 */
void series_add_series(struct series *sum, const struct series *other, bool ended);

struct trend {
	double per_s;	     /* growth of the level; 0 with fewer than 2 segments */
	double ci[2];	     /* 95 %; -inf..inf when there are fewer than 4 segments */
	double first_third;  /* growth per s in the first third of the differences, at least one */
	double last_third;   /* likewise in the last third */
	double rising_share; /* of the differences, those that go up */
	bool usable;	     /* at least 4 segments, that is 5 points */
};

void series_trend(const struct series *series, struct trend *out);
/*
 * The same for levels that are estimated from samples: each sample that comes or goes moves all later levels. Two
 * differences that follow each other share the samples of the segment between them, with a correlation of 1/4, so
 * that the variance of the mean is 1.5 times what independent ones would have.
 */
void series_trend_sampled(const struct series *series, struct trend *out);

/* Two-sided 95 % quantile of Student's t; infinite for 0 degrees. */
double stats_t95(unsigned int degrees);

#endif
