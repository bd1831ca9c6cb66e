// SPDX-License-Identifier: GPL-2.0-or-later
#include "usdt_attach.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "array.h"
#include "fd.h"

#define PMU "/sys/bus/event_source/devices/uprobe"

static void links_cut(struct usdt_links *links, size_t nr)
{
	while (links->nr > nr)
		fd_close(&links->fd[--links->nr]);
}

void usdt_links_release(struct usdt_links *links)
{
	links_cut(links, 0);
	free(links->fd);
	*links = (struct usdt_links){0};
}

static int keep(struct usdt_links *links, int fd)
{
	if (fd < 0)
		return -errno;
	if (ARRAY_GROW(&links->fd, &links->cap, links->nr + 1)) {
		fd_close(&fd);
		return -ENOMEM;
	}
	links->fd[links->nr++] = fd;
	return 0;
}

/* How perf events are told of uprobes. */
struct uprobe_pmu {
	unsigned int type;
	unsigned int ref_count_bit; /* of attr.config */
};

static int read_number(const char *path, const char *format, unsigned int *out)
{
	FILE *file = fopen(path, "re");
	int err;

	if (!file)
		return -errno;
	err = fscanf(file, format, out) == 1 ? 0 : -EINVAL;
	(void)fclose(file);
	return err;
}

static int read_pmu(struct uprobe_pmu *out)
{
	int err = read_number(PMU "/type", "%u", &out->type);

	if (!err)
		err = read_number(PMU "/format/ref_ctr_offset", "config:%u-", &out->ref_count_bit);
	if (!err && out->ref_count_bit > 32)
		err = -ENOTSUP;
	return err;
}

struct place {
	pid_t tgid;
	const char *path;
	const struct usdt_site *site;
	uint32_t spec;
	int program;
};

static int attach_site(struct usdt_links *links, const struct uprobe_pmu *pmu,
		       const struct place *place)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = place->spec);
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = pmu->type,
		.config = place->site->ref_count_offset << pmu->ref_count_bit,
		.config1 = (uint64_t)(uintptr_t)place->path,
		.config2 = place->site->file_offset,
	};
	int event = (int)syscall(__NR_perf_event_open, &attr, place->tgid, -1, -1,
				 PERF_FLAG_FD_CLOEXEC);
	int err = keep(links, event);

	if (err)
		return err;
	err = keep(links, bpf_link_create(place->program, event, BPF_PERF_EVENT, &opts));
	if (!err && ioctl(event, PERF_EVENT_IOC_ENABLE, 0))
		err = -errno;
	return err;
}

int usdt_attach(struct usdt_links *links, const struct loader *loader, pid_t tgid,
		const char *kernel_path, const struct usdt_object *object, const uint32_t *spec)
{
	struct place place = {.tgid = tgid, .path = kernel_path};
	size_t before = links->nr, i;
	struct uprobe_pmu pmu;
	int err = read_pmu(&pmu);

	for (i = 0; i < object->nr_sites && !err; i++) {
		place.site = &object->site[i];
		place.spec = spec[i];
		place.program = loader_program_fd(loader, place.site->is_free ? PROGRAM_USDT_FREE
									      : PROGRAM_USDT_ALLOC);
		err = attach_site(links, &pmu, &place);
	}
	if (err)
		links_cut(links, before);
	return err;
}
