/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /proc: who a process is and what it has mapped. Every string is copied and bounded. Functions return 0 or a negative
 * errno; -ESRCH when the process has gone. Out parameters change only on success.
 */
#ifndef SEEP_SYS_PROC_H
#define SEEP_SYS_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct proc_info {
	pid_t tgid, parent_tgid;
	char comm[64];
	uint64_t start_ticks;  /* field 22 of stat: (tgid, start_ticks) is the identity */
	uint64_t cpu_ns;       /* utime + stime */
	uint64_t minor_faults; /* of all its threads, living and gone */
	uint64_t major_faults;
	char state;	       /* 'R', 'S', 'Z', ... */
	bool is_kernel_thread; /* PF_KTHREAD of the flags field */
	uint32_t nr_threads;
	int seccomp;   /* of status: 0, 1 strict, 2 filter; -1 not known */
	bool is_32bit; /* its executable is ELFCLASS32 */
};

/* -ESRCH also when tgid is the id of a thread that is not the first of its process. */
int proc_read_info(pid_t tgid, struct proc_info *out);

/* What one read tells, of who is known to be a process: without seccomp and is_32bit. */
int proc_read_stat(pid_t tgid, struct proc_info *out);

/*
 * What stands in the way of probes in a process. A thread may have any of it without the others: what one has, counts.
 */
struct proc_guards {
	bool seccomp_strict, seccomp_filter;
	bool shadow_stack;
	pid_t tracer_tid; /* who traces it with ptrace(2); 0: nobody */
};

int proc_read_guards(pid_t tgid, struct proc_guards *out);
/* Adds what the text of a status file, that of one thread, tells. */
void proc_parse_guards(const char *status, struct proc_guards *guards);

/* The name of a thread, or of a process. */
int proc_read_comm(pid_t tid, char *comm, size_t size);

/* Path that /proc/TGID/exe leads to, as printed by the kernel (" (deleted)" kept). -ENOENT: a kernel thread or a zombie. */
int proc_read_exe(pid_t tgid, char *path, size_t size);

struct proc_mapping {
	uint64_t start, end; /* bytes */
	uint64_t file_offset;
	uint64_t inode; /* 0: anonymous or special */
	uint32_t dev_major, dev_minor;
	bool exec, write, shared;
	char *path; /* "" when anonymous; as printed: a newline is "\012"; owned by the list */
};

struct proc_maps {
	struct proc_mapping *item; /* sorted by start */
	size_t nr, cap;
};

/* Reads /proc/TGID/maps, at most PROC_MAX_MAPPINGS of them (-E2BIG beyond). maps is replaced, and must be initialised. */
#define PROC_MAX_MAPPINGS 200000
void proc_maps_init(struct proc_maps *maps);
int proc_maps_read(struct proc_maps *maps, pid_t tgid);
/* Those of code alone, a fifth of them: the others are left out as they are read, which is cheaper. */
int proc_maps_read_code(struct proc_maps *maps, pid_t tgid);
/* Parses the text of a maps file, for tests and fuzzing: untrusted, -EINVAL on a malformed line. */
int proc_maps_parse(struct proc_maps *maps, const char *text, size_t nr);
const struct proc_mapping *proc_maps_find(const struct proc_maps *maps,
					  uint64_t address); /* NULL: none */
void proc_maps_release(struct proc_maps *maps);
/*
 * Of each file that is mapped as code the number of its first mapping so, in order. The caller frees *index. Takes time
 * in proportion to the mappings, whatever they are. 0 or -ENOMEM.
 */
int proc_maps_code_files(const struct proc_maps *maps, size_t **index, size_t *nr);
/* Adds one, whose path is copied, in place of all that it overlaps. 0, -EINVAL, -E2BIG or -ENOMEM. */
int proc_maps_add(struct proc_maps *maps, const struct proc_mapping *mapping, const char *path);

/*
 * Opens the file behind a mapping, read only: /proc/TGID/map_files first (right in containers and for deleted files),
 * then /proc/TGID/root/PATH if that has the same inode. A descriptor, or a negative errno.
 */
int proc_open_mapping(pid_t tgid, const struct proc_mapping *mapping);

/* The same when the process has gone: by its path, if the very file is there for us. A descriptor, or a negative errno. */
int proc_open_left(const struct proc_mapping *mapping);

/*
 * Opens for reading what an O_PATH descriptor stands for, and closes that one. Regular files only, -ENOTSUP for others:
 * opening a device or a FIFO does things.
 */
int proc_open_handle(int handle);

/* The path by which the kernel itself reaches the same file, for perf_event_open(). */
int proc_mapping_path(pid_t tgid, const struct proc_mapping *mapping, char *path, size_t size);
/* stat() of that file, by one look-up. */
int proc_stat_mapping(pid_t tgid, const struct proc_mapping *mapping, struct stat *out);

/* Ticks of /proc/PID/stat to ns. */
uint64_t proc_ticks_to_ns(uint64_t ticks);

#endif
