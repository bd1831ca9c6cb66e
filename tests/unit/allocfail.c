/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "allocfail.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>

void *__real_malloc(size_t nr);
void *__real_calloc(size_t nr, size_t size);
void *__real_realloc(void *old, size_t nr);
/* weak: tests that do not wrap free() have no such symbol */
void __real_free(void *block) __attribute__((weak));

void *__wrap_malloc(size_t nr);
void *__wrap_calloc(size_t nr, size_t size);
void *__wrap_realloc(void *old, size_t nr);
void __wrap_free(void *block);

static atomic_long fail_at, count;
static atomic_long bytes, peak;

void allocfail_set(long nth)
{
	atomic_store(&count, 0);
	atomic_store(&fail_at, nth);
}

long allocfail_count(void)
{
	return atomic_load(&count);
}

bool allocfail_hit(void)
{
	long nth = atomic_load(&fail_at);

	return nth && atomic_load(&count) >= nth;
}

bool allocfail_accounts(void)
{
	return __real_free != NULL;
}

long allocfail_bytes(void)
{
	return atomic_load(&bytes);
}

long allocfail_peak(void)
{
	return atomic_load(&peak);
}

void allocfail_peak_reset(void)
{
	atomic_store(&peak, atomic_load(&bytes));
}

static bool must_fail(void)
{
	long nth = atomic_load(&fail_at);

	if (atomic_fetch_add(&count, 1) + 1 != nth)
		return false;
	errno = ENOMEM;
	return true;
}

static void account(long change)
{
	long now = atomic_fetch_add(&bytes, change) + change;
	long most = atomic_load(&peak);

	while (now > most && !atomic_compare_exchange_weak(&peak, &most, now))
		;
}

static void *accounted(void *block)
{
	if (block)
		account((long)malloc_usable_size(block));
	return block;
}

void *__wrap_malloc(size_t nr)
{
	return must_fail() ? NULL : accounted(__real_malloc(nr));
}

void *__wrap_calloc(size_t nr, size_t size)
{
	return must_fail() ? NULL : accounted(__real_calloc(nr, size));
}

void *__wrap_realloc(void *old, size_t nr)
{
	long old_bytes = old ? (long)malloc_usable_size(old) : 0;
	void *block;

	if (must_fail())
		return NULL;
	block = accounted(__real_realloc(old, nr));
	if (block)
		account(-old_bytes);
	return block;
}

void __wrap_free(void *block)
{
	if (block)
		account(-(long)malloc_usable_size(block));
	__real_free(block);
}
