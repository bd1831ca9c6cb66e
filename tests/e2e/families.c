/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The leak in C, for whatever malloc() it is linked with or preloads; and in jemalloc's own functions. */
#include <dlfcn.h>

#include "families.h"
#include "target.h"

static void *kept[LEAK_BLOCKS];

static SITE void *families_leak(void)
{
	void *block = malloc(LEAK_BYTES);

	REQUIRE(block);
	return block;
}

static SITE void *families_zeroed(void)
{
	void *block = calloc(ZEROED_COUNT, ZEROED_BYTES);

	REQUIRE(block);
	return block;
}

static SITE void *families_resized(void *block)
{
	block = realloc(block, RESIZED_BYTES);
	REQUIRE(block);
	return block;
}

static SITE void *families_aligned(void)
{
	void *block = NULL;

	REQUIRE(!posix_memalign(&block, ALIGNED_TO, ALIGNED_BYTES));
	return block;
}

static long leak(void)
{
	int i;

	for (i = 0; i < LEAK_BLOCKS; i++)
		kept[i] = families_leak();
	for (i = 0; i < LEAK_FREED; i++)
		free(kept[i]);
	for (i = 0; i < ZEROED_BLOCKS; i++)
		families_zeroed();
	for (i = 0; i < RESIZED_BLOCKS; i++)
		families_resized(malloc(RESIZED_FROM_BYTES));
	for (i = 0; i < ALIGNED_BLOCKS; i++)
		families_aligned();
	return 0;
}

#ifdef WITH_DLSYM
static void *(*find_mallocx)(size_t size, int flags);
static void *(*find_rallocx)(void *block, size_t size, int flags);
static size_t (*find_xallocx)(void *block, size_t size, size_t extra, int flags);
static void (*find_sdallocx)(void *block, size_t size, int flags);
static void (*find_dallocx)(void *block, int flags);

static long find(void)
{
	find_mallocx = dlsym(RTLD_DEFAULT, "mallocx");
	find_rallocx = dlsym(RTLD_DEFAULT, "rallocx");
	find_xallocx = dlsym(RTLD_DEFAULT, "xallocx");
	find_sdallocx = dlsym(RTLD_DEFAULT, "sdallocx");
	find_dallocx = dlsym(RTLD_DEFAULT, "dallocx");
	REQUIRE(find_mallocx && find_rallocx && find_xallocx && find_sdallocx && find_dallocx);
	return 0;
}

static SITE void *families_mallocx(size_t bytes)
{
	void *block = find_mallocx(bytes, 0);

	REQUIRE(block);
	return block;
}

static SITE void *families_rallocx(void *block, size_t bytes)
{
	block = find_rallocx(block, bytes, 0);
	REQUIRE(block);
	return block;
}

/* 5,000 bytes lie in a block of 5,120, which cannot grow to 9,000. */
static SITE void families_xallocx(void *block)
{
	REQUIRE(find_xallocx(block, 5101, 0, 0) == 5120);
}

static SITE void families_xallocx_fails(void *block)
{
	REQUIRE(find_xallocx(block, 9001, 0, 0) == 5120);
}

static long jemalloc(void)
{
	int i;

	for (i = 0; i < 43; i++)
		families_mallocx(211);
	for (i = 0; i < 19; i++)
		find_sdallocx(families_mallocx(211), 211, 0);
	for (i = 0; i < 17; i++)
		find_dallocx(families_mallocx(211), 0);
	for (i = 0; i < 23; i++)
		families_rallocx(families_mallocx(67), 331);
	return 0;
}

static long xallocx(void)
{
	int i;

	for (i = 0; i < 29; i++)
		families_xallocx(families_mallocx(5000));
	for (i = 0; i < 13; i++)
		families_xallocx_fails(families_mallocx(5000));
	return 0;
}
#endif

static const struct work work[] = {
	{"leak", leak},
#ifdef WITH_DLSYM
	{"find", find}, {"jemalloc", jemalloc}, {"xallocx", xallocx},
#endif
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return target_serve(work, argc, argv);
}
