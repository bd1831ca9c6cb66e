// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Page faults: the kernel's software events, after the fault has been handled, so that minor and
 * major are known. One event a CPU and kind; who is no target costs one lookup.
 */
#include "common.bpf.h"
#include "stack.bpf.h"

char LICENSE[] SEC("license") __weak = "GPL";

#if defined(__TARGET_ARCH_x86)
#define REGS_PC(r) ((r)->ip)
#define REGS_SP(r) ((r)->sp)
#define REGS_FP(r) ((r)->bp)
#define REGS_LINK(r) 0
#define REGS_USER(r) (((r)->cs & 3) == 3)
#define PT_LINK(r) 0
#elif defined(__TARGET_ARCH_arm64)
#define REGS_PC(r) ((r)->pc)
#define REGS_SP(r) ((r)->sp)
#define REGS_FP(r) ((r)->regs[29])
#define REGS_LINK(r) ((r)->regs[30])
#define REGS_USER(r) (((r)->pstate & 0xf) == 0)
#define PT_LINK(r) BPF_CORE_READ(r, regs[30])
#endif

/* The kernel itself touched the page, for a system call such as read(): the stack is its caller's. */
static __always_inline __u32 stack_of_kernel_fault(struct context *c)
{
	struct pt_regs *regs;

	if (!config.task_pt_regs) {
		count_in(c->counters, STAT_NO_REGS, 1);
		return SEEP_STACK_UNKNOWN;
	}
	regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	return stack_of(c, PT_REGS_IP_CORE(regs), PT_REGS_SP_CORE(regs), PT_REGS_FP_CORE(regs),
			PT_LINK(regs));
}

static __always_inline int fault(struct bpf_perf_event_data *ctx, __u16 flags, enum seep_stat stat)
{
	struct event_fault *e;
	struct context c;
	void *ring;
	__u32 stack;

	if (!context_enter(&c))
		return 0;
	count_in(c.counters, stat, config.fault_period);
	if (REGS_USER(&ctx->regs))
		stack = stack_of(&c, REGS_PC(&ctx->regs), REGS_SP(&ctx->regs), REGS_FP(&ctx->regs),
				 REGS_LINK(&ctx->regs));
	else
		stack = stack_of_kernel_fault(&c);
	ring = current_ring();
	if (!ring)
		return 0;
	e = bpf_ringbuf_reserve(ring, sizeof(*e), 0);
	if (!e) {
		event_lost(&c);
		return 0;
	}
	head_set(&e->head, EVENT_FAULT, flags, c.proc, bpf_ktime_get_ns());
	e->addr = ctx->addr;
	e->stack = stack;
	e->tid = bpf_get_current_pid_tgid();
	bpf_ringbuf_submit(e, submit_flags(c.thread, ring));
	return 0;
}

SEC("perf_event")
int fault_minor(struct bpf_perf_event_data *ctx)
{
	return fault(ctx, 0, STAT_MINOR_FAULTS);
}

SEC("perf_event")
int fault_major(struct bpf_perf_event_data *ctx)
{
	return fault(ctx, FAULT_MAJOR, STAT_MAJOR_FAULTS);
}
