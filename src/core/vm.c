/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vm.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "array.h"
#include "hash.h"

/*
 * A treap: a search tree by address, and a heap by a random priority that only depends on the
 * node's number.
 */
struct node {
	struct vm_range range;
	uint32_t left, right; /* node numbers, 0: none; a free node's left is the next free one */
};

struct vm {
	struct node *node; /* [0] is not used */
	size_t nr_nodes, cap_nodes;
	uint32_t free_list;
	size_t nr_free;
	uint32_t root;
	size_t nr;
	uint64_t bytes;
};

/* --- nodes --- */

static bool is_above(uint32_t a, uint32_t b)
{
	return hash_u64(a) > hash_u64(b); /* ties would do no harm */
}

/* Makes sure that the next nr node_new() succeed. */
static int vm_reserve(struct vm *vm, size_t nr)
{
	size_t fresh = nr > vm->nr_free ? nr - vm->nr_free : 0;

	if (!vm->nr_nodes)
		fresh++; /* number 0 */
	return ARRAY_GROW(&vm->node, &vm->cap_nodes, vm->nr_nodes + fresh);
}

static uint32_t node_new(struct vm *vm, const struct vm_range *range)
{
	uint32_t number = vm->free_list;

	if (number) {
		vm->free_list = vm->node[number].left;
		vm->nr_free--;
	} else {
		if (!vm->nr_nodes)
			vm->node[vm->nr_nodes++] = (struct node){0};
		number = (uint32_t)vm->nr_nodes++;
	}
	vm->node[number] = (struct node){.range = *range};
	vm->nr++;
	vm->bytes += range->end - range->start;
	return number;
}

static void node_free(struct vm *vm, uint32_t number)
{
	const struct vm_range *range = &vm->node[number].range;

	vm->bytes -= range->end - range->start;
	vm->nr--;
	vm->node[number].left = vm->free_list;
	vm->free_list = number;
	vm->nr_free++;
}

/* --- trees --- */

/* Into the ranges that start below addr and the others. */
static void tree_split(struct vm *vm, uint32_t tree, uint64_t addr, uint32_t out[2])
{
	uint32_t *below = &out[0], *above = &out[1];

	while (tree) {
		struct node *node = &vm->node[tree];

		if (node->range.start < addr) {
			*below = tree;
			below = &node->right;
			tree = node->right;
		} else {
			*above = tree;
			above = &node->left;
			tree = node->left;
		}
	}
	*below = 0;
	*above = 0;
}

/* All of left lies before all of right. */
static uint32_t tree_merge(struct vm *vm, uint32_t left, uint32_t right)
{
	uint32_t tree, *link = &tree;

	while (left && right) {
		if (is_above(left, right)) {
			*link = left;
			link = &vm->node[left].right;
			left = *link;
		} else {
			*link = right;
			link = &vm->node[right].left;
			right = *link;
		}
	}
	*link = left ? left : right;
	return tree;
}

/* The range with the highest start below addr, or 0. */
static uint32_t tree_before(const struct vm *vm, uint32_t tree, uint64_t addr)
{
	uint32_t found = 0;

	while (tree) {
		const struct node *node = &vm->node[tree];

		if (node->range.start < addr) {
			found = tree;
			tree = node->right;
		} else {
			tree = node->left;
		}
	}
	return found;
}

/* The range that contains addr, or 0. */
static uint32_t tree_at(const struct vm *vm, uint32_t tree, uint64_t addr)
{
	uint32_t found = addr == UINT64_MAX ? 0 : tree_before(vm, tree, addr + 1);

	return found && vm->node[found].range.end > addr ? found : 0;
}

/* In-order, by way of the priorities' random depth: recursion is O(log n). */
static int tree_walk(const struct vm *vm, uint32_t tree,
		     int (*visit)(const struct vm_range *range, void *arg), void *arg)
{
	int stop;

	for (; tree; tree = vm->node[tree].right) {
		stop = tree_walk(vm, vm->node[tree].left, visit, arg);
		if (!stop)
			stop = visit(&vm->node[tree].range, arg);
		if (stop)
			return stop;
	}
	return 0;
}

static void tree_free(struct vm *vm, uint32_t tree)
{
	while (tree) {
		uint32_t right = vm->node[tree].right;

		tree_free(vm, vm->node[tree].left);
		node_free(vm, tree);
		tree = right;
	}
}

static size_t tree_nr(const struct vm *vm, uint32_t tree)
{
	size_t nr = 0;

	for (; tree; tree = vm->node[tree].right)
		nr += 1 + tree_nr(vm, vm->node[tree].left);
	return nr;
}

/* Room for the new nodes must have been reserved. */
static uint32_t tree_copy(struct vm *vm, uint32_t tree)
{
	uint32_t copy = 0;

	for (; tree; tree = vm->node[tree].right) {
		uint32_t left = tree_copy(vm, vm->node[tree].left);
		struct vm_range range = vm->node[tree].range;

		copy = tree_merge(vm, copy, tree_merge(vm, left, node_new(vm, &range)));
	}
	return copy;
}

static void tree_shift(struct vm *vm, uint32_t tree, uint64_t by)
{
	for (; tree; tree = vm->node[tree].right) {
		vm->node[tree].range.start += by; /* backwards by wrapping */
		vm->node[tree].range.end += by;
		tree_shift(vm, vm->node[tree].left, by);
	}
}

/* --- the map --- */

/* Cuts the range that straddles addr in two. Room for one node must have been reserved. */
static void vm_cut(struct vm *vm, uint64_t addr)
{
	uint32_t found = tree_before(vm, vm->root, addr), half[2];
	struct vm_range tail;

	if (!found || vm->node[found].range.end <= addr)
		return;
	tail = vm->node[found].range;
	tail.start = addr;
	vm->node[found].range.end = addr;
	vm->bytes -= tail.end - addr; /* node_new() counts them again */
	tree_split(vm, vm->root, addr, half);
	vm->root = tree_merge(vm, tree_merge(vm, half[0], node_new(vm, &tail)), half[1]);
}

/*
 * Takes what lies in [start, end) out of the map, as a tree. Room for two nodes must have been
 * reserved.
 */
static uint32_t vm_take(struct vm *vm, uint64_t start, uint64_t end)
{
	uint32_t low[2], high[2];

	vm_cut(vm, start);
	vm_cut(vm, end);
	tree_split(vm, vm->root, start, low);
	tree_split(vm, low[1], end, high);
	vm->root = tree_merge(vm, low[0], high[1]);
	return high[0];
}

/* The contrary: tree lies in [start, ...), where there is a hole for it. */
static void vm_put(struct vm *vm, uint64_t start, uint32_t tree)
{
	uint32_t half[2];

	tree_split(vm, vm->root, start, half);
	vm->root = tree_merge(vm, tree_merge(vm, half[0], tree), half[1]);
}

/* Makes one of the two pieces of a mapping that touch at addr. */
static void vm_join(struct vm *vm, uint64_t addr)
{
	uint32_t before = tree_before(vm, vm->root, addr), at = tree_at(vm, vm->root, addr);
	const struct vm_range *first, *second;
	uint32_t low[2], high[2];
	uint64_t end;

	if (!before || !at || before == at)
		return;
	first = &vm->node[before].range;
	second = &vm->node[at].range;
	if (first->end != addr || first->birth_ns != second->birth_ns ||
	    first->stack != second->stack || first->kind != second->kind)
		return;
	end = second->end;
	tree_split(vm, vm->root, addr, low);
	tree_split(vm, low[1], addr + 1, high);
	vm->root = tree_merge(vm, low[0], high[1]);
	tree_free(vm, high[0]);
	vm->node[before].range.end = end;
	vm->bytes += end - addr;
}

/* Whether a hole here would split one range in two. */
static bool is_inside_one(const struct vm *vm, uint64_t start, uint64_t end)
{
	uint32_t found = tree_before(vm, vm->root, start);

	return found && vm->node[found].range.end > end;
}

struct vm *vm_new(void)
{
	return calloc(1, sizeof(struct vm));
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	vm_clear(vm);
	free(vm);
}

void vm_clear(struct vm *vm)
{
	free(vm->node);
	*vm = (struct vm){0};
}

int vm_map(struct vm *vm, const struct vm_range *range)
{
	int error;

	if (range->start >= range->end)
		return -EINVAL;
	if (vm->nr + 1 + is_inside_one(vm, range->start, range->end) > VM_MAX_RANGES)
		return -E2BIG;
	error = vm_reserve(vm, 3);
	if (error)
		return error;
	tree_free(vm, vm_take(vm, range->start, range->end));
	vm_put(vm, range->start, node_new(vm, range));
	vm_join(vm, range->start);
	vm_join(vm, range->end);
	return 0;
}

int vm_unmap(struct vm *vm, uint64_t start, uint64_t end)
{
	int error;

	if (start >= end)
		return -EINVAL;
	if (vm->nr + is_inside_one(vm, start, end) > VM_MAX_RANGES)
		return -E2BIG;
	error = vm_reserve(vm, 2);
	if (error)
		return error;
	tree_free(vm, vm_take(vm, start, end));
	return 0;
}

/* Takes [start, end) out to be moved; with keep, it stays as well. */
static int vm_lift(struct vm *vm, uint64_t start, uint64_t end, bool keep, uint32_t *out)
{
	uint32_t tree = vm_take(vm, start, end);
	size_t nr = keep ? tree_nr(vm, tree) : 0;
	int error = 0;

	if (keep) {
		/* 2 more: the cuts at the target come after this */
		error = vm->nr + nr + 2 > VM_MAX_RANGES ? -E2BIG : vm_reserve(vm, nr + 2);
		if (!error)
			*out = tree_copy(vm, tree);
		vm_put(vm, start, tree);
		vm_join(vm, start);
		vm_join(vm, end);
		return error;
	}
	*out = tree;
	return 0;
}

/* The last range of tree, if it ends at end, is made longer. */
static void tree_grow(struct vm *vm, uint32_t tree, uint64_t end, uint64_t new_end)
{
	while (tree && vm->node[tree].right)
		tree = vm->node[tree].right;
	if (!tree || vm->node[tree].range.end != end)
		return;
	vm->node[tree].range.end = new_end;
	vm->bytes += new_end - end;
}

/* mremap() of no bytes: a second mapping of what is at old. */
static int vm_alias(struct vm *vm, uint64_t old, uint64_t start, uint64_t end)
{
	uint32_t found = tree_at(vm, vm->root, old);
	struct vm_range range;

	if (!found)
		return vm_unmap(vm, start, end);
	range = vm->node[found].range;
	range.start = start;
	range.end = end;
	return vm_map(vm, &range);
}

int vm_remap(struct vm *vm, uint64_t old, uint64_t old_length, uint64_t new_addr,
	     uint64_t new_length, int keep_old)
{
	uint64_t old_end, new_end, moved = old_length < new_length ? old_length : new_length;
	uint32_t tree;
	int error;

	if (!new_length || __builtin_add_overflow(old, old_length, &old_end) ||
	    __builtin_add_overflow(new_addr, new_length, &new_end))
		return -EINVAL;
	if (!old_length)
		return vm_alias(vm, old, new_addr, new_end);
	/* the two cuts around what moves, one or two at the target */
	if (vm->nr + 3 > VM_MAX_RANGES)
		return -E2BIG;
	error = vm_reserve(vm, 5);
	if (error)
		return error;
	if (moved < old_length && !keep_old)
		tree_free(vm, vm_take(vm, old + moved, old_end));
	error = vm_lift(vm, old, old + moved, keep_old, &tree);
	if (error)
		return error;
	tree_free(vm, vm_take(vm, new_addr, new_end));
	tree_shift(vm, tree, new_addr - old);
	if (new_length > old_length)
		tree_grow(vm, tree, new_addr + old_length, new_end);
	vm_put(vm, new_addr, tree);
	vm_join(vm, new_addr);
	vm_join(vm, new_end);
	return 0;
}

int vm_brk(struct vm *vm, uint64_t old_break, uint64_t new_break, uint32_t stack, uint64_t time_ns)
{
	struct vm_range range = {
		.start = old_break,
		.end = new_break,
		.birth_ns = time_ns,
		.stack = stack,
		.kind = VM_BRK,
	};

	if (new_break > old_break)
		return vm_map(vm, &range);
	if (new_break < old_break)
		return vm_unmap(vm, new_break, old_break);
	return 0;
}

size_t vm_nr(const struct vm *vm)
{
	return vm->nr;
}

uint64_t vm_bytes(const struct vm *vm)
{
	return vm->bytes;
}

int vm_walk(const struct vm *vm, int (*visit)(const struct vm_range *range, void *arg), void *arg)
{
	return tree_walk(vm, vm->root, visit, arg);
}
