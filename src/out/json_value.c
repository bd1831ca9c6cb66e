/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json_value.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "names.h"

void jv_put(struct json_out *json, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new_nocheck(object, key, value))
		json->failed = true;
}

void jv_append(struct json_out *json, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value))
		json->failed = true;
}

json_t *jv_text(struct json_out *json, const char *text)
{
	strbuf_clear(&json->scratch);
	names_add_utf8(&json->scratch, text);
	if (strbuf_error(&json->scratch))
		return NULL;
	return json_stringn_nocheck(json->scratch.nr ? json->scratch.text : "", json->scratch.nr);
}

/* Text that is empty when it is not known. */
json_t *jv_known_text(struct json_out *json, const char *text)
{
	return text[0] ? jv_text(json, text) : json_null();
}

/* jansson's integers are signed. */
json_t *jv_count(uint64_t n)
{
	return n <= INT64_MAX ? json_integer((json_int_t)n) : json_real((double)n);
}

/* Rounded to so many decimals, so that no noise is printed as if it were known. */
json_t *jv_real(double value, int decimals)
{
	double scale = pow(10, decimals);
	double rounded = round(value * scale) / scale;

	return isfinite(rounded) ? json_real(rounded) : json_null();
}

json_t *jv_percent(double percent)
{
	return percent < 0 ? json_null() : jv_real(percent, 3);
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
		jv_put(json, object, "function",
		       json_stringn_nocheck(json->scratch.text, json->scratch.nr));
	jv_put(json, object, "module", jv_known_text(json, frame->module));
	jv_put(json, object, "file", jv_known_text(json, frame->file));
	jv_put(json, object, "line", frame->line ? jv_count(frame->line) : json_null());
	jv_put(json, object, "address", json_string_nocheck(address));
	jv_put(json, object, "inlined", json_boolean(frame->inlined));
	return object;
}

json_t *jv_stack(struct json_out *json, const struct report_frame *frame, size_t nr)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < nr; i++)
		jv_append(json, array, frame_value(json, &frame[i]));
	return array;
}

json_t *jv_interval(struct json_out *json, struct report_interval interval)
{
	json_t *array = json_array();

	jv_append(json, array, jv_count(interval.low));
	jv_append(json, array, jv_count(interval.high));
	return array;
}

/* A trend is known when its interval is. */
void jv_put_growth(struct json_out *json, json_t *object, double bytes_per_s,
		   const double interval[2])
{
	bool is_known = isfinite(interval[0]) && isfinite(interval[1]);
	json_t *ci = json_array();

	jv_put(json, object, "growth_bytes_per_s",
	       is_known ? jv_real(bytes_per_s, 3) : json_null());
	jv_append(json, ci, jv_real(interval[0], 3));
	jv_append(json, ci, jv_real(interval[1], 3));
	jv_put(json, object, "growth_ci", ci);
}

/* Whose it is: a process, or all of a comm or cgroup. */
void jv_put_owner(struct json_out *json, json_t *object, uint32_t tgid, bool several,
		  const char *group)
{
	jv_put(json, object, "pid", several ? json_null() : jv_count(tgid));
	if (json->report->by != BY_PROCESS)
		jv_put(json, object, report_by_name(json->report->by), jv_text(json, group));
}
