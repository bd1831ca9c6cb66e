// SPDX-License-Identifier: GPL-2.0-or-later
#include "loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fd.h"
#include "loader_impl.h"
#include "log.h"
#include "seep.skel.h"

#define DEFAULT_RINGS 8
#define FIRST_RINGS_BYTES (2u << 20) /* of all together, and of each at least ... */
#define FIRST_RING_BYTES (512u << 10)
#define SHARD_BYTES (sizeof(struct unwind_row) * UNWIND_SHARD_ROWS)

static int log_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	char text[2048];
	size_t nr;

	if (log_get_level() < LOG_DEBUG || level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(text, sizeof(text), format, args);
	nr = strlen(text);
	if (nr && text[nr - 1] == '\n')
		text[nr - 1] = '\0';
	log_debug("%s", text);
	return 0;
}

/* Before 6.1 a map that allocates on demand may not be used from a probe: allocate it whole. */
static int size_map(struct bpf_map *map, uint32_t max_entries, bool on_demand)
{
	int err = bpf_map__set_max_entries(map, max_entries);

	if (!err && !on_demand)
		err = bpf_map__set_map_flags(map, 0);
	return err;
}

static int configure_blocks(struct loader *l, const struct loader_options *options,
			    const struct kernel_features *features)
{
	uint32_t in_hash = 1;

	if (options->allocations)
		loader_size_blocks(l, options, &in_hash);
	return size_map(l->skel->maps.blocks, in_hash, features->hash_on_demand);
}

static struct bpf_map *stack_table(const struct seep_bpf *skel, uint32_t table)
{
	struct bpf_map *const by_number[SEEP_STACK_TABLES] = {
		skel->maps.stacks_0, skel->maps.stacks_1, skel->maps.stacks_2, skel->maps.stacks_3};

	return by_number[table];
}

/* Deep stacks are rarer, and larger. */
static int configure_stacks(const struct loader *l, const struct loader_options *options,
			    const struct kernel_features *features)
{
	static const uint32_t part[SEEP_STACK_TABLES] = {1, 2, 4, 16};
	uint32_t table, nr;
	int err = 0;

	for (table = 0; table < SEEP_STACK_TABLES && !err; table++) {
		nr = options->max_stacks / part[table];
		err = size_map(stack_table(l->skel, table), nr ? nr : 1, features->hash_on_demand);
	}
	return err;
}

static int configure_walks(struct loader *l)
{
	int err = bpf_map__set_max_entries(l->skel->maps.walks,
					   (uint32_t)l->nr_cpus * SEEP_WALK_LEVELS);

	if (!err)
		err = bpf_map__set_max_entries(l->skel->maps.unwind_processes, l->max_targets + 1);
	return err;
}

static uint64_t first_ring_bytes(const struct loader *l)
{
	uint64_t bytes = FIRST_RING_BYTES;

	while (2 * bytes * l->nr_rings <= FIRST_RINGS_BYTES)
		bytes *= 2;
	return l->max_ring_bytes < bytes ? l->max_ring_bytes : bytes;
}

static int configure(struct loader *l, const struct loader_options *options,
		     const struct kernel_features *features)
{
	struct seep_config *config = (struct seep_config *)&l->skel->rodata->config;
	struct seep_bpf *skel = l->skel;
	int err;

	config->max_frames = options->max_frames;
	config->nr_rings = l->nr_rings;
	config->wakeup_bytes = (uint32_t)(first_ring_bytes(l) / LOADER_WAKEUP_SHARE);
	config->task_storage = features->task_storage;
	config->task_pt_regs = features->task_pt_regs;
	config->casts = features->casts && features->task_storage;
	config->multi_links = l->kind != ATTACH_PERF;
	config->memo = 1;
	config->check_stacks = options->check_stacks;
	err = configure_blocks(l, options, features);
	if (!err)
		err = configure_walks(l);
	config->block_table = l->max_block_shards != 0;
	if (!err)
		err = configure_stacks(l, options, features);
	if (!err)
		err = loader_configure_queues(l, options);
	if (!err)
		err = loader_configure_targets(l, options);
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.slots, options->max_targets + 1);
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.counters, options->max_targets + 1);
	if (!err && features->task_storage) {
		err = bpf_map__set_autocreate(skel->maps.threads_by_tid, false);
		if (!err)
			err = bpf_map__set_autocreate(skel->maps.thread_zero, false);
	} else if (!err) {
		err = bpf_map__set_autocreate(skel->maps.threads, false);
	}
	if (!err)
		err = loader_choose_links(l);
	if (!err)
		err = loader_number_functions(l, features);
	return err ? err : loader_choose_programs(l, options);
}

static int make_ring(struct loader *l, uint32_t ring, uint64_t bytes)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "seep_ring", 0, 0, (uint32_t)bytes, NULL);
	int err;

	if (fd < 0)
		return -errno;
	/* Returns when no program uses the one that was there. */
	if (bpf_map_update_elem(bpf_map__fd(l->skel->maps.rings), &ring, &fd, BPF_ANY)) {
		err = -errno;
		fd_close(&fd);
		return err;
	}
	l->ring_fd[ring] = fd;
	l->ring_bytes[ring] = bytes;
	return 0;
}

static int make_rings(struct loader *l)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < l->nr_rings && !err; i++)
		err = make_ring(l, i, first_ring_bytes(l));
	return err;
}

int loader_grow_ring(struct loader *l, uint32_t ring, int *old_fd)
{
	int fd = l->ring_fd[ring], err;

	if (l->ring_bytes[ring] >= l->max_ring_bytes)
		return -ENOSPC;
	err = make_ring(l, ring, l->max_ring_bytes);
	if (!err)
		*old_fd = fd;
	return err;
}

/* The array itself, not a copy. */
static int map_array(const struct bpf_map *map, size_t bytes, void **out, size_t *mapped)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *at;

	bytes = (bytes + page - 1) / page * page;
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (at == MAP_FAILED)
		return -errno;
	*out = at;
	*mapped = bytes;
	return 0;
}

static int map_arrays(struct loader *l)
{
	int err = map_array(l->skel->maps.slots, sizeof(struct slot_value) * (l->max_targets + 1),
			    (void **)&l->slots, &l->slots_bytes);

	if (!err)
		err = map_array(l->skel->maps.free_slots,
				sizeof(uint32_t) * (l->skel->rodata->follow.slots_mask + 1),
				(void **)&l->free_slots, &l->free_slots_bytes);
	if (!err)
		err = map_array(l->skel->maps.unwind_processes,
				sizeof(struct unwind_process) * (l->max_targets + 1),
				(void **)&l->processes, &l->processes_bytes);
	if (!err)
		err = map_array(l->skel->maps.unwind_mappings,
				sizeof(struct unwind_mapping) * l->max_mappings,
				(void **)&l->mappings, &l->mappings_bytes);
	if (!err)
		err = loader_make_queues(l);
	return err ? err : loader_make_blocks(l);
}

int loader_new(const struct loader_options *options, const struct kernel_features *features,
	       struct loader **out)
{
	struct loader *l = calloc(1, sizeof(*l));
	uint32_t i;
	int err;

	if (!l)
		return -ENOMEM;
	for (i = 0; i < SEEP_MAX_RINGS; i++)
		l->ring_fd[i] = -1;
	libbpf_set_print(log_libbpf);
	l->nr_cpus = libbpf_num_possible_cpus();
	l->max_targets = options->max_targets;
	l->max_mappings = options->max_mappings;
	l->calls = loader_choose_calls(features);
	l->kind = loader_choose_kind(options->link, features);
	l->max_ring_bytes = options->ring_bytes;
	l->nr_rings = options->nr_rings;
	if (!l->nr_rings)
		l->nr_rings = l->nr_cpus < DEFAULT_RINGS ? (uint32_t)l->nr_cpus : DEFAULT_RINGS;
	err = -ENOMEM;
	l->scratch = calloc((size_t)l->nr_cpus, sizeof(*l->scratch));
	l->skel = l->scratch ? seep_bpf__open() : NULL;
	if (l->skel)
		err = configure(l, options, features);
	if (!err)
		err = seep_bpf__load(l->skel);
	if (!err)
		err = make_rings(l);
	if (!err)
		err = map_arrays(l);
	if (!err && options->follow.cgroup)
		err = loader_set_cgroup(l, options->follow.cgroup_fd);
	if (!err && loader_program_fd(l, PROGRAM_DIRECT_LOOK) >= 0)
		loader_find_direct_map(l);
	if (err)
		loader_free(l);
	else
		*out = l;
	return err;
}

void loader_free(struct loader *l)
{
	uint32_t i;

	if (!l)
		return;
	if (l->slots)
		(void)munmap(l->slots, l->slots_bytes);
	if (l->free_slots)
		(void)munmap(l->free_slots, l->free_slots_bytes);
	if (l->processes)
		(void)munmap(l->processes, l->processes_bytes);
	if (l->mappings)
		(void)munmap(l->mappings, l->mappings_bytes);
	for (i = 0; i < UNWIND_MAX_SHARDS; i++) {
		if (l->shard[i])
			(void)munmap(l->shard[i], SHARD_BYTES);
	}
	loader_unmap_blocks(l);
	loader_unmap_queues(l);
	for (i = 0; i < SEEP_MAX_RINGS; i++)
		fd_close(&l->ring_fd[i]);
	seep_bpf__destroy(l->skel);
	free(l->scratch);
	free(l);
}

enum attach_kind loader_attach_kind(const struct loader *l)
{
	return l->kind;
}

int loader_program_fd(const struct loader *l, enum loader_program program)
{
	return bpf_program__fd(loader_program(l, program));
}

uint32_t loader_nr_rings(const struct loader *l)
{
	return l->nr_rings;
}

uint64_t loader_ring_bytes(const struct loader *l, uint32_t ring)
{
	return l->ring_bytes[ring];
}

int loader_ring_fd(const struct loader *l, uint32_t ring)
{
	return l->ring_fd[ring];
}

void loader_arm(struct loader *l, bool armed)
{
	__atomic_store_n(&l->skel->bss->armed, armed, __ATOMIC_SEQ_CST);
}

void loader_set_sampling(struct loader *l, uint64_t period_bytes, uint32_t tag)
{
	uint64_t how = tag == SEEP_TAG_EXACT ? 0 : SEEP_SIZED(period_bytes, tag);

	__atomic_store_n(&l->skel->bss->sampling, how, __ATOMIC_SEQ_CST);
}

void loader_watch(struct loader *l, uint64_t since_ns)
{
	if (since_ns)
		__atomic_store_n(&l->skel->bss->watched_since, since_ns, __ATOMIC_SEQ_CST);
	__atomic_store_n(&l->skel->data->watching, !!since_ns, __ATOMIC_SEQ_CST);
}

int loader_set_usdt(const struct loader *l, uint32_t number, const struct usdt_spec *spec)
{
	if (!number || number >= USDT_MAX_SPECS)
		return -ENOSPC;
	return bpf_map_update_elem(bpf_map__fd(l->skel->maps.usdt_specs), &number, spec, BPF_ANY)
		       ? -errno
		       : 0;
}

/* For the unwinder, in its thread. What the kernel holds lasts until the map of shards goes. */
static struct unwind_row *new_shard(void *arg, uint32_t shard)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	struct loader *l = arg;
	struct unwind_row *row = MAP_FAILED;
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "seep_rows", sizeof(shard), sizeof(*row),
				UNWIND_SHARD_ROWS, &options);
	int error;

	if (fd < 0)
		return NULL;
	if (!bpf_map_update_elem(bpf_map__fd(l->skel->maps.unwind_shards), &shard, &fd, BPF_ANY))
		row = mmap(NULL, SHARD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	error = errno;
	fd_close(&fd);
	errno = error;
	if (row == MAP_FAILED)
		return NULL;
	l->shard[shard] = row;
	return row;
}

void loader_unwinder_maps(struct loader *l, struct unwinder_maps *out)
{
	*out = (struct unwinder_maps){
		.process = l->processes,
		.nr_slots = l->max_targets + 1,
		.mapping = l->mappings,
		.nr_mappings = l->max_mappings,
		.max_shards = UNWIND_MAX_SHARDS,
		.new_shard = new_shard,
		.arg = l,
	};
}

uint32_t loader_unknown_code(const struct loader *l, uint32_t slot)
{
	return __atomic_load_n(&l->processes[slot].unknown, __ATOMIC_RELAXED);
}

int loader_counters(const struct loader *l, uint32_t slot, uint64_t value[STAT_NR])
{
	int fd = bpf_map__fd(l->skel->maps.counters), cpu, i;

	if (bpf_map_lookup_elem(fd, &slot, l->scratch))
		return -errno;
	memset(value, 0, STAT_NR * sizeof(*value));
	for (cpu = 0; cpu < l->nr_cpus; cpu++)
		for (i = 0; i < STAT_NR; i++)
			value[i] += l->scratch[cpu].value[i];
	return 0;
}

uint32_t loader_leaders_gone(const struct loader *l)
{
	return __atomic_load_n(&l->skel->bss->leaders_gone, __ATOMIC_SEQ_CST);
}

uint64_t loader_lost_events(const struct loader *l)
{
	return __atomic_load_n(&l->skel->bss->lost_events, __ATOMIC_SEQ_CST);
}

int loader_stack(const struct loader *l, uint32_t stack, struct stack_value *out)
{
	const struct bpf_map *table = stack_table(l->skel, SEEP_STACK_TABLE(stack));

	return bpf_map_lookup_elem(bpf_map__fd(table), &stack, out) ? -errno : 0;
}
