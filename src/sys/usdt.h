/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Heap probes that a program brings along: what the .note.stapsdt of an ELF file says of them.
 *
 * A program, or a library in it, that samples its own allocations has two probes of one provider,
 *
 *	otel_memory:alloc(block, size, weighted_bytes)	after an allocation that was sampled
 *	otel_memory:free(block)				before a free of such a block
 *
 * or the same of provider "ddheap", which they were called before. Each may stand at several places. The file is
 * untrusted: it may say anything, and nothing here reads outside of it. A probe is only set where there is an
 * instruction that does nothing.
 */
#ifndef SEEP_SYS_USDT_H
#define SEEP_SYS_USDT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf.h"
#include "usdt_spec.h"

struct usdt_site {
	bool is_free;
	uint64_t file_offset;	   /* of the instruction */
	uint64_t ref_count_offset; /* of its semaphore in the file; 0: it has none */
	struct usdt_spec spec;
};

struct usdt_object {
	const char *provider;	/* static; NULL: there are no such probes */
	struct usdt_site *site; /* frees first: attach them in this order */
	size_t nr_sites;
};

/*
 * 0: *out is set, and usdt_object_release() is due. -ENOENT: no provider has both probes. -ENOTSUP: one has, but not all
 * of them can be used, and some would be worse than none: *why (static) says the reason. -ENOMEM.
 */
int usdt_find(struct elf_file *elf, struct usdt_object *out, const char **why);
void usdt_object_release(struct usdt_object *object);

/* One note as it is in the file. Strings end within it. */
struct usdt_note {
	uint64_t pc, base, semaphore; /* addresses as linked */
	const char *provider, *name, *args;
};

/* The next one at or after *at of a section of notes, which moves behind it. false: there is none. */
bool usdt_next_note(const uint8_t *notes, size_t nr, size_t *at, struct usdt_note *out);

/*
 * The first nr arguments of a string such as "8@%rdi -4@$5 8@-16(%rbp)", for a machine (EM_X86_64, EM_AARCH64). 0;
 * -EINVAL: there are fewer, or it is malformed; -ENOTSUP: a kind of operand that we do not read. *arg is set if 0.
 */
int usdt_parse_args(uint16_t machine, const char *text, struct usdt_arg *arg, size_t nr);

#endif
