/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes that are looked at, and the files that they wait for. All of it belongs to the unwinder's thread, but for
 * publisher_withdraw().
 */
#ifndef SEEP_SYS_UNWINDER_PROCESSES_H
#define SEEP_SYS_UNWINDER_PROCESSES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "unwinder_code.h"
#include "unwinder_files.h"
#include "unwinder_publish.h"

struct process {
	pid_t tgid; /* 0: none */
	struct publication publication;
	struct code code; /* of what is published, without its mappings: the files are held */
	uint64_t due_ns;  /* not to be looked at on request before; may be long past */
};

struct processes {
	struct publisher publisher;
	struct files files;
	struct process *process; /* by slot */
	uint32_t nr;		 /* slots beyond were never used */
	uint64_t left_out;	 /* mappings, of all processes */
	bool is_brief; /* what is mapped while a process is looked at will be told of: it is read once */
	bool has_news; /* files were read since the last round of publishing */
	uint64_t round_due_ns;
};

/* maps stays the caller's. 0 or -ENOMEM; processes_release() is due in either case. Not to be moved. */
int processes_init(struct processes *processes, const struct unwinder_maps *maps,
		   uint64_t max_bytes);
void processes_release(struct processes *processes);

/* When a slot may be looked at for a request of that epoch; 0: at once. */
uint64_t processes_due_ns(const struct processes *processes, uint32_t slot, uint32_t epoch);
/* Looks at a process, and publishes what it maps. tgid 0: what the slot had is let go of. */
void processes_look(struct processes *processes, uint32_t slot, pid_t tgid, uint32_t epoch);

bool processes_have_work(const struct processes *processes);
/* Reads one file, or publishes what was read when it is time for that. */
void processes_work(struct processes *processes);

#endif
