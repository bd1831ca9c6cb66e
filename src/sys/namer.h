/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A symbolizer in a thread of its own: reading debug information can take seconds, and the rings do
 * not wait. Requests go in, answers are collected; the symbolizer belongs to the thread alone.
 */
#ifndef SEEP_SYS_NAMER_H
#define SEEP_SYS_NAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc.h"
#include "symbolize.h"

struct namer;

/* options: as symbolizer_new(); what it points to must outlive the namer. */
int namer_new(const struct symbolizer_options *options, struct namer **out);
void namer_free(struct namer *namer); /* waits for the request under way, but for no server */

/* As symbolizer_add_process(), and waits for it: the files are open when it returns. */
int namer_add_process(struct namer *namer, uint32_t key, pid_t tgid, const struct proc_maps *maps);

/*
 * The same of a process that is over, and costs nothing until one of its names is wanted, as most often none is. Its maps
 * are taken over, which leaves none, unless that fails. 0 or -ENOMEM.
 */
int namer_tell_process(struct namer *namer, uint32_t key, pid_t tgid, struct proc_maps *maps);

/* As symbolizer_copy_process(). */
int namer_copy_process(struct namer *namer, uint32_t key, uint32_t from);

/* As symbolizer_remove_process(): requests for it that are not yet answered get no name. */
void namer_remove_process(struct namer *namer, uint32_t key);

/* Asks for the name of an address, as symbolizer_lookup() takes it; asking again for what is not yet answered does nothing. 0 or -ENOMEM. */
int namer_want(struct namer *namer, uint32_t key, uint64_t address);

struct namer_answer {
	uint32_t key;
	uint64_t address;
	bool is_stale; /* other code lies there than its process was added with: without names */
	size_t nr;     /* 0: in no executable mapping */
	const struct symbol_frame *frame;
};

/* Calls take() for every answer that is ready. Stops and returns its value when that is not 0. */
int namer_collect(struct namer *namer, int (*take)(const struct namer_answer *answer, void *arg),
		  void *arg);

/* Requests without an answer collected. */
size_t namer_pending(struct namer *namer);

/* Waits until an answer is ready, at most that long. */
void namer_wait(struct namer *namer, unsigned int ms);

#endif
