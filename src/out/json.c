/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One report, one line: what interval reports are concatenated to is a file of JSON lines. */
#include <errno.h>
#include <stdbool.h>

#include "json_value.h"
#include "out.h"
#include "record.h"

static void put_exact(struct json_out *json, json_t *object, const struct report_balance *balance)
{
	bool known = balance->exact_known;

	jv_put(json, object, "exact_calls", known ? jv_count(balance->exact_calls) : json_null());
	jv_put(json, object, "exact_bytes", known ? jv_count(balance->exact_bytes) : json_null());
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
		{"samples", balance->samples},
		{"live_samples", balance->live_samples},
	};
	json_t *object = json_object();
	size_t i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		jv_put(json, object, row[i].key, jv_count(row[i].value));
	if (balance->frees_unknown_hidden)
		jv_put(json, object, "frees_unknown", json_null());
	jv_put(json, object, "allocs_ci", jv_interval(json, balance->allocs_ci));
	jv_put(json, object, "live_ci", jv_interval(json, balance->live_ci));
	jv_put(json, object, "live_bytes_ci", jv_interval(json, balance->live_bytes_ci));
	jv_put(json, object, "allocated_bytes_ci", jv_interval(json, balance->allocated_bytes_ci));
	put_exact(json, object, balance);
	return object;
}

static json_t *target_value(struct json_out *json, const struct report_target *target)
{
	json_t *object = json_object();

	jv_put(json, object, "pid", jv_count(target->tgid));
	jv_put(json, object, "comm", jv_text(json, target->comm));
	jv_put(json, object, "exe", jv_known_text(json, target->exe));
	jv_put(json, object, "exited", json_boolean(target->exited));
	if (json->report->nr_targets > 1 && json->report->mode != RUN_FAULTS)
		jv_put(json, object, "balance", balance_value(json, &target->balance));
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
		jv_append(json, array, target_value(json, &report->target[i]));
	return array;
}

static json_t *window_value(struct json_out *json)
{
	json_t *object = json_object();

	jv_put(json, object, "duration_s", jv_real(json->report->duration_s, 6));
	jv_put(json, object, "watched_s", jv_real(json->report->watched_s, 6));
	jv_put(json, object, "last_watched_s",
	       json->report->last_watched_s < 0 ? json_null()
						: jv_real(json->report->last_watched_s, 6));
	jv_put(json, object, "live_since_s",
	       json->report->last_watched_s < 0 ? jv_real(json->report->live_since_s, 6)
						: json_null());
	jv_put(json, object, "started_unix_s", jv_count(json->report->wall_time_s));
	jv_put(json, object, "final", json_boolean(json->report->final));
	return object;
}

json_t *json_losses(struct json_out *json)
{
	json_t *object = json_object();
	size_t i;

	for (i = 0; i < json->report->nr_losses; i++)
		jv_put(json, object, json->report->loss[i].name,
		       jv_count(json->report->loss[i].count));
	return object;
}

static json_t *probe_value(struct json_out *json, const struct report_probe *probe)
{
	json_t *object = json_object();

	jv_put(json, object, "object", jv_text(json, probe->object));
	jv_put(json, object, "function", jv_text(json, probe->function));
	jv_put(json, object, "offset", jv_count(probe->offset));
	jv_put(json, object, "instruction", jv_text(json, probe->instruction));
	jv_put(json, object, "emulated", json_boolean(probe->emulated));
	jv_put(json, object, "link", jv_text(json, probe->link));
	jv_put(json, object, "cost_ns", probe->cost_ns ? jv_count(probe->cost_ns) : json_null());
	jv_put(json, object, "return", json_boolean(probe->with_return));
	return object;
}

static json_t *probes_value(struct json_out *json)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < json->report->nr_probes; i++)
		jv_append(json, array, probe_value(json, &json->report->probe[i]));
	return array;
}

json_t *json_overhead(struct json_out *json)
{
	json_t *object = json_object();

	jv_put(json, object, "predicted_pct", jv_percent(json->report->predicted_pct));
	jv_put(json, object, "measured_pct", jv_percent(json->report->measured_pct));
	jv_put(json, object, "limited_pct",
	       json->report->limited_pct > 0 ? jv_percent(json->report->limited_pct) : json_null());
	return object;
}

/* How far its numbers can be believed. */
static void put_errors(struct json_out *json, json_t *object, const struct report_site *site)
{
	json_t *samples = json_object();

	jv_put(json, object, "basis", json_string_nocheck(basis_name(site->basis)));
	jv_put(json, samples, "live", jv_count(site->live_samples));
	jv_put(json, samples, "allocated", jv_count(site->alloc_samples));
	jv_put(json, object, "samples", samples);
	jv_put(json, object, "few_samples",
	       json_boolean(site->basis != BASIS_EXACT && site->live_samples < REPORT_FEW_SAMPLES));
	jv_put(json, object, "live_bytes_ci", jv_interval(json, site->live_ci));
	jv_put(json, object, "live_objects_ci", jv_interval(json, site->live_objects_ci));
	jv_put(json, object, "held_at_exit_bytes_ci", jv_interval(json, site->held_ci));
	jv_put(json, object, "held_at_exit_objects_ci", jv_interval(json, site->held_objects_ci));
	jv_put(json, object, "left_bytes_ci", jv_interval(json, site->left_ci));
	jv_put(json, object, "left_objects_ci", jv_interval(json, site->left_objects_ci));
	jv_put(json, object, "alloc_bytes_ci", jv_interval(json, site->alloc_ci));
	jv_put(json, object, "alloc_objects_ci", jv_interval(json, site->alloc_objects_ci));
}

static json_t *site_value(struct json_out *json, const struct report_site *site)
{
	json_t *object = json_object();

	jv_put(json, object, "verdict", jv_text(json, verdict_name(site->verdict)));
	jv_put(json, object, "probability",
	       site->verdict == VERDICT_UNKNOWN ? json_null() : jv_real(site->probability, 4));
	jv_put(json, object, "evidence", jv_text(json, site->evidence));
	jv_put_owner(json, object, site->tgid, site->nr_processes > 1, site->group);
	jv_put(json, object, "processes", jv_count(site->nr_processes));
	jv_put(json, object, "live_bytes", jv_count(site->live_bytes));
	jv_put(json, object, "live_objects", jv_count(site->live_objects));
	jv_put(json, object, "held_at_exit_bytes", jv_count(site->held_bytes));
	jv_put(json, object, "held_at_exit_objects", jv_count(site->held_objects));
	jv_put(json, object, "left_bytes", jv_count(site->left_bytes));
	jv_put(json, object, "left_objects", jv_count(site->left_objects));
	jv_put(json, object, "presumed_bytes", jv_count(site->presumed_bytes));
	jv_put(json, object, "presumed_objects", jv_count(site->presumed_objects));
	jv_put(json, object, "alloc_bytes", jv_count(site->alloc_bytes));
	jv_put(json, object, "alloc_objects", jv_count(site->alloc_objects));
	jv_put(json, object, "free_objects", jv_count(site->free_objects));
	put_errors(json, object, site);
	jv_put_growth(json, object, site->growth_bytes_per_s, site->growth_ci);
	jv_put(json, object, "growth_of_windows", json_boolean(site->growth_of_windows));
	jv_put(json, object, "oldest_age_s",
	       site->live_objects || site->held_objects || site->left_objects
		       ? jv_real(site->oldest_age_s, 3)
		       : json_null());
	jv_put(json, object, "stack_partial", json_boolean(site->stack_partial));
	jv_put(json, object, "stack", jv_stack(json, site->frame, site->nr_frames));
	return object;
}

static json_t *mapping_value(struct json_out *json, const struct report_mapping_site *site)
{
	json_t *object = json_object();

	jv_put(json, object, "kind", jv_text(json, site->kind));
	jv_put_owner(json, object, site->tgid, site->is_several, site->group);
	jv_put(json, object, "live_bytes", jv_count(site->live_bytes));
	jv_put(json, object, "live_mappings", jv_count(site->live_mappings));
	jv_put(json, object, "mapped_bytes", jv_count(site->mapped_bytes));
	jv_put(json, object, "stack_partial", json_boolean(site->stack_partial));
	jv_put(json, object, "stack", jv_stack(json, site->frame, site->nr_frames));
	return object;
}

static json_t *mappings_value(struct json_out *json)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < json->report->nr_mappings; i++)
		jv_append(json, array, mapping_value(json, &json->report->mapping[i]));
	return array;
}

static json_t *step_value(struct json_out *json, const struct report_step *step)
{
	json_t *object = json_object();

	jv_put(json, object, "at_s", jv_real(step->at_s, 6));
	jv_put(json, object, "mode", json_string_nocheck(step_mode_name(step->mode)));
	jv_put(json, object, "why", json_string_nocheck(step_why_name(step->why)));
	jv_put(json, object, "sample_bytes", jv_count(step->period_bytes));
	jv_put(json, object, "duty_pct", jv_real(step->duty_pct, 1));
	jv_put(json, object, "overhead_pct", jv_real(step->overhead_pct, 4));
	return object;
}

static json_t *governor_value(struct json_out *json)
{
	json_t *object = json_object(), *steps = json_array();
	size_t i;

	for (i = 0; i < json->report->nr_steps; i++)
		jv_append(json, steps, step_value(json, &json->report->step[i]));
	jv_put(json, object, "steps", steps);
	return object;
}

static json_t *group_value(struct json_out *json, const struct report_group *group)
{
	json_t *object = json_object();

	jv_put(json, object, "name", jv_text(json, group->name));
	jv_put(json, object, "pid", group->nr_processes > 1 ? json_null() : jv_count(group->tgid));
	jv_put(json, object, "processes", jv_count(group->nr_processes));
	jv_put(json, object, "exited", jv_count(group->nr_exited));
	jv_put(json, object, "live_bytes", jv_count(group->live_bytes));
	jv_put(json, object, "live_objects", jv_count(group->live_objects));
	jv_put(json, object, "held_at_exit_bytes", jv_count(group->held_bytes));
	jv_put(json, object, "held_at_exit_objects", jv_count(group->held_objects));
	jv_put(json, object, "left_bytes", jv_count(group->left_bytes));
	jv_put(json, object, "left_objects", jv_count(group->left_objects));
	jv_put(json, object, "alloc_bytes", jv_count(group->alloc_bytes));
	jv_put(json, object, "alloc_objects", jv_count(group->alloc_objects));
	jv_put(json, object, "held_in_all_bytes_ci", jv_interval(json, group->live_ci));
	jv_put(json, object, "alloc_bytes_ci", jv_interval(json, group->alloc_ci));
	jv_put_growth(json, object, group->growth_bytes_per_s, group->growth_ci);
	return object;
}

static json_t *groups_value(struct json_out *json)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < json->report->nr_groups; i++)
		jv_append(json, array, group_value(json, &json->report->group[i]));
	return array;
}

void json_put_head(struct json_out *json, json_t *root, const char *schema, const char *basis)
{
	const struct report *report = json->report;

	jv_put(json, root, "schema", json_string_nocheck(schema));
	jv_put(json, root, "target", targets_value(json));
	jv_put(json, root, "window", window_value(json));
	jv_put(json, root, "basis", json_string_nocheck(basis));
	jv_put(json, root, "basis_note", jv_known_text(json, report->basis_note));
	jv_put(json, root, "by", json_string_nocheck(report_by_name(report->by)));
	jv_put(json, root, "complete", json_boolean(report->complete));
	jv_put(json, root, "incomplete_why",
	       report->complete ? json_null() : jv_known_text(json, report->incomplete_why));
}

/* What stands before the sites, and behind them. */
static void put_leaks(struct json_out *json, json_t *before, json_t *behind)
{
	const struct report *report = json->report;

	json_put_head(json, before, "seep.leaks/1", basis_name(report->basis));
	jv_put(json, before, "sample_bytes", jv_count(report->sample_bytes));
	jv_put(json, before, "probes", probes_value(json));
	jv_put(json, before, "balance", balance_value(json, &report->balance));
	jv_put(json, before, "losses", json_losses(json));
	jv_put(json, before, "overhead", json_overhead(json));
	jv_put(json, before, "governor", governor_value(json));
	jv_put(json, before, "sites_total", jv_count(report->nr_sites_all));
	jv_put(json, behind, "groups", groups_value(json));
	jv_put(json, behind, "mappings_total", jv_count(report->nr_mappings_all));
	jv_put(json, behind, "mappings", mappings_value(json));
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

/* An object that goes on. */
static void dump_open(struct json_out *json, json_t *value, struct strbuf *out)
{
	dump_value(json, value, out);
	if (!json->failed)
		out->text[--out->nr] = '\0'; /* "}" */
}

static json_t *site_at(struct json_out *json, size_t i)
{
	return site_value(json, &json->report->site[i]);
}

static json_t *fault_at(struct json_out *json, size_t i)
{
	return json_fault(json, &json->report->fault[i]);
}

/* One after the other: as a tree, fifty thousand of them with deep stacks take gigabytes. */
static void dump_sites(struct json_out *json, size_t nr,
		       json_t *(*at)(struct json_out *json, size_t i), struct strbuf *out)
{
	size_t i;

	strbuf_puts(out, ",\"sites\":[");
	for (i = 0; i < nr && !json->failed; i++) {
		if (i)
			strbuf_puts(out, ",");
		dump_value(json, at(json, i), out);
	}
	strbuf_puts(out, "]");
}

/* What was followed instead of allocations. */
static void dump_faults_beside(struct json_out *json, struct strbuf *out)
{
	const struct report *report = json->report;

	strbuf_puts(out, ",\"faults\":");
	if (!(report->faults_s > 0) && !report->nr_faults_all) {
		strbuf_puts(out, "null");
		return;
	}
	dump_open(json, json_faults_beside(json), out);
	dump_sites(json, report->nr_faults, fault_at, out);
	strbuf_puts(out, "}");
}

int out_json(const struct report *report, struct strbuf *out)
{
	struct json_out json = {.report = report};
	json_t *before = json_object(), *behind = json_object();
	size_t start;

	if (report->mode == RUN_FAULTS)
		json_put_faults(&json, before, behind);
	else
		put_leaks(&json, before, behind);
	dump_open(&json, before, out);
	if (report->mode == RUN_FAULTS) {
		dump_sites(&json, report->nr_faults, fault_at, out);
	} else {
		dump_sites(&json, report->nr_sites, site_at, out);
		dump_faults_beside(&json, out);
	}
	start = out->nr;
	dump_value(&json, behind, out);
	if (!json.failed)
		out->text[start] = ','; /* for "{" */
	strbuf_puts(out, "\n");
	strbuf_release(&json.scratch);
	return json.failed ? -ENOMEM : strbuf_error(out);
}
