/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for the addresses of live processes, by libdw: function, source file, line, inlined functions as frames of
 * their own; demangled, without parameters. Falls back to the symbol tables of the file, then to module and offset.
 *
 * The files are opened when a process is added, so that names survive its exit. Owned and used by one thread. Files are
 * untrusted. Files shared by several processes are opened once (by device, inode and size). Their debug information is
 * read at the first lookup in them; separate debug files are taken from /usr/lib/debug and from beside the program, and
 * nothing is ever fetched.
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
	/* path of the mapped file as the target sees it, without " (deleted)"; "[vdso]"; or "" for anonymous code */
	const char *module;
	const char *file; /* as DWARF has it, most often absolute; "" when not known */
	uint32_t line;	  /* 0 when not known */
	/*
	 * The address as the module was linked (what addr2line takes); in a file that is no ELF file or could not be
	 * opened, the offset in it; in [vdso], from its start; for anonymous code, the address itself.
	 */
	uint64_t offset;
	bool inlined; /* into the next frame */
};

#define SYMBOLIZE_MAX_FRAMES 32 /* inlined ones of one address */

int symbolizer_new(struct symbolizer **out);
void symbolizer_free(struct symbolizer *sym);

/*
 * Adds or refreshes the mappings of a process, known by the caller's key (SEEP_PROC). Opens each new executable file
 * behind them now; one that cannot be opened leaves its module and offsets without names. Mappings that have gone are
 * kept until other code takes their place. -ESRCH: it has gone; what was known before stays, and of maps what can be
 * named by files known from other processes was added.
 */
int symbolizer_add_process(struct symbolizer *sym, uint32_t key, pid_t tgid,
			   const struct proc_maps *maps);

/*
 * Names an address (for a return address, pass the byte before it). Fills at most SYMBOLIZE_MAX_FRAMES frames,
 * innermost first, and returns their number; 0 when the address is in no executable mapping of that process; negative
 * errno.
 */
int symbolizer_lookup(struct symbolizer *sym, uint32_t key, uint64_t address,
		      struct symbol_frame *frame);

#endif
