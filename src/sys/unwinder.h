/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps the kernel's unwind tables: reads what processes map, makes the tables of the files (cfi.h) and tells the BPF
 * unwinder where they are (unwind.h). In a thread of its own, because making a table may take a second.
 *
 * A table is made once for all processes that map the file, known by build id, else by device, inode, size and mtime.
 * Until it is there, and where there is none or no room, stacks are walked by frame pointers, and BPF counts that.
 * Tables that no process uses stay until their memory is wanted; the longest unused go first.
 *
 * All functions but new and free may be called at any time, do not wait, and belong to one thread.
 */
#ifndef SEEP_SYS_UNWINDER_H
#define SEEP_SYS_UNWINDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "unwind.h"
#include "watch.h"

struct unwinder;

/* The kernel's side. The arrays are the maps themselves; loader.h makes them. */
struct unwinder_maps {
	struct unwind_process *process; /* by slot */
	uint32_t nr_slots;
	struct unwind_mapping *mapping; /* the pool of all mappings */
	uint32_t nr_mappings;
	uint32_t max_shards;
	/* Makes a shard: its rows, mapped, zeroed; NULL and errno. Called by the unwinder's thread. */
	struct unwind_row *(*new_shard)(void *arg, uint32_t shard);
	void *arg;
};

struct unwinder_options {
	uint64_t max_bytes; /* of rows; at least one shard */
	/*
	 * Processes that it tells of are looked at without being asked for, if they were once. NULL: only when asked for.
	 * The unwinder's from unwinder_new() on, unless that fails.
	 */
	struct watch *watch;
	/*
	 * For very many processes: what is asked for is done so much later, when more may be known of the same process, and
	 * the watch need not wake anybody. 0: at once.
	 */
	uint64_t settle_ns;
	/* Run first in the unwinder's thread, to drop capabilities there too; may be NULL. */
	void (*on_start)(void *arg);
	void *arg;
};

int unwinder_new(const struct unwinder_options *options, const struct unwinder_maps *maps,
		 struct unwinder **out);
void unwinder_free(struct unwinder *unwinder); /* waits for the table under way */

/*
 * Looks at what a process maps, again or for the first time, soon. Asking while it is being looked at makes it look once
 * more. A process that has gone leaves the slot as it was.
 */
int unwinder_look(struct unwinder *unwinder, uint32_t slot, pid_t tgid);
/* The process has gone, or the slot is given to another: its tables are free for others. */
void unwinder_forget(struct unwinder *unwinder, uint32_t slot);
/* Nobody walks stacks for now: what is asked for waits, and is found to be over by then, most often. */
void unwinder_pause(struct unwinder *unwinder, bool is_paused);
/*
 * Makes the table of a file that will be mapped soon; it is kept as one that no process uses any more. The path is ours,
 * or "[vdso]", and may be of no such file. 0 or -ENOMEM.
 */
int unwinder_preload(struct unwinder *unwinder, const char *path);

struct unwinder_stats {
	uint64_t files;		/* with a table */
	uint64_t files_none;	/* without call frame information */
	uint64_t files_bad;	/* malformed, or of a kind we do not read */
	uint64_t files_no_room; /* left out for max_bytes */
	uint64_t rows;
	uint64_t bytes; /* of shards */
	uint64_t evicted;
	uint64_t build_ns; /* spent making tables */
	uint64_t pending;  /* processes or files still to be looked at */
	uint64_t
		mappings_left_out; /* of processes with more than UNWIND_MAX_PROCESS_MAPPINGS, or for want of room in the pool */
};

void unwinder_stats(struct unwinder *unwinder, struct unwinder_stats *out);

/* Waits until nothing is pending, at most that long. True: nothing is. */
bool unwinder_wait(struct unwinder *unwinder, unsigned int ms);

#endif
