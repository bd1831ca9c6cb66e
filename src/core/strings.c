// SPDX-License-Identifier: GPL-2.0-or-later
#include "strings.h"

#include <stdlib.h>
#include <string.h>

struct string_node {
	struct string_node *next; /* of the same hash */
	size_t nr;
	char text[];
};

const char *strings_keep(struct strings *strings, const char *text, size_t nr)
{
	uint64_t hash = hash_bytes(text, nr, 0), value = 0;
	struct string_node *first, *node;

	if (!nr)
		return "";
	(void)map64_get(&strings->by_hash, hash, &value);
	first = (struct string_node *)(uintptr_t)value;
	for (node = first; node; node = node->next) {
		if (node->nr == nr && !memcmp(node->text, text, nr))
			return node->text;
	}
	node = malloc(sizeof(*node) + nr + 1);
	if (!node)
		return NULL;
	node->next = first;
	node->nr = nr;
	memcpy(node->text, text, nr);
	node->text[nr] = '\0';
	if (map64_put(&strings->by_hash, hash, (uintptr_t)node)) {
		free(node);
		return NULL;
	}
	strings->bytes += sizeof(*node) + nr + 1;
	return node->text;
}

void strings_release(struct strings *strings)
{
	struct string_node *node, *next;
	uint64_t key, value;
	size_t pos = 0;

	while (map64_next(&strings->by_hash, &pos, &key, &value)) {
		for (node = (struct string_node *)(uintptr_t)value; node; node = next) {
			next = node->next;
			free(node);
		}
	}
	map64_release(&strings->by_hash);
	strings->bytes = 0;
}
