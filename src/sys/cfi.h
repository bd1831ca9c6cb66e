/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unwind tables of ELF files: the call frame information of .eh_frame (and of .debug_frame, where that covers more) as
 * the rows of unwind.h.
 *
 * Files are untrusted: each offset, length, count and alignment is checked; a malformed entry is counted and left out,
 * the others stay. Time is linear in the size of the sections. So is memory while a table is made: the sections, of a
 * file, 40 bytes for each function and 20 for each row; libLLVM takes 21 MB. Sections are found by section headers, else
 * by program headers (PT_GNU_EH_FRAME). Sources: DWARF 5, 6.4; LSB Core 5.0, 10.6 (.eh_frame, .eh_frame_hdr).
 */
#ifndef SEEP_SYS_CFI_H
#define SEEP_SYS_CFI_H

#include <stddef.h>
#include <stdint.h>

#include "unwind.h"

/* Where code of the file is mapped: an executable PT_LOAD. */
struct cfi_segment {
	uint64_t file_offset; /* rounded down to a page, as address */
	uint64_t bytes;	      /* in the file, rounded up to whole pages */
	uint64_t address;
};

struct cfi_stats {
	uint64_t functions;   /* FDEs that have rows */
	uint64_t unsupported; /* rows that became ROW_UNSUPPORTED */
	uint64_t fp_lost;     /* rows whose frame pointer rule does not fit */
	uint64_t malformed;   /* entries left out */
};

struct cfi_table {
	/*
	 * Sorted by pc, no two with the same pc, no two neighbours with the same rules. What no function covers is
	 * ROW_NONE, gaps of less than 16 bytes excepted (padding belongs to the function before it). The last row is
	 * ROW_NONE, unless the table is empty, which it is only before a file is read.
	 *
	 * A function ends where the next one begins. The program's entry point is ROW_STOP, where no function covers it,
	 * up to the next one and for 256 bytes at most.
	 */
	struct unwind_row *row;
	size_t nr;
	uint64_t base; /* what row pcs count from */
	struct cfi_segment *segment;
	size_t nr_segments;
	struct cfi_stats stats;
};

/*
 * Reads the open file; fd stays the caller's, its offset does not matter. -ENOEXEC: no ELF file; -ENOTSUP: a class,
 * byte order or machine that we do not unwind, or more than 4 GiB of code; -ENOENT: no call frame information;
 * -EBADMSG: none of it could be used; -E2BIG: more than CFI_MAX_ROWS, or a section of more than 256 MiB; -ENOMEM; -errno.
 * Of a file that others cut off meanwhile, what is left is read.
 */
int cfi_read_file(int fd, struct cfi_table *out);
/* The same for an image in memory, such as the vdso. */
int cfi_read_image(const void *image, size_t nr, struct cfi_table *out);
void cfi_release(struct cfi_table *table);

/*
 * Does a function begin at this byte of the file? 1: yes; 0: no, it lies inside of one; -ENOENT: none covers it; or what
 * keeps the file from being read, as above.
 */
int cfi_function_begins_at(int fd, uint64_t file_offset);

/* The pc, as rows have it, of a byte of the file that is mapped from there. -ENOENT: in no segment. */
int cfi_pc_of_offset(const struct cfi_table *table, uint64_t file_offset, uint32_t *pc);

/* The last row at or before pc; NULL: none. */
const struct unwind_row *cfi_find(const struct cfi_table *table, uint32_t pc);

#define CFI_MAX_ROWS (64u << 20)

#endif
