// SPDX-License-Identifier: GPL-2.0-or-later
/* seep doctor: what this kernel and these rights allow, and what a probe costs here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "calibrate.h"
#include "cmd.h"
#include "coverage.h"
#include "discover.h"
#include "hazard.h"
#include "kernel.h"
#include "loader.h"
#include "log.h"
#include "parse.h"
#include "predict.h"
#include "probes.h"
#include "progtime.h"
#include "watch.h"

/* What is known of this machine by now. */
struct machine {
	struct kernel_features features;
	struct calibration cost;
	bool may_probe, has_cost;
	struct hazard_kernel hazards;
};

/* A rung of the ladder: what it gives, or what there is without it. */
static void line(bool there, const char *what, const char *gives, const char *without)
{
	printf("  %s  %-33s %s\n", there ? "yes" : "NO ", what, there ? gives : without);
}

static bool is_told_of_code(void)
{
	struct watch *watch = NULL;
	int err = watch_new(WATCH_EACH, &watch);

	watch_free(watch);
	return !err;
}

static bool can_time_programs(void)
{
	struct progtime time;
	bool can;

	progtime_init(&time);
	can = !progtime_begin(&time, NULL, 0);
	progtime_release(&time);
	return can;
}

static void print_features(const struct kernel_features *f)
{
	printf("kernel %s\n", f->release);
	line(f->btf, "type information (BTF)", "programs fit this kernel",
	     "needed: CONFIG_DEBUG_INFO_BTF");
	line(f->ring_buffer, "BPF ring buffers (5.8)", "events", "needed");
	line(f->atomics, "atomic operations (5.12)", "tables without locks", "needed");
	line(f->uprobe_pmu, "uprobes by perf event", "allocations",
	     "no allocations: CONFIG_UPROBE_EVENTS");
	line(f->uprobe_cookie, "cookies of uprobes (5.15)", "probes know their function",
	     "no allocations");
	line(f->uprobe_multi, "uprobe multi links (6.6)", "many probes go at once: windows",
	     "perf events, 0.1 s each to remove");
	line(f->uprobe_session, "uprobe session links (6.13)", "no return trap if not sampled",
	     "every return is trapped");
	line(f->task_storage, "task storage (5.11)", "state of a thread at hand",
	     "in a hash, slower");
	line(f->hash_on_demand, "maps that grow on demand (6.1)", "memory as it is used",
	     "all allocated at start");
	line(f->casts, "casts in programs (6.2)", "fewer calls in each", "more time in each probe");
	line(f->syscall_tracepoints, "tracepoints of system calls", "mappings", "no mappings");
	line(f->trampolines, "trampolines at functions (fentry)", "mappings, at no cost to others",
	     "mappings are seen otherwise");
	if (!f->trampolines)
		line(f->task_work, "task work, at a lock (6.18)", "mappings, at no cost to others",
		     "mappings slow each call, 0.1 us");
	line(f->task_pt_regs, "registers of system calls (5.15)", "stacks of mappings",
	     "no stacks of mappings");
	line(is_told_of_code(), "records of new code (perf MMAP2)", "followed as it is mapped",
	     "looked for now and then");
	line(can_time_programs(), "run times of programs (5.8)", "what ours cost is measured",
	     "what ours cost is guessed");
}

static bool print_rights(void)
{
	char missing[128];
	bool all = kernel_capabilities(missing, sizeof(missing)), host = kernel_knows_our_pids();

	printf("rights\n");
	if (all)
		printf("  yes  all capabilities that are needed\n");
	else
		printf("  NO   missing: %s\n", missing);
	if (!host)
		printf("  NO   numbers of processes: this is a PID namespace, run it on the "
		       "host\n");
	return all && host;
}

static void print_row(const char *link, const char *const column[4])
{
	printf("  %-9s %12s %12s  %12s %12s\n", link, column[0], column[1], column[2], column[3]);
}

static void print_kind(const struct calibration *cost, enum attach_kind kind)
{
	char text[4][FORMAT_MAX + 3], count[FORMAT_MAX];
	const char *column[4];
	int i;

	if (!calibration_ns(cost, kind, true, false)) {
		printf("  %-9s not on this kernel\n", attach_kind_name(kind));
		return;
	}
	for (i = 0; i < 4; i++) {
		format_count(calibration_ns(cost, kind, i < 2, i % 2), count, sizeof(count));
		snprintf(text[i], sizeof(text[i]), "%s ns", count);
		column[i] = text[i];
	}
	print_row(attach_kind_name(kind), column);
}

static void print_costs(const struct calibration *cost, int err)
{
	static const char *const heading[] = {"entry", "and return", "entry", "and return"};

	if (err) {
		printf("cost of a call with an empty program: not measured: %s\n", strerror(-err));
		return;
	}
	printf("cost of a call with an empty program\n"
	       "  %-9s %25s  %25s\n",
	       "", "emulated instruction", "single-stepped");
	print_row("link", heading);
	print_kind(cost, ATTACH_PERF);
	print_kind(cost, ATTACH_MULTI);
	print_kind(cost, ATTACH_SESSION);
	printf("  the entry of a session skips its return, when a call is not sampled\n");
}

static void print_hazard(int answer, const char *what)
{
	if (answer == HAZARD_SAFE)
		printf("  safe       %s\n", what);
	else if (answer == HAZARD_KILLS)
		printf("  DANGEROUS  %s: such processes are refused\n", what);
	else
		printf("  unknown    %s: %s; such processes are refused\n", what,
		       strerror(-answer));
}

static void print_hazards(struct hazard_kernel *kernel)
{
	const struct proc_guards all = {
		.seccomp_strict = true, .seccomp_filter = true, .shadow_stack = true};
	char why[HAZARD_WHY_BYTES];

	(void)hazard_check(kernel, &all, why, sizeof(why)); /* said one by one */
	printf("hazards\n");
	print_hazard(kernel->seccomp_filter, "return probes and seccomp filters");
	print_hazard(kernel->seccomp_strict, "return probes and strict seccomp");
	print_hazard(kernel->shadow_stack, "return probes and shadow stacks");
	printf("  avoided    nop5 in leaf functions: never chosen for a probe\n"
	       "  avoided    return probes in functions of Go, whose stacks move\n"
	       "  avoided    return probes in operator new of jemalloc and the like: exceptions\n"
	       "  refused    32-bit processes\n");
}

/* 0 when probes do this process no harm. */
static int print_guards(pid_t tgid, bool is_32bit, struct machine *machine)
{
	char why[HAZARD_WHY_BYTES], comm[64];
	struct proc_guards guards;
	const struct hazard_facts facts = {.features = &machine->features,
					   .kernel = &machine->hazards,
					   .guards = &guards,
					   .is_32bit = is_32bit,
					   .with_return = true};
	enum attach_kind link;
	int err = proc_read_guards(tgid, &guards);

	if (err) {
		printf("  unknown    its threads: %s\n", strerror(-err));
		return err;
	}
	(void)hazard_check(&machine->hazards, &guards, why, sizeof(why)); /* to have it tried */
	err = hazard_decide(&facts, &link, why, sizeof(why));
	if (err)
		printf("  %s  %s\n", err > 0 ? "DANGEROUS" : "unknown  ", why);
	else
		printf("  safe       %s, %s, %s shadow stack\n"
		       "  probes     by %s links\n",
		       guards.seccomp_filter ? "seccomp filter" : "no seccomp filter",
		       guards.seccomp_strict ? "strict seccomp" : "no strict seccomp",
		       guards.shadow_stack ? "a" : "no", attach_kind_name(link));
	if (guards.tracer_tid && !proc_read_comm(guards.tracer_tid, comm, sizeof(comm)))
		printf("  traced     by %d (%s): its debugger will see our breakpoints\n",
		       (int)guards.tracer_tid, comm);
	return err;
}

static void print_rows(const struct coverage_file *file)
{
	switch (file->cfi_error) {
	case 0:
		printf("%llu unwind rows", (unsigned long long)file->rows);
		break;
	case -ENOENT:
		printf("no call frame information");
		break;
	case -ENOEXEC:
		printf("no program");
		break;
	default:
		printf("no usable call frame information (%s)", strerror(-file->cfi_error));
	}
}

static void print_names(const struct coverage_file *file)
{
	switch (file->names) {
	case COVERAGE_NO_NAMES:
		printf("no names");
		break;
	case COVERAGE_DYNAMIC_SYMBOLS:
		printf("names from dynamic symbols only");
		break;
	case COVERAGE_PACKED_SYMBOLS:
		printf("names from its packed symbol table only");
		break;
	case COVERAGE_SYMBOL_TABLE:
		printf("names from its symbol table only");
		break;
	case COVERAGE_DEBUG_FILE:
		printf("names from\n                %s", file->debug_path);
		break;
	case COVERAGE_DEBUG_INFORMATION:
		printf("names from its debug information");
		break;
	}
}

static void print_file(const struct coverage_file *file)
{
	printf("  %8llu KiB  %s\n                ", (unsigned long long)file->bytes / 1024,
	       file->path);
	if (file->error) {
		printf("cannot be read: %s\n", strerror(-file->error));
		return;
	}
	print_rows(file);
	printf(", ");
	print_names(file);
	printf("\n");
}

static int print_code(pid_t tgid, const struct proc_maps *maps)
{
	struct coverage coverage;
	int err = coverage_read(tgid, maps, &coverage);
	size_t i;

	if (err) {
		log_error("cannot look at the code of process %d: %s", (int)tgid, strerror(-err));
		return err;
	}
	printf("code of process %d\n", (int)tgid);
	for (i = 0; i < coverage.nr; i++)
		print_file(&coverage.file[i]);
	if (coverage.nr_left_out)
		printf("  and %zu more files\n", coverage.nr_left_out);
	if (coverage.nr_made)
		printf("  %8llu KiB  made at run time, in %zu mappings: walked by frame pointers\n",
		       (unsigned long long)coverage.made_bytes / 1024, coverage.nr_made);
	else
		printf("  none made at run time\n");
	coverage_release(&coverage);
	return 0;
}

static int print_process(struct probes *probes, pid_t tgid, struct machine *machine)
{
	size_t brought = probes->nr_brought;
	struct proc_info info;
	struct proc_maps maps;
	int err = probes_print_process(probes, tgid);

	if (err)
		return err;
	err = proc_read_info(tgid, &info);
	if (!err)
		err = print_guards(tgid, info.is_32bit, machine);
	if (!err && probes->nr_brought > brought)
		printf("calls: not counted: a run leaves them alone, and uses its heap probes\n");
	else if (!err && machine->may_probe)
		predict_print(&probes->discover, tgid, &machine->features,
			      machine->has_cost ? &machine->cost : NULL);
	proc_maps_init(&maps);
	if (proc_maps_read(&maps, tgid) || print_code(tgid, &maps))
		err = -ESRCH;
	proc_maps_release(&maps);
	return err;
}

int cmd_doctor(const struct cli_options *cli)
{
	struct machine machine = {0};
	int status = EXIT_COMPLETE, err;
	struct probes probes;
	size_t i;

	err = probes_init(&probes, cli);
	if (err) {
		probes_release(&probes);
		return err == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
	}
	kernel_probe(&machine.features);
	print_features(&machine.features);
	if (!print_rights() || !machine.features.btf || !machine.features.ring_buffer ||
	    !machine.features.atomics) {
		status = EXIT_FAILED;
	} else {
		err = probes_measure(&machine.features, &machine.cost);
		machine.has_cost = !err;
		machine.may_probe = true;
		probes.cost = machine.cost;
		probes.kind = loader_choose_kind(ATTACH_SESSION, &machine.features);
		probes.has_cost = machine.has_cost;
		print_costs(&machine.cost, err);
		print_hazards(&machine.hazards);
	}
	for (i = 0; i < cli->nr_pids; i++) {
		if (print_process(&probes, cli->pid[i], &machine))
			status = EXIT_FAILED;
	}
	if (discover_check_wishes(&probes.discover, !cli->nr_pids))
		status = EXIT_FAILED;
	probes_release(&probes);
	return status;
}
