// SPDX-License-Identifier: GPL-2.0-or-later
/* Touches known numbers of pages of each kind of memory. What a piece of work prints is what the kernel counted. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "target.h"

#define PAGE 4096ul
#define ANON_PAGES 5003
#define SHARED_PAGES 307
#define FILE_PAGES 503
#define MAJOR_PAGES 101
#define STACK_PAGES 211
#define HEAP_PAGES 401

static char *anon, *shared, *file, *on_disk, *heap;

static char *map(size_t pages, int flags, int fd)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);

	REQUIRE(p != MAP_FAILED);
	/* one fault a page: no huge pages, and no neighbours read from disk at the same time */
	(void)madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	(void)madvise(p, pages * PAGE, MADV_RANDOM);
	return p;
}

/* A file of that many pages in the working directory, which nobody else can open. */
static int make_file(size_t pages)
{
	static const char data[PAGE] = "x";
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	REQUIRE(fd >= 0);
	while (pages--)
		REQUIRE(write(fd, data, PAGE) == (ssize_t)PAGE);
	return fd;
}

static long prepare(void)
{
	int fd = make_file(MAJOR_PAGES);

	anon = map(ANON_PAGES, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	shared = map(SHARED_PAGES, MAP_SHARED | MAP_ANONYMOUS, -1);
	file = map(FILE_PAGES, MAP_PRIVATE, make_file(FILE_PAGES));
	REQUIRE(!fsync(fd));
	REQUIRE(!posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	on_disk = map(MAJOR_PAGES, MAP_SHARED, fd);
	heap = sbrk((intptr_t)((HEAP_PAGES + 1) * PAGE));
	REQUIRE(heap != (void *)-1);
	heap = (char *)(((uintptr_t)heap + PAGE - 1) & ~(PAGE - 1));
	return 0;
}

static long counted(int major)
{
	struct rusage usage;

	REQUIRE(!getrusage(RUSAGE_SELF, &usage));
	return major ? usage.ru_majflt : usage.ru_minflt;
}

#define WRITE_SITE(name)                                                                           \
	SITE void name(char *p, size_t pages)                                                      \
	{                                                                                          \
		size_t i;                                                                          \
                                                                                                   \
		for (i = 0; i < pages; i++)                                                        \
			p[i * PAGE] = 1;                                                           \
	}
WRITE_SITE(faults_anon)
WRITE_SITE(faults_shared)
WRITE_SITE(faults_file)
WRITE_SITE(faults_heap)

static long touch(void (*site)(char *p, size_t pages), char *p, size_t pages)
{
	long before = counted(0);

	site(p, pages);
	return counted(0) - before;
}

static long touch_anon(void)
{
	return touch(faults_anon, anon, ANON_PAGES);
}

static long touch_shared(void)
{
	return touch(faults_shared, shared, SHARED_PAGES);
}

static long touch_file(void)
{
	return touch(faults_file, file, FILE_PAGES);
}

static long touch_heap(void)
{
	return touch(faults_heap, heap, HEAP_PAGES);
}

SITE int faults_stack(int pages)
{
	volatile char room[PAGE];

	room[0] = (char)pages;
	return pages ? faults_stack(pages - 1) + room[0] : 0;
}

static long touch_stack(void)
{
	long before = counted(0);

	(void)faults_stack(STACK_PAGES);
	return counted(0) - before;
}

SITE int faults_major(const char *p, size_t pages)
{
	int sum = 0;
	size_t i;

	for (i = 0; i < pages; i++)
		sum += ((const volatile char *)p)[i * PAGE];
	return sum;
}

static long touch_disk(void)
{
	long before = counted(1);

	(void)faults_major(on_disk, MAJOR_PAGES);
	return counted(1) - before;
}

/* The kernel touches the pages: the stack is that of the system call. */
SITE void faults_read(void)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	char *p = map(ANON_PAGES, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	REQUIRE(read(fd, p, ANON_PAGES * PAGE) == (ssize_t)(ANON_PAGES * PAGE));
	close(fd);
}

static long touch_by_read(void)
{
	long before = counted(0);

	faults_read();
	return counted(0) - before;
}

static const struct work works[] = {
	{"prepare", prepare},
	{"touch_anon", touch_anon},
	{"touch_shared", touch_shared},
	{"touch_file", touch_file},
	{"touch_heap", touch_heap},
	{"touch_stack", touch_stack},
	{"touch_disk", touch_disk},
	{"touch_by_read", touch_by_read},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return target_serve(works, argc, argv);
}
