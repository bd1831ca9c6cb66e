/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How often a process calls its allocators, and what it would cost to follow them: seep doctor -p. */
#ifndef SEEP_CMD_PREDICT_H
#define SEEP_CMD_PREDICT_H

#include "calibrate.h"
#include "discover.h"
#include "kernel.h"

/* Counts for a moment and prints. What cannot be counted is said; nothing fails. cost: NULL, not measured. */
void predict_print(struct discover *discover, pid_t tgid, const struct kernel_features *features,
		   const struct calibration *cost);

#endif
