// SPDX-License-Identifier: GPL-2.0-or-later
#include "summary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "frames.h"

/* Ranges of one stack of one image. */
struct mapping_group {
	uint32_t proc, stack, kind;
	uint64_t bytes, nr;
};

struct mapping_groups {
	struct mapping_group *item;
	size_t nr, cap;
	uint32_t proc;
};

static int mapping_add(const struct vm_range *range, void *arg)
{
	struct mapping_groups *g = arg;
	struct mapping_group *item;
	size_t i;

	for (i = 0; i < g->nr; i++) {
		item = &g->item[i];
		if (item->proc == g->proc && item->stack == range->stack &&
		    item->kind == range->kind)
			break;
	}
	if (i == g->nr) {
		if (ARRAY_GROW(&g->item, &g->cap, g->nr + 1))
			return -ENOMEM;
		g->item[g->nr++] = (struct mapping_group){
			.proc = g->proc, .stack = range->stack, .kind = range->kind};
	}
	g->item[i].bytes += range->end - range->start;
	g->item[i].nr++;
	return 0;
}

static int mapping_compare(const void *a, const void *b)
{
	const struct mapping_group *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	if (x->proc != y->proc)
		return x->proc < y->proc ? -1 : 1;
	return x->stack < y->stack ? -1 : x->stack > y->stack;
}

static int mapping_report(const struct profile *p, const struct mapping_group *group,
			  struct report_mapping_site *site)
{
	const struct image *image = profile_image(p, group->proc);
	struct frames_view view;

	frames_view(p, group->proc, group->stack, &view);
	site->kind = group->kind == VM_BRK ? "brk" : "mmap";
	site->tgid = image ? image->tgid : 0;
	site->live_bytes = group->bytes;
	site->live_mappings = group->nr;
	site->stack_partial = view.partial;
	return frames_expand(&view, true, &site->frame, &site->nr_frames);
}

int summary_mappings(struct profile *p, const struct report_options *options, struct report *out)
{
	struct mapping_groups g = {0};
	size_t i, nr;
	int err = 0;

	for (i = 0; i < p->nr_images && !err; i++) {
		g.proc = p->image[i]->proc;
		err = vm_walk(p->image[i]->vm, mapping_add, &g);
	}
	if (err)
		goto out;
	if (g.nr)
		qsort(g.item, g.nr, sizeof(*g.item), mapping_compare);
	nr = options->top && options->top < g.nr ? options->top : g.nr;
	err = -ENOMEM;
	out->mapping = calloc(nr + 1, sizeof(*out->mapping));
	if (!out->mapping)
		goto out;
	err = 0;
	for (i = 0; i < nr && !err; i++) {
		err = mapping_report(p, &g.item[i], &out->mapping[i]);
		if (!err)
			out->nr_mappings++;
	}
out:
	free(g.item);
	return err;
}

struct fault_group {
	struct frames_view view;
	struct fault_site sum;
};

struct fault_groups {
	struct fault_group *item;
	size_t nr, cap;
	struct map64 by_hash;
};

static int fault_group_add(struct fault_groups *g, const struct profile *p,
			   const struct fault_site *site)
{
	struct frames_view view;
	struct fault_group *group;
	uint64_t key, value;

	frames_view(p, site->proc, site->stack, &view);
	key = frames_hash(&view) ^ hash_bytes(site->kind, strlen(site->kind), 1);
	for (; map64_get(&g->by_hash, key, &value); key++) {
		group = &g->item[value];
		if (group->sum.proc == site->proc && !strcmp(group->sum.kind, site->kind) &&
		    frames_equal(&group->view, &view))
			break;
	}
	if (!map64_get(&g->by_hash, key, &value)) {
		if (ARRAY_GROW(&g->item, &g->cap, g->nr + 1) || map64_put(&g->by_hash, key, g->nr))
			return -ENOMEM;
		value = g->nr++;
		g->item[value] = (struct fault_group){
			.view = view, .sum = {.proc = site->proc, .kind = site->kind}};
	}
	g->item[value].sum.minor += site->minor;
	g->item[value].sum.major += site->major;
	return 0;
}

/* A major fault waits for the disk: it weighs more than any number of minor ones that it comes with. */
static int fault_compare(const void *a, const void *b)
{
	const struct fault_group *x = a, *y = b;
	uint64_t sum_x = x->sum.minor + x->sum.major, sum_y = y->sum.minor + y->sum.major;
	uint64_t hash_x, hash_y;

	if (sum_x != sum_y)
		return sum_x > sum_y ? -1 : 1;
	if (x->sum.major != y->sum.major)
		return x->sum.major > y->sum.major ? -1 : 1;
	hash_x = frames_hash(&x->view);
	hash_y = frames_hash(&y->view);
	if (hash_x != hash_y)
		return hash_x < hash_y ? -1 : 1;
	return strcmp(x->sum.kind, y->sum.kind);
}

static void fault_kind_add(struct report *out, const struct fault_site *site)
{
	size_t i;

	for (i = 0; i < out->nr_kinds; i++) {
		if (!strcmp(out->kind[i].kind, site->kind))
			break;
	}
	if (i == ARRAY_SIZE(out->kind))
		return;
	if (i == out->nr_kinds)
		out->kind[out->nr_kinds++].kind = site->kind;
	out->kind[i].minor += site->minor;
	out->kind[i].major += site->major;
}

static int fault_kind_compare(const void *a, const void *b)
{
	return strcmp(((const struct report_fault_kind *)a)->kind,
		      ((const struct report_fault_kind *)b)->kind);
}

static int fault_report(const struct profile *p, const struct fault_group *group,
			struct report *out)
{
	const struct image *image = profile_image(p, group->sum.proc);
	double window_s = out->duration_s > 0 ? out->duration_s : 1;
	struct report_fault_site *site = &out->fault[out->nr_faults];

	*site = (struct report_fault_site){
		.tgid = image ? image->tgid : 0,
		.comm = image ? image->comm : "",
		.kind = group->sum.kind,
		.minor = group->sum.minor,
		.major = group->sum.major,
		.minor_per_s = (double)group->sum.minor / window_s,
		.major_per_s = (double)group->sum.major / window_s,
		.stack_partial = group->view.partial,
	};
	out->nr_faults++;
	return frames_expand(&group->view, true, &site->frame, &site->nr_frames);
}

int summary_faults(struct profile *p, const struct report_options *options, struct report *out)
{
	struct fault_groups g = {0};
	size_t i, nr;
	int err = 0;

	for (i = 0; i < p->nr_faults && !err; i++) {
		err = fault_group_add(&g, p, &p->fault[i]);
		fault_kind_add(out, &p->fault[i]);
	}
	if (err)
		goto out;
	qsort(out->kind, out->nr_kinds, sizeof(out->kind[0]), fault_kind_compare);
	if (g.nr)
		qsort(g.item, g.nr, sizeof(*g.item), fault_compare);
	out->nr_faults_all = g.nr;
	nr = options->top && options->top < g.nr ? options->top : g.nr;
	err = -ENOMEM;
	out->fault = calloc(nr + 1, sizeof(*out->fault));
	if (!out->fault)
		goto out;
	err = 0;
	for (i = 0; i < nr && !err; i++)
		err = fault_report(p, &g.item[i], out);
	for (i = 0; i < g.nr; i++) {
		if (!g.item[i].view.stack)
			out->balance.stacks_unknown += g.item[i].sum.minor + g.item[i].sum.major;
		else if (g.item[i].view.partial)
			out->balance.stacks_partial++;
	}
out:
	free(g.item);
	map64_release(&g.by_hash);
	return err;
}
