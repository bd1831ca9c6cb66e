/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for the addresses of live processes, by libdw: function, source file, line, inlined functions as frames of
 * their own; demangled, without parameters. Falls back to the symbol tables of the file (its own, its debug file's, the
 * one packed in .gnu_debugdata, the dynamic one, the stubs of the PLT), then to module and offset. Code without a file is
 * looked up in the process's /tmp/perf-PID.map (perfmap.h).
 *
 * The files are opened when a process is added, so that names survive its exit. Owned and used by one thread. Files are
 * untrusted. Files shared by several processes are opened once (modules.h). Their debug information is read at the first
 * lookup in them. Separate debug files are looked for on this machine, in the sysroot and in the process's own root, in
 * this order (debugfile.h); something is fetched only if options say so.
 *
 * Memory is bounded by options.max_bytes: files not used for longest are unloaded to keep below, and read again when they
 * are asked for; a file whose debug information alone takes more is used without it. The texts of answers, kept once
 * each, may come to half of the bound; after that new names are "". What libdw takes is estimated (measured: all of it
 * 1.0 to 1.3 times what malloc() gave); pages mapped from debug files are not counted, as the kernel can drop them. Beside it there are for
 * each process its mappings, and for each file one descriptor and about 1 KiB.
 */
#ifndef SEEP_SYS_SYMBOLIZE_H
#define SEEP_SYS_SYMBOLIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc.h"

struct symbolizer;

struct symbol_frame {
	const char *function; /* "" when not known; all strings live as long as the symbolizer */
	/*
	 * Path of the mapped file as the target sees it, without " (deleted)"; "[vdso]"; "" for anonymous code, or
	 * "/tmp/perf-PID.map" where that has a name for it.
	 */
	const char *module;
	const char *file; /* as DWARF has it, most often absolute; "" when not known */
	uint32_t line;	  /* 0 when not known */
	/*
	 * The address as the module was linked (what addr2line takes); in a file that is no ELF file or could not be
	 * opened, the offset in it; in [vdso], from its start; for anonymous code, named or not, the address itself.
	 */
	uint64_t offset;
	bool inlined; /* into the next frame */
};

#define SYMBOLIZE_MAX_FRAMES 32 /* inlined ones of one address */

#define SYMBOLIZER_MAX_BYTES ((uint64_t)512 << 20)
#define SYMBOLIZER_MIN_BYTES ((uint64_t)4 << 20)

/* Zeroed is the default. */
struct symbolizer_options {
	bool no_demangle;	      /* names as in the file */
	const char *const *debug_dir; /* absolute; searched before /usr/lib/debug; borrowed */
	size_t nr_debug_dirs;
	const char *sysroot; /* a directory with a copy of the target's files; NULL: none */
	bool debuginfod;     /* fetch what is not found from the servers of DEBUGINFOD_URLS */
	uint64_t max_bytes;  /* 0: SYMBOLIZER_MAX_BYTES; at least SYMBOLIZER_MIN_BYTES */
};

/* options NULL: the default. 0 or negative errno: -ENOMEM, or why the sysroot cannot be opened. */
int symbolizer_new(const struct symbolizer_options *options, struct symbolizer **out);
void symbolizer_free(struct symbolizer *sym);

/*
 * Adds or refreshes the mappings of a process, known by the caller's key (SEEP_PROC). Opens each new executable file
 * behind them now; one that cannot be opened leaves its module and offsets without names. Mappings that have gone are
 * kept, and those of files also when other code takes their place. -ESRCH: it has gone; what was known before stays, and of maps what can be
 * named by files known from other processes was added.
 */
int symbolizer_add_process(struct symbolizer *sym, uint32_t key, pid_t tgid,
			   const struct proc_maps *maps);

/*
 * Adds a process that has all that another has, as a child has at a fork; but not the names of code made at run time. One
 * that is known already, or another that is not, changes nothing. 0 or -ENOMEM.
 */
int symbolizer_copy_process(struct symbolizer *sym, uint32_t key, uint32_t from);

/*
 * Forgets a process, and closes the files that no other has; those may stay for a while, until it is worth looking. What
 * was answered stays valid.
 */
void symbolizer_remove_process(struct symbolizer *sym, uint32_t key);

/*
 * Names an address of a frame: above it is its origin (event.h), which says what lay there at the time; 0 says nothing.
 * (For a return address, pass the byte before it.) -ESTALE: it is other code than is known to be or have been there, or
 * it may be, and has no name. Fills at most SYMBOLIZE_MAX_FRAMES frames,
 * innermost first, and returns their number; 0 when the address is in no executable mapping of that process; negative
 * errno.
 */
int symbolizer_lookup(struct symbolizer *sym, uint32_t key, uint64_t address,
		      struct symbol_frame *frame);

/* From any thread: a lookup that waits for a server ends, and no server is asked again. */
void symbolizer_cancel(struct symbolizer *sym);

/* Memory in use, as the bound above counts it. */
uint64_t symbolizer_bytes(const struct symbolizer *sym);

#endif
