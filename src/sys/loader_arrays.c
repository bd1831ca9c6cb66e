// SPDX-License-Identifier: GPL-2.0-or-later
/* Arrays that are made while programs run, and mapped. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fd.h"
#include "loader_impl.h"

static int make_array(const struct loader_arrays *arrays, uint32_t i)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	size_t bytes = (size_t)arrays->value_bytes * arrays->nr_values;
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, arrays->name, sizeof(i), arrays->value_bytes,
				arrays->nr_values, &options);
	void *at;
	int err;

	if (fd < 0)
		return -errno;
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		err = -errno;
		fd_close(&fd);
		return err;
	}
	arrays->at[i] = at;
	return fd;
}

/* All at once: for each single one the kernel would wait until all programs have been left. */
static int publish(const struct loader_arrays *arrays, const uint32_t *index, const int *fd,
		   uint32_t nr)
{
	uint32_t i, done = nr;

	if (!nr || !bpf_map_update_batch(arrays->outer_fd, index, fd, &done, NULL))
		return 0;
	for (i = 0; i < nr; i++) {
		if (bpf_map_update_elem(arrays->outer_fd, &index[i], &fd[i], BPF_ANY))
			return -errno;
	}
	return 0;
}

int loader_add_arrays(const struct loader_arrays *arrays, uint32_t first, uint32_t nr)
{
	uint32_t *index = calloc(nr + 1, sizeof(*index)), made = 0, i;
	int *fd = calloc(nr + 1, sizeof(*fd)), err = index && fd ? 0 : -ENOMEM;

	for (; made < nr && !err; made += !err) {
		index[made] = first + made;
		fd[made] = make_array(arrays, first + made);
		err = fd[made] < 0 ? fd[made] : 0;
	}
	if (!err)
		err = publish(arrays, index, fd, made);
	for (i = 0; i < made; i++)
		fd_close(&fd[i]);
	free(index);
	free(fd);
	return err;
}

void loader_unmap_arrays(const struct loader_arrays *arrays, uint32_t nr)
{
	uint32_t i;

	for (i = 0; arrays->at && i < nr; i++) {
		if (arrays->at[i])
			(void)munmap(arrays->at[i],
				     (size_t)arrays->value_bytes * arrays->nr_values);
	}
}
