/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unwind tables: what the BPF unwinder reads and userspace writes. Nothing here goes to disk.
 *
 * A row says how to find the caller of the function that a pc is in. Rows of one file are sorted by pc; each holds up
 * to the next. They are made from the call frame information of .eh_frame and .debug_frame (DWARF 5, 6.4) and keep the
 * two rules that a walk needs: where the canonical frame address (CFA, the stack pointer before the call) is, and where
 * the caller's frame pointer was saved. The return address is at CFA - 8 on x86-64; what has it elsewhere is
 * ROW_UNSUPPORTED.
 *
 * Rows lie in shards: arrays of UNWIND_SHARD_ROWS rows, mapped by userspace. All rows of one mapping lie in one shard,
 * side by side; a file that does not fit has several mappings.
 */
#ifndef SEEP_UNWIND_H
#define SEEP_UNWIND_H

#include "event.h"

#define UNWIND_SHARD_BITS 19
#define UNWIND_SHARD_ROWS (1 << UNWIND_SHARD_BITS) /* 4 MiB */
#define UNWIND_MAX_SHARDS 1024

struct unwind_row {
	__u32 pc; /* from the table's base: the lowest address of a PT_LOAD, rounded down to 4096 */
	__u16 cfa; /* ROW_CFA() */
	__s16 fp;
};

/* cfa: the kind in the two lowest bits. Offsets are in words of 8 bytes. */
enum row_kind {
	ROW_SP = 0,	 /* CFA = sp + offset, 0..16383 */
	ROW_FP = 1,	 /* CFA = fp + offset, 0..16383 */
	ROW_DEREF = 2,	 /* CFA = *(sp or fp + offset) + add: ROW_DEREF_CFA() */
	ROW_SPECIAL = 3, /* enum row_special in the high bits */
};

enum row_special {
	ROW_NONE = 0,	     /* no function here */
	ROW_STOP = 1,	     /* the outermost function: it has no caller */
	ROW_UNSUPPORTED = 2, /* a rule that a row cannot hold */
	ROW_PLT11 = 3,	     /* CFA = sp + 8 + ((pc & 15) >= 11 ? 8 : 0): lazy binding's stubs */
	ROW_PLT10 = 4,	     /* the same from 10 on */
	ROW_SIGNAL =
		5, /* a signal's return: the registers lie in the frame, as the kernel put them there */
};

#define ROW_CFA(kind, value) ((__u16)((value) << 2 | (kind)))
#define ROW_KIND(cfa) ((cfa)&3)
#define ROW_VALUE(cfa) ((cfa) >> 2)
/* offset -1024..1023, add 0..3 */
#define ROW_DEREF_CFA(on_fp, offset, add)                                                          \
	((__u16)(((offset)&0x7ff) << 5 | ((add)&3) << 3 | ((on_fp)&1) << 2 | ROW_DEREF))
#define ROW_DEREF_ON_FP(cfa) (((cfa) >> 2) & 1)
#define ROW_DEREF_ADD(cfa) (((cfa) >> 3) & 3)
#define ROW_DEREF_OFFSET(cfa) ((__s16)(cfa) >> 5)

/*
 * fp on x86-64: negative is "saved at CFA + 8 * fp".
 *
 * On arm64 the return address is a register's as well, which the two lowest bits tell (enum row_saved); the others, as
 * a signed number of words, are where what is saved lies, from the CFA.
 */
enum row_fp {
	ROW_FP_SAME = 0,  /* not touched */
	ROW_FP_LOST = 1,  /* undefined, or a rule that a row cannot hold */
	ROW_FP_AT_FP = 2, /* saved where it points: *fp, of functions that align their stack */
};

enum row_saved {
	ROW_SAVED_NONE = 0, /* fp not touched, the return address is still in the link register */
	ROW_SAVED_PAIR = 1, /* fp, and behind it the return address */
	ROW_SAVED_LR = 2,   /* the return address alone */
	ROW_SAVED_FP_LOST = 3, /* as ROW_SAVED_LR, and fp is lost */
};

#define ROW_SAVED(saved, offset) ((__s16)((offset)*4 | (saved)))
#define ROW_SAVED_KIND(fp) ((fp)&3)
#define ROW_SAVED_OFFSET(fp) ((fp) >> 2)

/* Which code lies at an address: 15 bits, by which what lay there at different times is told apart. */
enum frame_origin {
	ORIGIN_UNKNOWN = 0, /* nobody knows; also in older captures */
	ORIGIN_NO_FILE = 1, /* made at run time, or the kernel's */
	ORIGIN_CHANGED =
		2,	 /* nobody knows more than that it is not the file that was there before */
	ORIGIN_FILE = 3, /* and above: a number made of the file and of how it lies there */
};

#define ORIGIN_MAX 0x7fff

enum mapping_kind {
	MAPPING_GONE = 0,     /* unmapped since: what is there now is not known */
	MAPPING_TABLE = 1,    /* it has rows */
	MAPPING_PENDING = 2,  /* its table is being made */
	MAPPING_NO_TABLE = 3, /* there is none, or no room for it */
	MAPPING_CODE = 4,     /* anonymous: made at run time, walked by frame pointers */
};

/* Executable memory of a process. */
struct unwind_mapping {
	__u64 start, end;
	__u32 pc; /* of start, as rows have it */
	__u32 row_lo,
		row_hi; /* rows [row_lo, row_hi) of the shard; the first is at or before pc, unless there is none */
	__u16 shard;
	__u16 kind; /* enum mapping_kind */
	__u16 origin; /* enum frame_origin, ORIGIN_CHANGED never; of MAPPING_GONE: what was there last */
	__u16 owner; /* of a child's copy: its slot */
	__u16 zero[2];
};

/*
 * The mappings of the process in a slot: `nr` from `first` on, sorted, in the array of all mappings.
 *
 * Who reads: takes generation, then the others, and at the end generation again; if that has changed, what was read is
 * worth nothing. Who writes: puts new mappings elsewhere, then makes generation odd, sets first and nr, makes it even;
 * the old place may be used again at once, and so may the rows. BPF itself turns mappings that are unmapped to
 * MAPPING_GONE, or if they are many sets nr to 0, and adds 2.
 */
struct unwind_process {
	__u32 generation;
	__u32 first;
	__u32 nr;
	__u32 unknown; /* grows when a walk meets an address in none of them */
};

#define UNWIND_MAX_PROCESS_MAPPINGS 4096
#define UNWIND_STAGE_MAPPINGS 128 /* what a child can have of its parent's until it has its own */

_Static_assert(sizeof(struct unwind_row) == 8, "unwind_row");
_Static_assert(sizeof(struct unwind_mapping) == 40, "unwind_mapping");
_Static_assert(sizeof(struct unwind_process) == 16, "unwind_process");

#endif
