/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "placement_insn.h"

#include <string.h>

#include "array.h"

#define DWARF_RSP 7

/* DWARF register + 1 of each part of a general register. */
static const uint8_t dwarf_of[X86_REG_ENDING] = {
	[X86_REG_RAX] = 1,  [X86_REG_EAX] = 1,	 [X86_REG_AX] = 1,    [X86_REG_AH] = 1,
	[X86_REG_AL] = 1,   [X86_REG_RDX] = 2,	 [X86_REG_EDX] = 2,   [X86_REG_DX] = 2,
	[X86_REG_DH] = 2,   [X86_REG_DL] = 2,	 [X86_REG_RCX] = 3,   [X86_REG_ECX] = 3,
	[X86_REG_CX] = 3,   [X86_REG_CH] = 3,	 [X86_REG_CL] = 3,    [X86_REG_RBX] = 4,
	[X86_REG_EBX] = 4,  [X86_REG_BX] = 4,	 [X86_REG_BH] = 4,    [X86_REG_BL] = 4,
	[X86_REG_RSI] = 5,  [X86_REG_ESI] = 5,	 [X86_REG_SI] = 5,    [X86_REG_SIL] = 5,
	[X86_REG_RDI] = 6,  [X86_REG_EDI] = 6,	 [X86_REG_DI] = 6,    [X86_REG_DIL] = 6,
	[X86_REG_RBP] = 7,  [X86_REG_EBP] = 7,	 [X86_REG_BP] = 7,    [X86_REG_BPL] = 7,
	[X86_REG_RSP] = 8,  [X86_REG_ESP] = 8,	 [X86_REG_SP] = 8,    [X86_REG_SPL] = 8,
	[X86_REG_R8] = 9,   [X86_REG_R8D] = 9,	 [X86_REG_R8W] = 9,   [X86_REG_R8B] = 9,
	[X86_REG_R9] = 10,  [X86_REG_R9D] = 10,	 [X86_REG_R9W] = 10,  [X86_REG_R9B] = 10,
	[X86_REG_R10] = 11, [X86_REG_R10D] = 11, [X86_REG_R10W] = 11, [X86_REG_R10B] = 11,
	[X86_REG_R11] = 12, [X86_REG_R11D] = 12, [X86_REG_R11W] = 12, [X86_REG_R11B] = 12,
	[X86_REG_R12] = 13, [X86_REG_R12D] = 13, [X86_REG_R12W] = 13, [X86_REG_R12B] = 13,
	[X86_REG_R13] = 14, [X86_REG_R13D] = 14, [X86_REG_R13W] = 14, [X86_REG_R13B] = 14,
	[X86_REG_R14] = 15, [X86_REG_R14D] = 15, [X86_REG_R14W] = 15, [X86_REG_R14B] = 15,
	[X86_REG_R15] = 16, [X86_REG_R15D] = 16, [X86_REG_R15W] = 16, [X86_REG_R15B] = 16,
};

/* rdi, rsi, rdx, rcx, r8, r9 */
static const uint8_t argument[] = {5, 4, 1, 2, 8, 9};

/*
 * As in the kernel's branch_setup_xol_ops() and push_setup_xol_ops(). The hint prefixes (bnd, notrack, branch hints) do
 * not matter to it; the operand-size prefix makes it refuse a branch. Some kernels take "xchg r8, rax" (41 90) for a
 * nop, and from 6.16 on the long nops are emulated: we count on neither.
 */
static bool is_emulated(const uint8_t *code, size_t nr)
{
	if (nr >= 1 && (code[0] & 0xf8) == 0x50)
		return true;
	if (nr >= 2 && code[0] == 0x41 && (code[1] & 0xf8) == 0x50)
		return true;
	if (nr >= 1 && code[0] == 0x90)
		return true;
	if (nr >= 2 && code[0] == 0x66 && code[1] == 0x90)
		return true;
	while (nr && (code[0] == 0xf2 || code[0] == 0x2e || code[0] == 0x3e)) {
		code++;
		nr--;
	}
	if (nr >= 2 && (code[0] == 0xeb || (code[0] & 0xf0) == 0x70))
		return true;
	if (nr >= 5 && (code[0] == 0xe8 || code[0] == 0xe9))
		return true;
	return nr >= 6 && code[0] == 0x0f && (code[1] & 0xf0) == 0x80;
}

/* Those whose every effect on registers, flags and the stack pointer explain() knows. All others end the walk. */
static bool is_plain(unsigned int id)
{
	switch (id) {
	case X86_INS_MOV:
	case X86_INS_MOVABS:
	case X86_INS_MOVZX:
	case X86_INS_MOVSX:
	case X86_INS_MOVSXD:
	case X86_INS_LEA:
	case X86_INS_XCHG:
	case X86_INS_CDQE:
	case X86_INS_CQO:
	case X86_INS_ADD:
	case X86_INS_SUB:
	case X86_INS_AND:
	case X86_INS_OR:
	case X86_INS_XOR:
	case X86_INS_NEG:
	case X86_INS_NOT:
	case X86_INS_INC:
	case X86_INS_DEC:
	case X86_INS_SHL:
	case X86_INS_SHR:
	case X86_INS_SAR:
	case X86_INS_ROL:
	case X86_INS_ROR:
	case X86_INS_MUL:
	case X86_INS_IMUL:
	case X86_INS_CMP:
	case X86_INS_TEST:
	case X86_INS_BT:
	case X86_INS_BSF:
	case X86_INS_BSR:
	case X86_INS_LZCNT:
	case X86_INS_TZCNT:
	case X86_INS_PUSH:
	case X86_INS_POP:
	case X86_INS_NOP:
	case X86_INS_ENDBR64:
	case X86_INS_MOVAPS:
	case X86_INS_MOVUPS:
	case X86_INS_MOVDQA:
	case X86_INS_MOVDQU:
	case X86_INS_MOVD:
	case X86_INS_MOVQ:
	case X86_INS_PXOR:
	case X86_INS_XORPS:
	case X86_INS_PREFETCHT0:
	case X86_INS_PREFETCHNTA:
	case X86_INS_PREFETCHW:
		return true;
	default:
		return (id >= X86_INS_CMOVA && id <= X86_INS_CMOVS) ||
		       (id >= X86_INS_SETAE && id <= X86_INS_SETS);
	}
}

static bool keeps_flags(unsigned int id)
{
	switch (id) {
	case X86_INS_MOV:
	case X86_INS_MOVABS:
	case X86_INS_MOVZX:
	case X86_INS_MOVSX:
	case X86_INS_MOVSXD:
	case X86_INS_LEA:
	case X86_INS_XCHG:
	case X86_INS_PUSH:
	case X86_INS_NOP:
	case X86_INS_ENDBR64:
		return true;
	default:
		return false;
	}
}

/* The one plain instruction that may store through either operand. */
static bool swaps_memory(const cs_insn *insn)
{
	const cs_x86_op *op = insn->detail->x86.operands;

	return insn->id == X86_INS_XCHG && (op[0].type == X86_OP_MEM || op[1].type == X86_OP_MEM);
}

/* The DWARF number of a whole register, or -1. */
static int whole_register(const cs_x86_op *op)
{
	if (op->type != X86_OP_REG || op->size != 8)
		return -1;
	return dwarf_of[op->reg] - 1;
}

static bool is_immediate(const cs_x86_op *op, int64_t imm)
{
	return op->type == X86_OP_IMM && op->imm == imm;
}

static void explain_moves(const cs_insn *insn, struct insn_effect *out)
{
	const cs_x86_op *op = insn->detail->x86.operands;
	bool is_swap = insn->id == X86_INS_XCHG;
	int to, from;

	if (insn->detail->x86.op_count != 2 || (insn->id != X86_INS_MOV && !is_swap))
		return;
	to = whole_register(&op[0]);
	from = whole_register(&op[1]);
	if (to < 0 || from < 0)
		return;
	out->move[out->nr_moves++] = (struct insn_move){(uint8_t)from, (uint8_t)to};
	if (is_swap)
		out->move[out->nr_moves++] = (struct insn_move){(uint8_t)to, (uint8_t)from};
}

static void explain_null_test(const cs_insn *insn, struct insn_effect *out)
{
	const cs_x86_op *op = insn->detail->x86.operands;
	int tested;

	if (insn->id != X86_INS_TEST && insn->id != X86_INS_CMP)
		return;
	tested = whole_register(&op[0]);
	if (tested < 0)
		return;
	if (insn->id == X86_INS_TEST ? whole_register(&op[1]) == tested : is_immediate(&op[1], 0))
		out->null_tested = REG_BIT(tested);
}

/* What it does to the stack pointer, if that is a sum. */
static bool explain_stack_pointer(const cs_insn *insn, struct insn_effect *out)
{
	const cs_x86_op *op = insn->detail->x86.operands;

	switch (insn->id) {
	case X86_INS_PUSH:
		out->sp_bytes = 8;
		return insn->detail->x86.prefix[2] == 0;
	case X86_INS_POP:
		out->sp_bytes = -8;
		return insn->detail->x86.prefix[2] == 0 && op[0].type == X86_OP_REG &&
		       op[0].reg != X86_REG_RSP;
	case X86_INS_SUB:
		out->sp_bytes = op[1].imm;
		return whole_register(&op[0]) == DWARF_RSP && op[1].type == X86_OP_IMM;
	case X86_INS_ADD:
		out->sp_bytes = -op[1].imm;
		return whole_register(&op[0]) == DWARF_RSP && op[1].type == X86_OP_IMM;
	case X86_INS_LEA:
		out->sp_bytes = -op[1].mem.disp;
		return whole_register(&op[0]) == DWARF_RSP && op[1].mem.base == X86_REG_RSP &&
		       op[1].mem.index == X86_REG_INVALID;
	default:
		return false;
	}
}

/* Stores relative to the stack pointer; others are taken not to reach the return address. */
static void explain_store(const cs_insn *insn, struct insn_effect *out)
{
	const cs_x86_op *op = insn->detail->x86.operands;

	if (insn->detail->x86.op_count < 1 || op[0].type != X86_OP_MEM || insn->id == X86_INS_CMP ||
	    insn->id == X86_INS_TEST || insn->id == X86_INS_PUSH)
		return;
	if (op[0].mem.base != X86_REG_RSP && op[0].mem.index != X86_REG_RSP)
		return;
	if (op[0].mem.index != X86_REG_INVALID) {
		out->stop = "a store somewhere on the stack";
		return;
	}
	out->store_at = op[0].mem.disp;
	out->store_bytes = op[0].size;
}

static void explain_plain(csh handle, const cs_insn *insn, struct insn_effect *out)
{
	cs_regs read, written;
	uint8_t nr_read, nr_written, i;

	if (cs_regs_access(handle, insn, read, &nr_read, written, &nr_written) != CS_ERR_OK) {
		out->stop = "an instruction that we cannot follow";
		return;
	}
	for (i = 0; i < nr_written; i++) {
		if (dwarf_of[written[i]])
			out->writes |= REG_BIT(dwarf_of[written[i]] - 1);
	}
	out->keeps_flags = keeps_flags(insn->id);
	explain_moves(insn, out);
	explain_null_test(insn, out);
	explain_store(insn, out);
	if ((out->writes & REG_BIT(DWARF_RSP)) && !explain_stack_pointer(insn, out))
		out->stop = "a stack pointer that we cannot follow";
}

static bool branch_target(csh handle, const cs_insn *insn, int64_t *target)
{
	const cs_x86 *detail = &insn->detail->x86;

	/* loop and jrcxz are in the second group only */
	if (!cs_insn_group(handle, insn, CS_GRP_JUMP) &&
	    !cs_insn_group(handle, insn, CS_GRP_BRANCH_RELATIVE))
		return false;
	if (cs_insn_group(handle, insn, CS_GRP_CALL) || detail->op_count != 1 ||
	    detail->operands[0].type != X86_OP_IMM)
		return false;
	*target = detail->operands[0].imm;
	return true;
}

static void explain(csh handle, const cs_insn *insn, struct insn_effect *out)
{
	memset(out, 0, sizeof(*out));
	out->emulated = is_emulated(insn->bytes, insn->size);
	if (cs_insn_group(handle, insn, CS_GRP_CALL)) {
		/* in a process with a shadow stack its return would fault, emulated or stepped */
		out->barred = true;
		out->stop = "a call";
	} else if (insn->id == X86_INS_JMP) {
		out->stop = "a jump";
	} else if (cs_insn_group(handle, insn, CS_GRP_JUMP)) {
		out->leaves_on_zero = insn->id == X86_INS_JE;
		out->keeps_flags = true;
		out->stop = "a branch";
	} else if (cs_insn_group(handle, insn, CS_GRP_RET)) {
		out->stop = "a return";
	} else if (is_plain(insn->id) && !swaps_memory(insn)) {
		explain_plain(handle, insn, out);
	} else {
		out->stop = "an instruction that we cannot follow";
	}
}

const struct insn_machine insn_machine_x86 = {
	.arch = CS_ARCH_X86,
	.mode = CS_MODE_64,
	.returns_on_stack = true,
	.argument = argument,
	.nr_arguments = ARRAY_SIZE(argument),
	.explain = explain,
	.branch_target = branch_target,
	.is_emulated = is_emulated,
};
