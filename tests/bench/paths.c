// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * paths MODE FRAMES COUNT: calls malloc and free COUNT times, from stacks of exactly FRAMES frames: from the caller of
 * malloc to the outermost function, main() and what is outside it among them. Built without frame pointers.
 *
 *	same	always the same stack
 *	three	three call paths in turn
 *	varied	2048 call paths in turn, from one stack pointer, that differ in the middle
 */
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATHS 2048
#define TURNS 4 /* frames that tell 2048 paths apart */

static volatile unsigned long keep;

static __attribute__((noinline)) void leaf(void)
{
	void *block = malloc(41);

	keep += (unsigned long)block;
	free(block);
}

/* A stack of so many frames more. */
static __attribute__((noinline)) void down(int frames)
{
	if (frames > 2)
		down(frames - 1);
	else
		leaf();
	keep++;
}

static __attribute__((noinline)) void left(int frames)
{
	down(frames - 1);
	keep += 2;
}

static __attribute__((noinline)) void right(int frames)
{
	down(frames - 1);
	keep += 3;
}

/* A frame for every three bits of the path, all of one size, and then the rest. */
static __attribute__((noinline)) void turn(int frames, int turns, unsigned int path)
{
#define CALL(n)                                                                                    \
	case n:                                                                                    \
		turn(frames - 1, turns - 1, path >> 3);                                            \
		keep += (n); /* calls that look alike are made one */                              \
		break
	if (!turns) {
		down(frames - 1);
		keep += 5;
		return;
	}
	switch (path & 7) {
		CALL(0);
		CALL(1);
		CALL(2);
		CALL(3);
		CALL(4);
		CALL(5);
		CALL(6);
		CALL(7);
	}
	keep += 7;
#undef CALL
}

/* main() and what is outside it: that differs from one C library to the next. */
static __attribute__((noinline)) int count_outside(void)
{
	void *frame[16];

	return backtrace(frame, 16) - 1;
}

int main(int argc, char **argv)
{
	int frames, varied, same;
	long count, i;

	if (argc != 4) {
		fprintf(stderr, "usage: paths same|three|varied FRAMES COUNT\n");
		return 2;
	}
	frames = atoi(argv[2]) - count_outside();
	varied = !strcmp(argv[1], "varied");
	same = !strcmp(argv[1], "same");
	if (frames < (varied ? TURNS + 3 : same ? 2 : 3)) {
		fprintf(stderr, "paths: %s frames are too few\n", argv[2]);
		return 2;
	}
	count = atol(argv[3]);
	for (i = 0; i < count; i++) {
		if (varied)
			turn(frames, TURNS, (unsigned int)(i % PATHS));
		else if (same || i % 3 == 0)
			down(frames);
		else if (i % 3 == 1)
			left(frames);
		else
			right(frames);
	}
	return 0;
}
