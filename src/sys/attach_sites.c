// SPDX-License-Identifier: GPL-2.0-or-later
/* Uprobes in functions of allocators: by perf events, one for each, or by links that hold many. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "attach_impl.h"
#include "uprobe_link.h"

struct attach_links {
	struct attach fds;
};

/* What runs where. */
struct site_programs {
	enum attach_kind kind; /* of what has a return; the others are never sessions */
	int entry, at_return;  /* of allocating functions; at_return -1: none is probed */
	int at_free;
};

static enum attach_kind plain_kind(enum attach_kind kind)
{
	return kind == ATTACH_SESSION ? ATTACH_MULTI : kind;
}

static struct site_programs choose_programs(const struct loader *loader, enum attach_what what)
{
	enum attach_kind kind = loader_attach_kind(loader);
	int floor = loader_program_fd(loader,
				      kind == ATTACH_PERF ? PROGRAM_FLOOR : PROGRAM_FLOOR_MULTI);
	int stack = loader_program_fd(loader, PROGRAM_STACK);

	switch (what) {
	case ATTACH_STACKS:
		return (struct site_programs){plain_kind(kind), stack, -1, stack};
	case ATTACH_NO_STACKS:
		return (struct site_programs){plain_kind(kind), floor, -1, floor};
	case ATTACH_NO_RETURNS:
		return (struct site_programs){kind, loader_program_fd(loader, PROGRAM_FLOOR_SKIP),
					      -1, floor};
	case ATTACH_NOTHING:
		if (kind == ATTACH_SESSION)
			return (struct site_programs){
				kind, loader_program_fd(loader, PROGRAM_FLOOR_SESSION), -1, floor};
		return (struct site_programs){kind, floor, floor, floor};
	case ATTACH_ALLOCATORS:
		break;
	}
	if (kind == ATTACH_SESSION)
		return (struct site_programs){kind,
					      loader_program_fd(loader, PROGRAM_ALLOC_SESSION), -1,
					      loader_program_fd(loader, PROGRAM_FREE_ENTER)};
	return (struct site_programs){kind, loader_program_fd(loader, PROGRAM_ALLOC_ENTER),
				      loader_program_fd(loader, PROGRAM_ALLOC_RETURN),
				      loader_program_fd(loader, PROGRAM_FREE_ENTER)};
}

static uint64_t site_cookie(const struct attach_request *request, size_t i)
{
	const struct discover_site *site = request->site[i];
	const struct placement *p = &site->placement;

	return SEEP_COOKIE(site->function->role, p->size_reg, p->count_reg, p->ptr_reg, p->sp_words,
			   request->probe ? request->probe[i] : 0) |
	       (site->leaf ? SEEP_COOKIE_LEAF : 0);
}

static bool frees(const struct discover_site *site)
{
	return site->function->role == ROLE_FREE;
}

/* --- by perf event --- */

static int uprobe_open(const struct attach_request *request, uint64_t offset, bool at_return)
{
	const struct attach_uprobe uprobe = {.path = request->kernel_path,
					     .offset = offset,
					     .tgid = request->tgid,
					     .at_return = at_return};

	return attach_uprobe_open(&uprobe);
}

/* The return probe comes first: a call that enters in between has no state and leaves no trace. */
static int attach_perf(struct attach *a, const struct attach_request *request, size_t i,
		       const struct site_programs *programs)
{
	const struct discover_site *site = request->site[i];
	uint64_t cookie = site_cookie(request, i);
	int err = 0;

	if (!frees(site) && programs->at_return >= 0)
		err = attach_perf_link(a, uprobe_open(request, site->file_offset, true),
				       programs->at_return, cookie);
	if (err)
		return err;
	return attach_perf_link(a, uprobe_open(request, site->file_offset, false),
				frees(site) ? programs->at_free : programs->entry, cookie);
}

/* --- by links of many --- */

struct offsets {
	uint64_t *offset, *cookie;
	size_t nr;
};

static void take_offsets(const struct attach_request *request, bool of_frees, struct offsets *out)
{
	size_t i;

	out->nr = 0;
	for (i = 0; i < request->nr; i++) {
		if (frees(request->site[i]) != of_frees)
			continue;
		out->offset[out->nr] = request->site[i]->file_offset;
		out->cookie[out->nr++] = site_cookie(request, i);
	}
}

static int link_one(struct attach *a, const struct attach_request *request,
		    const struct offsets *offsets, enum uprobe_link_kind kind, int program)
{
	struct uprobe_places places = {.path = request->kernel_path,
				       .offset = offsets->offset,
				       .cookie = offsets->cookie,
				       .nr = offsets->nr,
				       .tgid = request->tgid};
	int fd = uprobe_link(program, kind, &places);

	return fd < 0 ? fd : attach_keep(a, fd);
}

static int link_allocs(struct attach *a, const struct attach_request *request,
		       const struct offsets *offsets, const struct site_programs *programs)
{
	int err;

	if (programs->kind == ATTACH_SESSION)
		return link_one(a, request, offsets, UPROBE_LINK_SESSION, programs->entry);
	if (programs->at_return >= 0) {
		err = link_one(a, request, offsets, UPROBE_LINK_RETURN, programs->at_return);
		if (err)
			return err;
	}
	return link_one(a, request, offsets, UPROBE_LINK_ENTRY, programs->entry);
}

/* Frees come first: of a block that is allocated in between the free is seen. */
static int attach_multi(struct attach *a, const struct attach_request *request,
			const struct site_programs *programs)
{
	struct offsets offsets = {.offset = calloc(request->nr + 1, sizeof(uint64_t)),
				  .cookie = calloc(request->nr + 1, sizeof(uint64_t))};
	int err = offsets.offset && offsets.cookie ? 0 : -ENOMEM;

	if (!err)
		take_offsets(request, true, &offsets);
	if (!err && offsets.nr)
		err = link_one(a, request, &offsets, UPROBE_LINK_ENTRY, programs->at_free);
	if (!err)
		take_offsets(request, false, &offsets);
	if (!err && offsets.nr)
		err = link_allocs(a, request, &offsets, programs);
	free(offsets.offset);
	free(offsets.cookie);
	return err;
}

int attach_sites(const struct loader *loader, const struct attach_request *request,
		 enum attach_what what, struct attach_links **out)
{
	const struct site_programs programs = choose_programs(loader, what);
	struct attach_links *links = calloc(1, sizeof(*links));
	int err = 0;
	size_t i;

	if (!links)
		return -ENOMEM;
	attach_init(&links->fds);
	if (what == ATTACH_NO_RETURNS && programs.kind != ATTACH_SESSION)
		err = -EOPNOTSUPP;
	if (!err && programs.kind != ATTACH_PERF)
		err = attach_multi(&links->fds, request, &programs);
	for (i = 0; i < request->nr && !err && programs.kind == ATTACH_PERF; i++)
		err = attach_perf(&links->fds, request, i, &programs);
	if (err)
		attach_links_free(links);
	else
		*out = links;
	return err;
}

void attach_links_free(struct attach_links *links)
{
	if (!links)
		return;
	attach_release(&links->fds);
	free(links);
}

void attach_links_free_all(struct attach_links *const *links, size_t nr)
{
	struct attach all = {0};
	size_t i;

	for (i = 0; i < nr; i++) {
		if (links[i])
			attach_move(&all, &links[i]->fds);
		free(links[i]);
	}
	attach_release(&all);
}

/*
 * When a probe is taken out, the kernel goes through all that map the file and takes its breakpoint out wherever nobody
 * wants one (register_for_each_vma() in kernel/events/uprobes.c). So one of our own is set, and taken out.
 */
int attach_sweep(const struct loader *loader, const struct attach_request *request)
{
	struct attach_request ours = *request;
	struct attach_links *links;
	int err;

	if (loader_attach_kind(loader) == ATTACH_PERF)
		return 0; /* a child drops these at its first hit */
	ours.tgid = getpid();
	err = attach_sites(loader, &ours, ATTACH_NO_STACKS, &links);
	if (!err)
		attach_links_free(links);
	return err;
}
