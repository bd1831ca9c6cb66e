/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The probes of a session: which are where, and those that programs bring along. Nobody else includes it. */
#ifndef SEEP_SESSION_LINKS_H
#define SEEP_SESSION_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attach.h"
#include "discover.h"
#include "strbuf.h"

struct session;
struct session_target;

/* A probe that has been set in some target. */
struct session_probe {
	const struct discover_object *object;
	const struct discover_site *site;
};

/* The probes of an object in one process, or in all. */
struct session_link {
	uint32_t slot; /* SEEP_SLOT_NONE: in every process that maps it */
	const struct discover_object *object;
	struct attach_links *links; /* NULL: none of its functions is probed */
	int file; /* O_PATH: kernel_path leads to it, whoever has mapped it may be gone */
	char kernel_path[32];
	size_t nr_sites; /* probed */
};

/* An object that has been probed in some process. */
struct session_object {
	const struct discover_object *object;
	uint32_t nr_processes; /* that it was to be probed in, ever */
	bool is_wide;	       /* it is probed in all */
	bool is_refused;       /* the kernel would not have it so, and would not the next time */
};

/* session_links.c: which probes are where */

/* Probes what was found, where it is not probed yet. */
int session_attach_found(struct session *s, struct session_target *t,
			 const struct discover_found *found, size_t nr);
/* Whether nothing is to be done about an object (NULL: not searched yet) where all processes are probed. */
bool session_is_settled(const struct session *s, const struct discover_object *object);
/* A child has been born whose parent has probes of its own. */
void session_count_child(struct session *s, struct session_target *child,
			 const struct session_target *parent);
/* Takes the probes out that are in this process alone. */
void session_drop_links(struct session *s, uint32_t slot);
void session_release_links(struct session *s);
/* Sets all probes that there are links for; takes them out. Those that come meanwhile wait for the next time. */
int session_turn_on(struct session *s);
void session_turn_off(struct session *s);
/* What children have of their parents' breakpoints is taken out, if it is time. */
void session_sweep(struct session *s);

/* session_usdt.c: heap probes that programs bring along */

/* Sets those in what a process maps, or a command will map. *brings: it has some, and its allocators are left alone. */
int session_usdt_process(struct session *s, const struct session_target *t, bool *brings);
int session_usdt_command(struct session *s, const struct session_target *t,
			 const struct discover_files *files, bool *brings);
/* Whether something that a process maps has such probes; nothing is set. */
bool session_usdt_is_brought(struct session *s, const struct session_target *t,
			     const struct proc_maps *maps);
/* Takes those of a process out, SEEP_SLOT_NONE: of all. session_drop_links() does it for one. */
void session_usdt_forget(struct session *s, uint32_t slot);
/* Whether any process has some. */
bool session_usdt_is_used(const struct session *s);
/* "2 probes that it brings along (otel_memory), ..."; false: it has none. */
bool session_usdt_describe(const struct session *s, uint32_t slot, struct strbuf *out);
int session_usdt_feed_probes(struct session *s);
void session_usdt_release(struct session *s);

#endif
