/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "progtime.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "fd.h"

void progtime_init(struct progtime *time)
{
	*time = (struct progtime){.stats_fd = -1};
}

static int read_run(int prog_fd, uint64_t *ns, uint64_t *runs)
{
	struct bpf_prog_info info = {0};
	__u32 nr = sizeof(info);

	*ns = *runs = 0;
	if (prog_fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(prog_fd, &info, &nr))
		return -errno;
	*ns = info.run_time_ns;
	*runs = info.run_cnt;
	return 0;
}

int progtime_begin(struct progtime *time, const int *prog_fd, size_t nr)
{
	int err = 0, fd;
	size_t i;

	if (time->stats_fd >= 0 || nr > PROGTIME_MAX)
		return -EBUSY;
	fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (fd < 0)
		return -errno;
	for (i = 0; i < nr && !err; i++) {
		time->prog_fd[i] = prog_fd[i];
		err = read_run(prog_fd[i], &time->ns[i], &time->runs[i]);
	}
	time->nr = nr;
	time->stats_fd = fd;
	if (err)
		progtime_release(time);
	return err;
}

int progtime_end(struct progtime *time, uint64_t *ns, uint64_t *runs)
{
	uint64_t all_ns[PROGTIME_MAX], all_runs[PROGTIME_MAX];
	int err = time->stats_fd < 0 ? -EINVAL : 0;
	size_t i;

	for (i = 0; i < time->nr && !err; i++)
		err = read_run(time->prog_fd[i], &all_ns[i], &all_runs[i]);
	for (i = 0; i < time->nr && !err; i++) {
		ns[i] = all_ns[i] - time->ns[i];
		runs[i] = all_runs[i] - time->runs[i];
	}
	progtime_release(time);
	return err;
}

void progtime_release(struct progtime *time)
{
	fd_close(&time->stats_fd);
}
