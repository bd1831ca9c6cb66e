/* SPDX-License-Identifier: GPL-2.0-or-later */
/* File descriptors: whole writes, whole reads, and closing that keeps errno. */
#ifndef SEEP_BASE_FD_H
#define SEEP_BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

int fd_write_all(int fd, const void *data, size_t nr); /* 0 or negative errno */
ssize_t fd_read_all(int fd, void *data,
		    size_t nr); /* bytes read, short only at the end, or negative errno */
int fd_read_file(const char *path, char **text, size_t *nr,
		 size_t max); /* NUL-terminated; caller frees; -EFBIG beyond max */
void fd_close(int *fd);	      /* closes if >= 0, sets -1, keeps errno */

#endif
