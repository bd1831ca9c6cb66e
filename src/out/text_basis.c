// SPDX-License-Identifier: GPL-2.0-or-later
/* What numbers are, how wrong they may be, and whose. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "array.h"
#include "record.h"
#include "text.h"

#define MAX_GROUPS 10
/* Of very many steps, the middle is left out. */
#define FIRST_STEPS 5
#define LAST_STEPS 15
#define NAME_COLUMNS 32

static bool is_exact(struct report_interval ci)
{
	return ci.low == ci.high;
}

const char *text_about(struct report_interval ci)
{
	return is_exact(ci) ? "" : "~";
}

void text_add_error(struct text *text, uint64_t n, struct report_interval ci)
{
	double above = (double)ci.high - (double)n, below = (double)n - (double)ci.low;
	double pct = n ? 100 * fmax(above, below) / (double)n : INFINITY;

	if (is_exact(ci))
		return;
	if (pct < 100)
		strbuf_printf(&text->line, " ±%.0f" TEXT_NBSP "%%", fmax(1, pct));
	else
		strbuf_printf(&text->line, " (%s to %s)", text_bytes(ci.low).text,
			      text_bytes(ci.high).text);
}

void text_add_samples(struct text *text, enum report_basis basis, uint64_t nr)
{
	if (basis == BASIS_EXACT)
		return;
	strbuf_printf(&text->line, " (%s%s sample%s)", nr < REPORT_FEW_SAMPLES ? "few: " : "",
		      text_count(nr).text, text_plural(nr));
}

void text_basis(const struct report *report, char *buf, size_t size)
{
	const char *incomplete = report->complete ? "" : ", incomplete";

	if (report->basis == BASIS_SAMPLED && report->sample_bytes > 1)
		(void)snprintf(buf, size, "sampled, 1 in %s%s",
			       text_bytes(report->sample_bytes).text, incomplete);
	else if (report->basis == BASIS_SAMPLED)
		(void)snprintf(buf, size, "sampled%s", incomplete);
	else if (report->basis == BASIS_WINDOWS)
		(void)snprintf(buf, size, "in windows%s", incomplete);
	else if (report->basis == BASIS_MIXED)
		(void)snprintf(buf, size, "partly exact%s", incomplete);
	else if (!report->complete)
		(void)snprintf(buf, size, "incomplete");
	else if (report->balance.lost_allocs)
		(void)snprintf(buf, size, "a lower bound");
	else
		(void)snprintf(buf, size, "exact");
}

/* --- steps ------------------------------------------------------------------------------------ */

static void add_mode(struct text *text, const struct report_step *step)
{
	switch (step->mode) {
	case STEP_EXACT:
		strbuf_puts(&text->line, "exact");
		break;
	case STEP_SAMPLED:
		strbuf_printf(&text->line, "sampled at %s", text_bytes(step->period_bytes).text);
		break;
	case STEP_WINDOWS:
		strbuf_printf(&text->line, "windows of %.3g" TEXT_NBSP "%% of the time at %s",
			      step->duty_pct, text_bytes(step->period_bytes).text);
		break;
	case STEP_FAULTS:
		strbuf_puts(&text->line, "page faults only");
		break;
	default:
		strbuf_puts(&text->line, "detached");
		break;
	}
}

static void add_why(struct text *text, const struct report_step *step)
{
	static const char *const why[] = {
		[STEP_OVER_CPU] = ": seep used too much CPU",
		[STEP_OVER_MEMORY] = ": seep used too much memory",
		[STEP_ROOM] = ": there is room for more",
	};

	if (step->why == STEP_OVER_TARGET)
		strbuf_printf(&text->line, ": probes cost %.1f" TEXT_NBSP "%% of the target's CPU",
			      step->overhead_pct);
	else if (step->why < ARRAY_SIZE(why) && why[step->why])
		strbuf_puts(&text->line, why[step->why]);
}

static void add_step(struct text *text, size_t i)
{
	const struct report_step *step = &text->report->step[i];

	strbuf_printf(&text->line, "at %.1f" TEXT_NBSP "s: ", step->at_s);
	if (i) {
		add_mode(text, step - 1);
		strbuf_puts(&text->line, " -> ");
	}
	add_mode(text, step);
	add_why(text, step);
	text_wrap(text, TEXT_INDENT);
}

void text_note(struct text *text)
{
	const struct report *report = text->report;
	size_t last = report->nr_steps, i;

	if (report->basis_note[0]) {
		text_add_name(text, report->basis_note, sizeof(report->basis_note));
		text_wrap(text, TEXT_INDENT);
	}
	if (last > FIRST_STEPS + LAST_STEPS + 1)
		last = FIRST_STEPS;
	for (i = 0; i < last; i++) {
		/* how it began is news only when it began with less */
		if (i || report->step[i].mode != STEP_EXACT)
			add_step(text, i);
	}
	if (last == report->nr_steps)
		return;
	strbuf_printf(text->out, "... %s more steps (all of them: -f json)\n",
		      text_count(report->nr_steps - FIRST_STEPS - LAST_STEPS).text);
	for (i = report->nr_steps - LAST_STEPS; i < report->nr_steps; i++)
		add_step(text, i);
}

/* --- whose ------------------------------------------------------------------------------------ */

void text_add_owner(struct text *text, uint32_t tgid, const char *comm, const char *group,
		    uint32_t nr_processes)
{
	if (text->report->by == BY_PROCESS) {
		strbuf_printf(&text->line, "pid" TEXT_NBSP "%" PRIu32 " (", tgid);
		text_add_name(text, comm, TEXT_WIDTH / 3);
		strbuf_puts(&text->line, ")");
		return;
	}
	text_add_name(text, group[0] ? group : "[none]", NAME_COLUMNS);
	if (nr_processes)
		strbuf_printf(&text->line, " (%s process%s)", text_count(nr_processes).text,
			      nr_processes == 1 ? "" : "es");
}

static void add_group(struct text *text, const struct report_group *group)
{
	uint64_t bytes = group->live_bytes + group->held_bytes + group->left_bytes;
	uint64_t objects = group->live_objects + group->held_objects + group->left_objects;

	strbuf_printf(&text->line, "%*s", TEXT_INDENT, "");
	text_add_owner(text, group->tgid, group->name, group->name, group->nr_processes);
	if (group->nr_exited == group->nr_processes)
		strbuf_puts(&text->line, ", exited");
	strbuf_printf(&text->line, ": %s", text_bytes(bytes).text);
	text_add_error(text, bytes, group->live_ci);
	strbuf_printf(&text->line, " in %s%s object%s", text_about(group->live_ci),
		      text_count(objects).text, text_plural(objects));
	if (isfinite(group->growth_ci[0]) && group->growth_ci[0] > 0)
		strbuf_printf(&text->line, ", growing %s/h",
			      text_bytes_per_hour(group->growth_bytes_per_s).text);
	strbuf_printf(&text->line, "; %s%s allocated", text_about(group->alloc_ci),
		      text_bytes(group->alloc_bytes).text);
	text_wrap(text, 2 * TEXT_INDENT);
}

static const char *groups_name(enum report_by by, size_t nr)
{
	static const char *const name[][2] = {[BY_PROCESS] = {"process", "processes"},
					      [BY_COMM] = {"name", "names"},
					      [BY_CGROUP] = {"cgroup", "cgroups"}};

	return name[by][nr != 1];
}

void text_groups(struct text *text)
{
	const struct report *report = text->report;
	size_t i;

	if (report->nr_targets < 2 || !report->nr_groups)
		return;
	strbuf_printf(text->out, "\n%s %s, those that grow first\n",
		      text_count(report->nr_groups).text,
		      groups_name(report->by, report->nr_groups));
	for (i = 0; i < report->nr_groups && i < MAX_GROUPS; i++)
		add_group(text, &report->group[i]);
	if (i < report->nr_groups)
		strbuf_printf(text->out, "%*sand %s more (all of them: -f json)\n", TEXT_INDENT, "",
			      text_count(report->nr_groups - i).text);
}
