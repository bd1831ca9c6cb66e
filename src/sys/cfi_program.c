/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cfi_program.h"

#include <dwarf.h>
#include <errno.h>

#define PRIMARY_OPCODE 0xc0
#define PRIMARY_OPERAND 0x3f

/* Not in <dwarf.h> of elfutils 0.188. */
#define CFA_AARCH64_NEGATE_RA_STATE_WITH_PC 0x2c

struct run {
	const struct cfi_elf *elf;
	const struct cfi_cie *cie;
	const struct cfi_rules *initial;
	struct cfi_cursor code;
	struct cfi_rules now;
	uint64_t pc, end; /* of the rules now; of the function */
	struct cfi_rows *rows;
	int error;
	size_t nr_remembered;
	struct cfi_rules remembered[CFI_MAX_REMEMBERED];
};

static const struct cfi_section *section_of(const struct run *run)
{
	return run->cie->is_debug ? &run->elf->debug_frame : &run->elf->eh_frame;
}

static void fail(struct run *run, int error)
{
	if (!run->error)
		run->error = error;
	cfi_turn_bad(&run->code);
}

static void add_row(struct run *run)
{
	struct cfi_row_rules row = cfi_row_of(run->elf->is_arm64, &run->now);
	int error = cfi_rows_add(run->rows, (uint32_t)run->pc, row);

	if (error)
		fail(run, error);
}

/* --- locations ---------------------------------------------------------------------------------- */

static void advance_to(struct run *run, uint64_t pc)
{
	if (!run->rows || pc < run->pc) {
		fail(run, -EBADMSG);
		return;
	}
	if (pc == run->pc)
		return;
	add_row(run);
	run->pc = pc;
	if (pc >= run->end)
		run->code.at = run->code.end;
}

static void advance_by(struct run *run, uint64_t delta)
{
	uint64_t bytes, pc;

	if (__builtin_mul_overflow(delta, run->cie->code_align, &bytes) ||
	    __builtin_add_overflow(run->pc, bytes, &pc))
		pc = UINT64_MAX;
	advance_to(run, pc);
}

static void set_location(struct run *run)
{
	uint64_t address = cfi_pointer(&run->code, run->cie->encoding, section_of(run),
				       run->elf->eh_frame_hdr);

	if (run->code.bad || address < run->elf->base)
		fail(run, -EBADMSG);
	else
		advance_to(run, address - run->elf->base);
}

/* --- registers ---------------------------------------------------------------------------------- */

static void set_rule(struct run *run, uint64_t reg, struct cfi_rule rule)
{
	if (reg == cfi_frame_pointer(run->elf->is_arm64))
		run->now.fp = rule;
	if (reg == run->cie->ra)
		run->now.ra = rule;
}

static void set_where(struct run *run, uint64_t reg, enum cfi_where where)
{
	set_rule(run, reg, (struct cfi_rule){.where = where});
}

static void set_saved(struct run *run, uint64_t reg, int64_t factored)
{
	struct cfi_rule rule = {.where = CFI_AT_CFA};

	if (__builtin_mul_overflow(factored, run->cie->data_align, &rule.offset))
		rule = (struct cfi_rule){.where = CFI_ELSEWHERE};
	set_rule(run, reg, rule);
}

/* Larger than any offset: what does not fit is no row's, whatever the factor. */
static int64_t clamp_to_signed(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static void restore(struct run *run, uint64_t reg)
{
	if (reg == cfi_frame_pointer(run->elf->is_arm64))
		run->now.fp = run->initial->fp;
	if (reg == run->cie->ra)
		run->now.ra = run->initial->ra;
}

static void remember_all(struct run *run)
{
	if (run->nr_remembered == CFI_MAX_REMEMBERED)
		fail(run, -EBADMSG);
	else
		run->remembered[run->nr_remembered++] = run->now;
}

static void restore_all(struct run *run)
{
	if (!run->nr_remembered)
		fail(run, -EBADMSG);
	else
		run->now = run->remembered[--run->nr_remembered];
}

/* --- canonical frame address -------------------------------------------------------------------- */

static void set_cfa(struct run *run, uint64_t reg, int64_t offset)
{
	run->now.cfa = (struct cfi_cfa){.kind = CFI_CFA_REGISTER, .reg = reg, .offset = offset};
}

/*
 * Register and offset outlive an expression: hand-written code counts on it, and unwinders at run time do so. Strictly,
 * it would be malformed.
 */
static void set_cfa_register(struct run *run, uint64_t reg)
{
	run->now.cfa.kind = CFI_CFA_REGISTER;
	run->now.cfa.reg = reg;
}

static void set_cfa_expression(struct run *run, struct cfi_cursor expression)
{
	run->now.cfa.kind = CFI_CFA_EXPRESSION;
	run->now.cfa.row_cfa = cfi_cfa_of_expression(run->elf->is_arm64, expression);
}

static int64_t read_factored(struct run *run)
{
	int64_t offset;

	if (__builtin_mul_overflow(cfi_sleb(&run->code), run->cie->data_align, &offset))
		return INT64_MAX;
	return offset;
}

/* false: none of these. */
static bool run_cfa_instruction(struct run *run, unsigned int op)
{
	struct cfi_cursor *code = &run->code;
	uint64_t reg;

	switch (op) {
	case DW_CFA_def_cfa:
		reg = cfi_uleb(code);
		set_cfa(run, reg, clamp_to_signed(cfi_uleb(code)));
		return true;
	case DW_CFA_def_cfa_sf:
		reg = cfi_uleb(code);
		set_cfa(run, reg, read_factored(run));
		return true;
	case DW_CFA_def_cfa_register:
		set_cfa_register(run, cfi_uleb(code));
		return true;
	case DW_CFA_def_cfa_offset:
		run->now.cfa.offset = clamp_to_signed(cfi_uleb(code));
		return true;
	case DW_CFA_def_cfa_offset_sf:
		run->now.cfa.offset = read_factored(run);
		return true;
	case DW_CFA_def_cfa_expression:
		set_cfa_expression(run, cfi_block(code));
		return true;
	default:
		return false;
	}
}

static bool run_location_instruction(struct run *run, unsigned int op)
{
	switch (op) {
	case DW_CFA_set_loc:
		set_location(run);
		return true;
	case DW_CFA_advance_loc1:
		advance_by(run, cfi_number(&run->code, 1));
		return true;
	case DW_CFA_advance_loc2:
		advance_by(run, cfi_number(&run->code, 2));
		return true;
	case DW_CFA_advance_loc4:
		advance_by(run, cfi_number(&run->code, 4));
		return true;
	case DW_CFA_MIPS_advance_loc8:
		advance_by(run, cfi_number(&run->code, 8));
		return true;
	default:
		return false;
	}
}

static bool run_register_instruction(struct run *run, unsigned int op)
{
	struct cfi_cursor *code = &run->code;
	uint64_t reg;

	if (op < DW_CFA_offset_extended || op > DW_CFA_GNU_negative_offset_extended)
		return false;
	switch (op) {
	case DW_CFA_offset_extended:
		reg = cfi_uleb(code);
		set_saved(run, reg, clamp_to_signed(cfi_uleb(code)));
		return true;
	case DW_CFA_offset_extended_sf:
		reg = cfi_uleb(code);
		set_saved(run, reg, cfi_sleb(code));
		return true;
	case DW_CFA_GNU_negative_offset_extended:
		reg = cfi_uleb(code);
		set_saved(run, reg, -clamp_to_signed(cfi_uleb(code)));
		return true;
	case DW_CFA_restore_extended:
		restore(run, cfi_uleb(code));
		return true;
	case DW_CFA_undefined:
		set_where(run, cfi_uleb(code), CFI_UNDEFINED);
		return true;
	case DW_CFA_same_value:
		set_where(run, cfi_uleb(code), CFI_SAME);
		return true;
	case DW_CFA_register:
	case DW_CFA_val_offset:
		reg = cfi_uleb(code);
		(void)cfi_uleb(code); /* the other register, or the offset */
		set_where(run, reg, CFI_ELSEWHERE);
		return true;
	case DW_CFA_val_offset_sf:
		reg = cfi_uleb(code);
		(void)cfi_sleb(code);
		set_where(run, reg, CFI_ELSEWHERE);
		return true;
	case DW_CFA_expression:
		reg = cfi_uleb(code);
		set_rule(run, reg, cfi_rule_of_expression(run->elf->is_arm64, cfi_block(code)));
		return true;
	case DW_CFA_val_expression:
		reg = cfi_uleb(code);
		(void)cfi_block(code);
		set_where(run, reg, CFI_ELSEWHERE);
		return true;
	default:
		return false;
	}
}

static bool run_other_instruction(struct run *run, unsigned int op)
{
	switch (op) {
	case DW_CFA_nop:
		return true;
	case DW_CFA_remember_state:
		remember_all(run);
		return true;
	case DW_CFA_restore_state:
		restore_all(run);
		return true;
	case DW_CFA_GNU_args_size:
		(void)cfi_uleb(&run->code);
		return true;
	case DW_CFA_AARCH64_negate_ra_state:
	case CFA_AARCH64_NEGATE_RA_STATE_WITH_PC:
		/* who walks takes the signature off, whether there is one or not */
		return run->elf->is_arm64;
	default:
		return false;
	}
}

static void run_instruction(struct run *run)
{
	unsigned int op = (unsigned int)cfi_number(&run->code, 1);
	unsigned int operand = op & PRIMARY_OPERAND;

	switch (op & PRIMARY_OPCODE) {
	case DW_CFA_advance_loc:
		advance_by(run, operand);
		return;
	case DW_CFA_offset:
		set_saved(run, operand, clamp_to_signed(cfi_uleb(&run->code)));
		return;
	case DW_CFA_restore:
		restore(run, operand);
		return;
	default:
		break;
	}
	if (!run_cfa_instruction(run, op) && !run_location_instruction(run, op) &&
	    !run_register_instruction(run, op) && !run_other_instruction(run, op))
		fail(run, -EBADMSG);
}

static int run_all(struct run *run)
{
	while (cfi_left(&run->code))
		run_instruction(run);
	if (run->error)
		return run->error;
	return run->code.bad ? -EBADMSG : 0;
}

bool cfi_run_cie(const struct cfi_elf *elf, struct cfi_cie *cie, struct cfi_cursor program)
{
	static const struct cfi_rules nothing_said;
	struct run run; /* not zeroed: for each function that would be more work than the rest */

	run.elf = elf;
	run.cie = cie;
	run.initial = &nothing_said;
	run.code = program;
	run.now = nothing_said;
	run.pc = run.end = 0;
	run.rows = NULL;
	run.error = 0;
	run.nr_remembered = 0;
	if (run_all(&run))
		return false;
	cie->initial = run.now;
	return true;
}

int cfi_run_function(const struct cfi_elf *elf, const struct cfi_cie *cie,
		     const struct cfi_function *function, struct cfi_rows *rows)
{
	struct run run;
	int error;

	run.elf = elf;
	run.cie = cie;
	run.initial = &cie->initial;
	run.code.at = section_of(&run)->data + function->program;
	run.code.end = run.code.at + function->program_bytes;
	run.code.bad = false;
	run.now = cie->initial;
	run.pc = function->start;
	run.end = function->end;
	run.rows = rows;
	run.error = 0;
	run.nr_remembered = 0;
	error = run_all(&run);
	if (!error && run.pc < run.end)
		add_row(&run);
	return error ? error : run.error;
}
