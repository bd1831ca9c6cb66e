// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blocks N: prints "ready", waits for a line, allocates N blocks of 16 bytes, prints "done", and
 * keeps them until its input ends.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define BLOCK_BYTES 16

static void say(const char *text, size_t nr)
{
	if (write(STDOUT_FILENO, text, nr) != (ssize_t)nr)
		exit(1);
}

static __attribute__((noinline)) void fill(void **block, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		block[i] = malloc(BLOCK_BYTES);
		if (!block[i])
			abort();
	}
}

int main(int argc, char **argv)
{
	size_t nr = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	void **block;
	char byte;

	if (!nr) {
		fprintf(stderr, "usage: blocks N\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	block = calloc(nr, sizeof(*block));
	if (!block)
		return 1;
	say("ready\n", 6);
	if (read(STDIN_FILENO, &byte, 1) != 1)
		return 1;
	fill(block, nr);
	say("done\n", 5);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
