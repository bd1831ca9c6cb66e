/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one instruction does, as far as the choice of a probe's site is concerned: between placement.c, which chooses, and
 * the decoders of each machine. Private to src/sys/placement*.c.
 *
 * Registers are DWARF numbers below 32; a set of them is a mask.
 */
#ifndef SEEP_SYS_PLACEMENT_INSN_H
#define SEEP_SYS_PLACEMENT_INSN_H

#include <capstone/capstone.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REG_BIT(reg) (UINT32_C(1) << (reg))

struct insn_move {
	uint8_t from, to;
};

struct insn_effect {
	bool emulated; /* by the kernel */
	bool barred;   /* emulated, and never to be chosen all the same */

	/* NULL: the next instruction is always run. Otherwise why not, or why we cannot tell what it does. */
	const char *stop;

	uint32_t writes; /* registers whose old value is gone */
	struct insn_move move[2];
	unsigned int nr_moves; /* whole registers copied; all are read before one is written */

	int64_t sp_bytes; /* that the stack grows by */
	/* stored relative to the stack pointer: bytes from store_at on, before the stack has grown */
	int64_t store_at;
	unsigned int store_bytes;

	uint32_t null_tested; /* registers that were compared with zero */
	bool keeps_flags;     /* the result of an earlier comparison is still there */
	bool leaves_on_zero;  /* a branch that is taken if the comparison with zero was equal */
};

struct insn_machine {
	cs_arch arch;
	cs_mode mode;
	bool returns_on_stack; /* the return address is in memory: the stack may grow before a freeing probe */
	const uint8_t *argument; /* DWARF registers of the integer arguments, in order */
	size_t nr_arguments;
	/* insn has been decoded with details, at its offset from the function's start as its address. */
	void (*explain)(csh handle, const cs_insn *insn, struct insn_effect *out);
	/* Of a direct branch or jump, likewise: its target's offset, which may be anywhere. False for all others. */
	bool (*branch_target)(csh handle, const cs_insn *insn, int64_t *target);
	bool (*is_emulated)(const uint8_t *code, size_t nr);
};

extern const struct insn_machine insn_machine_x86;
extern const struct insn_machine insn_machine_arm64;
#endif
