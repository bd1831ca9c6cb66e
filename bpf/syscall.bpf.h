/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program at the entry or the return of a system call, in two versions of which one is loaded.
 *
 * Tracepoints of system calls have a price that others pay: as long as one is in use, all system calls of all processes
 * take the kernel's slow way, some 0.1 us each, and so do return probes, which are system calls themselves. A trampoline at
 * the function of one system call (fentry, 5.5; arm64 6.0) costs nobody else anything, where the kernel has such.
 *
 * It is not run where the same program is under way on this CPU already, preempted: the kernel counts that.
 */
#ifndef SEEP_SYSCALL_BPF_H
#define SEEP_SYSCALL_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#if defined(__TARGET_ARCH_x86)
#define SYSCALL_FUNCTION "__x64_sys_"
#elif defined(__TARGET_ARCH_arm64)
#define SYSCALL_FUNCTION "__arm64_sys_"
#endif

#define SYSCALL_ARGS 6

static __always_inline void syscall_args(const struct pt_regs *regs, __u64 arg[SYSCALL_ARGS])
{
#if defined(__TARGET_ARCH_x86)
	arg[0] = regs->di;
	arg[1] = regs->si;
	arg[2] = regs->dx;
	arg[3] = regs->r10;
	arg[4] = regs->r8;
	arg[5] = regs->r9;
#elif defined(__TARGET_ARCH_arm64)
	const struct user_pt_regs *user = (const void *)regs;

	for (__u32 i = 0; i < SYSCALL_ARGS; i++)
		arg[i] = user->regs[i];
#endif
}

/* name(), and name_here() at the call's function: both run body(const __u64 *arguments). */
#define SYSCALL_ENTRY(call, name, body)                                                            \
	SEC("tracepoint/syscalls/sys_enter_" #call)                                                \
	int name(struct syscall_enter_args *ctx)                                                   \
	{                                                                                          \
		body(ctx->args);                                                                   \
		return 0;                                                                          \
	}                                                                                          \
	SEC("fentry/" SYSCALL_FUNCTION #call)                                                      \
	int name##_here(__u64 *ctx)                                                                \
	{                                                                                          \
		__u64 arg[SYSCALL_ARGS];                                                           \
                                                                                                   \
		syscall_args((const void *)ctx[0], arg);                                           \
		body(arg);                                                                         \
		return 0;                                                                          \
	}

/* Likewise, body(what the call returns). */
#define SYSCALL_RETURN(call, name, body)                                                           \
	SEC("tracepoint/syscalls/sys_exit_" #call)                                                 \
	int name(struct syscall_exit_args *ctx)                                                    \
	{                                                                                          \
		body(ctx->ret);                                                                    \
		return 0;                                                                          \
	}                                                                                          \
	SEC("fexit/" SYSCALL_FUNCTION #call)                                                       \
	int name##_here(__u64 *ctx)                                                                \
	{                                                                                          \
		body((__s64)ctx[1]);                                                               \
		return 0;                                                                          \
	}

#endif
