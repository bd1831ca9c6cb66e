/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "cmd/cmd.h"
#include "log.h"

static int run(const struct cli_options *options)
{
	switch (options->command) {
	case CMD_LEAKS:
		return cmd_leaks(options);
	case CMD_FAULTS:
		return cmd_faults(options);
	case CMD_RECORD:
		return cmd_record(options);
	case CMD_REPORT:
		return cmd_report(options);
	case CMD_DOCTOR:
		return cmd_doctor(options);
	}
	BUG("command %d", (int)options->command);
}

int main(int argc, char **argv)
{
	struct cli_options options;
	int err = cli_parse(argc, argv, &options);

	if (err < 0)
		return EXIT_USAGE;
	if (err > 0) {
		if (fflush(stdout)) {
			log_error("cannot write to standard output: %s", strerror(errno));
			return EXIT_FAILED;
		}
		return EXIT_COMPLETE;
	}
	log_set_level(LOG_INFO + options.verbose);
	return run(&options);
}
