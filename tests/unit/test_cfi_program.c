/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Call frame instructions, one by one, against the rows that they must give. */
#include <dwarf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "array.h"
#include "cfi.h"
#include "cfi_build.h"

#define MAX_ROWS 8

/* --- instructions ------------------------------------------------------------------------------- */

/* A function of 64 bytes; behind its rows ROW_NONE is expected. */
struct program {
	const char *name;
	const unsigned char *code;
	size_t nr;
	const struct unwind_row *row;
	size_t nr_rows;
};

static void assert_program(bool is_arm64, const struct program *program)
{
	struct unwind_row row[MAX_ROWS + 1];
	struct image image = {.is_arm64 = is_arm64};
	size_t cie = bytes_cie(&image.eh_frame, is_arm64, PCREL4);

	assert_true(program->nr_rows <= MAX_ROWS);
	memcpy(row, program->row, program->nr_rows * sizeof(row[0]));
	row[program->nr_rows] = (struct unwind_row){64, NONE, 0};
	bytes_fde(&image.eh_frame, cie, 0, 64, program->code, program->nr);
	if (!image_has_rows(&image, row, program->nr_rows + 1))
		fail_msg("%s", program->name);
	image_release(&image);
}

#define PLT(lit)                                                                                   \
	DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and,    \
		lit, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus

static const struct program x86_location[] = {
	{"nothing", BYTES(DW_CFA_nop), ROWS({0, SP(1)})},
	{"advance_loc", BYTES(ADVANCE(3), DW_CFA_def_cfa_offset, 16), ROWS({0, SP(1)}, {3, SP(2)})},
	{"advance_loc by nothing",
	 BYTES(ADVANCE(0), DW_CFA_def_cfa_offset, 16, ADVANCE(0), DW_CFA_def_cfa_offset, 24),
	 ROWS({0, SP(3)})},
	{"advance_loc1", BYTES(DW_CFA_advance_loc1, 5, DW_CFA_def_cfa_offset, 16),
	 ROWS({0, SP(1)}, {5, SP(2)})},
	{"advance_loc2", BYTES(DW_CFA_advance_loc2, 7, 0, DW_CFA_def_cfa_offset, 16),
	 ROWS({0, SP(1)}, {7, SP(2)})},
	{"advance_loc4", BYTES(DW_CFA_advance_loc4, 11, 0, 0, 0, DW_CFA_def_cfa_offset, 16),
	 ROWS({0, SP(1)}, {11, SP(2)})},
	{"advance_loc8",
	 BYTES(DW_CFA_MIPS_advance_loc8, 13, 0, 0, 0, 0, 0, 0, 0, DW_CFA_def_cfa_offset, 16),
	 ROWS({0, SP(1)}, {13, SP(2)})},
	{"to the end", BYTES(ADVANCE(63), DW_CFA_def_cfa_offset, 16, ADVANCE(1), 0x3f),
	 ROWS({0, SP(1)}, {63, SP(2)})},
	{"far behind the end",
	 BYTES(DW_CFA_MIPS_advance_loc8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f),
	 ROWS({0, SP(1)})},
	{"rules that stay the same",
	 BYTES(ADVANCE(3), DW_CFA_def_cfa_offset, 16, ADVANCE(1), OFFSET(3), 2, ADVANCE(5),
	       DW_CFA_def_cfa_offset, 8),
	 ROWS({0, SP(1)}, {3, SP(2)}, {9, SP(1)})},
};

static const struct program x86_cfa[] = {
	{"def_cfa", BYTES(DW_CFA_def_cfa, 6, 16), ROWS({0, FP(2)})},
	{"def_cfa_sf", BYTES(DW_CFA_def_cfa_sf, 7, 0x7d), ROWS({0, SP(3)})},
	{"def_cfa_register", BYTES(DW_CFA_def_cfa_register, 6), ROWS({0, FP(1)})},
	{"def_cfa_offset", BYTES(DW_CFA_def_cfa_offset, 0x80, 1), ROWS({0, SP(16)})},
	{"def_cfa_offset_sf", BYTES(DW_CFA_def_cfa_offset_sf, 0x7b), ROWS({0, SP(5)})},
	{"the largest offset", BYTES(DW_CFA_def_cfa_offset, 0xf8, 0xff, 7), ROWS({0, SP(16383)})},
	{"too large an offset", BYTES(DW_CFA_def_cfa_offset, 0x80, 0x80, 8),
	 ROWS({0, UNSUPPORTED})},
	{"an offset of 64 bits",
	 BYTES(DW_CFA_def_cfa_offset, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
	 ROWS({0, UNSUPPORTED})},
	{"half a word", BYTES(DW_CFA_def_cfa_offset, 12), ROWS({0, UNSUPPORTED})},
	{"below the stack pointer", BYTES(DW_CFA_def_cfa_offset_sf, 1), ROWS({0, UNSUPPORTED})},
	{"another register", BYTES(DW_CFA_def_cfa, 10, 0), ROWS({0, UNSUPPORTED})},
	{"a register beyond all", BYTES(DW_CFA_def_cfa_register, 0xff, 0xff, 3),
	 ROWS({0, UNSUPPORTED})},
	{"there and back",
	 BYTES(ADVANCE(1), DW_CFA_def_cfa_register, 10, ADVANCE(2), DW_CFA_def_cfa_register, 7),
	 ROWS({0, SP(1)}, {1, UNSUPPORTED}, {3, SP(1)})},
};

static const struct program x86_register[] = {
	{"offset", BYTES(OFFSET(6), 2), ROWS({0, SP(1), -2})},
	{"offset of others", BYTES(OFFSET(3), 2, OFFSET(12), 3), ROWS({0, SP(1)})},
	{"offset_extended", BYTES(DW_CFA_offset_extended, 6, 3), ROWS({0, SP(1), -3})},
	{"offset_extended_sf", BYTES(DW_CFA_offset_extended_sf, 6, 4), ROWS({0, SP(1), -4})},
	{"GNU_negative_offset_extended", BYTES(DW_CFA_GNU_negative_offset_extended, 6, 0x7b),
	 ROWS({0, SP(1), ROW_FP_LOST})},
	{"the lowest offset", BYTES(OFFSET(6), 0x80, 0x80, 2), ROWS({0, SP(1), INT16_MIN})},
	{"too low an offset", BYTES(OFFSET(6), 0x81, 0x80, 2), ROWS({0, SP(1), ROW_FP_LOST})},
	{"an offset at the CFA", BYTES(OFFSET(6), 0), ROWS({0, SP(1), ROW_FP_LOST})},
	{"an offset of 64 bits",
	 BYTES(OFFSET(6), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
	 ROWS({0, SP(1), ROW_FP_LOST})},
	{"same_value", BYTES(OFFSET(6), 2, DW_CFA_same_value, 6), ROWS({0, SP(1)})},
	{"undefined", BYTES(DW_CFA_undefined, 6), ROWS({0, SP(1), ROW_FP_LOST})},
	{"register", BYTES(DW_CFA_register, 6, 12), ROWS({0, SP(1), ROW_FP_LOST})},
	{"val_offset", BYTES(DW_CFA_val_offset, 6, 2), ROWS({0, SP(1), ROW_FP_LOST})},
	{"val_offset_sf", BYTES(DW_CFA_val_offset_sf, 6, 0x7e), ROWS({0, SP(1), ROW_FP_LOST})},
	{"restore", BYTES(OFFSET(6), 2, ADVANCE(1), RESTORE(6)), ROWS({0, SP(1), -2}, {1, SP(1)})},
	{"restore_extended", BYTES(OFFSET(6), 2, ADVANCE(1), DW_CFA_restore_extended, 6),
	 ROWS({0, SP(1), -2}, {1, SP(1)})},
	{"remember_state, restore_state",
	 BYTES(OFFSET(6), 2, DW_CFA_def_cfa, 6, 16, DW_CFA_remember_state, ADVANCE(1), RESTORE(6),
	       DW_CFA_def_cfa, 7, 8, DW_CFA_remember_state, ADVANCE(1), DW_CFA_def_cfa_offset, 32,
	       ADVANCE(1), DW_CFA_restore_state, ADVANCE(1), DW_CFA_restore_state),
	 ROWS({0, FP(2), -2}, {1, SP(1)}, {2, SP(4)}, {3, SP(1)}, {4, FP(2), -2})},
	{"GNU_args_size", BYTES(DW_CFA_GNU_args_size, 0x90, 1, ADVANCE(1), OFFSET(6), 2),
	 ROWS({0, SP(1)}, {1, SP(1), -2})},
};

static const struct program x86_return_address[] = {
	{"undefined", BYTES(DW_CFA_undefined, 16), ROWS({0, SPECIAL(ROW_STOP)})},
	{"undefined, CFA unsupported", BYTES(DW_CFA_undefined, 16, DW_CFA_def_cfa, 10, 8),
	 ROWS({0, SPECIAL(ROW_STOP)})},
	{"elsewhere in memory", BYTES(OFFSET(16), 2), ROWS({0, UNSUPPORTED})},
	{"in a register", BYTES(DW_CFA_register, 16, 5), ROWS({0, UNSUPPORTED})},
	{"restored", BYTES(OFFSET(16), 2, ADVANCE(9), RESTORE(16)),
	 ROWS({0, UNSUPPORTED}, {9, SP(1)})},
	{"lost with the frame pointer", BYTES(DW_CFA_same_value, 16, OFFSET(6), 2),
	 ROWS({0, UNSUPPORTED})},
};

static const struct program x86_expression[] = {
	{"PLT, 11", BYTES(PLT(DW_OP_lit11)), ROWS({0, SPECIAL(ROW_PLT11)})},
	{"PLT, 10", BYTES(PLT(DW_OP_lit10)), ROWS({0, SPECIAL(ROW_PLT10)})},
	{"PLT, 9", BYTES(PLT(DW_OP_lit9)), ROWS({0, UNSUPPORTED})},
	{"as linkers write .plt",
	 BYTES(DW_CFA_def_cfa_offset, 16, ADVANCE(6), DW_CFA_def_cfa_offset, 24, ADVANCE(10),
	       PLT(DW_OP_lit11)),
	 ROWS({0, SP(2)}, {6, SP(3)}, {16, SPECIAL(ROW_PLT11)})},
	{"fp - 8, deref", BYTES(DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x78, DW_OP_deref),
	 ROWS({0, ROW_DEREF_CFA(1, -1, 0)})},
	{"sp + 160, deref", BYTES(DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 0xa0, 1, DW_OP_deref),
	 ROWS({0, ROW_DEREF_CFA(0, 20, 0)})},
	{"sp + 8, deref, + 8",
	 BYTES(DW_CFA_def_cfa_expression, 5, DW_OP_breg7, 8, DW_OP_deref, DW_OP_plus_uconst, 8),
	 ROWS({0, ROW_DEREF_CFA(0, 1, 1)})},
	{"the largest",
	 BYTES(DW_CFA_def_cfa_expression, 6, DW_OP_breg7, 0xf8, 0x3f, DW_OP_deref,
	       DW_OP_plus_uconst, 24),
	 ROWS({0, ROW_DEREF_CFA(0, 1023, 3)})},
	{"the lowest", BYTES(DW_CFA_def_cfa_expression, 4, DW_OP_breg6, 0x80, 0x40, DW_OP_deref),
	 ROWS({0, ROW_DEREF_CFA(1, -1024, 0)})},
	{"too large", BYTES(DW_CFA_def_cfa_expression, 5, DW_OP_breg7, 0x80, 0xc0, 0, DW_OP_deref),
	 ROWS({0, UNSUPPORTED})},
	{"too much to add",
	 BYTES(DW_CFA_def_cfa_expression, 5, DW_OP_breg7, 8, DW_OP_deref, DW_OP_plus_uconst, 32),
	 ROWS({0, UNSUPPORTED})},
	{"another register", BYTES(DW_CFA_def_cfa_expression, 3, DW_OP_breg3, 8, DW_OP_deref),
	 ROWS({0, UNSUPPORTED})},
	{"no deref", BYTES(DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 8, DW_OP_plus_uconst, 24),
	 ROWS({0, SP(4)})},
	{"no deref, too large",
	 BYTES(DW_CFA_def_cfa_expression, 13, DW_OP_breg7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	       0xff, 0xff, 0, DW_OP_plus_uconst, 1),
	 ROWS({0, UNSUPPORTED})},
	{"deref twice",
	 BYTES(DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 8, DW_OP_deref, DW_OP_deref),
	 ROWS({0, UNSUPPORTED})},
	{"empty", BYTES(DW_CFA_def_cfa_expression, 0), ROWS({0, UNSUPPORTED})},
	{"cut off", BYTES(DW_CFA_def_cfa_expression, 1, DW_OP_breg7), ROWS({0, UNSUPPORTED})},
	{"an end to it", BYTES(PLT(DW_OP_lit11), ADVANCE(32), DW_CFA_def_cfa, 7, 8),
	 ROWS({0, SPECIAL(ROW_PLT11)}, {32, SP(1)})},
	{"the register and offset from before",
	 BYTES(DW_CFA_def_cfa, 6, 16, DW_CFA_def_cfa_expression, 0, ADVANCE(1),
	       DW_CFA_def_cfa_register, 7),
	 ROWS({0, UNSUPPORTED}, {1, SP(2)})},
	{"an offset for later",
	 BYTES(PLT(DW_OP_lit11), DW_CFA_def_cfa_offset, 24, ADVANCE(1), DW_CFA_def_cfa_register, 7),
	 ROWS({0, SPECIAL(ROW_PLT11)}, {1, SP(3)})},
	{"fp where fp points", BYTES(DW_CFA_expression, 6, 2, DW_OP_breg6, 0),
	 ROWS({0, SP(1), ROW_FP_AT_FP})},
	{"fp elsewhere", BYTES(DW_CFA_expression, 6, 2, DW_OP_breg6, 8),
	 ROWS({0, SP(1), ROW_FP_LOST})},
	{"another one where fp points", BYTES(DW_CFA_expression, 3, 2, DW_OP_breg6, 0),
	 ROWS({0, SP(1)})},
	{"val_expression", BYTES(DW_CFA_val_expression, 6, 2, DW_OP_breg6, 0),
	 ROWS({0, SP(1), ROW_FP_LOST})},
	{"return address by expression", BYTES(DW_CFA_expression, 16, 2, DW_OP_breg7, 0),
	 ROWS({0, UNSUPPORTED})},
};

#define SAVED(saved, offset) ROW_SAVED(ROW_SAVED_##saved, offset)

/* Code comes in units of 4 bytes. */
static const struct program arm64_program[] = {
	{"nothing", BYTES(DW_CFA_nop), ROWS({0, SP(0)})},
	{"a frame",
	 BYTES(ADVANCE(1), DW_CFA_def_cfa_offset, 48, OFFSET(29), 6, OFFSET(30), 5, ADVANCE(1),
	       DW_CFA_def_cfa_register, 29, ADVANCE(2), DW_CFA_def_cfa, 31, 0, RESTORE(29),
	       RESTORE(30)),
	 ROWS({0, SP(0)}, {4, SP(6), SAVED(PAIR, -6)}, {8, FP(6), SAVED(PAIR, -6)}, {16, SP(0)})},
	{"the return address alone", BYTES(DW_CFA_def_cfa_offset, 16, OFFSET(30), 2),
	 ROWS({0, SP(2), SAVED(LR, -2)})},
	{"fp, but no pair", BYTES(OFFSET(29), 2, OFFSET(30), 4),
	 ROWS({0, SP(0), SAVED(FP_LOST, -4)})},
	{"fp lost", BYTES(DW_CFA_undefined, 29, OFFSET(30), 4),
	 ROWS({0, SP(0), SAVED(FP_LOST, -4)})},
	{"fp alone", BYTES(OFFSET(29), 2), ROWS({0, UNSUPPORTED})},
	{"in another register", BYTES(DW_CFA_register, 30, 9), ROWS({0, UNSUPPORTED})},
	{"undefined", BYTES(DW_CFA_undefined, 30), ROWS({0, SPECIAL(ROW_STOP)})},
	{"signed, twice", BYTES(0x2d, ADVANCE(1), OFFSET(29), 2, OFFSET(30), 1, 0x2c),
	 ROWS({0, SP(0)}, {4, SP(0), SAVED(PAIR, -2)})},
	{"the lowest", BYTES(OFFSET(30), 0x80, 0x40), ROWS({0, SP(0), SAVED(LR, -8192)})},
	{"the lowest pair", BYTES(OFFSET(30), 0xff, 0x3f, OFFSET(29), 0x80, 0x40),
	 ROWS({0, SP(0), SAVED(PAIR, -8192)})},
	{"too low", BYTES(OFFSET(30), 0x81, 0x40), ROWS({0, UNSUPPORTED})},
	{"deref", BYTES(DW_CFA_def_cfa_expression, 3, DW_OP_breg29, 8, DW_OP_deref),
	 ROWS({0, ROW_DEREF_CFA(1, 1, 0)})},
	{"x86-64's PLT", BYTES(PLT(DW_OP_lit11)), ROWS({0, UNSUPPORTED})},
	{"x86-64's stack pointer", BYTES(DW_CFA_def_cfa, 7, 8), ROWS({0, UNSUPPORTED})},
};

static void assert_programs(bool is_arm64, const struct program *program, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		assert_program(is_arm64, &program[i]);
}

static void test_instructions(void **state)
{
	(void)state;
	assert_programs(false, x86_location, ARRAY_SIZE(x86_location));
	assert_programs(false, x86_cfa, ARRAY_SIZE(x86_cfa));
	assert_programs(false, x86_register, ARRAY_SIZE(x86_register));
	assert_programs(false, x86_return_address, ARRAY_SIZE(x86_return_address));
	assert_programs(false, x86_expression, ARRAY_SIZE(x86_expression));
}

static void test_arm64(void **state)
{
	(void)state;
	assert_programs(true, arm64_program, ARRAY_SIZE(arm64_program));
}

static void test_set_loc(void **state)
{
	struct image image = {0};
	size_t cie, start;

	(void)state;
	cie = bytes_cie(&image.eh_frame, false, PCREL4);
	start = bytes_begin(&image.eh_frame, (uint32_t)(image.eh_frame.nr + 4 - cie));
	bytes_number(&image.eh_frame, CFI_CODE - (CFI_EH_FRAME + image.eh_frame.nr), 4);
	bytes_number(&image.eh_frame, 64, 4);
	PUT(&image.eh_frame, 0, DW_CFA_set_loc);
	bytes_number(&image.eh_frame, CFI_CODE + 17 - (CFI_EH_FRAME + image.eh_frame.nr), 4);
	PUT(&image.eh_frame, DW_CFA_def_cfa_offset, 24);
	bytes_end(&image.eh_frame, start);
	image_assert_rows(&image, ROWS({0, SP(1)}, {17, SP(3)}, {64, NONE}));
	image_release(&image);
}

static void test_counts(void **state)
{
	struct image image = {0};
	struct cfi_table table;
	size_t cie;

	(void)state;
	cie = bytes_cie(&image.eh_frame, false, PCREL4);
	bytes_fde(&image.eh_frame, cie, 0, 64,
		  BYTES(OFFSET(6), 0, ADVANCE(1), DW_CFA_def_cfa, 3, 8, ADVANCE(1), DW_CFA_def_cfa,
			7, 16, ADVANCE(1), DW_CFA_undefined, 16));
	bytes_fde(&image.eh_frame, cie, 128, 64,
		  BYTES(PLT(DW_OP_lit10), OFFSET(6), 0, ADVANCE(3), DW_CFA_def_cfa, 3, 8));
	bytes_fde(&image.eh_frame, cie, 256, 64, BYTES(0x3f));
	image_read(&image, &table);
	assert_int_equal(table.stats.functions, 2);
	assert_int_equal(table.stats.unsupported, 2);
	assert_int_equal(table.stats.fp_lost, 3);
	assert_int_equal(table.stats.malformed, 1);
	cfi_release(&table);
	image_release(&image);
}

/* --- instructions that are malformed ------------------------------------------------------------ */

#define NOT_AT_ALL NULL, 0

/* Each of them leaves its function out. */
static const struct program malformed_program[] = {
	{"restore_state alone", BYTES(DW_CFA_restore_state), NOT_AT_ALL},
	{"restore_state twice",
	 BYTES(DW_CFA_remember_state, DW_CFA_restore_state, DW_CFA_restore_state), NOT_AT_ALL},
	{"no such instruction", BYTES(0x3f), NOT_AT_ALL},
	{"another machine's", BYTES(DW_CFA_AARCH64_negate_ra_state), NOT_AT_ALL},
	{"after some rows",
	 BYTES(DW_CFA_def_cfa_offset, 32, ADVANCE(1), OFFSET(6), 2, ADVANCE(1), 0x3f), NOT_AT_ALL},
	{"backwards", BYTES(ADVANCE(1), DW_CFA_set_loc, 0, 0, 0, 0), NOT_AT_ALL},
	{"a number of 65 bits",
	 BYTES(DW_CFA_def_cfa_offset, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2),
	 NOT_AT_ALL},
	{"a number of 77 bits",
	 BYTES(DW_CFA_def_cfa_offset, 0x88, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
	       0),
	 NOT_AT_ALL},
	{"a signed number of 65 bits",
	 BYTES(DW_CFA_def_cfa_offset_sf, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1),
	 NOT_AT_ALL},
	{"an expression that does not end", BYTES(DW_CFA_def_cfa_expression, 100, DW_OP_breg7, 8),
	 NOT_AT_ALL},
	{"an expression of 2^64 - 1 bytes",
	 BYTES(DW_CFA_expression, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
	 NOT_AT_ALL},
};

/* Instructions whose operands are not there. */
static const unsigned char cut_off[][3] = {
	{DW_CFA_set_loc, 0, 0},
	{DW_CFA_nop, DW_CFA_nop, DW_CFA_advance_loc1},
	{DW_CFA_nop, DW_CFA_advance_loc2, 1},
	{DW_CFA_advance_loc4, 1, 0},
	{DW_CFA_MIPS_advance_loc8, 1, 0},
	{DW_CFA_nop, DW_CFA_nop, DW_CFA_def_cfa},
	{DW_CFA_nop, DW_CFA_def_cfa, 7},
	{DW_CFA_def_cfa, 7, 0x80},
	{DW_CFA_nop, DW_CFA_def_cfa_sf, 7},
	{DW_CFA_nop, DW_CFA_nop, DW_CFA_def_cfa_register},
	{DW_CFA_nop, DW_CFA_nop, DW_CFA_def_cfa_offset},
	{DW_CFA_nop, DW_CFA_nop, DW_CFA_def_cfa_offset_sf},
	{DW_CFA_def_cfa_expression, 2, DW_OP_breg7},
	{DW_CFA_nop, DW_CFA_expression, 6},
	{DW_CFA_nop, DW_CFA_val_expression, 6},
	{DW_CFA_nop, DW_CFA_nop, OFFSET(6)},
	{DW_CFA_nop, DW_CFA_offset_extended, 6},
	{DW_CFA_nop, DW_CFA_offset_extended_sf, 6},
	{DW_CFA_nop, DW_CFA_GNU_negative_offset_extended, 6},
	{DW_CFA_nop, DW_CFA_nop, DW_CFA_restore_extended},
	{DW_CFA_nop, DW_CFA_nop, DW_CFA_undefined},
	{DW_CFA_nop, DW_CFA_nop, DW_CFA_same_value},
	{DW_CFA_nop, DW_CFA_register, 6},
	{DW_CFA_nop, DW_CFA_val_offset, 6},
	{DW_CFA_nop, DW_CFA_val_offset_sf, 6},
	{DW_CFA_nop, DW_CFA_nop, DW_CFA_GNU_args_size},
};

/* Between two others, which stay. */
static void assert_left_out(const char *name, const void *code, size_t nr)
{
	struct image image = {0};
	struct cfi_table table;
	size_t cie = bytes_cie(&image.eh_frame, false, PCREL4);

	bytes_fde(&image.eh_frame, cie, 0, 64, BYTES(DW_CFA_nop));
	bytes_fde(&image.eh_frame, cie, 64, 64, code, nr);
	bytes_fde(&image.eh_frame, cie, 128, 64, BYTES(DW_CFA_def_cfa_offset, 16));
	if (!image_has_rows(&image, ROWS({0, SP(1)}, {64, NONE}, {128, SP(2)}, {192, NONE})))
		fail_msg("%s", name);
	image_read(&image, &table);
	assert_int_equal(table.stats.functions, 2);
	assert_int_equal(table.stats.malformed, 1);
	cfi_release(&table);
	image_release(&image);
}

static void test_malformed_instructions(void **state)
{
	unsigned char many[33];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(malformed_program); i++)
		assert_left_out(malformed_program[i].name, malformed_program[i].code,
				malformed_program[i].nr);
	for (size_t i = 0; i < ARRAY_SIZE(cut_off); i++) {
		/* as many as need no padding, so that nothing follows */
		unsigned char code[7] = {0};

		memcpy(code + 4, cut_off[i], sizeof(cut_off[i]));
		assert_left_out("cut off", code, sizeof(code));
	}
	memset(many, DW_CFA_remember_state, sizeof(many));
	assert_left_out("remembers too much", many, sizeof(many));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_instructions),
		cmocka_unit_test(test_arm64),
		cmocka_unit_test(test_set_loc),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_malformed_instructions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
