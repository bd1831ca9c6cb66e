/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The executable files of all processes, each opened once: by its build id, size and owner, so that two containers with
 * the same library have one module between them; files without a build id by device, inode, size and time of change.
 * (A file that claims another's build id is only ever confused with files of its own owner.)
 *
 * What they take together can be held within a bound: those not used for longest are unloaded, and loaded again when
 * they are asked for. One descriptor each stays open.
 */
#ifndef SEEP_SYS_MODULES_H
#define SEEP_SYS_MODULES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "module.h"
#include "proc.h"

struct modules;
struct shared_module; /* one file; lives until it is swept */

/* options: borrowed. */
int modules_new(const struct module_options *options, struct modules **out);
void modules_free(struct modules *modules);

/*
 * The file behind a mapping of a process whose root is root. path: its name, which must outlive it. *out is NULL where we
 * may read none. 0; -ENOMEM; -ESRCH: the process has gone, and *out is what was known of such a file from others.
 */
int modules_open(struct modules *modules, pid_t tgid, const struct proc_mapping *mapping,
		 const char *path, struct rootdir *root, struct shared_module **out);
/* That of [vdso], which is a file of its own; NULL: we have none such ourselves. Offsets are from its start. 0 or -ENOMEM. */
int modules_open_vdso(struct modules *modules, const struct proc_mapping *mapping,
		      struct shared_module **out);

/* Whether it begins as ELF files do. */
bool modules_is_elf(const struct shared_module *module);
/* As module_lookup(). */
int modules_lookup(struct modules *modules, struct shared_module *module, uint64_t file_offset,
		   struct symbol_frame *frame);
/* Unloads until all of them take no more than that, and be it all. */
void modules_trim(struct modules *modules, uint64_t max_bytes);
size_t modules_bytes(const struct modules *modules);
size_t modules_count(const struct modules *modules);

/* Those not marked since the last sweep are closed. */
void modules_mark(struct shared_module *module);
void modules_sweep(struct modules *modules);

#endif
