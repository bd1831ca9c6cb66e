/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What there is to walk the stacks of a process by, and to name what is found: for each file that it maps as code, its
 * call frame information and where its names are. The files are untrusted. Takes as long as making their unwind tables.
 */
#ifndef SEEP_SYS_COVERAGE_H
#define SEEP_SYS_COVERAGE_H

#include <stddef.h>
#include <stdint.h>

#include "proc.h"

#define COVERAGE_MAX_FILES 4096

/* The best that there is. */
enum coverage_names {
	COVERAGE_NO_NAMES,
	COVERAGE_DYNAMIC_SYMBOLS,
	COVERAGE_PACKED_SYMBOLS, /* .gnu_debugdata */
	COVERAGE_SYMBOL_TABLE,
	COVERAGE_DEBUG_FILE,
	COVERAGE_DEBUG_INFORMATION, /* the file's own */
};

struct coverage_file {
	char *path;	/* as the process has it */
	uint64_t bytes; /* mapped as code */
	int error;	/* 0: it was read; else none of what follows is known */
	int cfi_error;	/* of cfi_read_file() */
	uint64_t rows;	/* of its unwind table; 0: see cfi_error */
	enum coverage_names names;
	char *debug_path; /* COVERAGE_DEBUG_FILE; else NULL */
};

struct coverage {
	struct coverage_file *file; /* the largest first */
	size_t nr;
	size_t nr_left_out; /* beyond COVERAGE_MAX_FILES */
	size_t nr_made;	    /* mappings of code that was made at run time */
	uint64_t made_bytes;
};

/* 0, -ENOMEM, or -ESRCH: the process has gone. coverage_release() is due after 0. */
int coverage_read(pid_t tgid, const struct proc_maps *maps, struct coverage *out);
void coverage_release(struct coverage *coverage);

#endif
