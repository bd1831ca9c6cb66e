// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * paths MODE DEPTH COUNT: calls malloc and free COUNT times, DEPTH frames below main, and nothing else. Built without
 * frame pointers.
 *
 *	same	always the same stack
 *	three	three call paths in turn
 *	varied	2048 call paths in turn, from one stack pointer, that differ in their outer half
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATHS 2048

static volatile unsigned long keep;

static __attribute__((noinline)) void leaf(void)
{
	void *block = malloc(41);

	keep += (unsigned long)block;
	free(block);
}

static __attribute__((noinline)) void down(int depth)
{
	if (depth > 1)
		down(depth - 1);
	else
		leaf();
	keep++;
}

static __attribute__((noinline)) void left(int depth)
{
	down(depth);
	keep += 2;
}

static __attribute__((noinline)) void right(int depth)
{
	down(depth);
	keep += 3;
}

static __attribute__((noinline)) void odd(int depth, unsigned int path);

/* A frame for each bit of the path, then the rest. Both functions have frames of one size. */
static __attribute__((noinline)) void even(int depth, unsigned int path)
{
	if (path <= 1)
		down(depth);
	else if (path & 1)
		odd(depth - 1, path >> 1);
	else
		even(depth - 1, path >> 1);
	keep += 5;
}

static __attribute__((noinline)) void odd(int depth, unsigned int path)
{
	if (path <= 1)
		down(depth);
	else if (path & 1)
		odd(depth - 1, path >> 1);
	else
		even(depth - 1, path >> 1);
	keep += 7;
}

int main(int argc, char **argv)
{
	long count, i;
	int depth;

	if (argc != 4 || atoi(argv[2]) < 1 || (!strcmp(argv[1], "varied") && atoi(argv[2]) < 13)) {
		fprintf(stderr, "usage: paths same|three|varied DEPTH COUNT\n");
		return 2;
	}
	depth = atoi(argv[2]);
	count = atol(argv[3]);
	for (i = 0; i < count; i++) {
		if (!strcmp(argv[1], "varied"))
			even(depth - 1, (unsigned int)(i % PATHS) | PATHS);
		else if (!strcmp(argv[1], "same") || i % 3 == 0)
			down(depth);
		else if (i % 3 == 1)
			left(depth);
		else
			right(depth);
	}
	return 0;
}
