/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "predict.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "callrate_places.h"
#include "guard.h"
#include "parse.h"

#define MAX_OVERHEAD 0.05 /* what a run without --max-overhead has */

static void print_count(uint64_t hits, uint64_t counted_ns, const char *what)
{
	char text[FORMAT_MAX];

	format_count((uint64_t)((double)hits * 1e9 / (double)counted_ns), text, sizeof(text));
	printf("  %12s  %s\n", text, what);
}

static void print_share(double share, const char *what)
{
	printf("  %10.1f %%  %s\n", 100 * share, what);
}

static void print_start(const struct governor_prediction *p)
{
	char period[FORMAT_MAX], text[80];

	format_bytes(p->step.period_bytes, period, sizeof(period));
	switch (p->step.mode) {
	case STEP_EXACT:
		print_share(p->chosen, "as a run would start: every allocation");
		return;
	case STEP_SAMPLED:
		snprintf(text, sizeof(text), "as a run would start: a sample each %s", period);
		print_share(p->chosen, text);
		return;
	case STEP_WINDOWS:
		snprintf(text, sizeof(text), "as a run would start: a sample each %s, in windows",
			 period);
		print_share(p->chosen, text);
		return;
	case STEP_FAULTS:
	case STEP_DETACHED:
		printf("  a run would need --force, or another --max-overhead\n");
		return;
	}
}

static void print_prediction(const struct callrate *rate, enum attach_kind link,
			     const struct calibration *cost)
{
	const struct guard_options options = {.max_overhead = MAX_OVERHEAD,
					      .sample_bytes = 1,
					      .link = link,
					      .calibration = cost,
					      .alloc_program_fd = -1,
					      .return_program_fd = -1,
					      .free_program_fd = -1};
	struct governor_prediction prediction;
	struct guard *guard;
	int err = guard_new(&options, &guard);

	if (err) {
		printf("  not predicted: %s\n", strerror(-err));
		return;
	}
	guard_predict(guard, rate, &prediction);
	printf("predicted overhead with %s links, of %s%s\n", attach_kind_name(link),
	       prediction.of_least ? "a fifth of a CPU: it uses less" : "its CPU time",
	       cost ? "" : " (costs are guesses)");
	print_share(prediction.exact, "every allocation");
	print_share(prediction.sampled, "a sample each 512.0 KiB");
	print_start(&prediction);
	guard_free(guard);
}

static void print_sites(const struct discover_found *found, size_t nr, const uint64_t *hits,
			uint64_t counted_ns)
{
	const struct discover_object *object;
	size_t i, j, at = 0;

	for (i = 0; i < nr; i++) {
		object = found[i].object;
		for (j = 0; j < object->nr_sites; j++) {
			if (allocator_function_throws(object->site[j].function))
				continue;
			if (hits[at])
				print_count(hits[at], counted_ns, object->site[j].function->symbol);
			at++;
		}
	}
}

static int count_and_print(const struct discover_found *found, size_t nr,
			   const struct callrate_places *places, enum attach_kind link,
			   const struct calibration *cost)
{
	struct callrate_options options = {0};
	uint64_t *hits = calloc(places->nr + 1, sizeof(*hits));
	struct callrate rate;
	int err;

	if (!hits)
		return -ENOMEM;
	if (cost) {
		options.emulated_ns = calibration_ns(cost, ATTACH_MULTI, true, false);
		options.stepped_ns = calibration_ns(cost, ATTACH_MULTI, false, false);
	}
	err = callrate_count(places->item, places->nr, &options, hits, &rate);
	if (!err) {
		printf("calls a second, counted for %llu ms\n",
		       (unsigned long long)(rate.count.counted_ns + 999999) / 1000000);
		print_sites(found, nr, hits, rate.count.counted_ns);
		print_count(rate.count.calls, rate.count.counted_ns, "allocating calls in all");
		print_count(rate.count.frees, rate.count.counted_ns, "freeing calls in all");
		print_prediction(&rate, link, cost);
	}
	free(hits);
	return err;
}

void predict_print(struct discover *discover, pid_t tgid, const struct kernel_features *features,
		   const struct calibration *cost)
{
	struct callrate_places places = {0};
	struct discover_found *found = NULL;
	size_t nr = 0, searched, i;
	struct proc_maps maps;
	int err;

	proc_maps_init(&maps);
	err = proc_maps_read(&maps, tgid);
	if (!err)
		err = discover_process(discover, tgid, &maps, &found, &nr, &searched);
	for (i = 0; i < nr && !err; i++)
		err = callrate_add(&places, tgid, &found[i], false);
	if (!err && places.nr)
		err = count_and_print(found, nr, &places, loader_choose_kind(0, features), cost);
	if (err)
		printf("calls: not counted: %s\n",
		       err == -ENOTSUP ? "this kernel has no multi links" : strerror(-err));
	callrate_places_release(&places);
	free(found);
	proc_maps_release(&maps);
}
