/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the loader share. Nobody else includes it. */
#ifndef SEEP_SYS_LOADER_IMPL_H
#define SEEP_SYS_LOADER_IMPL_H

#include "loader.h"

struct seep_bpf; /* seep.skel.h */

struct loader {
	struct seep_bpf *skel;
	enum attach_kind kind;
	uint32_t nr_rings;
	int ring_fd[SEEP_MAX_RINGS];
	struct slot_value *slots; /* the map itself */
	size_t slots_bytes;
	struct block_set *sets; /* likewise; NULL: there are none */
	uint32_t nr_sets;
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

#endif
