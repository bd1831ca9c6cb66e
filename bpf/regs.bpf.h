/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers of a probed function, by architecture. */
#ifndef SEEP_REGS_BPF_H
#define SEEP_REGS_BPF_H

#include "common.bpf.h"

/*
 * A register by its DWARF number + 1; see event.h. Each load is kept from being merged with the
 * others: the verifier refuses a pointer into the context that is computed.
 */
#define REG_CASE(nr, reg)                                                                          \
	case nr:                                                                                   \
		value = ctx->reg;                                                                  \
		barrier_var(value);                                                                \
		return value

#if defined(__TARGET_ARCH_x86)
static __always_inline __u64 reg_get(const struct pt_regs *ctx, __u32 reg)
{
	__u64 value;

	switch (reg) {
		REG_CASE(1, ax);
		REG_CASE(2, dx);
		REG_CASE(3, cx);
		REG_CASE(4, bx);
		REG_CASE(5, si);
		REG_CASE(6, di);
		REG_CASE(7, bp);
		REG_CASE(9, r8);
		REG_CASE(10, r9);
		REG_CASE(11, r10);
		REG_CASE(12, r11);
		REG_CASE(13, r12);
		REG_CASE(14, r13);
		REG_CASE(15, r14);
		REG_CASE(16, r15);
	default:
		return 0;
	}
}

/* Where a call left its return address; at a return probe, that word has been popped. */
#define ENTRY_SP(ctx, words) ((ctx)->sp + 8 * (words))
#define RETURN_SP(ctx) ((ctx)->sp - 8)
#define LINK_REG(ctx) 0
#elif defined(__TARGET_ARCH_arm64)
static __always_inline __u64 reg_get(const struct pt_regs *ctx, __u32 reg)
{
	__u64 value;

	switch (reg) {
		REG_CASE(1, regs[0]);
		REG_CASE(2, regs[1]);
		REG_CASE(3, regs[2]);
		REG_CASE(4, regs[3]);
		REG_CASE(5, regs[4]);
		REG_CASE(6, regs[5]);
		REG_CASE(7, regs[6]);
		REG_CASE(8, regs[7]);
		REG_CASE(9, regs[8]);
		REG_CASE(10, regs[9]);
		REG_CASE(11, regs[10]);
		REG_CASE(12, regs[11]);
		REG_CASE(13, regs[12]);
		REG_CASE(14, regs[13]);
		REG_CASE(15, regs[14]);
		REG_CASE(16, regs[15]);
		REG_CASE(17, regs[16]);
		REG_CASE(18, regs[17]);
		REG_CASE(19, regs[18]);
		REG_CASE(20, regs[19]);
		REG_CASE(21, regs[20]);
		REG_CASE(22, regs[21]);
		REG_CASE(23, regs[22]);
		REG_CASE(24, regs[23]);
		REG_CASE(25, regs[24]);
		REG_CASE(26, regs[25]);
		REG_CASE(27, regs[26]);
		REG_CASE(28, regs[27]);
		REG_CASE(29, regs[28]);
		REG_CASE(30, regs[29]);
		REG_CASE(31, regs[30]);
	default:
		return 0;
	}
}

#define ENTRY_SP(ctx, words) ((ctx)->sp + 8 * (words))
#define RETURN_SP(ctx) ((ctx)->sp)
#define LINK_REG(ctx) ((ctx)->regs[30])
#endif

#endif
