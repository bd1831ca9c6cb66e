// SPDX-License-Identifier: GPL-2.0-or-later
#include "frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "allocators.h"
#include "array.h"
#include "hash.h"
#include "profile_impl.h"

/* Functions that nothing of interest calls. */
static const char *const roots[] = {
	"_start",  "__libc_start_main", "__libc_start_main_impl", "__libc_start_call_main",
	"__clone", "__clone3",
};

/* The C library's own, under names that a program may use as well. */
static bool is_thread_root(const struct name_frame *f)
{
	const char *slash = strrchr(f->module, '/'), *base = slash ? slash + 1 : f->module;

	if (strncmp(base, "libc", 4) != 0 && strncmp(base, "libpthread", 10) != 0 &&
	    strncmp(base, "ld-musl-", 8) != 0)
		return false;
	return !strcmp(f->function, "start_thread") || !strcmp(f->function, "clone") ||
	       !strcmp(f->function, "clone3");
}

static bool is_root(const struct name *name)
{
	size_t i;

	if (!name || !name->nr)
		return false;
	for (i = 0; i < ARRAY_SIZE(roots); i++) {
		if (!strcmp(name->frame[name->nr - 1].function, roots[i]))
			return true;
	}
	return is_thread_root(&name->frame[name->nr - 1]);
}

static bool is_main(const struct name *name)
{
	return name && name->nr && !strcmp(name->frame[name->nr - 1].function, "main");
}

const char *frames_owner(const struct image *image, enum report_by by)
{
	if (!image || by == BY_PROCESS)
		return NULL;
	return by == BY_CGROUP ? image->cgroup : image->comm;
}

void frames_view(const struct profile *profile, uint32_t proc, uint32_t stack_id, enum report_by by,
		 struct frames_view *v)
{
	const struct stack *stack = profile_stack(profile, stack_id);
	bool outermost = false;
	const struct name *name;
	uint32_t i;

	*v = (struct frames_view){.stack = stack, .image = profile_image(profile, proc)};
	v->owner = frames_owner(v->image, by);
	if (!stack || !v->image)
		return;
	v->partial = stack->flags & (STACK_PARTIAL | STACK_TRUNCATED);
	for (i = 0; i < stack->nr; i++) {
		name = image_name(v->image, stack_lookup_address(stack, i));
		if (name && !name->nr) {
			if (i == 1 && stack->flags & STACK_LEAF_GUESS)
				continue;
			v->partial = true;
			break;
		}
		v->kept[v->nr++] = (uint8_t)i;
		outermost |= is_main(name);
		if (is_root(name)) {
			outermost = true;
			break;
		}
	}
	if (outermost)
		v->partial = false;
	v->too_deep = v->partial && stack->flags & STACK_TRUNCATED;
}

static uint64_t without_origin(uint64_t frame)
{
	return frame & (SEEP_FRAME_EXACT | SEEP_FRAME_ADDRESS);
}

static const struct name *frame_name(const struct frames_view *v, uint32_t i)
{
	return image_name(v->image, stack_lookup_address(v->stack, v->kept[i]));
}

/*
 * What a frame is known by. Other code at the same address that bears the same names, as when a library is made anew and
 * loaded again, is the same to a user.
 */
static uint64_t frame_key(const struct frames_view *v, uint32_t i)
{
	uint64_t frame = v->stack->frame[v->kept[i]];
	const struct name *name = SEEP_FRAME_ORIGIN(frame) || v->owner ? frame_name(v, i) : NULL;

	if (v->owner)
		return name && name->nr ? hash_pair(name->hash, name->frame[0].offset) : frame;
	return name && name->hash ? without_origin(frame) ^ name->hash : frame;
}

/* In another process the same file lies elsewhere: what counts is the place in it. */
static bool is_same_place(const struct name *a, const struct name *b)
{
	const struct name_frame *x, *y;
	uint32_t i;

	if (!a || !b || !a->nr || a->nr != b->nr || a->hash != b->hash)
		return false;
	for (i = 0; i < a->nr; i++) {
		x = &a->frame[i];
		y = &b->frame[i];
		if (x->function != y->function || x->module != y->module ||
		    x->offset != y->offset || x->line != y->line || x->inlined != y->inlined)
			return false;
	}
	return true;
}

static bool is_same_frame(const struct frames_view *a, const struct frames_view *b, uint32_t i)
{
	uint64_t x = a->stack->frame[a->kept[i]], y = b->stack->frame[b->kept[i]];

	if (a->image != b->image)
		return is_same_place(frame_name(a, i), frame_name(b, i));
	if (x == y || without_origin(x) != without_origin(y))
		return x == y;
	return name_equal(frame_name(a, i), frame_name(b, i));
}

bool frames_equal(const struct frames_view *a, const struct frames_view *b)
{
	uint32_t i;

	if (!a->stack != !b->stack || a->nr != b->nr)
		return false;
	if (a->image != b->image && (!a->owner || a->owner != b->owner))
		return false;
	for (i = 0; i < a->nr; i++) {
		if (!is_same_frame(a, b, i))
			return false;
	}
	return true;
}

uint64_t frames_hash(const struct frames_view *v)
{
	uint64_t hash = v->image ? v->image->proc : 0;
	uint32_t i;

	if (v->owner)
		hash = hash_bytes(v->owner, strlen(v->owner), 0);
	for (i = 0; i < v->nr; i++)
		hash = hash_u64(hash ^ frame_key(v, i));
	return hash_u64(hash ^ v->nr);
}

static int add_frame(const struct frames_view *v, uint32_t i, struct report_frame **out, size_t *nr,
		     size_t *cap)
{
	uint64_t address = v->stack->frame[v->kept[i]] & SEEP_FRAME_ADDRESS;
	const struct name *name = frame_name(v, i);
	uint32_t j;

	if (ARRAY_GROW(out, cap, *nr + (name ? name->nr : 1)))
		return -ENOMEM;
	if (!name) {
		(*out)[(*nr)++] = (struct report_frame){
			.function = "", .module = "", .file = "", .address = address};
		return 0;
	}
	for (j = 0; j < name->nr; j++)
		(*out)[(*nr)++] = (struct report_frame){.function = name->frame[j].function,
							.module = name->frame[j].module,
							.file = name->frame[j].file,
							.line = name->frame[j].line,
							.offset = name->frame[j].offset,
							.inlined = name->frame[j].inlined,
							.address = address};
	return 0;
}

static void drop_allocator_frames(struct report_frame *frame, size_t *nr)
{
	size_t inner = 0;

	while (inner < *nr && allocator_owns_frame(frame[inner].function))
		inner++;
	if (!inner || inner == *nr)
		return;
	*nr -= inner;
	memmove(frame, frame + inner, *nr * sizeof(*frame));
}

int frames_expand(const struct frames_view *v, bool allocator_frames, struct report_frame **out,
		  size_t *nr)
{
	struct report_frame *frame = NULL;
	size_t cap = 0, used = 0;
	uint32_t i;

	for (i = 0; i < v->nr; i++) {
		if (add_frame(v, i, &frame, &used, &cap)) {
			free(frame);
			return -ENOMEM;
		}
	}
	if (!allocator_frames)
		drop_allocator_frames(frame, &used);
	*out = frame;
	*nr = used;
	return 0;
}
