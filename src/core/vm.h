/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mappings made outside the allocator, by the stack that made them: an interval map over one
 * address space.
 *
 * A new mapping over an old one (MAP_FIXED) takes its bytes; munmap may take a part, split one in
 * two or span several; mremap moves, grows and shrinks (with MREMAP_DONTUNMAP the old range stays).
 * Ranges that nobody told us of are ignored. Events must come in time order.
 *
 *	map(0..9, stack 1)  map(4..6, stack 2)		0..4 stack 1, 4..6 stack 2, 6..9 stack 1
 *	unmap(5..7)					0..4 stack 1, 4..5 stack 2, 7..9 stack 1
 *
 * Pieces of one mapping (same birth, stack and kind) that touch are one range.
 *
 * Every function that changes the map leaves it as it was when it fails: -EINVAL for an empty or
 * wrapping range, -ENOMEM, or -E2BIG where there might be more than VM_MAX_RANGES ranges
 * afterwards. The caller counts those.
 *
 * It is a treap: with the ranges that straddle the ends of a hole cut in two, mapping, unmapping
 * and moving are each a few splits and merges of it, in O(log n) however the addresses come. (A
 * sorted array would shift all of itself for nearly each mmap(), because the kernel hands out
 * addresses downwards.) 40 bytes a range, in one array.
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
	uint64_t start, end; /* the first byte, and the one behind the last */
	uint64_t birth_ns;
	uint32_t stack;
	uint32_t kind; /* enum vm_kind */
};

struct vm; /* one address space */

struct vm *vm_new(void); /* NULL: no memory */
void vm_free(struct vm *vm);
void vm_clear(struct vm *vm);

int vm_map(struct vm *vm, const struct vm_range *range);
int vm_unmap(struct vm *vm, uint64_t start, uint64_t end);
/*
 * What is tracked of [old, old + old_length) moves to [new_addr, new_addr + new_length), whose
 * former contents go; what is longer than new_length goes too. Growth belongs to the mapping of the
 * last byte before it; if that was not tracked, it is not either. keep_old (MREMAP_DONTUNMAP): the
 * old range stays as well. An old_length of 0 (the kernel then maps shared pages a second time)
 * gives the new range to the mapping at old.
 */
int vm_remap(struct vm *vm, uint64_t old, uint64_t old_length, uint64_t new_addr,
	     uint64_t new_length, int keep_old);
/*
 * The program break moved: maps or unmaps what lies between. Breaks that are equal change nothing.
 */
int vm_brk(struct vm *vm, uint64_t old_break, uint64_t new_break, uint32_t stack, uint64_t time_ns);

size_t vm_nr(const struct vm *vm);
uint64_t vm_bytes(const struct vm *vm);
/*
 * In address order. Stops and returns its value when that is not 0. visit() must not change the
 * map.
 */
int vm_walk(const struct vm *vm, int (*visit)(const struct vm_range *range, void *arg), void *arg);

#endif
