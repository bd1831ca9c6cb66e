/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "perfmap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "array.h"
#include "fd.h"
#include "proc.h"

#define CHUNK_BYTES ((size_t)1 << 20)
#define REFRESH_NS UINT64_C(1000000000)
/* A file that is written anew for ever is not read for ever. */
#define MAX_READ_BYTES (4 * PERFMAP_MAX_BYTES)

_Static_assert(sizeof(struct perfmap_entry) == PERFMAP_ENTRY_BYTES, "as the header says");

struct perfmap {
	struct rootdir *root;
	pid_t tgid; /* as the process itself knows it */
	uid_t uid;
	char path[64];
	int fd; /* -1: there was none yet */
	uint64_t read_bytes;
	uint64_t total_read_bytes;
	uint64_t read_ns;
	bool skips_line; /* what was read ends in a line that is too long */
	struct perfmap_table table;
};

struct line {
	uint64_t start, end;
	const char *name;
	size_t name_bytes;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* With the blank behind it, and perhaps "0x" before, as some write it. */
static bool take_hex(const char **at, const char *end, uint64_t *out)
{
	const char *first;
	uint64_t value = 0;

	if (end - *at > 2 && (*at)[0] == '0' && ((*at)[1] | 0x20) == 'x')
		*at += 2;
	for (first = *at; *at < end && hex_digit(**at) >= 0; (*at)++) {
		if (*at - first == 16)
			return false;
		value = value << 4 | (uint64_t)hex_digit(**at);
	}
	if (*at == first || *at == end || **at != ' ')
		return false;
	(*at)++;
	*out = value;
	return true;
}

static bool parse_line(const char *at, const char *end, struct line *out)
{
	uint64_t size;

	if (end - at > PERFMAP_MAX_LINE || memchr(at, '\0', (size_t)(end - at)))
		return false;
	if (!take_hex(&at, end, &out->start) || !take_hex(&at, end, &size))
		return false;
	while (end > at && (end[-1] == '\r' || end[-1] == ' '))
		end--;
	out->name = at;
	out->name_bytes = (size_t)(end - at);
	return size && out->name_bytes && !__builtin_add_overflow(out->start, size, &out->end);
}

static void release_run(struct perfmap_run *run)
{
	free(run->item);
	*run = (struct perfmap_run){0};
}

void perfmap_table_release(struct perfmap_table *table)
{
	for (size_t i = 0; i < table->nr; i++)
		release_run(&table->run[i]);
	table->nr = 0;
}

static int add_entry(struct perfmap_run *run, const struct perfmap_entry *entry)
{
	int error = ARRAY_GROW(&run->item, &run->cap, run->nr + 1);

	if (!error)
		run->item[run->nr++] = *entry;
	return error;
}

/* What is left of an old entry beside the new ones from *next on, and these; *covered: the end of the last new one. */
static int add_around(struct perfmap_run *out, struct perfmap_entry old,
		      const struct perfmap_run *newer, size_t *next, uint64_t *covered)
{
	struct perfmap_entry part;
	int error = 0;

	if (old.start < *covered)
		old.start = *covered;
	for (; *next < newer->nr && newer->item[*next].start < old.end; (*next)++) {
		part = old;
		part.end = newer->item[*next].start;
		if (part.start < part.end)
			error = add_entry(out, &part);
		if (!error)
			error = add_entry(out, &newer->item[*next]);
		if (error)
			return error;
		*covered = newer->item[*next].end;
		if (old.start < *covered)
			old.start = *covered;
	}
	return old.start < old.end ? add_entry(out, &old) : 0;
}

/* Puts newer over older: the latter becomes both. Time is linear. On failure nothing has changed. */
static int overlay(struct perfmap_run *older, struct perfmap_run *newer)
{
	struct perfmap_run both = {0};
	uint64_t covered = 0;
	size_t next = 0;
	int error = 0;

	for (size_t i = 0; i < older->nr && !error; i++)
		error = add_around(&both, older->item[i], newer, &next, &covered);
	for (; next < newer->nr && !error; next++)
		error = add_entry(&both, &newer->item[next]);
	if (error) {
		release_run(&both);
		return error;
	}
	release_run(older);
	release_run(newer);
	*older = both;
	return 0;
}

/*
 * Most lines come in order and make one long run. When they do not, runs of like length are put together, so that no
 * entry is copied more than a logarithm of times.
 */
static int start_run(struct perfmap_table *table)
{
	struct perfmap_run *last;
	int error;

	while (table->nr >= 2) {
		last = &table->run[table->nr - 1];
		if (last[-1].nr / 2 >= last->nr)
			break;
		error = overlay(last - 1, last);
		if (error)
			return error;
		table->nr--;
	}
	if (table->nr == PERFMAP_MAX_RUNS)
		return -ENOMEM;
	table->run[table->nr++] = (struct perfmap_run){0};
	return 0;
}

static int add_to_last_run(struct perfmap_table *table, const struct perfmap_entry *entry)
{
	struct perfmap_run *last = table->nr ? &table->run[table->nr - 1] : NULL;
	int error;

	if (!last || (last->nr && last->item[last->nr - 1].end > entry->start)) {
		error = start_run(table);
		if (error)
			return error;
		last = &table->run[table->nr - 1];
	}
	return add_entry(last, entry);
}

int perfmap_table_add(struct perfmap_table *table, const char *text, size_t nr, uint64_t offset,
		      size_t *used)
{
	const char *at = text, *end = text + nr, *newline;
	struct perfmap_entry entry;
	struct line line;
	int error = 0;

	for (; (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1) {
		if (!parse_line(at, newline, &line))
			continue;
		entry = (struct perfmap_entry){
			.start = line.start,
			.end = line.end,
			.line = offset + (uint64_t)(at - text),
		};
		error = add_to_last_run(table, &entry);
		if (error)
			return error;
	}
	*used = (size_t)(at - text);
	return 0;
}

static const struct perfmap_entry *find_in_run(const struct perfmap_run *run, uint64_t address)
{
	size_t low = 0, high = run->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (run->item[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == run->nr || run->item[low].start > address)
		return NULL;
	return &run->item[low];
}

const struct perfmap_entry *perfmap_table_find(const struct perfmap_table *table, uint64_t address)
{
	const struct perfmap_entry *entry = NULL;

	for (size_t i = table->nr; i-- > 0 && !entry;)
		entry = find_in_run(&table->run[i], address);
	return entry;
}

size_t perfmap_table_count(const struct perfmap_table *table)
{
	size_t nr = 0;

	for (size_t i = 0; i < table->nr; i++)
		nr += table->run[i].nr;
	return nr;
}

/* "NSpid: outermost ... own", "Uid: real effective ..." */
static int read_identity(pid_t tgid, struct perfmap *map)
{
	char path[64], *text, *at, *end;
	unsigned int uid = 0;
	int error;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", tgid);
	error = fd_read_file(path, &text, NULL, 65536);
	if (error)
		return error == -ENOENT ? -ESRCH : error;
	at = strstr(text, "\nUid:");
	if (!at || sscanf(at + strlen("\nUid:"), "%*u %u", &uid) != 1)
		error = -ESRCH;
	map->uid = uid;
	map->tgid = tgid;
	at = strstr(text, "\nNSpid:");
	for (at = at ? at + strlen("\nNSpid:") : NULL; at && *at != '\n'; at = end) {
		long id = strtol(at, &end, 10);

		if (end == at)
			break;
		map->tgid = (pid_t)id;
	}
	free(text);
	return error;
}

int perfmap_new(pid_t tgid, struct rootdir *root, struct perfmap **out)
{
	struct perfmap *map = calloc(1, sizeof(*map));
	int error;

	if (!map)
		return -ENOMEM;
	map->fd = -1;
	map->root = rootdir_get(root);
	error = read_identity(tgid, map);
	if (error) {
		perfmap_free(map);
		return error;
	}
	(void)snprintf(map->path, sizeof(map->path), "/tmp/perf-%d.map", map->tgid);
	*out = map;
	return 0;
}

void perfmap_free(struct perfmap *map)
{
	if (!map)
		return;
	fd_close(&map->fd);
	rootdir_put(map->root);
	perfmap_table_release(&map->table);
	free(map);
}

void perfmap_forget(struct perfmap *map)
{
	perfmap_table_release(&map->table);
	map->read_bytes = 0;
	map->skips_line = false;
}

const char *perfmap_path(const struct perfmap *map)
{
	return map->path;
}

size_t perfmap_bytes(const struct perfmap *map)
{
	size_t bytes = sizeof(*map);

	for (size_t i = 0; i < map->table.nr; i++)
		bytes += map->table.run[i].cap * sizeof(struct perfmap_entry);
	return bytes;
}

/* Compilers that write it anew may put another file in its place. */
void perfmap_open(struct perfmap *map)
{
	struct stat st;
	int handle;

	if (map->fd >= 0 && !fstat(map->fd, &st) && st.st_nlink)
		return;
	handle = rootdir_handle(map->root, map->path, true);
	if (handle < 0)
		return;
	if (fstat(handle, &st) || (st.st_uid != map->uid && st.st_uid != 0)) {
		fd_close(&handle);
		return;
	}
	handle = proc_open_handle(handle);
	if (handle < 0)
		return;
	fd_close(&map->fd);
	perfmap_forget(map);
	map->fd = handle;
}

/* One chunk; *nr: bytes that are dealt with. */
static int read_chunk(struct perfmap *map, char *chunk, size_t *nr)
{
	ssize_t got = pread(map->fd, chunk, CHUNK_BYTES, (off_t)map->read_bytes);
	const char *newline;
	int error;

	*nr = 0;
	if (got <= 0)
		return 0;
	map->total_read_bytes += (uint64_t)got;
	if (map->skips_line) {
		newline = memchr(chunk, '\n', (size_t)got);
		map->skips_line = !newline;
		*nr = newline ? (size_t)(newline - chunk) + 1 : (size_t)got;
		return 0;
	}
	error = perfmap_table_add(&map->table, chunk, (size_t)got, map->read_bytes, nr);
	if (!error && !*nr && got > PERFMAP_MAX_LINE) {
		map->skips_line = true;
		*nr = (size_t)got;
	}
	return error;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int read_news(struct perfmap *map)
{
	struct stat st;
	char *chunk;
	size_t nr = 1;
	int error = 0;

	map->read_ns = now_ns();
	perfmap_open(map);
	if (map->fd < 0 || fstat(map->fd, &st))
		return 0;
	if ((uint64_t)st.st_size < map->read_bytes)
		perfmap_forget(map); /* written anew in place */
	if ((uint64_t)st.st_size == map->read_bytes)
		return 0;
	chunk = malloc(CHUNK_BYTES);
	if (!chunk)
		return -ENOMEM;
	while (!error && nr && map->read_bytes < PERFMAP_MAX_BYTES &&
	       map->total_read_bytes < MAX_READ_BYTES &&
	       perfmap_table_count(&map->table) < PERFMAP_MAX_ENTRIES) {
		error = read_chunk(map, chunk, &nr);
		map->read_bytes += error ? 0 : nr;
	}
	free(chunk);
	return error;
}

/* 1, 0, -ENOMEM; -ESTALE: the line is no longer what it was. */
static int read_name(struct perfmap *map, const struct perfmap_entry *entry, uint64_t address,
		     struct strbuf *name)
{
	char text[PERFMAP_MAX_LINE + 1];
	ssize_t nr = pread(map->fd, text, sizeof(text), (off_t)entry->line);
	const char *newline = nr > 0 ? memchr(text, '\n', (size_t)nr) : NULL;
	struct line line;

	if (!newline || !parse_line(text, newline, &line) || address < line.start ||
	    address >= line.end)
		return -ESTALE;
	strbuf_clear(name);
	strbuf_add(name, line.name, line.name_bytes);
	return strbuf_error(name) ? -ENOMEM : 1;
}

static int find_known(struct perfmap *map, uint64_t address, struct strbuf *name)
{
	const struct perfmap_entry *entry = perfmap_table_find(&map->table, address);

	return entry ? read_name(map, entry, address, name) : 0;
}

int perfmap_find(struct perfmap *map, uint64_t address, struct strbuf *name)
{
	bool is_fresh = map->read_ns && now_ns() - map->read_ns < REFRESH_NS;
	int found, error;

	if (!is_fresh) {
		error = read_news(map);
		if (error)
			return error;
	}
	found = find_known(map, address, name);
	if (found == -ESTALE)
		perfmap_forget(map);
	if (found == 1 || found == -ENOMEM)
		return found;
	error = read_news(map);
	if (error)
		return error;
	found = find_known(map, address, name);
	return found == -ESTALE ? 0 : found;
}
