// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Heap probes that a program brings along and that it runs for the blocks it has sampled itself: after an allocation, and
 * before a free of such a block. No call is paired with a return, as the block is known at once.
 *
 * What is counted are the sampled blocks: STAT_ALLOCS, STAT_FREES and so on. STAT_CALLS stays 0, as nobody knows of the
 * other calls.
 */
#include "account.bpf.h"
#include "regs.bpf.h"
#include "stack.bpf.h"
#include "usdt_spec.h"

char LICENSE[] SEC("license") __weak = "GPL";

#if defined(__TARGET_ARCH_x86)
#define USDT_REG_SP USDT_REG_SP_X86
#elif defined(__TARGET_ARCH_arm64)
#define USDT_REG_SP USDT_REG_SP_ARM64
#endif

/* By number; 0 is none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, USDT_MAX_SPECS);
	__type(key, __u32);
	__type(value, struct usdt_spec);
} usdt_specs SEC(".maps") __weak;

static __always_inline __u64 usdt_register(const struct pt_regs *ctx, __u32 reg)
{
	return reg == USDT_REG_SP ? PT_REGS_SP(ctx) : reg_get(ctx, reg);
}

static __always_inline __u64 extended(const struct usdt_arg *arg, __u64 value)
{
	__u32 shift = (64 - 8 * arg->bytes) & 63;

	value <<= shift;
	return arg->is_signed ? (__u64)((__s64)value >> shift) : value >> shift;
}

/* 0; -1: it could not be read. */
static __noinline int usdt_arg_get(struct pt_regs *ctx, const struct usdt_arg *arg, __u64 *out)
{
	__u64 base, value = arg->value;
	__u32 bytes = arg->bytes;

	if (arg->kind != USDT_ARG_CONSTANT) {
		base = usdt_register(ctx, arg->base);
		if (arg->kind == USDT_ARG_REGISTER) {
			value = base;
		} else {
			value += base + (usdt_register(ctx, arg->index) << (arg->shift & 3));
			base = 0;
			if (bytes > sizeof(base) ||
			    bpf_probe_read_user(&base, bytes, (void *)value))
				return -1;
			value = base;
		}
	}
	*out = extended(arg, value);
	return 0;
}

/* The spec of the probe that was hit, of a target; NULL: there is nothing to do. */
static __always_inline const struct usdt_spec *usdt_enter(struct pt_regs *ctx, struct context *c)
{
	__u32 number = bpf_get_attach_cookie(ctx);

	if (!context_enter(c))
		return NULL;
	c->queue = queue_here();
	if (!c->queue)
		return NULL;
	count_in(c->counters, STAT_USDT_HITS, 1);
	return bpf_map_lookup_elem(&usdt_specs, &number);
}

SEC("uprobe")
int usdt_alloc(struct pt_regs *ctx)
{
	struct call call = {.role = ROLE_ALLOC};
	const struct usdt_spec *spec;
	__u64 block = 0, size = 0, weight = 0;
	struct context c;

	spec = usdt_enter(ctx, &c);
	if (!spec)
		return 0;
	if (usdt_arg_get(ctx, &spec->arg[0], &block) || usdt_arg_get(ctx, &spec->arg[1], &size) ||
	    usdt_arg_get(ctx, &spec->arg[2], &weight)) {
		count_in(c.counters, STAT_OUT_POINTER_FAULTS, 1);
		return 0;
	}
	if (!block) {
		count_in(c.counters, STAT_FAILED_ALLOCS, 1);
		return 0;
	}
	call.sized = usdt_sized(size, weight);
	call.stack = stack_of(&c, PT_REGS_IP(ctx), PT_REGS_SP(ctx), PT_REGS_FP(ctx), LINK_REG(ctx));
	block_add(&c, block, &call, clock_birth(c.queue));
	return 0;
}

SEC("uprobe")
int usdt_free(struct pt_regs *ctx)
{
	struct block_value block = {};
	const struct usdt_spec *spec;
	struct block_key key = {};
	struct context c;

	spec = usdt_enter(ctx, &c);
	if (!spec)
		return 0;
	if (usdt_arg_get(ctx, &spec->arg[0], &key.addr)) {
		count_in(c.counters, STAT_OUT_POINTER_FAULTS, 1);
		return 0;
	}
	key.proc = c.proc;
	if (!key.addr)
		return 0;
	if (!block_take(&key, &block)) {
		count_in(c.counters, STAT_FREES_UNKNOWN, 1);
		return 0;
	}
	if (is_unwatched(&block)) {
		count_in(c.counters, STAT_FREES_UNKNOWN, 1);
		(void)unwatched_end(&c, &key, &block);
		return 0;
	}
	count_free(&c);
	send_free(&c, &key, &block, 0, clock_now(c.queue));
	return 0;
}
