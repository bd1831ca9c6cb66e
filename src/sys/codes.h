/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The executable mappings that a process has and had, since the addresses of a stack may be older than the mappings of
 * today. What was unmapped keeps its place until other code takes it; what had the place before, the last
 * CODES_MAX_PAST of them, is told apart by its origin (unwind.h).
 */
#ifndef SEEP_SYS_CODES_H
#define SEEP_SYS_CODES_H

#include <stddef.h>
#include <stdint.h>

#define CODES_MAX_PAST 1024

struct shared_module;

struct code {
	uint64_t start, end;
	uint64_t file_offset;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	uint16_t origin; /* enum frame_origin */
	const char *name;
	struct shared_module *module; /* NULL: no file, or not to be had */
};

/* Zeroed is empty. */
struct code_list {
	struct code *item;
	size_t nr, cap;
};

/* Zeroed is empty. */
struct codes {
	struct code_list now; /* sorted by start: one for an address */
	struct code_list
		past; /* in the order in which other code took the place of all of it or a part */
};

void codes_release(struct codes *codes);
void code_list_release(struct code_list *codes);
/* At the end: the caller adds in order. 0 or -ENOMEM. */
int code_list_add(struct code_list *codes, const struct code *code);
const struct code *code_list_find(const struct code_list *codes, uint64_t address); /* NULL: none */

/*
 * What there is now takes the place of what there was; `now` is taken over on success. A process that loads and unloads
 * for ever is not remembered for ever. 0 or -ENOMEM.
 */
int codes_replace(struct codes *codes, struct code_list *now);

/* Adds what another process has now. `to` must be empty. 0 or -ENOMEM. */
int codes_copy(struct codes *to, const struct codes *from);

/*
 * The code of that origin at an address; of ORIGIN_UNKNOWN what there is, if it was always the same. -ESTALE: what is or
 * was there is other code, or may be; -ENOENT: nothing known is or was there, or the origin is ORIGIN_CHANGED, of which
 * nobody ever knows.
 */
int codes_find(const struct codes *codes, uint64_t address, uint16_t origin,
	       const struct code **out);

#endif
