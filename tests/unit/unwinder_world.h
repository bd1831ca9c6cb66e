/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The world of an unwinder under test, for one test program: it defines functions.
 *
 * The tables are fakes, so that there are as many rows as a case needs: what stands in a file says what comes of reading
 * it. The kernel's arrays are in memory.
 */
#ifndef SEEP_TEST_UNWINDER_WORLD_H
#define SEEP_TEST_UNWINDER_WORLD_H

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "cfi.h"
#include "fd.h"
#include "mapper.h"
#include "unwinder.h"

#define SHARD_BYTES ((size_t)UNWIND_SHARD_ROWS * sizeof(struct unwind_row))
#define MAX_SHARDS 4
#define NR_SLOTS 5
#define NR_MAPPINGS 16384
#define SLOT 3
#define WAIT_MS 20000
#define REAL_ROWS 3 /* of files that are no fakes */
#define LARGE_BYTES ((off_t)64 << 20)

/* --- fake tables ---------------------------------------------------------------------------------------------- */

/* A fake file; behind it as many zeroes as its size asks for. */
struct fake {
	char magic[8]; /* "\177ELFfake" */
	uint32_t nr_rows;
	int32_t error;
	uint32_t gated; /* reading it waits for the gate */
	uint32_t serial;
};

static atomic_int nr_reads, nr_images;
static sem_t gate, at_gate;

static int make_table(size_t nr, uint32_t serial, struct cfi_table *out)
{
	struct cfi_table table = {.nr = nr, .nr_segments = 1};

	table.row = malloc(nr * sizeof(*table.row));
	table.segment = malloc(sizeof(*table.segment));
	if (!table.row || !table.segment) {
		cfi_release(&table);
		return -ENOMEM;
	}
	for (size_t i = 0; i < nr; i++)
		table.row[i] = (struct unwind_row){.pc = (uint32_t)i, .fp = (int16_t)serial};
	table.segment[0] = (struct cfi_segment){.bytes = UINT64_C(1) << 32};
	*out = table;
	return 0;
}

int cfi_read_file(int fd, struct cfi_table *out)
{
	struct fake fake = {0};

	atomic_fetch_add(&nr_reads, 1);
	if (pread(fd, &fake, sizeof(fake), 0) != sizeof(fake) ||
	    memcmp(fake.magic, ELFMAG "fake", sizeof(fake.magic)) != 0)
		return make_table(REAL_ROWS, 0, out);
	if (fake.gated) {
		sem_post(&at_gate);
		while (sem_wait(&gate))
			;
	}
	return fake.error ? fake.error : make_table(fake.nr_rows, fake.serial, out);
}

int cfi_read_image(const void *image, size_t nr, struct cfi_table *out)
{
	atomic_fetch_add(&nr_images, 1);
	if (nr % MAPPER_PAGE || memcmp(image, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	return make_table(REAL_ROWS, 0, out);
}

void cfi_release(struct cfi_table *table)
{
	free(table->row);
	free(table->segment);
	*table = (struct cfi_table){0};
}

int cfi_pc_of_offset(const struct cfi_table *table, uint64_t file_offset, uint32_t *pc)
{
	if (!table->nr_segments || file_offset >= table->segment[0].bytes)
		return -ENOENT;
	*pc = (uint32_t)file_offset;
	return 0;
}

static char directory[] = "/tmp/seep-unwinder-XXXXXX";
static unsigned int nr_made;

static void path_of(unsigned int i, char path[PATH_MAX])
{
	(void)snprintf(path, PATH_MAX, "%s/%u", directory, i);
}

/* With a name: others' mappings of files without one are for root to open. */
static int make_file(const void *text, size_t nr, off_t bytes)
{
	char path[PATH_MAX];
	int fd;

	path_of(nr_made++, path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, nr), 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	return fd;
}

static int make_fake(uint32_t nr_rows, int error)
{
	static uint32_t serial;
	struct fake fake = {
		.magic = ELFMAG "fake", .nr_rows = nr_rows, .error = error, .serial = ++serial};

	return make_file(&fake, sizeof(fake), MAPPER_PAGE);
}

static int make_gated(uint32_t nr_rows, off_t bytes)
{
	const struct fake fake = {.magic = ELFMAG "fake", .nr_rows = nr_rows, .gated = 1};

	return make_file(&fake, sizeof(fake), bytes);
}

static int copy_of(const char *path)
{
	char *text;
	size_t nr;
	int fd;

	assert_int_equal(fd_read_file(path, &text, &nr, 64 << 20), 0);
	fd = make_file(text, nr, (off_t)nr);
	free(text);
	return fd;
}

static int set_up(void **state)
{
	(void)state;
	return !mkdtemp(directory) || sem_init(&gate, 0, 0) || sem_init(&at_gate, 0, 0);
}

static int clean_up(void **state)
{
	char path[PATH_MAX];

	(void)state;
	for (unsigned int i = 0; i < nr_made; i++) {
		path_of(i, path);
		(void)unlink(path); /* some have gone already */
	}
	return rmdir(directory);
}

/* --- a fake watch --------------------------------------------------------------------------------------------- */

#define MAX_TOLD 16

/* Who has mapped code, as the test says. */
struct watch {
	int fd;
	pthread_mutex_t lock;
	pid_t told[MAX_TOLD];
	size_t nr_told;
	uint64_t lost;
};

static struct watch *make_watch(void)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	assert_non_null(watch);
	watch->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(watch->fd >= 0);
	assert_int_equal(pthread_mutex_init(&watch->lock, NULL), 0);
	return watch;
}

/* tgid 0: records were lost. */
static void tell(struct watch *watch, pid_t tgid)
{
	const uint64_t one = 1;

	assert_int_equal(pthread_mutex_lock(&watch->lock), 0);
	if (tgid) {
		assert_true(watch->nr_told < MAX_TOLD);
		watch->told[watch->nr_told++] = tgid;
	} else {
		watch->lost++;
	}
	assert_int_equal(pthread_mutex_unlock(&watch->lock), 0);
	assert_int_equal(write(watch->fd, &one, sizeof(one)), sizeof(one));
}

int watch_new(enum watch_wakeup wakeup, struct watch **out)
{
	(void)wakeup;
	(void)out;
	return -EACCES;
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	close(watch->fd);
	(void)pthread_mutex_destroy(&watch->lock);
	free(watch);
}

int watch_fd(const struct watch *watch)
{
	return watch->fd;
}

int watch_take(struct watch *watch, int (*take)(const struct watch_mapping *mapping, void *arg),
	       void *arg, uint64_t *lost)
{
	struct watch_mapping mapping = {.path = ""};
	uint64_t nr;
	int error = 0;

	(void)!read(watch->fd, &nr, sizeof(nr));
	(void)pthread_mutex_lock(&watch->lock);
	for (size_t i = 0; i < watch->nr_told && !error; i++) {
		mapping.tgid = watch->told[i];
		error = take(&mapping, arg);
	}
	watch->nr_told = 0;
	*lost = watch->lost;
	watch->lost = 0;
	(void)pthread_mutex_unlock(&watch->lock);
	return error;
}

/* --- the kernel's side ---------------------------------------------------------------------------------------- */

struct world {
	struct unwind_process process[NR_SLOTS];
	struct unwind_mapping mapping[NR_MAPPINGS];
	struct unwind_row *shard[MAX_SHARDS];
	struct unwinder_maps maps;
	struct unwinder *unwinder;
	/* of the next one that is made */
	struct watch *watch; /* NULL: none */
	uint64_t settle_ns;
	bool started;
};

static struct unwind_row *make_shard(void *arg, uint32_t shard)
{
	struct world *world = arg;
	void *memory =
		mmap(NULL, SHARD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	world->shard[shard] = memory;
	return memory;
}

static void on_start(void *arg)
{
	((struct world *)arg)->started = true;
}

static int try_begin(struct world *world, uint64_t max_bytes, uint32_t nr_mappings)
{
	struct unwinder_options options = {
		.max_bytes = max_bytes, .on_start = on_start, .arg = world};

	options.watch = world->watch;
	options.settle_ns = world->settle_ns;
	memset(world, 0, sizeof(*world));
	world->maps = (struct unwinder_maps){.process = world->process,
					     .nr_slots = NR_SLOTS,
					     .mapping = world->mapping,
					     .nr_mappings = nr_mappings,
					     .max_shards = MAX_SHARDS,
					     .new_shard = make_shard,
					     .arg = world};
	return unwinder_new(&options, &world->maps, &world->unwinder);
}

static struct world *begin(uint64_t max_bytes, uint32_t nr_mappings)
{
	static struct world world;

	assert_int_equal(try_begin(&world, max_bytes, nr_mappings), 0);
	return &world;
}

static struct world *begin_watched(struct watch *watch, uint64_t settle_ns)
{
	static struct world world;

	world.watch = watch;
	world.settle_ns = settle_ns;
	assert_int_equal(try_begin(&world, 1, NR_MAPPINGS), 0);
	return &world;
}

static void end(struct world *world)
{
	unwinder_free(world->unwinder);
	world->unwinder = NULL;
	for (size_t i = 0; i < MAX_SHARDS; i++) {
		if (world->shard[i])
			munmap(world->shard[i], SHARD_BYTES);
		world->shard[i] = NULL;
	}
}

static void look(struct world *world, uint32_t slot, const struct mapper *child)
{
	assert_int_equal(unwinder_look(world->unwinder, slot, child->tgid), 0);
	assert_true(unwinder_wait(world->unwinder, WAIT_MS));
}

static struct unwinder_stats stats_of(struct world *world)
{
	struct unwinder_stats stats;

	unwinder_stats(world->unwinder, &stats);
	return stats;
}

static const struct unwind_mapping *published(const struct world *world, uint32_t slot,
					      uint64_t address)
{
	const struct unwind_process *process = &world->process[slot];
	const struct unwind_mapping *mapping = world->mapping + process->first;

	for (uint32_t i = 0; i < process->nr; i++) {
		if (address >= mapping[i].start && address < mapping[i].end)
			return &mapping[i];
	}
	return NULL;
}

static int kind_at(const struct world *world, uint32_t slot, uint64_t address)
{
	const struct unwind_mapping *mapping = published(world, slot, address);

	return mapping ? mapping->kind : -1;
}

static int kind_at_page(const struct world *world, uint32_t page)
{
	return kind_at(world, SLOT, MAPPER_AREA + (uint64_t)page * MAPPER_PAGE);
}

static void assert_sorted(const struct world *world, uint32_t slot)
{
	const struct unwind_process *process = &world->process[slot];
	const struct unwind_mapping *mapping = world->mapping + process->first;

	assert_int_equal(process->generation % 2, 0);
	assert_true(process->first + process->nr <= world->maps.nr_mappings);
	for (uint32_t i = 0; i < process->nr; i++) {
		assert_true(mapping[i].start < mapping[i].end);
		assert_true(!i || mapping[i - 1].end <= mapping[i].start);
	}
}

/* The fake's rows say which pc they are for. */
static void assert_row(const struct world *world, const struct unwind_mapping *mapping,
		       uint64_t address)
{
	const struct unwind_row *row = world->shard[mapping->shard];
	uint32_t pc = mapping->pc + (uint32_t)(address - mapping->start), i = mapping->row_lo;

	assert_int_equal(mapping->kind, MAPPING_TABLE);
	assert_true(mapping->row_lo < mapping->row_hi);
	assert_true(row[i].pc <= mapping->pc);
	while (i + 1 < mapping->row_hi && row[i + 1].pc <= pc)
		i++;
	assert_int_equal(row[i].pc, pc);
}

#endif
