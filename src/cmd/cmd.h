/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands. Each does all of its work and returns its exit status, EXIT_... of cli.h; when that is not
 * EXIT_COMPLETE, it has printed why.
 */
#ifndef SEEP_CMD_CMD_H
#define SEEP_CMD_CMD_H

#include "cli.h"

int cmd_leaks(const struct cli_options *options);
int cmd_faults(const struct cli_options *options);
int cmd_record(const struct cli_options *options);
int cmd_report(const struct cli_options *options);
int cmd_doctor(const struct cli_options *options);

#endif
