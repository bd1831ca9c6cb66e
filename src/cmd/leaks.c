// SPDX-License-Identifier: GPL-2.0-or-later
/* seep leaks, faults and record: live runs, which differ in what they follow and what they print. */
#include "cmd.h"
#include "emit.h"
#include "probes.h"
#include "session.h"

static int run_live(const struct cli_options *cli, enum run_mode mode)
{
	struct emit emit;
	struct session_options session = {
		.cli = cli, .mode = mode, .emit = emit_report, .arg = &emit};
	int status;

	if (emit_open(&emit, cli->format, cli->output))
		return EXIT_FAILED;
	status = session_run(&session);
	if (emit_close(&emit))
		status = EXIT_FAILED;
	return status;
}

int cmd_leaks(const struct cli_options *cli)
{
	return cli->list_allocators ? probes_list(cli) : run_live(cli, RUN_LEAKS);
}

int cmd_faults(const struct cli_options *cli)
{
	return run_live(cli, RUN_FAULTS);
}

int cmd_record(const struct cli_options *cli)
{
	struct session_options session = {
		.cli = cli, .mode = cli->record_faults ? RUN_FAULTS : RUN_LEAKS, .quiet = true};

	return session_run(&session);
}
