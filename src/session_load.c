// SPDX-License-Identifier: GPL-2.0-or-later
/* What the machine must have, and the BPF programs with room for what is asked of them. */
#include <errno.h>
#include <string.h>

#include "log.h"
#include "session_impl.h"

#define MAX_MAPPINGS                                                                               \
	65536 /* 2.5 MiB, where targets come by themselves; and of each that was named: */
#define MAX_MAPPINGS_OF_ONE 4096
#define MAX_TARGETS 8192 /* at once, of all processes or a cgroup's */
#define MAX_FAMILY 1024	 /* likewise, of targets given one by one and their children */
#define MIN_SPARE 256
#define MAX_COUNTER_BYTES (64u << 20)

int session_check_machine(struct session *s)
{
	char missing[128];

	if (!kernel_capabilities(missing, sizeof(missing))) {
		log_error("not enough rights: %s missing; run as root, or give the binary these "
			  "capabilities",
			  missing);
		return -EPERM;
	}
	kernel_probe(&s->features);
	if (!s->features.btf) {
		log_error("kernel %s has no type information (/sys/kernel/btf/vmlinux): it must be "
			  "built with CONFIG_DEBUG_INFO_BTF",
			  s->features.release);
		return -ENOTSUP;
	}
	if (!s->features.ring_buffer) {
		log_error("kernel %s has no BPF ring buffers: 5.12 or later is needed",
			  s->features.release);
		return -ENOTSUP;
	}
	if (!s->features.atomics) {
		log_error("kernel %s has no atomic operations for BPF: 5.12 or later is needed",
			  s->features.release);
		return -ENOTSUP;
	}
	if (s->options->mode == RUN_LEAKS &&
	    (!s->features.uprobe_pmu || !s->features.uprobe_cookie)) {
		log_error("kernel %s has no uprobes with cookies: 5.15 or later with "
			  "CONFIG_UPROBE_EVENTS is needed; 'seep faults' works without",
			  s->features.release);
		return -ENOTSUP;
	}
	return 0;
}

/* Each has a set of counters for each CPU, whether it is used or not. */
static uint32_t max_targets(const struct session *s)
{
	uint32_t nr = MAX_COUNTER_BYTES /
		      (uint32_t)(sizeof(struct seep_counters) * (size_t)kernel_nr_cpus());

	if (!session_is_open(s))
		return (uint32_t)s->nr_targets + 1;
	if (s->cli->argv || s->cli->nr_pids)
		nr = MAX_FAMILY;
	else if (nr > MAX_TARGETS)
		nr = MAX_TARGETS;
	return nr > s->nr_targets + MIN_SPARE ? nr : (uint32_t)s->nr_targets + MIN_SPARE;
}

static uint32_t max_mappings(const struct session *s)
{
	uint64_t nr = (s->nr_targets + 1) * MAX_MAPPINGS_OF_ONE;

	return session_is_open(s) || nr > MAX_MAPPINGS ? MAX_MAPPINGS : (uint32_t)nr;
}

int session_load(struct session *s)
{
	struct loader_options options = {
		.allocations = s->options->mode == RUN_LEAKS,
		.faults = true, /* they may be all that is left */
		.ring_bytes = s->cli->ring_bytes,
		.max_blocks = (uint32_t)s->cli->max_blocks,
		.max_stacks = (uint32_t)s->cli->max_stacks,
		.max_targets = max_targets(s),
		.max_frames = SEEP_MAX_FRAMES,
		.max_mappings = max_mappings(s),
		.check_stacks = s->cli->check_stacks,
		.link = (enum attach_kind)s->cli->link,
		.follow = {.children = s->cli->follow,
			   .all = s->cli->all && !s->cli->no_follow,
			   .cgroup = s->cli->cgroup && s->cgroup.is_v2 && !s->cli->no_follow,
			   .cgroup_fd = s->cgroup.fd,
			   .comm = s->cli->no_follow ? NULL : s->cli->comm},
	};
	int err;

	kernel_raise_limits(); /* not before a command was started, which keeps what it is given */
	err = loader_new(&options, &s->features, &s->loader);
	if (err)
		log_error("cannot load the BPF programs: %s (-vv tells more)", strerror(-err));
	return err ? err : session_init_slots(s);
}
