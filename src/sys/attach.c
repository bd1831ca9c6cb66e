// SPDX-License-Identifier: GPL-2.0-or-later
#include "attach.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "array.h"
#include "attach_impl.h"
#include "closer.h"
#include "fd.h"

#include <bpf/libbpf.h>

const char *attach_kind_name(enum attach_kind kind)
{
	switch (kind) {
	case ATTACH_PERF:
		return "perf";
	case ATTACH_MULTI:
		return "multi";
	case ATTACH_SESSION:
		return "session";
	}
	return "?";
}

void attach_init(struct attach *a)
{
	*a = (struct attach){0};
}

void attach_cut(struct attach *a, size_t nr)
{
	closer_close(a->fd + nr, a->nr - nr);
	a->nr = nr;
}

void attach_release(struct attach *a)
{
	attach_cut(a, 0);
	free(a->fd);
	attach_init(a);
}

void attach_move(struct attach *to, struct attach *from)
{
	if (from->nr && !ARRAY_GROW(&to->fd, &to->cap, to->nr + from->nr)) {
		memcpy(to->fd + to->nr, from->fd, from->nr * sizeof(*to->fd));
		to->nr += from->nr;
		from->nr = 0;
	}
	attach_release(from);
}

int attach_keep(struct attach *a, int fd)
{
	if (ARRAY_GROW(&a->fd, &a->cap, a->nr + 1)) {
		fd_close(&fd);
		return -ENOMEM;
	}
	a->fd[a->nr++] = fd;
	return 0;
}

static int perf_open(struct perf_event_attr *attr, pid_t pid, int cpu)
{
	int fd = (int)syscall(__NR_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int read_pmu(const char *name, const char *format, unsigned int *out)
{
	char path[96];
	FILE *file;
	int err;

	snprintf(path, sizeof(path), "/sys/bus/event_source/devices/uprobe/%s", name);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	err = fscanf(file, format, out) == 1 ? 0 : -EINVAL;
	(void)fclose(file);
	return err;
}

int attach_uprobe_open(const struct attach_uprobe *uprobe)
{
	struct perf_event_attr attr = {.size = sizeof(attr),
				       .config1 = (uint64_t)(uintptr_t)uprobe->path,
				       .config2 = uprobe->offset};
	unsigned int type = 0, return_bit = 0, ref_count_bit = 0;
	int err = read_pmu("type", "%u", &type);

	if (!err && uprobe->at_return)
		err = read_pmu("format/retprobe", "config:%u", &return_bit);
	if (!err && uprobe->ref_count_offset)
		err = read_pmu("format/ref_ctr_offset", "config:%u-", &ref_count_bit);
	if (!err && (return_bit > 63 || ref_count_bit > 32))
		err = -ENOTSUP;
	if (err)
		return err;
	attr.type = type;
	attr.config = (uint64_t)uprobe->at_return << return_bit | uprobe->ref_count_offset
									  << ref_count_bit;
	/* Of all processes: on one CPU, since a program tied to a uprobe runs on all of them. */
	return uprobe->tgid ? perf_open(&attr, uprobe->tgid, -1) : perf_open(&attr, -1, 0);
}

int attach_perf_link(struct attach *a, int event, int program, uint64_t cookie)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = cookie);
	int link, err;

	if (event < 0)
		return event;
	err = attach_keep(a, event);
	if (err)
		return err;
	if (!cookie) {
		if (ioctl(event, PERF_EVENT_IOC_SET_BPF, program) ||
		    ioctl(event, PERF_EVENT_IOC_ENABLE, 0))
			return -errno;
		return 0;
	}
	link = bpf_link_create(program, event, BPF_PERF_EVENT, &opts);
	if (link < 0)
		return -errno;
	err = attach_keep(a, link);
	if (!err && ioctl(event, PERF_EVENT_IOC_ENABLE, 0))
		err = -errno;
	return err;
}

/* name NULL: the program knows its function. */
static int raw_tracepoint(struct attach *a, const char *name, int program)
{
	int fd = bpf_raw_tracepoint_open(name, program);

	return fd < 0 ? -errno : attach_keep(a, fd);
}

int attach_processes(struct attach *a, const struct loader *loader)
{
	int err = raw_tracepoint(a, "sched_process_fork", loader_program_fd(loader, PROGRAM_FORK));

	if (!err)
		err = raw_tracepoint(a, "sched_process_exec",
				     loader_program_fd(loader, PROGRAM_EXEC));
	if (!err)
		err = raw_tracepoint(a, "sched_process_exit",
				     loader_program_fd(loader, PROGRAM_EXIT));
	return err;
}

static int tracepoint(struct attach *a, const char *name, int program)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr)};
	int id = kernel_tracepoint_id("syscalls", name);

	if (id < 0)
		return id;
	attr.config = (uint64_t)id;
	/* On one CPU: a program tied to a tracepoint runs on all of them. */
	return attach_perf_link(a, perf_open(&attr, -1, 0), program, 0);
}

struct syscall_probe {
	const char *name;
	enum loader_program program;
};

static int attach_calls(struct attach *a, const struct loader *loader, enum loader_program at_lock,
			const struct syscall_probe *call, size_t nr)
{
	size_t i;
	int err, fd;

	if (loader_calls(loader) == CALLS_BY_LOCK) {
		/* one of them is loaded, and does all */
		fd = loader_program_fd(loader, at_lock);
		return fd < 0 ? 0 : raw_tracepoint(a, NULL, fd);
	}
	for (i = 0; i < nr && loader_calls(loader) != CALLS_UNSEEN; i++) {
		fd = loader_program_fd(loader, call[i].program);
		err = loader_calls(loader) == CALLS_BY_TRAMPOLINES
			      ? raw_tracepoint(a, NULL, fd)
			      : tracepoint(a, call[i].name, fd);
		if (err)
			return err;
	}
	return 0;
}

int attach_code(struct attach *a, const struct loader *loader)
{
	static const struct syscall_probe calls[] = {
		{"sys_enter_munmap", PROGRAM_CODE_MUNMAP},
		{"sys_enter_mmap", PROGRAM_CODE_MMAP},
		{"sys_enter_mremap", PROGRAM_CODE_MREMAP},
	};

	return attach_calls(a, loader, PROGRAM_CODE_LOCK, calls, ARRAY_SIZE(calls));
}

int attach_syscalls(struct attach *a, const struct loader *loader)
{
	static const struct syscall_probe calls[] = {
		{"sys_exit_mmap", PROGRAM_MMAP_EXIT},
		{"sys_enter_mmap", PROGRAM_MMAP_ENTER},
		{"sys_exit_munmap", PROGRAM_MUNMAP_EXIT},
		{"sys_enter_munmap", PROGRAM_MUNMAP_ENTER},
		{"sys_exit_mremap", PROGRAM_MREMAP_EXIT},
		{"sys_enter_mremap", PROGRAM_MREMAP_ENTER},
		{"sys_exit_brk", PROGRAM_BRK_EXIT},
		{"sys_enter_brk", PROGRAM_BRK_ENTER},
	};

	return attach_calls(a, loader, PROGRAM_VM_LOCK, calls, ARRAY_SIZE(calls));
}

static int fault_event(struct attach *a, uint64_t config, int cpu, int program, uint32_t period)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
				       .size = sizeof(attr),
				       .config = config,
				       .sample_period = period,
				       .sample_type = PERF_SAMPLE_ADDR,
				       .exclude_hv = 1};

	return attach_perf_link(a, perf_open(&attr, -1, cpu), program, 0);
}

int attach_faults(struct attach *a, const struct loader *loader, uint32_t period)
{
	int cpus = libbpf_num_possible_cpus(), cpu, err = -ENODEV;

	for (cpu = 0; cpu < cpus; cpu++) {
		err = fault_event(a, PERF_COUNT_SW_PAGE_FAULTS_MIN, cpu,
				  loader_program_fd(loader, PROGRAM_FAULT_MINOR), period);
		if (!err)
			err = fault_event(a, PERF_COUNT_SW_PAGE_FAULTS_MAJ, cpu,
					  loader_program_fd(loader, PROGRAM_FAULT_MAJOR), period);
		if (err == -ENODEV) /* offline */
			err = 0;
		if (err)
			return err;
	}
	return err;
}
