/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

#define TEXT_MAX 4096

static int into_profile(void *arg, const void *record, size_t nr)
{
	return profile_feed(arg, record, nr);
}

struct stream stream_to(struct profile *profile)
{
	return (struct stream){.take = into_profile, .arg = profile};
}

static int take(struct stream *s, const void *record, size_t nr)
{
	s->error = s->take(s->arg, record, nr);
	return s->error;
}

static struct event_head head_of(uint16_t kind, uint16_t flags, uint32_t proc, uint64_t time_ns)
{
	return (struct event_head){
		.kind = kind, .flags = flags, .proc = proc, .time_ns = STREAM_START_NS + time_ns};
}

/* A record with strings behind it; each but the last is ended by '\1' in text. */
static int take_text(struct stream *s, const void *fixed, size_t nr, const char *text)
{
	uint64_t buffer[TEXT_MAX / 8] = {0};
	char *out = (char *)buffer;
	size_t length = strlen(text) + 1, i;

	if (nr + length > sizeof(buffer))
		abort();
	memcpy(out, fixed, nr);
	for (i = 0; i < length; i++)
		out[nr + i] = text[i] == '\1' ? '\0' : text[i];
	return take(s, buffer, (nr + length + 7) & ~(size_t)7);
}

int stream_run(struct stream *s, uint32_t mode)
{
	struct record_run r = {.head = head_of(RECORD_RUN, 0, 0, 0),
			       .mode = mode,
			       .fault_period = 1,
			       .wall_time_s = 1784689445,
			       .sample_bytes = 1};

	return take(s, &r, sizeof(r));
}

int stream_target(struct stream *s, uint32_t proc, uint32_t tgid, const char *comm)
{
	struct record_target r = {.head = head_of(RECORD_TARGET, 0, proc, 0), .tgid = tgid};
	char text[256];

	snprintf(text, sizeof(text), "%s\1/usr/bin/%s", comm, comm);
	return take_text(s, &r, sizeof(r), text);
}

int stream_mapping(struct stream *s, const struct record_mapping *mapping, const char *path)
{
	struct record_mapping r = *mapping;

	r.head = head_of(RECORD_MAPPING, mapping->head.flags, STREAM_PROC, 0);
	return take_text(s, &r, sizeof(r), path);
}

int stream_stack(struct stream *s, uint32_t stack, uint16_t flags, const uint64_t *frame,
		 uint32_t nr)
{
	struct {
		struct record_stack head;
		uint64_t frame[SEEP_MAX_FRAMES];
	} r = {.head = {.head = head_of(RECORD_STACK, flags, STREAM_PROC, 0),
			.stack = stack,
			.nr = nr}};

	memcpy(r.frame, frame, nr * sizeof(*frame));
	return take(s, &r, sizeof(r.head) + nr * sizeof(*frame));
}

struct symbol {
	struct record_symbol head;
	struct record_symbol_frame frame[RECORD_MAX_BYTES / 4096];
};

int stream_symbol(struct stream *s, uint32_t proc, uint64_t address, const char *frames)
{
	struct symbol r = {
		.head = {.head = head_of(RECORD_SYMBOL, 0, proc, 0), .address = address}};
	char text[TEXT_MAX] = "", copy[TEXT_MAX], *save, *at;
	char *function, *module, *file, *line;

	snprintf(copy, sizeof(copy), "%s", frames);
	for (at = strtok_r(copy, " ", &save); at; at = strtok_r(NULL, " ", &save)) {
		r.frame[r.head.nr].flags = *at == '^' ? SYMBOL_INLINED : 0;
		at += *at == '^';
		function = strsep(&at, "|");
		module = strsep(&at, "|");
		file = strsep(&at, "|");
		line = strsep(&at, "|");
		r.frame[r.head.nr].line = line ? (uint32_t)atoi(line) : 0;
		r.frame[r.head.nr].offset = address & 0xffff;
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s\1%s\1%s",
			 r.head.nr ? "\1" : "", function, module ? module : "", file ? file : "");
		r.head.nr++;
	}
	if (!r.head.nr)
		return take(s, &r, sizeof(r.head));
	return take_text(s, &r, sizeof(r.head) + r.head.nr * sizeof(r.frame[0]), text);
}

uint64_t stream_address(const char *name, size_t nr)
{
	return 0x400001 + (hash_bytes(name, nr, 0) & 0xfffff0);
}

int stream_named_stack(struct stream *s, uint32_t stack, const char *names)
{
	uint64_t frame[SEEP_MAX_FRAMES];
	char text[256];
	uint32_t nr = 0;
	size_t length;
	int err;

	for (; *names; names += length + strspn(names + length, " ")) {
		length = strcspn(names, " ");
		frame[nr] = stream_address(names, length);
		snprintf(text, sizeof(text), "%.*s|/usr/bin/server|server.c|%zu", (int)length,
			 names, length);
		err = stream_symbol(s, STREAM_PROC, frame[nr++] - 1, text);
		if (err)
			return err;
	}
	return stream_stack(s, stack, 0, frame, nr);
}

int stream_alloc(struct stream *s, uint64_t addr, uint64_t birth_ns, uint64_t bytes, uint32_t stack)
{
	struct event_alloc e = {.head = head_of(EVENT_ALLOC, 0, STREAM_PROC, birth_ns),
				.addr = addr,
				.sized = bytes,
				.stack = stack};

	return take(s, &e, sizeof(e));
}

struct heap_block stream_block(uint64_t addr, uint64_t birth_ns, uint64_t bytes, uint32_t stack)
{
	return (struct heap_block){.addr = addr,
				   .birth_ns = STREAM_START_NS + birth_ns,
				   .size_bytes = bytes,
				   .stack = stack};
}

int stream_free(struct stream *s, const struct heap_block *block, uint64_t time_ns, uint16_t flags)
{
	struct event_free e = {.head = head_of(EVENT_FREE, flags, STREAM_PROC, time_ns),
			       .addr = block->addr,
			       .birth_ns = block->birth_ns,
			       .sized = SEEP_SIZED(block->size_bytes, block->tag),
			       .stack = block->stack};

	return take(s, &e, sizeof(e));
}

int stream_vm(struct stream *s, uint16_t kind, uint64_t time_ns, const struct event_vm *what)
{
	struct event_vm e = *what;

	e.head = head_of(kind, 0, STREAM_PROC, time_ns);
	return take(s, &e, sizeof(e));
}

int stream_fault(struct stream *s, uint64_t addr, uint32_t stack, uint16_t flags)
{
	struct event_fault e = {
		.head = head_of(EVENT_FAULT, flags, STREAM_PROC, 0), .addr = addr, .stack = stack};

	return take(s, &e, sizeof(e));
}

int stream_proc(struct stream *s, uint16_t kind, uint32_t proc, const char *comm)
{
	struct event_proc e = {.head = head_of(kind, 0, proc, 0), .tgid = STREAM_TGID};

	memcpy(e.comm, comm, strnlen(comm, sizeof(e.comm)));
	return take(s, &e, sizeof(e));
}

int stream_counters(struct stream *s, uint32_t proc, const uint64_t value[STAT_NR])
{
	struct record_counters r = {.head = head_of(RECORD_COUNTERS, 0, proc, 0)};

	memcpy(r.value, value, sizeof(r.value));
	return take(s, &r, sizeof(r));
}

int stream_counter(struct stream *s, uint32_t proc, enum seep_stat stat, uint64_t value)
{
	uint64_t values[STAT_NR] = {0};

	values[stat] = value;
	return stream_counters(s, proc, values);
}

int stream_sampling(struct stream *s, uint32_t tag, uint64_t period_bytes)
{
	struct record_sampling r = {.head = {.kind = RECORD_SAMPLING, .time_ns = STREAM_START_NS},
				    .tag = tag,
				    .period_bytes = period_bytes};

	return take(s, &r, sizeof(r));
}

int stream_step(struct stream *s, const struct record_step *what, uint64_t time_ns)
{
	struct record_step r = *what;

	r.head = (struct event_head){.kind = RECORD_STEP, .time_ns = STREAM_START_NS + time_ns};
	return take(s, &r, sizeof(r));
}

int stream_cpu_time(struct stream *s, uint32_t proc, uint64_t cpu_ns)
{
	struct record_cpu_time r = {.head = head_of(RECORD_CPU_TIME, 0, proc, 0), .cpu_ns = cpu_ns};

	return take(s, &r, sizeof(r));
}

int stream_overhead(struct stream *s, uint64_t spent_ns, uint64_t cpu_ns)
{
	struct record_overhead r = {
		.head = head_of(RECORD_OVERHEAD, 0, 0, 0), .spent_ns = spent_ns, .cpu_ns = cpu_ns};

	return take(s, &r, sizeof(r));
}

int stream_probe(struct stream *s, const char *function, uint32_t cost_ns, uint32_t flags)
{
	struct record_probe r = {.head = head_of(RECORD_PROBE, 0, 0, 0),
				 .offset = 0x98800,
				 .cost_ns = cost_ns,
				 .flags = flags};
	char text[256];

	snprintf(text, sizeof(text), "/usr/lib/libc.so.6\1%s\1push rbp\1perf", function);
	return take_text(s, &r, sizeof(r), text);
}

int stream_mark(struct stream *s, uint16_t kind, uint16_t flags, uint64_t time_ns)
{
	struct event_head head = head_of(kind, flags, 0, time_ns);

	return take(s, &head, sizeof(head));
}
