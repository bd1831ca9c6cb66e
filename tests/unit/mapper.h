/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child process that maps what it is told to; each function returns when that is done. Failures fail the test. */
#ifndef SEEP_TEST_MAPPER_H
#define SEEP_TEST_MAPPER_H

#include <stdint.h>
#include <sys/types.h>

#define MAPPER_AREA UINT64_C(0x200000000000) /* pages are counted from here */
#define MAPPER_PAGE 4096u

struct mapper {
	pid_t tgid;
	int orders, answers;
};

/* A copy of this process, with its descriptors. */
struct mapper mapper_start(void);
/* A small program instead, which has few mappings and takes no orders. */
struct mapper mapper_start_cat(void);
/* Kills it and waits for its end. */
void mapper_end(struct mapper *mapper);

/* Executable, from the file's beginning. */
void mapper_map_file(const struct mapper *mapper, int fd, uint32_t page, uint32_t nr_pages);
void mapper_map_anon(const struct mapper *mapper, uint32_t page, uint32_t nr_pages, int protection);
/* nr executable pages, one each third page of the area; behind one of them another, so that it is the largest. */
void mapper_map_many(const struct mapper *mapper, uint32_t nr, uint32_t largest);
void mapper_protect(const struct mapper *mapper, uint32_t page, uint32_t nr_pages, int protection);
void mapper_unmap(const struct mapper *mapper, uint32_t page, uint32_t nr_pages);
/* It becomes what mapper_start_cat() is. */
void mapper_exec(struct mapper *mapper);

#endif
