/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One executable file and the names in it. The file is held open from the start, but read at the first lookup only;
 * what was looked up is kept.
 */
#ifndef SEEP_SYS_MODULE_H
#define SEEP_SYS_MODULE_H

#include <stdint.h>

#include "strpool.h"
#include "symbolize.h"

struct module;

/*
 * Takes over fd, also on failure. path: where the file was mapped from, to find its debug file; it and the pool must
 * outlive the module.
 */
int module_new(int fd, const char *path, struct strpool *pool, struct module **out);
void module_free(struct module *module);

/*
 * What is at an offset of the file, as symbolizer_lookup(): at least one frame, or -ENOMEM. The frames' module is "".
 */
int module_lookup(struct module *module, uint64_t file_offset, struct symbol_frame *frame);

#endif
