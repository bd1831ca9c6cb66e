/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a stack as it was walked to the frames that are believed and shown.
 *
 * Where a walk has to follow frame pointers through code that keeps none, it ends in words that are
 * no return addresses: the first frame outside every executable mapping cuts the stack. A guessed
 * caller of a leaf function (STACK_LEAF_GUESS) is left out when it is no code. What lies beyond the entry of the
 * process or of a thread is left out as well.
 */
#ifndef SEEP_CORE_FRAMES_H
#define SEEP_CORE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"
#include "image.h"
#include "profile.h"

struct stack;

struct frames_view {
	const struct stack *stack; /* NULL: unknown */
	const struct image *image;
	const char *owner; /* comm or cgroup, as the profile keeps it; NULL: the image alone */
	uint8_t kept[SEEP_MAX_FRAMES]; /* indices into stack->frame */
	uint32_t nr;
	bool partial;
	bool too_deep; /* why it is partial: more frames than are kept */
};

void frames_view(const struct profile *profile, uint32_t proc, uint32_t stack, enum report_by by,
		 struct frames_view *out);
/* NULL by process. */
const char *frames_owner(const struct image *image, enum report_by by);
/*
 * Of one image: the same addresses, or the same names at them. Of several of one owner: the same names at the same
 * places of the same files.
 */
bool frames_equal(const struct frames_view *a, const struct frames_view *b);
uint64_t frames_hash(const struct frames_view *view);

/*
 * Makes the frames of a report, inlined ones included; allocator frames at the inner end are left out unless kept or
 * nothing would remain. The caller frees *out. 0 or -ENOMEM.
 */
int frames_expand(const struct frames_view *view, bool allocator_frames, struct report_frame **out,
		  size_t *nr);

#endif
