/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where in a function a uprobe goes.
 *
 * The kernel emulates a few instructions (on x86: nop, push, jmp, jcc, call); any other probed instruction is stepped
 * out of line and costs a second trap: 2 to 3 times dearer on bare metal, up to 40 times in a guest. So the site is the
 * first emulatable instruction that every call that counts runs, where each needed argument is still in a known
 * register, into which no branch of the function leads, and where, for a return probe, the stack pointer is still at the
 * return address. A freeing function's test for NULL may be passed: free(NULL) does not count. A five-byte nop is never
 * chosen: kernel 6.18 turns a probe there into a call that overwrites the red zone. A call is not chosen either: in a
 * process with a shadow stack it would not return. endbr64 is passed over.
 *
 * If there is no such site, it is the function's first byte, stepped, and says so.
 *
 * Emulated instructions: arch/x86/kernel/uprobes.c, branch_setup_xol_ops() and push_setup_xol_ops().
 */
#ifndef SEEP_SYS_PLACEMENT_H
#define SEEP_SYS_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocators.h"

struct placement {
	uint32_t offset; /* of the site from the function's start */
	bool emulated;
	uint8_t sp_words; /* words pushed since entry; 0 where a return probe is wanted */
	uint8_t size_reg; /* DWARF register number + 1, 0: none; see bpf/event.h */
	uint8_t count_reg;
	uint8_t ptr_reg;
	char instruction[64]; /* "push r12", "je +0x52": targets from the function's start */
	char why[96];	      /* when not emulated: why no better site was found; "" otherwise */
};

/*
 * Chooses the site. code: the bytes of the function as in its file, nr of them (its symbol's size; when that is 0, what
 * is left of the section, at most 4096). machine: EM_X86_64 or EM_AARCH64. Reads nothing else.
 * 0; -ENOTSUP for another machine; -EINVAL when nr is 0 or the first instruction cannot be decoded (then no probe may
 * be set at all), or when an argument is passed in memory; -ENOMEM.
 */
int placement_choose(const struct allocator_function *function, uint16_t machine,
		     const uint8_t *code, size_t nr, struct placement *out);

/* Is the instruction at code one that the kernel emulates? For arm64: simulates. False when it cannot be decoded. */
bool placement_is_emulated(uint16_t machine, const uint8_t *code, size_t nr);

#endif
