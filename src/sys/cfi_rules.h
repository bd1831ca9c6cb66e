/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a function's caller is found at one pc: the rules of DWARF 5, 6.4.1 that a walk needs, and what a row of unwind.h
 * makes of them.
 */
#ifndef SEEP_SYS_CFI_RULES_H
#define SEEP_SYS_CFI_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "cfi_bytes.h"
#include "unwind.h"

/* Where a register of the caller is. */
enum cfi_where {
	CFI_UNSAID = 0,
	CFI_SAME,
	CFI_UNDEFINED,
	CFI_AT_CFA, /* in memory at CFA + offset */
	CFI_AT_FP,  /* in memory where the frame pointer points */
	CFI_ELSEWHERE,
};

struct cfi_rule {
	enum cfi_where where;
	int64_t offset;
};

enum cfi_cfa_kind {
	CFI_CFA_UNSAID = 0,
	CFI_CFA_REGISTER,   /* reg + offset */
	CFI_CFA_EXPRESSION, /* as row_cfa has it */
};

struct cfi_cfa {
	enum cfi_cfa_kind kind;
	uint16_t row_cfa;
	uint64_t reg;
	int64_t offset;
};

struct cfi_rules {
	struct cfi_cfa cfa;
	struct cfi_rule fp, ra; /* frame pointer, return address */
};

struct cfi_row_rules {
	uint16_t cfa;
	int16_t fp;
};

#define CFI_SPECIAL(special) ((struct cfi_row_rules){.cfa = ROW_CFA(ROW_SPECIAL, special)})

/* DWARF numbers: System V ABI for AMD64, figure 3.36; DWARF for the Arm 64-bit Architecture, 4.1. */
static inline uint64_t cfi_frame_pointer(bool is_arm64)
{
	return is_arm64 ? 29 : 6;
}

struct cfi_row_rules cfi_row_of(bool is_arm64, const struct cfi_rules *rules);

/* For row_cfa. The few expressions that compilers and linkers write; others become ROW_UNSUPPORTED. */
uint16_t cfi_cfa_of_expression(bool is_arm64, struct cfi_cursor expression);
/* Of a register that is saved where the expression says. */
struct cfi_rule cfi_rule_of_expression(bool is_arm64, struct cfi_cursor expression);

#endif
