/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "hash.h"
#include "heap.h"

#define BASE UINT64_C(0x7f0000001000)
#define MAX_SIZE ((UINT64_C(1) << 55) - 1)

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

static int add(struct heap *heap, uint64_t addr, uint64_t birth_ns)
{
	struct heap_block block = block_of(addr, birth_ns);

	return heap_add(heap, &block);
}

static int end(struct heap *heap, uint64_t addr, uint64_t birth_ns)
{
	struct heap_block block = block_of(addr, birth_ns);

	return heap_remove(heap, &block, birth_ns + 1);
}

static int end_by_resync(struct heap *heap, uint64_t addr, uint64_t birth_ns, uint64_t time_ns)
{
	struct heap_block block = {.addr = addr, .birth_ns = birth_ns};

	return heap_remove_by_resync(heap, &block, time_ns);
}

/* --- plain cases --- */

static void test_empty(void **state)
{
	struct heap *heap = new_heap();

	(void)state;
	assert_int_equal(heap_nr_live(heap), 0);
	assert_int_equal(heap_nr_marks(heap), 0);
	assert_int_equal(heap_live_bytes(heap), 0);
	assert_false(heap_has(heap, BASE, 1));
	assert_false(heap_mark_seen(heap, BASE, 1));
	assert_int_equal(end_by_resync(heap, BASE, 1, 7), HEAP_DUPLICATE);
	heap_expire(heap, UINT64_MAX, NULL, NULL);
	heap_clear(heap);
	assert_in_range(heap_memory_bytes(heap), 1, 1024);
	heap_free(heap);
	heap_free(NULL);
}

static void test_usual_order(void **state)
{
	struct heap *heap = new_heap();

	(void)state;
	assert_int_equal(add(heap, BASE, 1), HEAP_DONE);
	assert_int_equal(end(heap, BASE, 1), HEAP_DONE);
	assert_int_equal(add(heap, BASE, 2), HEAP_DONE);
	assert_true(heap_has(heap, BASE, 2));
	assert_false(heap_has(heap, BASE, 1));
	assert_int_equal(heap_nr_live(heap), 1);
	assert_int_equal(heap_live_bytes(heap), 12);
	heap_free(heap);
}

static void test_shuffled_order(void **state)
{
	struct heap *heap = new_heap();

	(void)state;
	assert_int_equal(add(heap, BASE, 2), HEAP_DONE);
	assert_int_equal(end(heap, BASE, 1), HEAP_MARKED);
	assert_int_equal(heap_nr_marks(heap), 1);
	assert_int_equal(add(heap, BASE, 1), HEAP_CANCELLED);
	assert_int_equal(heap_nr_marks(heap), 0);
	assert_int_equal(heap_nr_live(heap), 1);
	assert_true(heap_has(heap, BASE, 2));
	heap_free(heap);
}

static void test_duplicates(void **state)
{
	struct heap *heap = new_heap();

	(void)state;
	assert_int_equal(add(heap, BASE, 1), HEAP_DONE);
	assert_int_equal(add(heap, BASE, 1), HEAP_DUPLICATE);
	assert_int_equal(heap_live_bytes(heap), 11);
	assert_int_equal(end(heap, BASE, 3), HEAP_MARKED);
	assert_int_equal(end(heap, BASE, 3), HEAP_DUPLICATE);
	assert_int_equal(heap_nr_marks(heap), 1);
	assert_int_equal(end(heap, BASE, 1), HEAP_DONE);
	assert_int_equal(heap_nr_live(heap), 0);
	assert_int_equal(heap_live_bytes(heap), 0);
	heap_free(heap);
}

static void test_declared_gone(void **state)
{
	struct heap *heap = new_heap();

	(void)state;
	assert_int_equal(add(heap, BASE, 1), HEAP_DONE);
	assert_int_equal(end_by_resync(heap, BASE, 2, 7), HEAP_DUPLICATE);
	assert_int_equal(end_by_resync(heap, BASE, 1, 7), HEAP_DONE);
	assert_int_equal(end_by_resync(heap, BASE, 1, 7), HEAP_DUPLICATE);
	assert_int_equal(heap_nr_live(heap), 0);
	assert_int_equal(heap_live_bytes(heap), 0);
	assert_int_equal(heap_nr_marks(heap), 1);
	/* whatever comes late of this block has been counted */
	assert_int_equal(end(heap, BASE, 1), HEAP_DUPLICATE);
	assert_int_equal(add(heap, BASE, 1), HEAP_DUPLICATE);
	assert_int_equal(end(heap, BASE, 1), HEAP_DUPLICATE);
	assert_int_equal(heap_nr_live(heap), 0);
	/* a new block at the address has nothing to do with it */
	assert_int_equal(add(heap, BASE, 5), HEAP_DONE);
	heap_free(heap);
}

static void test_size_is_clamped(void **state)
{
	struct heap_block huge = {.addr = BASE, .birth_ns = 1, .size_bytes = UINT64_MAX};
	struct heap_block largest = {.addr = BASE, .birth_ns = 2, .size_bytes = MAX_SIZE};
	struct heap *heap = new_heap();

	(void)state;
	assert_int_equal(heap_add(heap, &huge), HEAP_DONE);
	assert_int_equal(heap_live_bytes(heap), MAX_SIZE);
	assert_int_equal(heap_add(heap, &largest), HEAP_DONE);
	assert_int_equal(heap_live_bytes(heap), 2 * MAX_SIZE);
	assert_int_equal(heap_remove(heap, &huge, 2), HEAP_DONE);
	assert_int_equal(heap_live_bytes(heap), MAX_SIZE);
	assert_int_equal(heap_remove(heap, &largest, 3), HEAP_DONE);
	assert_int_equal(heap_live_bytes(heap), 0);
	heap_free(heap);
}

static void test_extreme_keys_and_zero_size(void **state)
{
	static const uint64_t extreme[] = {0, 1, UINT64_MAX, UINT64_C(1) << 63};
	struct heap *heap = new_heap();
	size_t nr = 0;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		for (size_t j = 0; j < 4; j++) {
			struct heap_block block = {extreme[i], extreme[j], 0, UINT32_MAX};

			assert_int_equal(heap_add(heap, &block), HEAP_DONE);
			assert_int_equal(heap_nr_live(heap), ++nr);
		}
	}
	assert_int_equal(heap_live_bytes(heap), 0);
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(end(heap, extreme[i / 4], extreme[i % 4]), HEAP_DONE);
	assert_int_equal(heap_nr_live(heap), 0);
	heap_free(heap);
}

static void test_clear(void **state)
{
	struct heap *heap = new_heap();
	size_t empty_bytes = heap_memory_bytes(heap);

	(void)state;
	assert_int_equal(add(heap, BASE, 1), HEAP_DONE);
	assert_int_equal(end(heap, BASE, 2), HEAP_MARKED);
	heap_clear(heap);
	assert_int_equal(heap_nr_live(heap), 0);
	assert_int_equal(heap_nr_marks(heap), 0);
	assert_int_equal(heap_live_bytes(heap), 0);
	assert_int_equal(heap_memory_bytes(heap), empty_bytes);
	assert_int_equal(end(heap, BASE, 1), HEAP_MARKED);
	assert_int_equal(add(heap, BASE, 2), HEAP_DONE);
	heap_free(heap);
}

/* --- orders --- */

struct step {
	bool is_free;
	uint64_t addr, birth_ns;
};

static void take(struct heap *heap, const struct step *step)
{
	int outcome = step->is_free ? end(heap, step->addr, step->birth_ns)
				    : add(heap, step->addr, step->birth_ns);

	assert_true(outcome >= 0 && outcome != HEAP_DUPLICATE);
}

/* Every allocation but the last one has been freed. */
static void check_end(struct heap *heap, const struct step *live)
{
	assert_int_equal(heap_nr_live(heap), 1);
	assert_int_equal(heap_nr_marks(heap), 0);
	assert_true(heap_has(heap, live->addr, live->birth_ns));
	assert_int_equal(heap_live_bytes(heap), 10 + live->birth_ns % 97);
	assert_int_equal(end(heap, live->addr, live->birth_ns), HEAP_DONE);
}

/* Heap's algorithm, without recursion. */
static size_t each_permutation(struct heap *heap, struct step *step, size_t nr, struct step live)
{
	size_t count[16] = {0}, nr_orders = 0, i = 0;

	while (i < nr) {
		if (i == 0 || count[i] < i) {
			if (i) {
				size_t with = i % 2 ? count[i] : 0;
				struct step swapped = step[with];

				step[with] = step[i];
				step[i] = swapped;
				count[i]++;
			}
			for (size_t k = 0; k < nr; k++)
				take(heap, &step[k]);
			check_end(heap, &live);
			nr_orders++;
			i = 1;
			continue;
		}
		count[i++] = 0;
	}
	return nr_orders;
}

static void test_every_order_of_three_at_one_address(void **state)
{
	struct step step[] = {
		{false, BASE, 11}, {true, BASE, 11}, {false, BASE, 13}, {true, BASE, 13},
		{false, BASE, 17}, {true, BASE, 17}, {false, BASE, 19},
	};
	struct heap *heap = new_heap();

	(void)state;
	assert_int_equal(each_permutation(heap, step, 7, step[6]), 5040);
	heap_free(heap);
}

static void test_every_order_of_two_addresses(void **state)
{
	struct step step[] = {
		{false, BASE, 11}, {true, BASE, 11}, {false, BASE + 16, 11}, {true, BASE + 16, 11},
		{false, BASE, 13}, {true, BASE, 13}, {false, BASE + 16, 13},
	};
	struct heap *heap = new_heap();

	(void)state;
	assert_int_equal(each_permutation(heap, step, 7, step[6]), 5040);
	heap_free(heap);
}

#define SHUFFLE_ADDRS 101
#define SHUFFLE_BLOCKS 5003 /* each but the last of its address is freed */

static size_t make_history(struct step *step)
{
	size_t nr = 0;

	for (uint64_t i = 0; i < SHUFFLE_BLOCKS; i++) {
		uint64_t addr = BASE + i % SHUFFLE_ADDRS * 16;

		if (i >= SHUFFLE_ADDRS)
			step[nr++] = (struct step){true, addr, (i - SHUFFLE_ADDRS) * 1009};
		step[nr++] = (struct step){false, addr, i * 1009};
	}
	return nr;
}

/* Each event is late by up to distance events. */
static void shuffle(struct step *step, size_t nr, size_t distance, uint64_t seed)
{
	for (size_t i = 0; i + 1 < nr; i++) {
		size_t room = nr - i < distance ? nr - i : distance;
		size_t with = i + hash_pair(seed, i) % room;
		struct step swapped = step[i];

		step[i] = step[with];
		step[with] = swapped;
	}
}

static void test_random_shuffles(void **state)
{
	static const size_t distance[] = {1, 2, 5, 67, 1009, 2 * SHUFFLE_BLOCKS};
	struct step *step = calloc(2 * SHUFFLE_BLOCKS, sizeof(*step));
	struct heap *heap = new_heap();

	(void)state;
	assert_non_null(step);
	for (size_t i = 0; i < 18; i++) {
		size_t nr = make_history(step);

		shuffle(step, nr, distance[i % 6], i);
		for (size_t k = 0; k < nr; k++)
			take(heap, &step[k]);
		assert_int_equal(heap_nr_live(heap), SHUFFLE_ADDRS);
		assert_int_equal(heap_nr_marks(heap), 0);
		for (uint64_t k = SHUFFLE_BLOCKS - SHUFFLE_ADDRS; k < SHUFFLE_BLOCKS; k++)
			assert_int_equal(end(heap, BASE + k % SHUFFLE_ADDRS * 16, k * 1009), 0);
		assert_int_equal(heap_live_bytes(heap), 0);
	}
	heap_free(heap);
	free(step);
}

/* --- everything, against a model --- */

#define MODEL_ADDRS 23
#define MODEL_BIRTHS 29
#define MODEL_NR (MODEL_ADDRS * MODEL_BIRTHS)

enum model_state {
	NONE,
	LIVE,
	FREED,
	GONE
};

struct model {
	struct heap *heap;
	enum model_state what[MODEL_NR];
	bool seen[MODEL_NR];
	bool expected[MODEL_NR]; /* by the callbacks */
};

static uint64_t model_addr(size_t i)
{
	return BASE + i % MODEL_ADDRS * 16;
}

static uint64_t model_birth(size_t i)
{
	return i / MODEL_ADDRS * 50021;
}

static size_t model_index(const struct heap_block *block)
{
	size_t i = block->birth_ns / 50021 * MODEL_ADDRS + (block->addr - BASE) / 16;
	struct heap_block whole = block_of(model_addr(i), model_birth(i));

	assert_true(i < MODEL_NR);
	assert_int_equal(block->addr, whole.addr);
	assert_int_equal(block->birth_ns, whole.birth_ns);
	assert_int_equal(block->size_bytes, whole.size_bytes);
	assert_int_equal(block->stack, whole.stack);
	return i;
}

static int expect_once(const struct heap_block *block, void *arg)
{
	struct model *model = arg;
	size_t i = model_index(block);

	assert_true(model->expected[i]);
	model->expected[i] = false;
	return 0;
}

static void expect_lost(const struct heap_block *block, void *arg)
{
	(void)expect_once(block, arg);
}

static void assert_all_came(const struct model *model)
{
	for (size_t i = 0; i < MODEL_NR; i++)
		assert_false(model->expected[i]);
}

static void model_add(struct model *model, size_t i)
{
	static const int outcome[] = {HEAP_DONE, HEAP_DUPLICATE, HEAP_CANCELLED, HEAP_DUPLICATE};
	static const enum model_state next[] = {LIVE, LIVE, NONE, GONE};
	enum model_state was = model->what[i];

	assert_int_equal(add(model->heap, model_addr(i), model_birth(i)), outcome[was]);
	model->what[i] = next[was];
	if (was == NONE)
		model->seen[i] = false;
}

static void model_remove(struct model *model, size_t i)
{
	static const int outcome[] = {HEAP_MARKED, HEAP_DONE, HEAP_DUPLICATE, HEAP_DUPLICATE};
	static const enum model_state next[] = {FREED, NONE, FREED, GONE};
	enum model_state was = model->what[i];

	assert_int_equal(end(model->heap, model_addr(i), model_birth(i)), outcome[was]);
	model->what[i] = next[was];
}

static void model_gone(struct model *model, size_t i)
{
	int outcome = end_by_resync(model->heap, model_addr(i), model_birth(i), model_birth(i));

	assert_int_equal(outcome, model->what[i] == LIVE ? HEAP_DONE : HEAP_DUPLICATE);
	if (model->what[i] == LIVE)
		model->what[i] = GONE;
}

static void model_see(struct model *model, size_t i)
{
	bool there = heap_mark_seen(model->heap, model_addr(i), model_birth(i));

	assert_int_equal(there, model->what[i] == LIVE);
	model->seen[i] |= there;
}

static void model_resync(struct model *model)
{
	heap_resync_begin(model->heap);
	memset(model->seen, 0, sizeof(model->seen));
}

static void model_expire(struct model *model, uint64_t birth_ns)
{
	for (size_t i = 0; i < MODEL_NR; i++) {
		if (model->what[i] < FREED || model_birth(i) >= birth_ns)
			continue;
		model->expected[i] = model->what[i] == FREED;
		model->what[i] = NONE;
	}
	heap_expire(model->heap, birth_ns, expect_lost, model);
	assert_all_came(model);
}

static void model_check(struct model *model, uint64_t before_ns)
{
	size_t nr_live = 0, nr_marks = 0;
	uint64_t bytes = 0;

	for (size_t i = 0; i < MODEL_NR; i++) {
		struct heap_block block = block_of(model_addr(i), model_birth(i));

		nr_live += model->what[i] == LIVE;
		nr_marks += model->what[i] >= FREED;
		bytes += model->what[i] == LIVE ? block.size_bytes : 0;
		assert_int_equal(heap_has(model->heap, block.addr, block.birth_ns),
				 model->what[i] == LIVE);
		model->expected[i] = model->what[i] == LIVE;
	}
	assert_int_equal(heap_nr_live(model->heap), nr_live);
	assert_int_equal(heap_nr_marks(model->heap), nr_marks);
	assert_int_equal(heap_live_bytes(model->heap), bytes);
	assert_int_equal(heap_walk(model->heap, expect_once, model), 0);
	assert_all_came(model);
	for (size_t i = 0; i < MODEL_NR; i++)
		model->expected[i] =
			model->what[i] == LIVE && !model->seen[i] && model_birth(i) < before_ns;
	assert_int_equal(heap_walk_unseen(model->heap, before_ns, expect_once, model), 0);
	assert_all_came(model);
}

static void test_against_model(void **state)
{
	static struct model model;

	(void)state;
	model.heap = new_heap();
	heap_resync_begin(model.heap);
	for (uint64_t step = 0; step < 200003; step++) {
		uint64_t random = hash_pair(step, 1);
		size_t i = random % MODEL_NR;
		unsigned int what = random >> 32 & 63;

		if (what < 26)
			model_add(&model, i);
		else if (what < 50)
			model_remove(&model, i);
		else if (what < 56)
			model_see(&model, i);
		else
			model_gone(&model, i);
		if (step % 307 == 0)
			model_resync(&model);
		if (step % 1009 == 0)
			model_check(&model, model_birth((random >> 40) % (2 * MODEL_NR)));
		if (step % 4003 == 0)
			model_expire(&model, model_birth((random >> 40) % (2 * MODEL_NR)));
	}
	model_check(&model, UINT64_MAX);
	model_expire(&model, UINT64_MAX);
	assert_int_equal(heap_nr_marks(model.heap), 0);
	heap_free(model.heap);
}

/*
 * Buckets are split while their entries come and go, and numbers of freed entries land in other
 * chains.
 */
static void test_churn_while_it_grows(void **state)
{
	struct heap *heap = new_heap();
	uint64_t first = 0, next = 0, bytes = 0;

	(void)state;
	while (next - first < 50021) {
		for (int i = 0; i < 11; i++, next++)
			assert_int_equal(add(heap, BASE + next % 1009 * 16, next << 17), HEAP_DONE);
		for (int i = 0; i < 10; i++, first++)
			assert_int_equal(end(heap, BASE + first % 1009 * 16, first << 17),
					 HEAP_DONE);
		assert_int_equal(heap_nr_live(heap), next - first);
	}
	for (uint64_t i = 0; i < next; i++) {
		assert_int_equal(heap_has(heap, BASE + i % 1009 * 16, i << 17), i >= first);
		bytes += i < first ? 0 : 10 + (i << 17) % 97;
	}
	assert_int_equal(heap_live_bytes(heap), bytes);
	heap_free(heap);
}

/* --- marks, walks, resync --- */

static void add_up(const struct heap_block *block, void *arg)
{
	*(uint64_t *)arg += block->birth_ns;
	assert_int_equal(block->stack, 7);
	assert_int_equal(block->size_bytes, 10 + block->birth_ns % 97);
}

static void test_expire(void **state)
{
	struct heap *heap = new_heap();
	uint64_t sum = 0;
	const uint64_t us = 1024;

	(void)state;
	assert_int_equal(end(heap, BASE, 100 * us), HEAP_MARKED);
	assert_int_equal(end(heap, BASE, 200 * us), HEAP_MARKED);
	assert_int_equal(end(heap, BASE + 16, 300 * us), HEAP_MARKED);
	assert_int_equal(add(heap, BASE, 150 * us), HEAP_DONE);
	assert_int_equal(add(heap, BASE, 160 * us), HEAP_DONE);
	assert_int_equal(end_by_resync(heap, BASE, 160 * us, 160 * us), HEAP_DONE);
	heap_expire(heap, 100 * us, add_up, &sum);
	assert_int_equal(sum, 0);
	heap_expire(heap, 201 * us, add_up, &sum);
	assert_int_equal(sum, 300 * us); /* not 160: a block declared gone is not lost */
	assert_int_equal(heap_nr_marks(heap), 1);
	assert_int_equal(add(heap, BASE, 100 * us), HEAP_DONE); /* too late to cancel */
	assert_int_equal(add(heap, BASE + 16, 300 * us), HEAP_CANCELLED);
	assert_int_equal(heap_nr_live(heap), 2);
	assert_int_equal(end(heap, BASE, 400 * us), HEAP_MARKED);
	heap_expire(heap, UINT64_MAX, NULL, NULL);
	assert_int_equal(heap_nr_marks(heap), 0);
	heap_free(heap);
}

/* A hot address whose allocations all get lost: neither chains nor memory may run away. */
static void test_many_marks_at_one_address(void **state)
{
	struct heap *heap = new_heap();
	size_t empty_bytes = heap_memory_bytes(heap);
	uint64_t sum = 0;

	(void)state;
	for (uint64_t i = 0; i < 200003; i++)
		assert_int_equal(end(heap, BASE, i * 1009), HEAP_MARKED);
	assert_int_equal(heap_nr_marks(heap), 200003);
	assert_true(heap_memory_bytes(heap) <= 200003 * HEAP_BLOCK_BYTES);
	heap_expire(heap, UINT64_MAX, add_up, &sum);
	assert_int_equal(sum, UINT64_C(200003) * 200002 / 2 * 1009);
	assert_int_equal(heap_memory_bytes(heap), empty_bytes);
	heap_free(heap);
}

/* --- blocks read from the block map --- */

/* The block's own events may come after it was read, in any order. */
static void test_recovered_in_every_order(void **state)
{
	struct heap_block block = block_of(BASE, 5);

	(void)state;
	for (int order = 0; order < 2; order++) {
		struct heap *heap = new_heap();

		assert_int_equal(heap_add_recovered(heap, &block), HEAP_DONE);
		assert_int_equal(heap_add_recovered(heap, &block), HEAP_DUPLICATE);
		assert_int_equal(heap_live_bytes(heap), block.size_bytes);
		if (order) {
			assert_int_equal(end(heap, BASE, 5), HEAP_DONE);
			assert_int_equal(add(heap, BASE, 5), HEAP_DUPLICATE);
			assert_int_equal(heap_nr_marks(heap), 1);
		} else {
			assert_int_equal(add(heap, BASE, 5), HEAP_DUPLICATE);
			assert_int_equal(end(heap, BASE, 5), HEAP_DONE);
			assert_int_equal(heap_nr_marks(heap), 0);
		}
		assert_int_equal(heap_nr_live(heap), 0);
		assert_int_equal(heap_live_bytes(heap), 0);
		heap_expire(heap, UINT64_MAX, NULL, NULL);
		assert_int_equal(heap_nr_marks(heap), 0);
		heap_free(heap);
	}
}

/* A failed realloc's old block: out of the block map for a while, in which a resync may look. */
static void test_restored(void **state)
{
	struct heap_block block = block_of(BASE, 5);
	struct heap *heap = new_heap();

	(void)state;
	assert_int_equal(heap_restore(heap, &block), HEAP_DUPLICATE); /* nothing to bring back */
	assert_int_equal(heap_nr_live(heap), 0);
	assert_int_equal(add(heap, BASE, 5), HEAP_DONE);
	assert_int_equal(heap_restore(heap, &block), HEAP_DUPLICATE);
	assert_int_equal(end_by_resync(heap, BASE, 5, 9), HEAP_DONE);
	assert_int_equal(heap_restore(heap, &block), HEAP_REVIVED);
	assert_true(heap_has(heap, BASE, 5));
	assert_int_equal(heap_live_bytes(heap), block.size_bytes);
	assert_int_equal(end(heap, BASE, 5), HEAP_DONE);
	/* the restoration comes after the free that followed it */
	assert_int_equal(heap_restore(heap, &block), HEAP_DUPLICATE);
	assert_int_equal(heap_nr_live(heap), 0);
	heap_free(heap);
}

static void test_restored_after_its_free(void **state)
{
	struct heap_block block = block_of(BASE, 5);
	struct heap *heap = new_heap();

	(void)state;
	assert_int_equal(add(heap, BASE, 5), HEAP_DONE);
	assert_int_equal(end_by_resync(heap, BASE, 5, 9), HEAP_DONE);
	assert_int_equal(end(heap, BASE, 5), HEAP_DUPLICATE);
	assert_int_equal(heap_restore(heap, &block), HEAP_DUPLICATE);
	assert_int_equal(heap_add_recovered(heap, &block), HEAP_DUPLICATE);
	assert_int_equal(heap_nr_live(heap), 0);
	heap_free(heap);
}

/* Declared gone too early, found in the map by the next resync. */
static void test_recovered_after_declared_gone(void **state)
{
	struct heap_block block = block_of(BASE, 5);
	struct heap *heap = new_heap();

	(void)state;
	assert_int_equal(add(heap, BASE, 5), HEAP_DONE);
	assert_int_equal(end_by_resync(heap, BASE, 5, 9), HEAP_DONE);
	assert_int_equal(heap_add_recovered(heap, &block), HEAP_REVIVED);
	assert_int_equal(heap_nr_live(heap), 1);
	assert_int_equal(heap_nr_marks(heap), 0);
	heap_free(heap);
}

/* A mark lasts by when it was made, however old its block. */
static void test_marks_of_old_blocks_last(void **state)
{
	const uint64_t second = 1000000000;
	struct heap *heap = new_heap();

	(void)state;
	assert_int_equal(add(heap, BASE, 5), HEAP_DONE);
	assert_int_equal(end_by_resync(heap, BASE, 5, 100 * second), HEAP_DONE);
	heap_expire(heap, 99 * second, NULL, NULL);
	assert_int_equal(end(heap, BASE, 5), HEAP_DUPLICATE);
	heap_expire(heap, 101 * second, NULL, NULL);
	assert_int_equal(heap_nr_marks(heap), 0);
	heap_free(heap);
}

static int stop_at_third(const struct heap_block *block, void *arg)
{
	(void)block;
	return ++*(int *)arg == 3 ? 41 : 0;
}

static void test_walk_stops(void **state)
{
	struct heap *heap = new_heap();
	int visits = 0;

	(void)state;
	for (uint64_t i = 0; i < 7; i++)
		assert_int_equal(add(heap, BASE + i * 16, i), HEAP_DONE);
	assert_int_equal(heap_walk(heap, stop_at_third, &visits), 41);
	assert_int_equal(visits, 3);
	visits = 0;
	heap_resync_begin(heap);
	assert_int_equal(heap_walk_unseen(heap, 7, stop_at_third, &visits), 41);
	assert_int_equal(visits, 3);
	heap_free(heap);
}

static int declare_gone(const struct heap_block *block, void *arg)
{
	return end_by_resync(arg, block->addr, block->birth_ns, block->birth_ns);
}

static int remove_visited(const struct heap_block *block, void *arg)
{
	struct heap_block visited = *block;

	return heap_remove(arg, &visited, block->birth_ns);
}

static void test_resync(void **state)
{
	struct heap *heap = new_heap();

	(void)state;
	for (uint64_t i = 0; i < 1009; i++)
		assert_int_equal(add(heap, BASE + i * 16, i), HEAP_DONE);
	for (unsigned int round = 1; round <= 200; round++) {
		heap_resync_begin(heap);
		for (uint64_t i = 2 * round; i < 1009; i++)
			assert_true(heap_mark_seen(heap, BASE + i * 16, i));
		/* added meanwhile, and younger than the reading */
		assert_int_equal(add(heap, BASE, 2000 + round), HEAP_DONE);
		assert_int_equal(heap_walk_unseen(heap, 2000, declare_gone, heap), 0);
		assert_int_equal(heap_nr_live(heap), 1009 - 2 * round + 1);
		assert_int_equal(heap_nr_marks(heap), 2 * round);
		assert_int_equal(end(heap, BASE, 2000 + round), HEAP_DONE);
	}
	assert_int_equal(end(heap, BASE + 16, 1), HEAP_DUPLICATE);
	assert_int_equal(heap_walk(heap, remove_visited, heap), 0);
	assert_int_equal(heap_nr_live(heap), 0);
	assert_int_equal(heap_live_bytes(heap), 0);
	heap_free(heap);
}

/* A block that one resync saw must not count as seen when the numbers of the resyncs come round. */
static void test_resync_numbers_wrap(void **state)
{
	struct heap *heap = new_heap();
	int visits;

	(void)state;
	assert_int_equal(add(heap, BASE, 1), HEAP_DONE);
	heap_resync_begin(heap);
	assert_true(heap_mark_seen(heap, BASE, 1));
	visits = 0;
	assert_int_equal(heap_walk_unseen(heap, 2, stop_at_third, &visits), 0);
	assert_int_equal(visits, 0);
	for (int i = 0; i < 300; i++) {
		heap_resync_begin(heap);
		visits = 0;
		assert_int_equal(heap_walk_unseen(heap, 2, stop_at_third, &visits), 0);
		assert_int_equal(visits, 1);
	}
	heap_free(heap);
}

/* --- memory --- */

static void test_new_fails(void **state)
{
	(void)state;
	allocfail_set(1);
	assert_null(heap_new());
	allocfail_set(0);
}

/* Fails the nth allocation of one operation; it must fail wholly, and work the next time. */
static void check_failure(struct heap *heap, int (*operation)(struct heap *, uint64_t), uint64_t i)
{
	for (long nth = 1;; nth++) {
		size_t nr_live = heap_nr_live(heap), nr_marks = heap_nr_marks(heap);
		uint64_t bytes = heap_live_bytes(heap);
		int outcome;

		allocfail_set(nth);
		outcome = operation(heap, i);
		if (outcome >= 0)
			break;
		assert_true(allocfail_hit());
		assert_int_equal(outcome, -ENOMEM);
		assert_int_equal(heap_nr_live(heap), nr_live);
		assert_int_equal(heap_nr_marks(heap), nr_marks);
		assert_int_equal(heap_live_bytes(heap), bytes);
	}
	allocfail_set(0);
}

static int add_ith(struct heap *heap, uint64_t i)
{
	return add(heap, BASE + i * 16, i);
}

static int end_ith(struct heap *heap, uint64_t i)
{
	return end(heap, BASE + i * 16, i);
}

static int gone_ith(struct heap *heap, uint64_t i)
{
	return end_by_resync(heap, BASE + i * 16, i, i);
}

static int recover_ith(struct heap *heap, uint64_t i)
{
	struct heap_block block = block_of(BASE + i * 16, i);

	return heap_add_recovered(heap, &block);
}

static int restore_ith(struct heap *heap, uint64_t i)
{
	struct heap_block block = block_of(BASE + i * 16, i);
	int outcome = heap_restore(heap, &block);

	return outcome == HEAP_REVIVED ? 0 : outcome;
}

/* Far enough that segments of both sorts and their directories have to grow. */
static void test_no_memory(void **state)
{
	struct heap *heap = new_heap();

	(void)state;
	for (uint64_t i = 0; i < 100003; i++)
		check_failure(heap, add_ith, i);
	assert_int_equal(heap_nr_live(heap), 100003);
	for (uint64_t i = 0; i < 50021; i++)
		check_failure(heap, gone_ith, i);
	for (uint64_t i = 200003; i < 250007; i++)
		check_failure(heap, end_ith, i);
	assert_int_equal(heap_nr_live(heap), 100003 - 50021);
	assert_int_equal(heap_nr_marks(heap), 50021 + 50004);
	for (uint64_t i = 0; i < 100003; i++)
		assert_int_equal(heap_has(heap, BASE + i * 16, i), i >= 50021);
	heap_free(heap);
}

static void test_no_memory_after_a_loss(void **state)
{
	struct heap *heap = new_heap();

	(void)state;
	for (uint64_t i = 0; i < 20011; i++)
		check_failure(heap, recover_ith, i);
	for (uint64_t i = 0; i < 10007; i++)
		check_failure(heap, end_ith, i);
	for (uint64_t i = 10007; i < 20011; i++)
		check_failure(heap, gone_ith, i);
	assert_int_equal(heap_nr_live(heap), 0);
	for (uint64_t i = 10007; i < 20011; i++)
		check_failure(heap, restore_ith, i);
	assert_int_equal(heap_nr_live(heap), 20011 - 10007);
	heap_free(heap);
}

static void check_memory(struct heap *heap, uint64_t nr, long before)
{
	long allocated = allocfail_bytes() - before, peak = allocfail_peak() - before;

	assert_true(heap_memory_bytes(heap) <= (size_t)allocated);
	assert_true(heap_memory_bytes(heap) <= nr * HEAP_BLOCK_BYTES);
	assert_true(peak <= (long)(nr * HEAP_BLOCK_BYTES));
}

static void test_memory_of_a_million_blocks(void **state)
{
	long before = allocfail_bytes();
	struct heap *heap;
	size_t full;

	(void)state;
	allocfail_peak_reset();
	heap = new_heap();
	for (uint64_t i = 0; i < 1000003; i++) {
		assert_int_equal(add(heap, BASE + hash_u64(i) / 16 * 16, i * 1009), HEAP_DONE);
		if (i >= 100000)
			check_memory(heap, i + 1, before);
	}
	full = heap_memory_bytes(heap);
	assert_true(full >= 1000003 * 32);
	/* as many in as have gone: nothing grows */
	for (uint64_t i = 0; i < 300007; i++)
		assert_int_equal(end(heap, BASE + hash_u64(i) / 16 * 16, i * 1009), HEAP_DONE);
	for (uint64_t i = 0; i < 300007; i++)
		assert_int_equal(add(heap, BASE + i * 16, i), HEAP_DONE);
	assert_int_equal(heap_memory_bytes(heap), full);
	heap_free(heap);
	if (allocfail_accounts())
		assert_int_equal(allocfail_bytes(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_usual_order),
		cmocka_unit_test(test_shuffled_order),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_declared_gone),
		cmocka_unit_test(test_size_is_clamped),
		cmocka_unit_test(test_extreme_keys_and_zero_size),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_every_order_of_three_at_one_address),
		cmocka_unit_test(test_every_order_of_two_addresses),
		cmocka_unit_test(test_random_shuffles),
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_churn_while_it_grows),
		cmocka_unit_test(test_expire),
		cmocka_unit_test(test_many_marks_at_one_address),
		cmocka_unit_test(test_recovered_in_every_order),
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_after_its_free),
		cmocka_unit_test(test_recovered_after_declared_gone),
		cmocka_unit_test(test_marks_of_old_blocks_last),
		cmocka_unit_test(test_walk_stops),
		cmocka_unit_test(test_resync),
		cmocka_unit_test(test_resync_numbers_wrap),
		cmocka_unit_test(test_new_fails),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_no_memory_after_a_loss),
		cmocka_unit_test(test_memory_of_a_million_blocks),
	};

	return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
