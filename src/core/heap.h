/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The live blocks of one process, from events that may come in any order, twice or not at all.
 *
 * A block is (address, birth): the address alone is reused. An allocation and the free that ends it
 * cancel each other whichever is seen first: a free without its allocation leaves a mark, which the
 * allocation takes away when it comes. A block that a resync declared gone leaves a mark too, so
 * that its late events are not counted twice. Marks are dropped by heap_expire() once every event
 * of their time must have been read; only then has an event been lost for good, and the caller is
 * told. A block that was read from the kernel's block map may be followed by its own allocation
 * event, even after its free: heap_add_recovered() allows for that.
 *
 *	alloc(A, 1)  free(A, 1)  alloc(A, 2)		the usual order: A lives since 2
 *	alloc(A, 2)  free(A, 1)  alloc(A, 1)		the same three, shuffled: A lives since 2
 *
 * What is not remembered is a pair that has cancelled: if its free comes a second time it leaves a
 * mark, and if its allocation does, the block lives until the next resync. So what a resync reads
 * from the block map must be added before events that are younger than the reading.
 *
 * Memory: entries of 32 bytes in segments, chained from an index of 4-byte heads, 2 heads an entry.
 * The index grows by splitting one bucket at a time (linear hashing), and no segment moves but the
 * first while it is small, so no addition takes long: below HEAP_BLOCK_BYTES bytes a live block once
 * there are more than 100,000 of them, also while the table grows. Tags, which exact runs do not
 * have, lie in a column of their own that comes with the first of them, 2 bytes a block. A heap of
 * few blocks takes 3 KiB, an empty one nothing but itself: there may be ten thousand. Freed entries
 * are used again; memory goes back in heap_clear() and heap_free() only. Marks cost the same, apart,
 * and theirs goes back when heap_expire() drops the last one.
 *
 * No system call, no clock. -ENOMEM leaves the heap as it was.
 */
#ifndef SEEP_CORE_HEAP_H
#define SEEP_CORE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_BLOCK_BYTES 48

struct heap;

struct heap_block {
	uint64_t addr;
	uint64_t birth_ns;
	uint64_t size_bytes; /* at most 2^55 - 1, larger ones are clamped */
	uint32_t stack;
	uint16_t tag; /* what it stands for: SEEP_TAG() of bpf/event.h */
};

struct heap *heap_new(void); /* NULL: no memory */
void heap_free(struct heap *heap);
void heap_clear(struct heap *heap); /* exec or exit: everything is gone, marks too */

enum heap_outcome {
	HEAP_DONE = 0,	    /* alloc: now live; free: was live, gone now */
	HEAP_CANCELLED = 1, /* alloc: its free was here before: never live now */
	HEAP_MARKED = 2,    /* free: its allocation is not here yet: mark left */
	HEAP_DUPLICATE = 3, /* either: declared gone; alloc: lives already; free: marked already */
	HEAP_REVIVED = 4,   /* recovered, restored: declared gone, and yet it lives */
};

/*
 * enum heap_outcome, or -ENOMEM. When the block is cancelled, its size and tag become what its free said.
 */
int heap_add(struct heap *heap, struct heap_block *block);
/*
 * A block that was read from the kernel's block map: its allocation event was lost, or has yet to
 * come and is then a duplicate, in whatever order with its free.
 */
int heap_add_recovered(struct heap *heap, struct heap_block *block);
/*
 * A failed realloc() put its old block back into the block map. That changes nothing here, unless a
 * resync looked while it was out and declared it gone: HEAP_REVIVED or HEAP_DUPLICATE.
 */
int heap_restore(struct heap *heap, const struct heap_block *block);
/*
 * The same for the end of a block at time_ns; size, tag and stack go into the mark if one is needed.
 * When it is done, size and tag become what the allocation said. -ENOMEM only where a mark is.
 */
int heap_remove(struct heap *heap, struct heap_block *block, uint64_t time_ns);
/*
 * A resync found the block gone at time_ns: HEAP_DONE (size and tag likewise; a mark is left, which
 * swallows its late events until it expires), HEAP_DUPLICATE (not live here) or -ENOMEM.
 */
int heap_remove_by_resync(struct heap *heap, struct heap_block *block, uint64_t time_ns);

/*
 * Drops the marks that no event can match any more: those of frees without allocation whose birth
 * was before before_ns, and those of blocks declared gone before then. For each of the former
 * lost() is called: a block that we only know by its end. lost may be NULL; it must not change the
 * heap.
 */
void heap_expire(struct heap *heap, uint64_t before_ns,
		 void (*lost)(const struct heap_block *block, void *arg), void *arg);

size_t heap_nr_live(const struct heap *heap);
size_t heap_nr_marks(const struct heap *heap);
uint64_t
heap_live_bytes(const struct heap *heap); /* of the blocks themselves, whatever they stand for */
size_t heap_memory_bytes(const struct heap *heap); /* all that is allocated for it */
bool heap_has(const struct heap *heap, uint64_t addr, uint64_t birth_ns);

/*
 * Calls visit() for every live block, in no order; stops and returns its value when that is not 0.
 * visit() may remove blocks, the visited one too, with heap_remove() and heap_remove_by_resync();
 * it must not add any.
 */
int heap_walk(const struct heap *heap, int (*visit)(const struct heap_block *block, void *arg),
	      void *arg);

/*
 * Resync against the kernel's block map: begin, then heap_mark_seen() for every block read from it,
 * then walk those that were born before before_ns and not seen. heap_mark_seen() returns false when
 * the block is not live here. A block added since the begin is not seen either until it is marked.
 * heap_walk_unseen() is like heap_walk().
 */
void heap_resync_begin(struct heap *heap);
bool heap_mark_seen(struct heap *heap, uint64_t addr, uint64_t birth_ns);
int heap_walk_unseen(const struct heap *heap, uint64_t before_ns,
		     int (*visit)(const struct heap_block *block, void *arg), void *arg);

#endif
