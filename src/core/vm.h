/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mappings made outside the allocator, by the stack that made them: an interval map over one address space.
 *
 * A new mapping over an old one (MAP_FIXED) takes its bytes; munmap may take a part, split one in two or span several;
 * mremap moves, grows and shrinks (with MREMAP_DONTUNMAP the old range stays). Ranges that nobody told us of are
 * ignored. Events must come in time order. At most VM_MAX_RANGES ranges: -E2BIG beyond, which the caller counts.
 */
#ifndef SEEP_CORE_VM_H
#define SEEP_CORE_VM_H

#include <stddef.h>
#include <stdint.h>

#define VM_MAX_RANGES (1u << 20)

enum vm_kind {
	VM_MMAP = 1,
	VM_BRK = 2,
};

struct vm_range {
	uint64_t start, end;
	uint64_t birth_ns;
	uint32_t stack;
	uint32_t kind; /* enum vm_kind */
};

struct vm; /* one address space */

struct vm *vm_new(void);
void vm_free(struct vm *vm);
void vm_clear(struct vm *vm);

/* 0, -ENOMEM or -E2BIG; an empty or wrapping range is -EINVAL and changes nothing. */
int vm_map(struct vm *vm, const struct vm_range *range);
int vm_unmap(struct vm *vm, uint64_t start, uint64_t end);
/* What is tracked of [old, old + old_length) moves to [new, new + new_length); growth belongs to the stack of the last
 * byte before it, or to grow_stack when nothing was tracked there: then the range stays unknown. keep_old: DONTUNMAP. */
int vm_remap(struct vm *vm, uint64_t old, uint64_t old_length, uint64_t new_addr,
	     uint64_t new_length, int keep_old);
/* The program break moved. */
int vm_brk(struct vm *vm, uint64_t old_break, uint64_t new_break, uint32_t stack, uint64_t time_ns);

size_t vm_nr(const struct vm *vm);
uint64_t vm_bytes(const struct vm *vm);
/* In address order. Stops and returns its value when that is not 0. */
int vm_walk(const struct vm *vm, int (*visit)(const struct vm_range *range, void *arg), void *arg);

#endif
