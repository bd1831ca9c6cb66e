/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli_table.h"
#include "log.h"
#include "parse.h"

#define DEFAULT_TOP 10
#define DEFAULT_RING_BYTES (8u << 20)
#define DEFAULT_MAX_BLOCKS (4u << 20)
#define DEFAULT_UNWIND_BYTES (UINT64_C(128) << 20)
#define DEFAULT_MAX_OVERHEAD 0.05
#define DEFAULT_MAX_STACKS (64u << 10)
/* Values of long options in getopt, beyond those of letters. */
#define LONG_BASE 256

struct parser {
	const struct cli_command_info *info;
	struct cli_options options;
	const struct cli_option *option[CLI_MAX_OPTIONS]; /* of the command */
	size_t nr_options;
	bool has_format;
	bool has_top;
	/* as getopt wants them */
	struct option longs[CLI_MAX_OPTIONS + 1];
	char shorts[2 * CLI_MAX_OPTIONS + 3];
};

int cli_wrong_use(const struct cli_command_info *info, const char *format, ...)
{
	char what[256];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	log_error("%s; try 'seep %s%s--help'", what, info ? info->name : "", info ? " " : "");
	return -EINVAL;
}

static int wrong_value(const struct parser *parser, const struct cli_option *option,
		       const char *value)
{
	return cli_wrong_use(parser->info, "--%s: '%.80s' is not %s", option->name, value,
			     option->expects);
}

static const struct cli_command_info *find_command(const char *name)
{
	size_t nr, i;
	const struct cli_command_info *info = cli_command_table(&nr);

	for (i = 0; i < nr; i++) {
		if (strcmp(info[i].name, name) == 0)
			return &info[i];
	}
	return NULL;
}

/* --- values ----------------------------------------------------------------------------------- */

static bool in_range(const struct cli_option *option, uint64_t value)
{
	return value >= option->min && value <= option->max;
}

static int add_pid(struct parser *parser, const struct cli_option *option, const char *text)
{
	struct cli_options *options = &parser->options;
	uint64_t value;
	size_t i;

	if (parse_u64(text, &value) || !in_range(option, value))
		return wrong_value(parser, option, text);
	for (i = 0; i < options->nr_pids; i++) {
		if (options->pid[i] == (pid_t)value)
			return 0;
	}
	if (options->nr_pids == CLI_MAX_PIDS)
		return cli_wrong_use(parser->info, "--pid: more than %d processes", CLI_MAX_PIDS);
	options->pid[options->nr_pids++] = (pid_t)value;
	return 0;
}

static int add_pids(struct parser *parser, const struct cli_option *option, const char *list)
{
	char text[32];
	size_t nr;
	int err;

	for (;;) {
		nr = strcspn(list, ",");
		if (nr >= sizeof(text))
			return wrong_value(parser, option, list);
		memcpy(text, list, nr);
		text[nr] = '\0';
		err = add_pid(parser, option, text);
		if (err)
			return err;
		list += nr;
		if (!*list)
			return 0;
		list++;
	}
}

static int add_dir(struct parser *parser, const struct cli_option *option, const char *text)
{
	struct cli_options *options = &parser->options;

	if (!*text)
		return wrong_value(parser, option, text);
	if (options->nr_debug_dirs == CLI_MAX_DEBUG_DIRS)
		return cli_wrong_use(parser->info, "--%s: more than %d directories", option->name,
				     CLI_MAX_DEBUG_DIRS);
	options->debug_dir[options->nr_debug_dirs++] = text;
	return 0;
}

static int add_allocator(struct parser *parser, const struct cli_option *option, const char *text)
{
	struct cli_options *options = &parser->options;

	if (options->nr_allocators == CLI_MAX_ALLOCATORS)
		return cli_wrong_use(parser->info, "--%s: more than %d of them", option->name,
				     CLI_MAX_ALLOCATORS);
	options->allocator[options->nr_allocators++] =
		(struct cli_allocator){text, option->type == CLI_ALLOCATOR_FILE};
	return 0;
}

static int set_number(struct parser *parser, const struct cli_option *option, const char *text)
{
	void *field = (char *)&parser->options + option->offset;
	uint64_t value;
	int err;

	err = option->type == CLI_DURATION ? parse_duration(text, &value)
					   : parse_size(text, &value);
	if (err || !in_range(option, value))
		return wrong_value(parser, option, text);
	if (option->type == CLI_POWER && value & (value - 1))
		return wrong_value(parser, option, text);
	*(uint64_t *)field = value;
	return 0;
}

static int set_top(struct parser *parser, const struct cli_option *option, const char *text)
{
	uint64_t value = 0;

	if (strcmp(text, "all") != 0 && (parse_u64(text, &value) || !in_range(option, value)))
		return wrong_value(parser, option, text);
	parser->options.top = (size_t)value;
	parser->has_top = true;
	return 0;
}

static int set_format(struct parser *parser, enum out_format format)
{
	if (parser->has_format && parser->options.format != format)
		return cli_wrong_use(parser->info, "two different formats are asked for");
	parser->options.format = format;
	parser->has_format = true;
	return 0;
}

static int parse_format(struct parser *parser, const struct cli_option *option, const char *text)
{
	enum out_format format;

	if (out_format_parse(text, &format))
		return wrong_value(parser, option, text);
	return set_format(parser, format);
}

static int set_fd(struct parser *parser, const struct cli_option *option, const char *text)
{
	void *field = (char *)&parser->options + option->offset;
	uint64_t value;

	if (parse_u64(text, &value) || !in_range(option, value) || fcntl((int)value, F_GETFD) < 0)
		return wrong_value(parser, option, text);
	*(int *)field = (int)value;
	return 0;
}

static int set_file(struct parser *parser, const struct cli_option *option, const char *text)
{
	void *field = (char *)&parser->options + option->offset;

	if (!*text)
		return wrong_value(parser, option, text);
	*(const char **)field = text;
	return 0;
}

/* 0; 1: help was printed; -EINVAL */
static int apply(struct parser *parser, const struct cli_option *option, const char *value)
{
	void *field = (char *)&parser->options + option->offset;

	switch (option->type) {
	case CLI_HELP:
		cli_print_help(parser->info, stdout);
		return 1;
	case CLI_FLAG:
		*(bool *)field = true;
		return 0;
	case CLI_VERBOSE:
		if (parser->options.verbose < 2)
			parser->options.verbose++;
		return 0;
	case CLI_FILE:
		return set_file(parser, option, value);
	case CLI_DURATION:
	case CLI_SIZE:
	case CLI_POWER:
		return set_number(parser, option, value);
	case CLI_FD:
		return set_fd(parser, option, value);
	case CLI_DIRS:
		return add_dir(parser, option, value);
	case CLI_ALLOCATOR:
	case CLI_ALLOCATOR_FILE:
		return add_allocator(parser, option, value);
	case CLI_PIDS:
		return add_pids(parser, option, value);
	case CLI_SHARE:
		return cli_parse_share(option, value, field) ? wrong_value(parser, option, value)
							     : 0;
	case CLI_SAMPLE:
		return cli_parse_sample(option, value, field) ? wrong_value(parser, option, value)
							      : 0;
	case CLI_TOP:
		return set_top(parser, option, value);
	case CLI_FORMAT:
		return parse_format(parser, option, value);
	case CLI_BY:
		return report_by_parse(value, field) ? wrong_value(parser, option, value) : 0;
	case CLI_LINK:
		return cli_parse_link(value, field) ? wrong_value(parser, option, value) : 0;
	case CLI_JSON:
		return set_format(parser, OUT_JSON);
	}
	BUG("option type %d", (int)option->type);
}

/* --- getopt ----------------------------------------------------------------------------------- */

static void choose_options(struct parser *parser)
{
	size_t nr, i;
	const struct cli_option *option = cli_option_table(&nr);
	/* "-": arguments that are no options come in their order; ":": a missing value is told apart */
	char *letter = stpcpy(parser->shorts, "-:");

	for (i = 0; i < nr; i++) {
		if (!(option[i].commands & (1u << parser->info->command)))
			continue;
		if (parser->nr_options == CLI_MAX_OPTIONS)
			BUG("more than %d options", CLI_MAX_OPTIONS);
		parser->longs[parser->nr_options] = (struct option){
			.name = option[i].name,
			.has_arg = option[i].argument ? required_argument : no_argument,
			.val = LONG_BASE + (int)parser->nr_options,
		};
		parser->option[parser->nr_options++] = &option[i];
		if (option[i].letter)
			*letter++ = option[i].letter;
		if (option[i].letter && option[i].argument)
			*letter++ = ':';
	}
	*letter = '\0';
}

static const struct cli_option *option_of(const struct parser *parser, int value)
{
	size_t i;

	if (value >= LONG_BASE)
		return parser->option[value - LONG_BASE];
	for (i = 0; i < parser->nr_options; i++) {
		if (parser->option[i]->letter == value)
			return parser->option[i];
	}
	return NULL;
}

static int wrong_option(const struct parser *parser, int answer, const char *argument)
{
	const struct cli_option *option = optopt ? option_of(parser, optopt) : NULL;

	if (answer == ':' && option)
		return cli_wrong_use(parser->info, "--%s needs a value: %s", option->name,
				     option->argument);
	if (option)
		return cli_wrong_use(parser->info, "--%s takes no value", option->name);
	if (optopt)
		return cli_wrong_use(parser->info, "unknown option '-%c'", optopt);
	return cli_wrong_use(parser->info, "unknown option '%.80s'", argument);
}

static int add_argument(struct parser *parser, const char *argument)
{
	if (parser->info->command != CMD_REPORT)
		return cli_wrong_use(
			parser->info,
			"unexpected argument '%.80s': a command to start goes after '--'",
			argument);
	if (parser->options.input)
		return cli_wrong_use(parser->info, "more than one file: '%.80s' and '%.80s'",
				     parser->options.input, argument);
	if (!*argument)
		return cli_wrong_use(parser->info, "the file name is empty");
	parser->options.input = argument;
	return 0;
}

/* What stands behind "--". */
static int take_rest(struct parser *parser, char **rest)
{
	int err = 0;

	if (cli_takes_command(parser->info)) {
		if (!rest[0])
			return cli_wrong_use(parser->info, "no command after '--'");
		parser->options.argv = rest;
		return 0;
	}
	for (; *rest && !err; rest++)
		err = add_argument(parser, *rest);
	return err;
}

/* argv[0] is the command's name. 0; 1: help was printed; -EINVAL */
static int parse_arguments(struct parser *parser, int argc, char **argv)
{
	int answer, before, err;

	choose_options(parser);
	opterr = 0;
	optind = 0; /* glibc: forget what was before */
	for (;;) {
		before = optind ? optind : 1;
		optopt = 0;
		answer = getopt_long(argc, argv, parser->shorts, parser->longs, NULL);
		if (answer < 0)
			break;
		if (answer == '?' || answer == ':')
			return wrong_option(parser, answer, argv[optind - 1]);
		if (answer == 1)
			err = add_argument(parser, optarg);
		else
			err = apply(parser, option_of(parser, answer), optarg);
		if (err)
			return err;
	}
	/* getopt steps over "--" only, and not over the end */
	return optind > before ? take_rest(parser, argv + optind) : 0;
}

/* --- commands --------------------------------------------------------------------------------- */

static int help(int argc, char **argv)
{
	const struct cli_command_info *info;

	if (argc > 3)
		return cli_wrong_use(NULL, "unexpected argument '%.80s'", argv[3]);
	if (argc < 3) {
		cli_print_usage(stdout);
		return 1;
	}
	if (strcmp(argv[2], "--options") == 0) {
		cli_print_options(stdout);
		return 1;
	}
	info = find_command(argv[2]);
	if (!info)
		return cli_wrong_use(NULL, "unknown command '%.80s'", argv[2]);
	cli_print_help(info, stdout);
	return 1;
}

/* What may stand in place of a command. 0: it is something else. */
static int parse_global(int argc, char **argv)
{
	const char *first = argv[1];

	if (strcmp(first, "help") == 0)
		return help(argc, argv);
	if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) {
		cli_print_usage(stdout);
		return 1;
	}
	if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
		printf("seep %s\n", SEEP_VERSION);
		return 1;
	}
	if (first[0] == '-')
		return cli_wrong_use(NULL, "unknown option '%.80s' before the command", first);
	return 0;
}

int cli_parse(int argc, char **argv, struct cli_options *options)
{
	struct parser parser = {
		.options =
			{
				.format = OUT_TEXT,
				.ready_fd = -1,
				.ring_bytes = DEFAULT_RING_BYTES,
				.max_blocks = DEFAULT_MAX_BLOCKS,
				.max_stacks = DEFAULT_MAX_STACKS,
				.unwind_bytes = DEFAULT_UNWIND_BYTES,
				.sample_bytes = 1,
				.max_overhead = DEFAULT_MAX_OVERHEAD,
			},
	};
	int err;

	if (argc < 2)
		return cli_wrong_use(NULL, "no command");
	err = parse_global(argc, argv);
	if (err)
		return err;
	parser.info = find_command(argv[1]);
	if (!parser.info)
		return cli_wrong_use(NULL, "unknown command '%.80s'", argv[1]);
	parser.options.command = parser.info->command;
	err = parse_arguments(&parser, argc - 1, argv + 1);
	if (!err)
		err = cli_check(parser.info, &parser.options);
	if (err)
		return err;
	if (!parser.has_top)
		parser.options.top = parser.options.format == OUT_TEXT ? DEFAULT_TOP : 0;
	if ((parser.options.argv || parser.options.cgroup) && !parser.options.no_follow)
		parser.options.follow = true;
	*options = parser.options;
	return 0;
}
