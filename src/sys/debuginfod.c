/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "debuginfod.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"

#define LIBRARY "libdebuginfod.so.1"
#define URLS "DEBUGINFOD_URLS"
#define MAX_BUILD_ID_HEX 128

/* What is used of <elfutils/debuginfod.h>, which need not be installed to build this. */
struct client;
typedef int progress_function(struct client *client, long done, long total);

struct debuginfod {
	void *library;
	struct client *client;
	void (*end)(struct client *client);
	/* build_id_bytes 0: build_id is text in hex. A descriptor or a negative errno. */
	int (*find_debuginfo)(struct client *client, const unsigned char *build_id,
			      int build_id_bytes, char **path);
	bool is_opened; /* or could not be */
	bool is_given_up;
	atomic_bool is_cancelled;
	/* of the file under way */
	long done;
	double began_s, moved_s;
};

/* The library's callback is given nothing of ours. */
static _Thread_local struct debuginfod *under_way;

static double now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* done counts bytes, but before the first of them the calls, about one a second. Not 0: give up. */
static int watch_progress(struct client *client, long done, long total)
{
	struct debuginfod *server = under_way;
	double now = now_s();

	(void)client;
	(void)total;
	if (done > server->done + 1)
		server->moved_s = now;
	server->done = done;
	return atomic_load(&server->is_cancelled) || now - server->moved_s > DEBUGINFOD_STALL_S ||
	       now - server->began_s > DEBUGINFOD_FILE_S;
}

static const char *open_library(struct debuginfod *server)
{
	struct client *(*begin)(void);
	void (*set_progress)(struct client * client, progress_function * progress);
	const char *urls = getenv(URLS);

	if (!urls || !urls[strspn(urls, " ")])
		return URLS " is not set";
	server->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!server->library)
		return "there is no " LIBRARY " (Debian: libdebuginfod1, Fedora: "
		       "elfutils-debuginfod-client)";
	begin = dlsym(server->library, "debuginfod_begin");
	set_progress = dlsym(server->library, "debuginfod_set_progressfn");
	server->end = dlsym(server->library, "debuginfod_end");
	server->find_debuginfo = dlsym(server->library, "debuginfod_find_debuginfo");
	if (!begin || !set_progress || !server->end || !server->find_debuginfo)
		return LIBRARY " is not as expected";
	server->client = begin();
	if (!server->client)
		return LIBRARY " does not start";
	set_progress(server->client, watch_progress);
	return NULL;
}

static void give_up(struct debuginfod *server, const char *why)
{
	server->is_given_up = true;
	log_warn("debug files cannot be fetched: %s", why);
}

int debuginfod_new(struct debuginfod **out)
{
	struct debuginfod *server = calloc(1, sizeof(*server));

	if (!server)
		return -ENOMEM;
	*out = server;
	return 0;
}

void debuginfod_free(struct debuginfod *server)
{
	if (!server)
		return;
	if (server->client)
		server->end(server->client);
	if (server->library)
		(void)dlclose(server->library);
	free(server);
}

void debuginfod_cancel(struct debuginfod *server)
{
	atomic_store(&server->is_cancelled, true);
}

static bool is_ready(struct debuginfod *server)
{
	const char *why;

	if (!server->is_opened) {
		server->is_opened = true;
		why = open_library(server);
		if (why)
			give_up(server, why);
	}
	return !server->is_given_up && !atomic_load(&server->is_cancelled);
}

static int fetch(struct debuginfod *server, const char *build_id)
{
	char *path = NULL;
	int fd;

	server->done = 0;
	server->began_s = server->moved_s = now_s();
	under_way = server;
	fd = server->find_debuginfo(server->client, (const unsigned char *)build_id, 0, &path);
	under_way = NULL;
	free(path);
	return fd;
}

int debuginfod_fetch(struct debuginfod *server, const char *build_id)
{
	int fd;

	if (strlen(build_id) > MAX_BUILD_ID_HEX || !is_ready(server))
		return -ENOENT;
	fd = fetch(server, build_id);
	if (fd >= 0 || fd == -ENOENT)
		return fd;
	if (atomic_load(&server->is_cancelled))
		return -ECANCELED;
	give_up(server, fd == -EINTR ? "the server takes too long" : strerror(-fd));
	return fd;
}
