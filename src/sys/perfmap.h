/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of code that a process made while it ran, as its just-in-time compiler writes them down for perf: lines
 * "START SIZE NAME" in /tmp/perf-PID.map, numbers in hex, PID as the process itself knows it (Linux,
 * tools/perf/Documentation/jit-interface.txt). Where lines overlap, the later one is right: memory is used again.
 *
 * Files are untrusted, and are taken only from the process's own user or root. A line that is malformed or longer than
 * PERFMAP_MAX_LINE is left out. Only ranges are kept, PERFMAP_ENTRY_BYTES each; names are read again from the file,
 * which is held open, so that it may be deleted and the process may end.
 */
#ifndef SEEP_SYS_PERFMAP_H
#define SEEP_SYS_PERFMAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "rootdir.h"
#include "strbuf.h"

#define PERFMAP_MAX_LINE 4096
#define PERFMAP_MAX_BYTES ((uint64_t)256 << 20) /* of a file; what is beyond them is not read */
#define PERFMAP_MAX_ENTRIES 2000000		/* likewise */
#define PERFMAP_ENTRY_BYTES 24

struct perfmap_entry {
	uint64_t start, end; /* end is not in it */
	uint64_t line;	     /* where its line begins in the file */
};

/* Sorted, without overlaps. */
struct perfmap_run {
	struct perfmap_entry *item;
	size_t nr, cap;
};

/* Of overlapping runs the later one is right. Each is at least twice as long as the next one but for the last. */
#define PERFMAP_MAX_RUNS 64

/* Zeroed is empty. */
struct perfmap_table {
	struct perfmap_run run[PERFMAP_MAX_RUNS];
	size_t nr;
};

void perfmap_table_release(struct perfmap_table *table);
/*
 * Adds the whole lines of a text that begins at that offset of the file. *used: how far they go, 0 when not even one
 * ends in it. -ENOMEM: some of them may have been added; to add them again does no harm.
 */
int perfmap_table_add(struct perfmap_table *table, const char *text, size_t nr, uint64_t offset,
		      size_t *used);
const struct perfmap_entry *perfmap_table_find(const struct perfmap_table *table, uint64_t address);
size_t perfmap_table_count(const struct perfmap_table *table); /* of entries */

struct perfmap;

/* Keeps the root. The file need not be there yet. -ESRCH: the process has gone. */
int perfmap_new(pid_t tgid, struct rootdir *root, struct perfmap **out);
void perfmap_free(struct perfmap *map);

/*
 * Replaces name by that of the code at an address. Reads what was written since: when the address is not known, else at
 * most once a second. 1: found; 0: no line has it; -ENOMEM.
 */
int perfmap_find(struct perfmap *map, uint64_t address, struct strbuf *name);
/* Looks whether there is a file to hold on to. */
void perfmap_open(struct perfmap *map);
const char *perfmap_path(const struct perfmap *map); /* as the process sees it */
size_t perfmap_bytes(const struct perfmap *map);     /* of memory */
/* Gives most of them back; they are read again when asked for. */
void perfmap_forget(struct perfmap *map);

#endif
