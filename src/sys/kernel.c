// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "array.h"
#include "fd.h"
#include "uprobe_link.h"
#include "uprobe_program.h"
#include "uprobe_trial.h"

#define CAP_CHECKPOINT_RESTORE_NR 40

#define FIRST_PID_NAMESPACE 0xeffffffcu /* PROC_PID_INIT_INO of include/linux/proc_ns.h */

static bool has_type(const struct btf *btf, const char *name, unsigned int kind)
{
	return btf && btf__find_by_name_kind(btf, name, kind) > 0;
}

static bool has_member(const struct btf *btf, const char *type, const char *member)
{
	int id = btf ? btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT) : -ENOENT;
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
	const struct btf_member *m = t ? btf_members(t) : NULL;
	uint32_t i;

	for (i = 0; t && i < btf_vlen(t); i++) {
		if (!strcmp(btf__name_by_offset(btf, m[i].name_off), member))
			return true;
	}
	return false;
}

/* What bpf/running.bpf.h reads. */
static bool tells_returns(const struct kernel_features *f, const struct btf *btf)
{
	return f->casts && f->task_storage && has_member(btf, "task_struct", "bpf_ctx") &&
	       has_member(btf, "bpf_session_run_ctx", "is_return") &&
	       has_member(btf, "bpf_uprobe_multi_run_ctx", "session_ctx") &&
	       has_member(btf, "bpf_uprobe_multi_run_ctx", "uprobe") &&
	       has_member(btf, "bpf_uprobe", "cookie");
}

/* "/" is no file: a kernel that knows such links says so, one that does not says EINVAL. */
static bool has_links(enum uprobe_link_kind kind)
{
	const uint64_t offset = 0;
	const struct uprobe_places places = {.path = "/", .offset = &offset, .nr = 1};
	int prog_fd = uprobe_program_constant(uprobe_link_attach_type(kind), 0), fd;

	if (prog_fd < 0)
		return false;
	fd = uprobe_link(prog_fd, kind, &places);
	fd_close(&prog_fd);
	return fd == -EBADF;
}

/* Loads a compare and swap on the stack. */
static bool has_atomics(void)
{
	const struct bpf_insn insn[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_STX | BPF_MEM | BPF_DW,
		 .dst_reg = BPF_REG_10,
		 .src_reg = BPF_REG_0,
		 .off = -8},
		{.code = BPF_STX | BPF_ATOMIC | BPF_DW,
		 .dst_reg = BPF_REG_10,
		 .src_reg = BPF_REG_0,
		 .off = -8,
		 .imm = BPF_CMPXCHG},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, NULL, "GPL", insn, ARRAY_SIZE(insn), NULL);
	bool loaded = fd >= 0;

	fd_close(&fd);
	return loaded;
}

#if defined(__x86_64__)
#define SYSCALL_TO_TRY "__x64_sys_mremap"
#else
#define SYSCALL_TO_TRY "__arm64_sys_mremap"
#endif

/* Some kernels load such programs and then refuse to attach them: both are tried. */
static bool can_trace(int btf_id, enum bpf_attach_type type)
{
	const struct bpf_insn insn[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = type,
		    .attach_btf_id = btf_id > 0 ? (uint32_t)btf_id : 0);
	int program, link;
	bool can;

	if (btf_id <= 0)
		return false;
	program =
		bpf_prog_load(BPF_PROG_TYPE_TRACING, NULL, "GPL", insn, ARRAY_SIZE(insn), &options);
	if (program < 0)
		return false;
	link = bpf_raw_tracepoint_open(NULL, program);
	can = link >= 0;
	fd_close(&link);
	fd_close(&program);
	return can;
}

static bool has_trampolines(const struct btf *btf)
{
	return btf && can_trace(btf__find_by_name_kind(btf, SYSCALL_TO_TRY, BTF_KIND_FUNC),
				BPF_TRACE_FEXIT);
}

/* With so many arguments. */
static bool has_tracepoint(const struct btf *btf, const char *type_name, uint32_t nr_args)
{
	int id = btf__find_by_name_kind(btf, type_name, BTF_KIND_TYPEDEF);
	const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	type = type ? btf__type_by_id(btf, type->type) : NULL; /* a pointer */
	type = type ? btf__type_by_id(btf, type->type) : NULL;
	/* the first is what a program of the kernel's brings along */
	return type && btf_is_func_proto(type) && btf_vlen(type) == nr_args + 1 &&
	       can_trace(id, BPF_TRACE_RAW_TP);
}

/* By its name of 7.0, then by that of 6.18. bpf/lock.bpf.c reads the registers of x86 alone. */
static uint32_t find_task_work(const struct btf *btf)
{
	static const char *const name[] = {"bpf_task_work_schedule_resume",
					   "bpf_task_work_schedule_resume_impl"};
	bool knows_registers = false;
	int id = -ENOENT;
	size_t i;

#if defined(__x86_64__)
	knows_registers = true;
#endif
	if (!knows_registers || !has_type(btf, "bpf_task_work", BTF_KIND_STRUCT) ||
	    !has_tracepoint(btf, "btf_trace_mmap_lock_acquire_returned", 3))
		return 0;
	for (i = 0; i < ARRAY_SIZE(name) && id <= 0; i++)
		id = btf__find_by_name_kind(btf, name[i], BTF_KIND_FUNC);
	return id > 0 ? (uint32_t)id : 0;
}

void kernel_probe(struct kernel_features *f)
{
	struct utsname uts;
	struct btf *btf;
	bool sessions;

	*f = (struct kernel_features){0};
	(void)libbpf_set_print(NULL); /* what is missing, our caller says */
	if (!uname(&uts))
		snprintf(f->release, sizeof(f->release), "%s", uts.release);
	btf = btf__load_vmlinux_btf();
	if (libbpf_get_error(btf))
		btf = NULL;
	f->btf = btf;
	f->ring_buffer = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, NULL) > 0;
	f->uprobe_pmu = !access("/sys/bus/event_source/devices/uprobe/type", R_OK);
	f->uprobe_cookie =
		libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_get_attach_cookie, NULL) > 0;
	f->task_storage =
		libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, NULL) > 0 &&
		libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_task_storage_get, NULL) > 0;
	f->task_pt_regs =
		libbpf_probe_bpf_helper(BPF_PROG_TYPE_TRACEPOINT, BPF_FUNC_task_pt_regs, NULL) > 0;
	f->hash_on_demand = has_type(btf, "bpf_mem_alloc", BTF_KIND_STRUCT);
	f->syscall_tracepoints = kernel_tracepoint_id("syscalls", "sys_enter_mmap") >= 0;
	f->trampolines = has_trampolines(btf);
	f->task_work = find_task_work(btf);
	f->atomics = has_atomics();
	f->casts = has_type(btf, "bpf_rdonly_cast", BTF_KIND_FUNC);
	f->uprobe_multi = has_links(UPROBE_LINK_ENTRY);
	sessions = has_links(UPROBE_LINK_SESSION);
	f->uprobe_session = sessions && tells_returns(f, btf);
	/* kernels with sessions have been mended long since */
	if (f->uprobe_multi && !sessions)
		f->uprobe_multi = uprobe_trial_threads() == 1;
	btf__free(btf);
}

static const struct {
	unsigned int nr;
	const char *name;
	bool admin_will_do; /* CAP_SYS_ADMIN stands for it */
} needed[] = {
	{CAP_BPF, "CAP_BPF", true},
	{CAP_PERFMON, "CAP_PERFMON", true},
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE", false},
	{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", false},
	{CAP_CHECKPOINT_RESTORE_NR, "CAP_CHECKPOINT_RESTORE", true},
};

bool kernel_capabilities(char *missing, size_t size)
{
	bool admin, complete = true;
	size_t used = 0, i;

	missing[0] = '\0';
	capng_get_caps_process();
	admin = capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN);
	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		if (capng_have_capability(CAPNG_EFFECTIVE, needed[i].nr) ||
		    (admin && needed[i].admin_will_do))
			continue;
		used += (size_t)snprintf(missing + used, used < size ? size - used : 0, "%s%s",
					 complete ? "" : ", ", needed[i].name);
		if (used > size)
			used = size;
		complete = false;
	}
	return complete;
}

int kernel_drop_capabilities(bool uprobes)
{
	bool keeps_admin;
	size_t i;

	capng_get_caps_process();
	keeps_admin = uprobes && capng_have_capability(CAPNG_PERMITTED, CAP_SYS_ADMIN);
	/* Where one of ours is missing, CAP_SYS_ADMIN is what stands for it. */
	for (i = 0; i < ARRAY_SIZE(needed); i++)
		keeps_admin |= !capng_have_capability(CAPNG_PERMITTED, needed[i].nr);
	capng_clear(CAPNG_SELECT_CAPS);
	for (i = 0; i < ARRAY_SIZE(needed); i++)
		(void)capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, needed[i].nr);
	if (keeps_admin)
		(void)capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SYS_ADMIN);
	return capng_apply(CAPNG_SELECT_CAPS) ? -EPERM : 0;
}

bool kernel_knows_our_pids(void)
{
	struct stat of;

	return !stat("/proc/self/ns/pid", &of) && of.st_ino == FIRST_PID_NAMESPACE;
}

static void raise_limit(int resource, rlim_t want)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) || limit.rlim_cur >= want)
		return;
	limit.rlim_cur = want;
	if (limit.rlim_max < want)
		limit.rlim_max = want;
	if (!setrlimit(resource, &limit))
		return;
	/* Without the right to raise the hard limit, at least up to it. */
	if (!getrlimit(resource, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(resource, &limit);
	}
}

void kernel_raise_limits(void)
{
	raise_limit(RLIMIT_NOFILE, 65536);
	raise_limit(RLIMIT_MEMLOCK, RLIM_INFINITY);
}

/* A mount of tracefs that is in no directory; -1 where the kernel or our rights do not allow it. */
static int tracefs_mount(void)
{
	int fs = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC), mount = -1;

	if (fs < 0)
		return -1;
	if (!syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	fd_close(&fs);
	return mount;
}

static int read_id(int dir, const char *path)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	char text[32] = "";
	ssize_t nr;

	if (fd < 0)
		return -errno;
	nr = read(fd, text, sizeof(text) - 1);
	fd_close(&fd);
	return nr > 0 ? atoi(text) : -EIO;
}

int kernel_tracepoint_id(const char *category, const char *name)
{
	static const char *const mounts[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	char path[256], below[192];
	int id = -ENOENT, dir;
	size_t i;

	snprintf(below, sizeof(below), "events/%s/%s/id", category, name);
	for (i = 0; i < ARRAY_SIZE(mounts); i++) {
		snprintf(path, sizeof(path), "%s/%s", mounts[i], below);
		id = read_id(AT_FDCWD, path);
		if (id >= 0)
			return id;
	}
	dir = tracefs_mount();
	if (dir < 0)
		return id;
	id = read_id(dir, below);
	fd_close(&dir);
	return id;
}

unsigned int kernel_nr_cpus(void)
{
	int nr = libbpf_num_possible_cpus();

	return nr > 0 ? (unsigned int)nr : 1;
}
