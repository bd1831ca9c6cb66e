/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "calibrate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fd.h"
#include "probecode.h"
#include "uprobe_link.h"
#include "uprobe_program.h"

#define TIMEOUT_NS UINT64_C(2000000000)

/* Of a measurement the median of the rounds counts. With 30 us a hit, all the stepped ones take 70 ms. */
#define ROUNDS 15
#define CALLS_BARE 1009
#define CALLS_EMULATED 251
#define CALLS_STEPPED 23

#define SLOT_BYTES 64 /* of the page of code: a function in each */

#ifdef __x86_64__
static const uint8_t stepped_code[] = {0x89, 0xf8, 0xc3}; /* mov eax, edi; ret */
#elif defined(__aarch64__)
/* mov w0, w0; ret */
static const uint8_t stepped_code[] = {0xe0, 0x03, 0x00, 0x2a, 0xc0, 0x03, 0x5f, 0xd6};
#else
_Static_assert(0, "no code to calibrate with on this machine");
#endif

struct calibrator {
	struct probecode_child child;
	bool finished;
};

struct answer {
	int32_t error; /* 0 or negative errno */
	struct calibration costs;
};

enum {
	SUBJECT_EMULATED,
	SUBJECT_STEPPED,
	SUBJECT_CODE_NR
};
/* Of each code: bare, and for each kind of link an entry, and an entry and a return. */
#define SUBJECT_BARE 0
#define SUBJECT_OF(kind, with_return) (2 * (unsigned int)(kind)-1 + (with_return))
#define SUBJECT_PROBES_NR (2 * (CALIBRATE_KINDS - 1) + 1)
#define SUBJECT_NR (SUBJECT_CODE_NR * SUBJECT_PROBES_NR)

/* A function, and what it takes: all are called in turn, so that a slow moment of the machine falls on all alike. */
struct subject {
	size_t code_offset;
	const uint8_t *code;
	size_t code_bytes;
	unsigned int nr_calls;	   /* in a round */
	uint64_t round_ps[ROUNDS]; /* per call, in order */
};

struct bench {
	struct probecode code;
	struct subject subject[SUBJECT_NR];
	bool has_kind[CALIBRATE_KINDS];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC,
			    &now); /* cannot fail: the clock is there, and so is now */
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ps per call. */
static uint64_t time_calls(const struct bench *bench, const struct subject *subject)
{
	probecode_function function = probecode_at(&bench->code, subject->code_offset);
	uint64_t start_ns = now_ns();
	unsigned int i;

	for (i = 0; i < subject->nr_calls; i++)
		function(0);
	return (now_ns() - start_ns) * 1000 / subject->nr_calls;
}

static void run_round(struct bench *bench, unsigned int round)
{
	uint64_t ps;
	unsigned int i, at;

	for (i = 0; i < SUBJECT_NR; i++) {
		struct subject *subject = &bench->subject[i];

		ps = time_calls(bench, subject);
		for (at = round; at && subject->round_ps[at - 1] > ps; at--)
			subject->round_ps[at] = subject->round_ps[at - 1];
		subject->round_ps[at] = ps;
	}
}

static uint32_t cost_ns(const struct bench *bench, unsigned int code, unsigned int probes)
{
	const struct subject *bare = &bench->subject[code * SUBJECT_PROBES_NR];
	uint64_t bare_ps = bare->round_ps[ROUNDS / 2];
	uint64_t ps = bare[probes].round_ps[ROUNDS / 2];
	uint64_t ns = ps > bare_ps ? (ps - bare_ps + 500) / 1000 : 0;

	if (!ns)
		return 1;
	return ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static void plan(struct bench *bench)
{
	unsigned int i;

	for (i = 0; i < SUBJECT_NR; i++) {
		struct subject *subject = &bench->subject[i];
		bool is_stepped = i / SUBJECT_PROBES_NR == SUBJECT_STEPPED;

		subject->code_offset = (i + 1) * SLOT_BYTES;
		subject->code = is_stepped ? stepped_code : probecode_emulated;
		subject->code_bytes = is_stepped ? sizeof(stepped_code) : probecode_emulated_bytes;
		if (i % SUBJECT_PROBES_NR == SUBJECT_BARE)
			subject->nr_calls = CALLS_BARE;
		else
			subject->nr_calls = is_stepped ? CALLS_STEPPED : CALLS_EMULATED;
	}
}

static int map_code(struct bench *bench)
{
	const struct subject *subject;
	unsigned int i;
	int error = probecode_map(&bench->code);

	for (i = 0; i < SUBJECT_NR && !error; i++) {
		subject = &bench->subject[i];
		error = probecode_put(&bench->code, subject->code_offset, subject->code,
				      subject->code_bytes);
	}
	return error;
}

static uint64_t offset_of(const struct bench *bench, unsigned int code, unsigned int probes)
{
	return bench->subject[code * SUBJECT_PROBES_NR + probes].code_offset;
}

/* Like all probes these stay until the child exits: taking one away takes longer than all the rest. */
static int attach_perf(struct bench *bench)
{
	unsigned int code, with_return;
	uint64_t offset;
	int fd = 0;

	for (code = 0; code < SUBJECT_CODE_NR && fd >= 0; code++) {
		for (with_return = 0; with_return < 2 && fd >= 0; with_return++) {
			offset = offset_of(bench, code, SUBJECT_OF(ATTACH_PERF, with_return));
			fd = probecode_attach(&bench->code, offset, false, PROBECODE_PROG_FD);
			if (fd >= 0 && with_return)
				fd = probecode_attach(&bench->code, offset, true,
						      PROBECODE_PROG_FD);
		}
	}
	bench->has_kind[ATTACH_PERF] = fd >= 0;
	return fd < 0 ? fd : 0;
}

/* One link at nr functions. */
static bool link_some(const struct bench *bench, enum uprobe_link_kind kind, int result,
		      const uint64_t *offset, size_t nr)
{
	struct uprobe_places places = {.offset = offset, .nr = nr, .tgid = getpid()};
	int prog_fd = uprobe_program_constant(uprobe_link_attach_type(kind), result);
	char path[32];

	if (prog_fd < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", bench->code.fd);
	places.path = path;
	return uprobe_link(prog_fd, kind, &places) >= 0;
}

/* Kernels without them are calibrated without them. */
static void attach_links(struct bench *bench)
{
	const unsigned int multi = SUBJECT_OF(ATTACH_MULTI, false),
			   session = SUBJECT_OF(ATTACH_SESSION, false);
	const uint64_t at_entry[] = {offset_of(bench, SUBJECT_EMULATED, multi),
				     offset_of(bench, SUBJECT_STEPPED, multi),
				     offset_of(bench, SUBJECT_EMULATED, multi + 1),
				     offset_of(bench, SUBJECT_STEPPED, multi + 1)};
	const uint64_t skips[] = {offset_of(bench, SUBJECT_EMULATED, session),
				  offset_of(bench, SUBJECT_STEPPED, session)};
	const uint64_t returns[] = {offset_of(bench, SUBJECT_EMULATED, session + 1),
				    offset_of(bench, SUBJECT_STEPPED, session + 1)};

	bench->has_kind[ATTACH_MULTI] = link_some(bench, UPROBE_LINK_ENTRY, 0, at_entry, 4) &&
					link_some(bench, UPROBE_LINK_RETURN, 0, at_entry + 2, 2);
	bench->has_kind[ATTACH_SESSION] = link_some(bench, UPROBE_LINK_SESSION, 1, skips, 2) &&
					  link_some(bench, UPROBE_LINK_SESSION, 0, returns, 2);
}

static void take_costs(const struct bench *bench, struct calibration *out)
{
	unsigned int kind;

	for (kind = ATTACH_PERF; kind < CALIBRATE_KINDS; kind++) {
		if (!bench->has_kind[kind])
			continue;
		out->emulated[kind].entry_ns =
			cost_ns(bench, SUBJECT_EMULATED, SUBJECT_OF(kind, false));
		out->emulated[kind].return_ns =
			cost_ns(bench, SUBJECT_EMULATED, SUBJECT_OF(kind, true));
		out->stepped[kind].entry_ns =
			cost_ns(bench, SUBJECT_STEPPED, SUBJECT_OF(kind, false));
		out->stepped[kind].return_ns =
			cost_ns(bench, SUBJECT_STEPPED, SUBJECT_OF(kind, true));
	}
}

static int measure(struct bench *bench, struct calibration *out)
{
	unsigned int round;
	int error;

	plan(bench);
	error = map_code(bench);
	if (!error)
		error = attach_perf(bench);
	if (error)
		return error;
	attach_links(bench);
	run_round(bench, 0); /* sets up what the others find; the next one takes its place */
	for (round = 0; round < ROUNDS; round++)
		run_round(bench, round);
	take_costs(bench, out);
	return 0;
}

static void run_child(void *arg)
{
	struct bench bench = {.code = *(const struct probecode *)arg};
	struct answer answer = {0};

	answer.error = measure(&bench, &answer.costs);
	/* a parent that no longer reads has no use for it */
	(void)fd_write_all(PROBECODE_PIPE_FD, &answer, sizeof(answer));
}

int calibrate_start(int prog_fd, struct calibrator **out)
{
	struct calibrator *calibrator;
	struct probecode code;
	int error = probecode_init(&code);

	if (error)
		return error;
	calibrator = calloc(1, sizeof(*calibrator));
	if (!calibrator)
		return -ENOMEM;
	error = probecode_fork(&calibrator->child, prog_fd, run_child, &code, TIMEOUT_NS);
	if (error)
		free(calibrator);
	else
		*out = calibrator;
	return error;
}

int calibrate_fd(const struct calibrator *calibrator)
{
	return calibrator->child.pipe_fd;
}

int calibrate_finish(struct calibrator *calibrator, struct calibration *out)
{
	struct answer answer;
	ssize_t nr;

	if (calibrator->finished)
		return -EALREADY;
	calibrator->finished = true;
	nr = probecode_read(&calibrator->child, &answer, sizeof(answer));
	if (nr < 0)
		return (int)nr;
	if (nr != sizeof(answer))
		return -ECHILD;
	if (answer.error)
		return answer.error;
	*out = answer.costs;
	return 0;
}

uint32_t calibration_ns(const struct calibration *costs, enum attach_kind kind, bool emulated,
			bool with_return)
{
	const struct calibration_cost *cost =
		emulated ? &costs->emulated[kind] : &costs->stepped[kind];

	return with_return ? cost->return_ns : cost->entry_ns;
}

uint32_t calibration_site_ns(const struct calibration *costs, enum attach_kind kind,
			     const struct discover_site *site)
{
	bool frees = site->function->role == ROLE_FREE;

	if (frees && kind == ATTACH_SESSION)
		kind = ATTACH_MULTI;
	return calibration_ns(costs, kind, site->placement.emulated, !frees);
}

void calibrate_free(struct calibrator *calibrator)
{
	if (!calibrator)
		return;
	probecode_end(&calibrator->child);
	free(calibrator);
}
