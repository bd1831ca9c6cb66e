/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a target program needs: it does one piece of work for each line that it is sent, and says when it is done.
 *
 *	> edge_01
 *	< done edge_01 0
 *
 * Nothing here allocates: every block of the process is one that a case asked for.
 */
#ifndef SEEP_E2E_TARGET_H
#define SEEP_E2E_TARGET_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __clang__
#define SITE __attribute__((noinline, optnone))
#else
#define SITE __attribute__((noipa)) /* never inlined nor cloned: its name stands for its calls */
#endif

struct work {
	const char *name;
	long (*run)(void); /* its result is printed */
};

/* The program's assumption about its allocator or kernel does not hold: no case may go on. */
#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			target_fail(#condition, __LINE__);                                         \
	} while (0)

static inline void target_write(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		_exit(1);
}

static inline void target_fail(const char *what, int line)
{
	char text[200];

	snprintf(text, sizeof(text), "failed line %d: %s\n", line, what);
	target_write(text);
	_exit(1);
}

/* 0 at the end of input. */
static inline int target_read(char *line, size_t size)
{
	size_t nr = 0;

	while (nr + 1 < size && read(STDIN_FILENO, line + nr, 1) == 1) {
		if (line[nr] == '\n') {
			line[nr] = '\0';
			return 1;
		}
		nr++;
	}
	return 0;
}

static inline void target_do(const struct work *work, const char *name)
{
	char text[200];

	for (; work->name; work++) {
		if (strcmp(work->name, name))
			continue;
		snprintf(text, sizeof(text), "done %s %ld\n", name, work->run());
		target_write(text);
		return;
	}
	target_write("unknown work\n");
	_exit(2);
}

/* With arguments does those and ends, else what standard input says, until "quit". */
static inline int target_serve(const struct work *work, int argc, char **argv)
{
	char line[100];
	int i;

	for (i = 1; i < argc; i++)
		target_do(work, argv[i]);
	if (argc > 1)
		return 0;
	target_write("ready\n");
	while (target_read(line, sizeof(line)) && strcmp(line, "quit"))
		target_do(work, line);
	return 0;
}

#endif
