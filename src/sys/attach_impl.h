/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of attach.h share. Nobody else includes it. */
#ifndef SEEP_SYS_ATTACH_IMPL_H
#define SEEP_SYS_ATTACH_IMPL_H

#include <stdbool.h>

#include "attach.h"

/* Takes the descriptor over, also when it fails. */
int attach_keep(struct attach *attach, int fd);

/* Closes all but the first nr. */
void attach_cut(struct attach *attach, size_t nr);

/* A uprobe by perf event. */
struct attach_uprobe {
	const char *path;
	uint64_t offset;
	uint64_t ref_count_offset; /* of its semaphore; 0: none */
	pid_t tgid;		   /* 0: in every process */
	bool at_return;
};

/* A descriptor or negative errno. */
int attach_uprobe_open(const struct attach_uprobe *uprobe);

/* Ties a program to a perf event, which may be a negative errno to be returned. With a cookie this takes a link (5.15). */
int attach_perf_link(struct attach *attach, int event, int program, uint64_t cookie);

#endif
