/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of a report, one file each; made by profile_report(). 0 or -ENOMEM each. */
#ifndef SEEP_CORE_SUMMARY_H
#define SEEP_CORE_SUMMARY_H

#include "profile_impl.h"

/* Sites of live and allocated blocks, with verdicts: summary_leaks.c */
int summary_leaks(struct profile *profile, const struct report_options *options,
		  struct report *out);
/* Address space outside the allocator, and page faults: summary_vm.c */
int summary_mappings(struct profile *profile, const struct report_options *options,
		     struct report *out);
int summary_faults(struct profile *profile, const struct report_options *options,
		   struct report *out);

#endif
