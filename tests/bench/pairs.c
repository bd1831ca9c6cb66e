// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pairs [-s SECONDS] FRAMES[,FRAMES...]: allocates and frees for ever, and times itself.
 *
 * Batches of malloc(64) and free() at the end of a call chain of FRAMES functions, main() among
 * them; with several depths one batch at each in turn, so that all of them meet the same moods of
 * the machine. A batch takes about 2 ms. For each one it prints
 *
 *	END_NS FRAMES PAIRS BATCH_NS
 *
 * of CLOCK_MONOTONIC, in one write. It lives as long as its parent, or for SECONDS.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define BATCH_NS 2000000
#define BLOCK_BYTES 64
#define TURN_PAIRS 256 /* between two looks at the clock, which costs as much as a pair */
#define MAX_DEPTHS 8

struct batch {
	unsigned int frames;
	uint64_t nr_pairs;
	uint64_t start_ns, end_ns;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static __attribute__((noinline)) void allocate(struct batch *batch)
{
	unsigned int i;
	void *block;

	batch->nr_pairs = 0;
	batch->start_ns = now_ns();
	do {
		for (i = 0; i < TURN_PAIRS; i++) {
			block = malloc(BLOCK_BYTES);
			__asm__ volatile("" : : "r"(block) : "memory");
			free(block);
		}
		batch->nr_pairs += TURN_PAIRS;
		batch->end_ns = now_ns();
	} while (batch->end_ns - batch->start_ns < BATCH_NS);
}

static __attribute__((noinline)) void descend(struct batch *batch, unsigned int frames)
{
	if (frames <= 2)
		allocate(batch);
	else
		descend(batch, frames - 1);
	__asm__ volatile("" : : : "memory"); /* no tail calls: every frame stays */
}

static void print_batch(const struct batch *batch)
{
	char line[128];
	int nr = snprintf(line, sizeof(line), "%llu %u %llu %llu\n",
			  (unsigned long long)batch->end_ns, batch->frames,
			  (unsigned long long)batch->nr_pairs,
			  (unsigned long long)(batch->end_ns - batch->start_ns));

	if (write(STDOUT_FILENO, line, (size_t)nr) != nr)
		exit(1);
}

static size_t parse_depths(char *text, struct batch *batch)
{
	size_t nr = 0;
	char *word;

	for (word = strtok(text, ","); word && nr < MAX_DEPTHS; word = strtok(NULL, ",")) {
		batch[nr].frames = (unsigned int)atoi(word);
		if (batch[nr].frames < 3 || batch[nr].frames > 1000)
			return 0;
		nr++;
	}
	return nr;
}

int main(int argc, char **argv)
{
	struct batch batch[MAX_DEPTHS] = {0};
	uint64_t end_ns = UINT64_MAX;
	size_t nr = 0, i;

	if (argc == 4 && !strcmp(argv[1], "-s")) {
		end_ns = now_ns() + (uint64_t)(atof(argv[2]) * 1e9);
		nr = parse_depths(argv[3], batch);
	} else if (argc == 2) {
		nr = parse_depths(argv[1], batch);
	}
	if (!nr) {
		fprintf(stderr,
			"usage: pairs [-s SECONDS] FRAMES[,FRAMES...]  (3 to 1000 frames)\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; now_ns() < end_ns; i = (i + 1) % nr) {
		descend(&batch[i], batch[i].frames - 1);
		print_batch(&batch[i]);
	}
	return 0;
}
