/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The processes are real: children that map what they are told to. */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "allocfail.h"
#include "fd.h"
#include "mapper.h"
#include "proc.h"
#include "unwinder.h"
#include "unwinder_world.h"

/* --- what is published ---------------------------------------------------------------------------------------- */

static int expected_kind(const struct proc_mapping *mapping)
{
	if (!mapping->exec || !strcmp(mapping->path, "[vsyscall]") ||
	    !strcmp(mapping->path, "[uprobes]"))
		return -1;
	if (mapping->inode || !strcmp(mapping->path, "[vdso]"))
		return MAPPING_TABLE;
	return MAPPING_CODE;
}

static void test_all_of_a_process(void **state)
{
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	struct unwinder_stats stats;
	struct proc_maps maps;
	uint32_t nr = 0;

	(void)state;
	atomic_store(&nr_images, 0);
	look(world, SLOT, &child);
	assert_true(world->started);
	assert_sorted(world, SLOT);
	proc_maps_init(&maps);
	assert_int_equal(proc_maps_read(&maps, child.tgid), 0);
	for (size_t i = 0; i < maps.nr; i++) {
		assert_int_equal(kind_at(world, SLOT, maps.item[i].start),
				 expected_kind(&maps.item[i]));
		nr += expected_kind(&maps.item[i]) >= 0;
	}
	proc_maps_release(&maps);
	assert_true(nr > 3);
	assert_int_equal(world->process[SLOT].nr, nr);
	assert_int_equal(atomic_load(&nr_images), 1);
	stats = stats_of(world);
	assert_int_equal(stats.files, nr); /* each library has one executable mapping */
	assert_int_equal(stats.rows, nr * REAL_ROWS);
	assert_int_equal(stats.bytes, SHARD_BYTES);
	assert_int_equal(stats.files_bad + stats.files_none + stats.files_no_room, 0);
	assert_int_equal(stats.pending, 0);
	assert_true(stats.build_ns > 0);
	end(world);
	mapper_end(&child);
}

static void test_nothing_new(void **state)
{
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	uint32_t generation;
	int reads;

	(void)state;
	look(world, SLOT, &child);
	generation = world->process[SLOT].generation;
	reads = atomic_load(&nr_reads);
	for (int i = 0; i < 7; i++)
		look(world, SLOT, &child);
	assert_int_equal(world->process[SLOT].generation, generation);
	assert_int_equal(atomic_load(&nr_reads), reads);
	end(world);
	mapper_end(&child);
}

static void test_files_come_and_go(void **state)
{
	int fd = make_fake(MAPPER_PAGE * 5, 0);
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	uint32_t generation, nr;

	(void)state;
	look(world, SLOT, &child);
	generation = world->process[SLOT].generation;
	nr = world->process[SLOT].nr;
	assert_int_equal(kind_at_page(world, 0), -1);
	mapper_map_file(&child, fd, 0, 3);
	look(world, SLOT, &child);
	assert_int_equal(kind_at_page(world, 0), MAPPING_TABLE);
	assert_int_equal(published(world, SLOT, MAPPER_AREA)->row_hi -
				 published(world, SLOT, MAPPER_AREA)->row_lo,
			 3 * MAPPER_PAGE);
	assert_row(world, published(world, SLOT, MAPPER_AREA), MAPPER_AREA);
	assert_row(world, published(world, SLOT, MAPPER_AREA), MAPPER_AREA + 3 * MAPPER_PAGE - 1);
	assert_int_equal(world->process[SLOT].nr, nr + 1);
	assert_true(world->process[SLOT].generation > generation);
	assert_sorted(world, SLOT);
	mapper_unmap(&child, 1, 1);
	look(world, SLOT, &child);
	assert_int_equal(world->process[SLOT].nr, nr + 3);
	assert_int_equal(kind_at_page(world, 1), MAPPING_GONE);
	assert_row(world, published(world, SLOT, MAPPER_AREA + 2 * MAPPER_PAGE),
		   MAPPER_AREA + 2 * MAPPER_PAGE + 1009);
	mapper_unmap(&child, 0, 3);
	look(world, SLOT, &child);
	assert_int_equal(world->process[SLOT].nr, nr + 1);
	assert_int_equal(kind_at_page(world, 0), MAPPING_GONE);
	assert_int_equal(kind_at_page(world, 2), MAPPING_GONE);
	assert_sorted(world, SLOT);
	end(world);
	mapper_end(&child);
	close(fd);
}

static void test_code_made_at_run_time(void **state)
{
	int text = make_file("", 1, MAPPER_PAGE);
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);

	(void)state;
	mapper_map_anon(&child, 0, 2, PROT_READ | PROT_EXEC);
	mapper_map_anon(&child, 2, 3,
			PROT_READ | PROT_WRITE | PROT_EXEC); /* another one to the kernel */
	mapper_map_file(&child, text, 5, 1);
	mapper_map_anon(&child, 7, 1, PROT_EXEC);
	mapper_map_anon(&child, 8, 1, PROT_READ | PROT_WRITE);
	look(world, SLOT, &child);
	assert_int_equal(kind_at_page(world, 0), MAPPING_CODE);
	assert_ptr_equal(published(world, SLOT, MAPPER_AREA),
			 published(world, SLOT, MAPPER_AREA + 5 * MAPPER_PAGE));
	assert_int_equal(published(world, SLOT, MAPPER_AREA)->end, MAPPER_AREA + 6 * MAPPER_PAGE);
	assert_int_equal(kind_at_page(world, 6), -1);
	assert_int_equal(kind_at_page(world, 7), MAPPING_CODE);
	assert_int_equal(kind_at_page(world, 8), -1);
	end(world);
	mapper_end(&child);
	close(text);
}

/* Without a name they are opened through the mapping, which only root may. */
static void test_deleted_files(void **state)
{
	int file = make_fake(11, 0), jit = memfd_create("jit", MFD_CLOEXEC);
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	bool is_root = !geteuid();
	char path[PATH_MAX];

	(void)state;
	assert_int_equal(ftruncate(jit, MAPPER_PAGE), 0);
	path_of(nr_made - 1, path);
	assert_int_equal(unlink(path), 0);
	mapper_map_file(&child, file, 0, 1);
	mapper_map_file(&child, jit, 2, 1);
	look(world, SLOT, &child);
	assert_int_equal(kind_at_page(world, 0), is_root ? MAPPING_TABLE : MAPPING_NO_TABLE);
	assert_int_equal(kind_at_page(world, 2), is_root ? MAPPING_CODE : MAPPING_NO_TABLE);
	end(world);
	mapper_end(&child);
	close(file);
	close(jit);
}

static void test_files_without_a_table(void **state)
{
	int none = make_fake(0, -ENOENT), bad = make_fake(0, -EBADMSG),
	    not_elf = make_fake(0, -ENOEXEC);
	int other = make_fake(0, -ENOTSUP), empty = make_fake(0, 0);
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	int reads;

	(void)state;
	mapper_map_file(&child, none, 0, 1);
	mapper_map_file(&child, bad, 2, 1);
	mapper_map_file(&child, not_elf, 4, 1);
	mapper_map_file(&child, other, 6, 1);
	mapper_map_file(&child, empty, 8, 1);
	look(world, SLOT, &child);
	for (uint32_t page = 0; page < 10; page += 2)
		assert_int_equal(kind_at_page(world, page), MAPPING_NO_TABLE);
	assert_int_equal(stats_of(world).files_none, 2);
	assert_int_equal(stats_of(world).files_bad, 3);
	/* remembered, also when nobody maps them for a while */
	reads = atomic_load(&nr_reads);
	mapper_unmap(&child, 0, 10);
	look(world, SLOT, &child);
	mapper_map_file(&child, bad, 3, 1);
	look(world, SLOT, &child);
	assert_int_equal(kind_at_page(world, 3), MAPPING_NO_TABLE);
	assert_int_equal(atomic_load(&nr_reads), reads);
	end(world);
	mapper_end(&child);
	close(none);
	close(bad);
	close(not_elf);
	close(other);
	close(empty);
}

/* Two containers have the same library: it is read once. */
static void test_same_build_id(void **state)
{
	int a = copy_of("/bin/cat"), b = copy_of("/bin/cat");
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	uint64_t files;
	int reads;

	(void)state;
	look(world, SLOT, &child);
	files = stats_of(world).files;
	reads = atomic_load(&nr_reads);
	mapper_map_file(&child, a, 0, 3);
	mapper_map_file(&child, b, 4, 3);
	look(world, SLOT, &child);
	assert_int_equal(kind_at_page(world, 0), MAPPING_TABLE);
	assert_int_equal(kind_at_page(world, 4), MAPPING_TABLE);
	assert_int_equal(published(world, SLOT, MAPPER_AREA)->row_lo,
			 published(world, SLOT, MAPPER_AREA + 4 * MAPPER_PAGE)->row_lo);
	assert_int_equal(atomic_load(&nr_reads), reads + 1);
	assert_int_equal(stats_of(world).files, files + 1);
	end(world);
	mapper_end(&child);
	close(a);
	close(b);
}

/* The same inode with another content is another file. */
static void test_file_that_changes(void **state)
{
	struct timespec times[2] = {{.tv_sec = 1009}, {.tv_sec = 1009}};
	int fd = make_fake(MAPPER_PAGE, 0);
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	int reads;

	(void)state;
	mapper_map_file(&child, fd, 0, 1);
	look(world, SLOT, &child);
	reads = atomic_load(&nr_reads);
	assert_int_equal(futimens(fd, times), 0);
	look(world, SLOT, &child);
	assert_int_equal(atomic_load(&nr_reads), reads + 1);
	assert_int_equal(kind_at_page(world, 0), MAPPING_TABLE);
	end(world);
	mapper_end(&child);
	close(fd);
}

/* --- while files are read ------------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void await_gate(void)
{
	uint64_t end_ms = now_ms() + WAIT_MS;

	while (sem_trywait(&at_gate)) {
		assert_true(now_ms() < end_ms);
		sched_yield();
	}
}

/* Everything else is there before the large file is read. */
static void test_small_files_first(void **state)
{
	int large = make_gated(11, LARGE_BYTES), small = make_fake(MAPPER_PAGE, 0);
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);

	(void)state;
	mapper_map_file(&child, large, 0, 1);
	mapper_map_file(&child, small, 2, 1);
	assert_int_equal(unwinder_look(world->unwinder, SLOT, child.tgid), 0);
	await_gate();
	assert_int_equal(kind_at_page(world, 0), MAPPING_PENDING);
	assert_int_equal(kind_at_page(world, 2), MAPPING_TABLE);
	assert_int_equal(kind_at(world, SLOT, (uintptr_t)read), MAPPING_TABLE); /* of libc */
	assert_true(stats_of(world).pending > 0);
	assert_false(unwinder_wait(world->unwinder, 0));
	assert_false(unwinder_wait(world->unwinder, 1));
	sem_post(&gate);
	assert_true(unwinder_wait(world->unwinder, WAIT_MS));
	assert_int_equal(kind_at_page(world, 0), MAPPING_TABLE);
	assert_int_equal(stats_of(world).pending, 0);
	end(world);
	mapper_end(&child);
	close(large);
	close(small);
}

/* What goes while its file is read stays gone, what comes is there. */
static void test_changes_while_reading(void **state)
{
	int gated = make_gated(11, MAPPER_PAGE), other = make_fake(11, 0);
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);

	(void)state;
	look(world, SLOT, &child);
	mapper_map_file(&child, gated, 0, 1);
	mapper_map_file(&child, other, 2, 1);
	assert_int_equal(unwinder_look(world->unwinder, SLOT, child.tgid), 0);
	await_gate();
	mapper_unmap(&child, 2, 1);
	mapper_map_anon(&child, 4, 1, PROT_EXEC);
	sem_post(&gate);
	assert_true(unwinder_wait(world->unwinder, WAIT_MS));
	assert_int_equal(kind_at_page(world, 0), MAPPING_TABLE);
	assert_int_equal(kind_at_page(world, 2), MAPPING_GONE);
	assert_int_equal(kind_at_page(world, 4), MAPPING_CODE);
	end(world);
	mapper_end(&child);
	close(gated);
	close(other);
}

/* A process that goes while a file of its is read; others have the file, too. */
static void test_exit_while_reading(void **state)
{
	int gated = make_gated(11, MAPPER_PAGE), behind = make_gated(11, LARGE_BYTES);
	struct mapper first = mapper_start(), second = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);

	(void)state;
	look(world, 1, &first);
	mapper_map_file(&first, gated, 0, 1);
	mapper_map_file(&first, behind, 2, 1);
	mapper_map_file(&second, behind, 2, 1);
	assert_int_equal(unwinder_look(world->unwinder, 1, first.tgid), 0);
	await_gate();
	mapper_end(&first);
	assert_int_equal(unwinder_look(world->unwinder, SLOT, second.tgid), 0);
	sem_post(&gate);
	sem_post(
		&gate); /* `behind` cannot be opened through the first any more, but through the second */
	assert_true(unwinder_wait(world->unwinder, WAIT_MS));
	assert_int_equal(kind_at_page(world, 2), MAPPING_TABLE);
	assert_int_equal(kind_at(world, 1, MAPPER_AREA), MAPPING_PENDING); /* as it was left */
	await_gate();
	end(world);
	mapper_end(&second);
	close(gated);
	close(behind);
}

/* Never longer than until the deadline. */
static void await_kind(const struct world *world, uint32_t slot, uint64_t address, int kind)
{
	uint64_t end_ms = now_ms() + WAIT_MS;

	while (kind_at(world, slot, address) != kind) {
		assert_true(now_ms() < end_ms);
		sched_yield();
	}
}

/* --- new code that nobody asks about -------------------------------------------------------------------------- */

static void check_told(uint64_t settle_ns)
{
	int fd = make_fake(MAPPER_PAGE, 0), other = make_fake(MAPPER_PAGE, 0);
	struct mapper child = mapper_start(), stranger = mapper_start();
	struct watch *watch = make_watch();
	struct world *world = begin_watched(watch, settle_ns);

	tell(watch, stranger.tgid);
	look(world, SLOT, &child);
	mapper_map_file(&child, fd, 0, 1);
	tell(watch, stranger.tgid);
	tell(watch, child.tgid);
	await_kind(world, SLOT, MAPPER_AREA, MAPPING_TABLE);
	mapper_map_file(&child, other, 2, 1);
	tell(watch, 0); /* what was lost may have been anybody's */
	await_kind(world, SLOT, MAPPER_AREA + 2 * MAPPER_PAGE, MAPPING_TABLE);
	for (uint32_t slot = 0; slot < NR_SLOTS; slot++)
		assert_true(slot == SLOT || !world->process[slot].nr);
	end(world);
	mapper_end(&child);
	mapper_end(&stranger);
	close(fd);
	close(other);
}

static void test_told_by_the_kernel(void **state)
{
	(void)state;
	check_told(0);
}

/* Of one of very many processes, which is read once. */
static void test_told_of_one_of_many(void **state)
{
	(void)state;
	check_told(1000000);
}

/* Of a slot that was given back nobody wants to hear. */
static void test_told_of_a_process_that_was_forgotten(void **state)
{
	struct mapper child = mapper_start(), other = mapper_start();
	struct watch *watch = make_watch();
	struct world *world = begin_watched(watch, 0);

	(void)state;
	look(world, SLOT, &child);
	look(world, 1, &other);
	unwinder_forget(world->unwinder, SLOT);
	tell(watch, child.tgid);
	mapper_map_anon(&other, 0, 1, PROT_EXEC);
	tell(watch, other.tgid);
	await_kind(world, 1, MAPPER_AREA, MAPPING_CODE);
	assert_true(unwinder_wait(world->unwinder, WAIT_MS));
	assert_int_equal(world->process[SLOT].nr, 0);
	end(world);
	mapper_end(&child);
	mapper_end(&other);
}

/* --- while nobody walks stacks ---------------------------------------------------------------------------------- */

static void test_pause(void **state)
{
	struct mapper child = mapper_start(), other = mapper_start();
	struct watch *watch = make_watch();
	struct world *world = begin_watched(watch, 0);

	(void)state;
	look(world, 1, &other);
	unwinder_pause(world->unwinder, true);
	assert_int_equal(unwinder_look(world->unwinder, SLOT, child.tgid), 0);
	mapper_map_anon(&other, 0, 1, PROT_EXEC);
	tell(watch, other.tgid);
	assert_false(unwinder_wait(world->unwinder, 1));
	/* what is withdrawn is so at once, and what goes meanwhile is not missed */
	unwinder_forget(world->unwinder, 1);
	assert_int_equal(world->process[1].nr, 0);
	assert_int_equal(unwinder_look(world->unwinder, 1, other.tgid), 0);
	assert_int_equal(world->process[SLOT].nr, 0);
	unwinder_pause(world->unwinder, false);
	await_kind(world, 1, MAPPER_AREA, MAPPING_CODE);
	assert_true(unwinder_wait(world->unwinder, WAIT_MS));
	assert_true(world->process[SLOT].nr > 0);
	end(world);
	mapper_end(&child);
	mapper_end(&other);
}

/* --- ahead ---------------------------------------------------------------------------------------------------- */

static void preload(struct world *world, const char *path)
{
	assert_int_equal(unwinder_preload(world->unwinder, path), 0);
	assert_true(unwinder_wait(world->unwinder, WAIT_MS));
}

static void test_preload(void **state)
{
	int fd = make_fake(MAPPER_PAGE, 0);
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	char path[PATH_MAX];
	int reads, images;

	(void)state;
	path_of(nr_made - 1, path);
	atomic_store(&nr_images, 0);
	preload(world, path);
	preload(world, "[vdso]");
	assert_int_equal(stats_of(world).files, 2);
	assert_int_equal(stats_of(world).rows, MAPPER_PAGE + REAL_ROWS);
	preload(world, path);
	assert_int_equal(stats_of(world).files, 2);
	look(world, SLOT, &child);
	reads = atomic_load(&nr_reads);
	images = atomic_load(&nr_images);
	assert_int_equal(images, 1); /* the child's vdso is that one */
	mapper_map_file(&child, fd, 0, 1);
	look(world, SLOT, &child);
	assert_row(world, published(world, SLOT, MAPPER_AREA), MAPPER_AREA + 1009);
	assert_int_equal(atomic_load(&nr_reads), reads);
	end(world);
	mapper_end(&child);
	close(fd);
}

/* What has another content when it is mapped is another file. */
static void test_preloaded_file_that_changes(void **state)
{
	struct timespec times[2] = {{.tv_sec = 1009}, {.tv_sec = 1009}};
	int fd = make_fake(MAPPER_PAGE, 0), reads;
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	char path[PATH_MAX];

	(void)state;
	path_of(nr_made - 1, path);
	preload(world, path);
	look(world, SLOT, &child);
	reads = atomic_load(&nr_reads);
	assert_int_equal(futimens(fd, times), 0);
	mapper_map_file(&child, fd, 0, 1);
	look(world, SLOT, &child);
	assert_int_equal(kind_at_page(world, 0), MAPPING_TABLE);
	assert_int_equal(atomic_load(&nr_reads), reads + 1);
	end(world);
	mapper_end(&child);
	close(fd);
}

static void test_preload_of_no_program(void **state)
{
	int text = make_file("text", 4, MAPPER_PAGE), bad = make_fake(0, -EBADMSG);
	struct world *world = begin(1, NR_MAPPINGS);
	char path[PATH_MAX], fifo[PATH_MAX];

	(void)state;
	path_of(nr_made++, fifo);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	preload(world, fifo); /* opening it would wait for a writer */
	preload(world, directory);
	preload(world, "");
	preload(world, "/nonexistent");
	preload(world, "/dev/zero");
	path_of(nr_made - 3, path);
	preload(world, path);
	path_of(nr_made - 2, path);
	preload(world, path);
	assert_int_equal(stats_of(world).files, 0);
	assert_int_equal(stats_of(world).files_bad, 1);
	end(world);
	close(text);
	close(bad);
}

/* --- slots ---------------------------------------------------------------------------------------------------- */

static void test_gone_process_leaves_the_slot(void **state)
{
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	struct unwind_process before;

	(void)state;
	look(world, SLOT, &child);
	before = world->process[SLOT];
	assert_int_equal(kill(child.tgid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)child.tgid, NULL, WEXITED | WNOWAIT), 0);
	look(world, SLOT, &child); /* a zombie, which has an empty list */
	assert_memory_equal(&world->process[SLOT], &before, sizeof(before));
	mapper_end(&child);
	look(world, SLOT, &child);
	assert_memory_equal(&world->process[SLOT], &before, sizeof(before));
	end(world);
}

static void test_forget(void **state)
{
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	uint32_t generation, nr;

	(void)state;
	look(world, SLOT, &child);
	generation = world->process[SLOT].generation;
	nr = world->process[SLOT].nr;
	unwinder_forget(world->unwinder, SLOT);
	assert_int_equal(world->process[SLOT].nr, 0); /* at once */
	assert_int_equal(world->process[SLOT].generation, generation + 2);
	unwinder_forget(world->unwinder, SLOT);
	unwinder_forget(world->unwinder, 0);
	assert_true(unwinder_wait(world->unwinder, WAIT_MS));
	assert_int_equal(world->process[SLOT].generation, generation + 2);
	look(world, SLOT, &child);
	assert_int_equal(world->process[SLOT].nr, nr);
	end(world);
	mapper_end(&child);
}

/* Nothing of the one is published for the other, even if it is being read when the slot changes hands. */
static void test_slot_given_to_another(void **state)
{
	int gated = make_gated(11, MAPPER_PAGE);
	struct mapper first = mapper_start(), second = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);

	(void)state;
	mapper_map_file(&first, gated, 0, 1);
	mapper_map_anon(&second, 2, 1, PROT_EXEC);
	assert_int_equal(unwinder_look(world->unwinder, SLOT, first.tgid), 0);
	await_gate();
	assert_int_equal(kind_at_page(world, 0), MAPPING_PENDING);
	assert_int_equal(unwinder_look(world->unwinder, SLOT, second.tgid), 0);
	assert_int_equal(world->process[SLOT].nr, 0);
	sem_post(&gate);
	assert_true(unwinder_wait(world->unwinder, WAIT_MS));
	assert_int_equal(kind_at_page(world, 0), -1);
	assert_int_equal(kind_at_page(world, 2), MAPPING_CODE);
	unwinder_forget(world->unwinder, SLOT);
	look(world, SLOT, &first);
	assert_int_equal(kind_at_page(world, 0), MAPPING_TABLE);
	assert_int_equal(kind_at_page(world, 2), -1);
	end(world);
	mapper_end(&first);
	mapper_end(&second);
	close(gated);
}

static void test_wrong_slots(void **state)
{
	struct world *world = begin(1, NR_MAPPINGS);

	(void)state;
	assert_int_equal(unwinder_look(world->unwinder, NR_SLOTS, getpid()), -EINVAL);
	assert_int_equal(unwinder_look(world->unwinder, 0, 0), -EINVAL);
	assert_int_equal(unwinder_look(world->unwinder, 0, -1), -EINVAL);
	unwinder_forget(world->unwinder, NR_SLOTS);
	assert_true(unwinder_wait(world->unwinder, WAIT_MS));
	assert_int_equal(unwinder_look(world->unwinder, NR_SLOTS - 1, getpid()), 0);
	end(world); /* perhaps before it has looked */
	unwinder_free(NULL);
}

static struct unwind_mapping *kernels(struct world *world, uint64_t address)
{
	return &world->mapping[published(world, SLOT, address) - world->mapping];
}

/* The kernel strikes mappings out as soon as they go, or if it must all of them. */
static void test_struck_out_by_the_kernel(void **state)
{
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	uint32_t nr, generation, first;

	(void)state;
	mapper_map_anon(&child, 0, 1, PROT_EXEC);
	mapper_map_anon(&child, 2, 1, PROT_EXEC);
	look(world, SLOT, &child);
	nr = world->process[SLOT].nr;
	first = world->process[SLOT].first;

	mapper_unmap(&child, 0, 1);
	kernels(world, MAPPER_AREA)->kind = MAPPING_GONE;
	kernels(world, MAPPER_AREA + 2 * MAPPER_PAGE)->kind =
		MAPPING_GONE; /* but the call failed */
	__atomic_add_fetch(&world->process[SLOT].generation, 4, __ATOMIC_SEQ_CST);
	generation = world->process[SLOT].generation;
	look(world, SLOT, &child);
	assert_int_equal(world->process[SLOT].nr, nr - 1);
	assert_int_equal(kind_at_page(world, 0), -1);
	assert_int_equal(kind_at_page(world, 2), MAPPING_CODE);
	assert_int_equal(world->process[SLOT].generation, generation + 2);
	assert_int_not_equal(world->process[SLOT].first, first); /* not where it is being read */

	world->process[SLOT].nr = 0;
	__atomic_add_fetch(&world->process[SLOT].generation, 2, __ATOMIC_SEQ_CST);
	look(world, SLOT, &child);
	assert_int_equal(world->process[SLOT].nr, nr - 1);
	assert_sorted(world, SLOT);
	end(world);
	mapper_end(&child);
}

/* --- limits --------------------------------------------------------------------------------------------------- */

#define LARGE_ROWS 400009

static void test_eviction(void **state)
{
	int a = make_fake(LARGE_ROWS, 0), b = make_fake(LARGE_ROWS, 0);
	struct mapper first = mapper_start(), second = mapper_start();
	struct world *world = begin(SHARD_BYTES, NR_MAPPINGS);

	(void)state;
	mapper_map_file(&first, a, 0, 1);
	mapper_map_file(&second, b, 0, 1);
	look(world, 1, &first);
	look(world, SLOT, &second);
	assert_int_equal(kind_at(world, 1, MAPPER_AREA), MAPPING_TABLE);
	assert_int_equal(kind_at(world, SLOT, MAPPER_AREA), MAPPING_NO_TABLE);
	assert_int_equal(stats_of(world).files_no_room, 1);
	assert_int_equal(stats_of(world).evicted, 0);

	unwinder_forget(world->unwinder, 1);
	look(world, SLOT, &second);
	assert_int_equal(kind_at(world, SLOT, MAPPER_AREA), MAPPING_TABLE);
	assert_int_equal(stats_of(world).files_no_room, 0);
	assert_true(stats_of(world).evicted >= 1);
	assert_int_equal(stats_of(world).bytes, SHARD_BYTES);
	look(world, 1, &first);
	assert_int_equal(kind_at(world, 1, MAPPER_AREA), MAPPING_NO_TABLE);
	assert_row(world, published(world, SLOT, MAPPER_AREA), MAPPER_AREA + MAPPER_PAGE - 1);

	unwinder_forget(world->unwinder, SLOT);
	look(world, 1, &first);
	assert_row(world, published(world, 1, MAPPER_AREA), MAPPER_AREA + MAPPER_PAGE - 1);
	end(world);
	mapper_end(&first);
	mapper_end(&second);
	close(a);
	close(b);
}

#define NR_PIECES 127
#define PIECE_ROWS 4001 /* too few to be worth a cut */

/* Nobody reads a file again and again that there is no room for, be it for want of rows or of any side by side. */
static void test_no_room_is_remembered(void **state)
{
	int fd[NR_PIECES], large = make_fake(UNWIND_SHARD_ROWS + 1, 0),
			   wide = make_fake(PIECE_ROWS * 9, 0);
	struct mapper child;
	struct world *world = begin(SHARD_BYTES, NR_MAPPINGS);
	int reads;

	(void)state;
	for (size_t i = 0; i < NR_PIECES; i++)
		fd[i] = make_fake(PIECE_ROWS, 0);
	child = mapper_start();
	for (uint32_t i = 0; i < NR_PIECES; i++)
		mapper_map_file(&child, fd[i], i, 1);
	look(world, SLOT, &child);
	for (uint32_t i = 0; i < NR_PIECES; i += 2)
		mapper_unmap(&child, i, 1);
	mapper_map_file(&child, large, 0, 1);
	mapper_map_file(&child, wide, 2, 1);
	look(world, SLOT, &child);
	assert_int_equal(stats_of(world).files_no_room, 2);
	reads = atomic_load(&nr_reads);
	look(world, SLOT, &child);
	mapper_map_anon(&child, 4, 1, PROT_EXEC);
	look(world, SLOT, &child);
	assert_int_equal(atomic_load(&nr_reads), reads);
	assert_int_equal(kind_at_page(world, 0), MAPPING_NO_TABLE);
	assert_int_equal(kind_at_page(world, 2), MAPPING_NO_TABLE);
	assert_int_equal(kind_at_page(world, 3), MAPPING_TABLE);
	end(world);
	mapper_end(&child);
	for (size_t i = 0; i < NR_PIECES; i++)
		close(fd[i]);
	close(large);
	close(wide);
}

static void test_cut_over_shards(void **state)
{
	const uint32_t nr_rows = UNWIND_SHARD_ROWS + 70001, nr_pages = nr_rows / MAPPER_PAGE + 1;
	int fd = make_fake(nr_rows, 0);
	struct mapper child = mapper_start();
	struct world *world = begin(2 * SHARD_BYTES, NR_MAPPINGS);
	const struct unwind_mapping *first, *second;

	(void)state;
	mapper_map_file(&child, fd, 0, nr_pages);
	look(world, SLOT, &child);
	assert_sorted(world, SLOT);
	first = published(world, SLOT, MAPPER_AREA);
	second = published(world, SLOT, MAPPER_AREA + nr_rows - 1);
	assert_int_equal(first->kind, MAPPING_TABLE);
	assert_ptr_equal(second, first + 1);
	assert_int_equal(first->end, second->start);
	assert_int_not_equal(first->shard, second->shard);
	assert_int_equal(world->shard[second->shard][second->row_lo].pc, second->pc);
	assert_row(world, first, first->end - 1);
	assert_row(world, second, second->start);
	assert_row(world, second, MAPPER_AREA + nr_rows - 1);
	assert_int_equal(second->end, MAPPER_AREA + (uint64_t)nr_pages * MAPPER_PAGE);
	end(world);
	mapper_end(&child);
	close(fd);
}

static void test_pool_is_full(void **state)
{
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	uint32_t nr, generation;

	(void)state;
	look(world, SLOT, &child);
	nr = world->process[SLOT].nr;
	end(world);

	world = begin(1, nr * 3 / 2); /* no room for the old and the new at the same time */
	look(world, SLOT, &child);
	assert_int_equal(world->process[SLOT].nr, nr);
	look(world, 1, &child);
	assert_int_equal(world->process[1].nr, 0);
	assert_int_equal(stats_of(world).mappings_left_out, nr);
	generation = world->process[1].generation;
	look(world, 1, &child);
	assert_int_equal(world->process[1].generation, generation);
	mapper_map_anon(&child, 0, 1, PROT_EXEC);
	look(world, SLOT, &child);
	assert_int_equal(world->process[SLOT].nr, nr + 1);
	assert_sorted(world, SLOT);
	unwinder_forget(world->unwinder, SLOT);
	look(world, 1, &child);
	assert_int_equal(world->process[1].nr, nr + 1);
	assert_int_equal(stats_of(world).mappings_left_out, 0);
	end(world);
	mapper_end(&child);
}

static void test_too_many_mappings(void **state)
{
	const uint32_t nr_many = 5003;
	struct mapper child = mapper_start();
	struct world *world = begin(1, NR_MAPPINGS);
	uint32_t nr;

	(void)state;
	look(world, SLOT, &child);
	nr = world->process[SLOT].nr;
	mapper_map_many(&child, nr_many, 7);
	look(world, SLOT, &child);
	assert_sorted(world, SLOT);
	assert_int_equal(world->process[SLOT].nr, UNWIND_MAX_PROCESS_MAPPINGS);
	assert_int_equal(stats_of(world).mappings_left_out,
			 nr + nr_many - UNWIND_MAX_PROCESS_MAPPINGS);
	assert_int_equal(kind_at(world, SLOT, (uintptr_t)read), MAPPING_TABLE); /* files first */
	assert_int_equal(kind_at_page(world, 7 * 3), MAPPING_CODE); /* then the largest */
	unwinder_forget(world->unwinder, SLOT);
	assert_true(unwinder_wait(world->unwinder, WAIT_MS));
	assert_int_equal(stats_of(world).mappings_left_out, 0);
	end(world);
	mapper_end(&child);
}

/* A table that was made ahead goes when a process wants its room. */
static void test_preload_is_evicted(void **state)
{
	int ahead = make_fake(LARGE_ROWS, 0), fd = make_fake(LARGE_ROWS, 0);
	struct mapper child = mapper_start();
	struct world *world = begin(SHARD_BYTES, NR_MAPPINGS);
	char path[PATH_MAX];

	(void)state;
	path_of(nr_made - 2, path);
	preload(world, path);
	assert_int_equal(stats_of(world).files, 1);
	mapper_map_file(&child, fd, 0, 1);
	look(world, SLOT, &child);
	assert_int_equal(kind_at_page(world, 0), MAPPING_TABLE);
	assert_int_equal(stats_of(world).evicted, 1);
	end(world);
	mapper_end(&child);
	close(ahead);
	close(fd);
}

/* --- out of memory -------------------------------------------------------------------------------------------- */

static uint64_t nr_descriptors(void)
{
	struct stat st;
	uint64_t nr = 0;

	for (int fd = 0; fd < 256; fd++)
		nr += !fstat(fd, &st);
	return nr;
}

/* It may publish less than all or nothing, but never wrongly; and once there is memory, all. */
static void test_out_of_memory(void **state)
{
	static struct world world;
	struct mapper child = mapper_start_cat();
	struct unwind_process *process = &world.process[SLOT];
	uint64_t descriptors;
	uint32_t nr = 0;
	bool failed = true;
	int error;

	(void)state;
	/* until it is what it will be: no allocation of its first moments counts */
	for (uint64_t end_ms = now_ms() + WAIT_MS; nr < 4 && now_ms() < end_ms; end(&world)) {
		assert_int_equal(try_begin(&world, 1, NR_MAPPINGS), 0);
		look(&world, SLOT, &child);
		nr = process->nr == 4 ? 4 : 0;
	}
	assert_int_equal(nr, 4); /* cat, libc, ld.so and the vdso */
	descriptors = nr_descriptors();
	for (long nth = 1; failed; nth++) {
		allocfail_set(nth);
		error = try_begin(&world, 1, NR_MAPPINGS);
		if (!error) {
			(void)unwinder_preload(world.unwinder, "/bin/true");
			look(&world, SLOT, &child);
		}
		failed = allocfail_hit();
		allocfail_set(0);
		if (error) {
			assert_int_equal(error, -ENOMEM);
			continue;
		}
		assert_sorted(&world, SLOT);
		assert_true(process->nr == 0 || process->nr == nr);
		look(&world, SLOT, &child);
		assert_int_equal(process->nr, nr);
		for (uint32_t i = 0; i < nr; i++)
			assert_int_equal(world.mapping[process->first + i].kind, MAPPING_TABLE);
		end(&world);
		assert_int_equal(nr_descriptors(), descriptors);
	}
	mapper_end(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_a_process),
		cmocka_unit_test(test_nothing_new),
		cmocka_unit_test(test_files_come_and_go),
		cmocka_unit_test(test_code_made_at_run_time),
		cmocka_unit_test(test_deleted_files),
		cmocka_unit_test(test_files_without_a_table),
		cmocka_unit_test(test_same_build_id),
		cmocka_unit_test(test_file_that_changes),
		cmocka_unit_test(test_small_files_first),
		cmocka_unit_test(test_changes_while_reading),
		cmocka_unit_test(test_exit_while_reading),
		cmocka_unit_test(test_told_by_the_kernel),
		cmocka_unit_test(test_told_of_one_of_many),
		cmocka_unit_test(test_told_of_a_process_that_was_forgotten),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_preload),
		cmocka_unit_test(test_preloaded_file_that_changes),
		cmocka_unit_test(test_preload_of_no_program),
		cmocka_unit_test(test_gone_process_leaves_the_slot),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_slot_given_to_another),
		cmocka_unit_test(test_wrong_slots),
		cmocka_unit_test(test_struck_out_by_the_kernel),
		cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_no_room_is_remembered),
		cmocka_unit_test(test_cut_over_shards),
		cmocka_unit_test(test_pool_is_full),
		cmocka_unit_test(test_too_many_mappings),
		cmocka_unit_test(test_preload_is_evicted),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests_name("unwinder", tests, set_up, clean_up);
}
