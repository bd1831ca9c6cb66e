// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tables FILE...: how fast the unwind tables of ELF files are made, on one CPU, the best of several times. A line for
 * each file.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cfi.h"

#define REPEATS 11

static double now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int measure(int fd, struct cfi_table *table, double *best)
{
	double start, elapsed;
	int err;

	*best = 0;
	for (int i = 0; i < REPEATS; i++) {
		cfi_release(table);
		start = now_s();
		err = cfi_read_file(fd, table);
		elapsed = now_s() - start;
		if (err)
			return err;
		if (!i || elapsed < *best)
			*best = elapsed;
	}
	return 0;
}

static void print(const char *path, const struct cfi_table *table, double best)
{
	const char *name = strrchr(path, '/');

	printf("%-24s %8" PRIu64 " functions %9zu rows %6.2f rows/us %8.2f ms %3zu bytes/row "
	       "%6" PRIu64 " unsupported %4" PRIu64 " fp lost %3" PRIu64 " malformed\n",
	       name ? name + 1 : path, table->stats.functions, table->nr,
	       (double)table->nr / best * 1e-6, best * 1e3, sizeof(*table->row),
	       table->stats.unsupported, table->stats.fp_lost, table->stats.malformed);
}

int main(int argc, char **argv)
{
	struct cfi_table table = {0};
	int status = 0;
	double best = 0;

	for (int i = 1; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY | O_CLOEXEC);
		int err = fd < 0 ? -errno : measure(fd, &table, &best);

		if (err) {
			fprintf(stderr, "tables: cannot read '%s': %s\n", argv[i], strerror(-err));
			status = 1;
		} else {
			print(argv[i], &table, best);
		}
		cfi_release(&table);
		if (fd >= 0)
			(void)close(fd);
	}
	return status;
}
