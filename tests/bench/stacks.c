// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stacks [--empty] [--check] [--depth N] -- CMD [ARG...]: what a stack costs at each call of malloc in CMD.
 *
 * Sets one probe, at seep's site in malloc, with a program that takes the stack and nothing else, or with an empty one.
 * The kernel measures both alike (BPF_STATS_RUN_TIME). Prints one line of "name value" pairs: runs, and ns a run, from
 * when the first tables were there; stacks that are cut, those for which frame pointers were followed, with --check,
 * which makes each walk a full one, hits of the memo and wrong ones; how many distinct stacks there are that are not
 * cut, and the mean of their frames, each counted once.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach.h"
#include "discover.h"
#include "kernel.h"
#include "loader.h"
#include "spawn.h"
#include "unwinder.h"
#include "watch.h"

#define SLOT 1

struct bench {
	bool empty;
	struct loader_options options;
	char **argv;
	struct kernel_features features;
	struct loader *loader;
	struct unwinder *unwinder;
	struct watch *watch;
	struct discover discover;
	struct attach attach;
	struct attach_links *links;
	struct spawn spawn;
	bool looked;		     /* at what the program maps, once at least */
	bool warm;		     /* its tables are there */
	uint64_t cold_runs, cold_ns; /* until then */
};

static int parse(struct bench *b, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--empty"))
			b->empty = true;
		else if (!strcmp(argv[i], "--check"))
			b->options.check_stacks = true;
		else if (!strcmp(argv[i], "--depth") && i + 1 < argc)
			b->options.max_frames = (uint32_t)atoi(argv[++i]);
		else
			break;
	}
	if (i + 1 >= argc || strcmp(argv[i], "--") || !b->options.max_frames ||
	    b->options.max_frames > SEEP_MAX_FRAMES)
		return -EINVAL;
	b->argv = argv + i + 1;
	return 0;
}

static int attach_entry(struct bench *b, const struct discover_found *found,
			const struct discover_site *site)
{
	struct attach_request request = {
		.tgid = b->spawn.pid, .kernel_path = found->kernel_path, .site = &site, .nr = 1};

	return attach_sites(b->loader, &request, b->empty ? ATTACH_NO_STACKS : ATTACH_STACKS,
			    &b->links);
}

static int attach_malloc(struct bench *b, const struct discover_found *found)
{
	const struct discover_site *site;
	size_t i;

	for (i = 0; i < found->object->nr_sites; i++) {
		site = &found->object->site[i];
		if (!strcmp(site->function->symbol, "malloc"))
			return attach_entry(b, found, site);
	}
	return 0;
}

static int attach_program(struct bench *b, const char *path)
{
	struct discover_found *found = NULL;
	struct discover_files files = {0};
	size_t nr = 0, searched, i;
	int err = discover_program_files(path, &files);

	if (!err)
		err = discover_files(&b->discover, &files, &found, &nr, &searched);
	discover_files_release(&files);
	for (i = 0; i < nr && !err; i++)
		err = attach_malloc(b, &found[i]);
	free(found);
	return err ? err : nr ? 0 : -ENOENT;
}

static int prepare(struct bench *b)
{
	struct unwinder_options options = {.max_bytes = UINT64_C(1) << 30};
	struct unwinder_maps maps;
	char path[4096];
	int err;

	kernel_probe(&b->features);
	kernel_raise_limits();
	err = loader_new(&b->options, &b->features, &b->loader);
	if (err)
		return err;
	loader_unwinder_maps(b->loader, &maps);
	err = unwinder_new(&options, &maps, &b->unwinder);
	if (!err)
		err = watch_new(WATCH_EACH, &b->watch);
	if (!err)
		err = attach_processes(&b->attach, b->loader);
	if (!err)
		err = attach_code(&b->attach, b->loader);
	if (!err)
		err = spawn_find(b->argv[0], path, sizeof(path));
	if (!err)
		err = spawn_start(path, b->argv, &b->spawn);
	if (!err)
		err = loader_set_target(b->loader, SEEP_PROC(SLOT, 0), (uint32_t)b->spawn.pid);
	if (!err)
		err = attach_program(b, path);
	return err;
}

static int on_mapping(const struct watch_mapping *mapping, void *arg)
{
	struct bench *b = arg;

	if (mapping->tgid == b->spawn.pid)
		b->looked = !unwinder_look(b->unwinder, SLOT, b->spawn.pid);
	return 0;
}

static int read_cost(const struct bench *b, uint64_t *runs, uint64_t *ns)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);
	int fd = loader_program_fd(b->loader, b->empty ? PROGRAM_FLOOR : PROGRAM_STACK);

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return -errno;
	*runs = info.run_cnt;
	*ns = info.run_time_ns;
	return 0;
}

/* What comes before the first tables is left out. */
static int warm_up(struct bench *b)
{
	if (b->warm || !b->looked || !unwinder_wait(b->unwinder, 0))
		return 0;
	b->warm = true;
	return read_cost(b, &b->cold_runs, &b->cold_ns);
}

static int run(struct bench *b)
{
	struct pollfd poll_fd = {.fd = watch_fd(b->watch), .events = POLLIN};
	uint32_t unknown = 0, now;
	uint64_t lost;
	int status, err;

	loader_arm(b->loader, true);
	err = spawn_release(&b->spawn);
	while (!err && !waitpid(b->spawn.pid, &status, WNOHANG)) {
		(void)poll(&poll_fd, 1, 20);
		err = watch_take(b->watch, on_mapping, b, &lost);
		now = loader_unknown_code(b->loader, SLOT);
		if (now != unknown)
			(void)unwinder_look(b->unwinder, SLOT, b->spawn.pid);
		unknown = now;
		if (!err)
			err = warm_up(b);
	}
	loader_arm(b->loader, false);
	return err;
}

/* The map of that name that a program uses; -ENOENT. */
static int open_map(int program_fd, const char *name)
{
	struct bpf_map_info map;
	uint32_t id[64], size, i;
	struct bpf_prog_info program = {.map_ids = (uintptr_t)id, .nr_map_ids = 64};
	int fd;

	size = sizeof(program);
	if (bpf_obj_get_info_by_fd(program_fd, &program, &size))
		return -errno;
	for (i = 0; i < program.nr_map_ids && i < 64; i++) {
		fd = bpf_map_get_fd_by_id(id[i]);
		size = sizeof(map);
		memset(&map, 0, sizeof(map));
		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &map, &size) && !strcmp(map.name, name))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -ENOENT;
}

static void count_stacks(const struct bench *b, int table_fd, uint64_t *nr, uint64_t *frames)
{
	struct stack_value stack;
	uint32_t id, *last = NULL;

	while (!bpf_map_get_next_key(table_fd, last, &id)) {
		last = &id;
		if (loader_stack(b->loader, id, &stack) || stack.flags & STACK_PARTIAL)
			continue;
		*nr += 1;
		*frames += stack.nr;
	}
}

static int print_stacks(const struct bench *b)
{
	static const char *const name[SEEP_STACK_TABLES] = {"stacks_0", "stacks_1", "stacks_2",
							    "stacks_3"};
	uint64_t nr = 0, frames = 0;
	int i, fd;

	for (i = 0; i < SEEP_STACK_TABLES; i++) {
		fd = open_map(loader_program_fd(b->loader, PROGRAM_STACK), name[i]);
		if (fd < 0)
			return fd;
		count_stacks(b, fd, &nr, &frames);
		close(fd);
	}
	printf(" distinct %llu frames %.1f", (unsigned long long)nr,
	       nr ? (double)frames / (double)nr : 0.0);
	return 0;
}

static int print_cost(const struct bench *b)
{
	uint64_t count[STAT_NR], cut = 0, runs, ns;
	int i, err = read_cost(b, &runs, &ns);

	if (!err)
		err = loader_counters(b->loader, SLOT, count);
	if (err)
		return err;
	runs -= b->cold_runs;
	ns -= b->cold_ns;
	for (i = STAT_STACKS_FULL; i < STAT_STACKS_BY_POINTER; i++)
		cut += count[i];
	printf("runs %llu ns %.1f cut %llu by_pointer %llu hits %llu wrong %llu",
	       (unsigned long long)runs, runs ? (double)ns / (double)runs : 0.0,
	       (unsigned long long)cut, (unsigned long long)count[STAT_STACKS_BY_POINTER],
	       (unsigned long long)count[STAT_MEMO_HITS],
	       (unsigned long long)count[STAT_MEMO_WRONG]);
	if (!b->empty)
		err = print_stacks(b);
	for (i = STAT_STACKS_FULL; i < STAT_STACKS_BY_POINTER; i++) {
		if (count[i])
			printf(" stat%d %llu", i, (unsigned long long)count[i]);
	}
	putchar('\n');
	return err;
}

int main(int argc, char **argv)
{
	struct bench b = {.options = {.measuring = true,
				      .ring_bytes = 1 << 20,
				      .max_stacks = 1 << 18,
				      .max_blocks = 1,
				      .max_targets = 1,
				      .max_mappings = 4096,
				      .max_frames = SEEP_MAX_FRAMES},
			  .spawn = {.go = -1, .result = -1}};
	int stats, err;

	if (parse(&b, argc, argv)) {
		fprintf(stderr, "usage: stacks [--empty] [--check] [--depth N] -- CMD [ARG...]\n");
		return 2;
	}
	attach_init(&b.attach);
	discover_init(&b.discover);
	stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	err = stats < 0 ? -errno : prepare(&b);
	if (!err)
		err = run(&b);
	if (!err)
		err = print_cost(&b);
	if (err)
		fprintf(stderr, "stacks: %s\n", strerror(-err));
	attach_links_free(b.links);
	attach_release(&b.attach);
	spawn_cancel(&b.spawn);
	watch_free(b.watch);
	unwinder_free(b.unwinder);
	discover_release(&b.discover);
	loader_free(b.loader);
	if (stats >= 0)
		close(stats);
	return err ? 1 : 0;
}
