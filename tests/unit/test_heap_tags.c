/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What blocks stand for, and what heaps of few blocks take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "heap.h"

#define BASE UINT64_C(0x7f0000001000)

static struct heap *new_heap(void)
{
	struct heap *heap = heap_new();

	assert_non_null(heap);
	return heap;
}

static struct heap_block block_of(uint64_t addr, uint64_t birth_ns)
{
	return (struct heap_block){
		.addr = addr, .birth_ns = birth_ns, .size_bytes = 10 + birth_ns % 97, .stack = 7};
}

static uint64_t sum_of_tags;

static int add_tag(const struct heap_block *block, void *arg)
{
	(void)arg;
	assert_int_equal(block->tag, block->addr >> 4 & 3);
	sum_of_tags += block->tag;
	return 0;
}

/* Tags come back with their blocks, from a column that exact blocks do not pay for. */
static void test_tags(void **state)
{
	struct heap *heap = new_heap();
	struct heap_block block;
	uint64_t i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		block = block_of(i << 4, i + 1);
		block.tag = i & 3;
		assert_int_equal(heap_add(heap, &block), HEAP_DONE);
	}
	sum_of_tags = 0;
	assert_int_equal(heap_walk(heap, add_tag, NULL), 0);
	assert_int_equal(sum_of_tags, 5000 * (1 + 2 + 3));
	assert_in_range(heap_memory_bytes(heap), 20000 * 42, 20000 * 60);
	for (i = 0; i < 20000; i++) {
		/* whatever the free says, it takes off what the allocation has put on */
		block = (struct heap_block){
			.addr = i << 4, .birth_ns = i + 1, .size_bytes = 1, .tag = 9};
		assert_int_equal(heap_remove(heap, &block, i + 2), HEAP_DONE);
		assert_int_equal(block.tag, i & 3);
		assert_int_equal(block.size_bytes, 10 + (i + 1) % 97);
	}
	heap_free(heap);
}

static void test_tag_of_a_mark(void **state)
{
	struct heap *heap = new_heap();
	struct heap_block block = block_of(BASE, 5);

	(void)state;
	block.tag = 7;
	assert_int_equal(heap_remove(heap, &block, 6), HEAP_MARKED);
	block = block_of(BASE, 5);
	block.size_bytes++;
	assert_int_equal(heap_add(heap, &block), HEAP_CANCELLED);
	assert_int_equal(block.tag, 7);
	assert_int_equal(block.size_bytes, block_of(BASE, 5).size_bytes);
	block.tag = 7;
	assert_int_equal(heap_add(heap, &block), HEAP_DONE);
	block.tag = 0;
	assert_int_equal(heap_remove_by_resync(heap, &block, 9), HEAP_DONE);
	assert_int_equal(block.tag, 7);
	heap_free(heap);
}

/* There may be ten thousand processes, most of which do little. */
static void test_memory_of_a_small_heap(void **state)
{
	struct heap *heap = new_heap();

	(void)state;
	assert_in_range(heap_memory_bytes(heap), 1, 400);
	for (uint64_t i = 0; i < 20; i++) {
		struct heap_block block = block_of(BASE + 16 * i, i + 1);

		assert_int_equal(heap_add(heap, &block), HEAP_DONE);
	}
	assert_in_range(heap_memory_bytes(heap), 1, 3 * 1024);
	heap_free(heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_tag_of_a_mark),
		cmocka_unit_test(test_memory_of_a_small_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
