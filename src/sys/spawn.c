// SPDX-License-Identifier: GPL-2.0-or-later
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"

static int executable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || access(path, X_OK))
		return -EACCES;
	return 0;
}

int spawn_find(const char *name, char *path, size_t size)
{
	const char *dir = getenv("PATH"), *end;
	int err, result = -ENOENT;

	if (strchr(name, '/')) {
		if ((size_t)snprintf(path, size, "%s", name) >= size)
			return -ENAMETOOLONG;
		return executable(path);
	}
	if (!dir)
		dir = "/usr/bin:/bin";
	for (;; dir = end + 1) {
		end = strchrnul(dir, ':');
		if ((size_t)snprintf(path, size, "%.*s%s%s", (int)(end - dir), dir,
				     end > dir ? "/" : "", name) < size) {
			err = executable(path);
			if (!err)
				return 0;
			if (err == -EACCES)
				result = err;
		}
		if (!*end)
			return result;
	}
}

static void child_run(const char *path, char **argv, int go, int result)
{
	sigset_t none;
	char byte;
	int err;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(go, &byte, 1) != 1)
		_exit(127);
	(void)prctl(PR_SET_PDEATHSIG, 0);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	execv(path, argv);
	err = errno;
	(void)fd_write_all(result, &err, sizeof(err));
	_exit(127);
}

int spawn_start(const char *path, char **argv, struct spawn *out)
{
	int go[2], result[2];
	pid_t pid;

	if (pipe2(go, O_CLOEXEC))
		return -errno;
	if (pipe2(result, O_CLOEXEC)) {
		fd_close(&go[0]);
		fd_close(&go[1]);
		return -errno;
	}
	pid = fork();
	if (!pid) {
		fd_close(&go[1]);
		fd_close(&result[0]);
		child_run(path, argv, go[0], result[1]);
	}
	fd_close(&go[0]);
	fd_close(&result[1]);
	*out = (struct spawn){.pid = pid, .go = go[1], .result = result[0]};
	if (pid < 0) {
		fd_close(&out->go);
		fd_close(&out->result);
		return -EAGAIN;
	}
	return 0;
}

int spawn_release(struct spawn *s)
{
	int err = fd_write_all(s->go, "g", 1), child = 0;

	fd_close(&s->go);
	if (!err && fd_read_all(s->result, &child, sizeof(child)) == (ssize_t)sizeof(child))
		err = -child;
	fd_close(&s->result);
	return err;
}

void spawn_cancel(struct spawn *s)
{
	if (s->pid <= 0 || s->go < 0)
		return;
	fd_close(&s->go);
	fd_close(&s->result);
	(void)waitpid(s->pid, NULL, 0);
	s->pid = 0;
}
