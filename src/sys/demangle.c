/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <string.h>

struct sink {
	struct strbuf *out;
	jmp_buf full;
};

typedef int demangler(const char *, int, demangle_callbackref, void *);

static void add_text(const char *text, size_t nr, void *opaque)
{
	struct sink *sink = opaque;

	if (sink->out->nr + nr > DEMANGLE_MAX_BYTES)
		longjmp(sink->full, 1);
	strbuf_add(sink->out, text, nr);
}

/*
 * A callback cannot stop the demangler, and a name that refers to itself twice at each of 50 levels would keep it going
 * for years: hence the jump. It may lose one small buffer of the demangler's, of an identifier in punycode.
 */
static bool try_demangler(demangler *run, const char *symbol, int options, struct strbuf *out)
{
	struct sink sink = {.out = out};

	strbuf_clear(out);
	if (setjmp(sink.full)) {
		strbuf_puts(out, "...");
		return true;
	}
	return run(symbol, options, add_text, &sink) && out->nr;
}

/*
 * The demangler's own limit refuses names of more than a thousand characters, which templates do have; without it
 * it goes as deep as the name is long.
 */
static bool try_cxx(const char *symbol, struct strbuf *out)
{
	return try_demangler(cplus_demangle_v3_callback, symbol, DMGL_NO_OPTS, out) ||
	       try_demangler(cplus_demangle_v3_callback, symbol, DMGL_NO_RECURSE_LIMIT, out);
}

void demangle(const char *symbol, struct strbuf *out)
{
	bool may_be_mangled = symbol[0] == '_' && (symbol[1] == 'Z' || symbol[1] == 'R');

	/* Rust's older names are C++ names with a hash, which its demangler insists on: it comes first */
	if (may_be_mangled && strnlen(symbol, DEMANGLE_MAX_SYMBOL + 1) <= DEMANGLE_MAX_SYMBOL &&
	    (try_demangler(rust_demangle_callback, symbol, DMGL_NO_OPTS, out) ||
	     try_cxx(symbol, out)))
		return;
	strbuf_clear(out);
	strbuf_puts(out, symbol);
}
