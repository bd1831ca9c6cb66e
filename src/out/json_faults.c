/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json_value.h"

json_t *json_fault(struct json_out *json, const struct report_fault_site *site)
{
	json_t *object = json_object();

	jv_put_owner(json, object, site->tgid, site->is_several, site->group);
	jv_put(json, object, "minor", jv_count(site->minor));
	jv_put(json, object, "major", jv_count(site->major));
	jv_put(json, object, "minor_per_s", jv_real(site->minor_per_s, 3));
	jv_put(json, object, "major_per_s", jv_real(site->major_per_s, 3));
	jv_put(json, object, "kind", jv_text(json, site->kind));
	jv_put(json, object, "stack_partial", json_boolean(site->stack_partial));
	jv_put(json, object, "stack", jv_stack(json, site->frame, site->nr_frames));
	return object;
}

static json_t *fault_totals_value(struct json_out *json)
{
	const struct report *report = json->report;
	json_t *object = json_object();

	jv_put(json, object, "minor", jv_count(report->minor_total));
	jv_put(json, object, "major", jv_count(report->major_total));
	/* over a window of no length the quotient is not finite: null */
	jv_put(json, object, "minor_per_s",
	       jv_real((double)report->minor_total / report->duration_s, 3));
	jv_put(json, object, "major_per_s",
	       jv_real((double)report->major_total / report->duration_s, 3));
	return object;
}

static json_t *fault_kinds_value(struct json_out *json)
{
	json_t *kinds = json_object();
	size_t i;

	for (i = 0; i < json->report->nr_kinds; i++) {
		const struct report_fault_kind *kind = &json->report->kind[i];
		json_t *object = json_object();

		jv_put(json, object, "minor", jv_count(kind->minor));
		jv_put(json, object, "major", jv_count(kind->major));
		jv_put(json, kinds, kind->kind, object);
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
	jv_put(json, object, "faults", jv_count(faults));
	jv_put(json, object, "attributed", jv_count(attributed));
	jv_put(json, object, "unattributed",
	       report->fault_period > 1 ? json_null()
					: json_integer((json_int_t)(faults - attributed)));
	jv_put(json, object, "lost_events", jv_count(report->balance.lost_events));
	jv_put(json, object, "stacks_partial", jv_count(report->balance.stacks_partial));
	jv_put(json, object, "stacks_unknown", jv_count(report->balance.stacks_unknown));
	return object;
}

json_t *json_faults_beside(struct json_out *json)
{
	const struct report *report = json->report;
	json_t *object = json_object();

	jv_put(json, object, "watched_s", jv_real(report->faults_s, 6));
	jv_put(json, object, "minor", jv_count(report->minor_total));
	jv_put(json, object, "major", jv_count(report->major_total));
	jv_put(json, object, "sites_total", jv_count(report->nr_faults_all));
	return object;
}

void json_put_faults(struct json_out *json, json_t *before, json_t *behind)
{
	const struct report *report = json->report;

	json_put_head(json, before, "seep.faults/1",
		      report->fault_period > 1 ? "sampled" : "exact");
	jv_put(json, before, "fault_period", jv_count(report->fault_period));
	jv_put(json, before, "totals", fault_totals_value(json));
	jv_put(json, before, "kinds", fault_kinds_value(json));
	jv_put(json, before, "sites_total", jv_count(report->nr_faults_all));
	jv_put(json, behind, "balance", fault_balance_value(json));
	jv_put(json, behind, "losses", json_losses(json));
	jv_put(json, behind, "overhead", json_overhead(json));
}
