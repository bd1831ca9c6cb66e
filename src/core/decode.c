// SPDX-License-Identifier: GPL-2.0-or-later
#include "decode.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "array.h"

/* What follows the fixed part of a record. */
enum tail {
	TAIL_NONE = 0,
	TAIL_STRINGS,
	TAIL_FRAMES, /* of struct record_stack */
	TAIL_NAMES,  /* of struct record_symbol */
	TAIL_WORDS,  /* as many as there are */
};

struct shape {
	uint16_t kind;
	uint16_t bytes; /* of the fixed part */
	uint8_t tail;	/* enum tail */
	uint8_t nr_strings;
};

static const struct shape shapes[] = {
	{EVENT_ALLOC, sizeof(struct event_alloc), TAIL_NONE, 0},
	{EVENT_FREE, sizeof(struct event_free), TAIL_NONE, 0},
	{EVENT_MMAP, sizeof(struct event_vm), TAIL_NONE, 0},
	{EVENT_MUNMAP, sizeof(struct event_vm), TAIL_NONE, 0},
	{EVENT_MREMAP, sizeof(struct event_vm), TAIL_NONE, 0},
	{EVENT_BRK, sizeof(struct event_vm), TAIL_NONE, 0},
	{EVENT_FAULT, sizeof(struct event_fault), TAIL_NONE, 0},
	{EVENT_EXEC, sizeof(struct event_proc), TAIL_NONE, 0},
	{EVENT_EXIT, sizeof(struct event_proc), TAIL_NONE, 0},
	{EVENT_FORK, sizeof(struct event_proc), TAIL_NONE, 0},
	{RECORD_RUN, sizeof(struct record_run), TAIL_NONE, 0},
	{RECORD_TARGET, sizeof(struct record_target), TAIL_STRINGS, 2},
	{RECORD_MAPPING, sizeof(struct record_mapping), TAIL_STRINGS, 1},
	{RECORD_STACK, sizeof(struct record_stack), TAIL_FRAMES, 0},
	{RECORD_SYMBOL, sizeof(struct record_symbol), TAIL_NAMES, 0},
	{RECORD_TICK, sizeof(struct event_head), TAIL_NONE, 0},
	{RECORD_COUNTERS, offsetof(struct record_counters, value[RECORD_MIN_COUNTERS]), TAIL_WORDS,
	 0},
	{RECORD_PROBE, sizeof(struct record_probe), TAIL_STRINGS, 4},
	{RECORD_CPU_TIME, sizeof(struct record_cpu_time), TAIL_NONE, 0},
	{RECORD_END, sizeof(struct record_end), TAIL_NONE, 0},
	{RECORD_RESYNC, sizeof(struct event_head), TAIL_NONE, 0},
	{RECORD_SAMPLING, sizeof(struct record_sampling), TAIL_NONE, 0},
	{RECORD_STEP, sizeof(struct record_step), TAIL_NONE, 0},
	{RECORD_UNWATCHED, sizeof(struct event_head), TAIL_NONE, 0},
	{RECORD_OVERHEAD, sizeof(struct record_overhead), TAIL_NONE, 0},
};

static const struct shape *shape_of(uint16_t kind)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		if (shapes[i].kind == kind)
			return &shapes[i];
	}
	return NULL;
}

const char *record_next_string(struct record_strings *s, size_t *nr)
{
	const char *string = s->at;
	size_t left = (size_t)(s->end - s->at), length = strnlen(string, left);

	if (length == left)
		return NULL;
	s->at += length + 1;
	*nr = length;
	return string;
}

static bool has_strings(const void *record, size_t nr, size_t fixed, size_t nr_strings)
{
	const char *start = record;
	struct record_strings strings = {.at = start + fixed, .end = start + nr};
	size_t length;

	for (; nr_strings; nr_strings--) {
		if (!record_next_string(&strings, &length))
			return false;
	}
	return true;
}

static bool has_frames(const struct record_stack *r, size_t nr)
{
	return r->stack != SEEP_STACK_UNKNOWN && r->nr <= SEEP_MAX_FRAMES &&
	       nr == sizeof(*r) + r->nr * sizeof(r->frame[0]);
}

static bool has_names(const struct record_symbol *r, size_t nr)
{
	size_t fixed;

	if (r->nr > RECORD_MAX_SYMBOL_FRAMES)
		return false;
	fixed = sizeof(*r) + r->nr * sizeof(r->frame[0]);
	return nr >= fixed && has_strings(r, nr, fixed, 3 * (size_t)r->nr);
}

static bool is_sane_step(const struct record_step *step)
{
	return step->mode >= STEP_EXACT && step->mode <= STEP_DETACHED && step->why >= STEP_START &&
	       step->why <= STEP_ROOM && step->period_bytes && step->duty_permille <= 1000;
}

/* What else must hold for some kinds. */
static bool is_sane(const struct event_head *head)
{
	const struct record_sampling *sampling = (const void *)head;
	const struct record_mapping *mapping = (const void *)head;
	const struct record_run *run = (const void *)head;

	if (head->kind == RECORD_MAPPING)
		return mapping->start < mapping->end;
	if (head->kind == RECORD_RUN)
		return (run->mode == RUN_LEAKS || run->mode == RUN_FAULTS) && run->fault_period &&
		       run->sample_bytes;
	if (head->kind == RECORD_SAMPLING)
		return sampling->tag && sampling->tag <= SEEP_TAG_PERIOD_MAX &&
		       sampling->period_bytes;
	if (head->kind == RECORD_STEP)
		return is_sane_step((const void *)head);
	return true;
}

int record_check(const void *record, size_t nr)
{
	const struct event_head *head = record;
	const struct shape *shape;
	bool whole = false;

	if (nr < sizeof(*head) || nr > RECORD_MAX_BYTES || nr % 8)
		return -EBADMSG;
	shape = shape_of(head->kind);
	if (!shape || nr < shape->bytes)
		return -EBADMSG;
	switch ((enum tail)shape->tail) {
	case TAIL_NONE:
		whole = nr == shape->bytes;
		break;
	case TAIL_WORDS:
		whole = true;
		break;
	case TAIL_STRINGS:
		whole = has_strings(record, nr, shape->bytes, shape->nr_strings);
		break;
	case TAIL_FRAMES:
		whole = has_frames(record, nr);
		break;
	case TAIL_NAMES:
		whole = has_names(record, nr);
		break;
	}
	return whole && is_sane(head) ? 0 : -EBADMSG;
}
