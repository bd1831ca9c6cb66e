/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine's memory by its physical addresses. All need CAP_SYS_ADMIN: to others the kernel tells zeros. */
#ifndef SEEP_SYS_PHYSMEM_H
#define SEEP_SYS_PHYSMEM_H

#include <stdint.h>
#include <stdio.h>

/*
 * Behind the last physical address of memory, as /proc/iomem tells (Documentation/filesystems/proc.rst): lines
 * "start-end : System RAM", in hexadecimal. 0: not known.
 */
uint64_t physmem_limit(void);
/* The same from an open file of this form. */
uint64_t physmem_read_limit(FILE *iomem);

/*
 * Where a page of our own memory lies: /proc/self/pagemap, Documentation/admin-guide/mm/pagemap.rst. 0: nowhere, or not
 * known.
 */
uint64_t physmem_of(const void *addr);

/*
 * The bits of an entry of this processor's page tables that are a physical address of a page of 4 KiB. The bit that says
 * "encrypted" is none of them: CPUID 8000001fh, AMD64 APM volume 3, E.4.17. 0: this processor has other tables.
 */
uint64_t physmem_entry_mask(void);

#endif
