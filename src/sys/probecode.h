/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Uprobes tried out on code of our own, in a forked child: what they cost here and what they do, before any is set in a
 * target.
 *
 *	struct probecode code;
 *	struct probecode_child child;
 *	error = probecode_init(&code);
 *	error = probecode_fork(&child, -1, run, &code, 2000000000);
 *		in the child: run(&code) maps a function, probes it, calls it, and tells on PROBECODE_PIPE_FD
 *	nr = probecode_read(&child, &answer, sizeof(answer));
 *	probecode_end(&child);
 *
 * The child must not allocate memory: another thread of the parent may hold the locks.
 */
#ifndef SEEP_SYS_PROBECODE_H
#define SEEP_SYS_PROBECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROBECODE_BYTES 4096 /* of code: a page */

/* The child's only fds at first. */
#define PROBECODE_PIPE_FD 0 /* its words to the parent: each one write, of PIPE_BUF bytes at most */
#define PROBECODE_PROG_FD 1 /* the program given to probecode_fork() */

/* A function that returns at once, and whose first instruction the kernel emulates. */
extern const uint8_t probecode_emulated[];
extern const size_t probecode_emulated_bytes;

struct probecode {
	uint32_t pmu_type;
	unsigned int retprobe_bit;
	int fd;
	char *page;
};

/* What the child needs to know, read from files. 0 or negative errno (-ENOENT: no uprobes for perf events here). */
int probecode_init(struct probecode *code);

/*
 * For the child, where all lasts until it ends; 0 or negative errno. The page is mapped first; code is put into it before
 * it is called or probed.
 */
int probecode_map(struct probecode *code);
int probecode_put(const struct probecode *code, size_t offset, const uint8_t *bytes, size_t nr);
/*
 * A probe of the calling process, entered at once. With prog_fd -1 the event counts its hits: read() gives a uint64_t.
 * The fd, which keeps the probe, or negative errno.
 */
int probecode_attach(const struct probecode *code, uint64_t offset, bool is_return, int prog_fd);
/* What is at offset, to be called. */
typedef int (*probecode_function)(int);
probecode_function probecode_at(const struct probecode *code, size_t offset);

struct probecode_child {
	int child_fd; /* not its tgid, which is another process's once somebody else has reaped it */
	int pipe_fd;
	uint64_t deadline_ns;
};

/*
 * Runs run(arg) in a child that holds none of the caller's fds, blocks all signals, and dies with the calling thread.
 * prog_fd may be -1. 0 or negative errno.
 */
int probecode_fork(struct probecode_child *child, int prog_fd, void (*run)(void *arg), void *arg,
		   uint64_t timeout_ns);

/*
 * Waits for the child's next word. Bytes, 0 when it has ended, or negative errno: -ETIMEDOUT when it has said nothing
 * until timeout_ns after the fork, and it has been killed.
 */
ssize_t probecode_read(const struct probecode_child *child, void *data, size_t nr);

/* Kills it if it still runs, and waits for its end, which takes some time: its probes are slow to remove. */
void probecode_end(struct probecode_child *child);

#endif
