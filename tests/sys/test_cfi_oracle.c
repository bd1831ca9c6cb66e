/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unwind tables of the system's own files, every row, against libdw: what both say of a pc is worked out with the same
 * made-up registers and memory, and must come to the same numbers.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <gelf.h>
#include <glob.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "array.h"
#include "cfi.h"

#define MAX_STACK 16
#define PADDING_BYTES 16
#define ENTRY_POINT_BYTES 256
#define MAX_SHOWN 7

static const uint64_t sp_value = 0x7ffc12345670, fp_value = 0x7ffd8765a7c0;

/* Any function will do: where something is read from is what matters. */
static uint64_t memory_at(uint64_t address)
{
	return (address ^ 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
}

enum where {
	NOWHERE,
	SAME,
	MEMORY,
	OTHER
};

/* Where a register of the caller is. */
struct place {
	enum where where;
	uint64_t address;
};

struct answer {
	bool covered, is_signal, has_cfa;
	uint64_t cfa;
	struct place fp, ra;
};

struct machine {
	bool is_arm64;
	uint64_t sp, fp, ra;
};

static const struct machine x86 = {false, 7, 6, 16};
static const struct machine arm64 = {true, 31, 29, 30};

struct file {
	Elf *elf;
	Dwarf_CFI *cfi;
	uint64_t entry;
	const struct machine *machine;
	struct cfi_table table;
	unsigned long compared, unsupported, padding, wrong;
};

/* --- libdw's answer ----------------------------------------------------------------------------- */

struct evaluation {
	const struct machine *machine;
	uint64_t pc, cfa;
	uint64_t stack[MAX_STACK];
	size_t depth;
};

static bool push(struct evaluation *on, uint64_t value)
{
	if (on->depth == MAX_STACK)
		return false;
	on->stack[on->depth++] = value;
	return true;
}

static bool push_register(struct evaluation *on, uint64_t reg, uint64_t offset)
{
	if (reg == on->machine->sp)
		return push(on, sp_value + offset);
	if (reg == on->machine->fp)
		return push(on, fp_value + offset);
	if (reg == 16 && !on->machine->is_arm64)
		return push(on, on->pc + offset);
	return false;
}

static bool apply_two(struct evaluation *on, const Dwarf_Op *op)
{
	uint64_t a, b;

	if (on->depth < 2)
		return false;
	b = on->stack[--on->depth];
	a = on->stack[--on->depth];
	switch (op->atom) {
	case DW_OP_plus:
		return push(on, a + b);
	case DW_OP_and:
		return push(on, a & b);
	case DW_OP_ge:
		return push(on, (int64_t)a >= (int64_t)b);
	case DW_OP_shl:
		return push(on, a << b);
	default:
		return false;
	}
}

static bool apply(struct evaluation *on, const Dwarf_Op *op)
{
	if (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31)
		return push_register(on, op->atom - DW_OP_breg0, op->number);
	if (op->atom >= DW_OP_lit0 && op->atom <= DW_OP_lit31)
		return push(on, op->atom - DW_OP_lit0);
	switch (op->atom) {
	case DW_OP_bregx:
		return push_register(on, op->number, op->number2);
	case DW_OP_call_frame_cfa:
		return push(on, on->cfa);
	case DW_OP_plus_uconst:
		if (!on->depth)
			return false;
		on->stack[on->depth - 1] += op->number;
		return true;
	case DW_OP_deref:
		if (!on->depth)
			return false;
		on->stack[on->depth - 1] = memory_at(on->stack[on->depth - 1]);
		return true;
	default:
		return apply_two(on, op);
	}
}

/* false: it needs what nobody made up. */
static bool evaluate(struct evaluation *on, const Dwarf_Op *op, size_t nr, uint64_t *out)
{
	on->depth = 0;
	for (size_t i = 0; i < nr; i++) {
		if (!apply(on, &op[i]))
			return false;
	}
	if (!on->depth)
		return false;
	*out = on->stack[on->depth - 1];
	return true;
}

static struct place ask_register(struct evaluation *on, Dwarf_Frame *frame, uint64_t reg)
{
	struct place place = {.where = OTHER};
	Dwarf_Op memory[3], *op;
	size_t nr;

	assert_int_equal(dwarf_frame_register(frame, (int)reg, memory, &op, &nr), 0);
	if (!nr)
		place.where = op ? NOWHERE : SAME;
	else if (evaluate(on, op, nr, &place.address))
		place.where = MEMORY;
	return place;
}

static struct answer ask_frame(const struct file *file, Dwarf_Frame *frame, uint64_t pc)
{
	struct evaluation on = {.machine = file->machine, .pc = pc};
	struct answer answer = {.covered = true};
	Dwarf_Op *op;
	size_t nr;

	(void)dwarf_frame_info(frame, NULL, NULL, &answer.is_signal);
	if (!dwarf_frame_cfa(frame, &op, &nr) && nr)
		answer.has_cfa = evaluate(&on, op, nr, &answer.cfa);
	on.cfa = answer.cfa;
	answer.fp = ask_register(&on, frame, file->machine->fp);
	answer.ra = ask_register(&on, frame, file->machine->ra);
	return answer;
}

/* --- the row's answer --------------------------------------------------------------------------- */

static uint64_t cfa_of_row(const struct unwind_row *row, uint64_t pc)
{
	uint64_t words = ROW_VALUE(row->cfa), from;

	switch (ROW_KIND(row->cfa)) {
	case ROW_SP:
		return sp_value + 8 * words;
	case ROW_FP:
		return fp_value + 8 * words;
	case ROW_DEREF:
		from = ROW_DEREF_ON_FP(row->cfa) ? fp_value : sp_value;
		return memory_at(from + 8 * (uint64_t)(int64_t)ROW_DEREF_OFFSET(row->cfa)) +
		       8 * ROW_DEREF_ADD(row->cfa);
	default:
		return sp_value + 8 + ((pc & 15) >= (words == ROW_PLT11 ? 11u : 10u) ? 8u : 0u);
	}
}

static struct place saved_at(uint64_t cfa, int words)
{
	return (struct place){.where = MEMORY, .address = cfa + 8 * (uint64_t)(int64_t)words};
}

static void x86_answer(const struct unwind_row *row, struct answer *answer)
{
	answer->ra = saved_at(answer->cfa, -1);
	if (row->fp < 0)
		answer->fp = saved_at(answer->cfa, row->fp);
	else if (row->fp == ROW_FP_AT_FP)
		answer->fp = (struct place){.where = MEMORY, .address = fp_value};
	else
		answer->fp.where = row->fp == ROW_FP_SAME ? SAME : NOWHERE;
}

static void arm64_answer(const struct unwind_row *row, struct answer *answer)
{
	int offset = ROW_SAVED_OFFSET(row->fp);

	switch (ROW_SAVED_KIND(row->fp)) {
	case ROW_SAVED_NONE:
		answer->fp.where = answer->ra.where = SAME;
		break;
	case ROW_SAVED_PAIR:
		answer->fp = saved_at(answer->cfa, offset);
		answer->ra = saved_at(answer->cfa, offset + 1);
		break;
	case ROW_SAVED_LR:
		answer->fp.where = SAME;
		answer->ra = saved_at(answer->cfa, offset);
		break;
	default:
		answer->fp.where = NOWHERE;
		answer->ra = saved_at(answer->cfa, offset);
	}
}

static bool same_place(const struct place *row, const struct place *libdw)
{
	/* lost: the row says no more than that it is not where rows can tell */
	if (row->where == NOWHERE)
		return libdw->where == NOWHERE || libdw->where == OTHER;
	return row->where == libdw->where &&
	       (row->where != MEMORY || row->address == libdw->address);
}

static bool is_near(uint64_t cfa, uint64_t value)
{
	return cfa >= value && cfa - value < 8 * 16384 && (cfa - value) % 8 == 0;
}

/* That no row could have held what libdw says; only the simplest rules are looked at. */
static bool is_beyond_rows(const struct file *file, const struct answer *libdw)
{
	bool known_cfa =
		libdw->has_cfa && (is_near(libdw->cfa, sp_value) || is_near(libdw->cfa, fp_value));
	bool known_ra = libdw->ra.where == MEMORY && libdw->ra.address == libdw->cfa - 8;
	bool untouched =
		file->machine->is_arm64 && libdw->ra.where == SAME && libdw->fp.where == SAME;

	if (!libdw->covered || libdw->is_signal || libdw->ra.where == NOWHERE)
		return false;
	return !known_cfa || !(known_ra || untouched);
}

static bool is_entry_point(const struct file *file, uint64_t pc)
{
	return pc >= file->entry && pc - file->entry < ENTRY_POINT_BYTES;
}

static bool agree(const struct file *file, const struct unwind_row *row, uint64_t pc,
		  const struct answer *libdw)
{
	struct answer answer = {.cfa = cfa_of_row(row, pc)};

	if (ROW_KIND(row->cfa) == ROW_SPECIAL) {
		switch (ROW_VALUE(row->cfa)) {
		case ROW_NONE:
			return !libdw->covered;
		case ROW_STOP:
			return libdw->covered ? libdw->ra.where == NOWHERE
					      : is_entry_point(file, pc);
		case ROW_SIGNAL:
			return libdw->is_signal;
		case ROW_PLT11:
		case ROW_PLT10:
			break;
		default:
			return is_beyond_rows(file, libdw);
		}
	}
	if (file->machine->is_arm64)
		arm64_answer(row, &answer);
	else
		x86_answer(row, &answer);
	return libdw->covered && !libdw->is_signal && libdw->has_cfa && libdw->cfa == answer.cfa &&
	       same_place(&answer.fp, &libdw->fp) && same_place(&answer.ra, &libdw->ra);
}

static void compare(struct file *file, const struct unwind_row *row, uint64_t pc,
		    const struct answer *libdw)
{
	file->compared++;
	if (agree(file, row, pc, libdw))
		return;
	if (file->wrong++ < MAX_SHOWN)
		print_message("# at %#" PRIx64 ": row %#x %d; libdw: covered %d, signal %d, cfa %d "
			      "%#" PRIx64 ", fp %d %#" PRIx64 ", ra %d %#" PRIx64 "\n",
			      pc, row->cfa, row->fp, libdw->covered, libdw->is_signal,
			      libdw->has_cfa, libdw->cfa, libdw->fp.where, libdw->fp.address,
			      libdw->ra.where, libdw->ra.address);
}

/* --- every row ---------------------------------------------------------------------------------- */

static bool is_plt(const struct unwind_row *row)
{
	return row->cfa == ROW_CFA(ROW_SPECIAL, ROW_PLT11) ||
	       row->cfa == ROW_CFA(ROW_SPECIAL, ROW_PLT10);
}

/* What libdw says of pc and of what follows, up to where it says something else. Returns that place. */
static uint64_t compare_interval(struct file *file, const struct unwind_row *row, uint64_t pc,
				 uint64_t end, Dwarf_Frame *frame)
{
	struct answer answer = ask_frame(file, frame, pc);
	Dwarf_Addr frame_end;

	(void)dwarf_frame_info(frame, NULL, &frame_end, NULL);
	if (frame_end < end)
		end = frame_end;
	compare(file, row, pc, &answer);
	/* the only rule that looks at the pc, in stubs of 16 bytes */
	for (uint64_t at = pc + 1; is_plt(row) && at < end && at < pc + 32; at++) {
		answer = ask_frame(file, frame, at);
		compare(file, row, at, &answer);
	}
	return end;
}

static void compare_row(struct file *file, size_t i)
{
	const struct unwind_row *row = &file->table.row[i];
	uint64_t pc = file->table.base + row->pc, end = pc + 1;
	struct answer nothing = {0};
	unsigned int bare = 0;
	Dwarf_Frame *frame;

	file->unsupported += row->cfa == ROW_CFA(ROW_SPECIAL, ROW_UNSUPPORTED);
	if (i + 1 < file->table.nr)
		end = file->table.base + row[1].pc;
	while (pc < end) {
		if (!dwarf_cfi_addrframe(file->cfi, pc, &frame)) {
			pc = compare_interval(file, row, pc, end, frame);
			free(frame);
			bare = 0;
		} else if (pc == file->table.base + row->pc) {
			/* then on to its last byte; that no function is in between, their number tells */
			compare(file, row, pc, &nothing);
			pc = pc < end - 1 ? end - 1 : end;
		} else {
			file->padding++;
			if (++bare >= PADDING_BYTES)
				compare(file, row, pc, &nothing);
			pc++;
		}
	}
}

static Elf_Data *eh_frame_of(Elf *elf)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	size_t names;

	assert_int_equal(elf_getshdrstrndx(elf, &names), 0);
	while ((scn = elf_nextscn(elf, scn))) {
		assert_non_null(gelf_getshdr(scn, &shdr));
		if (!strcmp(elf_strptr(elf, names, shdr.sh_name), ".eh_frame"))
			return elf_getdata(scn, NULL);
	}
	fail_msg("no .eh_frame");
	return NULL;
}

static unsigned long count_functions(Elf *elf)
{
	const unsigned char *ident = (const unsigned char *)elf_getident(elf, NULL);
	Elf_Data *data = eh_frame_of(elf);
	Dwarf_CFI_Entry entry;
	Dwarf_Off at = 0, next;
	unsigned long nr = 0;

	while (dwarf_next_cfi(ident, data, true, at, &next, &entry) == 0) {
		nr += !dwarf_cfi_cie_p(&entry);
		at = next;
	}
	return nr;
}

static void compare_file(const char *path)
{
	struct file file = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	GElf_Ehdr header;

	assert_true(fd >= 0);
	(void)elf_version(EV_CURRENT);
	file.elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	assert_non_null(gelf_getehdr(file.elf, &header));
	file.cfi = dwarf_getcfi_elf(file.elf);
	assert_non_null(file.cfi);
	file.entry = header.e_entry;
	file.machine = header.e_machine == EM_AARCH64 ? &arm64 : &x86;
	assert_int_equal(cfi_read_file(fd, &file.table), 0);
	for (size_t i = 0; i < file.table.nr; i++)
		compare_row(&file, i);
	print_message("# %s: %zu rows, %lu times compared, %lu bytes of padding, %lu unsupported\n",
		      path, file.table.nr, file.compared, file.padding, file.unsupported);
	assert_int_equal(file.wrong, 0);
	assert_int_equal(file.table.stats.functions, count_functions(file.elf));
	assert_int_equal(file.table.stats.malformed, 0);
	assert_int_equal(file.table.stats.unsupported, file.unsupported);
	assert_true(file.unsupported * 50 < file.table.nr);
	cfi_release(&file.table);
	dwarf_cfi_end(file.cfi);
	(void)elf_end(file.elf);
	(void)close(fd);
}

/* --- the files ---------------------------------------------------------------------------------- */

static bool compare_first(const char *const *pattern)
{
	bool found = false;
	glob_t paths;

	for (; *pattern && !found; pattern++) {
		if (glob(*pattern, 0, NULL, &paths))
			continue;
		compare_file(paths.gl_pathv[0]);
		globfree(&paths);
		found = true;
	}
	return found;
}

static const char *const c_library[] = {"/lib/*-linux-gnu/libc.so.6", "/lib64/libc.so.6", NULL};
static const char *const loader[] = {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1",
				     NULL};
static const char *const cxx_library[] = {"/usr/lib/*-linux-gnu/libstdc++.so.6",
					  "/usr/lib64/libstdc++.so.6", NULL};
static const char *const crypto_library[] = {"/usr/lib/*-linux-gnu/libcrypto.so.3",
					     "/usr/lib64/libcrypto.so.3", NULL};
static const char *const llvm_library[] = {"/usr/lib/*-linux-gnu/libLLVM-14.so.1",
					   "/usr/lib/*-linux-gnu/libLLVM*.so*",
					   "/usr/lib64/libLLVM*.so*", NULL};
static const char *const python[] = {"/usr/bin/python3.11", "/usr/lib64/libpython3*.so.1.0",
				     "/usr/bin/python3.[0-9]*[0-9]", NULL};
static const char *const cross_c_library[] = {"/usr/aarch64-linux-gnu/lib/libc.so.6", NULL};
static const char *const cross_cxx_library[] = {"/usr/aarch64-linux-gnu/lib/libstdc++.so.6", NULL};

static void test_always_there(void **state)
{
	(void)state;
	assert_true(compare_first(c_library));
	assert_true(compare_first(loader));
}

static void test_if_installed(void **state)
{
	static const char *const *const file[] = {cxx_library, crypto_library,	llvm_library,
						  python,      cross_c_library, cross_cxx_library};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(file); i++) {
		if (!compare_first(file[i]))
			print_message("# not here: %s\n", file[i][0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_always_there),
		cmocka_unit_test(test_if_installed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
