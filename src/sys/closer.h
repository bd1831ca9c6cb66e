/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Closing links and perf events: for each of them the kernel waits until no program runs any more, some 20 to 100 ms.
 * Those waits may well be at the same time.
 */
#ifndef SEEP_SYS_CLOSER_H
#define SEEP_SYS_CLOSER_H

#include <stddef.h>

/* Closes all of them, in threads of their own where there are several, and returns when that is done. fd: each -1 then. */
void closer_close(int *fd, size_t nr);

#endif
