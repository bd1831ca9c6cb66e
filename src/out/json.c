/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One report, one line: what interval reports are concatenated to is a file of JSON lines. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "names.h"
#include "out.h"
#include "record.h"

/*
 * Values are handed over as soon as they are made. jansson answers a failed allocation with NULL, and takes NULL
 * for an error wherever a value is expected; so it is enough to look once, at the end.
 */
struct json_out {
	const struct report *report;
	struct strbuf scratch;
	bool failed;
};

static void put(struct json_out *json, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new_nocheck(object, key, value))
		json->failed = true;
}

static void append(struct json_out *json, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value))
		json->failed = true;
}

static json_t *text_value(struct json_out *json, const char *text)
{
	strbuf_clear(&json->scratch);
	names_add_utf8(&json->scratch, text);
	if (strbuf_error(&json->scratch))
		return NULL;
	return json_stringn_nocheck(json->scratch.nr ? json->scratch.text : "", json->scratch.nr);
}

/* Text that is empty when it is not known. */
static json_t *known_text(struct json_out *json, const char *text)
{
	return text[0] ? text_value(json, text) : json_null();
}

/* jansson's integers are signed. */
static json_t *count_value(uint64_t n)
{
	return n <= INT64_MAX ? json_integer((json_int_t)n) : json_real((double)n);
}

/* Rounded to so many decimals, so that no noise is printed as if it were known. */
static json_t *real_value(double value, int decimals)
{
	double scale = pow(10, decimals);
	double rounded = round(value * scale) / scale;

	return isfinite(rounded) ? json_real(rounded) : json_null();
}

static json_t *percent_value(double percent)
{
	return percent < 0 ? json_null() : real_value(percent, 3);
}

static json_t *frame_value(struct json_out *json, const struct report_frame *frame)
{
	json_t *object = json_object();
	char address[24];

	(void)snprintf(address, sizeof(address), "0x%" PRIx64, frame->address);
	strbuf_clear(&json->scratch);
	names_add_frame(&json->scratch, frame);
	if (strbuf_error(&json->scratch))
		json->failed = true;
	else
		put(json, object, "function",
		    json_stringn_nocheck(json->scratch.text, json->scratch.nr));
	put(json, object, "module", known_text(json, frame->module));
	put(json, object, "file", known_text(json, frame->file));
	put(json, object, "line", frame->line ? count_value(frame->line) : json_null());
	put(json, object, "address", json_string_nocheck(address));
	put(json, object, "inlined", json_boolean(frame->inlined));
	return object;
}

static json_t *stack_value(struct json_out *json, const struct report_frame *frame, size_t nr)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < nr; i++)
		append(json, array, frame_value(json, &frame[i]));
	return array;
}

static json_t *balance_value(struct json_out *json, const struct report_balance *balance)
{
	const struct {
		const char *key;
		uint64_t value;
	} row[] = {
		{"allocs", balance->allocs},
		{"frees", balance->frees},
		{"live", balance->live},
		{"failed_allocs", balance->failed_allocs},
		{"released", balance->released},
		{"lost_allocs", balance->lost_allocs},
		{"frees_unknown", balance->frees_unknown},
		{"frees_by_resync", balance->frees_by_resync},
		{"lost_events", balance->lost_events},
		{"resyncs", balance->resyncs},
		{"stacks", balance->stacks},
		{"stacks_partial", balance->stacks_partial},
		{"stacks_unknown", balance->stacks_unknown},
		{"allocs_partial", balance->allocs_partial},
		{"allocs_too_deep", balance->allocs_too_deep},
		{"missed_frees", balance->missed_frees},
		{"live_bytes", balance->live_bytes},
		{"allocated_bytes", balance->allocated_bytes},
	};
	json_t *object = json_object();
	size_t i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		put(json, object, row[i].key, count_value(row[i].value));
	return object;
}

static json_t *target_value(struct json_out *json, const struct report_target *target)
{
	json_t *object = json_object();

	put(json, object, "pid", count_value(target->tgid));
	put(json, object, "comm", text_value(json, target->comm));
	put(json, object, "exe", known_text(json, target->exe));
	put(json, object, "exited", json_boolean(target->exited));
	if (json->report->nr_targets > 1 && json->report->mode != RUN_FAULTS)
		put(json, object, "balance", balance_value(json, &target->balance));
	return object;
}

static json_t *targets_value(struct json_out *json)
{
	const struct report *report = json->report;
	json_t *array;
	size_t i;

	if (report->nr_targets == 1)
		return target_value(json, &report->target[0]);
	array = json_array();
	for (i = 0; i < report->nr_targets; i++)
		append(json, array, target_value(json, &report->target[i]));
	return array;
}

static json_t *window_value(struct json_out *json)
{
	json_t *object = json_object();

	put(json, object, "duration_s", real_value(json->report->duration_s, 6));
	put(json, object, "started_unix_s", count_value(json->report->wall_time_s));
	put(json, object, "final", json_boolean(json->report->final));
	return object;
}

static json_t *losses_value(struct json_out *json)
{
	json_t *object = json_object();
	size_t i;

	for (i = 0; i < json->report->nr_losses; i++)
		put(json, object, json->report->loss[i].name,
		    count_value(json->report->loss[i].count));
	return object;
}

static json_t *probe_value(struct json_out *json, const struct report_probe *probe)
{
	json_t *object = json_object();

	put(json, object, "object", text_value(json, probe->object));
	put(json, object, "function", text_value(json, probe->function));
	put(json, object, "offset", count_value(probe->offset));
	put(json, object, "instruction", text_value(json, probe->instruction));
	put(json, object, "emulated", json_boolean(probe->emulated));
	put(json, object, "link", text_value(json, probe->link));
	put(json, object, "cost_ns", probe->cost_ns ? count_value(probe->cost_ns) : json_null());
	put(json, object, "return", json_boolean(probe->with_return));
	return object;
}

static json_t *probes_value(struct json_out *json)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < json->report->nr_probes; i++)
		append(json, array, probe_value(json, &json->report->probe[i]));
	return array;
}

static json_t *overhead_value(struct json_out *json)
{
	json_t *object = json_object();

	put(json, object, "predicted_pct", percent_value(json->report->predicted_pct));
	put(json, object, "measured_pct", percent_value(json->report->measured_pct));
	return object;
}

/* A trend is known when its interval is. */
static void put_growth(struct json_out *json, json_t *object, const struct report_site *site)
{
	bool is_known = isfinite(site->growth_ci[0]) && isfinite(site->growth_ci[1]);
	json_t *ci = json_array();

	put(json, object, "growth_bytes_per_s",
	    is_known ? real_value(site->growth_bytes_per_s, 3) : json_null());
	append(json, ci, real_value(site->growth_ci[0], 3));
	append(json, ci, real_value(site->growth_ci[1], 3));
	put(json, object, "growth_ci", ci);
}

static json_t *site_value(struct json_out *json, const struct report_site *site)
{
	json_t *object = json_object();

	put(json, object, "verdict", text_value(json, verdict_name(site->verdict)));
	put(json, object, "probability",
	    site->verdict == VERDICT_UNKNOWN ? json_null() : real_value(site->probability, 4));
	put(json, object, "evidence", text_value(json, site->evidence));
	put(json, object, "pid", count_value(site->tgid));
	put(json, object, "live_bytes", count_value(site->live_bytes));
	put(json, object, "live_objects", count_value(site->live_objects));
	put(json, object, "held_at_exit_bytes", count_value(site->held_bytes));
	put(json, object, "held_at_exit_objects", count_value(site->held_objects));
	put(json, object, "alloc_bytes", count_value(site->alloc_bytes));
	put(json, object, "alloc_objects", count_value(site->alloc_objects));
	put(json, object, "free_objects", count_value(site->free_objects));
	put_growth(json, object, site);
	put(json, object, "oldest_age_s",
	    site->live_objects || site->held_objects ? real_value(site->oldest_age_s, 3)
						     : json_null());
	put(json, object, "stack_partial", json_boolean(site->stack_partial));
	put(json, object, "stack", stack_value(json, site->frame, site->nr_frames));
	return object;
}

static json_t *mapping_value(struct json_out *json, const struct report_mapping_site *site)
{
	json_t *object = json_object();

	put(json, object, "kind", text_value(json, site->kind));
	put(json, object, "pid", count_value(site->tgid));
	put(json, object, "live_bytes", count_value(site->live_bytes));
	put(json, object, "live_mappings", count_value(site->live_mappings));
	put(json, object, "mapped_bytes", count_value(site->mapped_bytes));
	put(json, object, "stack_partial", json_boolean(site->stack_partial));
	put(json, object, "stack", stack_value(json, site->frame, site->nr_frames));
	return object;
}

static json_t *mappings_value(struct json_out *json)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < json->report->nr_mappings; i++)
		append(json, array, mapping_value(json, &json->report->mapping[i]));
	return array;
}

static json_t *fault_value(struct json_out *json, const struct report_fault_site *site)
{
	json_t *object = json_object();

	put(json, object, "pid", count_value(site->tgid));
	put(json, object, "minor", count_value(site->minor));
	put(json, object, "major", count_value(site->major));
	put(json, object, "minor_per_s", real_value(site->minor_per_s, 3));
	put(json, object, "major_per_s", real_value(site->major_per_s, 3));
	put(json, object, "kind", text_value(json, site->kind));
	put(json, object, "stack_partial", json_boolean(site->stack_partial));
	put(json, object, "stack", stack_value(json, site->frame, site->nr_frames));
	return object;
}

static json_t *fault_totals_value(struct json_out *json)
{
	const struct report *report = json->report;
	json_t *object = json_object();

	put(json, object, "minor", count_value(report->minor_total));
	put(json, object, "major", count_value(report->major_total));
	/* over a window of no length the quotient is not finite: null */
	put(json, object, "minor_per_s",
	    real_value((double)report->minor_total / report->duration_s, 3));
	put(json, object, "major_per_s",
	    real_value((double)report->major_total / report->duration_s, 3));
	return object;
}

static json_t *fault_kinds_value(struct json_out *json)
{
	json_t *kinds = json_object();
	size_t i;

	for (i = 0; i < json->report->nr_kinds; i++) {
		const struct report_fault_kind *kind = &json->report->kind[i];
		json_t *object = json_object();

		put(json, object, "minor", count_value(kind->minor));
		put(json, object, "major", count_value(kind->major));
		put(json, kinds, kind->kind, object);
	}
	return kinds;
}

/* faults = attributed + unattributed, where each fault is an event; else the latter is not known. */
static json_t *fault_balance_value(struct json_out *json)
{
	const struct report *report = json->report;
	uint64_t faults = report->minor_total + report->major_total;
	uint64_t attributed = 0;
	json_t *object = json_object();
	size_t i;

	for (i = 0; i < report->nr_kinds; i++)
		attributed += report->kind[i].minor + report->kind[i].major;
	put(json, object, "faults", count_value(faults));
	put(json, object, "attributed", count_value(attributed));
	put(json, object, "unattributed",
	    report->fault_period > 1 ? json_null()
				     : json_integer((json_int_t)(faults - attributed)));
	put(json, object, "lost_events", count_value(report->balance.lost_events));
	put(json, object, "stacks_partial", count_value(report->balance.stacks_partial));
	put(json, object, "stacks_unknown", count_value(report->balance.stacks_unknown));
	return object;
}

static void put_head(struct json_out *json, json_t *root, const char *schema, bool exact)
{
	const struct report *report = json->report;

	put(json, root, "schema", json_string_nocheck(schema));
	put(json, root, "target", targets_value(json));
	put(json, root, "window", window_value(json));
	put(json, root, "basis", json_string_nocheck(exact ? "exact" : "sampled"));
	put(json, root, "complete", json_boolean(report->complete));
	put(json, root, "incomplete_why",
	    report->complete ? json_null() : known_text(json, report->incomplete_why));
}

/* What stands before the sites, and behind them. */
static void put_leaks(struct json_out *json, json_t *before, json_t *behind)
{
	const struct report *report = json->report;

	put_head(json, before, "seep.leaks/1", report->sample_bytes <= 1);
	put(json, before, "sample_bytes", count_value(report->sample_bytes));
	put(json, before, "probes", probes_value(json));
	put(json, before, "balance", balance_value(json, &report->balance));
	put(json, before, "losses", losses_value(json));
	put(json, before, "overhead", overhead_value(json));
	put(json, before, "sites_total", count_value(report->nr_sites_all));
	put(json, behind, "mappings", mappings_value(json));
}

static void put_faults(struct json_out *json, json_t *before, json_t *behind)
{
	const struct report *report = json->report;

	put_head(json, before, "seep.faults/1", report->fault_period <= 1);
	put(json, before, "fault_period", count_value(report->fault_period));
	put(json, before, "totals", fault_totals_value(json));
	put(json, before, "kinds", fault_kinds_value(json));
	put(json, before, "sites_total", count_value(report->nr_faults_all));
	put(json, behind, "balance", fault_balance_value(json));
	put(json, behind, "losses", losses_value(json));
	put(json, behind, "overhead", overhead_value(json));
}

static int dump(const char *text, size_t nr, void *out)
{
	strbuf_add(out, text, nr);
	return strbuf_error(out) ? -1 : 0;
}

/* An object, and that is the end of it. */
static void dump_value(struct json_out *json, json_t *value, struct strbuf *out)
{
	if (!value || json->failed ||
	    json_dump_callback(value, dump, out,
			       JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15)))
		json->failed = true;
	json_decref(value);
}

/* One after the other: as a tree, fifty thousand of them with deep stacks take gigabytes. */
static void dump_sites(struct json_out *json, struct strbuf *out)
{
	const struct report *report = json->report;
	bool faults = report->mode == RUN_FAULTS;
	size_t nr = faults ? report->nr_faults : report->nr_sites, i;

	strbuf_puts(out, ",\"sites\":[");
	for (i = 0; i < nr && !json->failed; i++) {
		if (i)
			strbuf_puts(out, ",");
		dump_value(json,
			   faults ? fault_value(json, &report->fault[i])
				  : site_value(json, &report->site[i]),
			   out);
	}
	strbuf_puts(out, "]");
}

int out_json(const struct report *report, struct strbuf *out)
{
	struct json_out json = {.report = report};
	json_t *before = json_object(), *behind = json_object();
	size_t start;

	if (report->mode == RUN_FAULTS)
		put_faults(&json, before, behind);
	else
		put_leaks(&json, before, behind);
	dump_value(&json, before, out);
	if (!json.failed)
		out->text[--out->nr] = '\0'; /* "}": it goes on */
	dump_sites(&json, out);
	start = out->nr;
	dump_value(&json, behind, out);
	if (!json.failed)
		out->text[start] = ','; /* for "{" */
	strbuf_puts(out, "\n");
	strbuf_release(&json.scratch);
	return json.failed ? -ENOMEM : strbuf_error(out);
}
