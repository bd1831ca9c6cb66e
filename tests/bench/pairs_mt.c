// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pairs_mt THREADS[,THREADS...]: threads that allocate and free at once, for ever, and time themselves.
 *
 * In turn so many of the threads as each number says work, for 20 ms, while the others sleep: all of
 * them meet the same moods of the machine. Each thread calls malloc(64) and free() and takes the CPU
 * time that it needs, since there may be more of them than CPUs. For each turn it prints
 *
 *	END_NS THREADS PAIRS CPU_NS
 *
 * of all that worked, END_NS of CLOCK_MONOTONIC, in one write. It lives as long as its parent.
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define TURN_NS 20000000
#define BLOCK_BYTES 64
#define LOOK_PAIRS 256 /* between two looks at the clock, which costs as much as a pair */
#define MAX_THREADS 16
#define MAX_NUMBERS 8

/* On lines of cache of their own: what one thread writes does not hinder another. */
struct worker {
	_Alignas(128) unsigned int number;
	uint64_t nr_pairs, cpu_ns;
};

static struct worker worker[MAX_THREADS];
static pthread_barrier_t before, after;
static unsigned int nr_working; /* this turn, and when it ends: set before the barrier */
static uint64_t end_ns;

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static __attribute__((noinline)) void allocate(struct worker *w)
{
	uint64_t start_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
	unsigned int i;
	void *block;

	w->nr_pairs = 0;
	do {
		for (i = 0; i < LOOK_PAIRS; i++) {
			block = malloc(BLOCK_BYTES);
			__asm__ volatile("" : : "r"(block) : "memory");
			free(block);
		}
		w->nr_pairs += LOOK_PAIRS;
	} while (now_ns(CLOCK_MONOTONIC) < end_ns);
	w->cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns;
}

static void take_turn(struct worker *w)
{
	(void)pthread_barrier_wait(&before);
	if (w->number < nr_working)
		allocate(w);
	(void)pthread_barrier_wait(&after);
}

static void *work(void *arg)
{
	for (;;)
		take_turn(arg);
	return NULL;
}

static void print_turn(void)
{
	uint64_t nr_pairs = 0, cpu_ns = 0;
	char line[128];
	unsigned int i;
	int nr;

	for (i = 0; i < nr_working; i++) {
		nr_pairs += worker[i].nr_pairs;
		cpu_ns += worker[i].cpu_ns;
	}
	nr = snprintf(line, sizeof(line), "%llu %u %llu %llu\n",
		      (unsigned long long)now_ns(CLOCK_MONOTONIC), nr_working,
		      (unsigned long long)nr_pairs, (unsigned long long)cpu_ns);
	if (write(STDOUT_FILENO, line, (size_t)nr) != nr)
		exit(1);
}

/* The most of them, 0 when a number is wrong. */
static unsigned int parse_numbers(char *text, unsigned int *number, size_t *nr)
{
	unsigned int most = 0;
	char *word;

	for (word = strtok(text, ","); word && *nr < MAX_NUMBERS; word = strtok(NULL, ",")) {
		number[*nr] = (unsigned int)atoi(word);
		if (!number[*nr] || number[*nr] > MAX_THREADS)
			return 0;
		if (number[*nr] > most)
			most = number[*nr];
		(*nr)++;
	}
	return most;
}

static int start_workers(unsigned int nr)
{
	pthread_t thread;
	unsigned int i;

	if (pthread_barrier_init(&before, NULL, nr) || pthread_barrier_init(&after, NULL, nr))
		return -1;
	for (i = 0; i < nr; i++) {
		worker[i].number = i;
		if (i && pthread_create(&thread, NULL, work, &worker[i]))
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned int number[MAX_NUMBERS], most = 0;
	size_t nr = 0, i;

	if (argc == 2)
		most = parse_numbers(argv[1], number, &nr);
	if (!most) {
		fprintf(stderr, "usage: pairs_mt THREADS[,THREADS...]  (1 to %d threads)\n",
			MAX_THREADS);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (start_workers(most))
		return 1;
	for (i = 0;; i = (i + 1) % nr) {
		nr_working = number[i];
		end_ns = now_ns(CLOCK_MONOTONIC) + TURN_NS;
		take_turn(&worker[0]);
		print_turn();
	}
}
