// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * symbols [-n ADDRESSES] [-m MIB] FILE...: what it costs to name that many distinct addresses of each file, spread over
 * its code, for the first time. Prints the time of each file and, at the end, the memory: what the symbolizer thinks it
 * takes, what malloc() knows of, and the peak of all. -m bounds it.
 *
 * symbols [-m MIB] -c CAPTURE: the same for the addresses that a capture has names for, in the files that they are in.
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

#include "array.h"
#include "capture.h"
#include "decode.h"
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

struct work {
	struct subject subject[MAX_FILES];
	size_t nr_subjects;
	uint64_t *place; /* of a capture: where its addresses are here */
	size_t nr_places, cap_places;
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

static int subject_of(struct work *work, const char *path)
{
	struct subject *subject;
	size_t i;
	int error;

	for (i = 0; i < work->nr_subjects; i++) {
		if (!strcmp(work->subject[i].path, path))
			return (int)i;
	}
	if (work->nr_subjects == MAX_FILES)
		return -E2BIG;
	subject = &work->subject[work->nr_subjects];
	error = open_subject(path, subject);
	if (error)
		return error;
	subject->path = strdup(path);
	if (!subject->path)
		return -ENOMEM;
	return (int)work->nr_subjects++;
}

/* The module of the outermost frame: that of the address itself. */
static const char *module_of(const struct record_symbol *symbol, size_t nr_bytes)
{
	struct record_strings strings = {(const char *)&symbol->frame[symbol->nr],
					 (const char *)symbol + nr_bytes};
	const char *text = NULL;
	size_t nr;

	for (uint32_t i = 0; i < 3 * symbol->nr - 1; i++)
		text = record_next_string(&strings, &nr);
	return text;
}

static int take_symbol(struct work *work, const struct record_symbol *symbol, size_t nr_bytes)
{
	const struct subject *in;
	const char *module;
	uint64_t offset;
	int subject;

	if (!symbol->nr)
		return 0;
	module = module_of(symbol, nr_bytes);
	if (!module || *module != '/')
		return 0;
	subject = subject_of(work, module);
	if (subject < 0)
		return subject;
	in = &work->subject[subject];
	if (!elf_address_to_offset(in->elf, symbol->frame[symbol->nr - 1].offset, &offset))
		return 0;
	if (ARRAY_GROW(&work->place, &work->cap_places, work->nr_places + 1))
		return -ENOMEM;
	work->place[work->nr_places++] = (uintptr_t)in->start + offset;
	return 0;
}

static int read_capture(struct work *work, const char *path)
{
	struct capture_reader *reader;
	const struct event_head *head;
	const void *record;
	size_t nr;
	int fd = open(path, O_RDONLY | O_CLOEXEC), error;

	error = fd < 0 ? -errno : capture_reader_new(fd, &reader, NULL);
	if (error)
		return error;
	while (!error && capture_read(reader, &record, &nr) == 1) {
		head = record;
		if (head->kind == RECORD_SYMBOL)
			error = record_check(record, nr) ?: take_symbol(work, record, nr);
	}
	capture_reader_free(reader);
	return error;
}

static int measure_places(struct symbolizer *sym, const struct work *work)
{
	struct symbol_frame frame[SYMBOLIZE_MAX_FRAMES];
	unsigned long nr_named = 0, nr_lines = 0;

	for (size_t i = 0; i < work->nr_places; i++) {
		int nr = symbolizer_lookup(sym, KEY, work->place[i], frame);

		if (nr < 0)
			return nr;
		nr_named += nr && frame[nr - 1].function[0];
		nr_lines += nr && frame[nr - 1].line;
	}
	printf("%zu addresses of %zu files, %lu named, %lu with lines\n", work->nr_places,
	       work->nr_subjects, nr_named, nr_lines);
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

static int run(struct symbolizer *sym, const struct work *work, uint64_t nr_addresses)
{
	double start = now_ms();
	struct proc_maps maps;
	int error;

	proc_maps_init(&maps);
	error = proc_maps_read(&maps, getpid());
	if (!error)
		error = symbolizer_add_process(sym, KEY, getpid(), &maps);
	proc_maps_release(&maps);
	if (!error && work->nr_places)
		error = measure_places(sym, work);
	for (size_t i = 0; i < work->nr_subjects && !error && !work->nr_places; i++)
		error = measure(sym, &work->subject[i], nr_addresses);
	if (!error)
		print_memory(sym, start);
	return error;
}

int main(int argc, char **argv)
{
	struct symbolizer_options options = {0};
	uint64_t nr_addresses = 10007, mib;
	const char *capture = NULL;
	struct symbolizer *sym;
	struct work work = {0};
	int error = 0, option;

	while (!error && (option = getopt(argc, argv, "n:m:c:")) != -1) {
		if (option == 'n')
			error = parse_u64(optarg, &nr_addresses);
		else if (option == 'm' && !parse_u64(optarg, &mib))
			options.max_bytes = mib << 20;
		else if (option == 'c')
			capture = optarg;
		else
			error = -EINVAL;
	}
	if (!error && capture)
		error = read_capture(&work, capture);
	for (; error >= 0 && optind < argc && !capture; optind++)
		error = subject_of(&work, argv[optind]);
	if (error >= 0 && (!work.nr_subjects || !nr_addresses))
		error = -EINVAL;
	if (error >= 0)
		error = symbolizer_new(&options, &sym);
	if (!error)
		error = run(sym, &work, nr_addresses);
	if (error)
		fprintf(stderr, "symbols: %s\n", strerror(-error));
	return error ? 1 : 0;
}
