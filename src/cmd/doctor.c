// SPDX-License-Identifier: GPL-2.0-or-later
/* seep doctor: what this kernel and these rights allow, and what a probe costs here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calibrate.h"
#include "cmd.h"
#include "discover.h"
#include "kernel.h"
#include "loader.h"
#include "log.h"

static void line(bool there, const char *what, const char *without)
{
	if (there)
		printf("  yes  %s\n", what);
	else
		printf("  NO   %s: %s\n", what, without);
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
	line(f->syscall_tracepoints, "tracepoints of system calls", "no mappings");
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

static void print_costs(const struct kernel_features *features)
{
	struct loader_options options = {.ring_bytes = 4096,
					 .allocations = true,
					 .max_blocks = 1,
					 .max_stacks = 1,
					 .max_targets = 1,
					 .max_frames = 1};
	struct calibrator *calibrator = NULL;
	struct calibration cost;
	struct loader *loader = NULL;
	int err = loader_new(&options, features, &loader);

	if (!err)
		err = calibrate_start(loader_program_fd(loader, PROGRAM_FLOOR), &calibrator);
	if (!err)
		err = calibrate_finish(calibrator, &cost);
	printf("cost of a probe\n");
	if (err)
		printf("  not measured: %s\n", strerror(-err));
	else
		printf("  %6u ns  entry, emulated instruction\n"
		       "  %6u ns  entry, single-stepped instruction\n"
		       "  %6u ns  entry and return, emulated\n"
		       "  %6u ns  entry and return, single-stepped\n",
		       cost.emulated_entry_ns, cost.stepped_entry_ns, cost.emulated_return_ns,
		       cost.stepped_return_ns);
	calibrate_free(calibrator);
	loader_free(loader);
}

static void print_object(const struct discover_object *object)
{
	const struct discover_site *site;
	char place[64];
	size_t i;

	printf("  %s  %s\n", object->family, object->path);
	for (i = 0; i < object->nr_sites; i++) {
		site = &object->site[i];
		snprintf(place, sizeof(place), "%s+%u", site->function->symbol,
			 site->placement.offset);
		printf("    %-26s %-24s %s%s\n", place, site->placement.instruction,
		       site->placement.emulated ? "emulated" : "single-stepped: ",
		       site->placement.emulated ? "" : site->placement.why);
	}
}

static int print_process(pid_t tgid)
{
	struct discover_found *found = NULL;
	struct discover discover;
	struct proc_maps maps;
	struct proc_info info;
	size_t nr = 0, searched = 0, i;
	int err = proc_read_info(tgid, &info);

	discover_init(&discover);
	proc_maps_init(&maps);
	if (!err)
		err = proc_maps_read(&maps, tgid);
	if (!err)
		err = discover_process(&discover, tgid, &maps, &found, &nr, &searched);
	if (err) {
		log_error("cannot look at process %d: %s", (int)tgid, strerror(-err));
	} else {
		printf("process %d (%s)\n", (int)tgid, info.comm);
		for (i = 0; i < nr; i++)
			print_object(found[i].object);
		if (!nr)
			printf("  no allocator in %zu executable files\n", searched);
	}
	free(found);
	proc_maps_release(&maps);
	discover_release(&discover);
	return err;
}

int cmd_doctor(const struct cli_options *cli)
{
	struct kernel_features features;
	int status = EXIT_COMPLETE;
	size_t i;

	kernel_probe(&features);
	print_features(&features);
	if (!print_rights() || !features.btf || !features.ring_buffer)
		status = EXIT_FAILED;
	else
		print_costs(&features);
	for (i = 0; i < cli->nr_pids; i++) {
		if (print_process(cli->pid[i]))
			status = EXIT_FAILED;
	}
	return status;
}
