/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a file is, before its unwind table is made. The file is untrusted. */
#ifndef SEEP_SYS_UNWINDER_OBJECT_H
#define SEEP_SYS_UNWINDER_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "cfi.h"

/* Whether it begins as ELF files do: 1 or 0; or -errno. fd stays the caller's, here and below. */
int object_is_elf(int fd);
/* As hex; "" when it has none, or none that fits. */
void object_build_id(int fd, char *id, size_t size);

/* Bytes of the kernel's image, the vdso, that our own process has; 0: none. */
uint64_t object_vdso_bytes(void);
/*
 * The table of the kernel's image that our own process has, which is that of other processes too if theirs has as many
 * bytes. -ENOENT: we have none; -ENOTSUP: it has another size; else as cfi_read_image().
 */
int object_read_vdso(uint64_t bytes, struct cfi_table *out);

#endif
