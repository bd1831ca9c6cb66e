// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lives of processes: fork, exec, exit. These run for every process of the system, and cost those
 * that are no targets one lookup.
 */
#include "follow.bpf.h"

char LICENSE[] SEC("license") __weak = "GPL";

/*
 * Waking the reader takes some 10 us on a virtual machine, which are the process's. With very many processes the first
 * event does that after the reader has read all, and others wait for the reader to look again.
 */
static __always_inline __u64 wakeup_flags(void)
{
	return follow.all || follow.cgroup ? 0 : BPF_RB_FORCE_WAKEUP;
}

static __always_inline void proc_send(__u16 kind, __u16 flags, __u32 proc, __u32 tgid,
				      __u32 parent_tgid)
{
	struct event_proc *e;
	void *ring = current_ring();

	if (!ring)
		return;
	e = bpf_ringbuf_reserve(ring, sizeof(*e), 0);
	if (!e) {
		count_slot(SEEP_PROC_SLOT(proc), STAT_LOST_EVENTS, 1);
		__sync_fetch_and_add(&lost_events, 1);
		return;
	}
	head_set(&e->head, kind, flags, proc, bpf_ktime_get_ns());
	e->tgid = tgid;
	e->parent_tgid = parent_tgid;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, wakeup_flags());
}

static __always_inline struct slot_value *target_slot(__u32 tgid, __u32 *nr)
{
	__u32 *slot = bpf_map_lookup_elem(&targets, &tgid);

	if (!slot)
		return NULL;
	*nr = *slot;
	return bpf_map_lookup_elem(&slots, nr);
}

/* A child in its parent's memory: it becomes a target of its own when it execs, if it is to be one. */
static __always_inline void vfork_child(const struct slot_value *parent, __u32 tgid,
					__u32 parent_tgid)
{
	__u32 one = 1;

	if (follow.is_on && follow.children && parent &&
	    bpf_map_update_elem(&vforked, &tgid, &one, BPF_ANY))
		__sync_fetch_and_add(&slots_missing, 1); /* nobody will know it at its exec */
	if (parent)
		proc_send(EVENT_FORK, FORK_SHARED, parent->proc, tgid, parent_tgid);
}

/* sched_process_fork(parent, child): the child has not run yet. */
SEC("raw_tp/sched_process_fork")
int proc_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *child = (void *)ctx->args[1], *task = (void *)bpf_get_current_task();
	__u32 parent = bpf_get_current_pid_tgid() >> 32, tgid, nr = SEEP_SLOT_NONE, proc = 0;
	struct slot_value *slot;
	struct mm_struct *mm;

	if (!armed)
		return 0;
	tgid = BPF_CORE_READ(child, tgid);
	mm = BPF_CORE_READ(child, mm);
	if (tgid == parent || !mm) /* a thread, or the kernel's */
		return 0;
	slot = target_slot(parent, &nr);
	if (mm == BPF_CORE_READ(task, mm)) {
		vfork_child(slot, tgid, parent);
		return 0;
	}
	if (follow.is_on && ((slot && follow.children) || is_asked_for(tgid, parent)))
		proc = target_born(tgid);
	if (proc && slot)
		code_copy(nr, SEEP_PROC_SLOT(proc));
	if (proc)
		proc_send(EVENT_FORK, FORK_FOLLOWED, proc, tgid, parent);
	else if (slot)
		proc_send(EVENT_FORK, 0, slot->proc, tgid, parent);
	return 0;
}

/* None of what was mapped is there any more. */
static __always_inline void forget_code(__u32 slot)
{
	struct unwind_process *p = bpf_map_lookup_elem(&unwind_processes, &slot);

	if (!p)
		return;
	p->nr = 0;
	__sync_fetch_and_add(&p->generation, 2);
}

/* Who was no target is one from now on, if his parent was followed into vfork(), or if he is asked for. */
static __always_inline void exec_new(__u32 tgid, __u32 was_tid)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 proc;

	if (!follow.is_on || !armed)
		return;
	if (bpf_map_delete_elem(&vforked, &tgid) &&
	    !is_asked_for(tgid, BPF_CORE_READ(task, real_parent, tgid)))
		return;
	proc = target_born(tgid);
	if (proc)
		proc_send(EVENT_EXEC, 0, proc, tgid, was_tid);
}

/*
 * sched_process_exec(task, old id, binary): the address space is new. A target gets its next incarnation here, before its
 * new image runs; a child of vfork() stops being its parent.
 */
SEC("raw_tp/sched_process_exec")
int proc_exec(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, was_tid = ctx->args[1], nr;
	struct slot_value *slot;
	struct thread *t = thread_find(current_task(), bpf_get_current_pid_tgid());

	/* Another thread than the leader has taken the leader's id. */
	if (was_tid != tgid)
		thread_forget((__u64)tgid << 32 | was_tid);
	if (t) {
		t->generation = targets_generation - 1; /* looked up again at the next use */
		t->nr_calls = 0;
	}
	slot = target_slot(tgid, &nr);
	if (!slot) {
		exec_new(tgid, was_tid);
		return 0;
	}
	slot->proc = SEEP_PROC(nr, SEEP_PROC_INCARNATION(slot->proc) + 1);
	slot->flags = 0;
	forget_code(nr);
	if (armed)
		proc_send(EVENT_EXEC, 0, slot->proc, tgid, was_tid);
	return 0;
}

/* sched_process_exit runs for each thread; the process is gone when no thread is left. */
SEC("raw_tp/sched_process_exit")
int proc_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tgid = id >> 32, tid = id, nr;
	struct slot_value *slot;

	thread_forget(id);
	slot = target_slot(tgid, &nr);
	if (!slot) {
		if (follow.is_on && tid == tgid)
			(void)bpf_map_delete_elem(&vforked, &tgid);
		return 0;
	}
	if (BPF_CORE_READ(task, signal, live.counter) != 0) {
		if (tid == tgid)
			__sync_fetch_and_add(&leaders_gone, 1);
		return 0;
	}
	/* The kernel may give the number to somebody else before userspace looks. */
	bpf_map_delete_elem(&targets, &tgid);
	if (armed)
		proc_send(EVENT_EXIT, 0, slot->proc, tgid, 0);
	return 0;
}
