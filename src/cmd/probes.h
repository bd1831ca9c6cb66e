/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What would be probed in a process, and at what cost: seep leaks --list-allocators, and seep doctor -p. */
#ifndef SEEP_CMD_PROBES_H
#define SEEP_CMD_PROBES_H

#include <stdbool.h>
#include <sys/types.h>

#include "calibrate.h"
#include "cli.h"
#include "discover.h"
#include "kernel.h"

struct probes {
	const struct cli_options *cli;
	struct allocator_spec spec; /* what the user has described */
	struct discover discover;
	struct calibration cost; /* for the caller to set, as soon as they are known: */
	enum attach_kind kind;	 /* of the links that they would have */
	bool has_cost;
	size_t nr_brought; /* files of what was printed so far with heap probes of their own, which are used instead */
};

/* 0, -ENOMEM, or -EINVAL for a wrong description, with one line printed. */
int probes_init(struct probes *probes, const struct cli_options *cli);
void probes_release(struct probes *probes);

/* Prints one line for each function, below the object that it is of. 0 or a negative errno, and why was printed. */
int probes_print_process(struct probes *probes, pid_t tgid);

/* What a probe costs on this machine. 0 or negative errno. */
int probes_measure(const struct kernel_features *features, struct calibration *cost);

/* Prints that of all targets, attaches to nothing, and returns the exit status. */
int probes_list(const struct cli_options *cli);

#endif
