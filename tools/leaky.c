/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small server that leaks, to try seep on: `make demo`.
 *
 * It answers "GET key" on a loopback port, and is its own client. What its heap does:
 *
 *	session_copy_headers()	leaks 1,021 bytes for each session, 100 sessions a second
 *	cache_fill()		a cache of 251 responses that is always full: each request puts one in and one out
 *	catalog_load()		a table that is loaded once, some seconds after the start, and kept
 *	request_read()		a buffer for each request, freed at its end
 *
 * Prints one line when it is ready. SIGTERM or SIGINT ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NR_WORKERS 3
#define SESSIONS_PER_S 100
#define REQUESTS_PER_SESSION 4
#define HEADER_BYTES 1021
#define REQUEST_BYTES 769
#define CACHE_ENTRIES 251
#define CATALOG_ITEMS 499
#define CATALOG_ITEM_BYTES 607
#define CATALOG_DELAY_S 3

/* Keeps a function a function of its own, so that the report names it. */
#define OWN_FRAME __attribute__((noinline, noclone))

struct session {
	char *headers; /* owned */
	unsigned int nr_requests;
};

struct response {
	unsigned long key;
	unsigned long used; /* tick of its last use */
	size_t nr_bytes;
	char *body; /* owned; NULL: entry not used yet */
};

struct server {
	int listen_fd;
	struct sockaddr_in addr;
	pthread_mutex_t cache_lock; /* of all below but the catalog, which has one owner */
	struct response cache[CACHE_ENTRIES];
	unsigned long tick;
	char *catalog[CATALOG_ITEMS];
};

static void die(const char *what)
{
	fprintf(stderr, "leaky: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *must_malloc(size_t nr_bytes)
{
	void *block = malloc(nr_bytes);

	if (!block)
		die("out of memory");
	return block;
}

/* --- sessions: here is the leak --------------------------------------------------------------- */

static OWN_FRAME char *session_copy_headers(const char *headers)
{
	char *copy = malloc(HEADER_BYTES); /* never freed */

	if (!copy)
		die("out of memory");
	snprintf(copy, HEADER_BYTES, "%s", headers);
	return copy;
}

static OWN_FRAME struct session *session_open(const char *headers)
{
	struct session *session = must_malloc(sizeof(*session));

	session->headers = session_copy_headers(headers);
	session->nr_requests = 0;
	return session;
}

static OWN_FRAME void session_close(struct session *session)
{
	/* The bug: free(session->headers) is missing. */
	free(session);
}

/* --- cache: always full, never grows ---------------------------------------------------------- */

static struct response *cache_find(struct server *server, unsigned long key)
{
	for (size_t i = 0; i < CACHE_ENTRIES; i++)
		if (server->cache[i].body && server->cache[i].key == key)
			return &server->cache[i];
	return NULL;
}

static struct response *cache_oldest(struct server *server)
{
	struct response *oldest = &server->cache[0];

	for (size_t i = 1; i < CACHE_ENTRIES; i++)
		if (server->cache[i].used < oldest->used)
			oldest = &server->cache[i];
	return oldest;
}

static OWN_FRAME void cache_fill(struct response *entry, unsigned long key)
{
	free(entry->body);
	entry->key = key;
	entry->nr_bytes = 2003 + key % 4001;
	entry->body = must_malloc(entry->nr_bytes);
	memset(entry->body, 'a' + (int)(key % 26), entry->nr_bytes - 1);
	entry->body[entry->nr_bytes - 1] = '\n';
}

/* Copies the first bytes of the response of a key; returns how many. */
static OWN_FRAME size_t cache_get(struct server *server, unsigned long key, char *out, size_t size)
{
	struct response *entry;
	size_t nr;

	pthread_mutex_lock(&server->cache_lock);
	entry = cache_find(server, key);
	if (!entry) {
		entry = cache_oldest(server);
		cache_fill(entry, key);
	}
	entry->used = ++server->tick;
	nr = entry->nr_bytes < size ? entry->nr_bytes : size;
	memcpy(out, entry->body, nr);
	pthread_mutex_unlock(&server->cache_lock);
	return nr;
}

/* --- catalog: loaded once in the background, so that the server can answer sooner --------------- */

static OWN_FRAME void *catalog_load(void *arg)
{
	struct server *server = arg;

	sleep(CATALOG_DELAY_S);
	for (size_t i = 0; i < CATALOG_ITEMS; i++) {
		server->catalog[i] = must_malloc(CATALOG_ITEM_BYTES);
		snprintf(server->catalog[i], CATALOG_ITEM_BYTES, "item %zu", i);
	}
	return NULL;
}

/* --- requests --------------------------------------------------------------------------------- */

/* The next request of a connection, NULL at its end; the caller frees. */
static OWN_FRAME char *request_read(int fd)
{
	char *text = must_malloc(REQUEST_BYTES);
	size_t nr = 0;
	ssize_t got;

	while (nr < REQUEST_BYTES - 1) {
		got = recv(fd, text + nr, REQUEST_BYTES - 1 - nr, 0);
		if (got <= 0)
			break;
		nr += (size_t)got;
		if (text[nr - 1] != '\n')
			continue;
		text[nr] = '\0';
		return text;
	}
	free(text);
	return NULL;
}

static OWN_FRAME bool request_handle(struct server *server, int fd)
{
	char reply[512], *text = request_read(fd);
	size_t nr;
	bool sent;

	if (!text)
		return false;
	nr = cache_get(server, strtoul(text + strlen("GET "), NULL, 10), reply, sizeof(reply));
	sent = send(fd, reply, nr, MSG_NOSIGNAL) == (ssize_t)nr;
	free(text);
	return sent;
}

static OWN_FRAME void connection_serve(struct server *server, int fd)
{
	struct session *session = session_open("host: localhost\nuser-agent: leaky\n");

	while (request_handle(server, fd))
		session->nr_requests++;
	session_close(session);
}

static OWN_FRAME void *worker_main(void *arg)
{
	struct server *server = arg;

	for (;;) {
		int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		connection_serve(server, fd);
		close(fd);
	}
	return NULL;
}

/* --- the load --------------------------------------------------------------------------------- */

static void client_ask(int fd, unsigned long key)
{
	char text[64];
	int nr = snprintf(text, sizeof(text), "GET %lu\n", key);

	/* Every body is longer than what the server sends of it. */
	if (send(fd, text, (size_t)nr, MSG_NOSIGNAL) != nr ||
	    recv(fd, (char[512]){0}, 512, MSG_WAITALL) != 512)
		die("client");
}

static void *client_main(void *arg)
{
	struct server *server = arg;
	unsigned long key = 0;
	struct timespec next;
	int fd;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (;;) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0 || connect(fd, (struct sockaddr *)&server->addr, sizeof(server->addr)))
			die("connect");
		for (int i = 0; i < REQUESTS_PER_SESSION; i++)
			client_ask(fd, ++key);
		close(fd);
		next.tv_nsec += 1000000000 / SESSIONS_PER_S;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	return NULL;
}

/* --- start and end ---------------------------------------------------------------------------- */

static void server_listen(struct server *server)
{
	socklen_t size = sizeof(server->addr);

	server->addr.sin_family = AF_INET;
	server->addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server->listen_fd < 0 ||
	    bind(server->listen_fd, (struct sockaddr *)&server->addr, size) ||
	    listen(server->listen_fd, 64) ||
	    getsockname(server->listen_fd, (struct sockaddr *)&server->addr, &size))
		die("listen");
}

static void start_thread(void *(*run)(void *arg), struct server *server)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, run, server);
	if (errno)
		die("pthread_create");
	pthread_detach(thread);
}

int main(void)
{
	static struct server server = {.cache_lock = PTHREAD_MUTEX_INITIALIZER};
	sigset_t ends;
	int signal;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);

	server_listen(&server);
	for (int i = 0; i < NR_WORKERS; i++)
		start_thread(worker_main, &server);
	start_thread(client_main, &server);
	start_thread(catalog_load, &server);
	printf("leaky: ready, pid %d, port %d\n", (int)getpid(), ntohs(server.addr.sin_port));
	fflush(stdout);

	sigwait(&ends, &signal);
	return 0;
}
