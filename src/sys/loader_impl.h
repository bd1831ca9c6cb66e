/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the loader share. Nobody else includes it. */
#ifndef SEEP_SYS_LOADER_IMPL_H
#define SEEP_SYS_LOADER_IMPL_H

#include <pthread.h>

#include "loader.h"

struct seep_bpf; /* seep.skel.h */
struct bpf_program;

struct loader {
	struct seep_bpf *skel;
	enum attach_kind kind;
	enum loader_calls calls;
	uint32_t nr_rings;
	int ring_fd[SEEP_MAX_RINGS];
	uint64_t ring_bytes[SEEP_MAX_RINGS], max_ring_bytes;
	struct slot_value *slots; /* the map itself */
	size_t slots_bytes;
	uint32_t *free_slots; /* likewise */
	size_t free_slots_bytes;
	/* likewise, the shards of the block table */
	struct block_set **block_shard;
	uint32_t nr_block_shards, max_block_shards; /* powers of two; 0: there is none */
	/* loader_queues.c: slots of a queue, small and large, 0: there are none; likewise */
	struct event_queue *queues;
	size_t queues_bytes;
	uint32_t nr_queues, first_slots, max_slots;
	struct event_slot **segment;
	uint32_t nr_segments;
	pthread_t queue_grower;
	bool queue_is_growing, queue_has_grown; /* as below */
	uint32_t growing_queue;
	int queue_error;
	/* Growing, by a thread that owns what lies behind nr_block_shards until it has raised that. */
	pthread_t grower;
	bool is_growing;    /* it has to be joined */
	bool has_grown;	    /* it is over; atomic */
	int grow_error;	    /* how it ended */
	uint64_t hash_seen; /* blocks_in_hash when it last grew */
	/* likewise, for the unwinder */
	struct unwind_process *processes;
	struct unwind_mapping *mappings;
	struct unwind_row *shard[UNWIND_MAX_SHARDS];
	size_t processes_bytes, mappings_bytes;
	uint32_t max_mappings;
	uint32_t max_targets;
	int nr_cpus;
	struct seep_counters *scratch; /* one for each CPU */
};

/*
 * loader_arrays.c: arrays in a map of maps, which outer_fd is. at[] is where each one is mapped, NULL before; at most that
 * many as the outer map holds.
 */
struct loader_arrays {
	int outer_fd;
	const char *name;
	uint32_t value_bytes, nr_values;
	void **at;
};

/* Makes arrays first .. first + nr - 1. Where it fails, those that were made stay mapped, and programs may see some. */
int loader_add_arrays(const struct loader_arrays *arrays, uint32_t first, uint32_t nr);
void loader_unmap_arrays(const struct loader_arrays *arrays, uint32_t nr);

/* loader_queues.c: before and after the programs are loaded */
int loader_configure_queues(struct loader *loader, const struct loader_options *options);
int loader_make_queues(struct loader *loader);
void loader_unmap_queues(struct loader *loader);

/* loader_direct.c: after the load; what cannot be found out is not used. */
void loader_find_direct_map(struct loader *loader);

/* loader_targets.c: sizes of maps that hold targets, before the load. */
int loader_configure_targets(struct loader *loader, const struct loader_options *options);
/* After it: the cgroup that is wanted, by a descriptor of its directory. */
int loader_set_cgroup(struct loader *loader, int fd);

/* loader_programs.c: before the programs are loaded */
enum loader_calls loader_choose_calls(const struct kernel_features *features);
/* Programs that call functions of the kernel's get their numbers. */
int loader_number_functions(const struct loader *loader, const struct kernel_features *features);
struct bpf_program *loader_program(const struct loader *loader, enum loader_program program);
int loader_choose_programs(const struct loader *loader, const struct loader_options *options);
/* A program goes with links of one kind only. */
int loader_choose_links(const struct loader *loader);

/* loader_blocks.c: the block table, which is made after the programs are loaded */
void loader_size_blocks(struct loader *loader, const struct loader_options *options,
			uint32_t *hash_entries);
int loader_make_blocks(struct loader *loader);
void loader_unmap_blocks(struct loader *loader);

#endif
