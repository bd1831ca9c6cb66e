/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One executable file and the names in it. The file is held open from the start, but read at the first lookup only;
 * what was looked up is kept. All of it may be given back, and is then read again at the next lookup.
 */
#ifndef SEEP_SYS_MODULE_H
#define SEEP_SYS_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "debugfile.h"
#include "strpool.h"
#include "symbolize.h"

/* Borrowed by modules; must outlive them. */
struct module_options {
	struct strpool *pool;
	struct debugfile_places places;
	bool no_demangle;
	uint64_t max_bytes; /* debug information that takes more is not read */
};

struct module;

/*
 * Takes over fd, also on failure. path: where the file was mapped from, in root (NULL: ours), to find its debug file; the
 * path must outlive the module, which keeps the root.
 */
int module_new(int fd, const char *path, struct rootdir *root, const struct module_options *options,
	       struct module **out);
void module_free(struct module *module);

/*
 * What is at an offset of the file, as symbolizer_lookup(): at least one frame, or -ENOMEM. The frames' module is "".
 */
int module_lookup(struct module *module, uint64_t file_offset, struct symbol_frame *frame);

/*
 * Memory that it takes, about: what malloc() gave to us, and estimates of what it gave to libraries. What is mapped from
 * files is the kernel's to drop, and not counted.
 */
size_t module_bytes(const struct module *module);
void module_unload(struct module *module);

#endif
