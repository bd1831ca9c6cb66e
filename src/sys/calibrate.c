/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "calibrate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "array.h"
#include "fd.h"
#include "parse.h"

#define DEADLINE_NS UINT64_C(2000000000)
#define PMU_TYPE_PATH "/sys/bus/event_source/devices/uprobe/type"
#define PMU_RETPROBE_PATH "/sys/bus/event_source/devices/uprobe/format/retprobe"

/* Of a measurement the median of the rounds counts. With 30 us a hit, all the stepped ones take 45 ms. */
#define ROUNDS 15
#define CALLS_BARE 1009
#define CALLS_EMULATED 251
#define CALLS_STEPPED 47

/* The child's only fds at first. */
#define PIPE_FD 0
#define PROG_FD 1

/* One page of code: a function in each slot. */
#define CODE_BYTES 4096
#define SLOT_BYTES 64

#ifdef __x86_64__
static const uint8_t emulated_code[] = {0x55, 0x5d, 0xc3}; /* push rbp; pop rbp; ret */
static const uint8_t stepped_code[] = {0x89, 0xf8, 0xc3};  /* mov eax, edi; ret */
#elif defined(__aarch64__)
/* b .+4; ret: a nop is simulated by newer kernels only */
static const uint8_t emulated_code[] = {0x01, 0x00, 0x00, 0x14, 0xc0, 0x03, 0x5f, 0xd6};
/* mov w0, w0; ret */
static const uint8_t stepped_code[] = {0xe0, 0x03, 0x00, 0x2a, 0xc0, 0x03, 0x5f, 0xd6};
#else
_Static_assert(0, "no code to calibrate with on this machine");
#endif

struct calibrator {
	int child_fd; /* not its tgid, which is another process's once somebody else has reaped it */
	int pipe_fd;
	uint64_t deadline_ns;
	bool finished;
};

struct answer {
	int32_t error; /* 0 or negative errno */
	struct calibration costs;
};

/* Read before the fork, because the child must not allocate memory: another thread may hold its locks. */
struct pmu {
	uint32_t type;
	unsigned int retprobe_bit;
};

typedef int (*probed_function)(int);

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
	struct pmu pmu;
	int code_fd;
	char *code;
	struct subject subject[SUBJECT_NR];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC,
			    &now); /* cannot fail: the clock is there, and so is now */
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Of the calling process, entered at once. Returns the fd, which keeps the probe, or negative errno. */
static int attach(const struct bench *bench, uint64_t offset, bool is_return)
{
	struct perf_event_attr attr = {.size = sizeof(attr), .type = bench->pmu.type};
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", bench->code_fd);
	attr.uprobe_path = (uint64_t)(uintptr_t)path;
	attr.probe_offset = offset;
	if (is_return)
		attr.config = UINT64_C(1) << bench->pmu.retprobe_bit;
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, PROG_FD) || ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))
		return -errno;
	return fd;
}

/* ps per call. */
static uint64_t time_calls(const struct bench *bench, const struct subject *subject)
{
	probed_function function = (probed_function)(uintptr_t)(bench->code + subject->code_offset);
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
		subject->code = is_stepped ? stepped_code : emulated_code;
		subject->code_bytes = is_stepped ? sizeof(stepped_code) : sizeof(emulated_code);
		subject->nr_probes = i % SUBJECT_PROBES_NR;
		if (!subject->nr_probes)
			subject->nr_calls = CALLS_BARE;
		else
			subject->nr_calls = is_stepped ? CALLS_STEPPED : CALLS_EMULATED;
	}
}

static int map_code(struct bench *bench)
{
	unsigned int i;

	/* a kernel before 6.3 does not know the flag, one after it may be set up to demand it */
	bench->code_fd = memfd_create("seep-calibrate", MFD_CLOEXEC | 0x0010U /* MFD_EXEC */);
	if (bench->code_fd < 0)
		bench->code_fd = memfd_create("seep-calibrate", MFD_CLOEXEC);
	if (bench->code_fd < 0 || ftruncate(bench->code_fd, CODE_BYTES))
		return -errno;
	for (i = 0; i < SUBJECT_NR; i++) {
		const struct subject *subject = &bench->subject[i];

		if (pwrite(bench->code_fd, subject->code, subject->code_bytes,
			   (off_t)subject->code_offset) < 0)
			return -errno;
	}
	bench->code = mmap(NULL, CODE_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE, bench->code_fd, 0);
	return bench->code == MAP_FAILED ? -errno : 0;
}

/* The probes stay until the child exits: taking one away takes longer than all the rest. */
static int attach_all(const struct bench *bench)
{
	unsigned int i, probe;
	int fd;

	for (i = 0; i < SUBJECT_NR; i++) {
		for (probe = 0; probe < bench->subject[i].nr_probes; probe++) {
			fd = attach(bench, bench->subject[i].code_offset, probe == 1);
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

static void close_from(int first)
{
	int fd;

	if (!syscall(SYS_close_range, first, ~0U, 0))
		return;
	for (fd = first; fd < 4096; fd++)
		(void)close(fd); /* before 5.9; most are not open */
}

/*
 * The fds that the child inherits would keep alive what the parent closes: its probes above all, and the reader of a
 * pipe that waits for the end. Only two are kept.
 */
static int keep_fds(int pipe_fd, int prog_fd)
{
	int high_pipe = fcntl(pipe_fd, F_DUPFD, 2), high_prog = fcntl(prog_fd, F_DUPFD, 2);

	if (high_pipe < 0 || high_prog < 0 || dup2(high_pipe, PIPE_FD) < 0 ||
	    dup2(high_prog, PROG_FD) < 0)
		return -errno;
	close_from(2);
	return 0;
}

static void __attribute__((noreturn))
run_child(const struct pmu *pmu, int pipe_fd, int prog_fd, pid_t parent_tgid)
{
	struct bench bench = {.pmu = *pmu};
	struct answer answer = {0};
	sigset_t all;

	/* the parent's handlers are not ours to run; SIGKILL still comes through */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent_tgid ||
	    keep_fds(pipe_fd, prog_fd))
		_exit(1);
	answer.error = measure(&bench, &answer.costs);
	/* a parent that no longer reads has no use for it */
	_exit(write(PIPE_FD, &answer, sizeof(answer)) == sizeof(answer) ? 0 : 1);
}

static int read_number(const char *path, const char *prefix, uint64_t *out)
{
	char *text;
	size_t nr = strlen(prefix);
	int error = fd_read_file(path, &text, NULL, 4096);

	if (error)
		return error;
	text[strcspn(text, "\n")] = '\0';
	error = strncmp(text, prefix, nr) ? -EINVAL : parse_u64(text + nr, out);
	free(text);
	return error;
}

static int read_pmu(struct pmu *out)
{
	uint64_t type, bit;
	int error = read_number(PMU_TYPE_PATH, "", &type);

	if (!error)
		error = read_number(PMU_RETPROBE_PATH, "config:", &bit);
	if (error)
		return error;
	if (type > UINT32_MAX || bit > 63)
		return -EINVAL;
	out->type = (uint32_t)type;
	out->retprobe_bit = (unsigned int)bit;
	return 0;
}

/* The child's pidfd, or negative errno. */
static int fork_child(const struct pmu *pmu, int pipe_fd, int prog_fd)
{
	pid_t parent_tgid = getpid(), child_tgid = fork();
	int child_fd, error;

	if (child_tgid < 0)
		return -errno;
	if (!child_tgid)
		run_child(pmu, pipe_fd, prog_fd, parent_tgid);
	child_fd = (int)syscall(SYS_pidfd_open, child_tgid, 0);
	if (child_fd < 0) {
		error = -errno;
		(void)kill(child_tgid, SIGKILL); /* nobody has reaped it yet */
		(void)waitpid(child_tgid, NULL, 0);
		return error;
	}
	return child_fd;
}

int calibrate_start(int prog_fd, struct calibrator **out)
{
	struct calibrator *calibrator;
	struct pmu pmu;
	int end[2], error = read_pmu(&pmu);

	if (error)
		return error;
	calibrator = calloc(1, sizeof(*calibrator));
	if (!calibrator)
		return -ENOMEM;
	if (pipe2(end, O_CLOEXEC)) {
		error = -errno;
		goto out;
	}
	calibrator->child_fd = fork_child(&pmu, end[1], prog_fd);
	fd_close(&end[1]);
	if (calibrator->child_fd < 0) {
		error = calibrator->child_fd;
		fd_close(&end[0]);
		goto out;
	}
	calibrator->pipe_fd = end[0];
	calibrator->deadline_ns = now_ns() + DEADLINE_NS;
	*out = calibrator;
out:
	if (error)
		free(calibrator);
	return error;
}

int calibrate_fd(const struct calibrator *calibrator)
{
	return calibrator->pipe_fd;
}

/* 0: there is something to read, or the child has gone; -ETIMEDOUT. */
static int wait_for_answer(const struct calibrator *calibrator)
{
	struct pollfd waiting = {.fd = calibrator->pipe_fd, .events = POLLIN};
	uint64_t now;
	int nr;

	do {
		now = now_ns();
		nr = poll(&waiting, 1,
			  now < calibrator->deadline_ns
				  ? (int)((calibrator->deadline_ns - now) / 1000000 + 1)
				  : 0);
	} while (nr < 0 && errno == EINTR);
	if (nr < 0)
		return -errno;
	return nr ? 0 : -ETIMEDOUT;
}

static void kill_child(const struct calibrator *calibrator)
{
	/* fails if it has ended by itself, which is as good */
	(void)syscall(SYS_pidfd_send_signal, calibrator->child_fd, SIGKILL, NULL, 0);
}

int calibrate_finish(struct calibrator *calibrator, struct calibration *out)
{
	struct answer answer;
	ssize_t nr;
	int error;

	if (calibrator->finished)
		return -EALREADY;
	calibrator->finished = true;
	error = wait_for_answer(calibrator);
	if (error) {
		kill_child(calibrator);
		return error;
	}
	nr = fd_read_all(calibrator->pipe_fd, &answer, sizeof(answer));
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
	siginfo_t info;
	int error;

	if (!calibrator)
		return;
	kill_child(calibrator);
	do {
		error = waitid(P_PIDFD, (id_t)calibrator->child_fd, &info, WEXITED);
	} while (error && errno == EINTR);
	fd_close(&calibrator->child_fd);
	fd_close(&calibrator->pipe_fd);
	free(calibrator);
}
