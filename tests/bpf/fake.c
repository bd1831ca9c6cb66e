/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/bpf_helpers.h"

#define MAX_MAPS 32
#define MAX_REGIONS 16
#define MAX_CPUS 4
#define PAGE 4096
#define BUCKETS 4096

enum {
	TYPE_HASH = 1,
	TYPE_ARRAY = 2,
	TYPE_PERCPU_ARRAY = 6,
	TYPE_ARRAY_OF_MAPS = 12,
	TYPE_TASK_STORAGE = 29,
	FLAG_NOEXIST = 1,
	FLAG_EXIST = 2,
	FLAG_FORCE_WAKEUP = 2,
};

struct element {
	struct element *next;
	unsigned char *value; /* an allocation of its own: what is out of bounds is seen */
	unsigned char key[];
};

struct trap {
	unsigned int nth;
	int error;
	void (*run)(void);
};

struct map {
	void *id; /* the variable in the BPF source */
	struct fake_map_shape shape;
	struct element *bucket[BUCKETS];
	size_t nr;
	struct trap trap[FAKE_LOOKUP + 1];
};

struct record {
	struct record *next;
	struct ring *ring;
	size_t nr;
	uint64_t data[];
};

struct ring {
	size_t limit, used;
	struct record *first, **last, *borrowed;
};

struct region {
	uint64_t addr;
	size_t nr;
	unsigned char *bytes;
};

struct fake_current fake;

static struct map *maps[MAX_MAPS];
static size_t nr_maps;
static struct ring *rings[MAX_MAPS];
static size_t nr_rings;
static struct region regions[MAX_REGIONS];
static size_t nr_regions;
static unsigned int nr_reserved, nr_wakeups, nr_reads;
static struct trap read_trap;

static void *must(void *pointer)
{
	if (!pointer)
		abort();
	return pointer;
}

/* --- life --- */

static void map_free(struct map *map)
{
	struct element *element, *next;

	for (size_t i = 0; i < BUCKETS; i++) {
		for (element = map->bucket[i]; element; element = next) {
			next = element->next;
			free(element->value);
			free(element);
		}
	}
	free(map);
}

static void ring_free(struct ring *ring)
{
	size_t nr;

	while (fake_ring_next(ring, &nr))
		;
	free(ring->borrowed);
	free(ring);
}

void fake_reset(void)
{
	while (nr_maps)
		map_free(maps[--nr_maps]);
	while (nr_rings)
		ring_free(rings[--nr_rings]);
	while (nr_regions)
		free(regions[--nr_regions].bytes);
	nr_reserved = nr_wakeups = nr_reads = 0;
	read_trap = (struct trap){.nth = 0};
	fake = (struct fake_current){.now_ns = 1000000};
}

/* --- maps --- */

static struct map *map_of(const void *id)
{
	for (size_t i = 0; i < nr_maps; i++) {
		if (maps[i]->id == id)
			return maps[i];
	}
	abort(); /* a test has not registered it */
}

void fake_map_register(void *id, const struct fake_map_shape *shape)
{
	struct map *map = must(calloc(1, sizeof(*map)));

	if (nr_maps == MAX_MAPS)
		abort();
	map->id = id;
	map->shape = *shape;
	maps[nr_maps++] = map;
}

void fake_map_limit(void *id, size_t max_entries)
{
	map_of(id)->shape.max_entries = max_entries;
}

size_t fake_map_nr(const void *id)
{
	return map_of(id)->nr;
}

void fake_fail(void *id, enum fake_operation operation, unsigned int nth, int error)
{
	map_of(id)->trap[operation] = (struct trap){.nth = nth, .error = error};
}

void fake_before(void *id, enum fake_operation operation, void (*run)(void))
{
	map_of(id)->trap[operation] = (struct trap){.nth = 1, .run = run};
}

/* 0, or the error that the test wants. */
static int trap_sprung(struct trap *set)
{
	struct trap trap = *set;

	if (!trap.nth || --set->nth)
		return 0;
	*set = (struct trap){.nth = 0};
	if (trap.run)
		trap.run();
	return trap.error;
}

static int sprung(struct map *map, enum fake_operation operation)
{
	return trap_sprung(&map->trap[operation]);
}

static struct element **place_of(struct map *map, const void *key)
{
	const unsigned char *at = key;
	size_t hash = 5381;
	struct element **link;

	for (size_t i = 0; i < map->shape.key_bytes; i++)
		hash = hash * 33 + at[i];
	for (link = &map->bucket[hash % BUCKETS]; *link; link = &(*link)->next) {
		if (!memcmp((*link)->key, key, map->shape.key_bytes))
			break;
	}
	return link;
}

static size_t value_bytes(const struct map *map)
{
	return map->shape.value_bytes * (map->shape.type == TYPE_PERCPU_ARRAY ? MAX_CPUS : 1);
}

static struct element *element_add(struct map *map, struct element **place, const void *key)
{
	struct element *element = must(malloc(sizeof(*element) + map->shape.key_bytes));

	element->next = NULL;
	element->value = must(calloc(1, value_bytes(map)));
	memcpy(element->key, key, map->shape.key_bytes);
	*place = element;
	map->nr++;
	return element;
}

/* Elements of arrays are always there. */
static struct element *element_of(struct map *map, const void *key)
{
	struct element **place = place_of(map, key);
	uint32_t index;

	if (*place || map->shape.type == TYPE_HASH || map->shape.type == TYPE_TASK_STORAGE)
		return *place;
	memcpy(&index, key, sizeof(index));
	if (index >= map->shape.max_entries || map->shape.type == TYPE_ARRAY_OF_MAPS)
		return NULL;
	return element_add(map, place, key);
}

void *fake_map_value(void *id, const void *key, unsigned int cpu)
{
	struct map *map = map_of(id);
	struct element *element = element_of(map, key);
	void *inner;

	if (!element)
		return NULL;
	if (map->shape.type == TYPE_PERCPU_ARRAY)
		return element->value + cpu * map->shape.value_bytes;
	if (map->shape.type != TYPE_ARRAY_OF_MAPS)
		return element->value;
	memcpy(&inner, element->value, sizeof(inner));
	return inner;
}

void *bpf_map_lookup_elem(void *id, const void *key)
{
	if (sprung(map_of(id), FAKE_LOOKUP))
		return NULL;
	return fake_map_value(id, key, fake.cpu);
}

long bpf_map_update_elem(void *id, const void *key, const void *value, unsigned long long flags)
{
	struct map *map = map_of(id);
	int error = sprung(map, FAKE_UPDATE);
	struct element **place = place_of(map, key), *element = *place;
	bool hash = map->shape.type == TYPE_HASH;

	if (error)
		return -error;
	if (element && flags == FLAG_NOEXIST)
		return -EEXIST;
	if (!element && hash && flags == FLAG_EXIST)
		return -ENOENT;
	if (!element && hash && map->nr >= map->shape.max_entries)
		return -E2BIG;
	/* The kernel's hash maps put a new element in the place of the old. */
	if (element && hash) {
		bpf_map_delete_elem(id, key);
		place = place_of(map, key);
		element = NULL;
	}
	if (!element)
		element = element_add(map, place, key);
	memcpy(element->value + (hash ? 0
				      : fake.cpu * map->shape.value_bytes *
						 (map->shape.type == TYPE_PERCPU_ARRAY)),
	       value, map->shape.value_bytes);
	return 0;
}

long bpf_map_delete_elem(void *id, const void *key)
{
	struct map *map = map_of(id);
	int error = sprung(map, FAKE_DELETE);
	struct element **place = place_of(map, key), *element = *place;

	if (error)
		return -error;
	if (!element)
		return -ENOENT;
	*place = element->next;
	free(element->value);
	free(element);
	map->nr--;
	return 0;
}

void *bpf_task_storage_get(void *id, void *task, void *value, unsigned long long flags)
{
	struct map *map = map_of(id);
	struct element **place = place_of(map, &task);

	if (*place)
		return (*place)->value;
	if (!flags || sprung(map, FAKE_STORAGE))
		return NULL;
	element_add(map, place, &task);
	if (value)
		memcpy((*place)->value, value, map->shape.value_bytes);
	return (*place)->value;
}

void fake_inner_add(void *id, uint32_t index, void *inner)
{
	struct map *map = map_of(id);

	map->shape.value_bytes = sizeof(inner);
	memcpy(element_add(map, place_of(map, &index), &index)->value, &inner, sizeof(inner));
}

/* --- rings --- */

void *fake_ring_add(void *id, uint32_t index, size_t bytes)
{
	struct ring *ring = must(calloc(1, sizeof(*ring)));

	if (nr_rings == MAX_MAPS)
		abort();
	fake_inner_add(id, index, ring);
	ring->limit = bytes;
	ring->last = &ring->first;
	rings[nr_rings++] = ring;
	return ring;
}

void fake_ring_limit(void *id, size_t bytes)
{
	((struct ring *)id)->limit = bytes;
}

void *bpf_ringbuf_reserve(void *id, unsigned long long size, unsigned long long flags)
{
	struct ring *ring = id;
	struct record *record;

	(void)flags;
	if (ring->used + size > ring->limit)
		return NULL;
	record = must(malloc(sizeof(*record) + size));
	memset(record->data, 0xa5, size);
	*record = (struct record){.ring = ring, .nr = size};
	ring->used += size;
	nr_reserved++;
	return record->data;
}

static struct record *record_of(void *data)
{
	return (void *)((char *)data - offsetof(struct record, data));
}

void bpf_ringbuf_submit(void *data, unsigned long long flags)
{
	struct record *record = record_of(data);

	nr_reserved--;
	nr_wakeups += flags == FLAG_FORCE_WAKEUP;
	*record->ring->last = record;
	record->ring->last = &record->next;
}

void bpf_ringbuf_discard(void *data, unsigned long long flags)
{
	struct record *record = record_of(data);

	nr_reserved--;
	nr_wakeups += flags == FLAG_FORCE_WAKEUP;
	record->ring->used -= record->nr;
	free(record);
}

unsigned long long bpf_ringbuf_query(void *id, unsigned long long what)
{
	(void)what;
	return ((struct ring *)id)->used;
}

const void *fake_ring_next(void *id, size_t *nr)
{
	struct ring *ring = id;

	free(ring->borrowed);
	ring->borrowed = ring->first;
	if (!ring->first)
		return NULL;
	ring->first = ring->first->next;
	if (!ring->first)
		ring->last = &ring->first;
	ring->used -= ring->borrowed->nr;
	*nr = ring->borrowed->nr;
	return ring->borrowed->data;
}

unsigned int fake_nr_reserved(void)
{
	return nr_reserved;
}

unsigned int fake_nr_wakeups(void)
{
	return nr_wakeups;
}

/* --- memory --- */

void *fake_memory_add(uint64_t addr, size_t nr)
{
	struct region *region = &regions[nr_regions++];
	size_t pages = (nr + PAGE - 1) / PAGE * PAGE;

	if (nr_regions > MAX_REGIONS)
		abort();
	*region =
		(struct region){.addr = addr, .nr = nr, .bytes = must(aligned_alloc(PAGE, pages))};
	memset(region->bytes, 0, pages);
	return region->bytes;
}

void *fake_memory_at(uint64_t addr, size_t nr)
{
	for (size_t i = 0; i < nr_regions; i++) {
		if (addr >= regions[i].addr && addr - regions[i].addr < regions[i].nr &&
		    regions[i].nr - (addr - regions[i].addr) >= nr)
			return regions[i].bytes + (addr - regions[i].addr);
	}
	return NULL;
}

void fake_poke(uint64_t addr, uint64_t word)
{
	memcpy(must(fake_memory_at(addr, sizeof(word))), &word, sizeof(word));
}

unsigned int fake_nr_reads(void)
{
	return nr_reads;
}

void fake_fail_read(unsigned int nth)
{
	read_trap = (struct trap){.nth = nth, .error = EFAULT};
}

void fake_before_read(unsigned int nth, void (*run)(void))
{
	read_trap = (struct trap){.nth = nth, .run = run};
}

long bpf_probe_read_user(void *to, unsigned int size, const void *from)
{
	const unsigned char *bytes;
	int error;

	nr_reads++;
	error = trap_sprung(&read_trap);
	bytes = fake_memory_at((uintptr_t)from, size);
	if (!bytes || error) {
		memset(to, 0, size); /* as the kernel does */
		return -EFAULT;
	}
	memcpy(to, bytes, size);
	return 0;
}

/* --- who and when --- */

unsigned long long bpf_ktime_get_ns(void)
{
	return ++fake.now_ns;
}

unsigned long long bpf_jiffies64(void)
{
	return fake.now_ns / FAKE_TICK_NS + 1;
}

unsigned long long bpf_get_current_pid_tgid(void)
{
	return (unsigned long long)fake.tgid << 32 | fake.tid;
}

unsigned long long bpf_get_current_task(void)
{
	return (uintptr_t)fake.task;
}

void *bpf_get_current_task_btf(void)
{
	return fake.task;
}

long bpf_task_pt_regs(void *task)
{
	(void)task;
	return (long)(uintptr_t)fake.regs;
}

long bpf_current_task_under_cgroup(void *map, unsigned int index)
{
	(void)map;
	(void)index;
	return fake.in_cgroup;
}

long bpf_get_current_comm(void *to, unsigned int size)
{
	memset(to, 0, size);
	memcpy(to, fake.comm, size < sizeof(fake.comm) ? size : sizeof(fake.comm));
	return 0;
}

unsigned int bpf_get_smp_processor_id(void)
{
	return fake.cpu;
}

void *bpf_rdonly_cast(const void *at, unsigned int type)
{
	(void)type;
	return (void *)(uintptr_t)at;
}

/* Sebastiano Vigna's splitmix64, its upper half. */
unsigned int bpf_get_prandom_u32(void)
{
	uint64_t x = fake.random += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (unsigned int)((x ^ x >> 31) >> 32);
}

unsigned long long bpf_get_attach_cookie(void *ctx)
{
	(void)ctx;
	return fake.cookie;
}
