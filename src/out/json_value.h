/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the JSON writer share. Nobody else includes this. */
#ifndef SEEP_OUT_JSON_VALUE_H
#define SEEP_OUT_JSON_VALUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "report.h"
#include "strbuf.h"

/*
 * Values are handed over as soon as they are made. jansson answers a failed allocation with NULL, and takes NULL
 * for an error wherever a value is expected; so it is enough to look once, at the end.
 */
struct json_out {
	const struct report *report;
	struct strbuf scratch;
	bool failed;
};

void jv_put(struct json_out *json, json_t *object, const char *key, json_t *value);
void jv_append(struct json_out *json, json_t *array, json_t *value);

json_t *jv_text(struct json_out *json, const char *text);
json_t *jv_known_text(struct json_out *json, const char *text); /* null when it is empty */
json_t *jv_count(uint64_t n);
/* Rounded to so many decimals; null when not finite. */
json_t *jv_real(double value, int decimals);
json_t *jv_percent(double percent); /* null when negative */
json_t *jv_interval(struct json_out *json, struct report_interval interval);
json_t *jv_stack(struct json_out *json, const struct report_frame *frame, size_t nr);

void jv_put_owner(struct json_out *json, json_t *object, uint32_t tgid, bool several,
		  const char *group);
void jv_put_growth(struct json_out *json, json_t *object, double bytes_per_s,
		   const double interval[2]);

/* json.c */
void json_put_head(struct json_out *json, json_t *root, const char *schema, const char *basis);
json_t *json_losses(struct json_out *json);
json_t *json_overhead(struct json_out *json);

/* json_faults.c */
json_t *json_fault(struct json_out *json, const struct report_fault_site *site);
/* In a report of leaks, all but the sites. */
json_t *json_faults_beside(struct json_out *json);
/* What stands before the sites, and behind them. */
void json_put_faults(struct json_out *json, json_t *before, json_t *behind);

#endif
