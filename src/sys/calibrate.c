/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "calibrate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "fd.h"
#include "probecode.h"

#define TIMEOUT_NS UINT64_C(2000000000)

/* Of a measurement the median of the rounds counts. With 30 us a hit, all the stepped ones take 45 ms. */
#define ROUNDS 15
#define CALLS_BARE 1009
#define CALLS_EMULATED 251
#define CALLS_STEPPED 47

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
enum {
	SUBJECT_BARE = 0,
	SUBJECT_ENTRY,
	SUBJECT_RETURN,
	SUBJECT_PROBES_NR
};
#define SUBJECT_NR (SUBJECT_CODE_NR * SUBJECT_PROBES_NR)

/* A function, and what it takes: all are called in turn, so that a slow moment of the machine falls on all alike. */
struct subject {
	size_t code_offset;
	const uint8_t *code;
	size_t code_bytes;
	unsigned int nr_probes;	   /* the first at its entry, the second at its return */
	unsigned int nr_calls;	   /* in a round */
	uint64_t round_ps[ROUNDS]; /* per call, in order */
};

struct bench {
	struct probecode code;
	struct subject subject[SUBJECT_NR];
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
		subject->nr_probes = i % SUBJECT_PROBES_NR;
		if (!subject->nr_probes)
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

/* The probes stay until the child exits: taking one away takes longer than all the rest. */
static int attach_all(const struct bench *bench)
{
	unsigned int i, probe;
	int fd;

	for (i = 0; i < SUBJECT_NR; i++) {
		for (probe = 0; probe < bench->subject[i].nr_probes; probe++) {
			fd = probecode_attach(&bench->code, bench->subject[i].code_offset,
					      probe == 1, PROBECODE_PROG_FD);
			if (fd < 0)
				return fd;
		}
	}
	return 0;
}

static int measure(struct bench *bench, struct calibration *out)
{
	unsigned int round;
	int error;

	plan(bench);
	error = map_code(bench);
	if (!error)
		error = attach_all(bench);
	if (error)
		return error;
	run_round(bench, 0); /* sets up what the others find; the next one takes its place */
	for (round = 0; round < ROUNDS; round++)
		run_round(bench, round);
	out->emulated_entry_ns = cost_ns(bench, SUBJECT_EMULATED, SUBJECT_ENTRY);
	out->stepped_entry_ns = cost_ns(bench, SUBJECT_STEPPED, SUBJECT_ENTRY);
	out->emulated_return_ns = cost_ns(bench, SUBJECT_EMULATED, SUBJECT_RETURN);
	out->stepped_return_ns = cost_ns(bench, SUBJECT_STEPPED, SUBJECT_RETURN);
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

void calibrate_free(struct calibrator *calibrator)
{
	if (!calibrator)
		return;
	probecode_end(&calibrator->child);
	free(calibrator);
}
