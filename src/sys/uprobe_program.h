/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs of a few instructions for uprobes, loaded by the raw bpf(2) call: to try links, to measure what they cost,
 * and to count. Nothing here allocates memory, so that a child after fork() may use it.
 */
#ifndef SEEP_SYS_UPROBE_PROGRAM_H
#define SEEP_SYS_UPROBE_PROGRAM_H

#include <stdint.h>

/* As an expected attach type: for perf events. Others are those of uprobe_link_attach_type(). */
#define UPROBE_PROGRAM_PERF 0

/* A program that returns value. Its fd or negative errno. */
int uprobe_program_constant(uint32_t attach_type, int value);

/*
 * A program that adds one to the element of a counter map whose number is the probe's cookie, and returns value (1 for
 * a session that is to skip the return). Its fd or negative errno; the program keeps the map.
 */
int uprobe_program_counter(uint32_t attach_type, int map_fd, int value);

/*
 * The map: nr counters of 64 bits, 0 at first. Its fd or negative errno. *counter gets the counters themselves, to be
 * read at any time; it is unmapped by uprobe_counter_unmap().
 */
int uprobe_counter_map(uint32_t nr, const volatile uint64_t **counter);
void uprobe_counter_unmap(const volatile uint64_t *counter, uint32_t nr);

#endif
