/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "allocfail.h"
#include "golden.h"
#include "out.h"
#include "sample_report.h"

static void check_golden(const struct report *report, const char *name)
{
	struct strbuf out = {0};

	assert_int_equal(out_report(report, OUT_JSON, &out), 0);
	golden_check(name, out.text, out.nr);
	strbuf_release(&out);
}

static void test_leaks(void **state)
{
	(void)state;
	check_golden(sample_leaks(), "leaks.json");
}

static void test_nothing(void **state)
{
	(void)state;
	check_golden(sample_nothing(), "nothing.json");
}

static void test_several_targets(void **state)
{
	(void)state;
	check_golden(sample_several(), "several.json");
}

static void test_many_targets_by_comm(void **state)
{
	(void)state;
	check_golden(sample_mixed(), "mixed.json");
}

static void test_faults(void **state)
{
	(void)state;
	check_golden(sample_faults(), "faults.json");
}

static void test_faults_of_several_targets(void **state)
{
	(void)state;
	check_golden(sample_faults_several(), "faults-several.json");
}

/* The report as somebody else reads it. The caller drops it. */
static json_t *parsed(const struct report *report)
{
	struct strbuf out = {0};
	json_error_t error;
	json_t *root;

	assert_int_equal(out_json(report, &out), 0);
	assert_ptr_equal(strchr(out.text, '\n'), out.text + out.nr - 1);
	root = json_loadb(out.text, out.nr, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		fail_msg("%s at byte %d", error.text, error.position);
	strbuf_release(&out);
	return root;
}

static void check_keys(const json_t *object, const char *const *key)
{
	for (; *key; key++) {
		if (!json_object_get(object, *key))
			fail_msg("no key '%s'", *key);
	}
}

#define CHECK_KEYS(object, ...) check_keys(object, (const char *const[]){__VA_ARGS__, NULL})

static void test_keys_of_the_contract_of_leaks(void **state)
{
	json_t *root = parsed(sample_leaks());
	const json_t *site = json_array_get(json_object_get(root, "sites"), 0);
	const json_t *frame = json_array_get(json_object_get(site, "stack"), 0);

	(void)state;
	CHECK_KEYS(root, "schema", "target", "window", "basis", "sample_bytes", "probes", "balance",
		   "overhead", "sites");
	CHECK_KEYS(json_object_get(root, "target"), "pid", "comm");
	CHECK_KEYS(json_object_get(root, "window"), "duration_s");
	CHECK_KEYS(json_array_get(json_object_get(root, "probes"), 0), "object", "function",
		   "offset", "instruction", "emulated", "link", "cost_ns");
	CHECK_KEYS(json_object_get(root, "balance"), "allocs", "frees", "live", "failed_allocs",
		   "released", "lost_allocs", "frees_unknown", "frees_by_resync", "lost_events",
		   "resyncs", "stacks_partial", "stacks_unknown");
	CHECK_KEYS(json_object_get(root, "overhead"), "predicted_pct", "measured_pct",
		   "limited_pct");
	CHECK_KEYS(site, "verdict", "probability", "evidence", "live_bytes", "live_objects",
		   "alloc_bytes", "alloc_objects", "free_objects", "growth_bytes_per_s",
		   "growth_ci", "oldest_age_s", "stack");
	CHECK_KEYS(frame, "function", "module", "file", "line", "address", "inlined");
	assert_int_equal(json_array_size(json_object_get(site, "growth_ci")), 2);
	json_decref(root);
}

static void test_keys_of_the_contract_of_faults(void **state)
{
	json_t *root = parsed(sample_faults());

	(void)state;
	CHECK_KEYS(root, "schema", "target", "window", "basis", "totals", "kinds", "sites",
		   "balance");
	CHECK_KEYS(json_object_get(root, "totals"), "minor", "major");
	CHECK_KEYS(json_array_get(json_object_get(root, "sites"), 0), "minor", "major",
		   "minor_per_s", "major_per_s", "kind", "stack");
	json_decref(root);
}

static void test_faults_in_a_report_of_leaks(void **state)
{
	struct report report = *sample_mixed();
	json_t *root = parsed(&report);
	const json_t *faults = json_object_get(root, "faults");

	(void)state;
	CHECK_KEYS(faults, "watched_s", "minor", "major", "sites_total", "sites");
	assert_int_equal(json_integer_value(json_object_get(faults, "minor")), 70007);
	assert_int_equal(json_array_size(json_object_get(faults, "sites")), report.nr_faults);
	CHECK_KEYS(json_array_get(json_object_get(faults, "sites"), 1), "pid", "comm", "minor",
		   "major", "minor_per_s", "major_per_s", "kind", "stack_partial", "stack");
	json_decref(root);
	/* followed, but there were none */
	report.nr_faults = report.nr_faults_all = 0;
	root = parsed(&report);
	faults = json_object_get(root, "faults");
	assert_int_equal(json_array_size(json_object_get(faults, "sites")), 0);
	json_decref(root);
	report.faults_s = 0;
	root = parsed(&report);
	assert_true(json_is_null(json_object_get(root, "faults")));
	json_decref(root);
	/* a report of faults has no such key */
	root = parsed(sample_faults());
	assert_null(json_object_get(root, "faults"));
	json_decref(root);
}

static void test_target_is_an_object_or_a_list(void **state)
{
	json_t *one = parsed(sample_leaks()), *two = parsed(sample_several());
	const json_t *list = json_object_get(two, "target");
	size_t i;

	(void)state;
	assert_true(json_is_object(json_object_get(one, "target")));
	assert_null(json_object_get(json_object_get(one, "target"), "balance"));
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(json_integer_value(json_object_get(
				 json_object_get(json_array_get(list, 0), "balance"), "allocs")),
			 1009);
	for (i = 0; i < json_array_size(json_object_get(two, "sites")); i++)
		CHECK_KEYS(json_array_get(json_object_get(two, "sites"), i), "pid");
	json_decref(one);
	json_decref(two);
}

static void test_what_is_not_known_is_null(void **state)
{
	json_t *root = parsed(sample_several());
	const json_t *overhead = json_object_get(root, "overhead");
	const json_t *site = json_array_get(json_object_get(root, "sites"), 0);

	(void)state;
	assert_true(json_is_null(json_object_get(overhead, "predicted_pct")));
	assert_true(json_is_real(json_object_get(overhead, "measured_pct")));
	assert_true(json_is_null(json_object_get(overhead, "limited_pct")));
	assert_true(json_is_null(json_array_get(json_object_get(site, "growth_ci"), 1)));
	assert_true(json_is_null(json_object_get(site, "growth_bytes_per_s")));
	assert_true(json_is_null(json_object_get(site, "probability")));
	json_decref(root);
}

static void test_numbers_survive(void **state)
{
	struct report report = *sample_leaks();
	struct report_site site = report.site[0];
	const json_t *parsed_site;
	json_t *root;

	(void)state;
	site.live_bytes = INT64_MAX;
	site.alloc_bytes = UINT64_MAX;
	site.growth_bytes_per_s = 10000000.1234567;
	report.site = &site;
	report.nr_sites = 1;
	root = parsed(&report);
	parsed_site = json_array_get(json_object_get(root, "sites"), 0);
	assert_int_equal(json_integer_value(json_object_get(parsed_site, "live_bytes")), INT64_MAX);
	assert_true(json_real_value(json_object_get(parsed_site, "alloc_bytes")) >= 1.8e19);
	assert_true(json_real_value(json_object_get(parsed_site, "growth_bytes_per_s")) ==
		    10000000.123);
	json_decref(root);
}

/* Every two bytes that a name can begin with. */
static void test_any_bytes_can_be_in_a_name(void **state)
{
	struct report report = *sample_nothing();
	struct report_target target = report.target[0];
	char name[8] = "";
	unsigned int first, second;

	(void)state;
	report.target = &target;
	target.comm = name;
	for (first = 1; first < 256; first++) {
		for (second = 0; second < 256; second++) {
			name[0] = (char)first;
			name[1] = (char)second;
			name[2] = '\x80';
			json_decref(parsed(&report));
		}
	}
}

static void test_no_memory(void **state)
{
	const struct report *reports[] = {sample_several(), sample_mixed(), sample_faults()};
	size_t i;
	long nth;

	(void)state;
	for (i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
		for (nth = 1;; nth++) {
			struct strbuf out = {0};
			int err;

			allocfail_set(nth);
			err = out_json(reports[i], &out);
			strbuf_release(&out);
			if (!allocfail_hit())
				break;
			assert_int_equal(err, -ENOMEM);
		}
		allocfail_set(0);
		assert_in_range(nth, 100, 100000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaks),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_several_targets),
		cmocka_unit_test(test_many_targets_by_comm),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_faults_of_several_targets),
		cmocka_unit_test(test_keys_of_the_contract_of_leaks),
		cmocka_unit_test(test_keys_of_the_contract_of_faults),
		cmocka_unit_test(test_faults_in_a_report_of_leaks),
		cmocka_unit_test(test_target_is_an_object_or_a_list),
		cmocka_unit_test(test_what_is_not_known_is_null),
		cmocka_unit_test(test_numbers_survive),
		cmocka_unit_test(test_any_bytes_can_be_in_a_name),
		cmocka_unit_test(test_no_memory),
	};

	/* else its allocations, made in a shared library, would never fail */
	json_set_alloc_funcs(malloc, free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
