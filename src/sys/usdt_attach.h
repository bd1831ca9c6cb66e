/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Links to heap probes that a program brings along, in one process.
 *
 * While a probe is set, the kernel keeps its semaphore above zero in that process, which is how the program knows that
 * somebody listens. However we end, the kernel takes probes out and counts semaphores down.
 */
#ifndef SEEP_SYS_USDT_ATTACH_H
#define SEEP_SYS_USDT_ATTACH_H

#include <stdint.h>
#include <sys/types.h>

#include "attach.h"
#include "loader.h"
#include "usdt.h"

/*
 * Sets all probes of an object in a process, beside those that there are. spec[i] is the number of the i-th site's spec, which the loader knows
 * already. 0; else nothing is set: -ESRCH, or what the kernel says (-EINVAL: somebody else has set a probe there, and says
 * otherwise where its semaphore is).
 */
int usdt_attach(struct attach *attach, const struct loader *loader, pid_t tgid,
		const char *kernel_path, const struct usdt_object *object, const uint32_t *spec);

#endif
