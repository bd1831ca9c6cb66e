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

/* A file where it is mapped; held. */
struct code_file {
	struct file *file;
	uint64_t start, end, file_offset, inode;
	uint32_t dev_major, dev_minor;
};

struct code {
	struct mapping_list mappings; /* sorted, at most UNWIND_MAX_PROCESS_MAPPINGS */
	struct code_file *file;	      /* sorted */
	size_t nr_files, cap_files;
	uint64_t left_out; /* mappings beyond that number */
	bool is_pending;   /* a file of its is still to be read */
};

/*
 * Looks at /proc/TGID/maps, and wants the files that are mapped (files_get()). Of too many mappings those of files stay,
 * then the largest others. Not in it: the trampolines "[uprobes]" and "[vsyscall]". -ESRCH: gone, or going; -ENOMEM;
 * -errno.
 *
 * Looking at each file takes most of the time. Of a mapping that is as it is in `known` (NULL: of none) it is left out,
 * which is right if nothing of it has been unmapped since: inode numbers come back.
 */
int code_read(struct files *files, pid_t tgid, const struct code *known, struct code *out);
/*
 * Adds where code of files was before and none is now, as MAPPING_GONE: what is met there is other code, of which nobody
 * knows yet. Of very many such places some are left out. 0 or -ENOMEM.
 */
int code_keep_gone(struct code *code, const struct mapping_list *before);
/* Lets go of the files. */
void code_release(struct files *files, struct code *code);

#endif
