/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "allocfail.h"
#include "unwinder_queue.h"

#define NR_SLOTS 3

static void test_slots(void **state)
{
	struct queue queue;
	uint32_t slot = 7;

	(void)state;
	assert_int_equal(queue_init(&queue, NR_SLOTS), 0);
	assert_false(queue_pop(&queue, &slot));
	assert_int_equal(slot, 7);
	for (uint32_t turn = 0; turn < 5; turn++) { /* the ring's end comes everywhere */
		assert_true(queue_push(&queue, 2));
		assert_true(queue_push(&queue, 0));
		assert_false(queue_push(&queue, 2));
		assert_int_equal(queue.nr, 2);
		assert_true(queue_pop(&queue, &slot));
		assert_int_equal(slot, 2);
		assert_true(queue_push(&queue, 2));
		assert_true(queue_push(&queue, 1));
		assert_int_equal(queue.nr, NR_SLOTS);
		assert_true(queue_pop(&queue, &slot));
		assert_int_equal(slot, 0);
		assert_true(queue_pop(&queue, &slot));
		assert_int_equal(slot, 2);
		assert_true(queue_pop(&queue, &slot));
		assert_int_equal(slot, 1);
		assert_false(queue_pop(&queue, &slot));
	}
	queue_release(&queue);
}

static void pop_path(struct queue *queue, const char *expected)
{
	char *path = queue_pop_path(queue);

	assert_string_equal(path, expected);
	free(path);
}

static void test_paths(void **state)
{
	char path[] = "/bin/cat";
	struct queue queue;

	(void)state;
	assert_int_equal(queue_init(&queue, NR_SLOTS), 0);
	assert_false(queue_has_path(&queue));
	assert_null(queue_pop_path(&queue));
	assert_int_equal(queue_push_path(&queue, path), 0);
	path[5] = 'b';
	assert_int_equal(queue_push_path(&queue, path), 0);
	assert_int_equal(queue_push_path(&queue, ""), 0);
	pop_path(&queue, "/bin/cat");
	assert_true(queue_has_path(&queue));
	pop_path(&queue, "/bin/bat");
	queue_release(&queue); /* with one in it */
}

static void test_out_of_memory(void **state)
{
	struct queue queue;
	bool failed = true;
	int error;

	(void)state;
	for (long nth = 1; failed; nth++) {
		allocfail_set(nth);
		error = queue_init(&queue, NR_SLOTS);
		if (!error)
			error = queue_push_path(&queue, "/bin/cat");
		failed = allocfail_hit();
		allocfail_set(0);
		assert_int_equal(error, failed ? -ENOMEM : 0);
		assert_int_equal(queue_has_path(&queue), !failed);
		queue_release(&queue);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests_name("unwinder_queue", tests, NULL, NULL);
}
