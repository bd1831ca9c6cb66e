/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cli_table.h"

#define HELP_COLUMN 30

void cli_print_usage(FILE *out)
{
	size_t nr, i;
	const struct cli_command_info *info = cli_command_table(&nr);

	fputs("usage: seep COMMAND [OPTION...]\n"
	      "       seep help COMMAND\n"
	      "\n"
	      "Finds the call stacks that eat a live process's memory.\n"
	      "\n"
	      "Commands:\n",
	      out);
	for (i = 0; i < nr; i++)
		fprintf(out, "  %-8s %s\n", info[i].name, info[i].summary);
	fputs("\n"
	      "Examples:\n"
	      "  seep leaks -p 4711 -d 60s\n"
	      "  seep faults -p 4711 -i 1s\n"
	      "  seep doctor\n"
	      "\n"
	      "'seep --version' prints the version. Exit status: 0 complete, 1 failed, 2 wrong\n"
	      "use, 3 finished but incomplete. The manual is seep(8).\n",
	      out);
}

static void print_option(const struct cli_option *option, FILE *out)
{
	const char *help = option->help;
	char head[64];
	int columns;

	columns = snprintf(head, sizeof(head), "  %c%c%s --%s%s%s", option->letter ? '-' : ' ',
			   option->letter ? option->letter : ' ', option->letter ? "," : " ",
			   option->name, option->argument ? " " : "",
			   option->argument ? option->argument : "");
	fputs(head, out);
	if (columns >= HELP_COLUMN) {
		fputc('\n', out);
		columns = 0;
	}
	for (;;) {
		int nr = (int)strcspn(help, "\n");

		fprintf(out, "%*s%.*s\n", HELP_COLUMN - columns, "", nr, help);
		help += nr;
		if (!*help)
			return;
		help++;
		columns = 0;
	}
}

void cli_print_help(const struct cli_command_info *info, FILE *out)
{
	size_t nr, i;
	const struct cli_option *option = cli_option_table(&nr);

	fprintf(out, "usage: seep %s [OPTION...] %s\n\nExamples:\n", info->name, info->arguments);
	for (i = 0; i < CLI_MAX_EXAMPLES && info->example[i]; i++)
		fprintf(out, "  %s\n", info->example[i]);
	fprintf(out, "\n%s\n\nOptions:\n", info->text);
	for (i = 0; i < nr; i++) {
		if (option[i].commands & (1u << info->command))
			print_option(&option[i], out);
	}
}

void cli_print_options(FILE *out)
{
	size_t nr_commands, nr_options, i, j;
	const struct cli_command_info *info = cli_command_table(&nr_commands);
	const struct cli_option *option = cli_option_table(&nr_options);

	for (i = 0; i < nr_commands; i++) {
		for (j = 0; j < nr_options; j++) {
			if (option[j].commands & (1u << info[i].command))
				fprintf(out, "%s --%s\n", info[i].name, option[j].name);
		}
	}
}
