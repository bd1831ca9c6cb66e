/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel, as far as our BPF programs see it: maps with capacities, rings, task storage, user
 * memory, time, and who is running. Anything can be made to fail.
 *
 * An element that is deleted is freed at once, so that the address sanitizer sees a program that
 * reads it afterwards.
 */
#ifndef SEEP_TEST_FAKE_H
#define SEEP_TEST_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What runs now. Set freely. */
struct fake_current {
	void *task; /* also the key into task storage */
	void *regs; /* bpf_task_pt_regs() */
	uint32_t tgid, tid;
	unsigned int cpu;
	uint64_t cookie;
	uint64_t now_ns; /* every look at the clock advances it by 1, one at the ticks does not */
	uint64_t random; /* the state behind bpf_get_prandom_u32() */
	char comm[16];
	bool in_cgroup; /* that which is asked for */
};

#define FAKE_TICK_NS 4000000

extern struct fake_current fake;

/* Forgets all maps, memory, tasks. */
void fake_reset(void);

struct fake_map_shape {
	unsigned int type; /* BPF_MAP_TYPE_* */
	size_t key_bytes, value_bytes, max_entries;
};

void fake_map_register(void *map, const struct fake_map_shape *shape);
void fake_map_limit(void *map, size_t max_entries);
size_t fake_map_nr(const void *map);
/* Of a CPU's copy in a per-CPU map. NULL: not there. */
void *fake_map_value(void *map, const void *key, unsigned int cpu);

enum fake_operation {
	FAKE_UPDATE = 1,
	FAKE_DELETE = 2,
	FAKE_STORAGE = 3,
	FAKE_LOOKUP = 4,
};

/* The nth such operation from now fails, once, with -error (a lookup with NULL). */
void fake_fail(void *map, enum fake_operation operation, unsigned int nth, int error);
/* Runs once, before the next such operation: what another CPU does at that moment. */
void fake_before(void *map, enum fake_operation operation, void (*run)(void));

/* Puts a registered map into a map of maps. */
void fake_inner_add(void *maps, uint32_t index, void *map);

/* Makes a ring of so many bytes of records and puts it into a map of maps. */
void *fake_ring_add(void *rings, uint32_t index, size_t bytes);
void fake_ring_limit(void *ring, size_t bytes);
/* The next record of a ring, valid until the next call; NULL: none. Its bytes are the ring's again. */
const void *fake_ring_next(void *ring, size_t *nr);
/* Records reserved and neither submitted nor discarded. */
unsigned int fake_nr_reserved(void);
unsigned int fake_nr_wakeups(void);

/* User memory at an address, from a page on; zeros. The same address can be mapped once. */
void *fake_memory_add(uint64_t addr, size_t nr);
/* Where the test has it; NULL: no such memory. */
void *fake_memory_at(uint64_t addr, size_t nr);
/* A word in it. */
void fake_poke(uint64_t addr, uint64_t word);
unsigned int fake_nr_reads(void); /* of user memory, also failed ones */
/* The nth read of user memory from now fails, once. */
void fake_fail_read(unsigned int nth);
/* Runs once, before the nth read from now. */
void fake_before_read(unsigned int nth, void (*run)(void));

#endif
