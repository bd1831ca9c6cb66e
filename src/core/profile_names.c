// SPDX-License-Identifier: GPL-2.0-or-later
/* What things are called: processes, mappings, stacks, addresses, probes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "decode.h"
#include "profile_impl.h"

/* The next string, "" when there is none. NULL: no memory. */
static const char *keep_optional(struct profile *p, struct record_strings *strings)
{
	size_t length;
	const char *text = record_next_string(strings, &length);

	return strings_keep(&p->strings, text ? text : "", text ? length : 0);
}

/* Keeps the next strings, which record_check() has seen. */
static int keep_strings(struct profile *p, struct record_strings *strings, const char ***out,
			size_t nr)
{
	const char *text;
	size_t i, length;

	for (i = 0; i < nr; i++) {
		text = record_next_string(strings, &length);
		if (!text)
			return -EBADMSG;
		*out[i] = strings_keep(&p->strings, text, length);
		if (!*out[i])
			return -ENOMEM;
	}
	return 0;
}

static struct record_strings strings_at(const void *record, size_t nr, const char *at)
{
	return (struct record_strings){.at = at, .end = (const char *)record + nr};
}

/* A slot is used again. Who has just come into it may be announced before anybody knows his tgid. */
static bool is_another(const struct target *before, const struct record_target *r)
{
	if (!before || !before->tgid)
		return false;
	if (before->tgid != r->tgid)
		return true;
	return before->start_ticks && r->start_ticks && before->start_ticks != r->start_ticks;
}

int feed_target(struct profile *p, const struct record_target *r, size_t nr)
{
	struct record_strings strings = strings_at(r, nr, r->strings);
	const char *comm, *exe, *cgroup, **texts[] = {&comm, &exe};
	struct target *target;
	struct image *image;
	int err = keep_strings(p, &strings, texts, ARRAY_SIZE(texts));

	if (err)
		return err;
	if (!profile_image(p, r->head.proc) && is_another(profile_target(p, r->head.proc), r))
		profile_leave_slot(p, r->head.proc);
	cgroup = keep_optional(p, &strings);
	image = cgroup ? profile_add_image(p, r->head.proc) : NULL;
	if (!image)
		return -ENOMEM;
	image->tgid = r->tgid;
	image->comm = comm;
	image->exe = exe;
	image->cgroup = cgroup;
	target = profile_target(p, r->head.proc);
	if (target->newest != image)
		return 0;
	target->tgid = r->tgid;
	if (r->start_ticks)
		target->start_ticks = r->start_ticks;
	target->comm = comm;
	target->exe = exe;
	target->cgroup = cgroup;
	return 0;
}

int feed_mapping(struct profile *p, const struct record_mapping *r, size_t nr)
{
	struct record_strings strings = strings_at(r, nr, r->strings);
	const char *path, **texts[] = {&path};
	struct image *image = profile_image(p, r->head.proc);
	size_t nr_mappings = image && !(r->head.flags & MAPPING_FIRST) ? image->nr_mappings : 0;
	int err;

	if (nr_mappings && image->mapping[nr_mappings - 1].end > r->start)
		return -EBADMSG;
	err = keep_strings(p, &strings, texts, ARRAY_SIZE(texts));
	if (err)
		return err;
	image = profile_add_image(p, r->head.proc);
	if (!image || ARRAY_GROW(&image->mapping, &image->cap_mappings, nr_mappings + 1))
		return -ENOMEM;
	image->mapping[nr_mappings] = (struct image_mapping){
		.start = r->start, .end = r->end, .path = path, .flags = r->head.flags};
	image->nr_mappings = nr_mappings + 1;
	return 0;
}

int feed_stack(struct profile *p, const struct record_stack *r)
{
	size_t bytes = sizeof(struct stack) + r->nr * sizeof(r->frame[0]);
	struct stack *stack;

	if (map64_get(&p->stacks, r->stack, NULL))
		return 0;
	stack = malloc(bytes);
	if (!stack)
		return -ENOMEM;
	*stack =
		(struct stack){.proc = r->head.proc, .flags = r->head.flags, .nr = (uint16_t)r->nr};
	memcpy(stack->frame, r->frame, r->nr * sizeof(r->frame[0]));
	if (map64_put(&p->stacks, r->stack, (uintptr_t)stack)) {
		free(stack);
		return -ENOMEM;
	}
	p->bytes += bytes;
	return 0;
}

static int name_fill(struct profile *p, const struct record_symbol *r, size_t nr, struct name *name)
{
	struct record_strings strings = strings_at(r, nr, (const char *)&r->frame[r->nr]);
	struct name_frame *f;
	int err = 0;

	for (; name->nr < r->nr && !err; name->nr++) {
		f = &name->frame[name->nr];
		f->line = r->frame[name->nr].line;
		f->offset = r->frame[name->nr].offset;
		f->inlined = r->frame[name->nr].flags & SYMBOL_INLINED;
		const char **texts[] = {&f->function, &f->module, &f->file};

		err = keep_strings(p, &strings, texts, ARRAY_SIZE(texts));
	}
	return err;
}

int feed_symbol(struct profile *p, const struct record_symbol *r, size_t nr)
{
	struct image *image = profile_add_image(p, r->head.proc);
	struct name *name = calloc(1, name_bytes(r->nr));
	const struct name *old;
	uint64_t old_bytes;
	int err = -ENOMEM;

	if (!image || !name)
		goto out;
	err = name_fill(p, r, nr, name);
	if (err)
		goto out;
	name_hash(name);
	old = image_name(image, r->address);
	old_bytes = old ? name_bytes(old->nr) : 0;
	err = image_set_name(image, r->address, name);
	if (err)
		goto out;
	p->bytes += name_bytes(name->nr) - old_bytes;
	return 0;
out:
	free(name);
	return err;
}

int feed_probe(struct profile *p, const struct record_probe *r, size_t nr)
{
	struct record_strings strings = strings_at(r, nr, r->strings);
	struct probe probe = {.offset = r->offset, .cost_ns = r->cost_ns, .flags = r->flags};
	const char **texts[] = {&probe.object, &probe.function, &probe.instruction, &probe.link};
	int err = keep_strings(p, &strings, texts, ARRAY_SIZE(texts));

	if (err)
		return err;
	if (ARRAY_GROW(&p->probe, &p->cap_probes, p->nr_probes + 1))
		return -ENOMEM;
	p->probe[p->nr_probes++] = probe;
	return 0;
}
