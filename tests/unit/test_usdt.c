/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notes made by hand, files around them, and this program itself, which has probes of its own. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

/* Not among the packages that are unpacked for another machine. */
#if __has_include(<sys/sdt.h>)
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>
#define HAS_SDT 1
#endif

#include "allocfail.h"
#include "array.h"
#include "usdt.h"
#include "usdt_build.h"

#define ALLOC_ARGS "8@%rdi 8@%rsi 8@%rdx"
#define FREE_ARGS "8@%rdi"
#define SEMAPHORE (BUILD_DATA_ADDRESS + 0x10)

static struct usdt_build build;

static int build_clear(void **state)
{
	(void)state;
	memset(&build, 0, sizeof(build));
	return 0;
}

static struct elf_file *open_bytes(const void *data, size_t nr)
{
	int fd = memfd_create("usdt", MFD_CLOEXEC);
	struct elf_file *elf = NULL;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, nr), nr);
	assert_int_equal(elf_open_fd(fd, &elf), 0);
	return elf;
}

static int find(struct usdt_object *out, const char **why)
{
	struct elf_file *elf = open_bytes(build.file, sizeof(build.file));
	int err = usdt_find(elf, out, why);

	elf_close(elf);
	return err;
}

static void expect_object(struct usdt_object *out, const char *provider, size_t nr)
{
	const char *why = "";
	int err = find(out, &why);

	if (err)
		fail_msg("error %d: %s", err, why ? why : "");
	assert_null(why);
	assert_string_equal(out->provider, provider);
	assert_int_equal(out->nr_sites, nr);
}

/* Nothing is found, and the object is as it was. */
static void expect_none(int error, const char *why)
{
	struct usdt_object object = {.provider = "untouched", .nr_sites = 17};
	const char *reason = "";

	assert_int_equal(find(&object, &reason), error);
	assert_string_equal(object.provider, "untouched");
	assert_int_equal(object.nr_sites, 17);
	if (why)
		assert_non_null(strstr(reason, why));
	else
		assert_null(reason);
}

static void pair(const char *provider, uint64_t pc)
{
	build_probe(&build, pc, 0, provider, "alloc", ALLOC_ARGS);
	build_probe(&build, pc + 0x100, 0, provider, "free", FREE_ARGS);
}

/* --- files --- */

static void test_pair(void **state)
{
	struct usdt_object object;

	(void)state;
	build_probe(&build, 0x1234, SEMAPHORE, "otel_memory", "alloc", "8@%rax -4@$3 8@16(%rsp)");
	build_probe(&build, 0x1334, SEMAPHORE + 2, "otel_memory", "free", FREE_ARGS);
	build_probe(&build, 0x1111, 0, "otel_memory", "mmap", "8@%rdi 8@%rsi");
	build_probe(&build, 0x1112, 0, "other", "alloc", "8@%xmm0");
	build_file(&build, EM_X86_64);
	expect_object(&object, "otel_memory", 2);
	assert_true(object.site[0].is_free);
	assert_int_equal(object.site[0].file_offset, 0x1334);
	assert_int_equal(object.site[0].ref_count_offset, BUILD_DATA + 0x12);
	assert_false(object.site[1].is_free);
	assert_int_equal(object.site[1].file_offset, 0x1234);
	assert_int_equal(object.site[1].ref_count_offset, BUILD_DATA + 0x10);
	assert_int_equal(object.site[1].spec.arg[2].kind, USDT_ARG_MEMORY);
	assert_int_equal(object.site[1].spec.arg[2].value, 16);
	usdt_object_release(&object);
	usdt_object_release(&object);
}

static void test_older_name(void **state)
{
	struct usdt_object object;

	(void)state;
	pair("ddheap", 0x1200);
	build_file(&build, EM_X86_64);
	expect_object(&object, "ddheap", 2);
	assert_int_equal(object.site[0].ref_count_offset, 0);
	usdt_object_release(&object);
}

/* One that tells of its blocks under both names tells of the same blocks. */
static void test_both_names(void **state)
{
	struct usdt_object object;

	(void)state;
	pair("ddheap", 0x1200);
	pair("otel_memory", 0x1400);
	build_file(&build, EM_X86_64);
	expect_object(&object, "otel_memory", 2);
	assert_int_equal(object.site[1].file_offset, 0x1400);
	usdt_object_release(&object);
}

static void test_half_a_pair(void **state)
{
	(void)state;
	build_probe(&build, 0x1200, 0, "otel_memory", "alloc", ALLOC_ARGS);
	build_probe(&build, 0x1300, 0, "ddheap", "free", FREE_ARGS);
	build_file(&build, EM_X86_64);
	expect_none(-ENOENT, NULL);
}

static void test_many_sites(void **state)
{
	struct usdt_object object;

	(void)state;
	for (uint64_t i = 0; i < 31; i++)
		build_probe(&build, 0x1800 - i, 0, "otel_memory", "alloc", ALLOC_ARGS);
	pair("otel_memory", 0x1100);
	pair("otel_memory", 0x1100); /* the same once more */
	build_file(&build, EM_X86_64);
	expect_object(&object, "otel_memory", 33);
	assert_true(object.site[0].is_free);
	for (size_t i = 2; i < object.nr_sites; i++)
		assert_true(object.site[i].file_offset > object.site[i - 1].file_offset);
	usdt_object_release(&object);
}

/* Each must be told from all others, so there is a limit; no program comes near it. */
static void test_too_many_sites(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 1025; i++)
		build_probe(&build, BUILD_CODE + i, 0, "ddheap", i ? "free" : "alloc",
			    i ? "8@$0" : "8@$0 8@$0 8@$0");
	build_file(&build, EM_X86_64);
	expect_none(-ENOTSUP, "too many");
}

/* prelink moved what the notes speak of. */
static void test_moved(void **state)
{
	struct usdt_object object;
	static const uint64_t by = 0x700000;

	(void)state;
	for (int i = 0; i < 2; i++)
		build_note(&build, "stapsdt", 3,
			   (const uint64_t[]){0x1200 + 16u * (unsigned)i - by, BUILD_BASE - by,
					      SEMAPHORE - by},
			   (const char *const[]){"otel_memory", i ? "alloc" : "free", ALLOC_ARGS});
	build_file(&build, EM_X86_64);
	expect_object(&object, "otel_memory", 2);
	assert_int_equal(object.site[0].file_offset, 0x1200);
	assert_int_equal(object.site[0].ref_count_offset, BUILD_DATA + 0x10);
	usdt_object_release(&object);
}

static void test_arm64(void **state)
{
	struct usdt_object object;

	(void)state;
	build_probe(&build, 0x1200, 0, "otel_memory", "alloc", "8@x0 8@[sp, 16] 8@524288");
	build_probe(&build, 0x1300, 0, "otel_memory", "free", "8@x19");
	build_file(&build, EM_AARCH64);
	expect_object(&object, "otel_memory", 2);
	assert_int_equal(object.site[0].spec.arg[0].base, 20);
	assert_int_equal(object.site[1].spec.arg[1].base, USDT_REG_SP_ARM64);
	usdt_object_release(&object);
}

/* --- what is refused, all of it: a probe that is missing would make leaks of what it does not tell of --- */

static void test_refused_code(void **state)
{
	static const uint8_t nop5[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};

	(void)state;
	pair("otel_memory", 0x1200);
	build_file(&build, EM_X86_64);
	build.file[0x1200] = 0x55;
	expect_none(-ENOTSUP, "no nop");
	memcpy(build.file + 0x1200, nop5, sizeof(nop5));
	expect_none(-ENOTSUP, "5-byte nop");
	build.file[0x1200] = 0x90; /* a nop, whatever comes after it */
	struct usdt_object object;
	expect_object(&object, "otel_memory", 2);
	usdt_object_release(&object);
}

static void test_refused_arm64_code(void **state)
{
	(void)state;
	build_probe(&build, 0x1202, 0, "otel_memory", "alloc", "8@x0 8@x1 8@x2");
	build_probe(&build, 0x1300, 0, "otel_memory", "free", "8@x19");
	build_file(&build, EM_AARCH64);
	expect_none(-ENOTSUP, "no nop");
}

static void test_refused_machine(void **state)
{
	(void)state;
	pair("otel_memory", 0x1200);
	build_file(&build, EM_RISCV);
	expect_none(-ENOTSUP, "arguments");
}

static void refuse(uint64_t pc, uint64_t semaphore, const char *args, const char *why)
{
	(void)build_clear(NULL);
	build_probe(&build, pc, semaphore, "otel_memory", "alloc", args);
	build_probe(&build, 0x1300, 0, "otel_memory", "free", FREE_ARGS);
	build_file(&build, EM_X86_64);
	expect_none(-ENOTSUP, why);
}

static void test_refused_places(void **state)
{
	(void)state;
	refuse(0, 0, ALLOC_ARGS, "no code");
	refuse(BUILD_CODE - 1, 0, ALLOC_ARGS, "no code");
	refuse(BUILD_CODE + BUILD_CODE_BYTES, 0, ALLOC_ARGS, "no code");
	refuse(BUILD_DATA_ADDRESS, 0, ALLOC_ARGS, "no code");
	refuse(UINT64_MAX, 0, ALLOC_ARGS, "no code");
	refuse(0x1200, BUILD_CODE, ALLOC_ARGS, "semaphore");	/* not writable */
	refuse(0x1200, SEMAPHORE + 1, ALLOC_ARGS, "semaphore"); /* odd */
	refuse(0x1200, BUILD_DATA_ADDRESS + BUILD_DATA_BYTES, ALLOC_ARGS, "semaphore"); /* .bss */
	refuse(0x1200, BUILD_DATA_ADDRESS + BUILD_DATA_BYTES - 1, ALLOC_ARGS, "semaphore");
	refuse(0x1200, UINT64_MAX, ALLOC_ARGS, "semaphore");
	refuse(0x1200, 0, "8@%rdi 8@%rsi", "arguments");
	refuse(0x1200, 0, "", "arguments");
	refuse(0x1200, 0, "8@%rdi 8@%rsi 8@total(%rip)", "arguments");
}

static void test_no_notes(void **state)
{
	Elf64_Ehdr *head = (void *)build.file;
	Elf64_Shdr *section = (void *)(build.file + BUILD_SECTIONS);

	(void)state;
	build_file(&build, EM_X86_64);
	expect_none(-ENOENT, NULL);
	(void)build_clear(NULL);
	pair("otel_memory", 0x1200);
	build_file(&build, EM_X86_64);
	head->e_shstrndx = 2; /* no names */
	expect_none(-ENOENT, NULL);
	head->e_shstrndx = 3;
	section[1].sh_size = UINT64_MAX;
	expect_none(-ENOENT, NULL);
	section[1].sh_size = sizeof(build.file);
	expect_none(-ENOENT, NULL);
}

static void test_out_of_memory(void **state)
{
	struct elf_file *elf;
	const char *why;
	int err;

	(void)state;
	pair("otel_memory", 0x1200);
	build_file(&build, EM_X86_64);
	for (long nth = 1;; nth++) {
		struct usdt_object object = {.nr_sites = 17};
		bool failed;

		elf = open_bytes(build.file, sizeof(build.file));
		allocfail_set(nth);
		err = usdt_find(elf, &object, &why);
		failed = allocfail_hit();
		allocfail_set(0);
		elf_close(elf);
		if (!failed) {
			assert_int_equal(err, 0);
			usdt_object_release(&object);
			break;
		}
		assert_int_equal(err, -ENOMEM);
		assert_int_equal(object.nr_sites, 17);
	}
}

/* --- notes --- */

static size_t count_notes(size_t nr)
{
	/* Of its own size, so that a step outside is seen. */
	uint8_t *copy = malloc(nr + !nr);
	struct usdt_note note;
	size_t at = 0, found = 0;

	assert_non_null(copy);
	memcpy(copy, build.notes, nr);
	while (usdt_next_note(copy, nr, &at, &note)) {
		assert_true(at <= nr);
		assert_true(strlen(note.provider) + strlen(note.name) + strlen(note.args) < nr);
		found++;
	}
	free(copy);
	return found;
}

static void test_notes(void **state)
{
	struct usdt_note note;
	size_t at = 0;

	(void)state;
	build_note(&build, "GNU", 3, (const uint64_t[]){1, 2, 3},
		   (const char *const[]){"a", "b", "c"});
	build_note(&build, "stapsdt", 4, (const uint64_t[]){1, 2, 3},
		   (const char *const[]){"a", "b", "c"});
	build_note(&build, "stapsdt", 3, (const uint64_t[]){0x1234, 0x5678, 0x9abc},
		   (const char *const[]){"p", "name", "8@%rax"});
	build_note(&build, "stapsdt", 3, (const uint64_t[]){7, 8, 9},
		   (const char *const[]){"", "", ""});
	assert_true(usdt_next_note(build.notes, build.nr, &at, &note));
	assert_int_equal(note.pc, 0x1234);
	assert_int_equal(note.base, 0x5678);
	assert_int_equal(note.semaphore, 0x9abc);
	assert_string_equal(note.provider, "p");
	assert_string_equal(note.name, "name");
	assert_string_equal(note.args, "8@%rax");
	assert_true(usdt_next_note(build.notes, build.nr, &at, &note));
	assert_int_equal(note.pc, 7);
	assert_string_equal(note.args, "");
	assert_false(usdt_next_note(build.notes, build.nr, &at, &note));
	assert_int_equal(at, build.nr);
}

static void test_notes_cut_anywhere(void **state)
{
	size_t whole;

	(void)state;
	build_probe(&build, 0x1200, 0, "otel_memory", "alloc", ALLOC_ARGS);
	build_probe(&build, 0x1300, 0, "otel_memory", "free", "8@%r8");
	whole = build.nr;
	assert_int_equal(count_notes(whole), 2);
	for (size_t nr = 0; nr < whole; nr++)
		assert_true(count_notes(nr) <= 2);
	assert_int_equal(count_notes(whole - 1), 2); /* padding alone is missing */
	assert_int_equal(count_notes(whole - 8), 1);
}

static void test_notes_that_lie(void **state)
{
	static const uint32_t sizes[] = {0, 7, 23, 24, 1u << 31, UINT32_MAX - 3, UINT32_MAX};
	uint32_t head[3];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (int word = 0; word < 2; word++) {
			(void)build_clear(NULL);
			pair("otel_memory", 0x1200);
			memcpy(head, build.notes, sizeof(head));
			head[word] = sizes[i];
			memcpy(build.notes, head, sizeof(head));
			assert_true(count_notes(build.nr) <= 1);
		}
	}
	/* A string without an end. */
	(void)build_clear(NULL);
	pair("otel_memory", 0x1200);
	memcpy(head, build.notes, sizeof(head));
	memset(build.notes + 20 + 24, 'x', head[1] - 24);
	assert_int_equal(count_notes(build.nr), 1);
}

/* --- arguments --- */

struct example {
	const char *text;
	int err;
	struct usdt_arg arg;
};

static void check_args(uint16_t machine, const struct example *example, size_t nr)
{
	struct usdt_arg arg;
	int err;

	for (; nr; nr--, example++) {
		memset(&arg, 0xa5, sizeof(arg));
		err = usdt_parse_args(machine, example->text, &arg, 1);
		if (err != example->err)
			fail_msg("'%s': %d, not %d", example->text, err, example->err);
		if (err)
			assert_int_equal(arg.kind, 0xa5);
		else if (memcmp(&arg, &example->arg, sizeof(arg)) != 0)
			fail_msg("'%s' is read as kind %u, base %u, index %u, shift %u, value %llx",
				 example->text, arg.kind, arg.base, arg.index, arg.shift,
				 (unsigned long long)arg.value);
	}
}

static void test_x86_args(void **state)
{
	static const struct example example[] = {
		{"8@%rdi", 0, {.kind = USDT_ARG_REGISTER, .base = 6, .bytes = 8}},
		{"8@%rsp", 0, {.kind = USDT_ARG_REGISTER, .base = 8, .bytes = 8}},
		{"8@%r15", 0, {.kind = USDT_ARG_REGISTER, .base = 16, .bytes = 8}},
		{"4@%eax", 0, {.kind = USDT_ARG_REGISTER, .base = 1, .bytes = 4}},
		{"-4@%r9d", 0, {.kind = USDT_ARG_REGISTER, .base = 10, .bytes = 4, .is_signed = 1}},
		{"2@%bp", 0, {.kind = USDT_ARG_REGISTER, .base = 7, .bytes = 2}},
		{"1@%sil", 0, {.kind = USDT_ARG_REGISTER, .base = 5, .bytes = 1}},
		{"8@%ecx", 0, {.kind = USDT_ARG_REGISTER, .base = 3, .bytes = 4}},
		{"-4@$5", 0, {.kind = USDT_ARG_CONSTANT, .value = 5, .bytes = 4, .is_signed = 1}},
		{"8@$-1", 0, {.kind = USDT_ARG_CONSTANT, .value = UINT64_MAX, .bytes = 8}},
		{"8@$0x1f", 0, {.kind = USDT_ARG_CONSTANT, .value = 31, .bytes = 8}},
		{"8@$18446744073709551615",
		 0,
		 {.kind = USDT_ARG_CONSTANT, .value = UINT64_MAX, .bytes = 8}},
		{"8@(%rax)", 0, {.kind = USDT_ARG_MEMORY, .base = 1, .bytes = 8}},
		{"8@-16(%rbp)",
		 0,
		 {.kind = USDT_ARG_MEMORY, .base = 7, .value = (uint64_t)-16, .bytes = 8}},
		{"4@8(%rsp) 8@%rdi",
		 0,
		 {.kind = USDT_ARG_MEMORY, .base = 8, .value = 8, .bytes = 4}},
		{"8@8(%rax,%rbx,4)",
		 0,
		 {.kind = USDT_ARG_MEMORY,
		  .base = 1,
		  .index = 4,
		  .shift = 2,
		  .value = 8,
		  .bytes = 8}},
		{"8@(%rax,%rbx)", 0, {.kind = USDT_ARG_MEMORY, .base = 1, .index = 4, .bytes = 8}},
		{"  8@(,%r8,8)", 0, {.kind = USDT_ARG_MEMORY, .index = 9, .shift = 3, .bytes = 8}},
		{"", -EINVAL, {0}},
		{" ", -EINVAL, {0}},
		{"8", -EINVAL, {0}},
		{"8@", -ENOTSUP, {0}},
		{"@%rdi", -EINVAL, {0}},
		{"3@%rdi", -EINVAL, {0}},
		{"16@%rdi", -EINVAL, {0}},
		{"--8@%rdi", -EINVAL, {0}},
		{"8@%", -EINVAL, {0}},
		{"8@%rdix", -ENOTSUP, {0}},
		{"8@%rdirdirdi", -EINVAL, {0}},
		{"8@%rdi,", -EINVAL, {0}},
		{"8@%RDI", -EINVAL, {0}},
		{"8@$", -EINVAL, {0}},
		{"8@$0x", -EINVAL, {0}},
		{"8@$5x", -EINVAL, {0}},
		{"8@$5@", -EINVAL, {0}},
		{"8@-1@(%rbp)", -ENOTSUP, {0}},
		{"8@0x1`(%rbp)", -ENOTSUP, {0}},
		{"8@$18446744073709551616", -EINVAL, {0}},
		{"8@(%rax", -EINVAL, {0}},
		{"8@()", -EINVAL, {0}},
		{"8@(%rax,)", -EINVAL, {0}},
		{"8@(%rax,%rbx,3)", -EINVAL, {0}},
		{"8@(%rax,%rbx,", -EINVAL, {0}},
		{"8@(%eax)", -ENOTSUP, {0}},
		{"8@16(%rip)", -ENOTSUP, {0}},
		{"8@total(%rip)", -ENOTSUP, {0}},
		{"8@total+4(%rip)", -ENOTSUP, {0}},
		{"8@4096", -ENOTSUP, {0}},
		{"1@%ah", -ENOTSUP, {0}},
		{"8@%xmm0", -ENOTSUP, {0}},
		{"8f@%xmm0", -ENOTSUP, {0}},
		{"8@%fs:16", -ENOTSUP, {0}},
	};

	(void)state;
	check_args(EM_X86_64, example, ARRAY_SIZE(example));
}

static void test_arm64_args(void **state)
{
	static const struct example example[] = {
		{"8@x0", 0, {.kind = USDT_ARG_REGISTER, .base = 1, .bytes = 8}},
		{"8@x30", 0, {.kind = USDT_ARG_REGISTER, .base = 31, .bytes = 8}},
		{"8@sp", 0, {.kind = USDT_ARG_REGISTER, .base = 32, .bytes = 8}},
		{"-4@w7", 0, {.kind = USDT_ARG_REGISTER, .base = 8, .bytes = 4, .is_signed = 1}},
		{"8@xzr", 0, {.kind = USDT_ARG_CONSTANT, .bytes = 8}},
		{"8@5", 0, {.kind = USDT_ARG_CONSTANT, .value = 5, .bytes = 8}},
		{"-4@-1",
		 0,
		 {.kind = USDT_ARG_CONSTANT, .value = UINT64_MAX, .bytes = 4, .is_signed = 1}},
		{"8@#17", 0, {.kind = USDT_ARG_CONSTANT, .value = 17, .bytes = 8}},
		{"8@[sp]", 0, {.kind = USDT_ARG_MEMORY, .base = 32, .bytes = 8}},
		{"8@[sp, 16] 8@x1",
		 0,
		 {.kind = USDT_ARG_MEMORY, .base = 32, .value = 16, .bytes = 8}},
		{"8@[x29,#-8]",
		 0,
		 {.kind = USDT_ARG_MEMORY, .base = 30, .value = (uint64_t)-8, .bytes = 8}},
		{"8@x31", -ENOTSUP, {0}},
		{"8@x", -ENOTSUP, {0}},
		{"8@x-1", -ENOTSUP, {0}},
		{"8@d0", -ENOTSUP, {0}},
		{"8@[w0]", -ENOTSUP, {0}},
		{"8@[xzr]", -ENOTSUP, {0}},
		{"8@[x0, x1]", -ENOTSUP, {0}},
		{"8@[x0", -EINVAL, {0}},
		{"8@[x0, 8", -EINVAL, {0}},
		{"8@[]", -EINVAL, {0}},
		{"8@#", -EINVAL, {0}},
		{"8@%rdi", -EINVAL, {0}},
		{"8@", -EINVAL, {0}},
	};

	(void)state;
	check_args(EM_AARCH64, example, ARRAY_SIZE(example));
}

static void test_several_args(void **state)
{
	struct usdt_arg arg[USDT_ALLOC_ARGS + 1];

	(void)state;
	assert_int_equal(usdt_parse_args(EM_X86_64, "8@%rdi  4@%esi 8@$7 8@junk", arg, 3), 0);
	assert_int_equal(arg[1].base, 5);
	assert_int_equal(arg[2].value, 7);
	assert_int_equal(usdt_parse_args(EM_X86_64, "8@%rdi 8@%rsi", arg, 3), -EINVAL);
	assert_int_equal(usdt_parse_args(EM_X86_64, ALLOC_ARGS " 8@%rcx", arg, 4), -EINVAL);
	assert_int_equal(usdt_parse_args(EM_386, ALLOC_ARGS, arg, 3), -ENOTSUP);
	assert_int_equal(arg[1].base, 5);
}

/* --- a program that the compiler made --- */

#ifdef HAS_SDT
extern unsigned short otel_memory_alloc_semaphore, otel_memory_free_semaphore;
unsigned short otel_memory_alloc_semaphore __attribute__((section(".probes")));
unsigned short otel_memory_free_semaphore __attribute__((section(".probes")));

static __attribute__((noinline)) void emit(void *block, uint64_t size, uint64_t weight)
{
	STAP_PROBE3(otel_memory, alloc, block, size, weight);
	STAP_PROBE3(otel_memory, alloc, block, 17, 524288);
	STAP_PROBE1(otel_memory, free, block);
}

static void test_this_program(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct usdt_object object;
	const struct usdt_arg *arg;
	struct elf_file *elf;
	const char *why;
	int err;

	(void)state;
	emit(&object, sizeof(object), 524288);
	assert_true(fd >= 0);
	assert_int_equal(elf_open_fd(fd, &elf), 0);
	err = usdt_find(elf, &object, &why);
	if (err)
		fail_msg("error %d: %s", err, why ? why : "");
	elf_close(elf);
	assert_int_equal(object.nr_sites, 3);
	assert_true(object.site[0].is_free && !object.site[1].is_free && !object.site[2].is_free);
	for (size_t i = 0; i < object.nr_sites; i++)
		assert_int_not_equal(object.site[i].ref_count_offset, 0);
	assert_int_equal(object.site[1].ref_count_offset, object.site[2].ref_count_offset);
	assert_int_not_equal(object.site[0].ref_count_offset, object.site[1].ref_count_offset);
	arg = object.site[2].spec.arg;
	assert_int_equal(arg[1].kind, USDT_ARG_CONSTANT);
	assert_int_equal(arg[1].value, 17);
	assert_int_equal(arg[2].value, 524288);
	usdt_object_release(&object);
}
#endif

#define build_test(f) cmocka_unit_test_setup(f, build_clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		build_test(test_pair),
		build_test(test_older_name),
		build_test(test_both_names),
		build_test(test_half_a_pair),
		build_test(test_many_sites),
		build_test(test_too_many_sites),
		build_test(test_moved),
		build_test(test_arm64),
		build_test(test_refused_code),
		build_test(test_refused_arm64_code),
		build_test(test_refused_machine),
		build_test(test_refused_places),
		build_test(test_no_notes),
		build_test(test_out_of_memory),
		build_test(test_notes),
		build_test(test_notes_cut_anywhere),
		build_test(test_notes_that_lie),
		cmocka_unit_test(test_x86_args),
		cmocka_unit_test(test_arm64_args),
		cmocka_unit_test(test_several_args),
#ifdef HAS_SDT
		cmocka_unit_test(test_this_program),
#endif
	};

	return cmocka_run_group_tests_name("usdt", tests, NULL, NULL);
}
