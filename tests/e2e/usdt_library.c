// SPDX-License-Identifier: GPL-2.0-or-later
/* A shared library that samples its own allocations; see usdt.c. Its probes have the name that they had before. */
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

#include <stdint.h>

/* Its own, not another's that has the same name: the probes' notes say where it lies. */
#define LISTENS __attribute__((section(".probes"), visibility("hidden")))

extern unsigned short ddheap_alloc_semaphore, ddheap_free_semaphore;
LISTENS unsigned short ddheap_alloc_semaphore;
LISTENS unsigned short ddheap_free_semaphore;

static inline int sampler_listened(void)
{
	return *(volatile unsigned short *)&ddheap_alloc_semaphore != 0;
}

static inline void sampler_tell_alloc(void *block, uint64_t size, uint64_t weight)
{
	STAP_PROBE3(ddheap, alloc, block, size, weight);
}

static inline void sampler_tell_free(void *block)
{
	STAP_PROBE1(ddheap, free, block);
}

#include "usdt_sampler.h"

static void *library_kept[USDT_LIBRARY_BLOCKS];

SITE static void usdt_library_blocks(void)
{
	int i;

	for (i = 0; i < USDT_LIBRARY_BLOCKS; i++) {
		library_kept[i] = sampler_malloc(USDT_LIBRARY_BYTES);
		if (i % 2)
			continue;
		sampler_free(library_kept[i]);
		library_kept[i] = sampler_malloc(USDT_LIBRARY_BYTES);
	}
}

extern void usdt_library_get(struct usdt_library *out);
void usdt_library_get(struct usdt_library *out)
{
	*out = (struct usdt_library){
		.leak = usdt_library_blocks,
		.sums = &sampler_sums,
		.semaphore = {&ddheap_alloc_semaphore, &ddheap_free_semaphore},
	};
}

/* As a plugin of early.c, which has no such probes itself. */
extern void plugin_run(void *(*callback)(size_t nr), int nr);
void plugin_run(void *(*callback)(size_t nr), int nr)
{
	while (nr-- > 0)
		callback(101);
}
