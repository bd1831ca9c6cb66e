// SPDX-License-Identifier: GPL-2.0-or-later
/* Templates inlined two levels deep: three functions at one address. The comments name lines that the test looks for. */
#include "target.h"

static void *volatile kept;

template <typename T> struct inline_store {
	static inline __attribute__((always_inline)) void inline_add(int n)
	{
		kept = malloc(sizeof(T) * n); /* line: inline_add */
	}
};

template <typename T> static inline __attribute__((always_inline)) void inline_fill(int n)
{
	inline_store<T>::inline_add(n); /* line: inline_fill */
}

extern "C" SITE void inline_site(int n)
{
	inline_fill<long>(n); /* line: inline_site */
}

static long inlined()
{
	for (int i = 0; i < 83; i++)
		inline_site(23);
	return 0;
}

static const struct work works[] = {
	{"inlined", inlined},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return target_serve(works, argc, argv);
}
