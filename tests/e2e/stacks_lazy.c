// SPDX-License-Identifier: GPL-2.0-or-later
/* A shared object whose functions are bound when they are first called. */
#include "blocks.h"
#include "target.h"

void *lazy_malloc(size_t size);
void *lazy_chosen(size_t size);

static void *volatile lazy_kept;

SITE void *lazy_inner(size_t size)
{
	return malloc(size);
}

SITE void *lazy_malloc(size_t size)
{
	void *p = lazy_inner(size);

	return p;
}

SITE static void *lazy_first_choice(size_t size)
{
	return lazy_inner(size);
}

/* Called by the dynamic linker, which was called by the stub of lazy_chosen(). */
__attribute__((used)) static void *(*lazy_choose(void))(size_t)
{
	lazy_kept = malloc(173);
	return lazy_first_choice;
}

void *lazy_chosen(size_t size) __attribute__((ifunc("lazy_choose")));
