// SPDX-License-Identifier: GPL-2.0-or-later
/* seep doctor: what this kernel and these rights allow, and what a probe costs here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calibrate.h"
#include "cmd.h"
#include "coverage.h"
#include "discover.h"
#include "hazard.h"
#include "kernel.h"
#include "loader.h"
#include "log.h"
#include "probes.h"
#include "watch.h"

static void line(bool there, const char *what, const char *without)
{
	if (there)
		printf("  yes  %s\n", what);
	else
		printf("  NO   %s: %s\n", what, without);
}

static bool is_told_of_code(void)
{
	struct watch *watch = NULL;
	int err = watch_new(&watch);

	watch_free(watch);
	return !err;
}

static void print_features(const struct kernel_features *f)
{
	printf("kernel %s\n", f->release);
	line(f->btf, "type information (BTF)", "needed: CONFIG_DEBUG_INFO_BTF");
	line(f->ring_buffer, "BPF ring buffers (5.8)", "needed");
	line(f->uprobe_pmu, "uprobes by perf event", "no allocations: CONFIG_UPROBE_EVENTS");
	line(f->uprobe_cookie, "cookies of uprobes (5.15)", "no allocations");
	line(f->task_storage, "task storage (5.11)", "thread state in a hash, slower");
	line(f->task_pt_regs, "registers of system calls (5.15)", "no stacks of mappings");
	line(f->hash_on_demand, "maps that grow on demand (6.1)", "all allocated at start");
	line(f->atomics, "atomic operations (5.12)", "needed");
	line(f->syscall_tracepoints, "tracepoints of system calls", "no mappings");
	line(is_told_of_code(), "records of new code (perf MMAP2)", "looked for now and then");
	line(f->uprobe_multi, "uprobe multi links (6.6)", "not used yet");
	line(f->uprobe_session, "uprobe session links (6.13)", "not used yet");
}

static bool print_rights(void)
{
	char missing[128];

	if (kernel_capabilities(missing, sizeof(missing))) {
		printf("rights\n  yes  all capabilities that are needed\n");
		return true;
	}
	printf("rights\n  NO   missing: %s\n", missing);
	return false;
}

static void print_costs(const struct calibration *cost, int err)
{
	printf("cost of a probe\n");
	if (err)
		printf("  not measured: %s\n", strerror(-err));
	else
		printf("  %6u ns  entry, emulated instruction\n"
		       "  %6u ns  entry, single-stepped instruction\n"
		       "  %6u ns  entry and return, emulated\n"
		       "  %6u ns  entry and return, single-stepped\n",
		       cost->emulated_entry_ns, cost->stepped_entry_ns, cost->emulated_return_ns,
		       cost->stepped_return_ns);
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
	printf("  avoided    nop5 in leaf functions: never chosen for a probe\n");
}

/* 0 when return probes do this process no harm. */
static int print_guards(pid_t tgid, struct hazard_kernel *kernel)
{
	char why[HAZARD_WHY_BYTES], comm[64];
	struct proc_guards guards;
	int err = proc_read_guards(tgid, &guards);

	if (err) {
		printf("  unknown    its threads: %s\n", strerror(-err));
		return err;
	}
	err = hazard_check(kernel, &guards, why, sizeof(why));
	if (err)
		printf("  %s  %s\n", err > 0 ? "DANGEROUS" : "unknown  ", why);
	else
		printf("  safe       %s, %s, %s shadow stack\n",
		       guards.seccomp_filter ? "seccomp filter" : "no seccomp filter",
		       guards.seccomp_strict ? "strict seccomp" : "no strict seccomp",
		       guards.shadow_stack ? "a" : "no");
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
		printf("names from %s", file->debug_path);
		break;
	case COVERAGE_DEBUG_INFORMATION:
		printf("names from its debug information");
		break;
	}
}

static void print_file(const struct coverage_file *file)
{
	printf("  %8llu KiB  %s: ", (unsigned long long)file->bytes / 1024, file->path);
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

static int print_process(struct probes *probes, pid_t tgid, struct hazard_kernel *hazards)
{
	struct proc_maps maps;
	int err = probes_print_process(probes, tgid);

	if (err)
		return err;
	proc_maps_init(&maps);
	err = print_guards(tgid, hazards);
	if (proc_maps_read(&maps, tgid) || print_code(tgid, &maps))
		err = -ESRCH;
	proc_maps_release(&maps);
	return err;
}

int cmd_doctor(const struct cli_options *cli)
{
	struct hazard_kernel hazards = {0};
	struct kernel_features features;
	int status = EXIT_COMPLETE, err;
	struct probes probes;
	size_t i;

	err = probes_init(&probes, cli);
	if (err) {
		probes_release(&probes);
		return err == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
	}
	kernel_probe(&features);
	print_features(&features);
	if (!print_rights() || !features.btf || !features.ring_buffer || !features.atomics) {
		status = EXIT_FAILED;
	} else {
		err = probes_measure(&features, &probes.cost);
		probes.has_cost = !err;
		print_costs(&probes.cost, err);
		print_hazards(&hazards);
	}
	for (i = 0; i < cli->nr_pids; i++) {
		if (print_process(&probes, cli->pid[i], &hazards))
			status = EXIT_FAILED;
	}
	if (discover_check_wishes(&probes.discover, !cli->nr_pids))
		status = EXIT_FAILED;
	probes_release(&probes);
	return status;
}
