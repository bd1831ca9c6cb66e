/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The executable memory of a process, as the kernel is to have it. One owner, one thread. */
#ifndef SEEP_SYS_UNWINDER_CODE_H
#define SEEP_SYS_UNWINDER_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tables.h"
#include "unwinder_files.h"

struct code {
	struct mapping_list mappings; /* sorted, at most UNWIND_MAX_PROCESS_MAPPINGS */
	struct file **file;	      /* held, as often as they are mapped */
	size_t nr_files, cap_files;
	uint64_t left_out; /* mappings beyond that number */
	bool is_pending;   /* a file of its is still to be read */
};

/*
 * Looks at /proc/TGID/maps, and wants the files that are mapped (files_get()). Of too many mappings those of files stay,
 * then the largest others. Not in it: the trampolines "[uprobes]" and "[vsyscall]". -ESRCH: gone, or going; -ENOMEM;
 * -errno.
 */
int code_read(struct files *files, pid_t tgid, struct code *out);
/* Lets go of the files. */
void code_release(struct files *files, struct code *code);

#endif
