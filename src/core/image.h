/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One process image: a process between two execs, with what it holds and what its addresses mean.
 *
 * The numbers obey, at every moment and in whatever order events come,
 *	allocs + marks = frees + live + released
 * where marks are frees whose allocation has not been seen (yet), and released is what was live when
 * the image ended. Events that arrive after the end keep to it: such an allocation is released at
 * once, such a free takes back a release. So do events of blocks whose window is over. A duplicate that comes after the end is not recognised;
 * released may then be negative, and an allocation that nobody saw is what makes up for it.
 *
 * All of them are sums of weights (core/weights.h): of exact blocks, their number.
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
#include "weights.h"

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
	const struct weights *weights;
	uint32_t proc;
	uint32_t tgid;
	size_t number;			 /* of the profile's images */
	const char *comm, *exe, *cgroup; /* kept by the profile */
	bool ended;
	bool exited;	       /* the process is gone */
	struct image *older;   /* of the same process */
	struct target *target; /* that process; of profile.h's making */
	struct site *sites;    /* its own, by struct site's next */
	struct heap *heap;
	struct heap *held; /* what it had when the process exited; NULL before that */
	uint64_t end_ns;   /* of the exit */
	struct heap *
		left; /* what it had when its window ended, until the next one begins; NULL otherwise */
	uint64_t
		window_ns; /* blocks born before then are of a window that is over; 0: there was none */
	struct vm *vm;
	int64_t allocs, frees, released, marks, live;
	int64_t frees_by_resync, missed_frees, taken_back; /* taken_back: FREE_LOST */
	struct {
		int64_t allocs, released, marks;
	} samples; /* likewise, each block counted as one */
	uint64_t alloc_bytes, live_bytes;
	struct map64 names; /* address, with its origin, to struct name * */
	struct image_mapping *mapping;
	size_t nr_mappings, cap_mappings;
};

/* Keeps the weights, which must outlive it. NULL: no memory. */
struct image *image_new(uint32_t proc, const struct weights *weights);
void image_free(struct image *image);

/* Exec: everything live is released. */
void image_end(struct image *image);
/* The same for an exit; but what was live then is kept apart as held: memory that was never freed is what the user asked
 * for. 0 or -ENOMEM (ended, but nothing held). */
int image_exit(struct image *image, uint64_t time_ns);

/*
 * Nothing of it is followed any more from time_ns on, and nobody will tell what becomes of what is live: it is
 * released, and kept apart as left. 0 or -ENOMEM (released, but nothing left).
 */
int image_unwatch(struct image *image, uint64_t time_ns);
/* The next window begins: what was left is forgotten. */
void image_watch(struct image *image);

/* Is it gone with its process or its window? */
static inline bool image_is_over(const struct image *image, uint64_t birth_ns)
{
	return image->ended || birth_ns < image->window_ns;
}

/*
 * Counts an allocation or a free into the heap and the numbers above: enum heap_outcome or -ENOMEM.
 * flags: enum alloc_flags, enum free_flags; time_ns: of the free. The block's tag is one that the weights know;
 * *weight is what has been counted, and the block is changed as by heap_add() and heap_remove().
 */
int image_alloc(struct image *image, struct heap_block *block, uint16_t flags,
		struct weight *weight);
int image_free_block(struct image *image, struct heap_block *block, uint16_t flags,
		     uint64_t time_ns, struct weight *weight);
/* No allocation will come for this mark: there was one, of which nobody told. */
void image_mark_lost(struct image *image, const struct weight *weight);

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
