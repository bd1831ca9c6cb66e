/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "uprobe_link.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

/* include/uapi/linux/bpf.h of 6.6 and 6.13, newer than the headers that we are built with. */
#define ATTACH_UPROBE_MULTI 48
#define ATTACH_UPROBE_SESSION 57
#define MULTI_RETURN 1u /* BPF_F_UPROBE_MULTI_RETURN */

/* The part of union bpf_attr that a BPF_LINK_CREATE of these kinds takes. */
struct link_create {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t nr, multi_flags, tgid, zero;
};

_Static_assert(sizeof(struct link_create) == 64, "link_create");
_Static_assert(sizeof(unsigned long) == sizeof(uint64_t), "the kernel takes offsets as long");

uint32_t uprobe_link_attach_type(enum uprobe_link_kind kind)
{
	return kind == UPROBE_LINK_SESSION ? ATTACH_UPROBE_SESSION : ATTACH_UPROBE_MULTI;
}

int uprobe_link(int prog_fd, enum uprobe_link_kind kind, const struct uprobe_places *places)
{
	struct link_create attr = {
		.prog_fd = (uint32_t)prog_fd,
		.attach_type = uprobe_link_attach_type(kind),
		.path = (uintptr_t)places->path,
		.offsets = (uintptr_t)places->offset,
		.cookies = (uintptr_t)places->cookie,
		.nr = (uint32_t)places->nr,
		.multi_flags = kind == UPROBE_LINK_RETURN ? MULTI_RETURN : 0,
		.tgid = (uint32_t)places->tgid,
	};
	int fd;

	if (places->nr > UINT32_MAX)
		return -E2BIG;
	/* BPF fds are closed on exec by themselves */
	fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	return fd < 0 ? -errno : fd;
}
