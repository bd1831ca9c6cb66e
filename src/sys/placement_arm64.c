/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "placement_insn.h"

#include <string.h>

#include "array.h"

#define HINT_NOP 0xd503201f
#define HINT_BTI 0xd503241f /* with its operand in the bits of HINT_BTI_MASK */
#define HINT_BTI_MASK 0x000000c0

static const uint8_t argument[] = {0, 1, 2, 3, 4, 5, 6, 7};

static uint32_t word_of(const uint8_t *code)
{
	return code[0] | (uint32_t)code[1] << 8 | (uint32_t)code[2] << 16 | (uint32_t)code[3] << 24;
}

/*
 * As in the kernel's arm_probe_decode_insn(); it simulates a nop since 6.13 only (ac4ad5c09b34). Branches that
 * authenticate their target are refused by it.
 */
static bool is_emulated(const uint8_t *code, size_t nr)
{
	uint32_t word;

	if (nr < 4)
		return false;
	word = word_of(code);
	if ((word & 0x7c000000) == 0x14000000) /* b, bl */
		return true;
	if ((word & 0xff000010) == 0x54000000) /* b.cond */
		return true;
	if ((word & 0x7c000000) == 0x34000000) /* cbz, cbnz, tbz, tbnz */
		return true;
	if ((word & 0x1f000000) == 0x10000000) /* adr, adrp */
		return true;
	word &= 0xfffffc1f;
	return word == 0xd61f0000 || word == 0xd63f0000 || word == 0xd65f0000; /* br, blr, ret */
}

/* Those that write their first operand and nothing else but flags, and that is a register. */
static bool is_computation(unsigned int id)
{
	switch (id) {
	case ARM64_INS_MOV:
	case ARM64_INS_MOVZ:
	case ARM64_INS_MOVN:
	case ARM64_INS_MOVK:
	case ARM64_INS_MVN:
	case ARM64_INS_ADD:
	case ARM64_INS_SUB:
	case ARM64_INS_NEG:
	case ARM64_INS_AND:
	case ARM64_INS_ORR:
	case ARM64_INS_EOR:
	case ARM64_INS_BIC:
	case ARM64_INS_LSL:
	case ARM64_INS_LSR:
	case ARM64_INS_ASR:
	case ARM64_INS_UBFX:
	case ARM64_INS_UBFIZ:
	case ARM64_INS_SXTW:
	case ARM64_INS_UXTW:
	case ARM64_INS_CLZ:
	case ARM64_INS_MUL:
	case ARM64_INS_UMULH:
	case ARM64_INS_MADD:
	case ARM64_INS_CSEL:
	case ARM64_INS_CSINC:
	case ARM64_INS_CSET:
	case ARM64_INS_ADR:
	case ARM64_INS_ADRP:
	case ARM64_INS_MRS:
	case ARM64_INS_LDR:
	case ARM64_INS_LDRB:
	case ARM64_INS_LDRH:
	case ARM64_INS_LDRSW:
	case ARM64_INS_LDUR:
		return true;
	default:
		return false;
	}
}

/* Those that write no register, but perhaps the base of an address. */
static bool is_test_or_store(unsigned int id)
{
	switch (id) {
	case ARM64_INS_CMP:
	case ARM64_INS_CMN:
	case ARM64_INS_TST:
	case ARM64_INS_CCMP:
	case ARM64_INS_STR:
	case ARM64_INS_STRB:
	case ARM64_INS_STRH:
	case ARM64_INS_STUR:
	case ARM64_INS_STP:
	case ARM64_INS_PRFM:
		return true;
	default:
		return false;
	}
}

/* A landing pad or nothing. Other hints sign the return address, or wait. */
static bool is_idle_hint(const cs_insn *insn)
{
	uint32_t word = word_of(insn->bytes);

	return word == HINT_NOP || (word & ~(uint32_t)HINT_BTI_MASK) == HINT_BTI;
}

/* The number of a general register, or -1; of both widths. */
static int number_of(unsigned int reg)
{
	if (reg >= ARM64_REG_X0 && reg <= ARM64_REG_X28)
		return (int)(reg - ARM64_REG_X0);
	if (reg >= ARM64_REG_W0 && reg <= ARM64_REG_W30)
		return (int)(reg - ARM64_REG_W0);
	if (reg == ARM64_REG_FP)
		return 29;
	return reg == ARM64_REG_LR ? 30 : -1;
}

static int whole_register(const cs_arm64_op *op)
{
	if (op->type != ARM64_OP_REG || (op->reg >= ARM64_REG_W0 && op->reg <= ARM64_REG_W30))
		return -1;
	return number_of(op->reg);
}

static void explain_write(const cs_arm64_op *op, struct insn_effect *out)
{
	int number = op->type == ARM64_OP_REG ? number_of(op->reg) : -1;

	if (number >= 0)
		out->writes |= REG_BIT(number);
}

static void explain_null_test(const cs_insn *insn, struct insn_effect *out)
{
	const cs_arm64_op *op = insn->detail->arm64.operands;
	int tested = whole_register(&op[0]);

	if (tested < 0)
		return;
	if (insn->id == ARM64_INS_CBZ ||
	    (insn->id == ARM64_INS_CMP && op[1].type == ARM64_OP_IMM && op[1].imm == 0) ||
	    (insn->id == ARM64_INS_TST && whole_register(&op[1]) == tested &&
	     op[1].shift.type == ARM64_SFT_INVALID))
		out->null_tested = REG_BIT(tested);
}

/*
 * The return address is in x30. Once that is signed, saved or changed, and a frame set up for it, a return probe would
 * come too late: the function returns to what it has saved.
 */
static bool touches_frame(const cs_insn *insn)
{
	const cs_arm64 *detail = &insn->detail->arm64;
	uint8_t i;

	for (i = 0; i < detail->op_count; i++) {
		const cs_arm64_op *op = &detail->operands[i];

		if (op->type == ARM64_OP_REG &&
		    (op->reg == ARM64_REG_LR || op->reg == ARM64_REG_W30))
			return true;
		if (op->type == ARM64_OP_MEM && op->mem.base == ARM64_REG_SP && detail->writeback)
			return true;
	}
	return detail->op_count && detail->operands[0].type == ARM64_OP_REG &&
	       (detail->operands[0].reg == ARM64_REG_SP ||
		detail->operands[0].reg == ARM64_REG_WSP);
}

static void explain_plain(const cs_insn *insn, struct insn_effect *out)
{
	const cs_arm64 *detail = &insn->detail->arm64;
	const cs_arm64_op *op = detail->operands;
	uint8_t i;

	if (touches_frame(insn)) {
		out->stop = "a stack frame";
		return;
	}
	if (!is_test_or_store(insn->id))
		explain_write(&op[0], out);
	if (insn->id == ARM64_INS_LDP)
		explain_write(&op[1], out);
	for (i = 0; detail->writeback && i < detail->op_count; i++) {
		if (op[i].type == ARM64_OP_MEM && number_of(op[i].mem.base) >= 0)
			out->writes |= REG_BIT(number_of(op[i].mem.base));
	}
	if (insn->id == ARM64_INS_MOV && detail->op_count == 2 && whole_register(&op[0]) >= 0 &&
	    whole_register(&op[1]) >= 0 && op[1].shift.type == ARM64_SFT_INVALID)
		out->move[out->nr_moves++] = (struct insn_move){(uint8_t)whole_register(&op[1]),
								(uint8_t)whole_register(&op[0])};
	out->keeps_flags = !detail->update_flags && insn->id != ARM64_INS_CMP &&
			   insn->id != ARM64_INS_CMN && insn->id != ARM64_INS_TST &&
			   insn->id != ARM64_INS_CCMP;
	explain_null_test(insn, out);
}

static bool is_branch(const cs_insn *insn)
{
	switch (insn->id) {
	case ARM64_INS_B:
		return insn->detail->arm64.cc != ARM64_CC_INVALID &&
		       insn->detail->arm64.cc != ARM64_CC_AL;
	case ARM64_INS_CBZ:
	case ARM64_INS_CBNZ:
	case ARM64_INS_TBZ:
	case ARM64_INS_TBNZ:
		return true;
	default:
		return false;
	}
}

static bool branch_target(csh handle, const cs_insn *insn, int64_t *target)
{
	const cs_arm64 *detail = &insn->detail->arm64;

	(void)handle;
	if ((insn->id != ARM64_INS_B && !is_branch(insn)) || !detail->op_count ||
	    detail->operands[detail->op_count - 1].type != ARM64_OP_IMM)
		return false;
	*target = detail->operands[detail->op_count - 1].imm;
	return true;
}

static void explain(csh handle, const cs_insn *insn, struct insn_effect *out)
{
	(void)handle;
	memset(out, 0, sizeof(*out));
	out->emulated = is_emulated(insn->bytes, insn->size);
	if (insn->id == ARM64_INS_BL || insn->id == ARM64_INS_BLR) {
		out->barred = true; /* as on x86; and its function keeps no return address */
		out->stop = "a call";
	} else if (is_branch(insn)) {
		out->leaves_on_zero =
			insn->id == ARM64_INS_CBZ ||
			(insn->id == ARM64_INS_B && insn->detail->arm64.cc == ARM64_CC_EQ);
		out->keeps_flags = true;
		explain_null_test(insn, out);
		out->stop = "a branch";
	} else if (insn->id == ARM64_INS_B || insn->id == ARM64_INS_BR) {
		out->stop = "a jump";
	} else if (insn->id == ARM64_INS_RET) {
		out->stop = "a return";
	} else if (is_idle_hint(insn)) {
		out->keeps_flags = true;
	} else if (is_computation(insn->id) || is_test_or_store(insn->id) ||
		   insn->id == ARM64_INS_LDP) {
		explain_plain(insn, out);
	} else {
		out->stop = "an instruction that we cannot follow";
	}
}

const struct insn_machine insn_machine_arm64 = {
	.arch = CS_ARCH_ARM64,
	.mode = CS_MODE_ARM,
	.returns_on_stack = false,
	.argument = argument,
	.nr_arguments = ARRAY_SIZE(argument),
	.explain = explain,
	.branch_target = branch_target,
	.is_emulated = is_emulated,
};
