/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of proc.h that is /proc/PID/maps. */
#include "proc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "fd.h"
#include "hash.h"

#define MAPS_MAX_BYTES ((size_t)128 << 20)

/* What is left of one line. */
struct cursor {
	const char *at, *end;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool take_number(struct cursor *cur, unsigned int base, uint64_t *out)
{
	const char *first = cur->at;
	uint64_t value = 0;
	int digit;

	for (; cur->at < cur->end; cur->at++) {
		digit = hex_digit(*cur->at);
		if (digit < 0 || (unsigned int)digit >= base)
			break;
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit, &value))
			return false;
	}
	*out = value;
	return cur->at > first;
}

static bool take_char(struct cursor *cur, char c)
{
	if (cur->at == cur->end || *cur->at != c)
		return false;
	cur->at++;
	return true;
}

/* "r-xp" */
static bool take_permissions(struct cursor *cur, struct proc_mapping *mapping)
{
	const char *at = cur->at;

	if (cur->end - at < 4)
		return false;
	if ((at[0] != 'r' && at[0] != '-') || (at[1] != 'w' && at[1] != '-') ||
	    (at[2] != 'x' && at[2] != '-') || (at[3] != 's' && at[3] != 'p'))
		return false;
	mapping->write = at[1] == 'w';
	mapping->exec = at[2] == 'x';
	mapping->shared = at[3] == 's';
	cur->at += 4;
	return true;
}

static bool take_device(struct cursor *cur, struct proc_mapping *mapping)
{
	uint64_t major, minor;

	if (!take_number(cur, 16, &major) || !take_char(cur, ':') || !take_number(cur, 16, &minor))
		return false;
	if (major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	mapping->dev_major = (uint32_t)major;
	mapping->dev_minor = (uint32_t)minor;
	return true;
}

static bool take_fields(struct cursor *cur, struct proc_mapping *mapping)
{
	return take_number(cur, 16, &mapping->start) && take_char(cur, '-') &&
	       take_number(cur, 16, &mapping->end) && take_char(cur, ' ') &&
	       take_permissions(cur, mapping) && take_char(cur, ' ') &&
	       take_number(cur, 16, &mapping->file_offset) && take_char(cur, ' ') &&
	       take_device(cur, mapping) && take_char(cur, ' ') &&
	       take_number(cur, 10, &mapping->inode);
}

/* The kernel pads with blanks before the path, and leaves one behind the inode when there is none. */
static int take_path(struct cursor *cur, struct proc_mapping *mapping)
{
	size_t nr;

	if (cur->at < cur->end && *cur->at != ' ')
		return -EINVAL;
	while (take_char(cur, ' '))
		;
	nr = (size_t)(cur->end - cur->at);
	if (memchr(cur->at, '\0', nr))
		return -EINVAL;
	mapping->path = malloc(nr + 1);
	if (!mapping->path)
		return -ENOMEM;
	memcpy(mapping->path, cur->at, nr);
	mapping->path[nr] = '\0';
	return 0;
}

/*
 * The kernel tells a page of text at a time and lets go of its locks in between: what has grown meanwhile, or melted into
 * its neighbour, may begin before the end of what was told last. What comes later is newer.
 */
static void drop_overtaken(struct proc_maps *maps, uint64_t start)
{
	struct proc_mapping *last;

	for (; maps->nr; maps->nr--) {
		last = &maps->item[maps->nr - 1];
		if (last->start < start) {
			if (last->end > start)
				last->end = start;
			return;
		}
		free(last->path);
	}
}

static int add_line(struct proc_maps *maps, struct cursor line, bool code_only)
{
	struct proc_mapping mapping = {0};
	int error;

	if (!take_fields(&line, &mapping) || mapping.start >= mapping.end)
		return -EINVAL;
	drop_overtaken(maps, mapping.start);
	if (code_only && !mapping.exec)
		return 0;
	if (maps->nr == PROC_MAX_MAPPINGS)
		return -E2BIG;
	error = ARRAY_GROW(&maps->item, &maps->cap, maps->nr + 1);
	if (error)
		return error;
	error = take_path(&line, &mapping);
	if (error)
		return error;
	maps->item[maps->nr++] = mapping;
	return 0;
}

void proc_maps_init(struct proc_maps *maps)
{
	*maps = (struct proc_maps){0};
}

void proc_maps_release(struct proc_maps *maps)
{
	for (size_t i = 0; i < maps->nr; i++)
		free(maps->item[i].path);
	free(maps->item);
	proc_maps_init(maps);
}

static int parse(struct proc_maps *maps, const char *text, size_t nr, bool code_only)
{
	struct proc_maps parsed;
	const char *end = text + nr;
	struct cursor line;
	int error;

	proc_maps_init(&parsed);
	while (text < end) {
		line.at = text;
		line.end = memchr(text, '\n', (size_t)(end - text));
		error = line.end ? add_line(&parsed, line, code_only) : -EINVAL;
		if (error) {
			proc_maps_release(&parsed);
			return error;
		}
		text = line.end + 1;
	}
	proc_maps_release(maps);
	*maps = parsed;
	return 0;
}

int proc_maps_parse(struct proc_maps *maps, const char *text, size_t nr)
{
	return parse(maps, text, nr, false);
}

static int read_maps(struct proc_maps *maps, pid_t tgid, bool code_only)
{
	char path[64], *text;
	size_t nr;
	int error;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", tgid);
	error = fd_read_file(path, &text, &nr, MAPS_MAX_BYTES);
	if (error == -ENOENT)
		return -ESRCH;
	if (error)
		return error == -EFBIG ? -E2BIG : error;
	error = parse(maps, text, nr, code_only);
	free(text);
	return error;
}

int proc_maps_read(struct proc_maps *maps, pid_t tgid)
{
	return read_maps(maps, tgid, false);
}

int proc_maps_read_code(struct proc_maps *maps, pid_t tgid)
{
	return read_maps(maps, tgid, true);
}

const struct proc_mapping *proc_maps_find(const struct proc_maps *maps, uint64_t address)
{
	size_t low = 0, high = maps->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (maps->item[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == maps->nr || maps->item[low].start > address)
		return NULL;
	return &maps->item[low];
}

static bool is_same_file(const struct proc_mapping *a, const struct proc_mapping *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

/* 1: so far there was no mapping of its file; 0: there was; -ENOMEM. */
static int note_file(struct map64 *seen, const struct proc_maps *maps, size_t at)
{
	const struct proc_mapping *m = &maps->item[at];
	uint64_t key = hash_pair(m->inode, (uint64_t)m->dev_major << 32 | m->dev_minor), other;
	int error;

	for (; map64_get(seen, key, &other); key++) {
		if (is_same_file(&maps->item[other], m))
			return 0;
	}
	error = map64_put(seen, key, at);
	return error ? error : 1;
}

int proc_maps_code_files(const struct proc_maps *maps, size_t **index, size_t *nr)
{
	size_t *found = calloc(maps->nr + 1, sizeof(*found)), nr_found = 0;
	struct map64 seen = {0};
	int is_new = 0;

	if (!found)
		return -ENOMEM;
	for (size_t i = 0; i < maps->nr && is_new >= 0; i++) {
		if (!maps->item[i].exec || !maps->item[i].inode)
			continue;
		is_new = note_file(&seen, maps, i);
		if (is_new == 1)
			found[nr_found++] = i;
	}
	map64_release(&seen);
	if (is_new < 0) {
		free(found);
		return is_new;
	}
	*index = found;
	*nr = nr_found;
	return 0;
}

/* What lies in [start, end) goes; what reaches beyond is cut. */
static void make_place(struct proc_maps *maps, uint64_t start, uint64_t end)
{
	struct proc_mapping *m;
	size_t i, kept = 0;

	for (i = 0; i < maps->nr; i++) {
		m = &maps->item[i];
		if (m->start >= start && m->end <= end) {
			free(m->path);
			continue;
		}
		if (m->start < start && m->end > start) {
			m->end = start;
		} else if (m->start >= start && m->start < end) {
			m->file_offset += end - m->start;
			m->start = end;
		}
		maps->item[kept++] = *m;
	}
	maps->nr = kept;
}

int proc_maps_add(struct proc_maps *maps, const struct proc_mapping *mapping, const char *path)
{
	char *copy;
	size_t at;

	if (mapping->start >= mapping->end)
		return -EINVAL;
	if (maps->nr >= PROC_MAX_MAPPINGS)
		return -E2BIG;
	copy = strdup(path);
	if (!copy || ARRAY_GROW(&maps->item, &maps->cap, maps->nr + 1)) {
		free(copy);
		return -ENOMEM;
	}
	make_place(maps, mapping->start, mapping->end);
	for (at = 0; at < maps->nr && maps->item[at].start < mapping->start; at++)
		;
	memmove(&maps->item[at + 1], &maps->item[at], (maps->nr - at) * sizeof(maps->item[0]));
	maps->item[at] = *mapping;
	maps->item[at].path = copy;
	maps->nr++;
	return 0;
}
