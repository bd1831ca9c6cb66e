// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The edge cases of allocation, one piece of work each. Every call that allocates stands in a function of its own,
 * named after its case; counts and sizes are primes. edge.sh knows what must come out.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "blocks.h"
#include "target.h"

#define HUGE_BYTES (1ul << 47) /* more than an address space holds */
#define PAGE 4096ul

/* Of the preloaded allocator (interpose.c): called inside malloc(). */
extern void (*interpose_hook)(size_t size) __attribute__((weak));

/* --- calls that fail, and odd sizes -------------------------------------------------------------- */

MALLOC_SITE(edge_01_malloc)
MALLOC_SITE(edge_01_after)

SITE void *edge_01_calloc(void)
{
	return calloc(1, HUGE_BYTES);
}

SITE void *edge_01_aligned(void)
{
	return aligned_alloc(64, HUGE_BYTES);
}

static long edge_01(void)
{
	int i;

	for (i = 0; i < 3; i++)
		REQUIRE(!edge_01_malloc(HUGE_BYTES));
	REQUIRE(!edge_01_malloc(SIZE_MAX));
	for (i = 0; i < 5; i++)
		REQUIRE(!edge_01_calloc());
	for (i = 0; i < 7; i++)
		REQUIRE(!edge_01_aligned());
	REQUIRE(edge_01_after(101));
	return 0;
}

MALLOC_SITE(edge_02_malloc)

SITE void *edge_02_calloc(size_t count)
{
	return calloc(count, 3);
}

SITE void *edge_02_reallocarray(void *p, size_t count)
{
	return reallocarray(p, count, 3);
}

static long edge_02(void)
{
	void *p = edge_02_malloc(103);
	int i;

	for (i = 0; i < 5; i++)
		REQUIRE(!edge_02_calloc(SIZE_MAX / 2));
	for (i = 0; i < 2; i++)
		REQUIRE(!edge_02_reallocarray(p, SIZE_MAX / 2));
	return 0;
}

MALLOC_SITE(edge_03_malloc)

static long edge_03(void)
{
	fill(edge_03_malloc, 0, 7);
	return 0;
}

static long edge_04(void)
{
	void (*volatile release)(void *) = free;
	int i;

	for (i = 0; i < 11; i++)
		release(NULL);
	return 0;
}

/* --- realloc ------------------------------------------------------------------------------------- */

REALLOC_SITE(edge_05_realloc)

static long edge_05(void)
{
	int i;

	for (i = 0; i < 13; i++)
		REQUIRE(edge_05_realloc(NULL, 107));
	return 0;
}

MALLOC_SITE(edge_06_malloc)
REALLOC_SITE(edge_06_realloc)

static long edge_06(void)
{
	int i;

	fill(edge_06_malloc, 109, 17);
	for (i = 0; i < 17; i++)
		REQUIRE(!edge_06_realloc(block[i], 0));
	return 0;
}

MALLOC_SITE(edge_07_malloc)
REALLOC_SITE(edge_07_realloc)

static long edge_07(void)
{
	int i;

	fill(edge_07_malloc, 113, 5);
	for (i = 0; i < 5; i++)
		REQUIRE(!edge_07_realloc(block[i], HUGE_BYTES));
	empty(0, 2);
	return 0;
}

MALLOC_SITE(edge_08_malloc)
REALLOC_SITE(edge_08_in_place)
REALLOC_SITE(edge_08_moved)

static long edge_08(void)
{
	void *p;
	int i;

	fill(edge_08_malloc, 127, 20); /* the last one keeps the one before it from growing */
	for (i = 0; i < 19; i++) {
		p = edge_08_in_place(block[i], 121);
		REQUIRE(p == block[i]);
	}
	for (i = 0; i < 19; i++) {
		p = edge_08_moved(block[i], 1009);
		REQUIRE(p != block[i]);
		block[i] = p;
	}
	return 0;
}

/* --- races: blocks that go from thread to thread in a tight loop ---------------------------------- */

#define RACE_SLOTS 7
#define RACE_ROUNDS 5003

static _Atomic(void *) race_slot[RACE_SLOTS];
static pthread_barrier_t barrier;

MALLOC_SITE(edge_09_malloc)
REALLOC_SITE(edge_09_realloc)
MALLOC_SITE(edge_10_malloc)

/* Too big for a thread's own cache: what one thread frees is what another one gets next. */
static void *race_realloc(void *arg)
{
	void *p;
	int i;

	(void)arg;
	pthread_barrier_wait(&barrier);
	for (i = 0; i < RACE_ROUNDS; i++) {
		p = edge_09_realloc(edge_09_malloc(1511), 2003);
		free(atomic_exchange(&race_slot[i % RACE_SLOTS], p));
	}
	return NULL;
}

static void *race_free(void *arg)
{
	int i;

	(void)arg;
	pthread_barrier_wait(&barrier);
	for (i = 0; i < RACE_ROUNDS; i++)
		free(atomic_exchange(&race_slot[i % RACE_SLOTS], edge_10_malloc(1061)));
	return NULL;
}

static void run_threads(void *(*run)(void *arg), int nr)
{
	pthread_t thread[16];
	int i;

	pthread_barrier_init(&barrier, NULL, (unsigned int)nr);
	for (i = 0; i < nr; i++)
		REQUIRE(!pthread_create(&thread[i], NULL, run, (void *)(intptr_t)i));
	for (i = 0; i < nr; i++)
		REQUIRE(!pthread_join(thread[i], NULL));
	pthread_barrier_destroy(&barrier);
}

static long edge_09(void)
{
	memset(race_slot, 0, sizeof(race_slot));
	run_threads(race_realloc, 3);
	return 0;
}

static long edge_10(void)
{
	memset(race_slot, 0, sizeof(race_slot));
	run_threads(race_free, 3);
	return 0;
}

/* --- an address that is handed out twice ----------------------------------------------------------- */

MALLOC_SITE(edge_11_malloc)

SITE void *edge_11_calloc(void)
{
	return calloc(1, 53);
}

/*
 * With the thread's cache full, free(a), free(b), free(a) makes a list that hands out a, b, a. calloc() does not look
 * into the cache. What a holds in between is made such that the list ends there, so that the heap stays whole.
 */
static long edge_11(void)
{
	uintptr_t *a, *b;
	int i;

	fill(edge_11_malloc, 53, 9);
	for (i = 0; i < 9; i++)
		REQUIRE(malloc_usable_size(block[i]) == 56); /* all of one list */
	a = block[7];
	b = block[8];
	empty(0, 7);
	free(a);
	free(b);
	free(a);
	REQUIRE(edge_11_calloc() == a);
	*a = (uintptr_t)a >> 12;
	REQUIRE(edge_11_calloc() == b);
	REQUIRE(edge_11_calloc() == a);
	return 0;
}

/* --- other functions ------------------------------------------------------------------------------- */

SITE int edge_12_posix_memalign(void **p, size_t alignment, size_t size)
{
	return posix_memalign(p, alignment, size);
}

static long edge_12(void)
{
	void *p;
	int i;

	for (i = 0; i < 23; i++)
		REQUIRE(!edge_12_posix_memalign(&p, 64, 139));
	for (i = 0; i < 5; i++)
		REQUIRE(edge_12_posix_memalign(&p, 3, 139));
	for (i = 0; i < 2; i++)
		REQUIRE(edge_12_posix_memalign(&p, 64, HUGE_BYTES));
	return 0;
}

#define ALIGNED_SITE(name, call)                                                                   \
	SITE void *name(void)                                                                      \
	{                                                                                          \
		return call;                                                                       \
	}
ALIGNED_SITE(edge_13_aligned_alloc, aligned_alloc(128, 256))
ALIGNED_SITE(edge_13_memalign, memalign(64, 149))
ALIGNED_SITE(edge_13_small_memalign, memalign(8, 157))
ALIGNED_SITE(edge_13_valloc, valloc(151))
ALIGNED_SITE(edge_13_pvalloc, pvalloc(163))

static long edge_13(void)
{
	void *(*const site[])(void) = {edge_13_aligned_alloc, edge_13_memalign,
				       edge_13_small_memalign, edge_13_valloc, edge_13_pvalloc};
	static const int times[] = {3, 5, 7, 11, 13};
	int i, j;

	for (i = 0; i < 5; i++) {
		for (j = 0; j < times[i]; j++)
			REQUIRE(site[i]());
	}
	return 0;
}

SITE char *edge_14_strdup(void)
{
	return strdup("sixteen and a nul");
}

SITE int edge_14_asprintf(char **p)
{
	return asprintf(p, "%s %d", "a", 1234567);
}

SITE void *edge_14_reallocarray(void *p)
{
	return reallocarray(p, 29, 31);
}

static long edge_14_strings(void)
{
	char *p;
	int i;

	for (i = 0; i < 5; i++)
		REQUIRE(edge_14_strdup());
	for (i = 0; i < 3; i++)
		REQUIRE(edge_14_asprintf(&p) == 9);
	for (i = 0; i < 7; i++)
		REQUIRE(edge_14_reallocarray(NULL));
	return 0;
}

/* Opened and closed again: nothing may stay. */
static long edge_14_files(void)
{
	FILE *file = fopen("/proc/self/comm", "r");
	char *line = NULL;
	size_t size = 0;
	DIR *dir;

	REQUIRE(file);
	REQUIRE(getline(&line, &size, file) > 0);
	REQUIRE(!fclose(file));
	free(line);
	dir = opendir("/proc/self/task");
	REQUIRE(dir);
	REQUIRE(readdir(dir));
	REQUIRE(!closedir(dir));
	return 0;
}

/* --- operator new of a preloaded allocator --------------------------------------------------------- */

static void *(*new_one)(size_t size), *(*new_array)(size_t size);
static void (*delete_one)(void *p), (*delete_array)(void *p), (*delete_sized)(void *p, size_t size);

static long find_operators(void)
{
	*(void **)&new_one = dlsym(RTLD_DEFAULT, "_Znwm");
	*(void **)&new_array = dlsym(RTLD_DEFAULT, "_Znam");
	*(void **)&delete_one = dlsym(RTLD_DEFAULT, "_ZdlPv");
	*(void **)&delete_array = dlsym(RTLD_DEFAULT, "_ZdaPv");
	*(void **)&delete_sized = dlsym(RTLD_DEFAULT, "_ZdlPvm");
	REQUIRE(new_one && new_array && delete_one && delete_array && delete_sized);
	return 0;
}

SITE void *edge_15_new(size_t size)
{
	return new_one(size);
}

SITE void *edge_15_new_array(size_t size)
{
	return new_array(size);
}

MALLOC_SITE(edge_15_malloc)

SITE void *edge_15_calloc(void)
{
	return calloc(3, 17);
}

REALLOC_SITE(edge_15_realloc)

SITE void *edge_15_posix_memalign(void)
{
	void *p;

	return posix_memalign(&p, 64, 131) ? NULL : p;
}

static long edge_15(void)
{
	int i;

	fill(edge_15_new, 41, 101);
	for (i = 0; i < 31; i++)
		delete_one(block[i]);
	for (; i < 72; i++)
		delete_sized(block[i], 41);
	fill(edge_15_new_array, 43, 103);
	for (i = 0; i < 53; i++)
		delete_array(block[i]);
	for (i = 0; i < 59; i++)
		REQUIRE(edge_15_calloc());
	for (i = 0; i < 61; i++)
		REQUIRE(edge_15_posix_memalign());
	fill(edge_15_malloc, 47, 107);
	for (i = 0; i < 67; i++)
		block[i] = edge_15_realloc(block[i], 7001);
	empty(0, 71);
	return 0;
}

/* --- calls that are left, threads that end --------------------------------------------------------- */

static sigjmp_buf left;
static void *left_block;

MALLOC_SITE(edge_17_left)

/* Further down the stack than the call that was left. */
SITE void *edge_17_deep(size_t size)
{
	volatile char room[2000];

	room[0] = (char)size;
	memset((void *)room, room[0], sizeof(room));
	return malloc(size);
}

MALLOC_SITE(edge_17_shallow)

static void jump(size_t size)
{
	if (size == 4001)
		siglongjmp(left, 1);
}

SITE void leave_malloc(void)
{
	interpose_hook = jump;
	if (!sigsetjmp(left, 1))
		left_block = edge_17_left(4001);
	interpose_hook = NULL;
}

SITE void call_deep(void)
{
	int i;

	for (i = 0; i < 5; i++)
		REQUIRE(edge_17_deep(167));
}

static long edge_17_deeper(void)
{
	leave_malloc();
	call_deep();
	return 0;
}

static long edge_17_jump(void)
{
	int i;

	for (i = 0; i < 3; i++)
		leave_malloc();
	for (i = 0; i < 7; i++)
		REQUIRE(edge_17_shallow(173));
	return 0;
}

MALLOC_SITE(edge_17_exits)
MALLOC_SITE(edge_17_cancelled)

static void *exit_early(void *arg)
{
	int i;

	for (i = 0; i < 11; i++)
		REQUIRE(edge_17_exits(179));
	pthread_exit(arg);
}

static void *be_cancelled(void *arg)
{
	int i;

	for (i = 0; i < 13; i++)
		REQUIRE(edge_17_cancelled(181));
	pthread_barrier_wait(&barrier);
	pause();
	return arg;
}

static long edge_17_threads(void)
{
	pthread_t thread;
	void *result;

	run_threads(exit_early, 3);
	pthread_barrier_init(&barrier, NULL, 2);
	REQUIRE(!pthread_create(&thread, NULL, be_cancelled, NULL));
	pthread_barrier_wait(&barrier);
	REQUIRE(!pthread_cancel(thread));
	REQUIRE(!pthread_join(thread, &result));
	REQUIRE(result == PTHREAD_CANCELED);
	return 0;
}

/* --- signal handlers that allocate ------------------------------------------------------------------ */

static char other_stack[64 * 1024] __attribute__((aligned(16)));
static void *(*handler_site)(size_t size);
static int handler_depth;

MALLOC_SITE(edge_18_handler)
MALLOC_SITE(edge_18_handler_other)
MALLOC_SITE(edge_18_inside)
MALLOC_SITE(edge_18_inside_other)
MALLOC_SITE(edge_18_outer)
MALLOC_SITE(edge_18_outer_other)

static void on_usr1(int signal)
{
	(void)signal;
	handler_depth++;
	REQUIRE(handler_site(191));
	handler_depth--;
}

static void handle(void *(*site)(size_t size), bool on_other_stack)
{
	struct sigaction action = {.sa_handler = on_usr1,
				   .sa_flags = on_other_stack ? SA_ONSTACK : 0};
	stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};

	REQUIRE(!sigaltstack(&stack, NULL));
	REQUIRE(!sigaction(SIGUSR1, &action, NULL));
	handler_site = site;
}

static long edge_18(void)
{
	int i;

	handle(edge_18_handler, false);
	for (i = 0; i < 17; i++)
		raise(SIGUSR1);
	handle(edge_18_handler_other, true);
	for (i = 0; i < 19; i++)
		raise(SIGUSR1);
	return 0;
}

static void raise_in_malloc(size_t size)
{
	if (size == 4003 && !handler_depth)
		raise(SIGUSR1);
}

static long inside(void *(*handler)(size_t), void *(*outer)(size_t), bool on_other_stack)
{
	int i;

	handle(handler, on_other_stack);
	interpose_hook = raise_in_malloc;
	for (i = 0; i < 23; i++)
		REQUIRE(outer(4003));
	interpose_hook = NULL;
	return 0;
}

static long edge_18_malloc(void)
{
	return inside(edge_18_inside, edge_18_outer, false);
}

static long edge_18_malloc_other(void)
{
	return inside(edge_18_inside_other, edge_18_outer_other, true);
}

/* --- a block freed by another thread ----------------------------------------------------------------- */

MALLOC_SITE(edge_19_malloc)

static void *free_some(void *arg)
{
	(void)arg;
	empty(0, 503);
	return NULL;
}

static long edge_19(void)
{
	pthread_t thread;

	fill(edge_19_malloc, 193, 1009);
	REQUIRE(!pthread_create(&thread, NULL, free_some, NULL));
	REQUIRE(!pthread_join(thread, NULL));
	return 0;
}

/* --- cost ---------------------------------------------------------------------------------------------- */

static _Atomic bool load_stops;
static pthread_t load_thread[2];

static void *load(void *arg)
{
	(void)arg;
	while (!load_stops)
		free(malloc(71));
	return NULL;
}

static long load_start(void)
{
	size_t i;

	load_stops = false;
	for (i = 0; i < 2; i++)
		REQUIRE(!pthread_create(&load_thread[i], NULL, load, NULL));
	return 0;
}

static long load_stop(void)
{
	size_t i;

	load_stops = true;
	for (i = 0; i < 2; i++)
		REQUIRE(!pthread_join(load_thread[i], NULL));
	return 0;
}

/* --- blocks older than the attach ------------------------------------------------------------------------ */

static void *old_block[38];

MALLOC_SITE(edge_27_old)
REALLOC_SITE(edge_27_realloc)

static long edge_27_prepare(void)
{
	size_t i;

	for (i = 0; i < 38; i++)
		old_block[i] = edge_27_old(233);
	return 0;
}

static long edge_27(void)
{
	size_t i;

	for (i = 0; i < 31; i++)
		free(old_block[i]);
	for (; i < 38; i++)
		REQUIRE(edge_27_realloc(old_block[i], 239));
	return 0;
}

/* --- mappings --------------------------------------------------------------------------------------------- */

#define MAP_SITE(name)                                                                             \
	SITE char *name(void *at, size_t pages, int flags)                                         \
	{                                                                                          \
		char *p = mmap(at, pages * PAGE, PROT_READ | PROT_WRITE,                           \
			       MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);                        \
		return p == MAP_FAILED ? NULL : p;                                                 \
	}

MAP_SITE(edge_28_whole)
MAP_SITE(edge_28_fixed)
MAP_SITE(edge_28_holes)
MAP_SITE(edge_28_several)
MAP_SITE(edge_28_failed)
MAP_SITE(edge_28_resized)

SITE char *edge_28_remap(char *p, size_t from, size_t to, int flags)
{
	p = mremap(p, from * PAGE, to * PAGE, flags);
	return p == MAP_FAILED ? NULL : p;
}

static long edge_28_map(void)
{
	char *p = edge_28_whole(NULL, 101, 0);

	/* over the middle of it */
	REQUIRE(edge_28_fixed(p + 10 * PAGE, 13, MAP_FIXED) == p + 10 * PAGE);
	REQUIRE(!mprotect(p, 7 * PAGE, PROT_READ));
	REQUIRE(!edge_28_failed(NULL, HUGE_BYTES / PAGE, 0));
	REQUIRE(!edge_28_failed(NULL, 0, 0));
	return 0;
}

static long edge_28_unmap(void)
{
	char *p = edge_28_holes(NULL, 97, 0);

	REQUIRE(!munmap(p + 11 * PAGE, 17 * PAGE));
	REQUIRE(!munmap(p + 20 * PAGE, 23 * PAGE)); /* half of it is a hole already */
	REQUIRE(munmap(p + 1, PAGE) == -1);
	/* one call for three mappings side by side */
	p = edge_28_several(NULL, 60, 0);
	REQUIRE(edge_28_several(p + 20 * PAGE, 20, MAP_FIXED));
	REQUIRE(edge_28_several(p + 40 * PAGE, 20, MAP_FIXED));
	REQUIRE(!munmap(p + 7 * PAGE, 46 * PAGE));
	return 0;
}

static long edge_28_mremap(void)
{
	char *p = edge_28_resized(NULL, 31, 0), *q;

	REQUIRE(edge_28_remap(p, 31, 29, 0) == p); /* shrinks */
	REQUIRE(!edge_28_remap(p, 29, HUGE_BYTES / PAGE, MREMAP_MAYMOVE));
	p = edge_28_remap(p, 29, 61, MREMAP_MAYMOVE); /* grows */
	REQUIRE(p);
	q = edge_28_remap(p, 61, 61, MREMAP_MAYMOVE | 4 /* MREMAP_DONTUNMAP */);
	REQUIRE(q && q != p);
	return 0;
}

/* --- the caller, and its callers --------------------------------------------------------------------------- */

MALLOC_SITE(edge_33_inner)

SITE void *edge_33_middle(size_t size)
{
	return edge_33_inner(size);
}

SITE void *edge_33_outer(size_t size)
{
	return edge_33_middle(size);
}

static long edge_33(void)
{
	fill(edge_33_outer, 241, 3);
	return 0;
}

/* --- more than rings and maps hold --------------------------------------------------------------------------- */

MALLOC_SITE(edge_45_kept)
MALLOC_SITE(edge_45_freed)

/* Each kept block comes amid a hundred that go. */
static long edge_45_burst(void)
{
	size_t i, j;

	for (i = 0; i < 1009; i++) {
		REQUIRE(edge_45_kept(251));
		for (j = 0; j < 101; j++)
			block[j] = edge_45_freed(257);
		empty(0, 101);
	}
	return 0;
}

MALLOC_SITE(edge_45_many)

static long edge_45_fill(void)
{
	fill(edge_45_many, 263, 1511);
	return 0;
}

static long edge_45_empty(void)
{
	empty(0, 1511);
	return 0;
}

/* --- eight threads --------------------------------------------------------------------------------------------- */

#define THREADS 8

static const int thread_blocks[THREADS] = {211, 223, 227, 229, 233, 239, 241, 251};
static void *thread_block[THREADS][251];

#define THREAD_SITE(nr)                                                                            \
	SITE void *threads_malloc_##nr(size_t size)                                                \
	{                                                                                          \
		return malloc(size);                                                               \
	}                                                                                          \
	SITE void *threads_realloc_##nr(void *p, size_t size)                                      \
	{                                                                                          \
		return realloc(p, size);                                                           \
	}
THREAD_SITE(0)
THREAD_SITE(1)
THREAD_SITE(2)
THREAD_SITE(3)
THREAD_SITE(4)
THREAD_SITE(5)
THREAD_SITE(6)
THREAD_SITE(7)

static void *(*const thread_malloc[THREADS])(size_t size) = {
	threads_malloc_0, threads_malloc_1, threads_malloc_2, threads_malloc_3,
	threads_malloc_4, threads_malloc_5, threads_malloc_6, threads_malloc_7};
static void *(*const thread_realloc[THREADS])(void *p, size_t size) = {
	threads_realloc_0, threads_realloc_1, threads_realloc_2, threads_realloc_3,
	threads_realloc_4, threads_realloc_5, threads_realloc_6, threads_realloc_7};

/*
 * Eleven times over: each thread fills its own row, resizes the first 53 of the row of its right neighbour, and frees
 * the next 101 of the one after; in the last round the rest stays.
 */
static void *prime_work(void *arg)
{
	int me = (int)(intptr_t)arg, right = (me + 1) % THREADS, next = (me + 2) % THREADS, round,
	    i;

	for (round = 0; round < 11; round++) {
		for (i = 0; i < thread_blocks[me]; i++)
			thread_block[me][i] = thread_malloc[me]((size_t)(100 + me));
		pthread_barrier_wait(&barrier);
		for (i = 0; i < 53; i++)
			thread_block[right][i] =
				thread_realloc[me](thread_block[right][i], (size_t)(500 + me));
		for (; i < 154; i++)
			free(thread_block[next][i]);
		pthread_barrier_wait(&barrier);
		if (round == 10)
			break;
		for (i = 0; i < thread_blocks[me]; i++) {
			if (i < 53 || i >= 154)
				free(thread_block[me][i]);
		}
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static long threads(void)
{
	run_threads(prime_work, THREADS);
	return 0;
}

static const struct work works[] = {
	{"edge_01", edge_01},
	{"edge_02", edge_02},
	{"edge_03", edge_03},
	{"edge_04", edge_04},
	{"edge_05", edge_05},
	{"edge_06", edge_06},
	{"edge_07", edge_07},
	{"edge_08", edge_08},
	{"edge_09", edge_09},
	{"edge_10", edge_10},
	{"edge_11", edge_11},
	{"edge_12", edge_12},
	{"edge_13", edge_13},
	{"edge_14_strings", edge_14_strings},
	{"edge_14_files", edge_14_files},
	{"find_operators", find_operators},
	{"edge_15", edge_15},
	{"edge_17_jump", edge_17_jump},
	{"edge_17_deeper", edge_17_deeper},
	{"edge_17_threads", edge_17_threads},
	{"edge_18", edge_18},
	{"edge_18_malloc", edge_18_malloc},
	{"edge_18_malloc_other", edge_18_malloc_other},
	{"edge_19", edge_19},
	{"cost", cost},
	{"load_start", load_start},
	{"load_stop", load_stop},
	{"edge_27_prepare", edge_27_prepare},
	{"edge_27", edge_27},
	{"edge_28_map", edge_28_map},
	{"edge_28_unmap", edge_28_unmap},
	{"edge_28_mremap", edge_28_mremap},
	{"edge_33", edge_33},
	{"edge_45_burst", edge_45_burst},
	{"edge_45_fill", edge_45_fill},
	{"edge_45_empty", edge_45_empty},
	{"threads", threads},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	/* One heap for all threads, so that addresses go from one to the other. */
	mallopt(M_ARENA_MAX, 1);
	return target_serve(works, argc, argv);
}
