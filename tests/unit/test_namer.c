/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names from the thread that finds them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "namer.h"
#include "proc.h"
#include "sample_program.h"

#define DEADLINE_MS 10000
#define ROUND_MS 100

struct taken {
	size_t nr, nr_unnamed;
	char function[64]; /* of the last one */
};

static int take(const struct namer_answer *answer, void *arg)
{
	struct taken *taken = arg;

	taken->nr++;
	if (!answer->nr) {
		taken->nr_unnamed++;
		return 0;
	}
	(void)strncpy(taken->function, answer->frame[answer->nr - 1].function,
		      sizeof(taken->function) - 1);
	return 0;
}

static struct taken collect(struct namer *namer)
{
	struct taken taken = {0};

	for (int waited = 0; namer_pending(namer) && waited < DEADLINE_MS; waited += ROUND_MS) {
		namer_wait(namer, ROUND_MS);
		assert_int_equal(namer_collect(namer, take, &taken), 0);
	}
	assert_int_equal(namer_pending(namer), 0);
	return taken;
}

static void add(struct namer *namer, pid_t tgid)
{
	struct proc_maps maps;

	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, tgid), 0);
	assert_int_equal(namer_add_process(namer, SAMPLE_KEY, tgid, &maps), 0);
	proc_maps_release(&maps);
}

static void test_ask_and_collect(void **state)
{
	struct symbolizer_options options = {.no_demangle = true};
	struct target target;
	struct namer *namer;
	struct taken taken;

	(void)state;
	compile_program("asked", "-g");
	target = start_program("asked");
	assert_int_equal(namer_new(&options, &namer), 0);
	add(namer, target.tgid);
	stop_program(&target);
	assert_int_equal(namer_want(namer, SAMPLE_KEY, target.plain), 0);
	assert_int_equal(namer_want(namer, SAMPLE_KEY, target.plain), 0);
	taken = collect(namer);
	assert_int_equal(taken.nr, 1);
	assert_string_equal(taken.function, "_ZN5cache3putEi");
	assert_int_equal(namer_want(namer, SAMPLE_KEY, target.outer), 0);
	assert_int_equal(namer_want(namer, SAMPLE_KEY + 1, target.outer), 0);
	taken = collect(namer);
	assert_int_equal(taken.nr, 2);
	assert_int_equal(taken.nr_unnamed, 1);

	namer_remove_process(namer, SAMPLE_KEY);
	assert_int_equal(namer_want(namer, SAMPLE_KEY, target.outer), 0);
	taken = collect(namer);
	assert_int_equal(taken.nr, 1);
	assert_int_equal(taken.nr_unnamed, 1);
	/* with a question that nobody waits for */
	assert_int_equal(namer_want(namer, SAMPLE_KEY, target.inside), 0);
	namer_free(namer);
}

/* Who was over before anybody looked: its names are there when they are wanted. */
static void test_told(void **state)
{
	struct symbolizer_options options = {.no_demangle = true};
	struct proc_maps maps;
	struct target target;
	struct namer *namer;
	struct taken taken;

	(void)state;
	compile_program("told", "-g");
	target = start_program("told");
	assert_int_equal(namer_new(&options, &namer), 0);
	for (uint32_t key = SAMPLE_KEY; key < SAMPLE_KEY + 4; key++) {
		proc_maps_init(&maps);
		assert_int_equal(proc_maps_read(&maps, target.tgid), 0);
		if (key == SAMPLE_KEY)
			stop_program(&target);
		assert_int_equal(namer_tell_process(namer, key, target.tgid, &maps), 0);
		assert_int_equal(maps.nr, 0);
		if (key == SAMPLE_KEY)
			target = start_program("told");
	}
	stop_program(&target);
	assert_int_equal(namer_copy_process(namer, SAMPLE_KEY + 7, SAMPLE_KEY + 1), 0);
	namer_remove_process(namer, SAMPLE_KEY + 2);
	assert_int_equal(namer_want(namer, SAMPLE_KEY + 2, target.plain), 0);
	taken = collect(namer);
	assert_int_equal(taken.nr_unnamed, 1);
	assert_int_equal(namer_want(namer, SAMPLE_KEY + 7, target.plain), 0);
	taken = collect(namer);
	assert_int_equal(taken.nr_unnamed, 0);
	assert_string_equal(taken.function, "_ZN5cache3putEi");
	assert_int_equal(namer_want(namer, SAMPLE_KEY + 1, target.plain), 0);
	taken = collect(namer);
	assert_string_equal(taken.function, "_ZN5cache3putEi");
	/* with what nobody has asked for */
	namer_free(namer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ask_and_collect),
		cmocka_unit_test(test_told),
	};

	return cmocka_run_group_tests(tests, sample_set_up, sample_tear_down);
}
