/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>

#include "text.h"

#define MAX_BESIDE 5 /* sites in a report of leaks */

static void describe_basis(const struct report *report, char *buf, size_t size)
{
	if (report->fault_period > 1)
		(void)snprintf(buf, size, "stacks sampled, 1 fault in %" PRIu32 "%s",
			       report->fault_period, report->complete ? "" : ", incomplete");
	else
		(void)snprintf(buf, size, "%s", report->complete ? "exact" : "incomplete");
}

static double share_pct(uint64_t part, uint64_t all)
{
	return all ? 100.0 * (double)part / (double)all : 0;
}

static void add_totals(struct text *text)
{
	const struct report *report = text->report;

	strbuf_printf(&text->line, "%s minor/s, %s major/s; %s minor and %s major fault%s in all",
		      text_per_s((double)report->minor_total / report->faults_s).text,
		      text_per_s((double)report->major_total / report->faults_s).text,
		      text_count(report->minor_total).text, text_count(report->major_total).text,
		      text_plural(report->minor_total + report->major_total));
}

static void add_summary(struct text *text)
{
	const struct report *report = text->report;

	add_totals(text);
	text_wrap(text, TEXT_INDENT);
	text_incomplete(text);
	if (report->nr_faults < report->nr_faults_all) {
		strbuf_printf(&text->line, "%s sites, %zu shown (--top all: all of them)",
			      text_count(report->nr_faults_all).text, report->nr_faults);
		text_wrap(text, TEXT_INDENT);
	}
}

static void add_kinds(struct text *text)
{
	const struct report *report = text->report;
	size_t i;

	if (!report->nr_kinds)
		return;
	strbuf_printf(text->out, "\n%-9s %14s %11s %14s %11s\n", "kind", "minor", "minor/s",
		      "major", "major/s");
	for (i = 0; i < report->nr_kinds; i++) {
		const struct report_fault_kind *kind = &report->kind[i];

		strbuf_printf(text->out, "%-9s %14s %11s %14s %11s\n", kind->kind,
			      text_count(kind->minor).text,
			      text_per_s((double)kind->minor / report->duration_s).text,
			      text_count(kind->major).text,
			      text_per_s((double)kind->major / report->duration_s).text);
	}
}

static void add_rates(struct text *text, const struct report_fault_site *site)
{
	const struct report *report = text->report;

	strbuf_printf(
		&text->line, "%s minor/s, %s major/s, %.1f" TEXT_NBSP "%% of all, %s",
		text_per_s(site->minor_per_s).text, text_per_s(site->major_per_s).text,
		share_pct(site->minor + site->major, report->minor_total + report->major_total),
		site->kind);
}

static void add_owner(struct text *text, const struct report_fault_site *site)
{
	if (text->report->nr_targets < 2)
		return;
	strbuf_puts(&text->line, "; ");
	text_add_owner(text, site->tgid, site->comm, site->group, 0);
}

static void add_site(struct text *text, size_t i)
{
	const struct report_fault_site *site = &text->report->fault[i];

	strbuf_printf(&text->line, "\n%2zu. ", i + 1);
	add_rates(text, site);
	text_wrap(text, TEXT_INDENT);
	strbuf_printf(&text->line, "%*s%s minor, %s major", TEXT_INDENT, "",
		      text_count(site->minor).text, text_count(site->major).text);
	add_owner(text, site);
	text_wrap(text, TEXT_INDENT);
	text_stack(text, site->frame, site->nr_frames, site->stack_partial);
}

/* What the kernel counted against what came as events. */
static void add_balance(struct text *text, const char *basis)
{
	const struct report *report = text->report;
	uint64_t faults = report->minor_total + report->major_total, attributed = 0;
	size_t i;

	for (i = 0; i < report->nr_kinds; i++)
		attributed += report->kind[i].minor + report->kind[i].major;
	strbuf_printf(text->out, "\nbalance, %s\n", basis);
	strbuf_printf(&text->line, "  faults" TEXT_NBSP "%s", text_count(faults).text);
	if (report->fault_period > 1)
		strbuf_printf(&text->line, ", of which the samples stand for %s",
			      text_count(attributed).text);
	else
		strbuf_printf(&text->line,
			      " = seen as events" TEXT_NBSP "%s + not seen" TEXT_NBSP "%" PRId64,
			      text_count(attributed).text, (int64_t)(faults - attributed));
	text_wrap(text, TEXT_INDENT);
	text_losses(text);
}

void text_faults(struct text *text)
{
	char basis[64];
	size_t i;

	describe_basis(text->report, basis, sizeof(basis));
	text_header(text, "faults", basis);
	if (text->report->final)
		strbuf_puts(text->out, "\n");
	add_summary(text);
	add_kinds(text);
	for (i = 0; i < text->report->nr_faults; i++)
		add_site(text, i);
	add_balance(text, basis);
	if (text->report->final)
		text_overhead(text);
	else
		strbuf_puts(text->out, "\n");
}

void text_faults_beside(struct text *text)
{
	const struct report *report = text->report;
	size_t nr = report->nr_faults < MAX_BESIDE ? report->nr_faults : MAX_BESIDE, i;

	if (!report->nr_faults_all && !report->minor_total && !report->major_total)
		return;
	strbuf_printf(text->out, "\npage faults while allocations were not followed, %.1f s\n",
		      report->faults_s);
	strbuf_printf(&text->line, "%*s", TEXT_INDENT, "");
	add_totals(text);
	text_wrap(text, TEXT_INDENT);
	for (i = 0; i < nr; i++) {
		strbuf_printf(&text->line, "%*s", TEXT_INDENT, "");
		add_rates(text, &report->fault[i]);
		add_owner(text, &report->fault[i]);
		text_wrap(text, TEXT_INDENT);
		text_stack(text, report->fault[i].frame, report->fault[i].nr_frames,
			   report->fault[i].stack_partial);
	}
	if (nr < report->nr_faults_all)
		strbuf_printf(text->out, "%*sand %s more (-f json)\n", TEXT_INDENT, "",
			      text_count(report->nr_faults_all - nr).text);
}
