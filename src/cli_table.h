/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables behind the command line. Only cli*.c include this. */
#ifndef SEEP_CLI_TABLE_H
#define SEEP_CLI_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli.h"

#define CLI_MAX_OPTIONS 48 /* of one command */
#define CLI_MAX_EXAMPLES 3

enum cli_type {
	CLI_HELP = 1,  /* prints the help of the command */
	CLI_FLAG,      /* bool */
	CLI_VERBOSE,   /* int, raised by each use, up to 2 */
	CLI_FILE,      /* const char *, not empty */
	CLI_DURATION,  /* uint64_t, ns */
	CLI_SIZE,      /* uint64_t */
	CLI_POWER,     /* uint64_t, a power of two */
	CLI_FD,	       /* int, open */
	CLI_DIRS,      /* a list of directories that grows with each use */
	CLI_ALLOCATOR, /* likewise: definitions, and files of them */
	CLI_ALLOCATOR_FILE,
	CLI_PIDS,   /* a list that grows with each use */
	CLI_TOP,    /* size_t, or "all" */
	CLI_SHARE,  /* double, from a percentage above 0 and up to max, or "off", which is 0 */
	CLI_SAMPLE, /* uint64_t, or "auto", which is SAMPLE_AUTO */
	CLI_FORMAT,
	CLI_BY,
	CLI_LINK, /* int, enum attach_kind */
	CLI_JSON, /* short for a format */
};

struct cli_option {
	const char *name; /* without the dashes */
	char letter;	  /* 0: none */
	enum cli_type type;
	uint32_t commands; /* bits 1 << enum cli_command */
	size_t offset;	   /* of the field in struct cli_options, where the type does not tell */
	uint64_t min, max;
	const char *argument; /* NULL: takes none */
	const char *expects;  /* "... is not X" */
	const char *help;     /* lines of at most 48 columns */
};

struct cli_command_info {
	enum cli_command command;
	const char *name;
	const char *arguments; /* what follows [OPTION...] in the usage line */
	const char *summary;   /* one line of the list of commands */
	const char *text;      /* what it does, lines of at most 80 columns */
	const char *example[CLI_MAX_EXAMPLES];
};

/* *nr gets the number of rows. Static. */
const struct cli_option *cli_option_table(size_t *nr);
const struct cli_command_info *cli_command_table(size_t *nr);

/* Prints one line, and is -EINVAL. */
int cli_wrong_use(const struct cli_command_info *info, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether a command to start may stand behind "--". */
bool cli_takes_command(const struct cli_command_info *info);
/* Whether all values, each of them right, fit together: 0, or -EINVAL after a line. */
int cli_check(const struct cli_command_info *info, const struct cli_options *options);

/* Values of these types. 0 or -EINVAL. */
int cli_parse_share(const struct cli_option *option, const char *text, double *out);
int cli_parse_sample(const struct cli_option *option, const char *text, uint64_t *out);
int cli_parse_link(const char *text, int *out);
/* 0, or -EINVAL: one line was printed. */
int cli_check_allocators(const struct cli_options *options);

void cli_print_usage(FILE *out);
void cli_print_help(const struct cli_command_info *info, FILE *out);

#endif
