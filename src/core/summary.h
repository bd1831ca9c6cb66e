/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of a report, one file each; made by profile_report(). 0 or -ENOMEM each. */
#ifndef SEEP_CORE_SUMMARY_H
#define SEEP_CORE_SUMMARY_H

#include "profile_impl.h"

/* What the numbers are, and the steps that led there: summary_basis.c */
int summary_basis(const struct profile *profile, struct report *out);
/* The bytes that a block which nobody took may have stood for; 0: each block was followed. */
double summary_unseen_bytes(const struct profile *profile);
/* The whole part, of what may be anything: 0 to 2^63. */
uint64_t summary_whole(double x);
/* 95 % of an estimate. seen: what of it was counted. */
struct report_interval summary_interval(uint64_t sum, double variance, double unseen,
					uint64_t seen);

/* Processes and their balances: summary_balance.c */
int summary_targets(const struct profile *profile, struct report *out);

/* Sites of live and allocated blocks, with verdicts: summary_leaks.c */
int summary_leaks(struct profile *profile, const struct report_options *options,
		  struct report *out);
/* Address space outside the allocator, and page faults: summary_vm.c */
int summary_mappings(struct profile *profile, const struct report_options *options,
		     struct report *out);
int summary_faults(struct profile *profile, const struct report_options *options,
		   struct report *out);

#endif
