/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "names.h"
#include "out.h"
#include "record.h"

/* One line of the output: a stack from the root to the leaf, and its weight. */
struct line {
	struct strbuf stack;
	uint64_t weight;
};

struct folded {
	const struct report *report;
	struct line *line;
	size_t nr, cap;
	struct strbuf name; /* scratch */
	bool failed;
};

/* What all sites have that is needed here. */
struct folded_site {
	uint64_t weight;
	uint32_t tgid;
	const char *comm;
	const struct report_frame *frame;
	size_t nr_frames;
	bool stack_partial;
};

/* The format knows no escapes. What would end a line, names_add_clean() has taken out already. */
static void add_name(struct folded *folded, struct strbuf *stack)
{
	const char *name = folded->name.text;

	if (strbuf_error(&folded->name))
		folded->failed = true;
	while (name && *name) {
		size_t nr = strcspn(name, ";");

		strbuf_add(stack, name, nr);
		name += nr + strspn(name + nr, ";");
	}
}

static void add_frame(struct folded *folded, struct strbuf *stack, const struct report_frame *frame)
{
	size_t before = stack->nr;

	strbuf_clear(&folded->name);
	names_add_frame(&folded->name, frame);
	add_name(folded, stack);
	if (stack->nr == before)
		strbuf_puts(stack, "[unknown]");
	if (frame->inlined)
		strbuf_puts(stack, "_[i]");
}

static void add_process(struct folded *folded, struct strbuf *stack, const struct folded_site *site)
{
	strbuf_clear(&folded->name);
	names_add_clean(&folded->name, site->comm);
	add_name(folded, stack);
	if (folded->report->by == BY_PROCESS)
		strbuf_printf(stack, "-%" PRIu32, site->tgid);
	strbuf_puts(stack, ";");
}

static void build_stack(struct folded *folded, struct strbuf *stack, const struct folded_site *site)
{
	size_t i;

	if (folded->report->nr_targets > 1)
		add_process(folded, stack, site);
	if (site->stack_partial)
		strbuf_puts(stack, "[partial];");
	if (!site->nr_frames)
		strbuf_puts(stack, "[unknown]");
	for (i = site->nr_frames; i-- > 0;) {
		add_frame(folded, stack, &site->frame[i]);
		if (i)
			strbuf_puts(stack, ";");
	}
}

static int add_site(struct folded *folded, const struct folded_site *site)
{
	struct line *line;

	if (!site->weight)
		return 0;
	if (ARRAY_GROW(&folded->line, &folded->cap, folded->nr + 1))
		return -ENOMEM;
	line = &folded->line[folded->nr++];
	memset(line, 0, sizeof(*line));
	line->weight = site->weight;
	build_stack(folded, &line->stack, site);
	return folded->failed ? -ENOMEM : strbuf_error(&line->stack);
}

static const char *owner_of(const struct report *report, const char *comm, const char *group)
{
	if (report->by == BY_PROCESS)
		return comm;
	return group[0] ? group : "[none]";
}

static int collect_leaks(struct folded *folded)
{
	size_t i;
	int err = 0;

	for (i = 0; i < folded->report->nr_sites && !err; i++) {
		const struct report_site *site = &folded->report->site[i];

		err = add_site(
			folded,
			&(struct folded_site){
				.weight = site->live_bytes + site->held_bytes + site->left_bytes,
				.tgid = site->tgid,
				.comm = owner_of(folded->report, site->comm, site->group),
				.frame = site->frame,
				.nr_frames = site->nr_frames,
				.stack_partial = site->stack_partial,
			});
	}
	return err;
}

static int collect_faults(struct folded *folded)
{
	size_t i;
	int err = 0;

	for (i = 0; i < folded->report->nr_faults && !err; i++) {
		const struct report_fault_site *site = &folded->report->fault[i];

		err = add_site(folded,
			       &(struct folded_site){
				       .weight = site->minor + site->major,
				       .tgid = site->tgid,
				       .comm = owner_of(folded->report, site->comm, site->group),
				       .frame = site->frame,
				       .nr_frames = site->nr_frames,
				       .stack_partial = site->stack_partial,
			       });
	}
	return err;
}

static int compare_lines(const void *a, const void *b)
{
	const struct line *left = a, *right = b;

	return strcmp(left->stack.text, right->stack.text);
}

static void print_lines(const struct folded *folded, struct strbuf *out)
{
	uint64_t weight = 0;
	size_t i;

	for (i = 0; i < folded->nr; i++) {
		const struct line *line = &folded->line[i];

		weight += line->weight;
		if (i + 1 < folded->nr && compare_lines(line, line + 1) == 0)
			continue;
		strbuf_puts(out, line->stack.text);
		strbuf_printf(out, " %" PRIu64 "\n", weight);
		weight = 0;
	}
}

int out_folded(const struct report *report, struct strbuf *out)
{
	struct folded folded = {.report = report};
	size_t i;
	int err;

	err = report->mode == RUN_FAULTS ? collect_faults(&folded) : collect_leaks(&folded);
	if (!err) {
		if (folded.nr)
			qsort(folded.line, folded.nr, sizeof(*folded.line), compare_lines);
		print_lines(&folded, out);
		err = strbuf_error(out);
	}
	for (i = 0; i < folded.nr; i++)
		strbuf_release(&folded.line[i].stack);
	free(folded.line);
	strbuf_release(&folded.name);
	return err;
}
