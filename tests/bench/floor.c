// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * floor [-s] PID: the least that probes can cost. Sets seep's own probes in a process, at the same sites
 * and with the same kind of link, but with programs that do nothing; with -s as where no call is sampled, so
 * that no return is trapped. Prints "ready PID" with its own, and takes them out when its input ends or it is
 * killed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "discover.h"
#include "kernel.h"
#include "loader.h"
#include "proc.h"

#define MAX_SITES 256

/* As long as this process lives: nothing is ever taken out but by its end. */
static int attach_found(const struct loader *loader, pid_t tgid, const struct discover_found *found,
			enum attach_what what)
{
	const struct discover_site *site[MAX_SITES];
	struct attach_request request = {
		.tgid = tgid, .kernel_path = found->kernel_path, .site = site};
	struct attach_links *links;

	for (; request.nr < found->object->nr_sites && request.nr < MAX_SITES; request.nr++)
		site[request.nr] = &found->object->site[request.nr];
	return attach_sites(loader, &request, what, &links);
}

static int attach_process(const struct loader *loader, struct discover *discover, pid_t tgid,
			  enum attach_what what)
{
	struct discover_found *found = NULL;
	size_t nr = 0, nr_searched, i;
	struct proc_maps maps;
	int err;

	proc_maps_init(&maps);
	err = proc_maps_read(&maps, tgid);
	if (!err)
		err = discover_process(discover, tgid, &maps, &found, &nr, &nr_searched);
	if (!err && !nr)
		err = -ENOENT;
	for (i = 0; i < nr && !err; i++)
		err = attach_found(loader, tgid, &found[i], what);
	free(found);
	proc_maps_release(&maps);
	return err;
}

int main(int argc, char **argv)
{
	struct loader_options options = {.ring_bytes = 4096,
					 .max_stacks = 1,
					 .max_targets = 1,
					 .max_mappings = 1,
					 .max_frames = 1,
					 .measuring = true};
	struct kernel_features features;
	enum attach_what what = ATTACH_NOTHING;
	struct loader *loader = NULL;
	struct discover discover;
	char byte;
	int err;

	if (argc == 3 && !strcmp(argv[1], "-s")) {
		what = ATTACH_NO_RETURNS;
		argc--;
		argv++;
	}
	if (argc != 2 || atoi(argv[1]) <= 0) {
		fprintf(stderr, "usage: floor [-s] PID\n");
		return 2;
	}
	discover_init(&discover);
	kernel_probe(&features);
	kernel_raise_limits();
	err = loader_new(&options, &features, &loader);
	if (!err)
		err = attach_process(loader, &discover, atoi(argv[1]), what);
	if (err) {
		fprintf(stderr, "floor: cannot attach to %s: %s\n", argv[1], strerror(-err));
	} else {
		printf("ready %d\n", (int)getpid());
		fflush(stdout);
		while (read(STDIN_FILENO, &byte, 1) > 0)
			;
	}
	discover_release(&discover);
	loader_free(loader);
	return err ? 1 : 0;
}
