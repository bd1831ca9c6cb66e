/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel types that our BPF programs touch, and no others: written by hand, so that a build
 * does not depend on the kernel it runs on.
 *
 * Structs marked preserve_access_index hold only the fields we read; libbpf moves each access to
 * the field's real offset when it loads the program (CO-RE), and bpf_core_field_exists() tells
 * when a kernel has no such field. The others are part of the kernel's ABI.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
#define true 1
#define false 0

/* include/uapi/linux/bpf.h */
enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_EXIST = 2,
};

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_CGROUP_ARRAY = 8,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum {
	BPF_F_NO_PREALLOC = 1U << 0,
	BPF_F_MMAPABLE = 1U << 10,
};

enum {
	BPF_RB_NO_WAKEUP = 1ULL << 0,
	BPF_RB_FORCE_WAKEUP = 1ULL << 1,
};

enum {
	BPF_RB_AVAIL_DATA = 0,
};

enum {
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1ULL << 0,
};

/* include/uapi/asm-generic/errno-base.h */
enum {
	EBUSY = 16,
	EEXIST = 17,
	ENOSYS = 38,
};

#if defined(__TARGET_ARCH_x86)

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};

typedef struct pt_regs bpf_user_pt_regs_t;

#elif defined(__TARGET_ARCH_arm64)

struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};

/* The kernel's own begins with the user's. */
struct pt_regs {
	union {
		struct user_pt_regs user_regs;
		struct {
			__u64 regs[31];
			__u64 sp;
			__u64 pc;
			__u64 pstate;
		};
	};
};

typedef struct user_pt_regs bpf_user_pt_regs_t;

#endif

/* include/uapi/linux/bpf_perf_event.h */
struct bpf_perf_event_data {
	bpf_user_pt_regs_t regs;
	__u64 sample_period;
	__u64 addr;
};

/* include/uapi/linux/bpf.h */
struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

/* Context of tracepoint/syscalls/sys_enter_*, sys_exit_*: events/syscalls/.../format in tracefs. */
struct syscall_enter_args {
	__u64 common;
	__s64 nr;
	__u64 args[6];
};

struct syscall_exit_args {
	__u64 common;
	__s64 nr;
	__s64 ret;
};

/* 6.18: a field of this name and size makes a value of a map one that a task can be given work by. */
struct bpf_task_work {
	__u64 __opaque;
};

struct bpf_map;
typedef int (*bpf_task_work_callback_t)(struct bpf_map *map, void *key, void *value);

#ifdef __bpf__
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
#endif

typedef struct {
	int counter;
} atomic_t;

struct xol_area {
	unsigned long vaddr;
};

struct uprobes_state {
	struct xol_area *xol_area;
};

struct mm_struct {
	void *pgd;
	unsigned long brk;
	struct uprobes_state uprobes_state;
};

struct signal_struct {
	atomic_t live;
};

/* A return probe that waits for its function to return. */
struct return_instance {
	unsigned long stack; /* where the return address was */
	unsigned long orig_ret_vaddr;
	struct return_instance *next;
};

struct uprobe_task {
	struct return_instance *return_instances;
};

/* What a program of a link of many uprobes runs with; task_struct.bpf_ctx. */
struct bpf_run_ctx;

struct bpf_uprobe {
	__u64 cookie;
};

struct bpf_session_run_ctx {
	bool is_return;
};

struct bpf_uprobe_multi_run_ctx {
	struct bpf_session_run_ctx session_ctx;
	struct bpf_uprobe *uprobe;
};

/* Any type will do that begins with a number of 64 bits: what is wanted is a word. */
struct timespec64 {
	long tv_sec;
};

struct thread_info {
	__u32 status;
};

struct task_struct {
	struct thread_info thread_info;
	int pid;
	int tgid;
	struct mm_struct *mm;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct signal_struct *signal;
	struct uprobe_task *utask;
	struct bpf_run_ctx *bpf_ctx;
	char comm[16];
};

#ifdef __bpf__
#pragma clang attribute pop
#endif

#endif
