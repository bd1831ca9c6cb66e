// SPDX-License-Identifier: GPL-2.0-or-later
/* Address space outside the allocator, and page faults. */
#include "summary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "profile_impl.h"

static const char *mapping_kind(uint32_t kind)
{
	return kind == VM_BRK ? "brk" : "mmap";
}

/* Of mappings: live bytes, ranges, bytes ever mapped. */
enum mapping_sum {
	MAPPING_BYTES = 0,
	MAPPING_RANGES = 1,
	MAPPING_EVER = 2,
};

/* Of faults. */
enum fault_sum {
	FAULT_MINORS = 0,
	FAULT_MAJORS = 1,
};

static size_t at_most(size_t nr, size_t top)
{
	return top && top < nr ? top : nr;
}

/* A total order, so that a report does not depend on the order of arrival. */
static int group_tie(const struct usage_group *x, const struct usage_group *y)
{
	uint64_t hash_x, hash_y;

	if (x->proc != y->proc)
		return x->proc < y->proc ? -1 : 1;
	hash_x = frames_hash(&x->view);
	hash_y = frames_hash(&y->view);
	if (hash_x != hash_y)
		return hash_x < hash_y ? -1 : 1;
	return strcmp(x->kind, y->kind);
}

/* --- mappings --- */

struct range_walk {
	struct usages live;
	uint32_t proc;
};

static int range_add(const struct vm_range *range, void *arg)
{
	struct range_walk *w = arg;
	struct usage *usage =
		usages_get(&w->live, w->proc, range->stack, mapping_kind(range->kind));

	if (!usage)
		return -ENOMEM;
	usage->sum[MAPPING_BYTES] += range->end - range->start;
	usage->sum[MAPPING_RANGES]++;
	return 0;
}

/* What has no range left is of no interest: only to live ones is added what they ever were. */
static void add_ever_mapped(const struct profile *p, struct usages *live)
{
	const struct usage *ever;
	struct usage *usage;
	size_t i, nr = live->nr;

	for (i = 0; i < p->mappings.nr && nr; i++) {
		ever = &p->mappings.item[i];
		usage = usages_find(live, ever->proc, ever->stack, ever->kind);
		if (usage)
			usage->sum[MAPPING_EVER] += ever->sum[0];
	}
	/* Growth by mremap() belongs to who mapped it first, and counts as mapped where it was called. */
	for (i = 0; i < nr; i++) {
		usage = &live->item[i];
		if (usage->sum[MAPPING_EVER] < usage->sum[MAPPING_BYTES])
			usage->sum[MAPPING_EVER] = usage->sum[MAPPING_BYTES];
	}
}

static int collect_mappings(const struct profile *p, enum report_by by, struct usage_groups *groups)
{
	struct range_walk w = {.proc = 0};
	size_t i;
	int err = 0;

	for (i = 0; i < p->nr_images && !err; i++) {
		w.proc = p->image[i]->proc;
		err = vm_walk(p->image[i]->vm, range_add, &w);
	}
	add_ever_mapped(p, &w.live);
	if (!err)
		err = usage_groups_add(groups, p, by, &w.live);
	usages_release(&w.live);
	return err;
}

static int mapping_compare(const void *a, const void *b)
{
	const struct usage_group *x = a, *y = b;

	if (x->sum[MAPPING_BYTES] != y->sum[MAPPING_BYTES])
		return x->sum[MAPPING_BYTES] > y->sum[MAPPING_BYTES] ? -1 : 1;
	return group_tie(x, y);
}

static int mapping_report(const struct profile *p, const struct usage_group *group,
			  struct report_mapping_site *site)
{
	const struct image *image = profile_image(p, group->proc);

	*site = (struct report_mapping_site){
		.kind = group->kind,
		.tgid = image ? image->tgid : 0,
		.group = group->view.owner ? group->view.owner : "",
		.is_several = group->is_several,
		.live_bytes = group->sum[MAPPING_BYTES],
		.live_mappings = group->sum[MAPPING_RANGES],
		.mapped_bytes = group->sum[MAPPING_EVER],
		.stack_partial = group->view.partial,
	};
	return frames_expand(&group->view, true, &site->frame, &site->nr_frames);
}

int summary_mappings(struct profile *p, const struct report_options *options, struct report *out)
{
	struct usage_groups g = {0};
	int err = collect_mappings(p, options->by, &g);
	size_t i, nr = at_most(g.nr, options->top);

	if (err)
		goto out;
	if (g.nr)
		qsort(g.item, g.nr, sizeof(*g.item), mapping_compare);
	err = -ENOMEM;
	out->nr_mappings_all = g.nr;
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
	usage_groups_release(&g);
	return err;
}

/* --- faults --- */

/* The most faults first; among equals, those that wait for the disk more often. */
static int fault_compare(const void *a, const void *b)
{
	const struct usage_group *x = a, *y = b;
	uint64_t sum_x = x->sum[FAULT_MINORS] + x->sum[FAULT_MAJORS];
	uint64_t sum_y = y->sum[FAULT_MINORS] + y->sum[FAULT_MAJORS];

	if (sum_x != sum_y)
		return sum_x > sum_y ? -1 : 1;
	if (x->sum[FAULT_MAJORS] != y->sum[FAULT_MAJORS])
		return x->sum[FAULT_MAJORS] > y->sum[FAULT_MAJORS] ? -1 : 1;
	return group_tie(x, y);
}

static void fault_kind_add(struct report *out, const struct usage *usage)
{
	size_t i;

	for (i = 0; i < out->nr_kinds; i++) {
		if (!strcmp(out->kind[i].kind, usage->kind))
			break;
	}
	if (i == ARRAY_SIZE(out->kind))
		return;
	if (i == out->nr_kinds)
		out->kind[out->nr_kinds++].kind = usage->kind;
	out->kind[i].minor += usage->sum[FAULT_MINORS];
	out->kind[i].major += usage->sum[FAULT_MAJORS];
}

static int fault_kind_compare(const void *a, const void *b)
{
	return strcmp(((const struct report_fault_kind *)a)->kind,
		      ((const struct report_fault_kind *)b)->kind);
}

static int fault_report(const struct profile *p, const struct usage_group *group,
			struct report *out)
{
	const struct image *image = profile_image(p, group->proc);
	double window_s = out->faults_s > 0 ? out->faults_s : 1;
	struct report_fault_site *site = &out->fault[out->nr_faults];

	*site = (struct report_fault_site){
		.tgid = image ? image->tgid : 0,
		.comm = image ? image->comm : "",
		.group = group->view.owner ? group->view.owner : "",
		.is_several = group->is_several,
		.kind = group->kind,
		.minor = group->sum[FAULT_MINORS],
		.major = group->sum[FAULT_MAJORS],
		.minor_per_s = (double)group->sum[FAULT_MINORS] / window_s,
		.major_per_s = (double)group->sum[FAULT_MAJORS] / window_s,
		.stack_partial = group->view.partial,
	};
	out->nr_faults++;
	return frames_expand(&group->view, true, &site->frame, &site->nr_frames);
}

static void count_fault_stacks(const struct usage_groups *g, struct report *out)
{
	size_t i;

	for (i = 0; i < g->nr; i++) {
		if (!g->item[i].view.stack)
			out->balance.stacks_unknown +=
				g->item[i].sum[FAULT_MINORS] + g->item[i].sum[FAULT_MAJORS];
		else if (g->item[i].view.partial)
			out->balance.stacks_partial++;
	}
}

int summary_faults(struct profile *p, const struct report_options *options, struct report *out)
{
	struct usage_groups g = {0};
	int err = usage_groups_add(&g, p, options->by, &p->faults);
	size_t i, nr = at_most(g.nr, options->top);

	if (err)
		goto out;
	for (i = 0; i < p->faults.nr; i++)
		fault_kind_add(out, &p->faults.item[i]);
	qsort(out->kind, out->nr_kinds, sizeof(out->kind[0]), fault_kind_compare);
	if (g.nr)
		qsort(g.item, g.nr, sizeof(*g.item), fault_compare);
	if (out->mode == RUN_FAULTS)
		count_fault_stacks(&g, out);
	out->nr_faults_all = g.nr;
	err = -ENOMEM;
	out->fault = calloc(nr + 1, sizeof(*out->fault));
	if (!out->fault)
		goto out;
	err = 0;
	for (i = 0; i < nr && !err; i++)
		err = fault_report(p, &g.item[i], out);
out:
	usage_groups_release(&g);
	return err;
}
