/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "uprobe_program.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "array.h"
#include "fd.h"

static int sys_bpf(int command, union bpf_attr *attr)
{
	int fd = (int)syscall(SYS_bpf, command, attr, sizeof(*attr));

	return fd < 0 ? -errno : fd;
}

static int load(uint32_t attach_type, const struct bpf_insn *insn, size_t nr)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr)); /* the kernel wants zeros where it knows nothing */
	attr.prog_type = BPF_PROG_TYPE_KPROBE;
	attr.expected_attach_type = attach_type;
	attr.insns = (uintptr_t)insn;
	attr.insn_cnt = (uint32_t)nr;
	attr.license = (uintptr_t) "GPL";
	return sys_bpf(BPF_PROG_LOAD, &attr);
}

int uprobe_program_constant(uint32_t attach_type, int value)
{
	const struct bpf_insn insn[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return load(attach_type, insn, ARRAY_SIZE(insn));
}

int uprobe_program_counter(uint32_t attach_type, int map_fd, int value)
{
	const struct bpf_insn insn[] = {
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_attach_cookie},
		{.code = BPF_STX | BPF_MEM | BPF_W,
		 .dst_reg = BPF_REG_10,
		 .src_reg = BPF_REG_0,
		 .off = -4},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_2, .imm = -4},
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = map_fd},
		{0},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem},
		{.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_0, .off = 2},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = 1},
		{.code = BPF_STX | BPF_ATOMIC | BPF_DW,
		 .dst_reg = BPF_REG_0,
		 .src_reg = BPF_REG_1,
		 .imm = BPF_ADD},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return load(attach_type, insn, ARRAY_SIZE(insn));
}

int uprobe_counter_map(uint32_t nr, const volatile uint64_t **counter)
{
	union bpf_attr attr;
	void *memory;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = sizeof(uint32_t);
	attr.value_size = sizeof(uint64_t);
	attr.max_entries = nr;
	attr.map_flags = BPF_F_MMAPABLE;
	fd = sys_bpf(BPF_MAP_CREATE, &attr);
	if (fd < 0)
		return fd;
	memory = mmap(NULL, nr * sizeof(uint64_t), PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		int error = -errno;

		fd_close(&fd);
		return error;
	}
	*counter = memory;
	return fd;
}

void uprobe_counter_unmap(const volatile uint64_t *counter, uint32_t nr)
{
	if (counter)
		(void)munmap((void *)(uintptr_t)counter, nr * sizeof(uint64_t));
}
