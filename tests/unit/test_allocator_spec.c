/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocator_spec.h"
#include "allocfail.h"
#include "array.h"

static void add(struct allocator_spec *spec, const char *line)
{
	struct allocator_spec_error error = {0};

	if (allocator_spec_add(spec, line, &error))
		fail_msg("column %zu: %s: %s", error.column, error.text, line);
}

static void expect(const struct allocator_spec_function *item, const char *family,
		   const char *symbol, enum probe_role role, unsigned int size, unsigned int count,
		   unsigned int ptr)
{
	assert_string_equal(item->family->name, family);
	assert_string_equal(item->function.symbol, symbol);
	assert_int_equal(item->function.role, role);
	assert_int_equal(item->function.size_arg, size);
	assert_int_equal(item->function.count_arg, count);
	assert_int_equal(item->function.ptr_arg, ptr);
	assert_int_equal(item->function.group, GROUP_USER);
	assert_false(allocator_function_is_leaf(item->family, &item->function));
}

static void test_roles(void **state)
{
	struct allocator_spec spec = {0};

	(void)state;
	add(&spec, "pool: alloc=pool_get(size=arg2) alloc=pool_zget(count=arg2,size=arg3) "
		   "free=pool_put(ptr=arg2) realloc=pool_grow(ptr=arg1,size=arg6) "
		   "resize=pool_stretch(size=arg2,ptr=arg1)");
	add(&spec, "cuda: alloc=cudaMalloc(out=arg1,size=arg2) free=cudaFree(ptr=arg1)");
	assert_int_equal(spec.nr, 7);
	expect(&spec.item[0], "pool", "pool_get", ROLE_ALLOC, 2, 0, 0);
	expect(&spec.item[1], "pool", "pool_zget", ROLE_ALLOC, 3, 2, 0);
	expect(&spec.item[2], "pool", "pool_put", ROLE_FREE, 0, 0, 2);
	expect(&spec.item[3], "pool", "pool_grow", ROLE_REALLOC, 6, 0, 1);
	expect(&spec.item[4], "pool", "pool_stretch", ROLE_RESIZE, 2, 0, 1);
	expect(&spec.item[5], "cuda", "cudaMalloc", ROLE_ALLOC_OUT, 2, 0, 1);
	expect(&spec.item[6], "cuda", "cudaFree", ROLE_FREE, 0, 0, 1);
	allocator_spec_release(&spec);
	assert_int_equal(spec.nr, 0);
}

static void test_blanks_and_comments(void **state)
{
	struct allocator_spec spec = {0};

	(void)state;
	add(&spec,
	    "\t x-1.2_Y :alloc = f ( size = arg1 , count=arg2 )free=g(ptr=arg1)# and so on\r\n");
	assert_int_equal(spec.nr, 2);
	expect(&spec.item[0], "x-1.2_Y", "f", ROLE_ALLOC, 1, 2, 0);
	expect(&spec.item[1], "x-1.2_Y", "g", ROLE_FREE, 0, 0, 1);
	allocator_spec_release(&spec);
}

static void test_places(void **state)
{
	struct allocator_spec spec = {0};

	(void)state;
	add(&spec, "p: alloc=_ZN4Pool3getEm@libpool.so(size=arg2) alloc=f@/opt/a+b/x=y(size=arg1) "
		   "alloc=server+0x1fA0(size=arg1) free=/usr/bin/c++0x1+0x20(ptr=arg1) "
		   "free=core$GT$drop..h(ptr=arg1)");
	assert_int_equal(spec.nr, 5);
	expect(&spec.item[0], "p", "_ZN4Pool3getEm", ROLE_ALLOC, 2, 0, 0);
	assert_string_equal(spec.item[0].object, "libpool.so");
	assert_false(spec.item[0].is_offset);
	assert_string_equal(spec.item[1].object, "/opt/a+b/x=y");
	expect(&spec.item[2], "p", "server+0x1fA0", ROLE_ALLOC, 1, 0, 0);
	assert_true(spec.item[2].is_offset);
	assert_int_equal(spec.item[2].offset, 0x1fa0);
	assert_string_equal(spec.item[2].object, "server");
	assert_string_equal(spec.item[3].object, "/usr/bin/c++0x1");
	assert_int_equal(spec.item[3].offset, 0x20);
	expect(&spec.item[4], "p", "core$GT$drop..h", ROLE_FREE, 0, 0, 1);
	assert_null(spec.item[4].object);
	allocator_spec_release(&spec);
}

static void test_objects(void **state)
{
	static const struct {
		const char *item, *path;
		bool is_of;
	} cases[] = {
		{"f", "/usr/lib/anything.so", true},
		{"f@libpool.so", "/usr/lib/libpool.so", true},
		{"f@libpool.so", "/usr/lib/libpool.so.1.2", true},
		{"f@libpool.so", "/usr/lib/libpool.solid", false},
		{"f@libpool.so", "/usr/lib/my-libpool.so", false},
		{"f@libpool.so", "/usr/libpool.so/x", false},
		{"f@libpool.so", "libpool.so", true},
		{"f@/usr/lib/libpool.so", "/usr/lib/libpool.so", true},
		{"f@/usr/lib/libpool.so", "/opt/lib/libpool.so", false},
		{"f@/usr/lib/libpool.so", "/usr/lib/libpool.so.1", false},
		{"server+0x10", "/srv/server", true},
		{"server+0x10", "/srv/server.old", false},
		{"/srv/server+0x10", "/srv/server", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct allocator_spec spec = {0};
		char line[100];

		snprintf(line, sizeof(line), "p: free=%s(ptr=arg1)", cases[i].item);
		add(&spec, line);
		if (allocator_spec_is_of(&spec.item[0], cases[i].path) != cases[i].is_of)
			fail_msg("%s, %s", cases[i].item, cases[i].path);
		allocator_spec_release(&spec);
	}
}

static void test_errors(void **state)
{
	static const struct {
		const char *line;
		size_t column;
		const char *text; /* that it begins with */
	} cases[] = {
		{"", 1, "a definition begins with the allocator's name"},
		{"  ", 3, "a definition begins"},
		{": alloc=f(size=arg1)", 1, "a definition begins"},
		{"pool", 5, "the line ends where ':' should follow the name 'pool'"},
		{"pool alloc=f(size=arg1)", 6, "':' should follow the name 'pool', not 'a'"},
		{"po/ol: alloc=f(size=arg1)", 3, "a name has letters"},
		{"a23456789012345678901234567890123: free=f(ptr=arg1)", 1, "a name has at most 31"},
		{"pool:", 6, "a role is missing"},
		{"pool: # nothing", 7, "'#' is no role"},
		{"pool: aloc=f(size=arg1)", 7,
		 "'aloc' is no role: write alloc, free, realloc or resize"},
		{"pool: alloc", 12, "the line ends where '=' should follow the role 'alloc'"},
		{"pool: alloc(f)", 12, "'=' should follow the role 'alloc', not '('"},
		{"pool: alloc=(size=arg1)", 13, "the name of a function is missing"},
		{"pool: alloc=f", 14, "the line ends where '(' should follow the function 'f'"},
		{"pool: alloc=f size=arg1", 15, "'(' should follow the function 'f', not 's'"},
		{"pool: alloc=f()", 15, "'' is no argument: write size, count, ptr or out"},
		{"pool: alloc=f(siez=arg1)", 15, "'siez' is no argument"},
		{"pool: alloc=f(size)", 19, "'=' should follow the argument 'size', not ')'"},
		{"pool: alloc=f(size=", 20, "'' is not one of arg1 to arg6"},
		{"pool: alloc=f(size=arg0)", 20, "'arg0' is not one of arg1 to arg6"},
		{"pool: alloc=f(size=arg7)", 20, "'arg7' is not one of arg1 to arg6"},
		{"pool: alloc=f(size=64)", 20, "'64' is not one of arg1 to arg6"},
		{"pool: alloc=f(size=arg1", 24, "',' or ')' should follow an argument"},
		{"pool: alloc=f(size=arg1,)", 25, "'' is no argument"},
		{"pool: alloc=f(size=arg1,size=arg2)", 25, "'size' is given twice"},
		{"pool: alloc=f(size=arg1,count=arg1)", 31, "arg1 is already the size"},
		{"pool: alloc=f(count=arg1)", 13, "'f' has no 'size': which argument is it?"},
		{"pool: alloc=f(size=arg1,ptr=arg2)", 25, "a function of this role has no 'ptr'"},
		{"pool: free=f(size=arg1)", 14, "a function of this role has no 'size'"},
		{"pool: free=f(ptr=arg1) realloc=g(ptr=arg1)", 32, "'g' has no 'size'"},
		{"pool: realloc=g(ptr=arg1,size=arg2,out=arg3)", 36,
		 "a function of this role has no 'out'"},
		{"pool: resize=g(size=arg1)", 14, "'g' has no 'ptr'"},
		{"pool: alloc=f@(size=arg1)", 13, "'f@' names no object"},
		{"pool: alloc=@lib(size=arg1)", 13, "the name of a function is missing"},
		{"pool: alloc=+0x10(size=arg1)", 13, "'+0x10' names no object"},
		{"pool: alloc=a+0x(size=arg1)", 17, "an offset has 1 to 15 hexadecimal digits"},
		{"pool: alloc=a+0x12g4(size=arg1)", 19, "'g' is no hexadecimal digit"},
		{"pool: alloc=a+0x1234567890abcdef(size=arg1)", 17, "an offset has 1 to 15"},
		{"pool: alloc=f(size=arg1) )", 26, "a role is missing"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct allocator_spec_error error = {0};
		struct allocator_spec spec = {0};

		add(&spec, "other: free=f(ptr=arg1)");
		assert_int_equal(allocator_spec_add(&spec, cases[i].line, &error), -EINVAL);
		if (error.column != cases[i].column ||
		    strncmp(error.text, cases[i].text, strlen(cases[i].text)))
			fail_msg("%s\ncolumn %zu: %s", cases[i].line, error.column, error.text);
		assert_int_equal(spec.nr, 1);
		allocator_spec_release(&spec);
	}
}

static void test_too_long(void **state)
{
	struct allocator_spec_error error = {0};
	struct allocator_spec spec = {0};
	char line[400];

	(void)state;
	snprintf(line, sizeof(line), "p: free=%0*d(ptr=arg1)", ALLOCATOR_SPEC_MAX_NAME, 1);
	add(&spec, line);
	snprintf(line, sizeof(line), "p: free=%0*d(ptr=arg1)", ALLOCATOR_SPEC_MAX_NAME + 1, 1);
	assert_int_equal(allocator_spec_add(&spec, line, &error), -EINVAL);
	assert_int_equal(error.column, 9);
	snprintf(line, sizeof(line), "p: free=f@%0*d(ptr=arg1)", ALLOCATOR_SPEC_MAX_NAME + 1, 1);
	assert_int_equal(allocator_spec_add(&spec, line, &error), -EINVAL);
	while (spec.nr < ALLOCATOR_SPEC_MAX_FUNCTIONS)
		add(&spec, "p: free=f(ptr=arg1)");
	assert_int_equal(allocator_spec_add(&spec, "p: free=f(ptr=arg1)", &error), -EINVAL);
	assert_int_equal(error.column, 9);
	assert_int_equal(spec.nr, ALLOCATOR_SPEC_MAX_FUNCTIONS);
	allocator_spec_release(&spec);
}

static void test_no_memory(void **state)
{
	const char *line = "pool: alloc=get@libpool.so(size=arg2) free=put(ptr=arg1)";
	struct allocator_spec_error error = {0};
	struct allocator_spec spec;
	int err;

	(void)state;
	for (long nth = 1;; nth++) {
		spec = (struct allocator_spec){0};
		allocfail_set(nth);
		err = allocator_spec_add(&spec, line, &error);
		if (!allocfail_hit())
			break;
		allocfail_set(0);
		assert_int_equal(err, -ENOMEM);
		assert_int_equal(spec.nr, 0);
		allocator_spec_release(&spec);
	}
	allocfail_set(0);
	assert_int_equal(err, 0);
	assert_int_equal(spec.nr, 2);
	allocator_spec_release(&spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roles),	  cmocka_unit_test(test_blanks_and_comments),
		cmocka_unit_test(test_places),	  cmocka_unit_test(test_objects),
		cmocka_unit_test(test_errors),	  cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("allocator_spec", tests, NULL, NULL);
}
