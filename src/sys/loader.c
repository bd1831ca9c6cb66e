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

#include "array.h"
#include "fd.h"
#include "log.h"
#include "seep.skel.h"

#define DEFAULT_RINGS 8
#define BATCH 4096
#define BLOCK_SETS_MAX 65536 /* 16 MiB, for half a million blocks */
#define BLOCK_SETS_MIN                                                                             \
	4096 /* fewer are not worth it: a hash alone holds exactly what was asked for */

struct loader {
	struct seep_bpf *skel;
	uint32_t nr_rings;
	int ring_fd[SEEP_MAX_RINGS];
	struct slot_value *slots; /* the map itself */
	size_t slots_bytes;
	struct block_set *sets; /* likewise; NULL: there are none */
	uint32_t nr_sets;
	uint32_t max_targets;
	int nr_cpus;
	struct seep_counters *scratch; /* one for each CPU */
};

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

static struct bpf_program *program_of(const struct loader *l, enum loader_program program)
{
	struct bpf_program *const by_number[PROGRAM_NR] = {
		[PROGRAM_ALLOC_ENTER] = l->skel->progs.alloc_enter,
		[PROGRAM_ALLOC_RETURN] = l->skel->progs.alloc_return,
		[PROGRAM_FREE_ENTER] = l->skel->progs.free_enter,
		[PROGRAM_FLOOR] = l->skel->progs.probe_floor,
		[PROGRAM_MMAP_ENTER] = l->skel->progs.mmap_enter,
		[PROGRAM_MMAP_EXIT] = l->skel->progs.mmap_exit,
		[PROGRAM_MUNMAP_ENTER] = l->skel->progs.munmap_enter,
		[PROGRAM_MUNMAP_EXIT] = l->skel->progs.munmap_exit,
		[PROGRAM_MREMAP_ENTER] = l->skel->progs.mremap_enter,
		[PROGRAM_MREMAP_EXIT] = l->skel->progs.mremap_exit,
		[PROGRAM_BRK_ENTER] = l->skel->progs.brk_enter,
		[PROGRAM_BRK_EXIT] = l->skel->progs.brk_exit,
		[PROGRAM_FAULT_MINOR] = l->skel->progs.fault_minor,
		[PROGRAM_FAULT_MAJOR] = l->skel->progs.fault_major,
		[PROGRAM_FORK] = l->skel->progs.proc_fork,
		[PROGRAM_EXEC] = l->skel->progs.proc_exec,
		[PROGRAM_EXIT] = l->skel->progs.proc_exit,
	};

	return by_number[program];
}

static int choose_programs(const struct loader *l, const struct loader_options *options,
			   const struct kernel_features *features)
{
	bool wanted;
	int i, err;

	for (i = 0; i < PROGRAM_NR; i++) {
		wanted = true;
		if (i <= PROGRAM_FREE_ENTER)
			wanted = options->allocations;
		else if (i >= PROGRAM_MMAP_ENTER && i <= PROGRAM_BRK_EXIT)
			wanted = options->allocations && features->syscall_tracepoints;
		else if (i == PROGRAM_FAULT_MINOR || i == PROGRAM_FAULT_MAJOR)
			wanted = options->faults;
		err = bpf_program__set_autoload(program_of(l, i), wanted);
		if (err)
			return err;
	}
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

/* The largest power of two of sets that holds no more than half of the blocks. */
static uint32_t choose_sets(const struct loader_options *options,
			    const struct kernel_features *features)
{
	uint32_t sets = BLOCK_SETS_MAX;

	if (!options->allocations || !features->atomics)
		return 0;
	while (sets >= BLOCK_SETS_MIN && sets * SEEP_BLOCK_WAYS > options->max_blocks / 2)
		sets /= 2;
	return sets >= BLOCK_SETS_MIN ? sets : 0;
}

static int configure_blocks(struct loader *l, const struct loader_options *options,
			    const struct kernel_features *features)
{
	uint32_t in_sets;
	int err;

	l->nr_sets = choose_sets(options, features);
	in_sets = l->nr_sets * SEEP_BLOCK_WAYS;
	err = bpf_map__set_max_entries(l->skel->maps.block_sets, l->nr_sets ? l->nr_sets : 1);
	if (err)
		return err;
	return size_map(l->skel->maps.blocks,
			options->allocations ? options->max_blocks - in_sets : 1,
			features->hash_on_demand);
}

static int configure(struct loader *l, const struct loader_options *options,
		     const struct kernel_features *features)
{
	struct seep_config *config = (struct seep_config *)&l->skel->rodata->config;
	struct seep_bpf *skel = l->skel;
	int err;

	config->max_frames = options->max_frames;
	config->nr_rings = l->nr_rings;
	config->wakeup_bytes = (uint32_t)(options->ring_bytes / 8);
	config->task_storage = features->task_storage;
	config->task_pt_regs = features->task_pt_regs;
	err = configure_blocks(l, options, features);
	config->block_sets = l->nr_sets;
	if (!err)
		err = size_map(skel->maps.stacks, options->max_stacks, features->hash_on_demand);
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
	return err ? err : choose_programs(l, options, features);
}

static int make_rings(struct loader *l, uint64_t bytes)
{
	int outer = bpf_map__fd(l->skel->maps.rings), fd;
	uint32_t i;

	for (i = 0; i < l->nr_rings; i++) {
		fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "seep_ring", 0, 0, (uint32_t)bytes, NULL);
		if (fd < 0)
			return -errno;
		l->ring_fd[i] = fd;
		if (bpf_map_update_elem(outer, &i, &fd, BPF_ANY))
			return -errno;
	}
	return 0;
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
	size_t bytes;
	int err = map_array(l->skel->maps.slots, sizeof(struct slot_value) * (l->max_targets + 1),
			    (void **)&l->slots, &l->slots_bytes);

	if (!err && l->nr_sets)
		err = map_array(l->skel->maps.block_sets, sizeof(struct block_set) * l->nr_sets,
				(void **)&l->sets, &bytes);
	return err;
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
		err = make_rings(l, options->ring_bytes);
	if (!err)
		err = map_arrays(l);
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
	if (l->sets)
		(void)munmap(l->sets, sizeof(struct block_set) * l->nr_sets);
	for (i = 0; i < SEEP_MAX_RINGS; i++)
		fd_close(&l->ring_fd[i]);
	seep_bpf__destroy(l->skel);
	free(l->scratch);
	free(l);
}

int loader_program_fd(const struct loader *l, enum loader_program program)
{
	return bpf_program__fd(program_of(l, program));
}

uint32_t loader_nr_rings(const struct loader *l)
{
	return l->nr_rings;
}

int loader_ring_fd(const struct loader *l, uint32_t ring)
{
	return l->ring_fd[ring];
}

void loader_arm(struct loader *l, bool armed)
{
	__atomic_store_n(&l->skel->bss->armed, armed, __ATOMIC_SEQ_CST);
}

int loader_set_target(struct loader *l, uint32_t slot, uint32_t tgid)
{
	if (!slot || slot > l->max_targets)
		return -ENOSPC;
	l->slots[slot].proc = SEEP_PROC(slot, 0);
	if (bpf_map_update_elem(bpf_map__fd(l->skel->maps.targets), &tgid, &slot, BPF_ANY))
		return -errno;
	__atomic_fetch_add(&l->skel->bss->targets_generation, 1, __ATOMIC_SEQ_CST);
	return 0;
}

void loader_set_ranges(struct loader *l, uint32_t slot, const uint64_t *start, const uint64_t *end,
		       uint32_t nr)
{
	struct slot_value *value = &l->slots[slot];
	uint32_t i;

	/* Programs may be reading: while nr is 0 everything passes. */
	__atomic_store_n(&value->nr_ranges, 0, __ATOMIC_SEQ_CST);
	for (i = 0; i < SEEP_CODE_RANGES; i++) {
		value->start[i] = i < nr ? start[i] : 0;
		value->end[i] = i < nr ? end[i] : 0;
	}
	__atomic_store_n(&value->nr_ranges, nr, __ATOMIC_SEQ_CST);
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

uint64_t loader_lost_events(const struct loader *l)
{
	return __atomic_load_n(&l->skel->bss->lost_events, __ATOMIC_SEQ_CST);
}

int loader_stack(const struct loader *l, uint32_t stack, struct stack_value *out)
{
	if (bpf_map_lookup_elem(bpf_map__fd(l->skel->maps.stacks), &stack, out))
		return -errno;
	return 0;
}

static struct block_set *set_of(const struct loader *l, const struct block_key *key)
{
	if (!l->sets)
		return NULL;
	return &l->sets[SEEP_BLOCK_HASH(key->addr, key->proc) & (l->nr_sets - 1)];
}

static uint64_t way_addr(const struct block_set *set, unsigned int way)
{
	return __atomic_load_n(&set->addr[way], __ATOMIC_ACQUIRE);
}

/* One place of the table, read while programs write: what changed meanwhile is not what is there. */
static bool read_way(const struct block_set *set, unsigned int way, struct block_key *key,
		     struct block_value *value)
{
	uint64_t addr = way_addr(set, way);

	if (addr <= SEEP_BLOCK_TAKEN)
		return false;
	*value = set->block[way];
	*key = (struct block_key){.addr = addr, .proc = value->proc};
	return way_addr(set, way) == addr;
}

static int walk_sets(const struct loader *l,
		     int (*visit)(const struct block_key *key, const struct block_value *value,
				  void *arg),
		     void *arg)
{
	struct block_value value;
	struct block_key key;
	unsigned int way;
	uint32_t i;
	int err;

	for (i = 0; l->sets && i < l->nr_sets; i++) {
		for (way = 0; way < SEEP_BLOCK_WAYS; way++) {
			if (!read_way(&l->sets[i], way, &key, &value))
				continue;
			err = visit(&key, &value, arg);
			if (err)
				return err;
		}
	}
	return 0;
}

static int walk_hash(const struct loader *l,
		     int (*visit)(const struct block_key *key, const struct block_value *value,
				  void *arg),
		     void *arg)
{
	int fd = bpf_map__fd(l->skel->maps.blocks), err = 0;
	struct block_key *key = calloc(BATCH, sizeof(*key));
	struct block_value *value = calloc(BATCH, sizeof(*value));
	uint32_t position = 0, nr, i;
	bool first = true, last = false;

	if (!key || !value)
		err = -ENOMEM;
	while (!err && !last) {
		nr = BATCH;
		if (bpf_map_lookup_batch(fd, first ? NULL : &position, &position, key, value, &nr,
					 NULL)) {
			last = errno == ENOENT;
			err = last ? 0 : -errno;
		}
		first = false;
		for (i = 0; i < nr && !err; i++)
			err = visit(&key[i], &value[i], arg);
	}
	free(key);
	free(value);
	return err;
}

int loader_walk_blocks(const struct loader *l,
		       int (*visit)(const struct block_key *key, const struct block_value *value,
				    void *arg),
		       void *arg)
{
	int err = walk_sets(l, visit, arg);

	return err ? err : walk_hash(l, visit, arg);
}

int loader_has_block(const struct loader *l, const struct block_key *key, uint64_t birth_ns)
{
	const struct block_set *set = set_of(l, key);
	struct block_value value;
	struct block_key found;
	unsigned int way;

	for (way = 0; set && way < SEEP_BLOCK_WAYS; way++) {
		if (read_way(set, way, &found, &value) && found.addr == key->addr &&
		    found.proc == key->proc && value.birth_ns == birth_ns)
			return 1;
	}
	if (bpf_map_lookup_elem(bpf_map__fd(l->skel->maps.blocks), key, &value))
		return 0;
	return value.birth_ns == birth_ns;
}

void loader_forget_block(struct loader *l, const struct block_key *key)
{
	struct block_set *set = set_of(l, key);
	__u64 addr = key->addr;
	unsigned int way;

	for (way = 0; set && way < SEEP_BLOCK_WAYS; way++) {
		if (way_addr(set, way) == addr && set->block[way].proc == key->proc)
			(void)__atomic_compare_exchange_n(&set->addr[way], &addr, 0, false,
							  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		addr = key->addr;
	}
	(void)bpf_map_delete_elem(bpf_map__fd(l->skel->maps.blocks), key);
}
