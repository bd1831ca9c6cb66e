/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams of records written by hand: to a profile, to a capture file, or wherever take() leads.
 * Times are in ns from the start of the run.
 */
#ifndef SEEP_TEST_STREAM_H
#define SEEP_TEST_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "profile.h"
#include "record.h"

#define STREAM_START_NS (1000ull * 1000000000)
#define STREAM_S 1000000000ull
#define STREAM_PROC SEEP_PROC(1, 1)
#define STREAM_TGID 4711

struct stream {
	int (*take)(void *arg, const void *record, size_t nr);
	void *arg;
	int error; /* the last that take() returned */
};

/* A stream into a profile. */
struct stream stream_to(struct profile *profile);

/* All return what take() does. */
int stream_run(struct stream *s, uint32_t mode);
int stream_target(struct stream *s, uint32_t proc, uint32_t tgid, const char *comm);
int stream_mapping(struct stream *s, const struct record_mapping *mapping, const char *path);
int stream_stack(struct stream *s, uint32_t stack, uint16_t flags, const uint64_t *frame,
		 uint32_t nr);
/* Frames as "function|module|file|line", "^" before an inlined one; separated by spaces. "" ends a stack. */
int stream_symbol(struct stream *s, uint32_t proc, uint64_t address, const char *frames);
/* A stack of one caller per name, innermost first, with the symbols; addresses are made of the names. */
int stream_named_stack(struct stream *s, uint32_t stack, const char *names);
int stream_alloc(struct stream *s, uint64_t addr, uint64_t birth_ns, uint64_t bytes,
		 uint32_t stack);
/* The end of a block at time_ns. */
int stream_free(struct stream *s, const struct heap_block *block, uint64_t time_ns, uint16_t flags);
int stream_vm(struct stream *s, uint16_t kind, uint64_t time_ns, const struct event_vm *what);
int stream_fault(struct stream *s, uint64_t addr, uint32_t stack, uint16_t flags);
int stream_proc(struct stream *s, uint16_t kind, uint32_t proc, const char *comm);
int stream_counter(struct stream *s, uint32_t proc, enum seep_stat stat, uint64_t value);
int stream_counters(struct stream *s, uint32_t proc, const uint64_t value[STAT_NR]);
int stream_cpu_time(struct stream *s, uint32_t proc, uint64_t cpu_ns);
int stream_overhead(struct stream *s, uint64_t spent_ns, uint64_t cpu_ns);
int stream_probe(struct stream *s, const char *function, uint32_t cost_ns, uint32_t flags);
int stream_sampling(struct stream *s, uint32_t tag, uint64_t period_bytes);
int stream_step(struct stream *s, const struct record_step *what, uint64_t time_ns);
/* RECORD_TICK, RECORD_RESYNC, RECORD_UNWATCHED or RECORD_END. */
int stream_mark(struct stream *s, uint16_t kind, uint16_t flags, uint64_t time_ns);

/* The block that stream_alloc() would have made. */
struct heap_block stream_block(uint64_t addr, uint64_t birth_ns, uint64_t bytes, uint32_t stack);

/* The made-up return address of a name in stream_named_stack(). */
uint64_t stream_address(const char *name, size_t nr);

#endif
