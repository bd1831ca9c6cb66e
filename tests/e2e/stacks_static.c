// SPDX-License-Identifier: GPL-2.0-or-later
/* A program without names, libraries and frame pointers. */
#include <sys/mman.h>

#include "blocks.h"
#include "stacks.h"
#include "target.h"

static void *volatile kept;

MALLOC_SITE(static_malloc)

SITE void static_inner(size_t size)
{
	ROOM(136);

	kept = static_malloc(size);
}

SITE void static_outer(size_t size)
{
	static_inner(size);
}

static long allocate(void)
{
	int i;

	for (i = 0; i < 79; i++)
		static_outer(179);
	return 0;
}

SITE void static_touch(volatile char *page)
{
	*page = 1;
}

SITE void static_touch_all(volatile char *pages, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		static_touch(pages + 4096 * i);
}

/* Pages touched one by one, whatever the size of the kernel's pages for others. */
static long touch(void)
{
	size_t nr = 1009;
	char *pages =
		mmap(NULL, nr * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(pages != MAP_FAILED);
	REQUIRE(!madvise(pages, nr * 4096, MADV_NOHUGEPAGE));
	static_touch_all(pages, nr);
	return 0;
}

static const struct work works[] = {
	{"allocate", allocate},
	{"touch", touch},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return target_serve(works, argc, argv);
}
