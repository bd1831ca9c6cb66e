/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli.h"
#include "cli_table.h"
#include "loader.h"

#define MAX_ARGUMENTS 80
#define NS_PER_S UINT64_C(1000000000)

/* What cli_parse() does with a command line, and what it prints meanwhile. */
struct outcome {
	int answer;
	struct cli_options options;
	char err[4096];
	char out[16384];
};

static int redirect(int fd, int *file)
{
	int saved = dup(fd);

	*file = memfd_create("output", MFD_CLOEXEC);
	assert_true(saved >= 0 && *file >= 0);
	assert_int_equal(dup2(*file, fd), fd);
	return saved;
}

static void restore(int fd, int saved, int file, char *text, size_t size)
{
	ssize_t nr;

	assert_int_equal(dup2(saved, fd), fd);
	close(saved);
	nr = pread(file, text, size - 1, 0);
	assert_true(nr >= 0);
	text[nr] = '\0';
	close(file);
}

static void run(struct outcome *outcome, const char *const *word)
{
	char *argv[MAX_ARGUMENTS + 1];
	int argc, saved_out, saved_err, out, err;

	for (argc = 0; word[argc]; argc++) {
		assert_in_range(argc, 0, MAX_ARGUMENTS - 1);
		argv[argc] = (char *)(uintptr_t)
			word[argc]; /* main()'s are not const, though never written to */
	}
	argv[argc] = NULL;
	memset(&outcome->options, 0xa5, sizeof(outcome->options));
	fflush(stdout);
	saved_out = redirect(STDOUT_FILENO, &out);
	saved_err = redirect(STDERR_FILENO, &err);
	outcome->answer = cli_parse(argc, argv, &outcome->options);
	fflush(stdout);
	restore(STDERR_FILENO, saved_err, err, outcome->err, sizeof(outcome->err));
	restore(STDOUT_FILENO, saved_out, out, outcome->out, sizeof(outcome->out));
}

#define ARGV(...) ((const char *const[]){"seep", __VA_ARGS__, NULL})
#define RUN(outcome, ...) run((outcome), ARGV(__VA_ARGS__))

static const struct cli_options *accepted(struct outcome *outcome, const char *const *argv)
{
	run(outcome, argv);
	if (outcome->answer)
		fail_msg("refused: %s", outcome->err);
	assert_string_equal(outcome->err, "");
	assert_string_equal(outcome->out, "");
	return &outcome->options;
}

/* One line that names the culprit, and nothing else anywhere. */
static void refused(const char *expected, const char *const *argv)
{
	struct outcome outcome;
	char *newline;

	run(&outcome, argv);
	assert_int_equal(outcome.answer, -EINVAL);
	assert_string_equal(outcome.out, "");
	newline = strchr(outcome.err, '\n');
	assert_non_null(newline);
	assert_int_equal(newline[1], '\0');
	assert_int_equal(strncmp(outcome.err, "seep: ", 6), 0);
	if (!strstr(outcome.err, expected))
		fail_msg("no '%s' in: %s", expected, outcome.err);
	assert_non_null(strstr(outcome.err, "; try 'seep "));
	/* as run() has filled them */
	assert_int_equal(((unsigned char *)&outcome.options)[0], 0xa5);
	assert_memory_equal(&outcome.options, (char *)&outcome.options + 1,
			    sizeof(outcome.options) - 1);
}

#define ACCEPTED(outcome, ...) accepted((outcome), ARGV(__VA_ARGS__))
#define REFUSED(expected, ...) refused((expected), ARGV(__VA_ARGS__))

static void test_defaults(void **state)
{
	struct outcome outcome;
	const struct cli_options *options = ACCEPTED(&outcome, "leaks", "-p", "4711");

	(void)state;
	assert_int_equal(options->command, CMD_LEAKS);
	assert_int_equal(options->nr_pids, 1);
	assert_int_equal(options->pid[0], 4711);
	assert_null(options->argv);
	assert_int_equal(options->duration_ns, 0);
	assert_int_equal(options->interval_ns, 0);
	assert_int_equal(options->top, 10);
	assert_int_equal(options->format, OUT_TEXT);
	assert_int_equal(options->by, BY_PROCESS);
	assert_null(options->output);
	assert_null(options->capture);
	assert_int_equal(options->min_age_ns, 0);
	assert_false(options->allocator_frames);
	assert_int_equal(options->verbose, 0);
	assert_int_equal(options->ready_fd, -1);
	assert_int_equal(options->ring_bytes, 8 << 20);
	assert_int_equal(options->max_blocks, 4 << 20);
	assert_int_equal(options->max_stacks, 65536);
	assert_int_equal(options->sample_bytes, 1);
	assert_int_equal(options->link, 0);
	assert_true(options->max_overhead == 0.05);
	assert_true(options->max_cpu == 0);
	assert_int_equal(options->max_memory_bytes, 0);
	assert_false(options->force);
}

static void test_limits(void **state)
{
	struct outcome outcome;
	const struct cli_options *options = ACCEPTED(
		&outcome, "record", "-o", "file", "-p1", "--sample", "512K", "--max-overhead",
		"2.5%", "--max-cpu", "150", "--max-memory", "64M", "--force");

	(void)state;
	assert_int_equal(options->sample_bytes, 512 << 10);
	assert_true(options->max_overhead == 0.025);
	assert_true(options->max_cpu == 1.5);
	assert_int_equal(options->max_memory_bytes, 64 << 20);
	assert_true(options->force);
	options = ACCEPTED(&outcome, "leaks", "-p1", "--sample=auto", "--max-overhead=off",
			   "--max-cpu=5", "--max-cpu=off");
	assert_int_equal(options->sample_bytes, SAMPLE_AUTO);
	assert_true(options->max_overhead == 0);
	assert_true(options->max_cpu == 0);
	options = ACCEPTED(&outcome, "leaks", "-p1", "--max-overhead", "100");
	assert_true(options->max_overhead == 1);
	REFUSED("--max-overhead: '0' is not a percentage above 0 and up to 100", "leaks", "-p1",
		"--max-overhead", "0");
	REFUSED("--max-overhead: '0%'", "leaks", "-p1", "--max-overhead", "0%");
	REFUSED("--max-overhead: '101'", "leaks", "-p1", "--max-overhead", "101");
	REFUSED("--max-overhead: '-5'", "leaks", "-p1", "--max-overhead", "-5");
	REFUSED("--max-overhead: '5 %'", "leaks", "-p1", "--max-overhead", "5 %");
	REFUSED("--max-overhead: 'nan'", "leaks", "-p1", "--max-overhead", "nan");
	REFUSED("--max-overhead: 'OFF'", "leaks", "-p1", "--max-overhead", "OFF");
	REFUSED("--max-overhead: ''", "leaks", "-p1", "--max-overhead", "");
	REFUSED("--max-cpu: '0'", "leaks", "-p1", "--max-cpu", "0");
	REFUSED("--max-memory: '1M'", "leaks", "-p1", "--max-memory", "1M");
	REFUSED("--sample: '0'", "leaks", "-p1", "--sample", "0");
	REFUSED("--sample: '2T'", "leaks", "-p1", "--sample", "2T");
	REFUSED("--sample: 'some'", "leaks", "-p1", "--sample", "some");
	REFUSED("unknown option '--max-overhead'", "faults", "-p1", "--max-overhead", "5");
}

static void test_every_option_of_leaks(void **state)
{
	struct outcome outcome;
	const struct cli_options *options =
		ACCEPTED(&outcome, "leaks", "--pid=7,11", "-p13", "--duration", "90s", "-i1.5s",
			 "--top", "17", "--format=json", "-o", "out", "--min-age", "250ms",
			 "--allocator-frames", "--capture", "cap", "-vv", "--verbose", "--ready-fd",
			 "2", "--ring-size", "64K", "--max-blocks", "1M", "--max-stacks", "7");

	(void)state;
	assert_int_equal(options->nr_pids, 3);
	assert_int_equal(options->pid[2], 13);
	assert_int_equal(options->duration_ns, 90 * NS_PER_S);
	assert_int_equal(options->interval_ns, 1500000000);
	assert_int_equal(options->top, 17);
	assert_int_equal(options->format, OUT_JSON);
	assert_string_equal(options->output, "out");
	assert_int_equal(options->min_age_ns, 250000000);
	assert_true(options->allocator_frames);
	assert_string_equal(options->capture, "cap");
	assert_int_equal(options->verbose, 2);
	assert_int_equal(options->ready_fd, 2);
	assert_int_equal(options->ring_bytes, 65536);
	assert_int_equal(options->max_blocks, 1 << 20);
	assert_int_equal(options->max_stacks, 7);
}

static void test_other_commands(void **state)
{
	struct outcome outcome;
	const struct cli_options *options;

	(void)state;
	options = ACCEPTED(&outcome, "faults", "-p", "1", "--top", "all");
	assert_int_equal(options->command, CMD_FAULTS);
	assert_int_equal(options->top, 0);
	options = ACCEPTED(&outcome, "faults", "-p", "1", "--by", "cgroup");
	assert_int_equal(options->by, BY_CGROUP);
	options = ACCEPTED(&outcome, "leaks", "-p1,2", "--by=comm");
	assert_int_equal(options->by, BY_COMM);
	options = ACCEPTED(&outcome, "report", "file", "--by", "process");
	assert_int_equal(options->by, BY_PROCESS);
	assert_int_equal(ACCEPTED(&outcome, "leaks", "-p1", "--link", "perf")->link, ATTACH_PERF);
	assert_int_equal(ACCEPTED(&outcome, "leaks", "-p1", "--link=multi")->link, ATTACH_MULTI);
	assert_int_equal(ACCEPTED(&outcome, "record", "-p1", "-o", "f", "--link", "session")->link,
			 ATTACH_SESSION);
	options = ACCEPTED(&outcome, "record", "--faults", "-o", "file", "-p", "1");
	assert_int_equal(options->command, CMD_RECORD);
	assert_true(options->record_faults);
	assert_false(options->no_usdt);
	assert_true(ACCEPTED(&outcome, "record", "--no-usdt", "-o", "f", "-p", "1")->no_usdt);
	assert_true(ACCEPTED(&outcome, "leaks", "-p1", "--no-usdt")->no_usdt);
	options = ACCEPTED(&outcome, "record", "-o", "file", "-p", "1");
	assert_string_equal(options->capture, "file");
	assert_null(options->output);
	options = ACCEPTED(&outcome, "report", "file", "--json", "--min-age", "1s");
	assert_int_equal(options->command, CMD_REPORT);
	assert_string_equal(options->input, "file");
	assert_int_equal(options->format, OUT_JSON);
	options = ACCEPTED(&outcome, "report", "--json", "--", "-file");
	assert_string_equal(options->input, "-file");
	options = ACCEPTED(&outcome, "doctor");
	assert_int_equal(options->command, CMD_DOCTOR);
	assert_int_equal(options->nr_pids, 0);
	options = ACCEPTED(&outcome, "doctor", "-p", "1", "-v");
	assert_int_equal(options->nr_pids, 1);
	assert_int_equal(options->verbose, 1);
}

static void test_data_formats_have_all_sites(void **state)
{
	struct outcome outcome;

	(void)state;
	assert_int_equal(ACCEPTED(&outcome, "leaks", "-p1", "--json")->top, 0);
	assert_int_equal(ACCEPTED(&outcome, "leaks", "-p1", "-f", "folded")->top, 0);
	assert_int_equal(ACCEPTED(&outcome, "leaks", "-p1", "--top", "3", "--json")->top, 3);
	assert_int_equal(ACCEPTED(&outcome, "leaks", "-p1", "-f", "text")->top, 10);
	assert_int_equal(ACCEPTED(&outcome, "leaks", "-p1", "--json", "-fjson")->format, OUT_JSON);
}

static void test_command_to_start(void **state)
{
	struct outcome outcome;
	const struct cli_options *options;

	(void)state;
	options = ACCEPTED(&outcome, "leaks", "-d", "1s", "--", "cmd", "-d", "--", "--top", "x");
	assert_non_null(options->argv);
	assert_string_equal(options->argv[0], "cmd");
	assert_string_equal(options->argv[2], "--");
	assert_string_equal(options->argv[4], "x");
	assert_null(options->argv[5]);
	assert_int_equal(options->top, 10);
	/* "--" as a value is a value */
	options = ACCEPTED(&outcome, "leaks", "-p", "1", "-o", "--");
	assert_string_equal(options->output, "--");
	assert_null(options->argv);
	REFUSED("no command after '--'", "leaks", "--");
	REFUSED("no command after '--'", "leaks", "-p", "1", "--");
	REFUSED("more than one kind of target: --pid and a command", "leaks", "-p", "1", "--",
		"cmd");
	REFUSED("unexpected argument 'cmd'", "leaks", "cmd");
	REFUSED("unexpected argument 'cmd'", "leaks", "-p", "1", "cmd", "-d", "1s");
	REFUSED("unexpected argument 'cmd'", "leaks", "cmd", "--", "cmd");
}

static void test_targets(void **state)
{
	struct outcome outcome;
	const struct cli_options *options = ACCEPTED(&outcome, "leaks", "-n", "nginx");

	(void)state;
	assert_string_equal(options->comm, "nginx");
	assert_false(options->follow);
	options = ACCEPTED(&outcome, "faults", "--cgroup", "/a/b");
	assert_string_equal(options->cgroup, "/a/b");
	assert_true(options->follow);
	assert_true(ACCEPTED(&outcome, "record", "-o", "f", "-a")->all);
	assert_true(ACCEPTED(&outcome, "leaks", "--all")->all);
	REFUSED("no target", "leaks");
	REFUSED("more than one kind of target: --all and a command", "leaks", "-a", "--", "cmd");
	REFUSED("--pid and --comm and --cgroup", "leaks", "-p1", "-nx", "--cgroup=/");
	REFUSED("--comm: ''", "leaks", "-n", "");
	REFUSED("--cgroup: ''", "leaks", "--cgroup", "");
	REFUSED("--all takes no value", "leaks", "--all=yes");
	REFUSED("unknown option", "doctor", "-a");
	REFUSED("--list-allocators: give -p PID", "leaks", "-a", "--list-allocators");
}

static void test_follow(void **state)
{
	struct outcome outcome;

	(void)state;
	assert_false(ACCEPTED(&outcome, "leaks", "-p", "1")->follow);
	assert_true(ACCEPTED(&outcome, "leaks", "-p", "1", "--follow")->follow);
	assert_true(ACCEPTED(&outcome, "leaks", "--", "cmd")->follow);
	assert_false(ACCEPTED(&outcome, "leaks", "--no-follow", "--", "cmd")->follow);
	assert_false(ACCEPTED(&outcome, "leaks", "--no-follow", "--cgroup", "/")->follow);
	assert_true(ACCEPTED(&outcome, "leaks", "--no-follow", "-a")->no_follow);
	REFUSED("both --follow and --no-follow", "leaks", "-p1", "--follow", "--no-follow");
}

static void test_pids(void **state)
{
	struct outcome outcome;
	char list[8192] = "1";
	const struct cli_options *options;
	int i;

	(void)state;
	options = ACCEPTED(&outcome, "leaks", "-p", "7,11,7", "-p", "11,4194304");
	assert_int_equal(options->nr_pids, 3);
	assert_int_equal(options->pid[2], 4194304);
	for (i = 2; i <= CLI_MAX_PIDS; i++)
		(void)snprintf(list + strlen(list), sizeof(list) - strlen(list), ",%d", i);
	assert_int_equal(ACCEPTED(&outcome, "leaks", "-p", list)->nr_pids, CLI_MAX_PIDS);
	assert_int_equal(ACCEPTED(&outcome, "leaks", "-p", list, "-p3")->nr_pids, CLI_MAX_PIDS);
	REFUSED("more than 1024", "leaks", "-p", list, "-p", "1025");
	REFUSED("'abc'", "leaks", "-p", "abc");
	REFUSED("'0'", "leaks", "-p", "0");
	REFUSED("'-5'", "leaks", "-p", "-5");
	REFUSED("'4194305'", "leaks", "-p", "4194305");
	REFUSED("'18446744073709551617'", "leaks", "-p", "18446744073709551617");
	REFUSED("11111111111111111111111111111111", "leaks", "-p",
		"11111111111111111111111111111111");
	REFUSED("'12x'", "leaks", "-p", "12x");
	REFUSED("''", "leaks", "-p", "");
	REFUSED("''", "leaks", "-p", "1,");
	REFUSED("''", "leaks", "-p", ",1");
	REFUSED("''", "leaks", "-p", "1,,2");
	REFUSED("' 1'", "leaks", "-p", " 1");
}

static void test_malformed_values(void **state)
{
	(void)state;
	REFUSED("--duration: 'abc'", "leaks", "-p1", "-d", "abc");
	REFUSED("--duration: '0'", "leaks", "-p1", "-d", "0");
	REFUSED("--duration: '-1s'", "leaks", "-p1", "-d", "-1s");
	REFUSED("--duration: ''", "leaks", "-p1", "-d", "");
	REFUSED("--duration: '99999999999h'", "leaks", "-p1", "-d", "99999999999h");
	REFUSED("--interval: '0'", "leaks", "-p1", "-i", "0");
	REFUSED("--interval: '9ms'", "leaks", "-p1", "-i", "9ms");
	REFUSED("--top: '-1'", "leaks", "-p1", "--top", "-1");
	REFUSED("--top: '0'", "leaks", "-p1", "--top", "0");
	REFUSED("--top: 'ALL'", "leaks", "-p1", "--top", "ALL");
	REFUSED("--format: 'xml'", "leaks", "-p1", "-f", "xml");
	REFUSED("--by: 'pid'", "leaks", "-p1", "--by", "pid");
	REFUSED("--link: 'tracefs'", "leaks", "-p1", "--link", "tracefs");
	REFUSED("--link: ''", "leaks", "-p1", "--link", "");
	REFUSED("--link", "faults", "-p1", "--link", "perf");
	REFUSED("--by: ''", "report", "file", "--by", "");
	REFUSED("--format: ''", "leaks", "-p1", "-f", "");
	REFUSED("--output: ''", "leaks", "-p1", "-o", "");
	REFUSED("--min-age: '1d'", "leaks", "-p1", "--min-age", "1d");
	REFUSED("--ready-fd: '77'", "leaks", "-p1", "--ready-fd", "77");
	REFUSED("--ready-fd: '-1'", "leaks", "-p1", "--ready-fd", "-1");
	REFUSED("--ready-fd: '4294967297'", "leaks", "-p1", "--ready-fd", "4294967297");
	REFUSED("--ring-size: '2K'", "leaks", "-p1", "--ring-size", "2K");
	REFUSED("--ring-size: '12K'", "leaks", "-p1", "--ring-size", "12K");
	REFUSED("--ring-size: '2G'", "leaks", "-p1", "--ring-size", "2G");
	REFUSED("--max-blocks: '0'", "leaks", "-p1", "--max-blocks", "0");
	REFUSED("--max-blocks: '1G'", "leaks", "-p1", "--max-blocks", "1G");
	REFUSED("--max-stacks: '2M'", "leaks", "-p1", "--max-stacks", "2M");
	REFUSED("the file name is empty", "report", "");
}

static void test_what_does_not_fit_together(void **state)
{
	(void)state;
	REFUSED("no target", "leaks");
	REFUSED("no target", "faults", "-d", "1s");
	REFUSED("no target", "record", "-o", "file");
	REFUSED("give -o FILE", "record", "-p", "1");
	REFUSED("no capture file", "report");
	REFUSED("more than one file: 'a' and 'b'", "report", "a", "b");
	REFUSED("--interval is longer", "leaks", "-p1", "-d", "1s", "-i", "1001ms");
	REFUSED("--min-age is longer", "leaks", "-p1", "-d", "1s", "--min-age", "2s");
	REFUSED("different formats", "leaks", "-p1", "--json", "-f", "folded");
	REFUSED("different formats", "leaks", "-p1", "-f", "text", "--json");
	REFUSED("add up", "leaks", "-p1", "-f", "folded", "-i", "1s");
	REFUSED("same file", "leaks", "-p1", "-o", "x", "--capture", "x");
	REFUSED("overwrite the capture", "report", "x", "-o", "x");
}

static void test_what_fits_just_so(void **state)
{
	struct outcome outcome;

	(void)state;
	ACCEPTED(&outcome, "leaks", "-p1", "-d", "1s", "-i", "1000ms", "--min-age", "1s");
	ACCEPTED(&outcome, "leaks", "-p1", "-i", "10ms", "--min-age", "1h");
	ACCEPTED(&outcome, "leaks", "-p1", "--ring-size", "4096", "--max-blocks", "1");
	ACCEPTED(&outcome, "leaks", "-p1", "--ring-size", "1G", "--max-blocks", "256M");
}

static void test_unknown_words(void **state)
{
	static const char *const none[] = {NULL}, *const only_name[] = {"seep", NULL};
	struct outcome outcome;

	(void)state;
	refused("no command", only_name);
	run(&outcome, none);
	assert_int_equal(outcome.answer, -EINVAL);
	REFUSED("unknown command 'frob'", "frob");
	REFUSED("unknown command 'leak'", "leak", "-p", "1");
	REFUSED("unknown command ''", "");
	REFUSED("unknown option '--frob' before the command", "--frob", "leaks");
	REFUSED("unknown option '-p' before the command", "-p", "1", "leaks");
	REFUSED("unknown option '--frob'", "leaks", "--frob");
	REFUSED("unknown option '--frob=1'", "leaks", "-p1", "--frob=1");
	REFUSED("unknown option '-Z'", "leaks", "-p1", "-vZ");
	REFUSED("unknown option '--interval'", "record", "--interval", "1s");
	REFUSED("unknown option '--faults'", "leaks", "--faults");
	REFUSED("unknown option '-i'", "report", "-i", "1s", "file");
	REFUSED("--pid needs a value", "leaks", "-p");
	REFUSED("--duration needs a value", "leaks", "-p1", "--duration");
	REFUSED("--json takes no value", "leaks", "--json=1");
	REFUSED("--verbose takes no value", "leaks", "--verbose=3");
	REFUSED("unexpected argument 'x'", "doctor", "x");
	REFUSED("unexpected argument 'x'", "doctor", "--", "x");
	REFUSED("unknown command 'frob'", "help", "frob");
	REFUSED("unexpected argument 'more'", "help", "leaks", "more");
}

/* What strangers type does not reach the terminal as it is, nor make the line endless. */
static void test_evil_words(void **state)
{
	static char endless[100000];
	struct outcome outcome;

	(void)state;
	memset(endless, 'x', sizeof(endless) - 1);
	REFUSED("unknown command", "a\nb\x1b[2J");
	RUN(&outcome, endless);
	assert_int_equal(outcome.answer, -EINVAL);
	assert_in_range(strlen(outcome.err), 10, 400);
	RUN(&outcome, "leaks", "-d", endless);
	assert_in_range(strlen(outcome.err), 10, 400);
}

static void check_help(const char *text, const char *first)
{
	const char *line = text;

	assert_int_equal(strncmp(text, first, strlen(first)), 0);
	assert_non_null(strstr(text, "\nExamples:\n  seep "));
	while (*line) {
		size_t nr = strcspn(line, "\n");

		if (nr > 80)
			fail_msg("%zu columns: %.*s", nr, (int)nr, line);
		assert_true(line[nr] == '\n');
		line += nr + 1;
	}
}

static void test_help(void **state)
{
	size_t nr_commands, nr_options, i, j;
	const struct cli_command_info *info = cli_command_table(&nr_commands);
	const struct cli_option *option = cli_option_table(&nr_options);
	struct outcome outcome, other;
	char first[64], name[64];

	(void)state;
	assert_int_equal(nr_commands, 5);
	for (i = 0; i < nr_commands; i++) {
		RUN(&outcome, info[i].name, "--help");
		assert_int_equal(outcome.answer, 1);
		assert_string_equal(outcome.err, "");
		(void)snprintf(first, sizeof(first), "usage: seep %s ", info[i].name);
		check_help(outcome.out, first);
		for (j = 0; j < nr_options; j++) {
			(void)snprintf(name, sizeof(name), " --%s", option[j].name);
			if (option[j].commands & (1u << info[i].command))
				assert_non_null(strstr(outcome.out, name));
		}
		RUN(&other, "help", info[i].name);
		assert_int_equal(other.answer, 1);
		assert_string_equal(outcome.out, other.out);
	}
	RUN(&outcome, "--help");
	assert_int_equal(outcome.answer, 1);
	check_help(outcome.out, "usage: seep COMMAND");
	RUN(&other, "help");
	assert_string_equal(outcome.out, other.out);
	RUN(&outcome, "leaks", "-p1", "-h");
	assert_int_equal(outcome.answer, 1);
}

static void test_version_and_option_list(void **state)
{
	struct outcome outcome;

	(void)state;
	RUN(&outcome, "--version");
	assert_int_equal(outcome.answer, 1);
	assert_string_equal(outcome.out, "seep " SEEP_VERSION "\n");
	RUN(&outcome, "help", "--options");
	assert_int_equal(outcome.answer, 1);
	assert_non_null(strstr(outcome.out, "leaks --pid\n"));
	assert_non_null(strstr(outcome.out, "record --faults\n"));
	assert_null(strstr(outcome.out, "leaks --faults\n"));
}

/* What the parser relies on. */
static void test_table_is_sound(void **state)
{
	size_t nr, i, j;
	const struct cli_option *option = cli_option_table(&nr);

	(void)state;
	for (i = 0; i < nr; i++) {
		assert_true(!option[i].argument == !option[i].expects);
		for (j = i + 1; j < nr; j++) {
			if (!(option[i].commands & option[j].commands))
				continue;
			assert_string_not_equal(option[i].name, option[j].name);
			assert_true(!option[i].letter || option[i].letter != option[j].letter);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_option_of_leaks),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_other_commands),
		cmocka_unit_test(test_data_formats_have_all_sites),
		cmocka_unit_test(test_command_to_start),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_follow),
		cmocka_unit_test(test_pids),
		cmocka_unit_test(test_malformed_values),
		cmocka_unit_test(test_what_does_not_fit_together),
		cmocka_unit_test(test_what_fits_just_so),
		cmocka_unit_test(test_unknown_words),
		cmocka_unit_test(test_evil_words),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_version_and_option_list),
		cmocka_unit_test(test_table_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
