/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Functions of this very program, found as those of any other. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "allocfail.h"
#include "array.h"
#include "cfi.h"
#include "discover.h"
#include "elf.h"

#define POOL __attribute__((noinline, used, visibility("default")))

/* Allocators, for their names. */
POOL void *je_malloc(size_t size);
POOL void je_free(void *block);
POOL void *je_calloc(size_t count, size_t size);
POOL void *pool_get(void *pool, size_t size);
POOL void pool_put(void *pool, void *block);

static volatile uintptr_t last;

void *je_malloc(size_t size)
{
	return (void *)(last += size);
}

void je_free(void *block)
{
	last -= (uintptr_t)block;
}

void *je_calloc(size_t count, size_t size)
{
	return (void *)(last += count * size + 1);
}

void *pool_get(void *pool, size_t size)
{
	return (void *)(last += (uintptr_t)pool + size + 2);
}

void pool_put(void *pool, void *block)
{
	last -= (uintptr_t)pool + (uintptr_t)block;
}

struct world {
	struct allocator_spec spec;
	struct discover discover;
	const struct discover_object *object;
	int fd;
};

static void spec_add(struct allocator_spec *spec, const char *line)
{
	struct allocator_spec_error error;

	assert_int_equal(allocator_spec_add(spec, line, &error), 0);
}

static void world_open(struct world *w, const char *definition)
{
	*w = (struct world){0};
	discover_init(&w->discover);
	w->fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_true(w->fd >= 0);
	if (definition) {
		spec_add(&w->spec, definition);
		assert_int_equal(discover_use(&w->discover, &w->spec), 0);
	}
	assert_int_equal(discover_file(&w->discover, w->fd, "/srv/server", &w->object), 0);
	assert_non_null(w->object);
}

static void world_close(struct world *w)
{
	discover_release(&w->discover);
	allocator_spec_release(&w->spec);
	close(w->fd);
}

static const struct discover_site *site_of(const struct world *w, const char *symbol)
{
	for (size_t i = 0; i < w->object->nr_sites; i++) {
		if (!strcmp(w->object->site[i].function->symbol, symbol))
			return &w->object->site[i];
	}
	return NULL;
}

static void expect_site(const struct world *w, const char *symbol, const char *family, bool leaf)
{
	const struct discover_site *site = site_of(w, symbol);

	if (!site)
		fail_msg("no site of %s", symbol);
	assert_string_equal(site->family->name, family);
	assert_int_equal(site->leaf, leaf);
	assert_int_equal(site->file_offset, site->function_offset + site->placement.offset);
}

static void test_by_name(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, NULL);
	assert_string_equal(w.object->family, "jemalloc");
	expect_site(&w, "je_malloc", "jemalloc", true);
	expect_site(&w, "je_calloc", "jemalloc", true);
	expect_site(&w, "je_free", "jemalloc", true);
	assert_null(site_of(&w, "pool_get"));
	assert_int_equal(w.object->site[0].function->role, ROLE_FREE);
	assert_int_equal(discover_check_wishes(&w.discover, false), 0);
	world_close(&w);
}

static void test_described(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, "pool: alloc=pool_get(size=arg2) free=pool_put@server(ptr=arg2) "
		       "alloc=je_calloc(size=arg1) free=elsewhere@libpool.so(ptr=arg1)");
	expect_site(&w, "pool_get", "pool", false);
	expect_site(&w, "pool_put", "pool", false);
	expect_site(&w, "je_malloc", "jemalloc", true);
	/* what the user says comes first */
	expect_site(&w, "je_calloc", "pool", false);
	assert_true(w.discover.wish[0].found && w.discover.wish[1].found);
	assert_false(w.discover.wish[3].found || w.discover.wish[3].object_seen);
	assert_int_equal(discover_check_wishes(&w.discover, false), 0);
	world_close(&w);
}

static void test_not_there(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, "pool: alloc=pool_get(size=arg2) alloc=pool_gone(size=arg2)");
	assert_true(w.discover.wish[0].found);
	assert_false(w.discover.wish[1].found);
	assert_int_equal(discover_check_wishes(&w.discover, true), 0);
	assert_int_equal(discover_check_wishes(&w.discover, false), -ENOENT);
	world_close(&w);
}

/* What has changed since it was searched is another file. */
static void test_known(void **state)
{
	struct stat st, other;
	struct world w;

	(void)state;
	world_open(&w, NULL);
	assert_int_equal(fstat(w.fd, &st), 0);
	assert_ptr_equal(discover_known(&w.discover, &st), w.object);
	other = st;
	other.st_mtim.tv_nsec ^= 1;
	assert_null(discover_known(&w.discover, &other));
	other = st;
	other.st_size++;
	assert_null(discover_known(&w.discover, &other));
	assert_int_equal(discover_file(&w.discover, w.fd, "/elsewhere", &w.object), 0);
	assert_int_equal(w.discover.nr, 1);
	world_close(&w);
}

/* This program is mapped as code several times here, and is found once. */
static void test_process(void **state)
{
	struct discover_found *found;
	size_t nr, searched, own = 0;
	struct proc_maps maps;
	struct world w;
	int error;

	(void)state;
	world_open(&w, NULL);
	void *again = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, w.fd, 0);

	assert_ptr_not_equal(again, MAP_FAILED);
	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, getpid()), 0);
	for (long nth = 1;; nth++) {
		found = NULL;
		allocfail_set(nth);
		error = discover_process(&w.discover, getpid(), &maps, &found, &nr, &searched);
		bool failed = allocfail_hit();

		allocfail_set(0);
		if (!failed)
			break;
		assert_true(error == -ENOMEM || !error); /* some go without what they wanted */
		free(found);
	}
	assert_int_equal(error, 0);
	assert_true(searched >= 2);
	for (size_t i = 0; i < nr; i++) {
		assert_non_null(found[i].object->family);
		own += found[i].object == w.object;
	}
	assert_int_equal(own, 1);
	free(found);
	proc_maps_release(&maps);
	munmap(again, 4096);
	world_close(&w);
}

static struct elf_symbol find_symbol(const char *name)
{
	struct elf_symbol symbol;
	struct elf_file *elf;
	bool found = false;

	assert_int_equal(elf_open_fd(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), &elf), 0);
	assert_int_equal(elf_find_functions(elf, &name, 1, &symbol, &found), 1);
	assert_false(elf_is_go_code(elf, symbol.file_offset));
	elf_close(elf);
	return symbol;
}

static void test_by_offset(void **state)
{
	uint64_t offset = find_symbol("pool_get").file_offset;
	char line[200];
	struct world w;

	(void)state;
	snprintf(line, sizeof(line),
		 "pool: alloc=server+0x%llx(size=arg2) free=server+0x%llx(ptr=arg1) "
		 "free=other+0x10(ptr=arg1)",
		 (unsigned long long)offset, (unsigned long long)offset + 1);
	world_open(&w, line);
	assert_non_null(w.object->family);
	assert_true(w.discover.wish[0].found && w.discover.wish[1].found);
	assert_false(w.discover.wish[2].object_seen);
	assert_int_equal(w.spec.item[0].offset, offset);
	expect_site(&w, w.spec.item[0].function.symbol, "pool", false);
	/* no function begins there */
	assert_null(site_of(&w, w.spec.item[1].function.symbol));
	world_close(&w);
}

static void test_where_functions_begin(void **state)
{
	struct elf_symbol symbol = find_symbol("pool_put");
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), pipes[2];

	(void)state;
	assert_int_equal(cfi_function_begins_at(fd, symbol.file_offset), 1);
	for (uint64_t i = 1; i < symbol.size; i++)
		assert_int_equal(cfi_function_begins_at(fd, symbol.file_offset + i), 0);
	assert_int_equal(cfi_function_begins_at(fd, 0), -ENOENT);
	assert_int_equal(cfi_function_begins_at(fd, UINT64_MAX), -ENOENT);
	close(fd);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(cfi_function_begins_at(pipes[0], 0), -ENOEXEC);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(cfi_function_begins_at(-1, 0), -EBADF);
}

static bool is_pool(const char *name, void *arg)
{
	++*(size_t *)arg;
	return !strncmp(name, "pool_", 5);
}

static void test_names(void **state)
{
	struct elf_names names = {0};
	struct elf_file *elf;
	size_t asked = 0;

	(void)state;
	assert_int_equal(elf_open_fd(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), &elf), 0);
	assert_int_equal(elf_list_functions(elf, is_pool, &asked, 100, &names), 0);
	assert_int_equal(names.nr, 2);
	assert_true(asked > 20);
	assert_string_not_equal(names.name[0], names.name[1]);
	elf_names_release(&names);
	assert_int_equal(elf_list_functions(elf, is_pool, &asked, 1, &names), 0);
	assert_int_equal(names.nr, 1);
	elf_names_release(&names);
	for (long nth = 1;; nth++) {
		allocfail_set(nth);
		int error = elf_list_functions(elf, is_pool, &asked, 100, &names);
		bool failed = allocfail_hit();

		allocfail_set(0);
		if (!failed)
			break;
		assert_int_equal(error, -ENOMEM);
		assert_null(names.name);
	}
	elf_names_release(&names);
	elf_close(elf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_name),
		cmocka_unit_test(test_described),
		cmocka_unit_test(test_not_there),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_by_offset),
		cmocka_unit_test(test_where_functions_begin),
		cmocka_unit_test(test_names),
	};

	last = (uintptr_t)je_malloc(1);
	je_free(je_calloc(1, 2));
	pool_put(NULL, pool_get(NULL, 3));
	return cmocka_run_group_tests_name("discover", tests, NULL, NULL);
}
