/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hazard.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "array.h"
#include "fd.h"
#include "probecode.h"
#include "uprobe_link.h"
#include "uprobe_program.h"

#define SESSION_OFFSET 1024 /* of the function that has one, from the one that was brought */
#define TIMEOUT_NS UINT64_C(2000000000)

/*
 * A child says two words: before it does what may kill it 0, or what went wrong as a negative errno; and when it has
 * survived what came of it.
 */
static void say(int32_t word)
{
	/* a parent that no longer reads has no use for it */
	(void)fd_write_all(PROBECODE_PIPE_FD, &word, sizeof(word));
}

/* Runs run(arg) in a child. What it said at last, HAZARD_KILLS if it did not get so far, or negative errno. */
static int try_in_child(void (*run)(void *arg), void *arg)
{
	struct probecode_child child;
	int32_t word;
	ssize_t nr;
	int error = probecode_fork(&child, -1, run, arg, TIMEOUT_NS);

	if (error)
		return error;
	nr = probecode_read(&child, &word, sizeof(word));
	if (nr != sizeof(word)) {
		error = nr < 0 ? (int)nr : -ECHILD;
	} else if (word) {
		error = word;
	} else {
		/* one that hangs has come to harm, too */
		nr = probecode_read(&child, &word, sizeof(word));
		error = nr == sizeof(word) ? word : HAZARD_KILLS;
	}
	probecode_end(&child);
	return error;
}

/* --- seccomp -------------------------------------------------------------------------------------- */

struct seccomp_trial {
	struct probecode code;
	bool strict;
	const uint8_t *bytes;
	size_t nr;
};

/* As strict mode: read(), write() and exit(). */
static int enter_filter(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 1, 0),
		/* kills, since signals are blocked, and unlike the killing actions leaves no line in a log */
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(filter), .filter = filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0))
		return -errno;
	return 0;
}

static int enter_strict(void)
{
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) ? -errno : 0;
}

/*
 * A session returns to the same trampoline; but which system calls that makes is the kernel's affair, so where there are
 * sessions one is tried as well. Where there are none nothing is called but a function of ours.
 */
static void set_session(const struct seccomp_trial *trial)
{
	const uint64_t offset = SESSION_OFFSET;
	struct uprobe_places places = {.offset = &offset, .nr = 1, .tgid = getpid()};
	int prog_fd = uprobe_program_constant(uprobe_link_attach_type(UPROBE_LINK_SESSION), 0);
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", trial->code.fd);
	places.path = path;
	if (prog_fd >= 0)
		(void)uprobe_link(prog_fd, UPROBE_LINK_SESSION, &places);
}

/* The fd of the return probe, which counts its hits, or negative errno. */
static int set_probe(struct seccomp_trial *trial)
{
	int error = probecode_map(&trial->code);

	if (!error)
		error = probecode_put(&trial->code, 0, trial->bytes, trial->nr);
	if (!error)
		error = probecode_put(&trial->code, SESSION_OFFSET, probecode_emulated,
				      probecode_emulated_bytes);
	if (error)
		return error;
	set_session(trial);
	return probecode_attach(&trial->code, 0, true, -1);
}

static int enter_seccomp(const struct seccomp_trial *trial)
{
	/* nobody wants a core file of this child */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
	return trial->strict ? enter_strict() : enter_filter();
}

static void run_seccomp_trial(void *arg)
{
	struct seccomp_trial *trial = arg;
	int fd = set_probe(trial), error = fd < 0 ? fd : enter_seccomp(trial);
	uint64_t hits = 0;

	say(error);
	if (!error) {
		(void)probecode_at(&trial->code, 0)(0); /* its result is of no interest */
		(void)probecode_at(&trial->code, SESSION_OFFSET)(0);
		if (read(fd, &hits, sizeof(hits)) != (ssize_t)sizeof(hits))
			say(-EIO);
		else
			say(hits ? HAZARD_SAFE : -ENODATA);
	}
	/* strict mode knows exit() only, and glibc's _exit() is exit_group() */
	(void)syscall(SYS_exit, 0);
}

int hazard_try_seccomp(bool strict, const uint8_t *code, size_t nr)
{
	struct seccomp_trial trial = {.strict = strict,
				      .bytes = code ? code : probecode_emulated,
				      .nr = code ? nr : probecode_emulated_bytes};
	int error = probecode_init(&trial.code);

	return error ? error : try_in_child(run_seccomp_trial, &trial);
}

/* --- shadow stacks -------------------------------------------------------------------------------- */

#ifdef __x86_64__
/* Newer than the headers that we are built with. */
#define NR_URETPROBE 335

static void on_sigill(int signal)
{
	(void)signal;
	say(HAZARD_SAFE);
	_exit(0);
}

/*
 * A kernel whose trampoline makes this system call, and no other, knows of shadow stacks; it answers everybody else who
 * makes it with SIGILL. So neither a process with a shadow stack is needed nor a CPU that has them.
 */
static void run_shadow_stack_trial(void *arg)
{
	struct sigaction action = {.sa_handler = on_sigill};
	sigset_t set;
	int error = 0;

	(void)arg;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGILL);
	if (sigaction(SIGILL, &action, NULL) || sigprocmask(SIG_UNBLOCK, &set, NULL))
		error = -errno;
	say(error);
	if (error)
		return;
	if (syscall(NR_URETPROBE) < 0 && errno == ENOSYS)
		say(HAZARD_KILLS);
	else
		say(-EPROTO); /* a seccomp filter of ours answered, perhaps */
}

int hazard_try_shadow_stack(void)
{
	return try_in_child(run_shadow_stack_trial, NULL);
}
#else
int hazard_try_shadow_stack(void)
{
	return -ENOTSUP;
}
#endif

/* --- the verdict ---------------------------------------------------------------------------------- */

struct threat {
	bool applies;
	int answer;
	const char *to, *fixed;
};

static int judge_threat(const struct threat *threat, char *why, size_t size)
{
	int error = threat->answer == HAZARD_UNTRIED ? -ENODATA : threat->answer;

	if (!threat->applies || threat->answer == HAZARD_SAFE)
		return 0;
	if (threat->answer == HAZARD_KILLS) {
		(void)snprintf(why, size, "this kernel's return probes kill processes %s (%s)",
			       threat->to, threat->fixed);
		return 1;
	}
	(void)snprintf(why, size,
		       "cannot find out whether this kernel's return probes kill processes %s: %s",
		       threat->to, strerror(-error));
	return error;
}

int hazard_judge(const struct hazard_kernel *kernel, const struct proc_guards *guards, char *why,
		 size_t size)
{
	const struct threat threat[] = {
		{guards->seccomp_filter, kernel->seccomp_filter, "under seccomp",
		 "fixed in 6.14 and its stable backports"},
		{guards->seccomp_strict, kernel->seccomp_strict, "under strict seccomp",
		 "fixed in 6.14 and its stable backports"},
		{guards->shadow_stack, kernel->shadow_stack, "with a shadow stack",
		 "fixed in 6.11"},
	};
	char reason[HAZARD_WHY_BYTES];
	int result = 0, found;
	size_t i;

	/* what is certain goes before what is not known */
	for (i = 0; i < ARRAY_SIZE(threat) && result != 1; i++) {
		found = judge_threat(&threat[i], reason, sizeof(reason));
		if (!found || (result && found < 0))
			continue;
		result = found;
		(void)snprintf(why, size, "%s", reason);
	}
	return result;
}

int hazard_check(struct hazard_kernel *kernel, const struct proc_guards *guards, char *why,
		 size_t size)
{
	if (guards->seccomp_filter && kernel->seccomp_filter == HAZARD_UNTRIED)
		kernel->seccomp_filter = hazard_try_seccomp(false, NULL, 0);
	if (guards->seccomp_strict && kernel->seccomp_strict == HAZARD_UNTRIED)
		kernel->seccomp_strict = hazard_try_seccomp(true, NULL, 0);
	if (guards->shadow_stack && kernel->shadow_stack == HAZARD_UNTRIED)
		kernel->shadow_stack = hazard_try_shadow_stack();
	return hazard_judge(kernel, guards, why, size);
}

/* The kernel says so of CPUs that have them if it lets programs use them. */
static bool machine_has_shadow_stacks(void)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	bool found = false;
	char *line = NULL;
	size_t size = 0;

	while (file && !found && getline(&line, &size, file) >= 0) {
		if (!strncmp(line, "flags", 5)) {
			found = strstr(line, " user_shstk");
			break;
		}
	}
	free(line);
	if (file)
		(void)fclose(file);
	return found;
}

int hazard_check_anybody(struct hazard_kernel *kernel, char *why, size_t size)
{
	static const struct proc_guards filter = {.seccomp_filter = true};
	static const struct proc_guards shadow = {.shadow_stack = true};
	int result = hazard_check(kernel, &filter, why, size);

	if (result || kernel->shadow_stack == HAZARD_SAFE || !machine_has_shadow_stacks())
		return result;
	return hazard_check(kernel, &shadow, why, size);
}

/* --- what is set where ---------------------------------------------------------------------------- */

int hazard_decide(const struct hazard_facts *facts, enum attach_kind *link, char *why, size_t size)
{
	const struct kernel_features *features = facts->features;
	enum attach_kind kind = loader_choose_kind(0, features);
	int result;

	if (!features->uprobe_pmu && kind == ATTACH_PERF) {
		(void)snprintf(why, size, "this kernel has no uprobes (CONFIG_UPROBE_EVENTS)");
		return 1;
	}
	if (facts->is_32bit) {
		(void)snprintf(why, size, "it is a 32-bit program");
		return 1;
	}
	/* whatever kind it is of, a return goes by the same trampoline */
	result = facts->with_return ? hazard_judge(facts->kernel, facts->guards, why, size) : 0;
	if (result)
		return result;
	*link = kind == ATTACH_SESSION && !facts->with_return ? ATTACH_MULTI : kind;
	return 0;
}
