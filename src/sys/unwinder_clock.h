/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clock of the unwinder's thread. */
#ifndef SEEP_SYS_UNWINDER_CLOCK_H
#define SEEP_SYS_UNWINDER_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_S 1000000000u

static inline uint64_t clock_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* there is no machine without it */
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline struct timespec clock_time_of(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / CLOCK_NS_PER_S),
				 .tv_nsec = (long)(ns % CLOCK_NS_PER_S)};
}

#endif
