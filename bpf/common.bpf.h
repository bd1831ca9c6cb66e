/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all BPF programs do: counting, finding out whom the current thread belongs to, and sending. */
#ifndef SEEP_COMMON_BPF_H
#define SEEP_COMMON_BPF_H

#include "maps.bpf.h"

/* What lies at an address of the kernel's, to be read as if of this type: no call, and what faults reads as 0. From 6.2 on. */
extern void *bpf_rdonly_cast(const void *at, __u32 type) __ksym __weak;

static __always_inline void count_in(struct seep_counters *c, __u32 stat, __u64 n)
{
	/* On this CPU alone, but a preempted program may be half-way through: atomic, uncontended. */
	__sync_fetch_and_add(&c->value[stat], n);
}

static __always_inline void count_slot(__u32 slot, __u32 stat, __u64 n)
{
	struct seep_counters *c = bpf_map_lookup_elem(&counters, &slot);

	if (c)
		count_in(c, stat, n);
}

/* Asked for once in a program, as that is a call. NULL where the kernel has no types for it. */
static __always_inline struct task_struct *current_task(void)
{
	return config.task_storage ? bpf_get_current_task_btf() : NULL;
}

/* As bpf_get_current_pid_tgid() says. */
static __always_inline __u64 id_of(const struct task_struct *task)
{
	if (!config.task_storage)
		return bpf_get_current_pid_tgid();
	return (__u64)(__u32)task->tgid << 32 | (__u32)task->pid;
}

/*
 * The slot of the current process; SEEP_SLOT_NONE when it is not a target. A child of vfork() has
 * its own tgid but its parent's memory: what it allocates is its parent's.
 */
static __always_inline __u32 current_slot(__u64 id)
{
	struct task_struct *task = (void *)bpf_get_current_task(), *parent;
	__u32 tgid = id >> 32, *slot;

	slot = bpf_map_lookup_elem(&targets, &tgid);
	if (slot)
		return *slot;
	parent = BPF_CORE_READ(task, real_parent);
	if (BPF_CORE_READ(parent, mm) != BPF_CORE_READ(task, mm))
		return SEEP_SLOT_NONE;
	tgid = BPF_CORE_READ(parent, tgid);
	slot = bpf_map_lookup_elem(&targets, &tgid);
	return slot ? *slot : SEEP_SLOT_NONE;
}

static __always_inline struct thread *thread_place(__u64 id)
{
	__u32 place = id & (THREAD_CACHE_PLACES - 1);

	return bpf_map_lookup_elem(&thread_cache, &place);
}

static __always_inline struct thread *thread_stored(struct task_struct *task, __u32 tid)
{
	if (config.task_storage)
		return bpf_task_storage_get(&threads, task, NULL, 0);
	return bpf_map_lookup_elem(&threads_by_tid, &tid);
}

/* That of the current task, whose number this is. */
static __always_inline struct thread *thread_find(struct task_struct *task, __u64 id)
{
	struct thread *t = thread_place(id);

	return t && t->owner == id ? t : thread_stored(task, id);
}

static __always_inline struct thread *thread_create(struct task_struct *task, __u64 id)
{
	__u32 tid = id, zero = 0;
	struct thread *t = thread_place(id), *empty;

	if (t && !t->owner && !__sync_val_compare_and_swap(&t->owner, 0, id))
		return t;
	if (config.task_storage)
		return bpf_task_storage_get(&threads, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	empty = bpf_map_lookup_elem(&thread_zero, &zero);
	if (!empty || bpf_map_update_elem(&threads_by_tid, &tid, empty, BPF_NOEXIST))
		return NULL;
	return bpf_map_lookup_elem(&threads_by_tid, &tid);
}

/* A thread has gone, whose state was kept here or by its number. Task storage goes by itself. */
static __always_inline void thread_forget(__u64 id)
{
	struct thread *t = thread_place(id);
	__u32 tid = id;

	if (t && t->owner == id) {
		__builtin_memset((char *)t + sizeof(t->owner), 0, sizeof(*t) - sizeof(t->owner));
		__sync_val_compare_and_swap(&t->owner, id, 0);
	}
	if (!config.task_storage)
		bpf_map_delete_elem(&threads_by_tid, &tid);
}

/* What a program needs to know of where it runs. */
struct context {
	struct task_struct *task; /* current_task() */
	__u64 id;		  /* id_of() it */
	struct thread *thread;
	struct seep_counters *counters;
	struct event_queue *queue; /* event_queue.h; of allocations and frees; unset elsewhere */
	__u32 proc;
	__u32 slot_flags;
};

/* False: not armed, not a target, or no memory for its state; there is nothing to do. task: current_task(). */
static __always_inline bool context_enter_as(struct context *c, struct task_struct *task)
{
	struct slot_value *slot;
	struct thread *t;
	__u32 nr;

	if (!armed)
		return false;
	c->task = task;
	c->id = id_of(task);
	t = thread_find(task, c->id);
	if (!t) {
		nr = current_slot(c->id);
		if (nr == SEEP_SLOT_NONE)
			return false;
		t = thread_create(task, c->id);
		if (!t) {
			count_slot(nr, STAT_NO_THREAD_STATE, 1);
			return false;
		}
		t->slot = nr;
		t->generation = targets_generation;
	} else if (t->generation != targets_generation) {
		nr = current_slot(c->id);
		/* Another process has come or gone: this one's calls go on. */
		if (nr != t->slot) {
			t->nr_calls = 0;
			t->vm.kind = 0;
		}
		t->slot = nr;
		t->generation = targets_generation;
	}
	nr = t->slot;
	if (nr == SEEP_SLOT_NONE)
		return false;
	slot = bpf_map_lookup_elem(&slots, &nr);
	c->counters = bpf_map_lookup_elem(&counters, &nr);
	if (!slot || !c->counters)
		return false;
	c->proc = slot->proc;
	c->slot_flags = slot->flags;
	c->thread = t;
	return true;
}

static __always_inline bool context_enter(struct context *c)
{
	return context_enter_as(c, current_task());
}

static __always_inline void *current_ring(void)
{
	__u32 ring = bpf_get_smp_processor_id() % config.nr_rings;

	return bpf_map_lookup_elem(&rings, &ring);
}

/*
 * Waking the reader costs more than all the rest of an event, so nobody is woken for one: the
 * reader looks by itself every few milliseconds, and is woken when a ring fills faster than that.
 */
static __always_inline __u64 submit_flags(struct thread *t, void *ring)
{
	if (++t->events & 63)
		return BPF_RB_NO_WAKEUP;
	if (bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) < config.wakeup_bytes)
		return BPF_RB_NO_WAKEUP;
	return BPF_RB_FORCE_WAKEUP;
}

static __always_inline void event_lost(struct context *c)
{
	count_in(c->counters, STAT_LOST_EVENTS, 1);
	__sync_fetch_and_add(&lost_events, 1);
}

static __always_inline void head_set(struct event_head *head, __u16 kind, __u16 flags, __u32 proc,
				     __u64 time_ns)
{
	head->kind = kind;
	head->flags = flags;
	head->proc = proc;
	head->time_ns = time_ns;
}

/* The inner end of a call under way on this stack, at or above sp? */
static __always_inline bool call_encloses(const struct call *call, __u64 sp)
{
	return call->sp > sp && call->sp - sp < NEST_BYTES;
}

/*
 * While a call with a return probe is under way, the place of its return address holds the kernel's trampoline. Once
 * the call was left without returning, it holds whatever the stack was used for since.
 */
static __always_inline bool is_trampoline(__u64 return_address)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct xol_area *area = BPF_CORE_READ(task, mm, uprobes_state.xol_area);

	return area && BPF_CORE_READ(area, vaddr) == return_address;
}

static __always_inline bool call_is_under_way(__u64 call_sp)
{
#if defined(__TARGET_ARCH_x86)
	__u64 word;

	return !bpf_probe_read_user(&word, sizeof(word), (void *)call_sp) && is_trampoline(word);
#else
	(void)call_sp; /* the return address came in a register, and is kept who knows where */
	return true;
#endif
}

/* Is an allocator call under way that contains stack pointer sp? */
static __always_inline bool inside_call(const struct thread *t, __u64 sp)
{
	__u64 call_sp = 0;

#pragma unroll
	for (__u32 i = 0; i < MAX_CALLS; i++) {
		if (i < t->nr_calls && call_encloses(&t->call[i], sp))
			call_sp = t->call[i].sp;
	}
	return call_sp && call_is_under_way(call_sp);
}

#endif
