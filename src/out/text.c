/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "array.h"
#include "names.h"
#include "out.h"
#include "record.h"

#define COMM_COLUMNS 24
#define STACK_INDENT 6
#define STACK_COLUMNS (TEXT_WIDTH - STACK_INDENT)
#define LOCATION_COLUMNS 30
#define GAP_COLUMNS 2
/* Deeper stacks lose their middle. */
#define STACK_INNER 18
#define STACK_OUTER 6

/* --- numbers ---------------------------------------------------------------------------------- */

struct word text_bytes(uint64_t bytes)
{
	struct word word;

	format_bytes(bytes, word.text, sizeof(word.text));
	return word;
}

struct word text_count(uint64_t n)
{
	struct word word;

	format_count(n, word.text, sizeof(word.text));
	return word;
}

struct word text_duration(double seconds)
{
	struct word word;

	format_duration(seconds, word.text, sizeof(word.text));
	return word;
}

struct word text_bytes_per_hour(double bytes_per_s)
{
	double hourly = round(fabs(bytes_per_s) * 3600);
	struct word word, size;

	if (!(hourly < 0x1p63)) {
		(void)snprintf(word.text, sizeof(word.text), "?");
		return word;
	}
	size = text_bytes((uint64_t)hourly);
	(void)snprintf(word.text, sizeof(word.text), "%s%.20s",
		       bytes_per_s < 0 && hourly > 0 ? "-" : "", size.text);
	return word;
}

struct word text_per_s(double rate)
{
	struct word word;

	if (!(rate >= 0 && rate < 0x1p63))
		(void)snprintf(word.text, sizeof(word.text), "?");
	else if (rate == 0)
		(void)snprintf(word.text, sizeof(word.text), "0");
	else if (rate < 9.995)
		(void)snprintf(word.text, sizeof(word.text), "%.2f", rate);
	else if (rate < 999.95)
		(void)snprintf(word.text, sizeof(word.text), "%.1f", rate);
	else
		word = text_count((uint64_t)round(rate));
	return word;
}

const char *text_plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* --- lines ------------------------------------------------------------------------------------ */

static void forget(struct text *text, struct strbuf *scratch)
{
	if (strbuf_error(scratch))
		text->failed = true;
	strbuf_clear(scratch);
}

/* The text of a scratch buffer, which has none after a failed allocation. */
static const char *scratch_text(const struct strbuf *scratch)
{
	return scratch->text ? scratch->text : "";
}

static void pad(struct strbuf *out, size_t columns)
{
	strbuf_printf(out, "%*s", (int)columns, "");
}

void text_add_name(struct text *text, const char *name, size_t columns)
{
	forget(text, &text->name);
	names_add_clean(&text->name, name);
	names_add_cut(&text->line, scratch_text(&text->name), columns);
}

/* Bytes of line that go before the next line break. */
static size_t broken_at(const char *line, size_t columns)
{
	size_t fit = names_fit(line, columns), nr = fit;

	if (!line[fit])
		return fit;
	while (nr && line[nr] != ' ')
		nr--;
	return nr ? nr : fit;
}

void text_wrap(struct text *text, size_t indent)
{
	const char *line = scratch_text(&text->line);
	size_t columns = TEXT_WIDTH, begin = text->out->nr, i;

	for (;;) {
		size_t nr = broken_at(line, columns);

		strbuf_add(text->out, line, nr);
		strbuf_puts(text->out, "\n");
		line += nr + strspn(line + nr, " ");
		if (!*line)
			break;
		pad(text->out, indent);
		columns = TEXT_WIDTH - indent;
	}
	for (i = begin; i < text->out->nr; i++) {
		if (text->out->text[i] == TEXT_NBSP[0])
			text->out->text[i] = ' ';
	}
	forget(text, &text->line);
}

/* --- header ----------------------------------------------------------------------------------- */

static void add_target(struct text *text, const struct report_target *target)
{
	strbuf_printf(&text->line, "pid %" PRIu32 " (", target->tgid);
	text_add_name(text, target->comm, COMM_COLUMNS);
	strbuf_puts(&text->line, ")");
}

/* UTC, so that a replay elsewhere prints the same. */
static void add_start(struct text *text)
{
	time_t start = (time_t)text->report->wall_time_s;
	char buf[64];
	struct tm tm;

	if (!gmtime_r(&start, &tm) || !strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S UTC", &tm))
		return;
	strbuf_printf(text->out, "  from %s\n", buf);
}

static void add_target_line(struct text *text, const struct report_target *target)
{
	const char *end = target->exited ? ", exited" : "";
	size_t columns;

	strbuf_puts(&text->line, "  ");
	if (text->report->nr_targets > 1) {
		add_target(text, target);
		strbuf_puts(&text->line, " ");
	}
	columns = TEXT_WIDTH - strlen(end) - names_columns(scratch_text(&text->line));
	text_add_name(text, target->exe[0] ? target->exe : "executable not known", columns);
	strbuf_puts(&text->line, end);
	strbuf_puts(&text->line, "\n");
	strbuf_puts(text->out, scratch_text(&text->line));
	forget(text, &text->line);
}

void text_incomplete(struct text *text)
{
	const struct report *report = text->report;

	if (report->complete)
		return;
	strbuf_puts(&text->line, "INCOMPLETE: ");
	text_add_name(text, report->incomplete_why[0] ? report->incomplete_why : "no reason known",
		      sizeof(report->incomplete_why));
	text_wrap(text, TEXT_INDENT);
}

void text_header(struct text *text, const char *what, const char *basis)
{
	const struct report *report = text->report;
	size_t i;

	if (report->final)
		strbuf_printf(&text->line, "seep %s: ", what);
	else
		strbuf_printf(&text->line, "--- ");
	if (report->nr_targets == 1)
		add_target(text, &report->target[0]);
	else
		strbuf_printf(&text->line, "%s processes", text_count(report->nr_targets).text);
	strbuf_printf(&text->line, ", %s, %s", text_duration(report->duration_s).text, basis);
	text_wrap(text, TEXT_INDENT);
	if (!report->final)
		return;
	for (i = 0; i < report->nr_targets && i < TEXT_MAX_TARGETS; i++)
		add_target_line(text, &report->target[i]);
	if (i < report->nr_targets)
		strbuf_printf(text->out, "  and %s more\n",
			      text_count(report->nr_targets - i).text);
	add_start(text);
}

/* --- stacks ----------------------------------------------------------------------------------- */

/* The last directory and the name: enough to tell one mod.rs from another. */
static const char *short_path(const char *path)
{
	const char *base = names_base(path);
	const char *dir = base;

	if (base - path < 2)
		return base;
	for (dir = base - 1; dir > path && dir[-1] != '/'; dir--)
		;
	return dir;
}

static void set_source(struct text *text, const char *path, uint32_t line)
{
	forget(text, &text->location);
	names_add_clean(&text->location, path);
	if (line)
		strbuf_printf(&text->location, ":%" PRIu32, line);
}

static void compose_frame(struct text *text, const struct report_frame *frame)
{
	forget(text, &text->name);
	forget(text, &text->location);
	names_add_frame(&text->name, frame);
	if (frame->inlined)
		strbuf_puts(&text->name, " [inlined]");
	if (frame->file[0]) {
		set_source(text, short_path(frame->file), frame->line);
		if (names_columns(scratch_text(&text->location)) > LOCATION_COLUMNS)
			set_source(text, names_base(frame->file), frame->line);
	} else if (frame->function[0] && frame->module[0]) {
		names_add_clean(&text->location, names_base(frame->module));
	} else if (!frame->module[0]) {
		strbuf_printf(&text->location, "0x%" PRIx64, frame->address);
	}
}

struct stack_layout {
	size_t name_columns, location_columns;
};

static bool is_left_out(size_t i, size_t nr)
{
	return nr > STACK_INNER + STACK_OUTER + 1 && i >= STACK_INNER && i < nr - STACK_OUTER;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static struct stack_layout lay_out(struct text *text, const struct report_frame *frame, size_t nr)
{
	struct stack_layout layout = {0};
	size_t name, location, i;

	for (i = 0; i < nr; i++) {
		if (is_left_out(i, nr))
			continue;
		compose_frame(text, &frame[i]);
		name = names_columns(scratch_text(&text->name));
		location = names_columns(scratch_text(&text->location));
		if (name > layout.name_columns)
			layout.name_columns = name;
		if (location > layout.location_columns)
			layout.location_columns = location;
	}
	layout.location_columns = min_size(layout.location_columns, LOCATION_COLUMNS);
	layout.name_columns = min_size(layout.name_columns,
				       STACK_COLUMNS - GAP_COLUMNS - layout.location_columns);
	return layout;
}

static void add_frame(struct text *text, const struct report_frame *frame,
		      const struct stack_layout *layout)
{
	const char *name, *location;

	compose_frame(text, frame);
	name = scratch_text(&text->name);
	location = scratch_text(&text->location);
	pad(text->out, STACK_INDENT);
	names_add_cut(text->out, name, layout->name_columns);
	if (*location) {
		pad(text->out, GAP_COLUMNS + layout->name_columns -
				       min_size(names_columns(name), layout->name_columns));
		names_add_cut(text->out, location, layout->location_columns);
	}
	strbuf_puts(text->out, "\n");
}

void text_stack(struct text *text, const struct report_frame *frame, size_t nr, bool partial)
{
	struct stack_layout layout = lay_out(text, frame, nr);
	size_t i;

	for (i = 0; i < nr; i++) {
		if (!is_left_out(i, nr))
			add_frame(text, &frame[i], &layout);
		else if (i == STACK_INNER)
			strbuf_printf(text->out, "%*s... %zu frames (all of them: -f json)\n",
				      STACK_INDENT, "", nr - STACK_INNER - STACK_OUTER);
	}
	if (!nr)
		strbuf_printf(text->out, "%*s[no stack]\n", STACK_INDENT, "");
	else if (partial)
		strbuf_printf(text->out, "%*s[partial: its outer frames could not be walked]\n",
			      STACK_INDENT, "");
}

/* --- losses and cost -------------------------------------------------------------------------- */

/* Names without a meaning here are printed by themselves. */
static const char *loss_meaning(const char *name)
{
	static const struct {
		const char *name, *meaning;
	} known[] = {
		{"lost_allocs", "the block map was full (--max-blocks)"},
		{"lost_events", "the ring was full (--ring-size)"},
		{"missed_frees", "frees seen only when the address came back"},
		{"stacks_partial", "stacks that lack their outer end"},
		{"stacks_unknown", "calls of which no stack is known"},
		{"left_given_up", "blocks left in windows, not looked after any more"},
		{"stale_calls", "calls left by longjmp or an exception"},
		{"calls_too_deep", "more calls at once in a thread than we keep"},
		{"no_thread_state", "no memory for a thread's state"},
		{"out_pointer_faults", "results of posix_memalign not readable"},
		{"stacks_full", "the stack table was full (--max-stacks)"},
		{"stack_collisions", "stacks with the same hash as another"},
		{"stacks_empty", "not even the caller could be read"},
		{"no_regs", "user registers were not available"},
		{"stacks_busy", "too many stacks walked at once on a CPU"},
		{"cut_no_mapping", "stacks cut where no code is known to be"},
		{"cut_pending", "stacks cut before the unwind table was made"},
		{"cut_no_table", "stacks cut in code that says nothing of frames"},
		{"cut_unsupported", "stacks cut at a rule that tables cannot hold"},
		{"cut_unreadable", "stacks cut where memory could not be read"},
		{"cut_bad_frame", "stacks cut at a frame that cannot be"},
		{"cut_changed", "stacks cut as mappings changed meanwhile"},
		{"cut_trampoline", "stacks cut at somebody's return probe"},
		{"cut_depth", "stacks with more frames than are kept"},
		{"memo_wrong", "stacks known again wrongly (--check-stacks)"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].name, name) == 0)
			return known[i].meaning;
	}
	return "";
}

static size_t add_loss(struct text *text, const char *name, uint64_t count)
{
	if (!count)
		return 0;
	strbuf_printf(&text->line, "  %-18s %15s  %s", name, text_count(count).text,
		      loss_meaning(name));
	while (text->line.nr && text->line.text[text->line.nr - 1] == ' ')
		text->line.text[--text->line.nr] = '\0';
	text_wrap(text, TEXT_INDENT);
	return 1;
}

void text_losses(struct text *text)
{
	const struct report *report = text->report;
	size_t nr = 0, i;

	nr += add_loss(text, "lost_allocs", report->balance.lost_allocs);
	nr += add_loss(text, "lost_events", report->balance.lost_events);
	nr += add_loss(text, "missed_frees", report->balance.missed_frees);
	nr += add_loss(text, "stacks_partial", report->balance.stacks_partial);
	nr += add_loss(text, "stacks_unknown", report->balance.stacks_unknown);
	for (i = 0; i < report->nr_losses; i++)
		nr += add_loss(text, report->loss[i].name, report->loss[i].count);
	if (!nr && report->final)
		strbuf_puts(text->out, "  no losses\n");
}

static void add_probes(struct text *text)
{
	const struct report *report = text->report;
	size_t nr_emulated = 0, i;
	const char *link = report->probe[0].link;

	for (i = 0; i < report->nr_probes; i++) {
		nr_emulated += report->probe[i].emulated;
		if (strcmp(report->probe[i].link, link) != 0)
			link = "mixed";
	}
	strbuf_printf(&text->line, "probes: %zu with %s links, %zu emulated, %zu single-stepped",
		      report->nr_probes, link, nr_emulated, report->nr_probes - nr_emulated);
	text_wrap(text, TEXT_INDENT);
}

/* Whose share is of more than they use: a small number of it may be much of the little that they do. */
static void add_little_used(struct text *text)
{
	bool several = text->report->nr_targets > 1;

	strbuf_printf(&text->line,
		      "; the target%s less than that, and of what %s it is %.1f" TEXT_NBSP "%%",
		      several ? "s use" : " uses", several ? "they use" : "it uses",
		      text->report->measured_pct);
}

void text_overhead(struct text *text)
{
	const struct report *report = text->report;
	bool is_little = report->limited_pct > 0 && report->measured_pct >= 0;
	double measured = is_little ? report->limited_pct : report->measured_pct;

	if (report->nr_probes)
		add_probes(text);
	if (!(report->predicted_pct >= 0) && !(report->measured_pct >= 0))
		return;
	strbuf_printf(&text->line,
		      "overhead, of %s:", is_little ? "a fifth of a CPU" : "the target's CPU time");
	if (report->predicted_pct >= 0)
		strbuf_printf(&text->line, " %.1f" TEXT_NBSP "%% predicted", report->predicted_pct);
	if (report->predicted_pct >= 0 && report->measured_pct >= 0)
		strbuf_puts(&text->line, ",");
	if (report->measured_pct >= 0)
		strbuf_printf(&text->line, " %.1f" TEXT_NBSP "%% measured", measured);
	if (is_little)
		add_little_used(text);
	text_wrap(text, TEXT_INDENT);
}

int out_text(const struct report *report, struct strbuf *out)
{
	struct text text = {.report = report, .out = out};

	if (report->mode == RUN_FAULTS)
		text_faults(&text);
	else
		text_leaks(&text);
	forget(&text, &text.line);
	forget(&text, &text.name);
	forget(&text, &text.location);
	strbuf_release(&text.line);
	strbuf_release(&text.name);
	strbuf_release(&text.location);
	return text.failed ? -ENOMEM : strbuf_error(out);
}
