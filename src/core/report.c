/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

const char *verdict_name(enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_LEAKING:
		return "LEAKING";
	case VERDICT_GROWING:
		return "GROWING";
	case VERDICT_SATURATING:
		return "SATURATING";
	case VERDICT_STARTUP:
		return "STARTUP";
	case VERDICT_CHURN:
		return "CHURN";
	case VERDICT_HELD:
		return "HELD";
	case VERDICT_UNKNOWN:
		break;
	}
	return "?";
}

const char *basis_name(enum report_basis basis)
{
	static const char *const name[] = {"exact", "sampled", "windows", "mixed"};

	return name[basis];
}

static const char *const by_names[] = {"process", "comm", "cgroup"};

const char *report_by_name(enum report_by by)
{
	return by_names[by];
}

int report_by_parse(const char *text, enum report_by *by)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(by_names); i++) {
		if (!strcmp(text, by_names[i])) {
			*by = (enum report_by)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *step_mode_name(uint32_t mode)
{
	static const char *const name[] = {"?",	      "exact",	"sampled",
					   "windows", "faults", "detached"};

	return mode < ARRAY_SIZE(name) ? name[mode] : name[0];
}

const char *step_why_name(uint32_t why)
{
	static const char *const name[] = {"?", "start", "target", "cpu", "memory", "room"};

	return why < ARRAY_SIZE(name) ? name[why] : name[0];
}

void report_release(struct report *report)
{
	size_t i;

	if (!report)
		return;
	for (i = 0; report->site && i < report->nr_sites; i++)
		free(report->site[i].frame);
	for (i = 0; report->mapping && i < report->nr_mappings; i++)
		free(report->mapping[i].frame);
	for (i = 0; report->fault && i < report->nr_faults; i++)
		free(report->fault[i].frame);
	free(report->site);
	free(report->mapping);
	free(report->fault);
	free(report->target);
	free(report->step);
	free(report->group);
	free(report->loss);
	free(report->probe);
	memset(report, 0, sizeof(*report));
}
