// SPDX-License-Identifier: GPL-2.0-or-later
/* A preloaded allocator on top of the C library's: what interpose_hook does happens inside its malloc(). */
#include <stddef.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void __libc_free(void *p);

void (*interpose_hook)(size_t size);

void *malloc(size_t size)
{
	void *p = __libc_malloc(size);

	if (interpose_hook)
		interpose_hook(size);
	return p;
}

void *calloc(size_t count, size_t size)
{
	return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
	return __libc_realloc(p, size);
}

void free(void *p)
{
	__libc_free(p);
}
