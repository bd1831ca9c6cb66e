/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a command line does not fit together. */
#include <string.h>

#include "array.h"
#include "cli_table.h"

bool cli_takes_command(const struct cli_command_info *info)
{
	return info->command == CMD_LEAKS || info->command == CMD_FAULTS ||
	       info->command == CMD_RECORD;
}

/* How many kinds of targets are given, and "--pid and a command". */
static int target_kinds(const struct cli_options *options, char *list, size_t size)
{
	const struct {
		bool is_given;
		const char *name;
	} kind[] = {{options->nr_pids, "--pid"},
		    {options->comm, "--comm"},
		    {options->cgroup, "--cgroup"},
		    {options->all, "--all"},
		    {options->argv, "a command after '--'"}};
	size_t i, at = 0;
	int nr = 0;

	list[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(kind); i++) {
		if (kind[i].is_given)
			at += (size_t)snprintf(list + at, size - at, "%s%s", nr++ ? " and " : "",
					       kind[i].name);
	}
	return nr;
}

static int check_target(const struct cli_command_info *info, const struct cli_options *options)
{
	char list[128];
	int kinds = target_kinds(options, list, sizeof(list));

	if (!cli_takes_command(info))
		return 0;
	if (!kinds)
		return cli_wrong_use(info, "no target: give -p PID, -n NAME, --cgroup PATH, -a, "
					   "or -- CMD");
	if (kinds > 1)
		return cli_wrong_use(info, "more than one kind of target: %s", list);
	if (options->list_allocators && !options->nr_pids && !options->argv)
		return cli_wrong_use(info, "--list-allocators: give -p PID, or -- CMD");
	if (options->follow && options->no_follow)
		return cli_wrong_use(info, "both --follow and --no-follow");
	return 0;
}

static int check_times(const struct cli_command_info *info, const struct cli_options *options)
{
	if (options->duration_ns && options->interval_ns > options->duration_ns)
		return cli_wrong_use(info, "--interval is longer than --duration");
	if (options->duration_ns && options->min_age_ns > options->duration_ns)
		return cli_wrong_use(info, "--min-age is longer than --duration");
	if (options->interval_ns && options->format == OUT_FOLDED)
		return cli_wrong_use(info,
				     "--interval: folded stacks of several reports would add up");
	return 0;
}

static int check_files(const struct cli_command_info *info, const struct cli_options *options)
{
	if (info->command == CMD_RECORD && !options->capture)
		return cli_wrong_use(info, "no capture file to write: give -o FILE");
	if (info->command == CMD_REPORT && !options->input)
		return cli_wrong_use(info, "no capture file to read");
	if (options->output && options->capture && strcmp(options->output, options->capture) == 0)
		return cli_wrong_use(info, "--output and --capture name the same file");
	if (options->output && options->input && strcmp(options->output, options->input) == 0)
		return cli_wrong_use(info, "--output would overwrite the capture file");
	return 0;
}

int cli_check(const struct cli_command_info *info, const struct cli_options *options)
{
	int err = check_target(info, options);

	if (!err)
		err = check_times(info, options);
	if (!err)
		err = check_files(info, options);
	if (!err)
		err = cli_check_allocators(options);
	return err;
}
