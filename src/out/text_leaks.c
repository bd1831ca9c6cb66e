/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

#define NR_VERDICTS (VERDICT_UNKNOWN + 1)

struct tally {
	size_t nr[NR_VERDICTS];
	double growth_per_s[NR_VERDICTS];
	bool of_windows[NR_VERDICTS]; /* some of that */
};

static struct tally tally_sites(const struct report *report)
{
	struct tally tally = {0};
	size_t i;

	for (i = 0; i < report->nr_sites; i++) {
		tally.nr[report->site[i].verdict]++;
		tally.growth_per_s[report->site[i].verdict] += report->site[i].growth_bytes_per_s;
		tally.of_windows[report->site[i].verdict] |= report->site[i].growth_of_windows;
	}
	return tally;
}

static void add_sum(struct text *text, const struct tally *tally, enum verdict verdict)
{
	strbuf_printf(&text->line, ", %s/h%s",
		      text_bytes_per_hour(tally->growth_per_s[verdict]).text,
		      tally->of_windows[verdict] ? " while watched" : "");
}

static void add_verdicts(struct text *text, const struct tally *tally)
{
	const struct report *report = text->report;
	size_t nr_leaking = tally->nr[VERDICT_LEAKING], nr_growing = tally->nr[VERDICT_GROWING];
	/* sites are ranked: when the last one shown leaks, one that is not shown may leak too */
	bool is_cut = report->nr_sites < report->nr_sites_all && nr_leaking == report->nr_sites;

	if (nr_leaking) {
		strbuf_printf(&text->line, "%s%zu site%s LEAKING", is_cut ? "at least " : "",
			      nr_leaking, text_plural(nr_leaking));
		add_sum(text, tally, VERDICT_LEAKING);
	} else {
		strbuf_puts(&text->line, "no site LEAKING");
	}
	if (nr_growing) {
		strbuf_printf(&text->line, "; %zu GROWING", nr_growing);
		add_sum(text, tally, VERDICT_GROWING);
	}
}

/* What is live, or was so when anybody looked last. */
static void add_live(struct text *text)
{
	const struct report *report = text->report;
	const struct report_balance *balance = &report->balance;

	if (report->last_watched_s >= 0) {
		strbuf_printf(&text->line,
			      "nothing is followed since %.1f" TEXT_NBSP "s; live then: %s",
			      report->last_watched_s, text_bytes(report->left_bytes).text);
		strbuf_printf(&text->line, " in %s%s object%s", text_about(balance->allocs_ci),
			      text_count(report->left_objects).text,
			      text_plural(report->left_objects));
		return;
	}
	if (report->live_since_s > 0)
		strbuf_printf(&text->line, "live since %.1f" TEXT_NBSP "s: ", report->live_since_s);
	else
		strbuf_puts(&text->line, "live since the attach: ");
	strbuf_puts(&text->line, text_bytes(balance->live_bytes).text);
	text_add_error(text, balance->live_bytes, balance->live_bytes_ci);
	strbuf_printf(&text->line, " in %s%s object%s", text_about(balance->live_ci),
		      text_count(balance->live).text, text_plural(balance->live));
	text_add_samples(text, report->basis, balance->live_samples);
}

static void add_summary(struct text *text)
{
	const struct report *report = text->report;
	struct tally tally = tally_sites(report);

	if (!report->nr_sites_all)
		strbuf_puts(&text->line, "no site holds memory allocated since the attach");
	else if (tally.nr[VERDICT_UNKNOWN] == report->nr_sites)
		strbuf_puts(&text->line, "no verdict: the window is too short to tell growth");
	else
		add_verdicts(text, &tally);
	text_wrap(text, TEXT_INDENT);
	text_incomplete(text);
	text_note(text);
	if (report->held_objects) {
		strbuf_printf(
			&text->line, "held at exit, never freed: %s in %s%s object%s",
			text_bytes(report->held_bytes).text, text_about(report->balance.allocs_ci),
			text_count(report->held_objects).text, text_plural(report->held_objects));
		text_wrap(text, TEXT_INDENT);
	}
	add_live(text);
	if (report->nr_sites < report->nr_sites_all)
		strbuf_printf(&text->line, "; %zu of %s sites shown (--top)", report->nr_sites,
			      text_count(report->nr_sites_all).text);
	else
		strbuf_printf(&text->line, " from %zu site%s", report->nr_sites_all,
			      text_plural(report->nr_sites_all));
	text_wrap(text, TEXT_INDENT);
}

static bool has_trend(const struct report_site *site)
{
	return isfinite(site->growth_ci[0]) && isfinite(site->growth_ci[1]) &&
	       isfinite(site->growth_bytes_per_s);
}

static void add_growth(struct text *text, const struct report_site *site)
{
	double growth = site->growth_bytes_per_s;

	if (!has_trend(site))
		strbuf_puts(&text->line, ", growth not known");
	else if (site->growth_ci[0] > 0)
		strbuf_printf(&text->line, ", growing %s/h%s", text_bytes_per_hour(growth).text,
			      site->growth_of_windows ? " while watched" : "");
	else if (site->growth_ci[1] < 0)
		strbuf_printf(&text->line, ", shrinking %s/h", text_bytes_per_hour(-growth).text);
	else
		strbuf_puts(&text->line, ", no clear growth");
}

/* "70.3 to 71.2 MiB": the unit once, where it is the same. */
static void add_interval(struct text *text, const struct report_site *site)
{
	struct word low = text_bytes_per_hour(site->growth_ci[0]);
	struct word high = text_bytes_per_hour(site->growth_ci[1]);
	char *low_unit = strchr(low.text, ' ');
	const char *high_unit = strchr(high.text, ' ');

	if (low_unit && high_unit && strcmp(low_unit, high_unit) == 0)
		*low_unit = '\0';
	strbuf_printf(&text->line, "; 95" TEXT_NBSP "%% CI %s to %s/h", low.text, high.text);
}

/* Never a certainty by rounding. */
static void add_probability(struct text *text, double probability)
{
	if (probability >= 0.995)
		strbuf_puts(&text->line, "; p(leak)" TEXT_NBSP ">0.99");
	else if (probability < 0.005)
		strbuf_puts(&text->line, "; p(leak)" TEXT_NBSP "<0.01");
	else
		strbuf_printf(&text->line, "; p(leak)" TEXT_NBSP "%.2f", probability);
}

static void add_details(struct text *text, const struct report_site *site)
{
	strbuf_printf(&text->line, "%*s", TEXT_INDENT, "");
	if (text->report->nr_targets > 1) {
		text_add_owner(text, site->tgid, site->comm, site->group, site->nr_processes);
		strbuf_puts(&text->line, "; ");
	}
	strbuf_printf(&text->line, "freed %s%s of %s", text_about(site->alloc_objects_ci),
		      text_count(site->free_objects).text, text_count(site->alloc_objects).text);
	if (site->free_objects)
		strbuf_printf(&text->line, " (%.1f" TEXT_NBSP "%%)",
			      100.0 * (double)site->free_objects / (double)site->alloc_objects);
	if (site->presumed_objects > site->left_objects)
		strbuf_printf(&text->line, "; left in windows %s in %s%s object%s",
			      text_bytes(site->presumed_bytes).text,
			      text_about(site->alloc_objects_ci),
			      text_count(site->presumed_objects).text,
			      text_plural(site->presumed_objects));
	if (site->live_objects || site->held_objects || site->left_objects)
		strbuf_printf(&text->line, "; oldest %s", text_duration(site->oldest_age_s).text);
	if (has_trend(site) && (site->growth_ci[0] < 0 || site->growth_ci[1] > 0))
		add_interval(text, site);
	if (site->verdict != VERDICT_UNKNOWN)
		add_probability(text, site->probability);
	text_wrap(text, TEXT_INDENT);
}

static void add_holding(struct text *text, uint64_t bytes, struct report_interval bytes_ci,
			uint64_t objects, struct report_interval objects_ci, const char *what)
{
	strbuf_printf(&text->line, " %s", text_bytes(bytes).text);
	text_add_error(text, bytes, bytes_ci);
	strbuf_printf(&text->line, " %s in %s%s object%s", what, text_about(objects_ci),
		      text_count(objects).text, text_plural(objects));
}

/* A site of one process holds its memory in one way only. */
static void add_holdings(struct text *text, const struct report_site *site)
{
	bool is_any = false;

	if (site->held_objects) {
		add_holding(text, site->held_bytes, site->held_ci, site->held_objects,
			    site->held_objects_ci, "held at exit");
		is_any = true;
	}
	if (site->left_objects) {
		strbuf_puts(&text->line, is_any ? "," : "");
		add_holding(text, site->left_bytes, site->left_ci, site->left_objects,
			    site->left_objects_ci, "last seen live");
		is_any = true;
	}
	if (site->live_objects || !is_any) {
		strbuf_puts(&text->line, is_any ? "," : "");
		add_holding(text, site->live_bytes, site->live_ci, site->live_objects,
			    site->live_objects_ci, "live");
	}
}

static void add_site(struct text *text, size_t i)
{
	const struct report_site *site = &text->report->site[i];

	strbuf_printf(&text->line, "\n%2zu. %-11s", i + 1, verdict_name(site->verdict));
	add_holdings(text, site);
	text_add_samples(text, site->basis, site->live_samples);
	add_growth(text, site);
	text_wrap(text, TEXT_INDENT);
	add_details(text, site);
	if (site->evidence[0]) {
		strbuf_printf(&text->line, "%*s", TEXT_INDENT, "");
		text_add_name(text, site->evidence, sizeof(site->evidence));
		text_wrap(text, TEXT_INDENT);
	}
	text_stack(text, site->frame, site->nr_frames, site->stack_partial);
}

static void add_mappings(struct text *text)
{
	const struct report *report = text->report;
	size_t i;

	if (!report->nr_mappings)
		return;
	strbuf_puts(text->out, "\naddress space taken outside the allocator\n");
	for (i = 0; i < report->nr_mappings; i++) {
		const struct report_mapping_site *site = &report->mapping[i];

		strbuf_printf(&text->line, "%*s%s mapped in %s range%s by %s, %s ever", TEXT_INDENT,
			      "", text_bytes(site->live_bytes).text,
			      text_count(site->live_mappings).text,
			      text_plural(site->live_mappings), site->kind,
			      text_bytes(site->mapped_bytes).text);
		if (report->nr_targets > 1 && report->by == BY_PROCESS) {
			strbuf_printf(&text->line, ", pid %" PRIu32, site->tgid);
		} else if (report->nr_targets > 1) {
			strbuf_puts(&text->line, ", ");
			text_add_owner(text, site->tgid, "", site->group, 0);
		}
		text_wrap(text, TEXT_INDENT);
		text_stack(text, site->frame, site->nr_frames, site->stack_partial);
	}
	if (report->nr_mappings < report->nr_mappings_all)
		strbuf_printf(text->out, "%*sand %s more (--top)\n", TEXT_INDENT, "",
			      text_count(report->nr_mappings_all - report->nr_mappings).text);
}

static void add_equation(struct text *text, const struct report_balance *balance)
{
	uint64_t sum = balance->frees + balance->live + balance->released + balance->lost_allocs;

	strbuf_printf(&text->line,
		      "allocs" TEXT_NBSP "%s%s = frees" TEXT_NBSP "%s + live" TEXT_NBSP "%s"
		      " + released" TEXT_NBSP "%s + lost" TEXT_NBSP "%s",
		      text_about(balance->allocs_ci), text_count(balance->allocs).text,
		      text_count(balance->frees).text, text_count(balance->live).text,
		      text_count(balance->released).text, text_count(balance->lost_allocs).text);
	if (sum != balance->allocs)
		strbuf_printf(&text->line, " (DOES NOT SUM: off by %" PRId64 ")",
			      (int64_t)(balance->allocs - sum));
	text_wrap(text, TEXT_INDENT);
}

/* Counted by the probes themselves, so that an estimate can be held against it. */
static void add_exact(struct text *text, const struct report_balance *balance)
{
	if (text->report->basis == BASIS_EXACT || !balance->exact_known)
		return;
	strbuf_printf(&text->line, "  counted exactly: %s allocating call%s, for %s",
		      text_count(balance->exact_calls).text, text_plural(balance->exact_calls),
		      text_bytes(balance->exact_bytes).text);
	if (balance->frees_unknown_hidden)
		strbuf_puts(&text->line,
			    "; frees of blocks older than the attach cannot be told from "
			    "others");
	text_wrap(text, TEXT_INDENT);
}

static void add_beside_the_sum(struct text *text, const struct report_balance *balance)
{
	add_exact(text, balance);
	if (balance->frees_unknown_hidden && balance->failed_allocs) {
		strbuf_printf(&text->line, "  beside the sum: %s call%s that returned no block",
			      text_count(balance->failed_allocs).text,
			      text_plural(balance->failed_allocs));
		text_wrap(text, TEXT_INDENT);
	} else if (balance->failed_allocs || balance->frees_unknown) {
		strbuf_printf(&text->line,
			      "  beside the sum: %s call%s that returned no block, "
			      "%s%s free%s of blocks older than the attach or not ours",
			      text_count(balance->failed_allocs).text,
			      text_plural(balance->failed_allocs),
			      text->report->basis == BASIS_EXACT ? "" : "at least ",
			      text_count(balance->frees_unknown).text,
			      text_plural(balance->frees_unknown));
		text_wrap(text, TEXT_INDENT);
	}
	if (balance->resyncs) {
		strbuf_printf(&text->line,
			      "  the kernel's block map was read again %s time%s, which told of %s "
			      "free%s",
			      text_count(balance->resyncs).text, text_plural(balance->resyncs),
			      text_count(balance->frees_by_resync).text,
			      text_plural(balance->frees_by_resync));
		text_wrap(text, TEXT_INDENT);
	}
}

static void add_balance(struct text *text, const char *basis)
{
	const struct report *report = text->report;
	size_t i;

	strbuf_printf(text->out, "\nbalance, %s\n", basis);
	strbuf_puts(&text->line, "  ");
	add_equation(text, &report->balance);
	for (i = 0; report->nr_targets > 1 && i < report->nr_targets && i < TEXT_MAX_TARGETS; i++) {
		strbuf_printf(&text->line, "  pid" TEXT_NBSP "%" PRIu32 ": ",
			      report->target[i].tgid);
		add_equation(text, &report->target[i].balance);
	}
	if (report->nr_targets > TEXT_MAX_TARGETS)
		strbuf_printf(text->out, "  and %s more (all of them: -f json)\n",
			      text_count(report->nr_targets - i).text);
	strbuf_printf(&text->line, "  %s", text_bytes(report->balance.allocated_bytes).text);
	text_add_error(text, report->balance.allocated_bytes, report->balance.allocated_bytes_ci);
	strbuf_printf(&text->line, " allocated in all, %s live",
		      text_bytes(report->balance.live_bytes).text);
	text_wrap(text, TEXT_INDENT);
	add_beside_the_sum(text, &report->balance);
	text_losses(text);
}

void text_leaks(struct text *text)
{
	char basis[64];
	size_t i;

	text_basis(text->report, basis, sizeof(basis));
	text_header(text, "leaks", basis);
	if (text->report->final)
		strbuf_puts(text->out, "\n");
	add_summary(text);
	for (i = 0; i < text->report->nr_sites; i++)
		add_site(text, i);
	text_groups(text);
	add_mappings(text);
	text_faults_beside(text);
	add_balance(text, basis);
	if (text->report->final)
		text_overhead(text);
	else
		strbuf_puts(text->out, "\n");
}
