// SPDX-License-Identifier: GPL-2.0-or-later
#include "usdt_attach.h"

#include "attach_impl.h"

int usdt_attach(struct attach *attach, const struct loader *loader, pid_t tgid,
		const char *kernel_path, const struct usdt_object *object, const uint32_t *spec)
{
	struct attach_uprobe uprobe = {.path = kernel_path, .tgid = tgid};
	size_t before = attach->nr, i;
	enum loader_program program;
	int err = 0;

	for (i = 0; i < object->nr_sites && !err; i++) {
		uprobe.offset = object->site[i].file_offset;
		uprobe.ref_count_offset = object->site[i].ref_count_offset;
		program = object->site[i].is_free ? PROGRAM_USDT_FREE : PROGRAM_USDT_ALLOC;
		err = attach_perf_link(attach, attach_uprobe_open(&uprobe),
				       loader_program_fd(loader, program), spec[i]);
	}
	if (err)
		attach_cut(attach, before);
	return err;
}
