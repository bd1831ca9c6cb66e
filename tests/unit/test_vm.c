/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "hash.h"
#include "vm.h"

static struct vm *new_vm(void)
{
	struct vm *vm = vm_new();

	assert_non_null(vm);
	return vm;
}

static int map(struct vm *vm, uint64_t start, uint64_t end, uint32_t stack)
{
	struct vm_range range = {start, end, 1000 + stack, stack, VM_MMAP};

	return vm_map(vm, &range);
}

struct text {
	char at[512];
	size_t nr;
};

static int print(const struct vm_range *range, void *arg)
{
	struct text *text = arg;

	assert_int_equal(range->birth_ns, 1000 + range->stack);
	text->nr +=
		(size_t)snprintf(text->at + text->nr, sizeof(text->at) - text->nr, "%s%llu-%llu:%u",
				 text->nr ? " " : "", (unsigned long long)range->start,
				 (unsigned long long)range->end, range->stack);
	assert_true(text->nr < sizeof(text->at));
	return 0;
}

#define assert_vm(vm, expected)                                                                    \
	do {                                                                                       \
		struct text text = {"", 0};                                                        \
                                                                                                   \
		assert_int_equal(vm_walk(vm, print, &text), 0);                                    \
		assert_string_equal(text.at, expected);                                            \
	} while (0)

/* --- one case each --- */

static void test_empty(void **state)
{
	struct vm *vm = new_vm();

	(void)state;
	assert_int_equal(vm_nr(vm), 0);
	assert_int_equal(vm_bytes(vm), 0);
	assert_int_equal(vm_unmap(vm, 0, UINT64_MAX), 0);
	assert_vm(vm, "");
	vm_free(vm);
	vm_free(NULL);
}

static void test_map_apart_and_touching(void **state)
{
	struct vm *vm = new_vm();

	(void)state;
	assert_int_equal(map(vm, 50, 60, 1), 0);
	assert_int_equal(map(vm, 10, 20, 2), 0);
	assert_int_equal(map(vm, 20, 30, 3), 0);
	assert_vm(vm, "10-20:2 20-30:3 50-60:1");
	assert_int_equal(vm_nr(vm), 3);
	assert_int_equal(vm_bytes(vm), 30);
	vm_clear(vm);
	assert_vm(vm, "");
	assert_int_equal(vm_bytes(vm), 0);
	assert_int_equal(map(vm, 0, 1, 5), 0);
	assert_vm(vm, "0-1:5");
	vm_free(vm);
}

static void test_map_fixed_over(void **state)
{
	static const struct {
		uint64_t start, end;
		const char *after;
	} example[] = {
		{10, 20, "10-20:7 20-30:2 40-50:3"},
		{12, 15, "10-12:1 12-15:7 15-20:1 20-30:2 40-50:3"},
		{5, 15, "5-15:7 15-20:1 20-30:2 40-50:3"},
		{15, 20, "10-15:1 15-20:7 20-30:2 40-50:3"},
		{15, 25, "10-15:1 15-25:7 25-30:2 40-50:3"},
		{10, 30, "10-30:7 40-50:3"},
		{15, 45, "10-15:1 15-45:7 45-50:3"},
		{0, 99, "0-99:7"},
		{30, 40, "10-20:1 20-30:2 30-40:7 40-50:3"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(example) / sizeof(example[0]); i++) {
		struct vm *vm = new_vm();

		assert_int_equal(map(vm, 10, 20, 1), 0);
		assert_int_equal(map(vm, 20, 30, 2), 0);
		assert_int_equal(map(vm, 40, 50, 3), 0);
		assert_int_equal(map(vm, example[i].start, example[i].end, 7), 0);
		assert_vm(vm, example[i].after);
		vm_free(vm);
	}
}

static void test_unmap(void **state)
{
	static const struct {
		uint64_t start, end;
		const char *after;
		uint64_t bytes;
	} example[] = {
		{10, 20, "20-30:2 40-50:3", 20},		 /* all of one */
		{10, 13, "13-20:1 20-30:2 40-50:3", 27},	 /* head */
		{5, 13, "13-20:1 20-30:2 40-50:3", 27},		 /* head, and a gap before it */
		{17, 20, "10-17:1 20-30:2 40-50:3", 27},	 /* tail */
		{13, 17, "10-13:1 17-20:1 20-30:2 40-50:3", 26}, /* middle */
		{15, 25, "10-15:1 25-30:2 40-50:3", 20},	 /* spanning two */
		{15, 45, "10-15:1 45-50:3", 10},		 /* three, with a gap */
		{0, 100, "", 0},
		{30, 40, "10-20:1 20-30:2 40-50:3", 30}, /* nothing that we know */
		{0, 10, "10-20:1 20-30:2 40-50:3", 30},
		{50, UINT64_MAX, "10-20:1 20-30:2 40-50:3", 30},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(example) / sizeof(example[0]); i++) {
		struct vm *vm = new_vm();

		assert_int_equal(map(vm, 10, 20, 1), 0);
		assert_int_equal(map(vm, 20, 30, 2), 0);
		assert_int_equal(map(vm, 40, 50, 3), 0);
		assert_int_equal(vm_unmap(vm, example[i].start, example[i].end), 0);
		assert_vm(vm, example[i].after);
		assert_int_equal(vm_bytes(vm), example[i].bytes);
		vm_free(vm);
	}
}

static void test_remap(void **state)
{
	static const struct {
		uint64_t old, old_length, new_addr, new_length;
		int keep_old;
		const char *after;
	} example[] = {
		/* in place: same, grown, shrunk */
		{10, 10, 10, 10, 0, "10-20:1 20-30:2 40-50:3"},
		{40, 10, 40, 15, 0, "10-20:1 20-30:2 40-55:3"},
		{45, 5, 45, 10, 0, "10-20:1 20-30:2 40-55:3"},
		{40, 10, 40, 5, 0, "10-20:1 20-30:2 40-45:3"},
		/* moved, alone, grown, shrunk; up and down */
		{10, 10, 60, 10, 0, "20-30:2 40-50:3 60-70:1"},
		{10, 10, 60, 25, 0, "20-30:2 40-50:3 60-85:1"},
		{10, 10, 60, 4, 0, "20-30:2 40-50:3 60-64:1"},
		{40, 10, 0, 10, 0, "0-10:3 10-20:1 20-30:2"},
		/* a part: head, middle, tail, grown */
		{40, 3, 60, 3, 0, "10-20:1 20-30:2 43-50:3 60-63:3"},
		{43, 3, 60, 3, 0, "10-20:1 20-30:2 40-43:3 46-50:3 60-63:3"},
		{47, 3, 60, 3, 0, "10-20:1 20-30:2 40-47:3 60-63:3"},
		{43, 3, 60, 7, 0, "10-20:1 20-30:2 40-43:3 46-50:3 60-67:3"},
		/*
		 * several at once, with a gap, the last one grows; the last byte unknown: no growth
		 */
		{15, 30, 60, 30, 0, "10-15:1 45-50:3 60-65:1 65-75:2 85-90:3"},
		{15, 30, 60, 32, 0, "10-15:1 45-50:3 60-65:1 65-75:2 85-92:3"},
		{15, 20, 60, 25, 0, "10-15:1 40-50:3 60-65:1 65-75:2"},
		/* over others, next to itself, into itself */
		{10, 10, 25, 20, 0, "20-25:2 25-45:1 45-50:3"},
		{40, 5, 50, 5, 0, "10-20:1 20-30:2 45-55:3"},
		{10, 10, 15, 10, 0, "15-25:1 25-30:2 40-50:3"},
		/* from nowhere: what was at the target goes */
		{60, 10, 15, 10, 0, "10-15:1 25-30:2 40-50:3"},
		/* MREMAP_DONTUNMAP */
		{10, 10, 60, 10, 1, "10-20:1 20-30:2 40-50:3 60-70:1"},
		{15, 10, 60, 10, 1, "10-20:1 20-30:2 40-50:3 60-65:1 65-70:2"},
		{10, 10, 60, 3, 1, "10-20:1 20-30:2 40-50:3 60-63:1"},
		/* of no bytes: shared pages a second time */
		{45, 0, 60, 10, 0, "10-20:1 20-30:2 40-50:3 60-70:3"},
		{60, 0, 15, 10, 0, "10-15:1 25-30:2 40-50:3"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(example) / sizeof(example[0]); i++) {
		struct vm *vm = new_vm();

		assert_int_equal(map(vm, 10, 20, 1), 0);
		assert_int_equal(map(vm, 20, 30, 2), 0);
		assert_int_equal(map(vm, 40, 50, 3), 0);
		assert_int_equal(vm_remap(vm, example[i].old, example[i].old_length,
					  example[i].new_addr, example[i].new_length,
					  example[i].keep_old),
				 0);
		assert_vm(vm, example[i].after);
		vm_free(vm);
	}
}

static int check_brk(const struct vm_range *range, void *arg)
{
	assert_int_equal(range->kind, VM_BRK);
	*(uint64_t *)arg += range->stack * (range->end - range->start);
	return 0;
}

static void test_brk(void **state)
{
	struct vm *vm = new_vm();
	uint64_t weight = 0;

	(void)state;
	assert_int_equal(vm_brk(vm, 1000, 1000, 1, 1001), 0);
	assert_vm(vm, "");
	assert_int_equal(vm_brk(vm, 1000, 1100, 1, 1001), 0);
	assert_int_equal(vm_brk(vm, 1100, 1130, 2, 1002), 0);
	assert_vm(vm, "1000-1100:1 1100-1130:2");
	assert_int_equal(vm_brk(vm, 1130, 1090, 3, 1003), 0);
	assert_vm(vm, "1000-1090:1");
	assert_int_equal(vm_brk(vm, 1090, 1097, 4, 1004), 0);
	assert_vm(vm, "1000-1090:1 1090-1097:4");
	assert_int_equal(vm_walk(vm, check_brk, &weight), 0);
	assert_int_equal(weight, 90 + 4 * 7);
	/* below what we saw it begin with */
	assert_int_equal(vm_brk(vm, 1097, 900, 5, 1005), 0);
	assert_vm(vm, "");
	vm_free(vm);
}

static void test_bad_ranges(void **state)
{
	struct vm *vm = new_vm();

	(void)state;
	assert_int_equal(map(vm, 10, 20, 1), 0);
	assert_int_equal(map(vm, 15, 15, 2), -EINVAL);
	assert_int_equal(map(vm, 15, 12, 2), -EINVAL);
	assert_int_equal(vm_unmap(vm, 15, 15), -EINVAL);
	assert_int_equal(vm_unmap(vm, 15, 12), -EINVAL);
	assert_int_equal(vm_remap(vm, 10, 10, 30, 0, 0), -EINVAL);
	assert_int_equal(vm_remap(vm, 10, UINT64_MAX, 30, 10, 0), -EINVAL);
	assert_int_equal(vm_remap(vm, 10, 10, UINT64_MAX - 5, 10, 0), -EINVAL);
	assert_vm(vm, "10-20:1");
	assert_int_equal(map(vm, 0, UINT64_MAX, 3), 0);
	assert_int_equal(vm_bytes(vm), UINT64_MAX);
	assert_int_equal(vm_unmap(vm, 10, UINT64_MAX), 0);
	assert_vm(vm, "0-10:3");
	vm_free(vm);
}

static void test_what_is_one_mapping(void **state)
{
	static const struct vm_range range[] = {
		{10, 20, 5, 1, VM_MMAP}, {20, 30, 5, 2, VM_MMAP}, {30, 40, 6, 2, VM_MMAP},
		{40, 50, 6, 2, VM_BRK},	 {51, 60, 6, 2, VM_BRK},  {60, 70, 6, 2, VM_BRK},
	};
	struct vm *vm = new_vm();

	(void)state;
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(vm_map(vm, &range[i]), 0);
	assert_int_equal(vm_nr(vm), 5); /* only the last two are */
	assert_int_equal(vm_bytes(vm), 59);
	vm_free(vm);
}

static int stop_at_second(const struct vm_range *range, void *arg)
{
	(void)range;
	return ++*(int *)arg == 2 ? 41 : 0;
}

static void test_walk_stops(void **state)
{
	struct vm *vm = new_vm();
	int visits = 0;

	(void)state;
	for (uint64_t i = 0; i < 7; i++)
		assert_int_equal(map(vm, i * 10, i * 10 + 5, 1), 0);
	assert_int_equal(vm_walk(vm, stop_at_second, &visits), 41);
	assert_int_equal(visits, 2);
	vm_free(vm);
}

/* --- against a map of bytes --- */

#define MODEL_BYTES 211

struct model {
	uint32_t stack[MODEL_BYTES]; /* 0: not known */
	size_t at;		     /* of the walk */
	size_t nr;
};

static int compare(const struct vm_range *range, void *arg)
{
	struct model *model = arg;

	for (; model->at < range->start; model->at++)
		assert_int_equal(model->stack[model->at], 0);
	assert_true(model->at == range->start && range->start < range->end);
	for (; model->at < range->end; model->at++)
		assert_int_equal(model->stack[model->at], range->stack);
	/* as long as it can be */
	if (model->at < MODEL_BYTES)
		assert_int_not_equal(model->stack[model->at], range->stack);
	assert_int_equal(range->birth_ns, 1000 + range->stack);
	model->nr++;
	return 0;
}

static void assert_model(const struct vm *vm, struct model *model)
{
	uint64_t bytes = 0;

	model->at = 0;
	model->nr = 0;
	assert_int_equal(vm_walk(vm, compare, model), 0);
	for (; model->at < MODEL_BYTES; model->at++)
		assert_int_equal(model->stack[model->at], 0);
	for (size_t i = 0; i < MODEL_BYTES; i++)
		bytes += model->stack[i] != 0;
	assert_int_equal(vm_nr(vm), model->nr);
	assert_int_equal(vm_bytes(vm), bytes);
}

struct change {
	unsigned int what;
	uint64_t addr, length, old, old_length;
	uint32_t stack;
};

static uint64_t pick(uint64_t *random, uint64_t below)
{
	*random = hash_pair(*random, 3);
	return *random % below;
}

static struct change random_change(uint64_t *random)
{
	uint64_t most = pick(random, 3) ? 12 : 90;
	struct change change = {
		.what = (unsigned int)pick(random, 8),
		.length = 1 + pick(random, most),
		.old_length = 1 + pick(random, most),
		.stack = 1 + (uint32_t)pick(random, 5), /* few: pieces must often fit together */
	};

	if (change.what == 7)
		change.old_length = change.length; /* DONTUNMAP */
	change.addr = pick(random, MODEL_BYTES - change.length);
	change.old = pick(random, MODEL_BYTES - change.old_length);
	if (change.what == 6 && change.old + change.length <= MODEL_BYTES)
		change.addr = change.old; /* in place */
	return change;
}

static int change_vm(struct vm *vm, const struct change *change)
{
	if (change->what < 3)
		return map(vm, change->addr, change->addr + change->length, change->stack);
	if (change->what < 5)
		return vm_unmap(vm, change->addr, change->addr + change->length);
	return vm_remap(vm, change->old, change->old_length, change->addr, change->length,
			change->what == 7);
}

static void model_remap(struct model *model, const struct change *change)
{
	uint32_t moved[MODEL_BYTES];

	for (uint64_t i = 0; i < change->length; i++)
		moved[i] = model->stack[change->old +
					(i < change->old_length ? i : change->old_length - 1)];
	for (uint64_t i = 0; i < change->old_length && change->what != 7; i++)
		model->stack[change->old + i] = 0;
	memcpy(&model->stack[change->addr], moved, change->length * sizeof(moved[0]));
}

static void change_model(struct model *model, const struct change *change)
{
	if (change->what >= 5) {
		model_remap(model, change);
		return;
	}
	for (uint64_t i = 0; i < change->length; i++)
		model->stack[change->addr + i] = change->what < 3 ? change->stack : 0;
}

static void test_against_model(void **state)
{
	struct model model = {.at = 0};
	struct vm *vm = new_vm();
	uint64_t random = 1;

	(void)state;
	for (int i = 0; i < 50021; i++) {
		struct change change = random_change(&random);

		assert_int_equal(change_vm(vm, &change), 0);
		change_model(&model, &change);
		assert_model(vm, &model);
	}
	vm_free(vm);
}

/* --- memory and limits --- */

static void test_no_memory(void **state)
{
	uint64_t random = 2;
	size_t failures = 0;

	(void)state;
	allocfail_set(1);
	assert_null(vm_new());
	allocfail_set(0);
	for (int i = 0; i < 503; i++) {
		struct model model = {.at = 0};
		struct vm *vm = new_vm();

		for (int k = 0; k < 101; k++) {
			struct change change = random_change(&random);
			int error;

			allocfail_set(1);
			error = change_vm(vm, &change);
			assert_int_equal(error, allocfail_hit() ? -ENOMEM : 0);
			allocfail_set(0);
			if (error) {
				failures++;
				assert_model(vm, &model);
				assert_int_equal(change_vm(vm, &change), 0);
			}
			change_model(&model, &change);
			assert_model(vm, &model);
		}
		vm_free(vm);
	}
	assert_true(failures > 1009);
}

static void test_the_second_allocation_of_a_move_fails(void **state)
{
	struct vm *vm = new_vm();
	int failures = 0;

	(void)state;
	for (uint64_t i = 0; i < 101; i++)
		assert_int_equal(map(vm, 1000 + 3 * i, 1001 + 3 * i, 1), 0);
	assert_int_equal(map(vm, 1000, 1011, 2), 0);
	for (long nth = 1; nth <= 2; nth++) {
		int error;

		allocfail_set(nth);
		error = vm_remap(vm, 1005, 290, 5005, 290, 1);
		allocfail_set(0);
		if (!error)
			break;
		failures++;
		assert_int_equal(error, -ENOMEM);
		assert_int_equal(vm_nr(vm), 98);
		assert_int_equal(vm_bytes(vm), 11 + 97);
	}
	assert_true(failures >= 1);
	vm_free(vm);
}

/* The order in which addresses come must not matter for the time. */
static void test_many_ranges(void **state)
{
	(void)state;
	for (int order = 0; order < 3; order++) {
		struct vm *vm = new_vm();
		const uint64_t nr = 100003;

		for (uint64_t i = 0; i < nr; i++) {
			uint64_t at = order == 0 ? i : order == 1 ? nr - 1 - i : i * 50021 % nr;

			assert_int_equal(map(vm, at * 10, at * 10 + 7, 1), 0);
		}
		assert_int_equal(vm_nr(vm), nr);
		assert_int_equal(vm_bytes(vm), nr * 7);
		assert_int_equal(vm_remap(vm, 0, nr * 10, nr * 20, nr * 10, 1), 0);
		assert_int_equal(vm_nr(vm), 2 * nr);
		assert_int_equal(vm_unmap(vm, 10, nr * 30), 0);
		assert_vm(vm, "0-7:1");
		vm_free(vm);
	}
}

static void test_too_many_ranges(void **state)
{
	struct vm *vm = new_vm();
	const uint64_t nr = VM_MAX_RANGES;

	(void)state;
	for (uint64_t i = 0; i < nr; i++)
		assert_int_equal(map(vm, i * 10, i * 10 + 7, 1), 0);
	assert_int_equal(map(vm, nr * 10, nr * 10 + 7, 1), -E2BIG);
	assert_int_equal(vm_unmap(vm, 2, 3), -E2BIG);
	assert_int_equal(vm_remap(vm, 2, 1, nr * 10, 1, 0), -E2BIG);
	assert_int_equal(vm_remap(vm, 0, 7, nr * 10, 7, 1), -E2BIG);
	assert_int_equal(vm_nr(vm), nr);
	assert_int_equal(vm_bytes(vm), nr * 7);
	assert_int_equal(vm_unmap(vm, 5, 10), 0);
	assert_int_equal(vm_unmap(vm, 0, 50), 0);
	assert_int_equal(vm_nr(vm), nr - 5);
	assert_int_equal(vm_remap(vm, 50, 57, nr * 10, 57, 1), -E2BIG);
	assert_int_equal(vm_nr(vm), nr - 5);
	assert_int_equal(vm_bytes(vm), (nr - 5) * 7);
	assert_int_equal(vm_unmap(vm, 52, 53), 0);
	assert_int_equal(map(vm, 0, 7, 1), 0);
	assert_int_equal(vm_nr(vm), nr - 3);
	vm_free(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_map_apart_and_touching),
		cmocka_unit_test(test_map_fixed_over),
		cmocka_unit_test(test_unmap),
		cmocka_unit_test(test_remap),
		cmocka_unit_test(test_brk),
		cmocka_unit_test(test_bad_ranges),
		cmocka_unit_test(test_what_is_one_mapping),
		cmocka_unit_test(test_walk_stops),
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_the_second_allocation_of_a_move_fails),
		cmocka_unit_test(test_many_ranges),
		cmocka_unit_test(test_too_many_ranges),
	};

	return cmocka_run_group_tests_name("vm", tests, NULL, NULL);
}
