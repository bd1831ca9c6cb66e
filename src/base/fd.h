/* SPDX-License-Identifier: GPL-2.0-or-later */
/* File descriptors: whole writes, whole reads, and closing that keeps errno. */
#ifndef SEEP_BASE_FD_H
#define SEEP_BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

/* All of data: interruptions are retried, a non-blocking fd is waited for. 0 or negative errno. */
int fd_write_all(int fd, const void *data, size_t nr);
/* Likewise. Bytes read, fewer than nr only at the end of the file; or negative errno. */
ssize_t fd_read_all(int fd, void *data, size_t nr);
/*
 * A whole file, also one of /proc that does not know its size, with a NUL behind it. The caller
 * frees *text; nr may be NULL. 0 or negative errno, -EFBIG if there are more than max bytes.
 */
int fd_read_file(const char *path, char **text, size_t *nr, size_t max);
/* Closes if *fd >= 0, sets it to -1, keeps errno. */
void fd_close(int *fd);

#endif
