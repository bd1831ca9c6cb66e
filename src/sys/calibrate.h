/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a hit of a uprobe costs on this machine, measured on code of our own and never on the target.
 *
 * A forked child maps a few tiny functions from memory, calls them with and without probes of each kind on them, and
 * sends back the difference. It takes some 0.2 s, beside whatever the caller does meanwhile. Needs what attaching needs.
 * The child holds none of the caller's file descriptors.
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

#include <stdbool.h>
#include <stdint.h>

#include "discover.h"
#include "loader.h"

#define CALIBRATE_KINDS (ATTACH_SESSION + 1)

/*
 * ns that one call of a probed function takes longer than one of the same function without a probe; at least 1. 0: not
 * measured, as this kernel has no such links.
 */
struct calibration_cost {
	uint32_t entry_ns;  /* of a session: one that skips the return */
	uint32_t return_ns; /* entry and return together */
};

struct calibration {
	struct calibration_cost emulated[CALIBRATE_KINDS]; /* by enum attach_kind */
	struct calibration_cost stepped[CALIBRATE_KINDS];
};

/* Of links of a kind, at an instruction that is emulated or single-stepped. */
uint32_t calibration_ns(const struct calibration *costs, enum attach_kind kind, bool emulated,
			bool with_return);

/* Of a probe in an allocator's function, by links of a kind, or the next best: what has no return is never a session. */
uint32_t calibration_site_ns(const struct calibration *costs, enum attach_kind kind,
			     const struct discover_site *site);

struct calibrator; /* one child at work */

/*
 * prog_fd: a loaded program of type BPF_PROG_TYPE_KPROBE that does nothing, for the perf events; it may be closed
 * afterwards. Those for other links are loaded in the child, which dies with the calling thread. 0 or negative errno (-ENOENT: a kernel without uprobes for perf events).
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
