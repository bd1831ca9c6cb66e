// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Edge cases that are about what lies around the calls of an allocator: a second C library, memory from the kernel
 * without one, pages that come and go. edge_world.sh knows what must come out.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "blocks.h"
#include "target.h"

#define PAGE 4096ul
#define HUGE (2ul << 20)

static void *(*second_malloc)(size_t size);
static void (*second_free)(void *p);

MALLOC_SITE(edge_24_first)

SITE void *edge_24_second(size_t size)
{
	return second_malloc(size);
}

/* In a namespace of its own, with a heap of its own, and the same file as the first. */
static long edge_24_open(void)
{
	void *library = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);

	REQUIRE(library);
	*(void **)&second_malloc = dlsym(library, "malloc");
	*(void **)&second_free = dlsym(library, "free");
	REQUIRE(second_malloc && second_malloc != malloc && second_free);
	return 0;
}

static long edge_24(void)
{
	int i;

	fill(edge_24_first, 251, 17);
	fill(edge_24_second, 257, 31);
	for (i = 0; i < 13; i++)
		second_free(block[i]);
	return 0;
}

MALLOC_SITE(edge_26_malloc)

static long edge_26(void)
{
	fill(edge_26_malloc, 263, 19);
	empty(0, 7);
	return 0;
}

/* No function of the C library that is named after what it does. */
SITE char *edge_29_raw(size_t pages)
{
	return (char *)syscall(SYS_mmap, NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long edge_29(void)
{
	char *p = edge_29_raw(37);

	REQUIRE(p != MAP_FAILED);
	REQUIRE(!syscall(SYS_munmap, p + 5 * PAGE, 11 * PAGE));
	return 0;
}

SITE void *edge_30_sbrk(intptr_t bytes)
{
	return sbrk(bytes);
}

MALLOC_SITE(edge_30_malloc)
MALLOC_SITE(edge_30_trimmed)

/* Of pages that were given back blocks may still be live, and freed blocks may still have theirs. */
static long edge_30(void)
{
	char *p;

	REQUIRE(edge_30_sbrk(23 * PAGE) != (void *)-1);
	fill(edge_30_trimmed, 4099, 101);
	empty(0, 101);
	malloc_trim(0);
	p = edge_30_malloc(31 * PAGE);
	REQUIRE(p);
	memset(p, 1, 31 * PAGE);
	REQUIRE(!madvise((void *)(((uintptr_t)p | (PAGE - 1)) + 1), 29 * PAGE, MADV_DONTNEED));
	return 0;
}

static char *huge, *in_file;

SITE void edge_32_huge(void)
{
	size_t i;

	for (i = 0; i < HUGE; i += PAGE)
		((volatile char *)huge)[i] = 1;
}

SITE void edge_32_memfd(void)
{
	size_t i;

	for (i = 0; i < 307; i++)
		((volatile char *)in_file)[i * PAGE] = 1;
}

static long edge_32_prepare(void)
{
	int fd = memfd_create("edge_32", MFD_CLOEXEC);
	char *p = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(p != MAP_FAILED && fd >= 0);
	huge = (char *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
	(void)madvise(huge, HUGE, MADV_HUGEPAGE);
	REQUIRE(!ftruncate(fd, 307 * PAGE));
	in_file = mmap(NULL, 307 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(in_file != MAP_FAILED);
	return 0;
}

/* Returns how many faults the kernel has counted. */
static long faults_of(void (*touch)(void))
{
	struct rusage before, after;

	REQUIRE(!getrusage(RUSAGE_SELF, &before));
	touch();
	REQUIRE(!getrusage(RUSAGE_SELF, &after));
	return after.ru_minflt - before.ru_minflt;
}

static long edge_32_touch_huge(void)
{
	return faults_of(edge_32_huge);
}

static long edge_32_touch_memfd(void)
{
	return faults_of(edge_32_memfd);
}

MALLOC_SITE(edge_34_first)
MALLOC_SITE(edge_34_second)
MALLOC_SITE(edge_34_third)

static long edge_34(void)
{
	fill(edge_34_first, 269, 11);
	fill(edge_34_second, 271, 13);
	empty(0, 5);
	fill(edge_34_third, 277, 17);
	return 0;
}

MALLOC_SITE(edge_46_malloc)

static long edge_46(void)
{
	fill(edge_46_malloc, 281, 23);
	return 0;
}

MALLOC_SITE(edge_50_malloc)

static long edge_50(void)
{
	fill(edge_50_malloc, 283, 29);
	empty(0, 3);
	return getpid();
}

static const struct work works[] = {
	{"edge_24_open", edge_24_open},
	{"edge_24", edge_24},
	{"edge_26", edge_26},
	{"edge_29", edge_29},
	{"edge_30", edge_30},
	{"edge_32_prepare", edge_32_prepare},
	{"edge_32_touch_huge", edge_32_touch_huge},
	{"edge_32_touch_memfd", edge_32_touch_memfd},
	{"edge_34", edge_34},
	{"edge_46", edge_46},
	{"edge_50", edge_50},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return target_serve(works, argc, argv);
}
