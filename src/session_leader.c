// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel ties a uprobe that is set for a process to the task that is its thread group leader, and lets it act where
 * that task's memory is. So probes are of no use any more when the leader has ended and other threads go on, or when
 * another thread calls exec and becomes the leader: another task, with the same id.
 */
#include <poll.h>

#include "log.h"
#include "session_impl.h"

#define FOLLOW_NS                                                                                  \
	1000000000ULL /* a process that ends loses its leader first; the rest follows sooner than that */

static bool is_headless(const struct session_target *t)
{
	struct pollfd all = {.fd = t->pidfd, .events = POLLIN};
	struct proc_info info;

	return !t->gone && !proc_read_info(t->tgid, &info) && info.state == 'Z' &&
	       !poll(&all, 1, 0);
}

void session_check_leaders(struct session *s, bool at_end)
{
	uint32_t gone = loader_leaders_gone(s->loader);
	uint64_t now_ns = session_now_ns();
	const struct session_target *t;
	size_t i;

	if (gone != s->leaders_gone) {
		s->leaders_gone = gone;
		s->leaders_gone_ns = now_ns;
	}
	if (!s->leaders_gone_ns || (!at_end && now_ns - s->leaders_gone_ns < FOLLOW_NS))
		return;
	s->leaders_gone_ns = 0;
	for (i = 0; i < s->nr_targets; i++) {
		t = s->target[i];
		if (!is_headless(t))
			continue;
		s->leader_gone = true;
		log_warn("the first thread of process %d (%s) has ended, and the probes with it: "
			 "what its "
			 "other threads do is not seen",
			 (int)t->tgid, t->info.comm);
	}
}
