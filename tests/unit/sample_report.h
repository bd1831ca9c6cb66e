/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reports made by hand, for the tests of the writers. Every feature that a writer has to show is in one of them, and
 * some names are as bad as strangers can make them. Counts are primes where nothing has to sum.
 */
#ifndef SEEP_TEST_SAMPLE_REPORT_H
#define SEEP_TEST_SAMPLE_REPORT_H

#include "report.h"

/* All static: valid until the next call of the same function; not to be released. */
const struct report *sample_leaks(void);    /* one target, every verdict */
const struct report *sample_interval(void); /* the same, in between */
const struct report *sample_nothing(void);  /* a report of an idle target */
const struct report *sample_several(void);  /* two targets, sampled, incomplete, with losses */
const struct report *sample_mixed(void);    /* many targets by comm, steps, windows */
const struct report *sample_faults(void);   /* one target */
const struct report *sample_faults_several(void); /* two, sampled */

#endif
