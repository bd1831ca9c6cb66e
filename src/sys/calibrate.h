/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a hit of a uprobe costs on this machine, measured on code of our own and never on the target.
 *
 * A forked child maps a few tiny functions from memory, calls them with and without probes of the perf-event kind on
 * them, and sends back the difference. It takes about 0.1 s, beside whatever the caller does meanwhile. Needs what
 * attaching needs. The child holds none of the caller's file descriptors.
 *
 *	struct calibrator *calibrator;
 *	error = calibrate_start(prog_fd, &calibrator);
 *	... load, plan, attach ...
 *	error = calibrate_finish(calibrator, &costs);
 *	... at the very end ...
 *	calibrate_free(calibrator);
 */
#ifndef SEEP_SYS_CALIBRATE_H
#define SEEP_SYS_CALIBRATE_H

#include <stdint.h>

/* ns that one call of a probed function takes longer than one of the same function without a probe; at least 1. */
struct calibration {
	uint32_t emulated_entry_ns;
	uint32_t stepped_entry_ns;
	uint32_t emulated_return_ns; /* an entry and a return probe together */
	uint32_t stepped_return_ns;
};

struct calibrator; /* one child at work */

/*
 * prog_fd: a loaded program of type BPF_PROG_TYPE_KPROBE that does nothing; it may be closed afterwards. The child dies
 * with the calling thread. 0 or negative errno (-ENOENT: a kernel without uprobes for perf events).
 */
int calibrate_start(int prog_fd, struct calibrator **out);

/* Readable once calibrate_finish() would not wait. Borrowed. */
int calibrate_fd(const struct calibrator *calibrator);

/*
 * Waits for the result, until 2 s after the start. 0, -ETIMEDOUT (the child has been killed), -ECHILD (it died of what
 * it tried) or what failed in the child, as a negative errno; the second time -EALREADY. The child may go on for some
 * time after it has answered, because its probes are slow to remove: nothing waits for that but calibrate_free().
 */
int calibrate_finish(struct calibrator *calibrator, struct calibration *out);

/* Kills the child if it still runs, and waits for its end. NULL is fine. */
void calibrate_free(struct calibrator *calibrator);

#endif
