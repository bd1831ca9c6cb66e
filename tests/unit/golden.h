/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compares output with a file under tests/golden/, byte for byte. UPDATE_GOLDEN=1 in the environment writes the file
 * instead, and the difference is then for git to show. Tests run in the top directory, or with TOP set to it.
 */
#ifndef SEEP_TEST_GOLDEN_H
#define SEEP_TEST_GOLDEN_H

#include <stddef.h>

/* Fails the running cmocka test when they differ. */
void golden_check(const char *name, const char *text, size_t nr);

#endif
