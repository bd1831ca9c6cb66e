/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocators that nobody knows, or only by a prefix: jemalloc's names with "je_" before them, a pool that hands out
 * memory which malloc() never sees, and one above malloc().
 */
#include "families.h"
#include "target.h"

#define ARENA_BYTES (1 << 20)
#define HEADER_BYTES 16 /* holds the block's size */

static char arena[ARENA_BYTES] __attribute__((aligned(64)));
static size_t used;
static void *kept[LEAK_BLOCKS];
static int pool; /* its address says which one */

/* Blocks are cut off, and used again only by who frees the last one. */
static void *cut(size_t size)
{
	char *block = arena + used + HEADER_BYTES;

	REQUIRE(used + size + 2 * HEADER_BYTES < ARENA_BYTES);
	memcpy(block - HEADER_BYTES, &size, sizeof(size));
	used += (size + 2 * HEADER_BYTES - 1) / HEADER_BYTES * HEADER_BYTES;
	return block;
}

static void *move(void *block, size_t size)
{
	size_t before = 0;
	void *to = cut(size);

	if (block)
		memcpy(&before, (char *)block - HEADER_BYTES, sizeof(before));
	if (block)
		memcpy(to, block, before < size ? before : size);
	return to;
}

SITE void *je_malloc(size_t size)
{
	return cut(size);
}

SITE void *je_calloc(size_t count, size_t size)
{
	return cut(count * size);
}

SITE void *je_realloc(void *block, size_t size)
{
	return move(block, size);
}

SITE int je_posix_memalign(void **out, size_t align, size_t size)
{
	used = (used + align) / align * align + align - HEADER_BYTES;
	*out = cut(size);
	return 0;
}

SITE void je_free(void *block)
{
	__asm__ volatile("" : : "r"(block) : "memory");
}

SITE void *pool_get(int *of, size_t size)
{
	REQUIRE(of == &pool);
	return cut(size);
}

SITE int pool_take(void **out, size_t count, size_t size)
{
	if (count > 100)
		return 1;
	*out = cut(count * size);
	return 0;
}

SITE void *pool_grow(size_t size, int *of, void *block)
{
	REQUIRE(of == &pool);
	return size > ARENA_BYTES ? NULL : move(block, size);
}

/* Nothing moves; what it returns is what the block has from then on. */
SITE size_t pool_stretch(void *block, size_t size)
{
	__asm__ volatile("" : : "r"(block) : "memory");
	return size > 1000 ? 1000 : size;
}

SITE void pool_put(int *of, void *block)
{
	REQUIRE(of == &pool);
	__asm__ volatile("" : : "r"(block) : "memory");
}

/* Above malloc(), with a header of its own. */
SITE void *nest_get(size_t size)
{
	char *block = malloc(size + HEADER_BYTES);

	REQUIRE(block);
	return block + HEADER_BYTES;
}

SITE void nest_put(void *block)
{
	free((char *)block - HEADER_BYTES);
}

static SITE void *families_prefixed(void)
{
	return je_malloc(LEAK_BYTES);
}

static SITE void *families_prefixed_zeroed(void)
{
	return je_calloc(ZEROED_COUNT, ZEROED_BYTES);
}

static SITE void *families_prefixed_resized(void *block)
{
	return je_realloc(block, RESIZED_BYTES);
}

static SITE void *families_prefixed_aligned(void)
{
	void *block = NULL;

	REQUIRE(!je_posix_memalign(&block, ALIGNED_TO, ALIGNED_BYTES));
	return block;
}

static long prefixed(void)
{
	int i;

	for (i = 0; i < LEAK_BLOCKS; i++)
		kept[i] = families_prefixed();
	for (i = 0; i < LEAK_FREED; i++)
		je_free(kept[i]);
	for (i = 0; i < ZEROED_BLOCKS; i++)
		families_prefixed_zeroed();
	for (i = 0; i < RESIZED_BLOCKS; i++)
		families_prefixed_resized(je_malloc(RESIZED_FROM_BYTES));
	for (i = 0; i < ALIGNED_BLOCKS; i++)
		families_prefixed_aligned();
	return 0;
}

static SITE void *families_pool(void)
{
	return pool_get(&pool, LEAK_BYTES);
}

static SITE void families_out(size_t count)
{
	void *block = NULL;

	REQUIRE(!pool_take(&block, count, 83) == (count <= 100));
}

static SITE void *families_grown(void *block, size_t size)
{
	return pool_grow(size, &pool, block);
}

static SITE void families_stretched(void *block, size_t size)
{
	REQUIRE(pool_stretch(block, size) <= 1000);
}

static SITE void *families_nested(void)
{
	return nest_get(89);
}

static long leak(void)
{
	int i;

	for (i = 0; i < LEAK_BLOCKS; i++)
		kept[i] = families_pool();
	for (i = 0; i < LEAK_FREED; i++)
		pool_put(&pool, kept[i]);
	for (i = 0; i < 47; i++)
		families_out(3);
	for (i = 0; i < 5; i++)
		families_out(101);
	for (i = 0; i < 53; i++)
		families_grown(pool_get(&pool, 31), 307);
	for (i = 0; i < 7; i++)
		families_grown(pool_get(&pool, 37), ARENA_BYTES + 1);
	for (i = 0; i < 31; i++)
		families_stretched(pool_get(&pool, 41), 97);
	for (i = 0; i < 3; i++)
		families_stretched(pool_get(&pool, 43), 1001);
	return 0;
}

static long nested(void)
{
	int i;

	for (i = 0; i < 67; i++)
		families_nested();
	for (i = 0; i < 61; i++)
		nest_put(families_nested());
	return 0;
}

static const struct work work[] = {
	{"prefixed", prefixed},
	{"leak", leak},
	{"nested", nested},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return target_serve(work, argc, argv);
}
