/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Needs root: it sets the heap probes that it brings along itself, in its own process. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

#include "kernel.h"
#include "loader.h"
#include "usdt_attach.h"

#define SLOT 1
#define PATH "/proc/self/exe"
#define NO_TGID 4194304 /* PID_MAX_LIMIT: the first that none has */
#define ALLOCS 13
#define FREES 7

extern unsigned short otel_memory_alloc_semaphore, otel_memory_free_semaphore;
unsigned short otel_memory_alloc_semaphore __attribute__((section(".probes")));
unsigned short otel_memory_free_semaphore __attribute__((section(".probes")));

static __attribute__((noinline)) void emit_alloc(uintptr_t block, uint64_t size, uint64_t weight)
{
	STAP_PROBE3(otel_memory, alloc, block, size, weight);
}

static __attribute__((noinline)) void emit_free(uintptr_t block)
{
	STAP_PROBE1(otel_memory, free, block);
}

struct world {
	struct loader *loader;
	struct usdt_object object;
	uint32_t spec[2];
	struct attach links;
};

static int set_up(void **state)
{
	static struct world world;
	static const struct loader_options options = {.allocations = true,
						      .ring_bytes = 65536,
						      .max_blocks = 1024,
						      .max_targets = 2,
						      .max_stacks = 64,
						      .max_frames = 16,
						      .max_mappings = 64};
	struct kernel_features features;
	struct elf_file *elf;
	const char *why;
	size_t i;

	world = (struct world){0};
	kernel_probe(&features);
	kernel_raise_limits();
	assert_int_equal(loader_new(&options, &features, &world.loader), 0);
	assert_int_equal(loader_set_target(world.loader, SLOT, (uint32_t)getpid()), 0);
	assert_int_equal(elf_open_fd(open(PATH, O_RDONLY | O_CLOEXEC), &elf), 0);
	assert_int_equal(usdt_find(elf, &world.object, &why), 0);
	elf_close(elf);
	assert_int_equal(world.object.nr_sites, 2);
	for (i = 0; i < 2; i++) {
		world.spec[i] = (uint32_t)i + 1;
		assert_int_equal(
			loader_set_usdt(world.loader, world.spec[i], &world.object.site[i].spec),
			0);
	}
	*state = &world;
	return 0;
}

static int take_down(void **state)
{
	struct world *w = *state;

	attach_release(&w->links);
	usdt_object_release(&w->object);
	loader_free(w->loader);
	return 0;
}

static int attach(struct world *w)
{
	return usdt_attach(&w->links, w->loader, getpid(), PATH, &w->object, w->spec);
}

static void expect_semaphores(unsigned short value)
{
	assert_int_equal(*(volatile unsigned short *)&otel_memory_alloc_semaphore, value);
	assert_int_equal(*(volatile unsigned short *)&otel_memory_free_semaphore, value);
}

static void test_semaphores(void **state)
{
	struct world *w = *state;

	expect_semaphores(0);
	assert_int_equal(attach(w), 0);
	expect_semaphores(1);
	assert_int_equal(attach(w), 0); /* beside those */
	expect_semaphores(1);
	attach_release(&w->links);
	expect_semaphores(0);
	attach_release(&w->links);
}

static void test_hits(void **state)
{
	uint64_t value[STAT_NR];
	struct world *w = *state;
	uintptr_t i;

	assert_int_equal(attach(w), 0);
	emit_alloc(0x1000, 1, 1); /* not armed */
	loader_arm(w->loader, true);
	for (i = 0; i < ALLOCS; i++)
		emit_alloc(0x10000 + 16 * i, 101, 202);
	for (i = 0; i < FREES; i++)
		emit_free(0x10000 + 16 * i);
	loader_arm(w->loader, false);
	assert_int_equal(loader_counters(w->loader, SLOT, value), 0);
	assert_int_equal(value[STAT_USDT_HITS], ALLOCS + FREES);
	assert_int_equal(value[STAT_ALLOCS], ALLOCS);
	assert_int_equal(value[STAT_FREES], FREES);
	assert_int_equal(value[STAT_FREES_UNKNOWN], 0);
}

/* Somebody else's probe at the same place has another semaphore: none of ours is left behind. */
static void test_another_semaphore(void **state)
{
	struct world *w = *state;
	struct attach others = {0};
	struct usdt_object object = w->object;
	struct usdt_site site[2] = {w->object.site[0], w->object.site[1]};

	object.site = site;
	site[1].ref_count_offset = 0;
	assert_int_equal(attach(w), 0);
	assert_int_equal(usdt_attach(&others, w->loader, getpid(), PATH, &object, w->spec),
			 -EINVAL);
	assert_int_equal(others.nr, 0);
	attach_release(&others);
	expect_semaphores(1);
}

static void test_no_such_process(void **state)
{
	struct world *w = *state;

	assert_int_equal(usdt_attach(&w->links, w->loader, NO_TGID, PATH, &w->object, w->spec),
			 -ESRCH);
	assert_int_equal(w->links.nr, 0);
	expect_semaphores(0);
}

static void test_numbers_of_specs(void **state)
{
	const struct world *w = *state;
	const struct usdt_spec *spec = &w->object.site[0].spec;

	assert_int_equal(loader_set_usdt(w->loader, 0, spec), -ENOSPC);
	assert_int_equal(loader_set_usdt(w->loader, USDT_MAX_SPECS - 1, spec), 0);
	assert_int_equal(loader_set_usdt(w->loader, USDT_MAX_SPECS, spec), -ENOSPC);
}

#define world_test(f) cmocka_unit_test_setup_teardown(f, set_up, take_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_semaphores),	    world_test(test_hits),
		world_test(test_another_semaphore), world_test(test_no_such_process),
		world_test(test_numbers_of_specs),
	};

	if (geteuid()) {
		puts("1..0 # SKIP needs root");
		return 0;
	}
	return cmocka_run_group_tests_name("usdt_attach", tests, NULL, NULL);
}
