// SPDX-License-Identifier: GPL-2.0-or-later
#include "probes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader.h"
#include "log.h"
#include "parse.h"
#include "spawn.h"
#include "usdt.h"

#define PLACE_COLUMNS 22

/* In 80 columns; what follows a long name comes on a line of its own. */
static void print_site(const struct probes *probes, const struct discover_site *site)
{
	const struct placement *p = &site->placement;
	char place[ALLOCATOR_SPEC_MAX_NAME + 16], count[FORMAT_MAX];

	snprintf(place, sizeof(place), "%s+%u", site->function->symbol, p->offset);
	printf("    %-8s %-*s", site->family->name, PLACE_COLUMNS, place);
	if (strlen(place) > PLACE_COLUMNS)
		printf("\n    %-8s %-*s", "", PLACE_COLUMNS, "");
	printf(" %#8" PRIx64 " %-15.15s", site->file_offset, p->instruction);
	if (probes->has_cost) {
		format_count(calibration_site_ns(&probes->cost, probes->kind, site), count,
			     sizeof(count));
		printf(" %6s ns", count);
	}
	printf("  %s\n", p->emulated ? "emulated" : "stepped");
	if (!p->emulated)
		printf("      single-stepped: %s\n", p->why);
}

static void print_object(const struct probes *probes, const struct discover_object *object)
{
	const struct discover_site *site;
	size_t i;

	printf("  %s  %s\n", object->family, object->path);
	for (i = 0; i < object->nr_sites; i++) {
		site = &object->site[i];
		if (probes->cli->throwing_new || !allocator_function_throws(site->function))
			print_site(probes, site);
		else
			printf("    %-8s %s left out without --throwing-new\n", site->family->name,
			       site->function->symbol);
	}
}

static void print_found(const struct probes *probes, const struct discover_found *found, size_t nr,
			size_t searched)
{
	size_t i;

	if (nr)
		printf("    %-8s %-*s %8s %-15s%s\n", "family", PLACE_COLUMNS, "function+offset",
		       "in file", "instruction", probes->has_cost ? " call costs" : "");
	else
		printf("  no allocator in %zu executable files\n", searched);
	for (i = 0; i < nr; i++)
		print_object(probes, found[i].object);
}

/* Heap probes that a file brings along, if it does; fd is taken over. */
static void print_brought(struct probes *probes, const char *path, int fd)
{
	struct usdt_object object;
	struct elf_file *elf = NULL;
	const char *why = NULL;
	int err;

	if (fd < 0 || elf_open_fd(fd, &elf))
		return;
	err = usdt_find(elf, &object, &why);
	elf_close(elf);
	if (!err) {
		printf("  %s  %s\n"
		       "    %zu heap probes that it brings along: they are used, and the calls "
		       "above are\n"
		       "    left alone, unless --no-usdt is given\n",
		       object.provider, path, object.nr_sites);
		probes->nr_brought++;
		usdt_object_release(&object);
	} else if (why) {
		printf("  %s\n"
		       "    brings heap probes along that cannot be used: %s\n",
		       path, why);
	}
}

static void print_brought_of_process(struct probes *probes, pid_t tgid,
				     const struct proc_maps *maps)
{
	size_t *index, nr, i;

	if (probes->cli->no_usdt || proc_maps_code_files(maps, &index, &nr))
		return;
	for (i = 0; i < nr; i++)
		print_brought(probes, maps->item[index[i]].path,
			      proc_open_mapping(tgid, &maps->item[index[i]]));
	free(index);
}

static void print_brought_of_files(struct probes *probes, const struct discover_files *files)
{
	size_t i;

	for (i = 0; i < files->nr && !probes->cli->no_usdt; i++)
		print_brought(probes, files->path[i], open(files->path[i], O_RDONLY | O_CLOEXEC));
}

int probes_init(struct probes *probes, const struct cli_options *cli)
{
	int err;

	*probes = (struct probes){.cli = cli};
	discover_init(&probes->discover);
	err = cli_load_allocators(cli, &probes->spec);
	return err ? err : discover_use(&probes->discover, &probes->spec);
}

void probes_release(struct probes *probes)
{
	discover_release(&probes->discover);
	allocator_spec_release(&probes->spec);
}

int probes_print_process(struct probes *probes, pid_t tgid)
{
	struct discover_found *found = NULL;
	size_t nr = 0, searched = 0;
	struct proc_maps maps;
	struct proc_info info;
	int err = proc_read_info(tgid, &info);

	proc_maps_init(&maps);
	if (!err)
		err = proc_maps_read(&maps, tgid);
	if (!err)
		err = discover_process(&probes->discover, tgid, &maps, &found, &nr, &searched);
	if (err) {
		log_error("cannot look at process %d: %s", (int)tgid, strerror(-err));
	} else {
		printf("process %d (%s)\n", (int)tgid, info.comm);
		print_found(probes, found, nr, searched);
		print_brought_of_process(probes, tgid, &maps);
	}
	free(found);
	proc_maps_release(&maps);
	return err;
}

int probes_measure(const struct kernel_features *features, struct calibration *cost)
{
	struct loader_options options = {.ring_bytes = 4096,
					 .allocations = true,
					 .max_blocks = 1,
					 .max_stacks = 1,
					 .max_targets = 1,
					 .max_frames = 1,
					 .max_mappings = 1};
	struct calibrator *calibrator = NULL;
	struct loader *loader = NULL;
	int err = loader_new(&options, features, &loader);

	if (!err)
		err = calibrate_start(loader_program_fd(loader, PROGRAM_FLOOR), &calibrator);
	if (!err)
		err = calibrate_finish(calibrator, cost);
	calibrate_free(calibrator);
	loader_free(loader);
	return err;
}

/* It is not run; its loader says what it needs. */
static int list_command(struct probes *probes)
{
	const char *name = probes->cli->argv[0];
	struct discover_found *found = NULL;
	struct discover_files files = {0};
	size_t nr = 0, searched = 0;
	char path[4096];
	int err = spawn_find(name, path, sizeof(path));

	if (!err)
		err = discover_program_files(path, &files);
	if (!err)
		err = discover_files(&probes->discover, &files, &found, &nr, &searched);
	if (err) {
		log_error("cannot tell what '%s' will map: %s", name, strerror(-err));
	} else {
		printf("command %s\n", name);
		print_found(probes, found, nr, searched);
		print_brought_of_files(probes, &files);
	}
	free(found);
	discover_files_release(&files);
	return err;
}

static int list_all(struct probes *probes)
{
	size_t i;
	int err = probes->cli->argv ? list_command(probes) : 0, failed;

	for (i = 0; i < probes->cli->nr_pids; i++) {
		failed = probes_print_process(probes, probes->cli->pid[i]);
		err = err ? err : failed;
	}
	return err ? err : discover_check_wishes(&probes->discover, probes->cli->argv);
}

int probes_list(const struct cli_options *cli)
{
	struct kernel_features features;
	struct probes probes;
	int err = probes_init(&probes, cli), unknown;

	if (!err) {
		kernel_probe(&features);
		probes.kind = loader_choose_kind(ATTACH_SESSION, &features);
		unknown = probes_measure(&features, &probes.cost);
		probes.has_cost = !unknown;
		if (unknown)
			log_warn("cannot measure what a probe costs here: %s", strerror(-unknown));
		err = list_all(&probes);
	}
	probes_release(&probes);
	if (err == -EINVAL)
		return EXIT_USAGE;
	return err ? EXIT_FAILED : EXIT_COMPLETE;
}
