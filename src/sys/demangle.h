/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of C++ and Rust functions as people write them, by libiberty. */
#ifndef SEEP_SYS_DEMANGLE_H
#define SEEP_SYS_DEMANGLE_H

#include <stddef.h>

#include "strbuf.h"

#define DEMANGLE_MAX_BYTES 8192
/*
 * Longer symbols stay as they are: the work is done on the stack, of which a symbol takes up to DEMANGLE_STACK_BYTES,
 * whatever it says.
 */
#define DEMANGLE_MAX_SYMBOL 8192
#define DEMANGLE_STACK_BYTES ((size_t)2 << 20)

/*
 * Replaces out by the readable form of a symbol: with namespaces and template arguments, without parameters, return type
 * and Rust's hash, so that "_ZN5cache3putEi" is "cache::put". What is not mangled stays as it is. Symbols are untrusted:
 * a few bytes may stand for more text than there is memory, so it ends with "..." at DEMANGLE_MAX_BYTES. Running out of
 * memory shows in strbuf_error().
 */
void demangle(const char *symbol, struct strbuf *out);

#endif
