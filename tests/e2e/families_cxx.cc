/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The leak in C++: operator new and delete, by array, sized, nothrow and aligned. */
#include <new>

#include "families.h"
#include "target.h"

struct alignas(ALIGNED_TO) aligned_block {
	char bytes[ALIGNED_BYTES];
};

static char *kept[LEAK_BLOCKS];

extern "C" {

SITE char *families_leak(void)
{
	return new char[LEAK_BYTES];
}

SITE char *families_nothrow(void)
{
	return new (std::nothrow) char[ZEROED_COUNT * ZEROED_BYTES];
}

SITE aligned_block *families_aligned(void)
{
	return new aligned_block;
}

SITE long *families_sized(void)
{
	return new long;
}
}

static long leak(void)
{
	int i;

	for (i = 0; i < LEAK_BLOCKS; i++)
		kept[i] = families_leak();
	for (i = 0; i < LEAK_FREED; i++)
		delete[] kept[i];
	for (i = 0; i < ZEROED_BLOCKS; i++)
		REQUIRE(families_nothrow());
	for (i = 0; i < ALIGNED_BLOCKS; i++)
		REQUIRE(families_aligned());
	for (i = 0; i < 71; i++)
		delete families_sized();
	return 0;
}

static const struct work work[] = {
	{"leak", leak},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return target_serve(work, argc, argv);
}
