/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set of strings, each kept once until all are freed: names of functions, files and processes. */
#ifndef SEEP_CORE_STRINGS_H
#define SEEP_CORE_STRINGS_H

#include <stddef.h>

#include "hash.h"

struct string_node;

/* Zeroed is empty. */
struct strings {
	struct map64 by_hash; /* to the first node of that hash */
	size_t bytes;
};

/* The kept copy of a text of nr bytes; NULL: no memory. "" is static. */
const char *strings_keep(struct strings *strings, const char *text, size_t nr);
void strings_release(struct strings *strings);

#endif
