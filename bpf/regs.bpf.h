/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers of a probed function, by architecture. */
#ifndef SEEP_REGS_BPF_H
#define SEEP_REGS_BPF_H

#include "common.bpf.h"

#if defined(__TARGET_ARCH_x86)
/*
 * A register by its DWARF number + 1; see event.h. Each load is kept from being merged with the
 * others: the verifier refuses a pointer into the context that is computed.
 */
#define REG_CASE(nr, reg)                                                                          \
	case nr:                                                                                   \
		value = ctx->reg;                                                                  \
		barrier_var(value);                                                                \
		return value

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
	return reg && reg <= 31 ? ctx->regs[(reg - 1) & 31] : 0;
}

#define ENTRY_SP(ctx, words) ((ctx)->sp + 8 * (words))
#define RETURN_SP(ctx) ((ctx)->sp)
#define LINK_REG(ctx) ((ctx)->regs[30])
#endif

#endif
