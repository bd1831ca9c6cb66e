/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the DWARF of a file that nobody vouches for may cost. libdw 0.188 reads what the file says, however often it says
 * the same: many entries may share one long list of ranges, many units one long table of abbreviations, and a byte of a
 * line table becomes a row of a hundred bytes.
 *
 * Time: a second of CPU, and more for more bytes of DWARF and for more questions: about five times what honest files
 * take. Within one call of libdw nobody looks at the clock, so what one call reads is bounded as well.
 */
#ifndef SEEP_SYS_DEBUGLIMIT_H
#define SEEP_SYS_DEBUGLIMIT_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

#include "hash.h"

#define DEBUGLIMIT_BASE_NS UINT64_C(1000000000)
#define DEBUGLIMIT_NS_PER_BYTE 20
#define DEBUGLIMIT_NS_PER_LOOKUP 50000
/* Each becomes 32 bytes of an index; a large browser has half as many. */
#define DEBUGLIMIT_RANGES 4000000
/* Those of large C++ units are a tenth of it, or a quarter. */
#define DEBUGLIMIT_ABBREV_BYTES ((uint64_t)1 << 20)
#define DEBUGLIMIT_LINE_BYTES ((uint64_t)4 << 20)

struct debuglimit {
	uint64_t left_ns;
	uint64_t left_ranges;
	uint64_t began_ns; /* of what is under way, in CPU time of this thread */
	uint32_t nr_steps; /* since the clock was read */
	bool is_exceeded;  /* from then on everything is refused */
	Elf_Data *abbrevs; /* NULL: none */
	Elf_Data *lines;
	struct map64
		tables; /* offset of a table of abbreviations to its bytes, 0: it is too long */
};

void debuglimit_init(struct debuglimit *limit, Dwarf *dwarf);
void debuglimit_release(struct debuglimit *limit);

/* Around everything that takes time. */
void debuglimit_begin(struct debuglimit *limit, uint64_t more_ns);
void debuglimit_end(struct debuglimit *limit);
/* Before each entry or range. false: enough. */
bool debuglimit_spend(struct debuglimit *limit);
/* Before each range that is kept: a file has no more of them than it has bytes to write them. */
bool debuglimit_spend_range(struct debuglimit *limit);
/* As debuglimit_spend(), before what may take a millisecond. */
bool debuglimit_spend_much(struct debuglimit *limit);

/* Whether a unit with that table may be read. *bytes: of the table. */
bool debuglimit_allows_abbrevs(struct debuglimit *limit, uint64_t offset, uint64_t *bytes);
/* Whether the line table of a unit may be read; true also when there is none. */
bool debuglimit_allows_lines(const struct debuglimit *limit, Dwarf_Die *unit_die);

#endif
