// SPDX-License-Identifier: GPL-2.0-or-later
/* Loads a plugin, $EARLY_PLUGIN, and has it allocate at once. The plugin is one of stacks_plugin.c. */
#include <dlfcn.h>
#include <time.h>

#include "target.h"

#define BUSY_MS 50

static long nr_allocations;

/* The plugin's callback. */
SITE static void *early_malloc(size_t nr)
{
	void *block = malloc(nr);

	free(block);
	nr_allocations++;
	return block;
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

SITE static long early_plugin(void)
{
	void *plugin = dlopen(getenv("EARLY_PLUGIN"), RTLD_NOW);
	void (*run)(void *(*callback)(size_t), int nr);
	long end_ms = now_ms() + BUSY_MS;

	REQUIRE(plugin);
	run = (void (*)(void *(*)(size_t), int))dlsym(plugin, "plugin_run");
	REQUIRE(run);
	while (now_ms() < end_ms)
		run(early_malloc, 7);
	return nr_allocations;
}

static const struct work works[] = {
	{"early_plugin", early_plugin},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return target_serve(works, argc, argv);
}
