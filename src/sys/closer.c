/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "closer.h"

#include <pthread.h>
#include <stdint.h>

#include "fd.h"

#define MAX_THREADS 16

struct share {
	int *fd;
	size_t nr, next; /* next: atomic */
};

static void *close_some(void *arg)
{
	struct share *share = arg;
	size_t i;

	while ((i = __atomic_fetch_add(&share->next, 1, __ATOMIC_RELAXED)) < share->nr)
		fd_close(&share->fd[i]);
	return NULL;
}

void closer_close(int *fd, size_t nr)
{
	struct share share = {.fd = fd, .nr = nr};
	pthread_t thread[MAX_THREADS];
	size_t nr_threads = 0;

	while (nr_threads + 1 < nr && nr_threads < MAX_THREADS &&
	       !pthread_create(&thread[nr_threads], NULL, close_some, &share))
		nr_threads++;
	(void)close_some(&share); /* what no thread has taken, if there are none at all */
	while (nr_threads)
		(void)pthread_join(thread[--nr_threads], NULL);
}
