/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fd.h"

#define RING_PAGES 8 /* some 250 records of mappings */
#define MANY_BYTES 8192
#define RECORD_MAX_BYTES 65536

/* The kernel's layout: perf_event_open(2). Without a sample_type nothing stands behind. */
struct mmap2_record {
	struct perf_event_header header;
	uint32_t tgid, tid;
	uint64_t start, bytes, file_offset;
	uint32_t dev_major, dev_minor;
	uint64_t inode, inode_generation;
	uint32_t protection, flags;
	char path[];
};

struct comm_record {
	struct perf_event_header header;
	uint32_t tgid, tid;
	char comm[];
};

struct lost_record {
	struct perf_event_header header;
	uint64_t id, nr;
};

struct cpu_ring {
	int fd;
	struct perf_event_mmap_page *control;
	const unsigned char *data;
	uint32_t exec_tgid; /* the next that it maps is its new program; 0: nobody */
};

struct watch {
	int epoll;
	size_t page_bytes;
	struct cpu_ring *ring;
	size_t nr_rings;
	union {
		struct perf_event_header header;
		struct mmap2_record mmap2;
		struct comm_record comm;
		struct lost_record lost;
		unsigned char byte[RECORD_MAX_BYTES + 1]; /* and a NUL behind every path */
	} record;
};

static int open_event(int cpu, uint32_t wakeup_bytes)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.exclude_kernel = 1,
		.mmap = 1, /* of code; mmap2 says how it is told */
		.mmap2 = 1,
		.comm = 1, /* for those of exec */
		.comm_exec = 1,
		/* counting events would count samples alone */
		.watermark = 1,
		.wakeup_watermark = wakeup_bytes,
	};
	long fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

static size_t data_bytes(const struct watch *watch)
{
	return RING_PAGES * watch->page_bytes;
}

static int open_ring(struct watch *watch, int cpu, uint32_t wakeup_bytes)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct cpu_ring *ring = &watch->ring[watch->nr_rings];
	void *map;

	ring->fd = open_event(cpu, wakeup_bytes);
	if (ring->fd == -ENODEV) /* offline; what runs on it later is not told of */
		return 0;
	if (ring->fd < 0)
		return ring->fd;
	map = mmap(NULL, watch->page_bytes + data_bytes(watch), PROT_READ | PROT_WRITE, MAP_SHARED,
		   ring->fd, 0);
	if (map == MAP_FAILED) {
		fd_close(&ring->fd);
		return -errno;
	}
	ring->control = map;
	ring->data = (const unsigned char *)map + watch->page_bytes;
	watch->nr_rings++;
	return epoll_ctl(watch->epoll, EPOLL_CTL_ADD, ring->fd, &event) ? -errno : 0;
}

static int open_rings(struct watch *watch, uint32_t wakeup_bytes)
{
	int nr_cpus = libbpf_num_possible_cpus(), error = 0;

	if (nr_cpus < 0)
		return nr_cpus;
	watch->ring = calloc((size_t)nr_cpus, sizeof(watch->ring[0]));
	if (!watch->ring)
		return -ENOMEM;
	for (int cpu = 0; cpu < nr_cpus && !error; cpu++)
		error = open_ring(watch, cpu, wakeup_bytes);
	return error || watch->nr_rings ? error : -ENODEV;
}

int watch_new(enum watch_wakeup wakeup, struct watch **out)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int error;

	if (!watch)
		return -ENOMEM;
	watch->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	watch->epoll = epoll_create1(EPOLL_CLOEXEC);
	error = watch->epoll < 0 ? -errno
				 : open_rings(watch, wakeup == WATCH_EACH ? 1 : MANY_BYTES);
	if (error)
		watch_free(watch);
	else
		*out = watch;
	return error;
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	for (size_t i = 0; i < watch->nr_rings; i++) {
		(void)munmap(watch->ring[i].control, watch->page_bytes + data_bytes(watch));
		fd_close(&watch->ring[i].fd);
	}
	free(watch->ring);
	fd_close(&watch->epoll);
	free(watch);
}

int watch_fd(const struct watch *watch)
{
	return watch->epoll;
}

static void copy_from_ring(const struct watch *watch, const struct cpu_ring *ring, uint64_t at,
			   void *to, size_t nr)
{
	size_t offset = at & (data_bytes(watch) - 1), first = data_bytes(watch) - offset;

	if (first > nr)
		first = nr;
	memcpy(to, ring->data + offset, first);
	memcpy((unsigned char *)to + first, ring->data, nr - first);
}

/* Copies the record at tail and returns its size; 0: none that makes sense. */
static size_t read_record(struct watch *watch, const struct cpu_ring *ring, uint64_t tail,
			  uint64_t head)
{
	struct perf_event_header header;

	if (head - tail < sizeof(header) || head - tail > data_bytes(watch))
		return 0;
	copy_from_ring(watch, ring, tail, &header, sizeof(header));
	if (header.size < sizeof(header) || header.size > head - tail)
		return 0;
	copy_from_ring(watch, ring, tail, watch->record.byte, header.size);
	watch->record.byte[header.size] = '\0';
	return header.size;
}

/* Made for the process by the kernel, at its first probe: nothing that was mapped has changed. */
static bool is_trampoline(const struct mmap2_record *record)
{
	return !record->inode && !strcmp(record->path, "[uprobes]");
}

/* Its first mapping with a file after the exec; what it has for a stack may be told before. */
static bool is_program(struct cpu_ring *ring, const struct mmap2_record *record)
{
	if (record->tgid != ring->exec_tgid || !record->inode || record->path[0] != '/')
		return false;
	ring->exec_tgid = 0;
	return true;
}

static void take_comm(const struct watch *watch, struct cpu_ring *ring, size_t nr)
{
	const struct comm_record *record = &watch->record.comm;

	if (nr >= sizeof(*record) && record->header.misc & PERF_RECORD_MISC_COMM_EXEC)
		ring->exec_tgid = record->tgid;
}

static int take_mmap2(const struct watch *watch, struct cpu_ring *ring, size_t nr,
		      int (*take)(const struct watch_mapping *mapping, void *arg), void *arg)
{
	const struct mmap2_record *record = &watch->record.mmap2;
	struct watch_mapping mapping;

	if (nr < sizeof(*record) || !(record->protection & PROT_EXEC) || (pid_t)record->tgid <= 0 ||
	    is_trampoline(record))
		return 0;
	mapping = (struct watch_mapping){
		.tgid = (pid_t)record->tgid,
		.start = record->start,
		.bytes = record->bytes,
		.file_offset = record->file_offset,
		.dev_major = record->dev_major,
		.dev_minor = record->dev_minor,
		.inode = record->inode,
		.is_program = is_program(ring, record),
		.path = record->path,
	};
	return take(&mapping, arg);
}

/* Up to where the ring was filled when we came: who maps all the time does not keep us here. */
static int drain(struct watch *watch, struct cpu_ring *ring,
		 int (*take)(const struct watch_mapping *mapping, void *arg), void *arg,
		 uint64_t *lost)
{
	uint64_t head = __atomic_load_n(&ring->control->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->control->data_tail;
	size_t nr;
	int error = 0;

	while (tail != head && !error) {
		nr = read_record(watch, ring, tail, head);
		tail = nr ? tail + nr : head;
		if (!nr)
			(*lost)++;
		else if (watch->record.header.type == PERF_RECORD_MMAP2)
			error = take_mmap2(watch, ring, nr, take, arg);
		else if (watch->record.header.type == PERF_RECORD_COMM)
			take_comm(watch, ring, nr);
		else if (watch->record.header.type == PERF_RECORD_LOST &&
			 nr >= sizeof(watch->record.lost))
			*lost += watch->record.lost.nr;
	}
	__atomic_store_n(&ring->control->data_tail, tail, __ATOMIC_RELEASE);
	return error;
}

int watch_take(struct watch *watch, int (*take)(const struct watch_mapping *mapping, void *arg),
	       void *arg, uint64_t *lost)
{
	uint64_t nr_lost = 0;
	int error = 0;

	for (size_t i = 0; i < watch->nr_rings && !error; i++)
		error = drain(watch, &watch->ring[i], take, arg, &nr_lost);
	*lost = nr_lost;
	return error;
}
