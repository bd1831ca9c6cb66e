/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug files from the servers that DEBUGINFOD_URLS names, by the libdebuginfod of elfutils, which keeps what it fetched
 * in a cache of its own. The library is loaded when it is first asked for: nobody needs it who does not want this.
 *
 * Waits are bounded: a server that sends nothing for DEBUGINFOD_STALL_S, and a file that takes longer than
 * DEBUGINFOD_FILE_S, end it; after that no server is asked again, so that one that is out of reach costs its wait once.
 */
#ifndef SEEP_SYS_DEBUGINFOD_H
#define SEEP_SYS_DEBUGINFOD_H

#define DEBUGINFOD_STALL_S 10
#define DEBUGINFOD_FILE_S 60

struct debuginfod;

/* Cannot fail for lack of a server: that is said once, when it is asked. 0 or -ENOMEM. */
int debuginfod_new(struct debuginfod **out);
void debuginfod_free(struct debuginfod *server);

/* A descriptor of the debug file of a build id (hex), or a negative errno: -ENOENT, -ECANCELED, ... */
int debuginfod_fetch(struct debuginfod *server, const char *build_id);
/* From any thread: what is under way ends, and nothing is asked again. */
void debuginfod_cancel(struct debuginfod *server);

#endif
