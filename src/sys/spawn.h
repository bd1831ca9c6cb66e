/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starting a command that waits until its probes are in place. */
#ifndef SEEP_SYS_SPAWN_H
#define SEEP_SYS_SPAWN_H

#include <sys/types.h>

struct spawn {
	pid_t pid;
	int go;	    /* write end: the child runs when this is written to */
	int result; /* read end: errno of a failed exec; closed by a successful one */
};

/* Finds a program as execvp() would. 0, -ENOENT, -EACCES, -ENAMETOOLONG. */
int spawn_find(const char *name, char *path, size_t size);

/* Forks; the child waits. It dies with us as long as it waits. */
int spawn_start(const char *path, char **argv, struct spawn *out);
/* Lets it run: 0, or the negative errno of its exec. */
int spawn_release(struct spawn *spawn);
/* Ends a child that still waits, and forgets it. */
void spawn_cancel(struct spawn *spawn);

#endif
