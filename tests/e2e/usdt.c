// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Samples its own allocations and tells of them by probes otel_memory:alloc and otel_memory:free, as allocators do that
 * can be profiled cheaply. $USDT_LIBRARY is usdt_library.c, which does the same under the older name.
 */
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

#include <dlfcn.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#define LISTENS __attribute__((section(".probes")))

extern unsigned short otel_memory_alloc_semaphore, otel_memory_free_semaphore;
unsigned short otel_memory_alloc_semaphore LISTENS;
unsigned short otel_memory_free_semaphore LISTENS;

static inline int sampler_listened(void)
{
	return *(volatile unsigned short *)&otel_memory_alloc_semaphore != 0;
}

static inline void sampler_tell_alloc(void *block, uint64_t size, uint64_t weight)
{
	STAP_PROBE3(otel_memory, alloc, block, size, weight);
}

static inline void sampler_tell_free(void *block)
{
	STAP_PROBE1(otel_memory, free, block);
}

#include "usdt_sampler.h"

#define LEAKED 20011
#define CHURNED 30011
#define LARGE 97
#define PAIRS 500009

static struct usdt_library library;
static void *kept[LEAKED + LARGE];
static size_t nr_kept;
static volatile unsigned int used;

SITE static long usdt_load(void)
{
	void *handle = dlopen(getenv("USDT_LIBRARY"), RTLD_NOW);
	void (*get)(struct usdt_library * out);

	REQUIRE(handle);
	get = (void (*)(struct usdt_library *))dlsym(handle, "usdt_library_get");
	REQUIRE(get);
	get(&library);
	return 0;
}

/* Of the program and of its library: alloc, free, alloc, free, a byte each. */
SITE static long usdt_semaphores(void)
{
	volatile unsigned short *own[] = {&otel_memory_alloc_semaphore,
					  &otel_memory_free_semaphore};
	long value = own[0][0] | own[1][0] << 8;

	if (library.leak)
		value |= (long)library.semaphore[0][0] << 16 | (long)library.semaphore[1][0] << 24;
	return value;
}

SITE static long usdt_leak(void)
{
	int i;

	for (i = 0; i < LEAKED; i++)
		kept[nr_kept++] = sampler_malloc(101);
	return LEAKED * 101;
}

/* Most of them are larger than the interval, and some get a weight below their size. */
SITE static long usdt_large(void)
{
	int i;

	for (i = 0; i < LARGE; i++)
		kept[nr_kept++] = sampler_malloc(150001);
	return LARGE * 150001;
}

SITE static long usdt_churn(void)
{
	int i;

	for (i = 0; i < CHURNED; i++)
		sampler_free(sampler_malloc(211));
	return CHURNED;
}

SITE static long usdt_library_leak(void)
{
	REQUIRE(library.leak);
	library.leak();
	return USDT_LIBRARY_BLOCKS * USDT_LIBRARY_BYTES;
}

static long sum(size_t member)
{
	long value = *(const long *)((const char *)&sampler_sums + member);

	if (library.sums)
		value += *(const long *)((const char *)library.sums + member);
	return value;
}

static long usdt_allocs(void)
{
	return sum(offsetof(struct usdt_sums, allocs));
}

static long usdt_frees(void)
{
	return sum(offsetof(struct usdt_sums, frees));
}

static long usdt_weight(void)
{
	return sum(offsetof(struct usdt_sums, weight));
}

static long usdt_bytes(void)
{
	return sum(offsetof(struct usdt_sums, bytes));
}

static pid_t child;

/* A child that goes on until nobody listens to it. */
SITE static long usdt_fork(void)
{
	child = fork();
	REQUIRE(child >= 0);
	if (child)
		return 0;
	alarm(100);
	while (usdt_semaphores())
		usleep(1000);
	_exit(17);
}

SITE static long usdt_child(void)
{
	int status;

	REQUIRE(waitpid(child, &status, 0) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The program that $USDT_BECOME names. */
SITE static long usdt_become(void)
{
	char *const argv[] = {getenv("USDT_BECOME"), NULL};

	(void)execv(argv[0], argv);
	return 1;
}

/* As if somebody listened: what sampling itself costs. */
static long usdt_pretend(void)
{
	otel_memory_alloc_semaphore++;
	return 0;
}

static long usdt_pretend_no_more(void)
{
	otel_memory_alloc_semaphore--;
	return 0;
}

/* What a program does with a block: fills it, and reads it. */
SITE static unsigned int use(unsigned char *block, size_t nr, int value)
{
	unsigned int hash = 2166136261u;
	size_t i;

	memset(block, value, nr);
	for (i = 0; i < nr; i++)
		hash = (hash ^ block[i]) * 16777619u;
	return hash;
}

/* The CPU time, in us, of many blocks that are used a little, at the interval that allocators take. */
SITE static long usdt_pairs(void)
{
	struct timespec begin, end;
	void *block;
	int i, nr;

	sampler_interval = 512 * 1024;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	for (i = 0; i < PAIRS; i++) {
		nr = 16 + i % 257;
		block = sampler_malloc((size_t)nr);
		used ^= use(block, (size_t)nr, i);
		sampler_free(block);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	return (end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000;
}

static const struct work works[] = {
	{"usdt_fork", usdt_fork},
	{"usdt_child", usdt_child},
	{"usdt_become", usdt_become},
	{"usdt_load", usdt_load},
	{"usdt_semaphores", usdt_semaphores},
	{"usdt_leak", usdt_leak},
	{"usdt_large", usdt_large},
	{"usdt_churn", usdt_churn},
	{"usdt_library_leak", usdt_library_leak},
	{"usdt_allocs", usdt_allocs},
	{"usdt_frees", usdt_frees},
	{"usdt_weight", usdt_weight},
	{"usdt_bytes", usdt_bytes},
	{"usdt_pretend", usdt_pretend},
	{"usdt_pretend_no_more", usdt_pretend_no_more},
	{"usdt_pairs", usdt_pairs},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return target_serve(works, argc, argv);
}
