/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of discover.h share. Nobody else includes it. */
#ifndef SEEP_SYS_DISCOVER_IMPL_H
#define SEEP_SYS_DISCOVER_IMPL_H

#include "discover.h"

/* Finds the sites of an object that has its path; fd: its file. 0, also when there are none, or negative errno. */
int discover_search(struct discover *discover, int fd, struct elf_file *elf,
		    struct discover_object *object);

#endif
