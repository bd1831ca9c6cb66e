/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The executable mappings that a process has and had: what was unmapped is kept until other code takes its place, since
 * the addresses of a stack may be older than the mappings of today. Zeroed is empty.
 */
#ifndef SEEP_SYS_CODES_H
#define SEEP_SYS_CODES_H

#include <stddef.h>
#include <stdint.h>

struct shared_module;

struct code {
	uint64_t start, end;
	uint64_t file_offset;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	const char *name;
	struct shared_module *module; /* NULL: no file, or not to be had */
};

struct code_list {
	struct code *item; /* sorted by start */
	size_t nr, cap;
};

void code_list_release(struct code_list *codes);
/* At the end: the caller adds in order. 0 or -ENOMEM. */
int code_list_add(struct code_list *codes, const struct code *code);
const struct code *code_list_find(const struct code_list *codes, uint64_t address); /* NULL: none */
/*
 * Adds what before has beside now; but a process that loads and unloads for ever is not remembered for ever. 0 or -ENOMEM.
 */
int code_list_keep(struct code_list *now, const struct code_list *before);

#endif
