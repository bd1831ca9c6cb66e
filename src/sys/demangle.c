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
static bool try_demangler(demangler *run, const char *symbol, struct strbuf *out)
{
	struct sink sink = {.out = out};

	strbuf_clear(out);
	if (setjmp(sink.full)) {
		strbuf_puts(out, "...");
		return true;
	}
	return run(symbol, DMGL_NO_OPTS, add_text, &sink) && out->nr;
}

void demangle(const char *symbol, struct strbuf *out)
{
	/* Rust's older names are C++ names with a hash, which its demangler insists on: it comes first */
	if (symbol[0] == '_' && (try_demangler(rust_demangle_callback, symbol, out) ||
				 try_demangler(cplus_demangle_v3_callback, symbol, out)))
		return;
	strbuf_clear(out);
	strbuf_puts(out, symbol);
}
