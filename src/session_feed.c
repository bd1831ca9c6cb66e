// SPDX-License-Identifier: GPL-2.0-or-later
#include "session_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "array.h"
#include "cputime.h"
#include "log.h"

#define COUNTED_AT_ONCE 64
#define RESYNC_PAUSE 10 /* between two resyncs, times what the last one took */

uint64_t session_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

int session_feed(struct session *s, const void *record, size_t nr)
{
	int err = profile_feed(s->profile, record, nr);

	if (!err && s->capture)
		err = capture_write(s->capture, record, nr);
	if (err && !s->feed_error) {
		s->feed_error = err;
		if (err == -EBADMSG)
			log_error("a record of kind %u was refused: please report this",
				  ((const struct event_head *)record)->kind);
		else
			log_error("cannot keep what arrives: %s", strerror(-err));
	}
	return err;
}

int session_feed_strings(struct session *s, const void *fixed, size_t nr, const char *const *text,
			 size_t nr_text)
{
	size_t total = nr, at = nr, i;
	char *record;
	int err;

	for (i = 0; i < nr_text; i++)
		total += strlen(text[i]) + 1;
	total = (total + 7) & ~(size_t)7;
	if (total > RECORD_MAX_BYTES)
		return 0;
	record = calloc(1, total);
	if (!record)
		return -ENOMEM;
	memcpy(record, fixed, nr);
	for (i = 0; i < nr_text; i++) {
		memcpy(record + at, text[i], strlen(text[i]) + 1);
		at += strlen(text[i]) + 1;
	}
	err = session_feed(s, record, total);
	free(record);
	return err;
}

int session_feed_head(struct session *s, uint16_t kind, uint16_t flags, uint64_t time_ns)
{
	struct event_head head = {.kind = kind, .flags = flags, .time_ns = time_ns};

	return session_feed(s, &head, sizeof(head));
}

int session_feed_run(struct session *s)
{
	struct record_run run = {
		.head = {.kind = RECORD_RUN, .time_ns = s->start_ns},
		.mode = s->options->mode,
		.fault_period = 1,
		.wall_time_s = (uint64_t)time(NULL),
		.sample_bytes = 1,
	};

	return session_feed(s, &run, sizeof(run));
}

int session_feed_target(struct session *s, const struct session_target *t)
{
	struct record_target record = {
		.head = {.kind = RECORD_TARGET, .proc = t->proc, .time_ns = session_now_ns()},
		.tgid = (uint32_t)t->tgid,
		.start_ticks = t->info.start_ticks,
	};
	const char *const text[] = {t->info.comm, t->exe ? t->exe : "", t->cgroup ? t->cgroup : ""};

	return session_feed_strings(s, &record, sizeof(record), text, ARRAY_SIZE(text));
}

int session_feed_mappings(struct session *s, const struct session_target *t)
{
	const struct proc_mapping *m;
	struct record_mapping record;
	size_t i;
	int err = 0;

	for (i = 0; i < t->maps.nr && !err; i++) {
		m = &t->maps.item[i];
		record = (struct record_mapping){
			.head = {.kind = RECORD_MAPPING,
				 .proc = t->proc,
				 .flags = (uint16_t)((i ? 0 : MAPPING_FIRST) |
						     (m->exec ? MAPPING_EXEC : 0) |
						     (m->write ? MAPPING_WRITE : 0) |
						     (m->shared ? MAPPING_SHARED : 0) |
						     (m->inode ? MAPPING_FILE : 0))},
			.start = m->start,
			.end = m->end,
			.file_offset = m->file_offset,
		};
		err = session_feed_strings(s, &record, sizeof(record),
					   (const char *const[]){m->path}, 1);
	}
	return err;
}

int session_feed_probes(struct session *s)
{
	const struct session_probe *probe;
	struct record_probe record;
	int err = 0;

	for (; s->nr_probes_told < s->nr_probes && !err; s->nr_probes_told++) {
		probe = &s->probe[s->nr_probes_told];
		record = (struct record_probe){
			.head = {.kind = RECORD_PROBE, .time_ns = s->start_ns},
			.offset = probe->site->file_offset,
			.cost_ns = calibration_site_ns(&s->cost, loader_attach_kind(s->loader),
						       probe->site),
			.flags = (probe->site->placement.emulated ? PROBE_EMULATED : 0u) |
				 (probe->site->function->role != ROLE_FREE ? PROBE_RETURN : 0u),
		};
		err = session_feed_strings(
			s, &record, sizeof(record),
			(const char *const[]){probe->object->path, probe->site->function->symbol,
					      probe->site->placement.instruction,
					      attach_kind_name(loader_attach_kind(s->loader))},
			4);
	}
	return err ? err : session_usdt_feed_probes(s);
}

static int feed_cpu_time(struct session *s, const struct session_target *t)
{
	struct record_cpu_time cpu = {
		.head = {.kind = RECORD_CPU_TIME, .proc = t->proc, .time_ns = session_now_ns()}};
	uint64_t cpu_ns;

	if (t->gone || cputime_of(t->tgid, &cpu_ns))
		return 0;
	cpu.cpu_ns = cpu_ns;
	return session_feed(s, &cpu, sizeof(cpu));
}

/* Keeps the sums over all. */
static int read_counters(struct session *s, struct session_target *t, uint64_t value[STAT_NR])
{
	int err = loader_counters(s->loader, t->slot, value);
	unsigned int i;

	for (i = 0; i < STAT_NR && !err; i++) {
		s->counted[i] += value[i] - t->counted[i];
		t->counted[i] = value[i];
	}
	return err;
}

int session_feed_counters_of(struct session *s, struct session_target *t)
{
	struct record_counters record = {
		.head = {.kind = RECORD_COUNTERS, .proc = t->proc, .time_ns = session_now_ns()}};
	int err = read_counters(s, t, (uint64_t *)record.value);

	if (!err)
		err = session_feed(s, &record, sizeof(record));
	return err ? err : feed_cpu_time(s, t);
}

int session_count(struct session *s)
{
	uint64_t value[STAT_NR];
	size_t i;
	int err = 0;

	for (i = 0; i < s->nr_targets && i < COUNTED_AT_ONCE && !err; i++)
		err = read_counters(s, s->target[i], value);
	return err;
}

/* Of very many targets it is some at a time, in turn. */
int session_feed_counters(struct session *s, bool at_end)
{
	size_t nr = s->nr_targets, i;
	int err = 0;

	if (!at_end && nr > COUNTED_AT_ONCE)
		nr = COUNTED_AT_ONCE;
	for (i = 0; i < nr && !err; i++) {
		if (s->next_counted >= s->nr_targets)
			s->next_counted = 0;
		err = session_feed_counters_of(s, s->target[s->next_counted++]);
	}
	return err;
}

/* An exit whose event was lost, or which happened while programs were disarmed. */
int session_feed_exit(struct session *s, const struct session_target *t)
{
	struct event_proc event = {
		.head = {.kind = EVENT_EXIT, .proc = t->proc, .time_ns = session_now_ns()},
		.tgid = (uint32_t)t->tgid,
	};

	return session_feed(s, &event, sizeof(event));
}

/* Is there code at this address, as far as we have looked? Else it is time to look again. */
static void check_code(struct session *s, uint32_t proc, uint64_t address)
{
	struct session_target *t = session_target_of(s, proc);
	const struct proc_mapping *m;

	if (!t || t->gone)
		return;
	m = proc_maps_find(&t->maps, address & SEEP_FRAME_ADDRESS);
	if (!m || !m->exec)
		t->stale = true;
}

/* Not inlined: nearly every event names a stack that is known, and needs none of this room. */
static __attribute__((noinline)) int learn_new_stack(struct session *s, uint32_t proc,
						     uint32_t stack)
{
	union {
		struct record_stack stack;
		uint64_t room[sizeof(struct record_stack) / 8 + SEEP_MAX_FRAMES];
	} record = {.stack = {.head = {.kind = RECORD_STACK, .proc = proc}, .stack = stack}};
	struct stack_value value;

	if (loader_stack(s->loader, stack, &value))
		value = (struct stack_value){.proc = proc, .flags = STACK_PARTIAL};
	record.stack.head.flags = value.flags;
	record.stack.nr = value.nr;
	memcpy(record.stack.frame, value.frame, 8 * (size_t)value.nr);
	if (value.nr)
		check_code(s, proc, value.frame[0]);
	return session_feed(s, &record, sizeof(record.stack) + 8 * (size_t)value.nr);
}

static int learn_stack(struct session *s, uint32_t proc, uint32_t stack)
{
	return profile_knows_stack(s->profile, stack) ? 0 : learn_new_stack(s, proc, stack);
}

static int note_record(struct session *s, const struct event_head *head, const void *record)
{
	struct session_target *t;

	switch (head->kind) {
	case EVENT_ALLOC:
		return learn_stack(s, head->proc, ((const struct event_alloc *)record)->stack);
	case EVENT_FREE:
		return learn_stack(s, head->proc, ((const struct event_free *)record)->stack);
	case EVENT_FAULT:
		return learn_stack(s, head->proc, ((const struct event_fault *)record)->stack);
	case EVENT_MMAP:
		t = session_target_of(s, head->proc);
		if (t && ((const struct event_vm *)record)->prot & PROT_EXEC)
			t->stale = true;
		return learn_stack(s, head->proc, ((const struct event_vm *)record)->stack);
	case EVENT_MREMAP:
	case EVENT_BRK:
		return learn_stack(s, head->proc, ((const struct event_vm *)record)->stack);
	case EVENT_FORK:
		s->life_ns = session_now_ns();
		session_on_fork(s, record);
		return s->feed_error;
	case EVENT_EXEC:
		s->life_ns = session_now_ns();
		session_on_exec(s, record);
		return s->feed_error;
	case EVENT_EXIT:
		session_on_exit(s, record);
		return s->feed_error;
	}
	return 0;
}

/* The first that is heard of a process, whatever it is: it is announced, before anything else is told of it. */
static __attribute__((noinline)) int announce(struct session *s, uint32_t proc)
{
	struct session_target *t = session_add_born(s, proc);

	return t ? session_feed_target(s, t) : 0;
}

static bool is_new(const struct session *s, uint32_t proc)
{
	return SEEP_PROC_SLOT(proc) <= loader_max_targets(s->loader) &&
	       !s->slot[SEEP_PROC_SLOT(proc)].target;
}

int session_take(const void *record, size_t nr, void *arg)
{
	const struct event_head *head = record;
	struct session *s = arg;
	int err = nr < sizeof(*head) ? -EBADMSG : 0;

	if (!err && is_new(s, head->proc))
		err = announce(s, head->proc);
	if (!err)
		err = note_record(s, head, record);
	return err ? err : session_feed(s, record, nr);
}

/* A block of the kernel's map that we do not have: its event was lost. */
static int resync_seen(const struct block_key *key, const struct block_value *value, void *arg)
{
	struct session *s = arg;
	struct heap *heap = profile_heap(s->profile, key->proc);
	struct event_alloc alloc = {
		.head = {.kind = EVENT_ALLOC,
			 .flags = ALLOC_RECOVERED,
			 .proc = key->proc,
			 .time_ns = value->birth_ns},
		.addr = key->addr,
		.sized = value->sized,
		.stack = value->stack,
	};
	int err;

	/* what came before the present window is given up */
	if (!heap || value->birth_ns < s->watched_ns ||
	    heap_mark_seen(heap, key->addr, value->birth_ns))
		return 0;
	err = learn_stack(s, key->proc, value->stack);
	if (!err)
		err = session_feed(s, &alloc, sizeof(alloc));
	if (!err)
		(void)heap_mark_seen(heap, key->addr, value->birth_ns);
	return err;
}

struct unseen {
	struct heap_block *block;
	size_t nr, cap;
};

static int resync_unseen(const struct heap_block *block, void *arg)
{
	struct unseen *u = arg;

	if (ARRAY_GROW(&u->block, &u->cap, u->nr + 1))
		return -ENOMEM;
	u->block[u->nr++] = *block;
	return 0;
}

/* Blocks that we have and the kernel has not: their frees were lost. Looked up once more each, because a realloc takes
 * its block out of the map for as long as it runs. */
static int resync_gone(struct session *s, uint32_t proc, const struct unseen *u, uint64_t now_ns)
{
	struct event_free gone = {
		.head = {
			.kind = EVENT_FREE, .flags = FREE_RESYNC, .proc = proc, .time_ns = now_ns}};
	struct block_key key = {.proc = proc};
	int err = 0;
	size_t i;

	for (i = 0; i < u->nr && !err; i++) {
		key.addr = u->block[i].addr;
		if (loader_has_block(s->loader, &key, u->block[i].birth_ns))
			continue;
		gone.addr = u->block[i].addr;
		gone.birth_ns = u->block[i].birth_ns;
		gone.sized = SEEP_SIZED(u->block[i].size_bytes, u->block[i].tag);
		gone.stack = u->block[i].stack;
		err = session_feed(s, &gone, sizeof(gone));
	}
	return err;
}

static int resync_blocks(struct session *s, uint64_t now_ns)
{
	struct unseen u = {0};
	struct heap *heap;
	size_t i;
	int err;

	for (i = 0; i < s->nr_targets; i++) {
		heap = profile_heap(s->profile, s->target[i]->proc);
		if (heap)
			heap_resync_begin(heap);
	}
	err = loader_walk_blocks(s->loader, resync_seen, s);
	for (i = 0; i < s->nr_targets && !err; i++) {
		heap = profile_heap(s->profile, s->target[i]->proc);
		if (!heap)
			continue;
		u.nr = 0;
		err = heap_walk_unseen(heap, now_ns, resync_unseen, &u);
		if (!err)
			err = resync_gone(s, s->target[i]->proc, &u, now_ns);
	}
	free(u.block);
	return err;
}

int session_resync(struct session *s)
{
	uint64_t lost = loader_lost_events(s->loader), start_ns = session_now_ns(), end_ns;
	int err;

	if (lost == s->lost_seen || s->options->mode != RUN_LEAKS)
		return 0;
	if (s->armed && start_ns < s->next_resync_ns)
		return 0;
	err = resync_blocks(s, start_ns);
	if (err) {
		log_warn("cannot read the block map again after %llu lost events: %s",
			 (unsigned long long)(lost - s->lost_seen), strerror(-err));
		s->resync_failed = true;
		return s->feed_error;
	}
	end_ns = session_now_ns();
	s->next_resync_ns = end_ns + RESYNC_PAUSE * (end_ns - start_ns);
	s->lost_seen = lost;
	s->resync_failed = false;
	return session_feed_head(s, RECORD_RESYNC, 0, start_ns);
}
