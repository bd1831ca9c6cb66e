/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "placement.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "placement_insn.h"

#define WALK_MAX_BYTES 64
#define WORD_BYTES 8
#define SP_WORDS_MAX 255 /* what a cookie has room for */

enum {
	ARGUMENT_SIZE,
	ARGUMENT_COUNT,
	ARGUMENT_PTR,
	ARGUMENT_NR
};

/* The state before the instruction at hand. */
struct walk {
	const struct insn_machine *machine;
	csh handle;
	const uint8_t *code;
	size_t nr;
	bool frees; /* no return probe: the stack may have grown, and free(NULL) does not count */

	int entry_reg[ARGUMENT_NR];  /* -1: not wanted */
	uint32_t home[ARGUMENT_NR];  /* registers that hold the argument */
	int64_t sp_bytes;	     /* that the stack has grown by */
	bool zero_is_null;	     /* the last comparison was of the freed pointer with NULL */
	int64_t lowest_target;	     /* of all branches behind the function's start */
	bool lowest_target_is_known; /* looked for at the first site that is not the start */

	struct placement best; /* so far; its `why` gets the first reason against a better one */
};

static const struct insn_machine *machine_of(uint16_t machine)
{
	switch (machine) {
	case EM_X86_64:
		return &insn_machine_x86;
	case EM_AARCH64:
		return &insn_machine_arm64;
	default:
		return NULL;
	}
}

static void refuse(struct walk *walk, const cs_insn *insn, const char *reason)
{
	if (!walk->best.why[0])
		snprintf(walk->best.why, sizeof(walk->best.why), "%s at +%" PRIu64 " (%s)", reason,
			 insn->address, insn->mnemonic);
}

/* The function is decoded from its start to its end, or to where there is no more code. */
static int64_t find_lowest_target(const struct walk *walk, cs_insn *insn)
{
	const uint8_t *code = walk->code;
	size_t nr = walk->nr;
	uint64_t address = 0;
	int64_t target, lowest = INT64_MAX;

	while (cs_disasm_iter(walk->handle, &code, &nr, &address, insn)) {
		if (walk->machine->branch_target(walk->handle, insn, &target) && target > 0 &&
		    target < lowest)
			lowest = target;
	}
	return lowest;
}

static int learn_lowest_target(struct walk *walk)
{
	cs_insn *insn;

	if (walk->lowest_target_is_known)
		return 0;
	insn = cs_malloc(walk->handle);
	if (!insn)
		return -ENOMEM;
	walk->lowest_target = find_lowest_target(walk, insn);
	walk->lowest_target_is_known = true;
	cs_free(insn, 1);
	return 0;
}

/* The entry register while it lasts, otherwise the lowest one. + 1, as in a cookie. */
static uint8_t cookie_register(const struct walk *walk, int which)
{
	int entry = walk->entry_reg[which];

	if (entry < 0)
		return 0;
	if (walk->home[which] & REG_BIT(entry))
		return (uint8_t)(entry + 1);
	return (uint8_t)__builtin_ffs((int)walk->home[which]);
}

/* Why no probe may be set here, given that the instruction itself is right; NULL: it may. */
static const char *objection(const struct walk *walk, const cs_insn *insn)
{
	int i;

	for (i = 0; i < ARGUMENT_NR; i++) {
		if (walk->entry_reg[i] >= 0 && !walk->home[i])
			return "an argument has left its register";
	}
	if (walk->sp_bytes && !(walk->frees && walk->machine->returns_on_stack))
		return "the stack pointer has left the return address";
	if (walk->sp_bytes % WORD_BYTES || walk->sp_bytes < 0 ||
	    walk->sp_bytes > SP_WORDS_MAX * WORD_BYTES)
		return "the stack has an odd size";
	if (walk->lowest_target <= (int64_t)insn->address)
		return "a branch leads into what is skipped";
	return NULL;
}

/* "push r12", "je +0x52": the targets of branches are told from the function's start. */
static void print_instruction(const struct walk *walk, const cs_insn *insn, char *buf, size_t size)
{
	const char *last = strrchr(insn->op_str, ' ');
	int kept = last ? (int)(last + 1 - insn->op_str) : 0;
	int64_t target;

	if (walk->machine->branch_target(walk->handle, insn, &target))
		snprintf(buf, size, "%.15s %.*s%s0x%" PRIx64, insn->mnemonic, kept, insn->op_str,
			 target < 0 ? "-" : "+", target < 0 ? -(uint64_t)target : (uint64_t)target);
	else
		snprintf(buf, size, "%.15s%s%.47s", insn->mnemonic, insn->op_str[0] ? " " : "",
			 insn->op_str);
}

static void take_site(struct walk *walk, const cs_insn *insn)
{
	struct placement *best = &walk->best;

	best->offset = (uint32_t)insn->address;
	best->emulated = walk->machine->is_emulated(insn->bytes, insn->size);
	best->sp_words = (uint8_t)(walk->sp_bytes / WORD_BYTES);
	best->size_reg = cookie_register(walk, ARGUMENT_SIZE);
	best->count_reg = cookie_register(walk, ARGUMENT_COUNT);
	best->ptr_reg = cookie_register(walk, ARGUMENT_PTR);
	print_instruction(walk, insn, best->instruction, sizeof(best->instruction));
}

static bool stores_over_return_address(const struct walk *walk, const struct insn_effect *effect)
{
	int64_t at = effect->store_at - walk->sp_bytes;

	return effect->store_bytes && at < WORD_BYTES && at + effect->store_bytes > 0;
}

static uint32_t home_after(uint32_t home, const struct insn_effect *effect)
{
	uint32_t after = home & ~effect->writes;
	unsigned int i;

	for (i = 0; i < effect->nr_moves; i++) {
		if (home & REG_BIT(effect->move[i].from))
			after |= REG_BIT(effect->move[i].to);
	}
	return after;
}

static void apply(struct walk *walk, const struct insn_effect *effect)
{
	int i;

	if (!effect->keeps_flags || effect->null_tested)
		walk->zero_is_null = walk->home[ARGUMENT_PTR] & effect->null_tested;
	for (i = 0; i < ARGUMENT_NR; i++)
		walk->home[i] = home_after(walk->home[i], effect);
	walk->sp_bytes += effect->sp_bytes;
}

/* A branch that only the calls that do not count, free(NULL), take. */
static bool passes_null(const struct walk *walk, const struct insn_effect *effect)
{
	if (!walk->frees || !effect->leaves_on_zero)
		return false;
	if (effect->null_tested)
		return walk->home[ARGUMENT_PTR] & effect->null_tested;
	return walk->zero_is_null;
}

/* 1: this is the site; 0: it is not; or negative errno. */
static int consider(struct walk *walk, const cs_insn *insn, const struct insn_effect *effect)
{
	const char *against;
	int error;

	if (!effect->emulated || effect->barred)
		return 0;
	error = insn->address ? learn_lowest_target(walk) : 0;
	if (error)
		return error;
	against = objection(walk, insn);
	if (against) {
		refuse(walk, insn, against);
		return 0;
	}
	take_site(walk, insn);
	return 1;
}

/* One instruction. 1: the walk goes on; 0: it has ended; or negative errno. */
static int step(struct walk *walk, const cs_insn *insn)
{
	struct insn_effect effect;
	const char *stop;
	bool passes;
	int taken;

	walk->machine->explain(walk->handle, insn, &effect);
	passes = passes_null(walk, &effect);
	taken = consider(walk, insn, &effect);
	if (taken < 0)
		return taken;
	/* what follows the test for NULL is better, because free(NULL) does not trap there */
	if (taken && !passes)
		return 0;
	stop = passes ? NULL : effect.stop;
	if (!stop && stores_over_return_address(walk, &effect))
		stop = "a store over the return address";
	if (stop) {
		refuse(walk, insn, stop);
		return 0;
	}
	apply(walk, &effect);
	return 1;
}

static int walk_function(struct walk *walk, cs_insn *insn)
{
	const uint8_t *code = walk->code;
	size_t nr = walk->nr;
	uint64_t address = 0;
	int more = 1;

	while (more > 0 && address < WALK_MAX_BYTES &&
	       cs_disasm_iter(walk->handle, &code, &nr, &address, insn)) {
		if (!insn->address)
			take_site(walk, insn); /* what is left if there is no better one */
		more = step(walk, insn);
	}
	if (!address)
		return -EINVAL;
	if (!walk->best.why[0])
		snprintf(walk->best.why, sizeof(walk->best.why),
			 "no emulated instruction in the first %" PRIu64 " bytes", address);
	if (walk->best.emulated)
		walk->best.why[0] = '\0';
	return more < 0 ? more : 0;
}

static int walk_init(struct walk *walk, const struct allocator_function *function)
{
	const unsigned char wanted[ARGUMENT_NR] = {
		[ARGUMENT_SIZE] = function->size_arg,
		[ARGUMENT_COUNT] = function->count_arg,
		[ARGUMENT_PTR] = function->ptr_arg,
	};
	int i;

	walk->frees = function->role == ROLE_FREE;
	walk->lowest_target = INT64_MAX;
	for (i = 0; i < ARGUMENT_NR; i++) {
		if (wanted[i] > walk->machine->nr_arguments)
			return -EINVAL;
		walk->entry_reg[i] = wanted[i] ? walk->machine->argument[wanted[i] - 1] : -1;
		walk->home[i] = wanted[i] ? REG_BIT(walk->entry_reg[i]) : 0;
	}
	return 0;
}

static int open_capstone(const struct insn_machine *machine, csh *handle)
{
	if (cs_open(machine->arch, machine->mode, handle) != CS_ERR_OK)
		return -ENOMEM;
	if (cs_option(*handle, CS_OPT_DETAIL, CS_OPT_ON) != CS_ERR_OK) {
		(void)cs_close(handle); /* nothing to be done about it */
		return -ENOMEM;
	}
	return 0;
}

int placement_choose(const struct allocator_function *function, uint16_t machine,
		     const uint8_t *code, size_t nr, struct placement *out)
{
	struct walk walk = {.machine = machine_of(machine), .code = code, .nr = nr};
	cs_insn *insn = NULL;
	int error;

	if (!walk.machine)
		return -ENOTSUP;
	error = walk_init(&walk, function);
	if (error)
		return error;
	error = open_capstone(walk.machine, &walk.handle);
	if (error)
		return error;
	insn = cs_malloc(walk.handle);
	if (insn)
		error = walk_function(&walk, insn);
	else
		error = -ENOMEM;
	if (!error)
		*out = walk.best;
	if (insn)
		cs_free(insn, 1);
	(void)cs_close(&walk.handle); /* nothing to be done about it */
	return error;
}

bool placement_is_emulated(uint16_t machine, const uint8_t *code, size_t nr)
{
	const struct insn_machine *m = machine_of(machine);

	return m && m->is_emulated(code, nr);
}
