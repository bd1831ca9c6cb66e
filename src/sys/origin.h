/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which file lies where: the numbers by which the frames of a stack tell the code of one file from that of another at
 * the same address (unwind.h). Whoever looks at the same mapping finds the same number, as long as nobody writes to the
 * file. Two files have the same number by chance once in 30,000 times.
 */
#ifndef SEEP_SYS_ORIGIN_H
#define SEEP_SYS_ORIGIN_H

#include <stdint.h>
#include <sys/types.h>

#include "proc.h"

struct origin_file {
	uint64_t dev, inode; /* as stat() has them */
	uint64_t bytes;
	uint64_t mtime_ns;
};

/* ORIGIN_FILE or above. base: where the file's first byte would lie. */
uint16_t origin_of_file(const struct origin_file *file, uint64_t base);

/*
 * For a mapping of a process. ORIGIN_NO_FILE: it has no file, or no regular one; ORIGIN_UNKNOWN: the file is out of our
 * reach, or the process has gone. It is not looked into the file.
 */
uint16_t origin_of_mapping(pid_t tgid, const struct proc_mapping *mapping);

#endif
