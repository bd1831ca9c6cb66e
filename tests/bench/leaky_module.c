// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A module for redis-server that leaks: of each 16th command that it sees, whatever that is, it keeps
 * 512 bytes for ever. redismodule.h is not packaged everywhere; these few lines of it are the
 * server's stable interface to modules.
 */
#include <stddef.h>
#include <string.h>

#define EVERY 16
#define LEAK_BYTES 512

struct context {
	int (*get_api)(const char *name, void *function);
};

static int (*set_attributes)(struct context *context, const char *name, int version, int api);
static void *(*register_filter)(struct context *context, void (*filter)(void *call), int flags);
static void *(*allocate)(size_t bytes);

static unsigned int nr_commands;

__attribute__((noinline)) void planted_leak(void)
{
	void *block = allocate(LEAK_BYTES);

	if (block)
		memset(block, 1, LEAK_BYTES);
}

static void see_command(void *call)
{
	(void)call;
	if (++nr_commands % EVERY == 0)
		planted_leak();
	__asm__ volatile("" : : : "memory");
}

int RedisModule_OnLoad(struct context *context);

int RedisModule_OnLoad(struct context *context)
{
	if (context->get_api("RedisModule_SetModuleAttribs", &set_attributes) ||
	    context->get_api("RedisModule_RegisterCommandFilter", &register_filter) ||
	    context->get_api("RedisModule_Alloc", &allocate))
		return 1;
	(void)set_attributes(context, "leaky", 1, 1);
	return register_filter(context, see_command, 0) ? 0 : 1;
}
