/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a kernel's links are found out to do only by trying them, on code of our own in a forked child. */
#ifndef SEEP_SYS_UPROBE_TRIAL_H
#define SEEP_SYS_UPROBE_TRIAL_H

/*
 * Does a multi link to a process run for all its threads? Before 46ba0e49b642 (6.10, 6.9.5, 6.6.35) it ran for the
 * first one alone, and nobody was told of the others' calls. 1: it does; 0: it does not; negative errno: not found out.
 * Takes some 50 ms, most of it until the kernel has taken the probe out.
 */
int uprobe_trial_threads(void);

#endif
