/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cfi_rules.h"

#include <dwarf.h>

#define WORD 8
#define X86_RSP 7
#define X86_RIP 16
#define ARM64_SP 31
#define MAX_CFA_WORDS 16383
#define MIN_FP_WORDS INT16_MIN
#define MIN_DEREF_WORDS (-1024)
#define MAX_DEREF_WORDS 1023
#define MAX_DEREF_ADD_WORDS 3
#define MIN_SAVED_WORDS (-8192)
#define MAX_SAVED_WORDS 8191
#define X86_RETURN_ADDRESS_OFFSET (-WORD)

static uint64_t stack_pointer(bool is_arm64)
{
	return is_arm64 ? ARM64_SP : X86_RSP;
}

/* false: not a whole number of words, or not so many. */
static bool to_words(int64_t offset, int64_t min, int64_t max, int64_t *words)
{
	*words = offset / WORD;
	return offset % WORD == 0 && *words >= min && *words <= max;
}

static uint16_t cfa_of_register(bool is_arm64, uint64_t reg, int64_t offset)
{
	int64_t words;

	if (to_words(offset, 0, MAX_CFA_WORDS, &words)) {
		if (reg == stack_pointer(is_arm64))
			return ROW_CFA(ROW_SP, words);
		if (reg == cfi_frame_pointer(is_arm64))
			return ROW_CFA(ROW_FP, words);
	}
	return ROW_CFA(ROW_SPECIAL, ROW_UNSUPPORTED);
}

static uint16_t row_cfa_of(bool is_arm64, const struct cfi_cfa *cfa)
{
	switch (cfa->kind) {
	case CFI_CFA_REGISTER:
		return cfa_of_register(is_arm64, cfa->reg, cfa->offset);
	case CFI_CFA_EXPRESSION:
		return cfa->row_cfa;
	default:
		return ROW_CFA(ROW_SPECIAL, ROW_UNSUPPORTED);
	}
}

static int16_t x86_row_fp_of(const struct cfi_rule *fp)
{
	int64_t words;

	switch (fp->where) {
	case CFI_UNSAID:
	case CFI_SAME:
		return ROW_FP_SAME;
	case CFI_AT_CFA:
		return to_words(fp->offset, MIN_FP_WORDS, -1, &words) ? (int16_t)words
								      : ROW_FP_LOST;
	case CFI_AT_FP:
		return ROW_FP_AT_FP;
	default:
		return ROW_FP_LOST;
	}
}

static bool x86_row_of(const struct cfi_rules *rules, struct cfi_row_rules *row)
{
	if (rules->ra.where != CFI_AT_CFA || rules->ra.offset != X86_RETURN_ADDRESS_OFFSET)
		return false;
	row->fp = x86_row_fp_of(&rules->fp);
	return true;
}

static bool is_untouched(const struct cfi_rule *rule)
{
	return rule->where == CFI_UNSAID || rule->where == CFI_SAME;
}

static bool arm64_row_of(const struct cfi_rules *rules, struct cfi_row_rules *row)
{
	const struct cfi_rule *fp = &rules->fp, *ra = &rules->ra;
	int64_t words, fp_words;

	if (is_untouched(ra) && is_untouched(fp)) {
		row->fp = ROW_SAVED(ROW_SAVED_NONE, 0);
		return true;
	}
	if (ra->where != CFI_AT_CFA ||
	    !to_words(ra->offset, MIN_SAVED_WORDS, MAX_SAVED_WORDS, &words))
		return false;
	if (is_untouched(fp))
		row->fp = ROW_SAVED(ROW_SAVED_LR, words);
	else if (fp->where == CFI_AT_CFA &&
		 to_words(fp->offset, MIN_SAVED_WORDS, MAX_SAVED_WORDS, &fp_words) &&
		 fp_words == words - 1)
		row->fp = ROW_SAVED(ROW_SAVED_PAIR, fp_words);
	else
		row->fp = ROW_SAVED(ROW_SAVED_FP_LOST, words);
	return true;
}

struct cfi_row_rules cfi_row_of(bool is_arm64, const struct cfi_rules *rules)
{
	struct cfi_row_rules row = {.cfa = row_cfa_of(is_arm64, &rules->cfa)};

	if (rules->ra.where == CFI_UNDEFINED)
		return CFI_SPECIAL(ROW_STOP);
	if (row.cfa == ROW_CFA(ROW_SPECIAL, ROW_UNSUPPORTED))
		return row;
	if (is_arm64 ? arm64_row_of(rules, &row) : x86_row_of(rules, &row))
		return row;
	return CFI_SPECIAL(ROW_UNSUPPORTED);
}

/* --- expressions -------------------------------------------------------------------------------- */

/* sp + 8 + ((pc & 15) >= 11 ? 8 : 0), as linkers write it for .plt. */
static const unsigned char plt11[] = {
	DW_OP_breg0 + X86_RSP,
	WORD,
	DW_OP_breg0 + X86_RIP,
	0,
	DW_OP_lit15,
	DW_OP_and,
	DW_OP_lit11,
	DW_OP_ge,
	DW_OP_lit3,
	DW_OP_shl,
	DW_OP_plus,
};

/* The same from 10 on, for stubs that begin with endbr64 or lack a prefix. */
static const unsigned char plt10[] = {
	DW_OP_breg0 + X86_RSP,
	WORD,
	DW_OP_breg0 + X86_RIP,
	0,
	DW_OP_lit15,
	DW_OP_and,
	DW_OP_lit10,
	DW_OP_ge,
	DW_OP_lit3,
	DW_OP_shl,
	DW_OP_plus,
};

static bool is_expression(const struct cfi_cursor *expression, const unsigned char *bytes,
			  size_t nr)
{
	return cfi_left(expression) == nr && !memcmp(expression->at, bytes, nr);
}

/* A register plus an offset, what is there unless deref is false, and a number added to that. */
struct simple_expression {
	uint64_t reg;
	int64_t offset;
	bool deref;
	uint64_t add;
};

static bool parse_simple(struct cfi_cursor cursor, struct simple_expression *out)
{
	unsigned int op = (unsigned int)cfi_number(&cursor, 1);

	*out = (struct simple_expression){0};
	if (op < DW_OP_breg0 || op > DW_OP_breg31)
		return false;
	out->reg = op - DW_OP_breg0;
	out->offset = cfi_sleb(&cursor);
	if (cfi_left(&cursor) && *cursor.at == DW_OP_deref) {
		out->deref = true;
		cursor.at++;
	}
	if (cfi_left(&cursor) && *cursor.at == DW_OP_plus_uconst) {
		cursor.at++;
		out->add = cfi_uleb(&cursor);
	}
	return !cursor.bad && !cfi_left(&cursor);
}

static uint16_t cfa_of_simple(bool is_arm64, const struct simple_expression *simple)
{
	bool on_fp = simple->reg == cfi_frame_pointer(is_arm64);
	int64_t sum, words, add_words;

	if (!simple->deref) {
		if (__builtin_add_overflow(simple->offset, simple->add, &sum))
			return ROW_CFA(ROW_SPECIAL, ROW_UNSUPPORTED);
		return cfa_of_register(is_arm64, simple->reg, sum);
	}
	if ((!on_fp && simple->reg != stack_pointer(is_arm64)) || simple->add > INT64_MAX)
		return ROW_CFA(ROW_SPECIAL, ROW_UNSUPPORTED);
	if (!to_words(simple->offset, MIN_DEREF_WORDS, MAX_DEREF_WORDS, &words) ||
	    !to_words((int64_t)simple->add, 0, MAX_DEREF_ADD_WORDS, &add_words))
		return ROW_CFA(ROW_SPECIAL, ROW_UNSUPPORTED);
	return ROW_DEREF_CFA(on_fp, words, add_words);
}

uint16_t cfi_cfa_of_expression(bool is_arm64, struct cfi_cursor expression)
{
	struct simple_expression simple;

	if (!is_arm64 && is_expression(&expression, plt11, sizeof(plt11)))
		return ROW_CFA(ROW_SPECIAL, ROW_PLT11);
	if (!is_arm64 && is_expression(&expression, plt10, sizeof(plt10)))
		return ROW_CFA(ROW_SPECIAL, ROW_PLT10);
	if (parse_simple(expression, &simple))
		return cfa_of_simple(is_arm64, &simple);
	return ROW_CFA(ROW_SPECIAL, ROW_UNSUPPORTED);
}

struct cfi_rule cfi_rule_of_expression(bool is_arm64, struct cfi_cursor expression)
{
	struct cfi_rule rule = {.where = CFI_ELSEWHERE};
	struct simple_expression simple;

	if (parse_simple(expression, &simple) && !simple.deref && !simple.offset && !simple.add &&
	    simple.reg == cfi_frame_pointer(is_arm64))
		rule.where = CFI_AT_FP;
	return rule;
}
