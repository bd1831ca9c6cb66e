/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of blocks, told and counted: each goes into the block map or out of it, with one event and one count, or
 * is counted as lost.
 */
#ifndef SEEP_ACCOUNT_BPF_H
#define SEEP_ACCOUNT_BPF_H

#include "blocks.bpf.h"
#include "clock.bpf.h"
#include "queue.bpf.h"

#define OLD_FREED 2 /* has_old: and it was freed meanwhile */

static __always_inline void send_alloc(struct context *c, const struct block_key *key,
				       const struct block_value *block, __u16 flags)
{
	struct event_slot *slot;
	__u64 number;

	slot = slot_take(c->queue, &number);
	if (!slot) {
		event_lost(c);
		return;
	}
	head_set(&slot->head, EVENT_ALLOC, flags, key->proc, block->birth_ns);
	slot->alloc.addr = key->addr;
	slot->alloc.sized = block->sized;
	slot->alloc.stack = block->stack;
	slot->alloc.tid = c->id;
	slot_send(slot, number);
}

static __always_inline void send_free(struct context *c, const struct block_key *key,
				      const struct block_value *block, __u16 flags, __u64 now)
{
	struct event_slot *slot;
	__u64 number;

	slot = slot_take(c->queue, &number);
	if (!slot) {
		event_lost(c);
		return;
	}
	head_set(&slot->head, EVENT_FREE, flags, key->proc, now);
	slot->free.addr = key->addr;
	slot->free.birth_ns = block->birth_ns;
	slot->free.sized = block->sized;
	slot->free.stack = block->stack;
	slot->free.tid = c->id;
	slot_send(slot, number);
}

/* Born when frees were not seen for a while since: it may have been gone for long. */
static __always_inline bool is_unwatched(const struct block_value *block)
{
	return block->birth_ns < watched_since;
}

static __always_inline void count_free(struct context *c)
{
	count_in(c->counters, STAT_FREES, 1);
}

/*
 * A block of an earlier window is gone by now, freed when nobody saw it, or in this moment: told, and not counted. If it is
 * the old block of a realloc that fails, it lives on all the same, and is not looked after any more.
 */
static __noinline int unwatched_end(struct context *c, const struct block_key *key,
				    const struct block_value *block)
{
	send_free(c, key, block, FREE_UNWATCHED, clock_now(c->queue));
	return 0;
}

/* A block that is live under this key was freed without our seeing it. */
static __always_inline void block_replaced(struct context *c, const struct block_key *key,
					   __u64 now)
{
	struct block_value gone = {};

	if (!block_take(key, &gone))
		return;
	if (is_unwatched(&gone)) {
		(void)unwatched_end(c, key, &gone);
		return;
	}
	count_free(c);
	count_in(c->counters, STAT_MISSED_FREES, 1);
	send_free(c, key, &gone, FREE_REPLACED, now);
}

static __always_inline bool role_resizes(__u32 role)
{
	return role == ROLE_REALLOC || role == ROLE_RESIZE;
}

static __always_inline void block_add(struct context *c, __u64 addr, const struct call *call,
				      __u64 now)
{
	struct block_key key = {.addr = addr, .proc = c->proc};
	struct block_value block = {
		.sized = call->sized, .birth_ns = now, .stack = call->stack, .proc = c->proc};
	int err;

	if (c->thread->last_freed == addr)
		c->thread->last_freed = 0;
	count_in(c->counters, STAT_ALLOCS, 1);
	err = block_put_here(&key, &block);
	if (err == -EEXIST) {
		block_replaced(c, &key, now);
		err = block_put(&key, &block);
	}
	if (err) {
		count_in(c->counters, STAT_LOST_ALLOCS, 1);
		return;
	}
	send_alloc(c, &key, &block, role_resizes(call->role) ? ALLOC_REALLOC : 0);
}

static __always_inline bool old_block_is_known(const struct context *c, __u64 ptr)
{
	struct block_key key = {.addr = ptr, .proc = c->proc};

	return ptr && block_is_live(block_set_of(&key), &key);
}

/* Takes the old block of a realloc out of the map. */
static __always_inline void old_block_take(struct context *c, struct call *call)
{
	struct block_key key = {.addr = call->ptr, .proc = c->proc};
	struct block_value old = {};

	call->has_old = 0;
	if (!call->ptr || !block_take(&key, &old))
		return;
	if (is_unwatched(&old)) {
		(void)unwatched_end(c, &key, &old);
		return;
	}
	call->old = old;
	call->has_old = 1;
}

/* The realloc failed, or was left: its old block lives on. */
static __always_inline void old_block_restore(struct context *c, struct call *call)
{
	struct block_key key = {.addr = call->ptr, .proc = c->proc};
	struct block_value old = call->old;

	if (!call->has_old)
		return;
	call->has_old = 0;
	if (block_put(&key, &old)) {
		count_in(c->counters, STAT_LOST_ALLOCS, 1);
		send_free(c, &key, &old, FREE_LOST, old.birth_ns);
		return;
	}
	send_alloc(c, &key, &old, ALLOC_RESTORED);
}

/* The realloc succeeded: its old block has ended. */
static __always_inline void old_block_end(struct context *c, struct call *call, __u64 now)
{
	struct block_key key = {.addr = call->ptr, .proc = c->proc};

	if (!call->ptr)
		return;
	if (!call->has_old) {
		count_in(c->counters, STAT_FREES_UNKNOWN, 1);
		return;
	}
	call->has_old = 0;
	count_free(c);
	send_free(c, &key, &call->old, FREE_REALLOC, now);
}

#endif
