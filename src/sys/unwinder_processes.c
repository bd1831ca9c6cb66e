/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwinder_processes.h"

#include <errno.h>
#include <stdlib.h>

#include "unwinder_clock.h"

/* Mappings may change while they are read. What a process that keeps changing them has done last, a later look finds. */
#define MAX_LOOKS 5
/*
 * A process that keeps asking has one part in so many of the time. It may have that of so long ahead: who starts, or loads
 * this and that, is looked at each time at once.
 */
#define LOOK_SHARE 10
#define LOOK_AHEAD_NS 200000000u
#define MAX_PAUSE_NS 1000000000u
/* How long tables that are ready wait for others, to be published together. */
#define ROUND_NS 20000000u
/* Publishing takes at most one part in so many of the time. */
#define ROUND_SHARE 5
/* What takes longer to read than others should wait: some 100,000 rows. */
#define LARGE_BYTES (8u << 20)
/* What is read sooner than a process could be looked at twice more, and how much of it in one look. */
#define SMALL_BYTES (256u << 10)
#define LOOK_BYTES (1u << 20)

static void drop_process(struct processes *p, struct process *process)
{
	p->left_out -= process->publication.left_out + process->code.left_out;
	publisher_drop(&p->publisher, &process->publication);
	code_release(&p->files, &process->code);
	process->tgid = 0;
	process->due_ns = 0;
}

int processes_init(struct processes *p, const struct unwinder_maps *maps, uint64_t max_bytes)
{
	int error;

	*p = (struct processes){0};
	error = publisher_init(&p->publisher, maps);
	if (!error)
		error = files_init(&p->files, maps, max_bytes);
	if (error)
		return error;
	/* never of no bytes, which may give NULL */
	p->process = calloc((size_t)maps->nr_slots + 1, sizeof(p->process[0]));
	return p->process ? 0 : -ENOMEM;
}

void processes_release(struct processes *p)
{
	for (uint32_t slot = 0; slot < p->nr; slot++)
		drop_process(p, &p->process[slot]);
	files_release(&p->files);
	publisher_release(&p->publisher);
	free(p->process);
	p->process = NULL;
}

/* The new code takes the old one's place, also when it is published as before: its files are held for that. */
static void keep_code(struct processes *p, struct process *process, struct code *code)
{
	p->left_out -= process->code.left_out;
	p->left_out += code->left_out;
	code_release(&p->files, &process->code);
	process->code = *code;
	free(process->code.mappings.item);
	process->code.mappings = (struct mapping_list){0};
}

static int publish(struct processes *p, struct process *process, struct code *code)
{
	int changed;

	p->left_out -= process->publication.left_out;
	changed = publisher_put(&p->publisher, &process->publication, &code->mappings);
	p->left_out += process->publication.left_out;
	if (changed < 0)
		code_release(&p->files, code);
	else
		keep_code(p, process, code);
	return changed;
}

/* What is read quickly need not wait for its turn: the next look of a process publishes it. */
static void read_small_files(struct processes *p)
{
	uint64_t bytes, left = LOOK_BYTES;

	while (files_peek(&p->files, &bytes) && bytes <= SMALL_BYTES && bytes <= left) {
		left -= bytes;
		files_read_next(&p->files);
		p->has_news = true;
	}
}

/* What a process maps now, and where it had other code since its exec. */
static int read_code(struct processes *p, const struct process *process, const struct code *known,
		     struct code *out)
{
	int error = code_read(&p->files, process->tgid, known, out);

	if (error || publisher_is_emptied(&p->publisher, &process->publication))
		return error;
	error = code_keep_gone(out, &process->publication.list);
	if (error)
		code_release(&p->files, out);
	return error;
}

/*
 * Publishes what a process maps as it is found. -EAGAIN: what was known or read may be so no more, which the kernel has
 * told meanwhile. What has been unmapped must not be published as still there, unless that would never end.
 */
static int look_once(struct processes *p, struct process *process, bool is_hasty, bool is_last)
{
	struct code code;
	bool is_touched;
	int error = read_code(p, process, is_hasty ? &process->code : NULL, &code);

	if (error)
		return error;
	is_touched = publisher_is_touched(&p->publisher, &process->publication);
	if ((is_hasty || !is_last) && is_touched) {
		code_release(&p->files, &code);
		return -EAGAIN;
	}
	return publish(p, process, &code);
}

/*
 * In haste while files are read, and then with care. After publishing, once more: what was mapped meanwhile is
 * nobody else's to tell, unless there is a watch. When the process has gone, or memory is short, what is published stays.
 */
static void look(struct processes *p, struct process *process)
{
	bool is_hasty = !publisher_is_touched(&p->publisher, &process->publication), is_touched;
	int changed;

	for (unsigned int i = 0; i < MAX_LOOKS; i++) {
		changed = look_once(p, process, is_hasty, i == MAX_LOOKS - 1);
		if (changed == -ESRCH)
			process->code.is_pending = false;
		is_touched = publisher_is_touched(&p->publisher, &process->publication);
		if (changed < 0 && changed != -EAGAIN)
			return;
		if (!changed && !is_touched && !is_hasty)
			return;
		if (p->is_brief && changed >= 0 && !is_touched && !process->code.is_pending)
			return;
		is_hasty = changed > 0 && !is_touched && process->code.is_pending;
		if (process->code.is_pending)
			read_small_files(p);
	}
}

/* When a process may be looked at again that has taken so much time until now. */
static uint64_t due_after(uint64_t due_ns, uint64_t took_ns, uint64_t now)
{
	if (due_ns + LOOK_AHEAD_NS < now)
		due_ns = now - LOOK_AHEAD_NS;
	due_ns += took_ns * LOOK_SHARE;
	return due_ns < now + MAX_PAUSE_NS ? due_ns : now + MAX_PAUSE_NS;
}

uint64_t processes_due_ns(const struct processes *p, uint32_t slot, uint32_t epoch)
{
	const struct process *process = &p->process[slot];

	return process->publication.epoch == epoch ? process->due_ns : 0;
}

void processes_look(struct processes *p, uint32_t slot, pid_t tgid, uint32_t epoch)
{
	struct process *process = &p->process[slot];
	uint64_t start_ns = clock_now_ns(), end_ns;

	if (slot >= p->nr)
		p->nr = slot + 1;
	if (process->publication.epoch != epoch) {
		drop_process(p, process);
		process->publication.epoch = epoch;
	}
	process->publication.slot = slot;
	process->tgid = tgid;
	if (!process->tgid)
		return;
	look(p, process);
	end_ns = clock_now_ns();
	process->due_ns = due_after(process->due_ns, end_ns - start_ns, end_ns);
}

/* Looks at all that wait for files again. */
static void publish_news(struct processes *p)
{
	uint64_t start_ns = clock_now_ns(), pause_ns;

	for (uint32_t slot = 0; slot < p->nr; slot++) {
		if (p->process[slot].code.is_pending)
			look(p, &p->process[slot]);
	}
	pause_ns = (clock_now_ns() - start_ns) * (ROUND_SHARE - 1);
	p->round_due_ns = clock_now_ns() + (pause_ns < ROUND_NS ? ROUND_NS : pause_ns);
	p->has_news = false;
}

bool processes_have_work(const struct processes *p)
{
	return p->files.nr_wanted || p->has_news;
}

void processes_work(struct processes *p)
{
	uint64_t bytes = 0;
	bool has_next = files_peek(&p->files, &bytes);

	if (p->has_news &&
	    (!has_next || bytes >= LARGE_BYTES || clock_now_ns() >= p->round_due_ns)) {
		publish_news(p);
		return;
	}
	if (!p->has_news && p->round_due_ns < clock_now_ns() + ROUND_NS)
		p->round_due_ns = clock_now_ns() + ROUND_NS;
	p->has_news = true;
	files_read_next(&p->files);
}
