/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwinder_object.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "elf.h"
#include "proc.h"

int object_is_elf(int fd)
{
	char magic[SELFMAG];
	ssize_t nr = pread(fd, magic, sizeof(magic), 0);

	if (nr < 0)
		return -errno;
	return nr == (ssize_t)sizeof(magic) && !memcmp(magic, ELFMAG, SELFMAG);
}

void object_build_id(int fd, char *id, size_t size)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct elf_file *elf;

	id[0] = '\0';
	if (copy < 0 || elf_open_fd(copy, &elf))
		return;
	if (elf_build_id(elf, id, size))
		id[0] = '\0';
	elf_close(elf);
}

/* In the maps, which have been read; NULL: none. */
static const struct proc_mapping *find_own_vdso(const struct proc_maps *maps)
{
	uint64_t address = getauxval(AT_SYSINFO_EHDR);
	const struct proc_mapping *mapping = address ? proc_maps_find(maps, address) : NULL;

	return mapping && mapping->start == address ? mapping : NULL;
}

uint64_t object_vdso_bytes(void)
{
	const struct proc_mapping *mapping;
	struct proc_maps maps;
	uint64_t bytes = 0;

	proc_maps_init(&maps);
	if (!proc_maps_read(&maps, getpid())) {
		mapping = find_own_vdso(&maps);
		bytes = mapping ? mapping->end - mapping->start : 0;
	}
	proc_maps_release(&maps);
	return bytes;
}

static int read_own_vdso(const struct proc_maps *maps, uint64_t bytes, struct cfi_table *out)
{
	const struct proc_mapping *mapping = find_own_vdso(maps);

	if (!mapping)
		return -ENOENT;
	if (mapping->end - mapping->start != bytes)
		return -ENOTSUP;
	return cfi_read_image((const void *)(uintptr_t)mapping->start, bytes, out);
}

int object_read_vdso(uint64_t bytes, struct cfi_table *out)
{
	struct proc_maps maps;
	int error;

	proc_maps_init(&maps);
	error = proc_maps_read(&maps, getpid());
	if (!error)
		error = read_own_vdso(&maps, bytes, out);
	proc_maps_release(&maps);
	return error;
}
