// SPDX-License-Identifier: GPL-2.0-or-later
#include "physmem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "fd.h"

#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_FRAME ((1ULL << 55) - 1)

uint64_t physmem_read_limit(FILE *iomem)
{
	uint64_t limit = 0, start, end;
	char *line = NULL;
	size_t room = 0;
	int name;

	while (getline(&line, &room, iomem) >= 0) {
		name = 0;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " : %n", &start, &end, &name) != 2 ||
		    !name || strncmp(line + name, "System RAM", strlen("System RAM")) != 0)
			continue;
		if (end > start && end < UINT64_MAX && end + 1 > limit)
			limit = end + 1;
	}
	free(line);
	return limit;
}

uint64_t physmem_limit(void)
{
	FILE *f = fopen("/proc/iomem", "re");
	uint64_t limit;

	if (!f)
		return 0;
	limit = physmem_read_limit(f);
	(void)fclose(f);
	return limit;
}

uint64_t physmem_of(const void *addr)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t page = (uintptr_t)addr / page_bytes, entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t nr;

	if (fd < 0)
		return 0;
	nr = pread(fd, &entry, sizeof(entry), (off_t)(page * sizeof(entry)));
	fd_close(&fd);
	if (nr != sizeof(entry) || !(entry & PAGEMAP_PRESENT))
		return 0;
	return (entry & PAGEMAP_FRAME) * page_bytes;
}

#if defined(__x86_64__)
#define ENCRYPTION_LEAF 0x8000001fu
#define ENCRYPTION_OF_MEMORY 3u /* SME, SEV */
#define ENCRYPTION_BIT(ebx) ((ebx)&0x3f)

uint64_t physmem_entry_mask(void)
{
	uint64_t mask = 0x000ffffffffff000;
	unsigned int eax, ebx, ecx, edx;

	if (__get_cpuid(ENCRYPTION_LEAF, &eax, &ebx, &ecx, &edx) && eax & ENCRYPTION_OF_MEMORY)
		mask &= ~(1ULL << ENCRYPTION_BIT(ebx));
	return mask;
}
#else
uint64_t physmem_entry_mask(void)
{
	return 0;
}
#endif
