/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A live run, from the targets on the command line to the last report.
 *
 *	check rights and kernel -> find targets -> load -> attach -> ARM -> read, tick, report ... -> disarm ->
 *	drain -> resync if events were lost -> name -> report -> detach
 *
 * Everything that arrives goes, as records, to the profile and to the capture file if there is one; a report is made
 * from the profile alone. One thread, but for the one that reads debug information.
 */
#ifndef SEEP_SESSION_H
#define SEEP_SESSION_H

#include "cli.h"
#include "record.h"
#include "report.h"

struct session_options {
	const struct cli_options *cli;
	enum run_mode mode;
	bool quiet; /* no report: record */
	/* Prints a report; 0 or a negative errno, after saying why, which ends the run. */
	int (*emit)(const struct report *report, void *arg);
	void *arg;
};

/* Exit status. Everything that went wrong has been said. */
int session_run(const struct session_options *options);

#endif
