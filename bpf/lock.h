/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lock.bpf.c and its loader agree on. */
#ifndef SEEP_LOCK_H
#define SEEP_LOCK_H

/*
 * A call of no helper that there is, in place of one of the kernel's function that gives a task work to do:
 * bpf_task_work_schedule_resume(task, work, map, callback). Its name and its arguments differ between kernels, and libbpf
 * loads nothing at all where they are others than it was told. The loader puts in the function's number.
 */
#define SEEP_CALL_TASK_WORK 0x5eeb0001

#endif
