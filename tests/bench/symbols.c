// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * symbols [-n ADDRESSES] [-m MIB] FILE...: what it costs to name that many distinct addresses of each file, spread over
 * its code, for the first time. Prints the time of each file and, at the end, the memory: what the symbolizer thinks it
 * takes, what malloc() knows of, and the peak of all. -m bounds it.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "elf_image.h"
#include "parse.h"
#include "proc.h"
#include "symbolize.h"

#define MAX_FILES 64
#define KEY 1

struct subject {
	const char *path;
	char *start; /* of the whole file, mapped as code */
	struct elf_file *elf;
	uint64_t code_bytes;
};

static double now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int open_subject(const char *path, struct subject *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int error;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	*out = (struct subject){.path = path};
	out->start = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (out->start == MAP_FAILED)
		return -errno;
	error = elf_open_fd(fd, &out->elf);
	for (size_t i = 0; !error && i < out->elf->nr_segments; i++) {
		if (out->elf->segment[i].exec)
			out->code_bytes += out->elf->segment[i].file_bytes;
	}
	return error;
}

/* The address of the at-th byte of code. */
static uint64_t address_of(const struct subject *subject, uint64_t at)
{
	const struct elf_segment *segment = subject->elf->segment;

	for (size_t i = 0; i < subject->elf->nr_segments; i++) {
		if (!segment[i].exec)
			continue;
		if (at < segment[i].file_bytes)
			return (uintptr_t)subject->start + segment[i].file_offset + at;
		at -= segment[i].file_bytes;
	}
	return 0;
}

static int measure(struct symbolizer *sym, const struct subject *subject, uint64_t nr_addresses)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	unsigned long nr_named = 0, nr_lines = 0, nr_frames = 0;
	double start = now_ms(), slowest = 0;
	uint64_t step = subject->code_bytes / nr_addresses;

	for (uint64_t i = 0; i < nr_addresses && step; i++) {
		double before = now_ms(), took;
		int nr = symbolizer_lookup(sym, KEY, address_of(subject, i * step + step / 2),
					   frame);

		if (nr < 0)
			return nr;
		took = now_ms() - before;
		if (took > slowest)
			slowest = took;
		nr_frames += (unsigned long)nr;
		nr_named += nr && frame[nr - 1].function[0];
		nr_lines += nr && frame[nr - 1].line;
	}
	printf("%10.1f ms (slowest %.1f ms), %lu named, %lu with lines, %lu frames: %s\n",
	       now_ms() - start, slowest, nr_named, nr_lines, nr_frames, subject->path);
	return 0;
}

static void print_memory(const struct symbolizer *sym, double start)
{
	struct mallinfo2 info = mallinfo2();
	char counted[FORMAT_MAX], heap[FORMAT_MAX], peak[FORMAT_MAX];
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	format_bytes(symbolizer_bytes(sym), counted, sizeof(counted));
	format_bytes(info.uordblks + info.hblkhd, heap, sizeof(heap));
	format_bytes((uint64_t)usage.ru_maxrss * 1024, peak, sizeof(peak));
	printf("%10.1f ms in all; %s by its own count, %s by malloc(), peak of all %s\n",
	       now_ms() - start, counted, heap, peak);
}

static int run(struct symbolizer *sym, const struct subject *subject, size_t nr,
	       uint64_t nr_addresses)
{
	double start = now_ms();
	struct proc_maps maps;
	int error;

	proc_maps_init(&maps);
	error = proc_maps_read(&maps, getpid());
	if (!error)
		error = symbolizer_add_process(sym, KEY, getpid(), &maps);
	proc_maps_release(&maps);
	for (size_t i = 0; i < nr && !error; i++)
		error = measure(sym, &subject[i], nr_addresses);
	if (!error)
		print_memory(sym, start);
	return error;
}

int main(int argc, char **argv)
{
	struct symbolizer_options options = {0};
	struct subject subject[MAX_FILES];
	uint64_t nr_addresses = 10007, mib;
	struct symbolizer *sym;
	size_t nr = 0;
	int error = 0, option;

	while (!error && (option = getopt(argc, argv, "n:m:")) != -1) {
		if (option == 'n')
			error = parse_u64(optarg, &nr_addresses);
		else if (option == 'm' && !parse_u64(optarg, &mib))
			options.max_bytes = mib << 20;
		else
			error = -EINVAL;
	}
	for (; !error && optind < argc && nr < MAX_FILES; optind++)
		error = open_subject(argv[optind], &subject[nr++]);
	if (!error && (!nr || !nr_addresses))
		error = -EINVAL;
	if (!error)
		error = symbolizer_new(&options, &sym);
	if (!error)
		error = run(sym, subject, nr, nr_addresses);
	if (error)
		fprintf(stderr, "symbols: %s\n", strerror(-error));
	return error ? 1 : 0;
}
