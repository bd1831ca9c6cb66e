/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cputime.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

static uint64_t to_ns(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * UINT64_C(1000000000) + (uint64_t)time->tv_nsec;
}

int cputime_of(pid_t tgid, uint64_t *ns)
{
	struct timespec time;
	clockid_t clock;

	if (tgid <= 0 || clock_getcpuclockid(tgid, &clock) || clock_gettime(clock, &time))
		return -ESRCH;
	*ns = to_ns(&time);
	return 0;
}

uint64_t cputime_own(void)
{
	struct timespec time = {0};

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time); /* cannot fail */
	return to_ns(&time);
}

uint64_t cputime_machine(uint64_t wall_ns)
{
	long nr = sysconf(_SC_NPROCESSORS_ONLN);

	return wall_ns * (nr > 0 ? (uint64_t)nr : 1);
}

int cputimes_since(struct cputimes *times, const pid_t *tgid, size_t nr, uint64_t new_ns,
		   uint64_t *ns)
{
	struct map64 now = {0};
	uint64_t sum = 0, used, before;
	size_t i;

	for (i = 0; i < nr; i++) {
		if (cputime_of(tgid[i], &used))
			continue;
		if (!map64_get(&times->last, (uint64_t)tgid[i], &before))
			sum += used < new_ns ? used : new_ns;
		else if (used > before)
			sum += used - before;
		if (map64_put(&now, (uint64_t)tgid[i], used)) {
			map64_release(&now);
			return -ENOMEM;
		}
	}
	map64_release(&times->last);
	times->last = now;
	*ns = sum;
	return 0;
}

void cputimes_release(struct cputimes *times)
{
	map64_release(&times->last);
}
