/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "array.h"

#define FD_FIRST_READ 4096

/* Whether a call that failed with errno is worth repeating; waits for a non-blocking fd. */
static int retry(int fd, short events)
{
	struct pollfd poller = {.fd = fd, .events = events};

	if (errno == EINTR)
		return 0;
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return -errno;
	if (poll(&poller, 1, -1) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

int fd_write_all(int fd, const void *data, size_t nr)
{
	const char *at = data;
	ssize_t done;
	int error;

	while (nr) {
		done = write(fd, at, nr);
		if (done < 0) {
			error = retry(fd, POLLOUT);
			if (error)
				return error;
			continue;
		}
		if (done == 0)
			return -EIO;
		at += done;
		nr -= (size_t)done;
	}
	return 0;
}

ssize_t fd_read_all(int fd, void *data, size_t nr)
{
	char *at = data;
	size_t total = 0;
	ssize_t done;
	int error;

	while (total < nr) {
		done = read(fd, at + total, nr - total);
		if (done < 0) {
			error = retry(fd, POLLIN);
			if (error)
				return error;
			continue;
		}
		if (done == 0)
			break;
		total += (size_t)done;
	}
	return (ssize_t)total;
}

static int read_to_end(int fd, char **text, size_t *nr, size_t max)
{
	size_t limit = max < SIZE_MAX - 1 ? max + 1 : SIZE_MAX - 1; /* one more tells: too big */
	size_t used = 0, cap = 0, room;
	char *read_text = NULL;
	ssize_t done;
	int error;

	do {
		error = ARRAY_GROW(&read_text, &cap, used + FD_FIRST_READ);
		if (error)
			goto out;
		room = cap - 1 - used;
		if (room > limit - used)
			room = limit - used;
		done = fd_read_all(fd, read_text + used, room);
		error = done < 0 ? (int)done : 0;
		if (error)
			goto out;
		used += (size_t)done;
		error = used > max ? -EFBIG : 0;
		if (error)
			goto out;
	} while ((size_t)done == room);
	read_text[used] = '\0';
	*text = read_text;
	if (nr)
		*nr = used;
	read_text = NULL;
out:
	free(read_text);
	return error;
}

int fd_read_file(const char *path, char **text, size_t *nr, size_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	error = read_to_end(fd, text, nr, max);
	fd_close(&fd);
	return error;
}

void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* closed in any case, also after EINTR */
	*fd = -1;
	errno = saved;
}
