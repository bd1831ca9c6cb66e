/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small program whose addresses have known names, compiled in a directory of its own in several ways, for the tests of
 * symbols.
 */
#ifndef SEEP_TEST_SAMPLE_PROGRAM_H
#define SEEP_TEST_SAMPLE_PROGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "symbolize.h"

#define SAMPLE_KEY 0x00010007

int sample_set_up(void **state);
int sample_tear_down(void **state);
const char *sample_directory(void);
/* In it; valid until the fourth call from now. */
char *path_of(const char *name);

void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
void write_file(const char *path, const void *data, size_t nr);
/* The caller frees it. */
char *read_whole(const char *path, size_t *nr);

/* Optimised, and for a fixed address unless the options say otherwise. */
void compile_program(const char *name, const char *options);
/* The same, its debug information moved to NAME.debug, to which it has a link. */
void make_split(const char *name, const char *options);

/*
 * outer() has middle() inlined, which has leaf() inlined. All are the byte before the return address of a call.
 */
struct target {
	pid_t tgid;
	int input; /* it ends when this is closed */
	uint64_t outer, plain, inside, nested;
};

struct target start_program(const char *name);
/* A directory of ours is its root, in which path is; that takes the rights of root. NULL: as it is. */
struct target start_in_root(const char *root, const char *path);
void stop_program(struct target *target);

struct symbolizer *new_symbolizer(const struct symbolizer_options *options);
int add_process(struct symbolizer *sym, uint32_t key, pid_t tgid);
/* Runs a program that is there already, adds it, and ends it. */
struct symbolizer *symbolizer_of(const char *name, const struct symbolizer_options *options,
				 struct target *target);

void assert_line(const struct symbol_frame *frame, const char *file, uint32_t line);
/* All that is to be known of target->outer. */
void assert_outer(struct symbolizer *sym, const struct target *target, const char *module);
/* One frame, linked where it is loaded. */
void assert_one(struct symbolizer *sym, uint64_t address, const char *function);

int count_descriptors(void);

#endif
