/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One process image: a process between two execs, with what it holds and what its addresses mean.
 *
 * The numbers obey, at every moment and in whatever order events come,
 *	allocs + marks = frees + live + released
 * where marks are frees whose allocation has not been seen (yet), and released is what was live when
 * the image ended. Events that arrive after the end keep to it: such an allocation is released at
 * once, such a free takes back a release. A duplicate that comes after the end is not recognised;
 * released may then be negative, and an allocation that nobody saw is what makes up for it.
 */
#ifndef SEEP_CORE_IMAGE_H
#define SEEP_CORE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hash.h"
#include "heap.h"
#include "sites.h"
#include "vm.h"

struct name_frame {
	const char *function, *module, *file; /* "" when not known; kept by the profile */
	uint64_t offset;
	uint32_t line;
	bool inlined;
};

/* What an address is called. nr 0: it is in no executable mapping. */
struct name {
	uint64_t hash; /* of all it says but offsets; 0: of a function it does not know */
	uint32_t nr;
	struct name_frame frame[];
};

struct image_mapping {
	uint64_t start, end;
	const char *path;
	uint32_t flags; /* enum mapping_flags */
};

struct image {
	uint32_t proc;
	uint32_t tgid;
	const char *comm, *exe;
	bool ended;
	bool exited;	       /* the process is gone */
	struct image *older;   /* of the same process */
	struct target *target; /* that process; of profile.h's making */
	struct site *sites;    /* its own, by struct site's next */
	struct heap *heap;
	struct heap *held; /* what it had when the process exited; NULL before that */
	uint64_t end_ns;   /* of the exit */
	struct vm *vm;
	int64_t allocs, frees, released, marks;
	int64_t frees_by_resync, missed_frees, taken_back; /* taken_back: FREE_LOST */
	uint64_t alloc_bytes;
	struct map64 names; /* address, with its origin, to struct name * */
	struct image_mapping *mapping;
	size_t nr_mappings, cap_mappings;
};

struct image *image_new(uint32_t proc);
void image_free(struct image *image);

/* Exec: everything live is released. */
void image_end(struct image *image);
/* The same for an exit; but what was live then is kept apart as held: memory that was never freed is what the user asked
 * for. 0 or -ENOMEM (ended, but nothing held). */
int image_exit(struct image *image, uint64_t time_ns);

/*
 * Counts an allocation or a free into the heap and the numbers above: enum heap_outcome or -ENOMEM.
 * flags: enum alloc_flags, enum free_flags; time_ns: of the free.
 */
int image_alloc(struct image *image, const struct heap_block *block, uint16_t flags);
int image_free_block(struct image *image, const struct heap_block *block, uint16_t flags,
		     uint64_t time_ns);

/* address: as stack_lookup_address() gives it, with its origin. NULL: not named. */
const struct name *image_name(const struct image *image, uint64_t address);
void name_hash(struct name *name);
/* Whether both say the same (but for offsets), and know it. */
bool name_equal(const struct name *a, const struct name *b);
/* What a name takes. */
size_t name_bytes(uint32_t nr);
/* Takes over the name, frees the one before. 0 or -ENOMEM (then the name is the caller's still). */
int image_set_name(struct image *image, uint64_t address, struct name *name);

/* "heap", "anon", "file", "stack", "shmem", "special" or "unknown" for a data address. */
const char *image_kind_of(const struct image *image, uint64_t address);

#endif
